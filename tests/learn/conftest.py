"""Shared by the tests of learning: a library of a few shapes, made without graphics."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="learning needs torch: pip install '.[learn]'")
pytest.importorskip("cv2", reason="learning needs opencv-python-headless: pip install '.[learn]'")

from deeplens_dof.learn.scenes.objects.figures import animal, hand, person
from deeplens_dof.learn.scenes.objects.furniture import Model
from deeplens_dof.learn.scenes.objects.library import Library, Piece
from deeplens_dof.learn.scenes.objects.shapes import primitive_shapes
from deeplens_dof.learn.scenes.objects.vertices import Mesh


@pytest.fixture(scope="session")
def tiny_library() -> Library:
    """Procedural shapes with names of furniture, two textures, one sky: enough for every kind of scene."""
    rng = np.random.default_rng(0)
    meshes: list[Mesh] = []
    first = 0

    def piece(body: Mesh, name: str, category: str, elevation: float = 0.0) -> Piece:
        nonlocal first
        size = body["position"].max(0) - body["position"].min(0)
        made = Piece(
            first, len(body), Model("test", name, category, tuple(float(s) for s in size), elevation)
        )
        meshes.append(body)
        first += len(body)
        return made

    own = primitive_shapes(rng)
    own |= {"person": [person(rng, [0]) for _ in range(2)], "animal": [animal(rng)], "hand": [hand(rng)]}
    shapes = {
        family: [piece(body, family, "Shapes") for body in bodies[:3]] for family, bodies in own.items()
    }
    small = own["solid"][0].copy()
    small["position"] *= 0.2
    entries = [
        ("table", "Living room"),
        ("van", "Vehicles"),
        ("bench", "Exterior"),
        ("door", "Doors and windows"),
        ("oak tree", ""),
    ]
    pieces = [piece(own["solid"][1], name, category) for name, category in entries]
    pieces += [piece(small, "cup", "Kitchen"), piece(small, "ceiling lamp", "Lights", 2.0)]
    tall = own["solid"][1].copy()
    tall["position"] *= 2
    pieces.append(piece(tall, "pine", "Exterior"))
    return Library(
        vertices=np.concatenate(meshes),
        textures=rng.integers(0, 256, (2, 16, 16, 4), np.uint8) | np.array([0, 0, 0, 255], np.uint8),
        surfaces=[(0, "wood"), (1, "grass")],
        skies=np.ones((1, 32, 64, 3), np.float16),
        sky_names=["park"],
        backdrops=rng.integers(0, 256, (2, 32, 48, 3), np.uint8),
        cutouts=rng.integers(0, 256, (2, 32, 32, 4), np.uint8),
        cutout_aspect=np.array([0.7, 1.2], np.float32),
        cutout_grounded=np.array([True, False]),
        pieces=pieces,
        shapes=shapes,
    )
