"""People, animals and photo cut-outs as subjects, in rooms, in streets, before photos and before plain backgrounds."""

from __future__ import annotations

import math

import numpy as np

from deeplens_dof.learn.scenes.objects.vertices import Array, placed, rotation
from deeplens_dof.learn.scenes.stages.outdoors import outdoor
from deeplens_dof.learn.scenes.stages.rooms import room
from deeplens_dof.learn.scenes.stages.stage import Camera, Look, Stage, camera


def portrait(stage: Stage) -> None:
    """One to three people (or an animal) that fill much of the frame."""
    dice = stage.rng.random()
    height = stage.uniform(1.0, 1.7)
    if dice < 0.3:
        eye = _level(stage, (0, height, stage.uniform(0.5, 1.2)), stage.uniform(-0.3, 0.3))
        room(stage, eye, people=0.2)
    elif dice < 0.62:
        outdoor(stage, _level(stage, (0, height, 0), stage.uniform(0, 2 * np.pi)), people=0.2)
    else:
        _before_backdrop(stage, height)
    count = int(stage.pick((1, 1, 1, 2, 3)))
    for index in range(count):
        _sitter(stage, alone=count == 1, first=index == 0)
    if stage.chance(0.25):
        held = stage.ahead(stage.uniform(0.35, 0.6), stage.uniform(-0.5, 0.5), stage.uniform(-0.7, -0.1))
        stage.stand(stage.choice("small"), held, subject=True)
    stage.defocus_chance = 0.5


def _level(stage: Stage, at: tuple[float, float, float], yaw: float) -> Camera:
    return camera(
        at, yaw, stage.uniform(-0.12, 0.12), stage.uniform(25, 60), stage.portrait, stage.uniform(-0.05, 0.05)
    )


def _before_backdrop(stage: Stage, height: float) -> None:
    stage.eye = _level(stage, (0, height, 0), stage.uniform(0, 2 * np.pi))
    stage.point_lights([0, 1.7, 0], 2, 1.5)
    stage.sun, stage.reach, stage.ambient = stage.uniform(0, 2), 3.0, stage.uniform(0.4, 1.1)
    if stage.chance(0.5):
        backdrop(stage, stage.uniform(1.5, 8))
    if stage.chance(0.4):
        stage.ground_m = 0.0
    for _ in range(int(stage.rng.integers(0, 8))):
        stage.stand(stage.choice("any"), stage.on_ground(2.5, 12, 0.9))


def _sitter(stage: Stage, alone: bool, first: bool) -> None:
    """Places a person or an animal at the distance at which the chosen part of the body fills the frame."""
    eye = stage.eye
    half_height = eye.half_tangent * (1 if stage.portrait else 0.75)
    animal = stage.chance(0.15)
    body = stage.choice("animals") if animal else stage.choice("standing people")
    tall = body.size[1]
    visible_m = stage.uniform(0.7, 1.5) * tall if animal else stage.uniform(0.3, 1.1) * tall
    distance = float(np.clip(visible_m / 2 / half_height / (1 if first else 0.6), 0.45, 4))
    rightward = np.array([-eye.level[2], 0, eye.level[0]])
    aside = stage.uniform(-0.45, 0.45) * distance * eye.half_tangent * (1 if alone else 1.6)
    foot = eye.position * [1, 0, 1] + eye.level * distance + rightward * aside
    top = eye.position[1] + eye.forward[1] * distance + half_height * distance * stage.uniform(0.3, 0.95)
    foot[1] = top - tall
    if stage.chance(0.18):
        billboard(stage, foot + np.array([0, tall * 0.4, 0]), tall * 0.6)
        return
    facing = math.atan2(-eye.level[0], -eye.level[2])
    yaw = facing + (stage.uniform(-0.9, 0.9) if stage.chance(0.8) else stage.uniform(-np.pi, np.pi))
    stage.add(
        body,
        placed(foot, rotation(yaw)),
        Look(tint=stage.tint(0.2), grain=stage.uniform(0, 0.25)),
        subject=True,
    )


def backdrop(stage: Stage, distance: float) -> None:
    """Sets the background: the sky (no change), a photo at infinity, or a textured wall at a distance in metres."""
    dice = stage.rng.random()
    if dice < 0.3:
        return
    if dice < 0.6:
        stage.backdrop = int(stage.rng.integers(len(stage.library.backdrops)))
        return
    eye, wide = stage.eye, stage.eye.half_tangent * distance * 5
    turn = np.stack([eye.right, eye.up, -eye.forward], 1) @ rotation(
        stage.uniform(-0.7, 0.7), stage.uniform(-0.5, 0.5)
    )
    at = eye.position + eye.forward * distance - turn @ np.array([0, wide / 2, 0])
    stage.add(stage.shape("wall"), placed(at, turn, [wide, wide, 1]), stage.material(), casts=False)


def billboard(stage: Stage, foot: Array, height: float, index: int | None = None) -> None:
    """Adds a photo's subject as an upright, slightly curved sheet that faces the camera, mirrored half of the time."""
    index = int(stage.rng.integers(len(stage.library.cutout_aspect))) if index is None else index
    width = height * float(stage.library.cutout_aspect[index])
    towards = stage.eye.position - foot
    turn = rotation(math.atan2(towards[0], towards[2]) + stage.uniform(-0.3, 0.3))
    mirror = 1 if stage.chance(0.5) else -1
    look = Look(float(index), tint=stage.tint(0.2), kind="cut-out")
    stage.add(
        stage.shape("billboard"), placed(foot, turn, [width * mirror, height, width]), look, subject=True
    )


def cutout(stage: Stage) -> None:
    """Subjects of real photos before other photos or skies, on a plausible ground."""
    stage.eye = camera(
        (0, stage.uniform(0.6, 1.7), 0), stage.uniform(0, 2 * np.pi), stage.uniform(-0.2, 0.15),
        stage.uniform(28, 60),
        stage.portrait, stage.uniform(-0.03, 0.03),
    )  # fmt: skip
    eye = stage.eye
    if stage.chance(0.75):
        stage.backdrop = int(stage.rng.integers(len(stage.library.backdrops)))
    stage.ground_m = 0.0 if stage.chance(0.7) else None
    rightward = np.array([-eye.level[2], 0, eye.level[0]])
    half_height = eye.half_tangent * (1 if stage.portrait else 0.75)
    for _ in range(int(stage.pick((1, 1, 2, 3, 5)))):
        distance = math.exp(stage.uniform(math.log(0.7), math.log(5)))
        height = distance * eye.half_tangent * stage.uniform(0.5, 1.7)
        index = int(stage.rng.integers(len(stage.library.cutout_aspect)))
        foot = eye.position * [1, 0, 1] + eye.level * distance
        foot = foot + rightward * stage.uniform(-0.7, 0.7) * distance * eye.half_tangent
        middle = eye.position[1] + eye.forward[1] * distance
        if stage.library.cutout_grounded[index]:
            foot[1] = middle - half_height * distance * stage.uniform(0.95, 1.2)
        else:
            foot[1] = max(0.0, middle - height * stage.uniform(0.3, 0.8))
        billboard(stage, foot, height, index)
    for _ in range(int(stage.rng.integers(0, 5))):
        stage.stand(stage.choice("any"), stage.on_ground(1.5, 10, 1.0))
    stage.sun, stage.reach, stage.ambient = stage.uniform(0, 0.6), 5.0, stage.uniform(0.8, 1.2)
    stage.defocus_chance = 0.35
