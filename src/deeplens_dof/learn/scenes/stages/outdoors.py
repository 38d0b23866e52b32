"""Gardens, streets and open country, with sky, trees, houses, vehicles, people and fences."""

from __future__ import annotations

import math

import numpy as np

from deeplens_dof.learn.scenes.objects.vertices import placed, rotation
from deeplens_dof.learn.scenes.stages.stage import Camera, Look, Stage, camera

_GROUND = (
    "grass", "gravel", "dirt", "sand", "asphalt", "pav", "snow", "ground", "earth", "rock", "road", "cobble", "stone",
)  # fmt: skip
_PATH = ("road", "asphalt", "pav", "dirt", "stone", "brick", "wood")
_HOUSE = ("brick", "building", "wall", "window", "house", "city", "stone", "cottage", "stucco", "concrete")


def outdoor(stage: Stage, eye: Camera | None = None, people: float = 0.4) -> None:
    """An outdoor scene, built around the camera `eye` or around a new one."""
    height = stage.uniform(0.25, 1.8) if stage.chance(0.8) else stage.uniform(2, 8)
    pitch = stage.uniform(-0.25, 0.12) - (0.25 if height > 2 else 0)
    stage.eye = eye or camera(
        (0, height, 0),
        stage.uniform(0, 2 * np.pi),
        pitch,
        stage.uniform(35, 80),
        stage.portrait,
        stage.uniform(-0.04, 0.04),
    )
    on_sky_ground = stage.chance(0.3) and eye is None  # the lower half of the HDR map is the ground
    if on_sky_ground:
        stage.ground_m = 0.0
    else:
        stage.add(
            stage.shape("terrain"), placed([0, 0, 0]), stage.covered(*_GROUND, uv=(40, 160)), casts=False
        )
        if stage.chance(0.35):
            _path(stage)
    for _ in range(int(stage.rng.integers(2, 16))):
        tree = stage.choice("tall trees") if stage.chance(0.6) else stage.choice("trees")
        at = stage.on_ground(2.5, 50) - [0, 0.05, 0]
        own = tree.model.name == "tree"  # ours are a metre tall
        stage.stand(tree, at, scale=stage.uniform(2, 9) if own else stage.uniform(0.7, 2.0))
    if stage.chance(0.5):
        _houses(stage)
    if stage.chance(0.4):
        _boundary(stage)
    for _ in range(int(stage.rng.integers(0, 12))):
        dice = stage.rng.random()
        group = "people" if dice < people else ("vehicles" if dice < people + 0.2 else "exterior")
        stage.stand(stage.choice(group), stage.on_ground(1.6, 25), scale=stage.uniform(0.85, 1.15))
    for _ in range(int(stage.rng.integers(0, 4))):
        group = "animals" if stage.chance(0.5) else "thin"
        stage.stand(stage.choice(group), stage.on_ground(1.3, 12))
    for _ in range(int(stage.rng.integers(0, 5))):
        size = stage.uniform(0.15, 1.2) * stage.rng.uniform(0.5, 1.5, 3)
        turn = rotation(stage.uniform(0, 2 * np.pi))
        stage.add(stage.shape("solid"), placed(stage.on_ground(1.2, 12), turn, size), stage.material())
    if stage.chance(0.3):
        _rocks(stage)
    stage.sun = stage.uniform(0.3, 3) if stage.chance(0.75) else 0.0
    stage.reach, stage.ambient = 18.0, stage.uniform(0.5, 1.1)
    stage.fog = stage.uniform(0, 0.04) if stage.chance(0.5) else 0.0
    if stage.chance(0.25) and not on_sky_ground:
        stage.gradient = (np.array(stage.colour(0.5, 1, 0.3)), np.array(stage.colour(0.3, 0.9, 0.5)))


def _path(stage: Stage) -> None:
    at = [stage.uniform(-2, 2), 0.02, stage.uniform(-2, 2)]
    turn = rotation(stage.uniform(0, 2 * np.pi))
    look = stage.covered(*_PATH, uv=(1, 30))
    stage.add(stage.shape("floor"), placed(at, turn, [stage.uniform(1, 6), 1, 120]), look, casts=False)


def _houses(stage: Stage) -> None:
    in_rows = stage.chance(0.4)  # a street: fronts on both sides of the view
    eye = stage.eye
    rightward = np.array([-eye.level[2], 0, eye.level[0]])
    yaw = math.atan2(eye.level[0], eye.level[2])
    half_street = stage.uniform(3, 9)
    for index in range(int(stage.rng.integers(1, 10))):
        size = np.array([stage.uniform(3, 15), stage.uniform(3, 18), stage.uniform(3, 15)])
        at, turn = stage.on_ground(8, 80), rotation(stage.uniform(0, 2 * np.pi))
        if in_rows:
            side = 1 if index % 2 else -1
            at = eye.position * [1, 0, 1] + eye.level * (4 + 6.0 * index + stage.uniform(0, 4))
            at, turn = at + rightward * side * (half_street + size[0] / 2), rotation(yaw)
        stage.add(stage.shape("cube"), placed(at, turn, size), stage.covered(*_HOUSE, uv=(1, 6)))
        if stage.chance(0.3):
            roof = [size[0] * 1.3, stage.uniform(1, 4), size[2] * 1.3]
            stage.add(
                stage.shape("cone"),
                placed(at + np.array([0, size[1], 0]), turn, roof),
                stage.covered("roof", "tile", uv=(4, 4)),
            )


def _boundary(stage: Stage) -> None:
    """A wall, a hedge or a thin fence along one side or across the view."""
    eye = stage.eye
    across = np.pi / 2 if stage.chance(0.4) else 0.0
    yaw = math.atan2(eye.level[0], eye.level[2]) + stage.uniform(-0.5, 0.5) + across
    rightward = np.array([-eye.level[2], 0, eye.level[0]])
    side = 1 if stage.chance(0.5) else -1
    at = (
        eye.position * [1, 0, 1] + rightward * stage.uniform(1.2, 5) * side + eye.level * stage.uniform(3, 12)
    )
    turn = rotation(yaw)
    if stage.chance(0.5):
        size = [stage.uniform(0.15, 0.6), stage.uniform(0.8, 4), stage.uniform(6, 40)]
        look = stage.covered("brick", "wall", "hedge", "ivy", "wood", "stone", "rock", uv=(2, 12))
        stage.add(stage.shape("cube"), placed(at, turn, size), look)
        return
    fence, width, height = stage.shape("lattice"), stage.uniform(1, 2.5), stage.uniform(0.8, 2.2)
    look = stage.painted(grain=0.2)
    for step in range(-6, 7):
        spot = at + turn @ np.array([0, 0, step * width])
        stage.add(fence, placed(spot, turn @ rotation(np.pi / 2), [width, height, 1]), look)


def _rocks(stage: Stage) -> None:
    for _ in range(8):
        size = stage.uniform(0.1, 1.2) * stage.rng.uniform(0.6, 1.4, 3)
        at = stage.on_ground(1.5, 25) - [0, 0.1, 0]
        look = Look(stage.surface("rock", "stone", "cliff"), stage.uniform(1, 4), stage.tint(0.3))
        stage.add(stage.shape("rock"), placed(at, rotation(stage.uniform(0, 2 * np.pi)), size), look)
