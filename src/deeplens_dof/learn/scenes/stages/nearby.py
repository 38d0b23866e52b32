"""Additions to a composed stage: objects close to the camera at the frame's border, reaching hands, night."""

from __future__ import annotations

import math

import numpy as np

from deeplens_dof.learn.scenes.objects.vertices import placed, rotation
from deeplens_dof.learn.scenes.stages.stage import PLAIN, Look, Stage


def near_occluder(stage: Stage) -> None:
    """Adds branches, railings or a shoulder between the camera and the scene, at the border of the frame.

    Without them a network learns that blurred things are far away.
    """
    for _ in range(int(stage.rng.integers(1, 4))):
        distance = stage.uniform(0.18, 0.9)
        angle = stage.uniform(0, 2 * np.pi)
        at = stage.ahead(distance, 0.8 * math.cos(angle), 0.7 * math.sin(angle))
        size = distance * stage.eye.half_tangent
        dice = stage.rng.random()
        if dice < 0.4:
            inward = rotation(stage.uniform(0, 2 * np.pi), stage.uniform(-1, 1), stage.uniform(-1, 1))
            look = Look(tint=stage.tint(0.3))
            stage.add(stage.shape("branch"), placed(at, inward, size * stage.uniform(0.8, 1.8)), look)
        elif dice < 0.6:
            turn = _facing(stage) @ rotation(0, 0, stage.uniform(-0.5, 0.5))
            scale = size * stage.uniform(1.5, 3)
            look = stage.painted(grain=0.2)
            stage.add(
                stage.shape("lattice"), placed(at - stage.eye.up * scale / 2, turn, [scale, scale, 1]), look
            )
        elif dice < 0.8:
            piece = stage.choice("small" if stage.chance(0.6) else "trees")
            stage.stand(piece, at - [0, size * 0.5, 0], scale=size * stage.uniform(0.7, 1.6) / piece.longest)
        else:  # somebody's shoulder and back of the head
            person, side = stage.choice("standing people"), 1 if stage.chance(0.5) else -1
            at = stage.ahead(
                stage.uniform(0.5, 1.0), side * stage.uniform(0.8, 1.2), stage.uniform(-0.6, 0.5)
            )
            foot = at - [0, person.size[1] * stage.uniform(0.85, 1.0), 0]
            away = math.atan2(stage.eye.level[0], stage.eye.level[2])
            stage.stand(person, foot, away + stage.uniform(-0.7, 0.7))


def _facing(stage: Stage) -> np.ndarray:
    eye = stage.eye
    return np.stack([eye.right, eye.up, -eye.forward], 1)


def reaching_hand(stage: Stage) -> None:
    """Adds a hand between camera and scene: the photographer's own from below, or one held towards the lens."""
    hand = stage.shape("hand")
    skin = Look(tint=stage.tint(0.2), grain=stage.uniform(0, 0.2))
    eye = stage.eye
    towards_lens = stage.chance(0.45)
    if towards_lens:  # fingers point at the camera: the mesh's +z turned to -forward
        axes = _facing(stage)
        start = stage.ahead(stage.uniform(0.75, 1.3), stage.uniform(-0.7, 0.7), stage.uniform(-0.7, 0.2))
    else:
        axes = np.stack([-eye.right, eye.up, eye.forward], 1)
        start = (
            stage.ahead(stage.uniform(0.06, 0.2))
            + eye.up * stage.uniform(-0.3, -0.12)
            + eye.right * stage.uniform(-0.25, 0.25)
        )
    tilt = rotation(
        stage.uniform(-0.5, 0.5),
        -stage.uniform(0.0, 0.6) if not towards_lens else stage.uniform(-0.5, 0.5),
        stage.uniform(-1.6, 1.6),
    )
    turn = axes @ tilt
    stage.add(hand, placed(start, turn), skin)
    if not towards_lens and stage.chance(0.7):  # it holds something
        held = stage.choice("small")
        tip = start + turn @ np.array([0, 0.02, 0.4])
        stage.add(
            held,
            placed(
                tip - [0, held.size[1] / 2, 0],
                turn @ rotation(stage.uniform(0, 6)),
                stage.uniform(0.5, 1) * 0.14 / held.longest,
            ),
        )


def night(stage: Stage) -> None:
    """Turns day into night: a dark sky, and lamps and lit windows that are visible themselves and light the scene."""
    stage.night = True
    stage.sun, stage.fog = stage.sun * 0.03, 0.0
    stage.ambient *= stage.uniform(0.03, 0.15)
    if stage.gradient is not None:
        stage.gradient = (stage.gradient[0] * 0.02, stage.gradient[1] * 0.01)
    warm = stage.chance(0.7)
    stage.lights.clear()
    for _ in range(4):
        distance = math.exp(stage.uniform(math.log(1.5), math.log(15)))
        at = stage.ahead(distance, stage.uniform(-1, 1), stage.uniform(0.0, 0.8))
        colour = np.array([1, 0.7, 0.4]) if warm else np.array(stage.colour(0.6, 1, 0.6))
        stage.lights.append((at, colour * stage.uniform(0.3, 1.5) * distance))
    for _ in range(int(stage.rng.integers(5, 40))):
        distance = math.exp(stage.uniform(math.log(2), math.log(60)))
        at = stage.ahead(distance, stage.uniform(-1, 1), stage.uniform(-0.4, 0.9))
        look = Look(PLAIN, tint=stage.colour(0.6, 1, 0.9), glow=stage.uniform(2, 20))
        size = distance * stage.uniform(0.003, 0.02)
        stage.add(
            stage.shape("ball" if stage.chance(0.6) else "cube"), placed(at, None, size), look, casts=False
        )
