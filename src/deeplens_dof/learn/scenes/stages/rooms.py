"""Furnished rooms and corridors, seen from the height and with the field of view of a phone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from deeplens_dof.learn.scenes.objects.library import Piece
from deeplens_dof.learn.scenes.objects.vertices import Array, placed, rotation
from deeplens_dof.learn.scenes.stages.stage import PLAIN, Camera, Look, Stage, camera


@dataclass(frozen=True)
class Room:
    """Inner size in metres; the middle of the floor is the origin."""

    width: float
    depth: float
    height: float

    def wall(self, side: int) -> tuple[float, float, Array]:
        """Length of a wall (0..3), its distance from the middle, and the turn that faces it inwards."""
        along_x = side % 2 == 0
        return (
            self.width if along_x else self.depth, (self.depth if along_x else self.width) / 2,
            rotation(side * np.pi / 2),
        )  # fmt: skip


def room(stage: Stage, eye: Camera | None = None, people: float = 0.3) -> None:
    """A room, built around the camera `eye`, or with a new camera placed in it."""
    if stage.chance(0.15):
        space = Room(stage.uniform(1.4, 2.5), stage.uniform(6, 18), stage.uniform(2.2, 3.2))
    else:
        space = Room(stage.uniform(2.6, 8), stage.uniform(2.8, 9), stage.uniform(2.2, 3.6))
    _shell(stage, space)
    stage.eye = eye or _hand_held(stage, space)
    if eye is None and stage.chance(0.2):
        _centrepiece(stage, space)
    if stage.chance(0.25):
        _shelves(stage, space)
    crowded = stage.chance(0.2)  # a workshop, a garage, a storeroom
    for _ in range(int(stage.rng.integers(20, 40) if crowded else stage.rng.integers(4, 24))):
        _furnish(stage, space, people)
    for _ in range(int(stage.rng.integers(0, 7))):
        _litter(stage, space)
    if stage.chance(0.5):
        _thin_things(stage, space)
    if stage.chance(0.5) and stage.library.groups["lights"]:
        lamp = stage.choice("lights")
        at = [
            stage.uniform(-0.2, 0.2) * space.width,
            space.height - lamp.size[1],
            stage.uniform(-0.2, 0.2) * space.depth,
        ]
        stage.stand(lamp, at, 0.0)
    area = space.width * space.depth / 20
    stage.point_lights([0, space.height * 0.75, 0], min(space.width, space.height) * 0.4, 2.5 * area, 0.7)
    stage.sun = stage.uniform(0, 0.9) if stage.chance(0.7) else 0.0
    stage.reach, stage.ambient = max(space.width, space.depth) * 0.6, stage.uniform(0.25, 1.0)


def _hand_held(stage: Stage, space: Room) -> Camera:
    """A camera near one end of the room that looks towards the other, often slightly downwards."""
    x, z = stage.uniform(-0.45, 0.45) * space.width, space.depth / 2 - stage.uniform(0.1, 0.4) * space.depth
    aim = math.atan2(x - stage.uniform(-0.3, 0.3) * space.width, z + stage.uniform(-0.1, 0.3) * space.depth)
    height = stage.uniform(0.4, min(2.2, space.height - 0.3))
    return camera(
        (x, height, z), aim + stage.uniform(-0.35, 0.35), stage.uniform(-0.42, 0.25), stage.uniform(40, 92),
        stage.portrait, stage.uniform(-0.05, 0.05),
    )  # fmt: skip


def _shell(stage: Stage, space: Room) -> None:
    floor = stage.covered(
        "wood",
        "floor",
        "tile",
        "parquet",
        "carpet",
        "marble",
        "stone",
        "plank",
        "fabric",
        "concrete",
        uv=(1.5, 6),
    )
    flat = [space.width, 1, space.depth]
    stage.add(
        stage.shape("floor"), placed([0, 0, 0], None, flat), floor if stage.chance(0.85) else stage.painted()
    )
    ceiling = stage.painted(0.5, 1, 0.2) if stage.chance(0.8) else stage.covered()
    stage.add(stage.shape("floor"), placed([0, space.height, 0], None, flat), ceiling, casts=False)
    if stage.chance(0.75):
        walls = stage.painted(0.35, 1, 0.35, grain=stage.uniform(0, 0.1))
    else:
        walls = stage.covered(
            "brick",
            "wall",
            "stucco",
            "plaster",
            "wood",
            "panel",
            "tile",
            "paper",
            "stone",
            "concrete",
            uv=(1, 5),
        )
    for side in range(4):
        other = stage.painted(0.3, 1, 0.5) if stage.chance(0.5) else stage.covered()
        length, distance, turn = space.wall(side)
        at = turn @ np.array([0, 0, -distance])
        stage.add(
            stage.shape("wall"),
            placed(at, turn, [length, space.height, 1]),
            walls if stage.chance(0.85) else other,
            casts=False,
        )
        for _ in range(int(stage.rng.integers(0, 4))):
            _on_wall(stage, space, side)


def _on_wall(stage: Stage, space: Room, side: int) -> None:
    """A window, a picture, a door or a curtain."""
    length, distance, turn = space.wall(side)
    width, height = stage.uniform(0.3, 1.6), stage.uniform(0.3, 1.4)
    along = stage.uniform(-length / 2 + width / 2, length / 2 - width / 2) if length > width else 0.0
    foot = turn @ np.array([0, 0, -distance])
    at = foot + turn @ np.array([along, stage.uniform(0.6, max(0.7, space.height - height - 0.1)), 0.015])
    dice = stage.rng.random()
    if dice < 0.3:
        window = Look(PLAIN, kind="window", window_m=stage.uniform(8, 100))
        stage.add(stage.shape("wall"), placed(at, turn, [width, height, 1]), window, casts=False)
        _window_frame(stage, at, turn, width, height)
    elif dice < 0.6:
        stage.add(
            stage.shape("wall"), placed(at, turn, [width, height, 1]), stage.covered(uv=(1, 1)), casts=False
        )
    elif dice < 0.85 and stage.library.groups["doors"]:
        door = stage.choice("doors")
        stage.add(door, placed(foot + turn @ np.array([along, door.model.elevation, 0.06]), turn))
    else:
        drape = placed(
            foot + turn @ np.array([along, 0.02, 0.12]),
            turn,
            [width, space.height * stage.uniform(0.7, 0.98), 1],
        )
        stage.add(stage.shape("curtain"), drape, stage.material(), casts=False)


def _window_frame(stage: Stage, at: Array, turn: Array, width: float, height: float) -> None:
    """Sill, frame and glazing bars, which tell a window from a white picture."""
    look, thick = stage.painted(0.3, 1, 0.3), stage.uniform(0.03, 0.08)
    bars = [(0.0, -0.04, width * 1.1, 0.04), (0.0, height, width + 2 * thick, thick)]
    bars += [(side * (width + thick) / 2, 0.0, thick, height) for side in (-1, 1)]
    upright, level = int(stage.rng.integers(0, 3)), int(stage.rng.integers(0, 3))
    bars += [((k + 1) / (upright + 1) * width - width / 2, 0.0, 0.03, height) for k in range(upright)]
    bars += [(0.0, (k + 1) / (level + 1) * height, width, 0.03) for k in range(level)]
    for across, up, wide, high in bars:
        bar = placed(at + turn @ np.array([across, up, 0.02]), turn, [wide, high, 0.06])
        stage.add(stage.shape("cube"), bar, look, casts=False)


def _centrepiece(stage: Stage, space: Room) -> None:
    """The subject of the photo: a motorbike, a bicycle, a plant or an animal a few steps from the camera."""
    group = str(stage.pick(("vehicles", "thin", "thin", "trees", "animals", "furniture")))
    piece, eye = stage.choice(group), stage.eye
    at = eye.position * [1, 0, 1] + eye.level * stage.uniform(1.2, 3.2) + eye.right * stage.uniform(-0.5, 0.5)
    if abs(at[0]) > space.width / 2 or abs(at[2]) > space.depth / 2:
        return
    scale = min(1.0, 2.4 / piece.longest)
    if stage.claim(at[0], at[2], max(piece.size[0], piece.size[2]) / 2 * scale):
        stage.stand(piece, at * [1, 0, 1], scale=scale)


def _shelves(stage: Stage, space: Room) -> None:
    """Shelves on a wall, full of small objects."""
    length, distance, turn = space.wall(int(stage.rng.integers(4)))
    board, deep = stage.material(), stage.uniform(0.25, 0.45)
    wide = stage.uniform(0.8, min(3.0, length))
    middle = stage.uniform(-0.5, 0.5) * (length - wide)
    for height in np.arange(stage.uniform(0.3, 1.0), space.height - 0.3, stage.uniform(0.3, 0.5)):
        foot = turn @ np.array([middle, height, -distance + deep / 2])
        stage.add(stage.shape("cube"), placed(foot, turn, [wide, 0.025, deep]), board)
        for _ in range(int(stage.rng.integers(1, 7))):
            spot = np.array([stage.uniform(-0.45, 0.45) * wide, 0.03, stage.uniform(-0.2, 0.2) * deep])
            stage.stand(stage.choice("small"), foot + turn @ spot, scale=stage.uniform(0.7, 1.2))


def _furnish(stage: Stage, space: Room, people: float) -> None:
    """A piece of furniture, a plant or a person, by a wall or free-standing, with small objects on top."""
    piece, dice = stage.choice("furniture"), stage.rng.random()
    if dice < people * 0.3:
        piece = stage.choice("people")
    elif dice < people * 0.3 + 0.08:
        piece = stage.choice("trees")
    scale = stage.uniform(0.8, 1.25)
    if piece.size[1] * scale > space.height:
        scale = space.height * 0.95 / piece.size[1]
    radius = max(piece.size[0], piece.size[2]) / 2 * scale
    eye = stage.eye.position
    for _ in range(6):
        at, yaw = _place(stage, space, piece, scale, radius)
        keep_away = radius + stage.uniform(0.25, 0.9)
        if (at[0] - eye[0]) ** 2 + (at[2] - eye[2]) ** 2 < keep_away**2 or not stage.claim(
            at[0], at[2], radius
        ):
            continue
        stage.stand(piece, at, yaw, scale)
        if piece.size[1] < 1.3 and piece.named(stage.library.tops):
            _set_table(stage, piece, at, yaw, scale)
        return


def _place(stage: Stage, space: Room, piece: Piece, scale: float, radius: float) -> tuple[Array, float]:
    if stage.chance(0.6):
        side = int(stage.rng.integers(4))
        length, distance, turn = space.wall(side)
        along = stage.uniform(-0.5, 0.5) * max(length - 2 * radius, 0.1)
        return turn @ np.array([along, 0, -distance + piece.size[2] * scale / 2 + 0.03]), side * np.pi / 2
    x = stage.uniform(-0.5, 0.5) * max(space.width - 2 * radius, 0.1)
    z = stage.uniform(-0.5, 0.5) * max(space.depth - 2 * radius, 0.1)
    return np.array([x, 0, z]), stage.uniform(0, 2 * np.pi)


def _set_table(stage: Stage, table: Piece, at: Array, yaw: float, scale: float) -> None:
    turn = rotation(yaw)
    for _ in range(int(stage.rng.integers(0, 6))):
        spot = np.array(
            [
                stage.uniform(-0.35, 0.35) * table.size[0],
                table.size[1],
                stage.uniform(-0.35, 0.35) * table.size[2],
            ]
        )
        stage.stand(stage.choice("small"), at + turn @ (spot * scale))


def _litter(stage: Stage, space: Room) -> None:
    at = np.array([stage.uniform(-0.45, 0.45) * space.width, 0, stage.uniform(-0.45, 0.45) * space.depth])
    if np.hypot(at[0] - stage.eye.position[0], at[2] - stage.eye.position[2]) < 0.7:
        return
    if stage.chance(0.5):
        stage.stand(stage.choice("small"), at, scale=stage.uniform(0.8, 1.5))
    else:
        size = stage.uniform(0.1, 0.6) * stage.rng.uniform(0.5, 1.5, 3)
        stage.add(
            stage.shape("solid"), placed(at, rotation(stage.uniform(0, 2 * np.pi)), size), stage.material()
        )


def _thin_things(stage: Stage, space: Room) -> None:
    """A lattice, a rack, a bicycle or bare branches between the camera and the far wall."""
    eye = stage.eye
    for _ in range(int(stage.rng.integers(1, 4))):
        at = (
            eye.position * [1, 0, 1]
            + eye.level * stage.uniform(0.7, 3)
            + eye.right * stage.uniform(-1.2, 1.2)
        )
        if abs(at[0]) > space.width / 2 - 0.1 or abs(at[2]) > space.depth / 2 - 0.1:
            continue
        if stage.chance(0.5):
            stage.stand(stage.choice("thin"), at)
        else:
            size = [stage.uniform(0.4, 1.8), stage.uniform(0.5, 2.0), 1]
            look = stage.painted(grain=0.2)
            stage.add(stage.shape("lattice"), placed(at, rotation(stage.uniform(0, 2 * np.pi)), size), look)
