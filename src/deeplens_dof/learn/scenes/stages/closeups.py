"""Table tops, close-ups and floating objects, from a hand's breadth to a few metres away."""

from __future__ import annotations

import math

import numpy as np

from deeplens_dof.learn.scenes.objects.library import Piece
from deeplens_dof.learn.scenes.objects.vertices import Array, placed, rotation
from deeplens_dof.learn.scenes.stages.portraits import backdrop, billboard
from deeplens_dof.learn.scenes.stages.stage import Look, Stage, camera


def _object(stage: Stage) -> Piece:
    dice = stage.rng.random()
    shares = (("small", 0.45), ("any", 0.75), ("plants", 0.87), ("trees", 0.93), ("thin", 1.0))
    return stage.choice(next(group for group, upto in shares if dice < upto))


def _tilted(stage: Stage, most: float) -> Array:
    turn = stage.uniform(0, 2 * np.pi)
    if stage.chance(0.6):
        return rotation(turn)
    return rotation(turn, stage.uniform(-most, most), stage.uniform(-most, most))


def tabletop(stage: Stage) -> None:
    """Objects on a table or a shelf, seen obliquely, from the side or straight from above."""
    from_top, wide, open_air = stage.chance(0.2), stage.chance(0.4), stage.chance(0.4)
    width, depth = stage.uniform(0.5, 2.2), stage.uniform(0.4, 1.5)
    flat = [6, 1, 6] if wide else [width, 1, depth]
    look = stage.material()
    stage.add(stage.shape("floor"), placed([0, 0, 0], None, flat), look)
    if not open_air:
        _walls_behind(stage, stage.uniform(0.4, 0.9))
    count = int(stage.rng.integers(1, 14))
    for _ in range(count):
        piece, size = _object(stage), stage.uniform(0.05, 0.38)
        at = np.array(
            [stage.uniform(-0.5, 0.5) * min(width, 1.2), 0, stage.uniform(-0.5, 0.5) * min(depth, 1)]
        )
        if not stage.claim(at[0], at[2], size * 0.4):
            continue
        if stage.chance(0.75):
            turn = rotation(
                stage.uniform(0, 2 * np.pi), stage.uniform(-1.6, 1.6) if stage.chance(0.15) else 0.0
            )
            stage.add(piece, placed(at, turn, size / piece.longest), subject=count <= 3)
        else:
            scale = 0.8 * size * stage.rng.uniform(0.5, 1.5, 3)
            stage.add(
                stage.shape("solid"),
                placed(at, rotation(stage.uniform(0, 6)), scale),
                stage.material(),
                subject=count <= 3,
            )
    pitch = -stage.uniform(1.1, 1.5) if from_top else -stage.uniform(0.05, 1.0)
    target = np.array([stage.uniform(-0.1, 0.1), stage.uniform(0, 0.12), stage.uniform(-0.1, 0.1)])
    roll, fov = stage.uniform(-0.08, 0.08), stage.uniform(28, 62)
    aim = camera(target, stage.uniform(-0.5, 0.5), pitch, fov, stage.portrait, roll)
    stage.eye = camera(target, 0, 0, fov, stage.portrait)
    stage.eye = type(aim)(
        target - aim.forward * stage.uniform(0.35, 1.3), aim.right, aim.up, aim.forward, fov, stage.portrait
    )
    stage.point_lights([0, 1.0, 0], 0.8, 1.2, 0.7)
    stage.sun, stage.reach, stage.ambient = stage.uniform(0, 1.5), 1.5, stage.uniform(0.3, 1.1)
    stage.defocus_chance = 0.4


def _walls_behind(stage: Stage, table_height: float) -> None:
    width, depth = stage.uniform(2.5, 6), stage.uniform(3, 7)
    floor = stage.covered("wood", "floor", "tile", "carpet", "stone", uv=(2, 6))
    stage.add(
        stage.shape("floor"), placed([0, -table_height, 0], None, [width, 1, depth]), floor, casts=False
    )
    for side in range(4):
        length, distance = (width, depth / 2) if side % 2 == 0 else (depth, width / 2)
        turn = rotation(side * np.pi / 2)
        at = turn @ np.array([0, 0, -distance]) - [0, table_height, 0]
        look = (
            stage.painted(0.2, 1, 0.6, grain=stage.uniform(0, 0.2)) if stage.chance(0.6) else stage.covered()
        )
        stage.add(stage.shape("wall"), placed(at, turn, [length, 3, 1]), look, casts=False)
    for _ in range(int(stage.rng.integers(0, 8))):
        at = [stage.uniform(-0.45, 0.45) * width, -table_height, -stage.uniform(0.2, 0.45) * depth]
        stage.stand(stage.choice("furniture"), at)


def macro(stage: Stage) -> None:
    """One or a few objects that fill the frame, before distant clutter, a photo or a wall."""
    fov, distance = stage.uniform(25, 50), stage.uniform(0.25, 0.8)
    stage.eye = camera(
        (0, 1.0, 0),
        stage.uniform(0, 2 * np.pi),
        stage.uniform(-0.6, 0.3),
        fov,
        stage.portrait,
        stage.uniform(-0.2, 0.2),
    )
    eye, half = stage.eye, distance * stage.eye.half_tangent
    centre = stage.ahead(distance)
    count = int(stage.pick((1, 1, 1, 2, 3, 6)))
    for _ in range(count):
        _close_object(stage, centre, half, distance, count)
    for _ in range(int(stage.rng.integers(0, 10))):
        far = distance * stage.uniform(2, 12)
        at = stage.ahead(far, stage.uniform(-1, 1), stage.uniform(-1, 1))
        piece, size = stage.choice("any" if stage.chance(0.5) else "trees"), far * stage.uniform(0.1, 0.6)
        stage.add(piece, placed(at - [0, size / 2, 0], _tilted(stage, 0.4), size / piece.longest))
    if stage.chance(0.4):
        under = [centre[0], centre[1] - half * stage.uniform(0.6, 1.0), centre[2]]
        flat = [stage.uniform(1, 4), 1, stage.uniform(1, 4)]
        stage.add(stage.shape("floor"), placed(under, rotation(stage.uniform(0, 6)), flat), stage.material())
    backdrop(stage, stage.uniform(1.5, 8) * distance)
    stage.point_lights(eye.position + eye.forward * distance, 0.8, 0.6)
    stage.sun, stage.reach, stage.ambient = stage.uniform(0, 1.8), 1.2, stage.uniform(0.4, 1.1)
    stage.defocus_chance = 0.7


def _close_object(stage: Stage, centre: Array, half: float, distance: float, count: int) -> None:
    eye, alone = stage.eye, count == 1
    size = half * 2 * stage.uniform(0.5, 1.3) / count**0.4
    spread = half * (1 if alone else 2.2)
    at = centre + (eye.right * stage.uniform(-0.3, 0.3) + eye.up * stage.uniform(-0.3, 0.3)) * spread
    at = at + eye.forward * distance * (stage.uniform(-0.15, 0.15) if alone else stage.uniform(-0.2, 0.8))
    dice, subject = stage.rng.random(), count <= 3
    if dice < 0.6:
        piece = _object(stage)
        stage.add(
            piece,
            placed(at - eye.up * size * 0.4, _tilted(stage, 0.6), size / piece.longest),
            subject=subject,
        )
    elif dice < 0.78:
        billboard(stage, at - eye.up * size * 0.5, size)
    else:
        scale = 0.8 * size * stage.rng.uniform(0.5, 1.5, 3)
        stage.add(
            stage.shape("solid"),
            placed(at - eye.up * size * 0.4, _tilted(stage, 1.0), scale),
            stage.material(),
            subject=subject,
        )


def flying(stage: Stage) -> None:
    """Any objects floating anywhere in space, so that only occlusion and size tell their order."""
    stage.eye = camera(
        (0, 1.5, 0), stage.uniform(0, 2 * np.pi), stage.uniform(-0.3, 0.3), stage.uniform(30, 75),
        stage.portrait,
        stage.uniform(-0.3, 0.3),
    )  # fmt: skip
    for _ in range(int(stage.rng.integers(6, 36))):
        distance = math.exp(stage.uniform(math.log(0.5), math.log(14)))
        at = stage.ahead(distance, stage.uniform(-1, 1), stage.uniform(-1, 1))
        size = distance * stage.uniform(0.1, 0.7) * stage.eye.half_tangent
        dice = stage.rng.random()
        if dice < 0.65:
            piece = stage.choice("any" if stage.chance(0.75) else "thin")
            stage.add(piece, placed(at, _tilted(stage, 1.5), size / piece.longest))
        elif dice < 0.75:
            index = int(stage.rng.integers(len(stage.library.cutout_aspect)))
            look = Look(float(index), tint=stage.tint(0.2), kind="cut-out")
            stage.add(
                stage.shape("billboard"),
                placed(at, np.stack([stage.eye.right, stage.eye.up, -stage.eye.forward], 1), size),
                look,
            )
        else:
            scale = 0.7 * size * stage.rng.uniform(0.5, 1.5, 3)
            stage.add(stage.shape("solid"), placed(at, _tilted(stage, 1.5), scale), stage.material())
    backdrop(stage, stage.uniform(6, 20))
    stage.point_lights([0, 1.5, 0], 3, 3.0, 0.5)
    stage.sun, stage.reach, stage.ambient = stage.uniform(0, 2), 8.0, stage.uniform(0.4, 1.1)
