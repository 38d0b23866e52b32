"""The library of meshes and pictures for scenes, packed once into flat arrays that load in a second.

`load_library` builds the pack below the cache folder on first use, in about two minutes, and memory-maps it from there.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.datasets.cache import assets_folder, cache_folder
from deeplens_dof.learn.scenes.objects.furniture import Model, read_packs
from deeplens_dof.learn.scenes.objects.vertices import VERTEX, Mesh

LIBRARY_VERSION = 2  # raise it when meshes or pictures change, since the frames of a seed then change too
INDOOR_SKIES = ("apartment", "hall", "lab", "lobby", "studio", "warehouse", "workshop")
_SHAPE_SEED = 20_240_607
_TREE_WORDS = (
    "tree", "acacia", "bamboo", "ficus", "cypress", "palm", "pine", "maple", "beech", "blossom", "poplar", "bush",
    "hedge", "plant", "bonsai", "flower",
)  # fmt: skip
_TABLE_WORDS = (
    "table", "desk", "dresser", "cabinet", "box", "chest", "commode", "buffet", "shelf", "drawer", "stand", "bank",
    "stool", "counter",
)  # fmt: skip
_THIN_WORDS = (
    "bicycle", "bike", "railing", "fence", "chair", "ladder", "stroller", "rack", "tricycle", "scooter", "antenna",
)  # fmt: skip


@dataclass(frozen=True)
class Piece:
    """A range of the vertex array with its catalogue entry. size: metres along x, y, z."""

    first: int
    count: int
    model: Model

    @property
    def size(self) -> tuple[float, float, float]:
        return self.model.size

    @property
    def longest(self) -> float:
        return max(self.model.size)

    def named(self, words: tuple[str, ...]) -> bool:
        """True when the name holds one of the words."""
        return any(word in self.model.name.lower() for word in words)


@dataclass
class Library:
    """The packed meshes and pictures. groups: pieces by the names that scenes ask for. shapes: procedural ones by family."""

    vertices: Mesh
    textures: npt.NDArray[np.uint8]  # (layers, 256, 256, 4) sRGB
    surfaces: list[tuple[int, str]]
    skies: npt.NDArray[np.float16]  # (N, 512, 1024, 3) linear
    sky_names: list[str]
    backdrops: npt.NDArray[np.uint8]  # (N, 512, 768, 3) sRGB
    cutouts: npt.NDArray[np.uint8]  # (N, 512, 512, 4) sRGB
    cutout_aspect: npt.NDArray[np.float32]
    cutout_grounded: npt.NDArray[np.bool_]
    pieces: list[Piece]
    shapes: dict[str, list[Piece]]
    groups: dict[str, list[Piece]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        pieces = self.pieces
        people = [p for p in pieces if p.model.category == "Characters" or "annequin" in p.model.name]
        trees = [p for p in pieces if p.named(_TREE_WORDS)]
        own_people = self.shapes["person"]
        fixed = ("Exterior", "Vehicles", "Characters", "Doors and windows")
        self.groups = {
            "any": pieces,
            "people": people + own_people,
            "standing people": [p for p in people if p.size[1] > 1.1] + own_people,
            "trees": trees + self.shapes["tree"] + self.shapes["rosette"] + self.shapes["flower"],
            "plants": self.shapes["rosette"] + self.shapes["flower"],
            "tall trees": [p for p in trees if p.size[1] > 1.5] + self.shapes["tree"],
            "vehicles": [p for p in pieces if p.model.category == "Vehicles"],
            "exterior": [p for p in pieces if p.model.category == "Exterior"],
            "small": [p for p in pieces if p.longest < 0.5],
            "furniture": [
                p for p in pieces
                if 0.35 < p.longest < 2.6 and p.model.category not in fixed and p.model.elevation < 0.1
            ],
            "doors": [p for p in pieces if p.model.category == "Doors and windows"],
            "lights": [p for p in pieces if p.model.category == "Lights" and p.model.elevation > 1],
            "thin": [p for p in pieces if p.named(_THIN_WORDS)] + self.shapes["wheel"] + self.shapes["wires"],
            "animals": self.shapes["animal"] + [p for p in pieces if p.model.category == "Animals"],
        }  # fmt: skip

    def open_air_skies(self) -> list[int]:
        """Indices of the outdoor HDR maps, whose horizon is far away, unlike the walls of indoor maps."""
        return [index for index, name in enumerate(self.sky_names) if name not in INDOOR_SKIES] or [0]

    @property
    def tops(self) -> tuple[str, ...]:
        """Words in the names of furniture with a top that small objects may stand on."""
        return _TABLE_WORDS


def load_library(folder: Path | None = None) -> Library:
    """The packed library, built if necessary. Raises RuntimeError when assets are missing."""
    folder = folder or cache_folder() / "scenes" / f"library-{LIBRARY_VERSION}"
    if not (folder / "library.json").exists():
        _build(folder)
    facts = json.loads((folder / "library.json").read_text())

    def pieces(entries: list[dict[str, Any]]) -> list[Piece]:
        return [
            Piece(e["first"], e["count"], Model(**{**e["model"], "size": tuple(e["model"]["size"])}))
            for e in entries
        ]

    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in facts["arrays"]}
    return Library(
        surfaces=[(layer, name) for layer, name in facts["surfaces"]],
        sky_names=facts["sky_names"],
        pieces=pieces(facts["pieces"]),
        shapes={family: pieces(entries) for family, entries in facts["shapes"].items()},
        **arrays,
    )


def _build(folder: Path) -> None:
    from deeplens_dof.learn.scenes.objects.pictures import (
        TextureStack,
        backdrops,
        cutouts,
        skies,
        sky_names,
        surfaces,
    )

    furniture = assets_folder() / "sweethome3d-furniture"
    if not (furniture / "SOURCE.json").exists():
        raise RuntimeError(
            f"the assets for synthetic scenes are not in {assets_folder()}; fetch them with "
            "`python -m deeplens_dof.learn.scenes.assets`"
        )
    stack, meshes, pieces = TextureStack(), [], []
    first = 0

    def add(body: Mesh, model: Model) -> Piece:
        nonlocal first
        piece = Piece(first, len(body), model)
        meshes.append(body)
        first += len(body)
        return piece

    pieces = [add(body, model) for model, body in read_packs(furniture, stack.layer)]
    covers = surfaces(stack)
    shapes = {
        family: [add(body, _measured(body, family)) for body in bodies]
        for family, bodies in _own_shapes([layer for layer, _ in covers]).items()
    }
    cut = cutouts()
    arrays: dict[str, npt.NDArray[Any]] = {
        "vertices": np.concatenate(meshes).astype(VERTEX), "textures": np.stack(stack.layers),
        "skies": skies(),
        "backdrops": backdrops(), "cutouts": cut.rgba, "cutout_aspect": cut.aspect,
        "cutout_grounded": cut.grounded,
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
    facts = {
        "version": LIBRARY_VERSION,
        "arrays": list(arrays),
        "surfaces": covers,
        "sky_names": sky_names(),
        "pieces": [asdict(piece) for piece in pieces],
        "shapes": {family: [asdict(piece) for piece in members] for family, members in shapes.items()},
    }
    partial = folder / "library.json.part"
    partial.write_text(json.dumps(facts))
    os.replace(partial, folder / "library.json")


def _own_shapes(surface_layers: list[int]) -> dict[str, list[Mesh]]:
    from deeplens_dof.learn.scenes.objects.figures import animal, hand, person
    from deeplens_dof.learn.scenes.objects.shapes import primitive_shapes

    rng = np.random.default_rng(_SHAPE_SEED)
    shapes = primitive_shapes(rng)
    shapes["person"] = [person(rng, surface_layers) for _ in range(60)]
    shapes["animal"] = [animal(rng) for _ in range(24)]
    shapes["hand"] = [hand(rng) for _ in range(24)]
    return shapes


def _measured(body: Mesh, family: str) -> Model:
    size = body["position"].max(0) - body["position"].min(0)
    return Model("own", family, "Shapes", (float(size[0]), float(size[1]), float(size[2])), 0.0)
