"""Procedural plants: trees, twigs, rosettes (aloe, agave, houseplants) and flowers. Metres, standing on y = 0."""

from __future__ import annotations

import numpy as np

from deeplens_dof.learn.scenes.objects.vertices import (
    Array,
    Mesh,
    mesh,
    moved,
    placed,
    rotation,
    surface,
    tube,
    xyz,
)


def tree(rng: np.random.Generator, leaves: int) -> Mesh:
    """A branching tree about one metre tall. leaves: the number of two-triangle leaves on each twig."""
    parts: list[Mesh] = []
    bark = np.array([0.25, 0.18, 0.12]) * rng.uniform(0.5, 1.6)
    green = np.array([rng.uniform(0.05, 0.45), rng.uniform(0.2, 0.5), rng.uniform(0.02, 0.15)])

    def grow(start: Array, direction: Array, length: float, radius: float, level: int) -> None:
        bends = np.cumsum(rng.normal(0, 0.12, (5, 3)), 0) * length * 0.5
        path = start + direction * np.linspace(0, length, 5)[:, None] + bends - bends[0]
        parts.append(tube(path, np.linspace(radius, radius * 0.6, 5), 5 if level else 8, bark))
        if level == 4:
            for i in rng.integers(1, 5, leaves):
                leaf = _flat_leaf(rng, np.zeros(3), green)
                leaf["position"] *= 1 if leaves < 10 else 1.7
                leaf["position"] += path[i] + rng.normal(0, 0.004 * leaves, 3)
                parts.append(leaf)
            return
        for _ in range(int(rng.integers(2, 4))):
            turned = direction + rng.normal(0, 0.55, 3)
            turned /= np.linalg.norm(turned)
            grow(
                path[int(rng.integers(2, 5))],
                turned,
                length * rng.uniform(0.55, 0.8),
                radius * 0.6,
                level + 1,
            )

    grow(np.zeros(3), np.array([0, 1.0, 0]), 0.36, rng.uniform(0.012, 0.028), 0)
    return np.concatenate(parts)


def _flat_leaf(rng: np.random.Generator, at: Array, green: Array) -> Mesh:
    size = rng.uniform(0.015, 0.04)
    outline = [(0, 0, 0), (0.5, 0, 0.4), (0, 0, 1), (0, 0, 0), (0, 0, 1), (-0.5, 0, 0.4)]
    flat = mesh(np.array(outline, float) * size, np.tile([0.0, 1.0, 0.0], (6, 1)), np.zeros((6, 2)))
    return moved(
        flat, placed(at, rotation(*rng.uniform(-3, 3, 3))), np.clip(green * rng.uniform(0.6, 1.5), 0, 1)
    )


def leafy_branch(rng: np.random.Generator) -> Mesh:
    """A twig about a metre long with large leaves, to hang into the frame close to the camera."""
    path = np.cumsum(np.concatenate([np.zeros((1, 3)), rng.normal([0.1, -0.02, 0], 0.03, (10, 3))]), 0)
    green = np.array([rng.uniform(0.05, 0.5), rng.uniform(0.15, 0.5), rng.uniform(0.02, 0.2)])
    parts = [tube(path, np.linspace(0.012, 0.003, 11), 6, (0.2, 0.14, 0.09))]
    for _ in range(int(rng.integers(15, 60))):
        leaf = _flat_leaf(rng, np.zeros(3), green)
        leaf["position"] *= rng.uniform(2, 4.5)
        at = path[int(rng.integers(2, 11))] + rng.normal(0, 0.02, 3)
        parts.append(moved(leaf, placed(at, rotation(*rng.uniform(-3, 3, 3)))))
    return np.concatenate(parts)


def blade(rng: np.random.Generator, length: float, width: float, lift: float, droop: float) -> Mesh:
    """A curved, tapering leaf from the origin along +z, that rises by `lift` radians and bends down by `droop` radians."""
    fold, twist, widest = rng.uniform(0, 0.5), rng.normal(0, 0.3), rng.uniform(0.15, 0.55)

    def point(u: Array, v: Array) -> Array:
        shape = np.where(v < widest, 0.5 + 0.5 * v / widest, 1 - ((v - widest) / (1 - widest)) ** 2)
        across = (u - 0.5) * width * shape.clip(0.02)
        angle = lift - droop * v
        along, height = length * v * np.cos(angle), length * v * np.sin(angle)
        return xyz(across + twist * width * v * v, height + fold * np.abs(across), along)

    return surface(point, 4, 8)


def rosette(rng: np.random.Generator) -> Mesh:
    """Long leaves that spread from one point in a pot: aloe, agave, dracaena, palms of the living room."""
    green = np.array([rng.uniform(0.05, 0.4), rng.uniform(0.2, 0.5), rng.uniform(0.05, 0.25)])
    count, slim = int(rng.integers(7, 26)), rng.uniform(0.05, 0.28)
    parts = []
    stem = rng.uniform(0.02, 0.3) if rng.random() < 0.4 else 0.02
    for index in range(count):
        length = rng.uniform(0.3, 0.62)
        leaf = blade(rng, length, length * slim, rng.uniform(0.3, 1.5), rng.uniform(-0.2, 1.2))
        turn = rotation(index * 2.4 + rng.normal(0, 0.2), rng.normal(0, 0.1), rng.normal(0, 0.1))
        colour = np.clip(green * rng.uniform(0.7, 1.35), 0, 1)
        parts.append(moved(leaf, placed([0, 0.2 + stem, 0], turn), colour))
    pot = rng.uniform(0.05, 0.8, 3)
    walls = np.array([[0, 0, 0], [0, 0.19, 0], [0, 0.2, 0], [0, 0.18, 0]])
    parts.append(tube(walls, [0.08, 0.12, 0.125, 0.0], 20, pot))
    parts.append(tube(np.array([[0, 0.15, 0], [0, 0.2 + stem, 0]]), 0.02, 8, (0.2, 0.15, 0.08)))
    return np.concatenate(parts)


def flower(rng: np.random.Generator) -> Mesh:
    """A flower head with petals in one or more rings on a stem with leaves; it looks up and towards +z."""
    colour, height = rng.uniform(0.1, 0.95, 3) * [1, 0.8, 0.9], rng.uniform(0.5, 0.9)
    path = np.array([[0, 0, 0], [rng.normal(0, 0.05), height / 2, rng.normal(0, 0.05)], [0, height, 0]])
    green = np.array([0.12, 0.35, 0.08]) * rng.uniform(0.6, 1.5)
    parts = [tube(path, 0.012, 8, green)]
    face = placed([0, height, 0], rotation(rng.uniform(-0.8, 0.8), rng.uniform(0.2, 1.3)))
    rings, petals, length = int(rng.integers(1, 4)), int(rng.integers(5, 18)), rng.uniform(0.1, 0.22)
    slim = rng.uniform(0.25, 0.8)
    for ring in range(rings):
        reach = length * (1 - 0.22 * ring)
        for index in range(petals):
            petal = blade(rng, reach, reach * slim, 0.1 + 0.35 * ring, rng.uniform(-0.4, 0.5))
            turned = rotation(2 * np.pi * (index + 0.5 * ring) / petals)
            parts.append(moved(petal, face @ placed([0, 0, 0], turned), colour * rng.uniform(0.8, 1.2)))
    ball = surface(lambda u, v: _dome(u, v, length * 0.3), 12, 6)
    parts.append(moved(ball, face, rng.uniform(0.05, 0.8, 3)))
    for _ in range(int(rng.integers(1, 5))):
        leaf = blade(
            rng, rng.uniform(0.15, 0.35), rng.uniform(0.04, 0.12), rng.uniform(0, 1.2), rng.uniform(0, 1)
        )
        parts.append(
            moved(leaf, placed([0, rng.uniform(0.05, height * 0.7), 0], rotation(rng.uniform(0, 6.3))), green)
        )
    return np.concatenate(parts)


def _dome(u: Array, v: Array, radius: float) -> Array:
    turn = 2 * np.pi * u
    return radius * xyz(
        np.sin(np.pi / 2 * v) * np.cos(turn),
        0.6 * np.cos(np.pi / 2 * v),
        np.sin(np.pi / 2 * v) * np.sin(turn),
    )
