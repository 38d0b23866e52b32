"""Procedural shapes about one metre in size that stand on y = 0, and flat pieces for rooms and ground."""

from __future__ import annotations

import numpy as np

from deeplens_dof.learn.scenes.objects.plants import flower, leafy_branch, rosette, tree
from deeplens_dof.learn.scenes.objects.vertices import Array, Mesh, mesh, surface, tube, xyz

TURN = 2 * np.pi


def sphere(radius: Array | float, u: Array, v: Array) -> Array:
    """Points of a sphere of unit diameter on the ground, its radii times `radius`."""
    return 0.5 * xyz(
        radius * np.sin(np.pi * v) * np.cos(TURN * u),
        radius * np.cos(np.pi * v) + 1,
        radius * np.sin(np.pi * v) * np.sin(TURN * u),
    )


def cube() -> Mesh:
    """A unit cube with its own texture square on each face."""
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 0), (1, 1), (0, 1)], float)
    faces = []
    for axis in range(3):
        for side in (-1, 1):
            position, normal = np.zeros((6, 3)), np.zeros((6, 3))
            position[:, axis] = side * 0.5
            position[:, (axis + 1) % 3], position[:, (axis + 2) % 3] = (
                corners[:, 0] - 0.5,
                corners[:, 1] - 0.5,
            )
            position[:, 1] += 0.5
            normal[:, axis] = side
            faces.append(mesh(position, normal, corners))
    return np.concatenate(faces)


def blob(rng: np.random.Generator) -> Mesh:
    """A bumpy ball: stones, fruit, cushions."""
    phase, waves, height = rng.uniform(0, TURN, 3), rng.integers(1, 4, 3), rng.uniform(0.03, 0.12, 3)

    def point(u: Array, v: Array) -> Array:
        belt = np.sin(np.pi * v) ** 2
        bumps = height[0] * np.sin(TURN * u * waves[0] + phase[0]) * belt
        bumps = bumps + height[1] * np.sin(TURN * v * waves[1] + phase[1]) * np.sin(np.pi * v)
        bumps = bumps + height[2] * np.sin(2 * TURN * u * waves[2] + 2 * TURN * v + phase[2]) * belt
        return sphere(1 + bumps, u, v)

    return surface(point, 40, 20)


def vase(rng: np.random.Generator) -> Mesh:
    """A turned body: vases, bottles, columns."""
    phase, height = rng.uniform(0, TURN, 3), rng.uniform(0.05, 0.2, 3)

    def point(u: Array, v: Array) -> Array:
        wave = (
            height[0] * np.sin(3 * v + phase[0])
            + height[1] * np.sin(6 * v + phase[1])
            + 0.4 * height[2] * np.sin(11 * v + phase[2])
        )
        radius = np.clip(0.3 + wave, 0.04, 0.5)
        return xyz(radius * np.cos(TURN * u), v, radius * np.sin(TURN * u))

    return surface(point, 32, 24)


def curtain(rng: np.random.Generator) -> Mesh:
    """An upright, wavy sheet: curtains, towels, large leaves."""
    phase, depth, folds = rng.uniform(0, TURN, 2), rng.uniform(0.02, 0.08), rng.integers(2, 8)

    def point(u: Array, v: Array) -> Array:
        wave = depth * np.sin(TURN * u * folds + phase[0]) * (1.2 - v) + 0.1 * np.sin(3 * v + phase[1])
        return xyz(u - 0.5, v, wave)

    return surface(point, 48, 8)


def terrain(rng: np.random.Generator, roughness: float) -> Mesh:
    """200 m of ground, level around the camera at the origin."""
    phase = rng.uniform(0, TURN, 8)

    def point(u: Array, v: Array) -> Array:
        x, z = (u - 0.5) * 200, (v - 0.5) * 200
        waves = ((0.03, 2.5), (0.07, 0.8), (0.2, 0.15), (0.6, 0.04))
        height = sum(
            a * np.sin(x * w + phase[i]) * np.cos(z * w * 0.9 + phase[i + 4])
            for i, (w, a) in enumerate(waves)
        )
        return xyz(x, height * roughness * np.clip(np.hypot(x, z) / 15, 0, 1), z)

    return surface(point, 96, 96)


def lattice(rng: np.random.Generator) -> Mesh:
    """Thin bars in a unit square: fences, railings, trellises, window grilles, nets."""
    bars, rails = int(rng.integers(4, 16)), int(rng.integers(0, 9))
    thick = rng.uniform(0.004, 0.018)
    slant = rng.choice([0.0, 0.0, rng.uniform(-0.6, 0.6)])
    parts = []
    for x in np.linspace(-0.5, 0.5, bars):
        parts.append(tube(np.array([[x - slant / 2, 0, 0], [x, 0.5, 0], [x + slant / 2, 1, 0]]), thick, 6))
    for y in np.linspace(0.05, 0.98, max(2, rails)):
        lean = -slant if rails > 4 else 0.0
        parts.append(
            tube(np.array([[-0.5, y - lean / 2, 0.01], [0, y, 0.01], [0.5, y + lean / 2, 0.01]]), thick, 6)
        )
    return np.concatenate(parts)


def wire_bundle(rng: np.random.Generator) -> Mesh:
    """A few bent wires and poles: cables, stems, handles, spokes."""
    parts = []
    for _ in range(int(rng.integers(3, 12))):
        path = np.cumsum(
            np.concatenate(
                [rng.uniform(-0.4, 0.4, (1, 3)) * [1, 0, 1], rng.normal([0, 0.12, 0], 0.06, (8, 3))]
            ),
            0,
        )
        parts.append(tube(path, rng.uniform(0.003, 0.015), 6, rng.uniform(0.1, 1, 3)))
    return np.concatenate(parts)


def wheel(rng: np.random.Generator) -> Mesh:
    """A spoked wheel of one metre, upright: bicycles, carts, fans."""
    angle = np.linspace(0, TURN, 33)
    rim = xyz(0.48 * np.cos(angle), 0.5 + 0.48 * np.sin(angle), 0 * angle)
    parts = [tube(rim, rng.uniform(0.015, 0.04), 6, (0.08, 0.08, 0.08))]
    for turn in np.linspace(0, TURN, int(rng.integers(8, 28)), endpoint=False):
        end = np.array([0.47 * np.cos(turn), 0.5 + 0.47 * np.sin(turn), 0])
        parts.append(
            tube(np.array([[0, 0.5, 0.03], end * 0.5 + [0, 0.25, 0.015], end]), 0.004, 4, (0.6, 0.6, 0.6))
        )
    return np.concatenate(parts)


def primitive_shapes(rng: np.random.Generator) -> dict[str, list[Mesh]]:
    """Every shape by family. The same generator gives the same shapes."""

    def ring(u: Array, v: Array) -> Array:
        radius = 0.35 + 0.15 * np.cos(TURN * v)
        return xyz(radius * np.cos(TURN * u), 0.15 * np.sin(TURN * v) + 0.15, radius * np.sin(TURN * u))

    solids = [
        surface(lambda u, v: sphere(1.0, u, v), 32, 16),
        surface(lambda u, v: xyz(0.5 * np.cos(TURN * u), v, 0.5 * np.sin(TURN * u)), 32, 1),
        surface(
            lambda u, v: xyz(0.5 * np.cos(TURN * u) * (1 - v), v, 0.5 * np.sin(TURN * u) * (1 - v)), 32, 8
        ),
        surface(ring, 32, 16),
        cube(),
    ]
    return {
        "solid": solids + [blob(rng) for _ in range(8)] + [vase(rng) for _ in range(6)],
        "rock": [blob(rng) for _ in range(8)],
        "curtain": [curtain(rng) for _ in range(4)],
        "cube": [solids[4]],
        "cone": [solids[2]],
        "ball": [solids[0]],
        "floor": [surface(lambda u, v: xyz(u - 0.5, 0 * u, 0.5 - v), 1, 1)],
        "wall": [surface(lambda u, v: xyz(u - 0.5, 1 - v, 0 * u), 1, 1)],
        "billboard": [surface(lambda u, v: xyz(u - 0.5, 1 - v, 0.09 * np.cos(np.pi * (u - 0.5))), 12, 1)],
        "terrain": [terrain(rng, roughness) for roughness in (0.0, 0.02, 0.15, 0.4, 1.0)],
        "tree": [tree(rng, leaves=(0, 4, 16)[k % 3]) for k in range(18)],
        "branch": [leafy_branch(rng) for _ in range(12)],
        "rosette": [rosette(rng) for _ in range(12)],
        "flower": [flower(rng) for _ in range(12)],
        "lattice": [lattice(rng) for _ in range(14)],
        "wires": [wire_bundle(rng) for _ in range(8)],
        "wheel": [wheel(rng) for _ in range(4)],
    }
