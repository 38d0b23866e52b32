"""The description of one scene: objects and their places, camera and light, without any graphics code.

Axes: x right, y up, metres; the camera looks along `forward`. Each kind of scene (`rooms.py`, ...) fills a Stage; the
rasteriser (`render/raster.py`) draws it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from deeplens_dof.learn.scenes.objects.library import Library, Piece
from deeplens_dof.learn.scenes.objects.vertices import Array, placed, rotation

LIGHTS = 4  # point lights of a stage
OWN_TEXTURE, PLAIN = -2.0, -1.0  # values of Look.layer besides layer numbers


@dataclass(frozen=True)
class Look:
    """The appearance of an instance.

    layer: texture layer, OWN_TEXTURE (that of the vertices) or PLAIN. uv_scale: repetitions. gloss: 0..1. grain: 0..1,
    strength of a noise on the colour. glow: emitted linear light. triplanar: texture by position instead of uv. kind:
    "solid", "cut-out" (layer counts cut-outs) or "window" (shows the sky, labelled `window_m` metres away).
    """

    layer: float = OWN_TEXTURE
    uv_scale: float = 1.0
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gloss: float = 0.0
    grain: float = 0.0
    glow: float = 0.0
    triplanar: bool = False
    kind: str = "solid"
    window_m: float = 50.0
    swap: tuple[int, int, int] | None = None  # a permutation of the colour channels, for variety
    swap_amount: float = 0.0


@dataclass(frozen=True)
class Instance:
    """One mesh in the scene: its range of vertices, its 4x4 model matrix and its look."""

    first: int
    count: int
    model: Array
    look: Look
    casts_shadow: bool = True
    is_subject: bool = False


@dataclass(frozen=True)
class Camera:
    """position: (3,) m. right, up, forward: unit axes. fov_deg: field of view of the longer side. portrait: upright frame."""

    position: Array
    right: Array
    up: Array
    forward: Array
    fov_deg: float
    portrait: bool

    @property
    def half_tangent(self) -> float:
        """Half the length of the picture's longer side at distance 1."""
        return math.tan(math.radians(self.fov_deg / 2))

    @property
    def level(self) -> Array:
        """The horizontal direction of view."""
        flat = self.forward * [1, 0, 1]
        return flat / max(float(np.linalg.norm(flat)), 1e-6)


def camera(
    position: Array | Sequence[float],
    yaw: float,
    pitch: float,
    fov_deg: float,
    portrait: bool,
    roll: float = 0,
) -> Camera:
    """A camera by angles in radians; yaw 0 looks along -z, positive pitch looks up."""
    axes = rotation(yaw, pitch, roll)
    return Camera(np.asarray(position, float), axes[:, 0], axes[:, 1], -axes[:, 2], fov_deg, portrait)


@dataclass
class Stage:
    """A scene while it is being composed, with its random generator `rng`.

    sun, ambient: strengths. reach: metres around the camera with sun shadows. fog: 1/m. backdrop: index of a photo behind
    everything; None: the sky. ground_m: height of the plane that labels the backdrop's lower half; None: infinity.
    gradient: bottom and top colour of a plain sky. night: dark, lit by lamps.
    """

    library: Library
    rng: np.random.Generator
    portrait: bool
    instances: list[Instance] = field(default_factory=list)
    taken: list[tuple[float, float, float]] = field(default_factory=list)  # occupied floor: x, z, radius
    eye: Camera = field(default_factory=lambda: camera((0, 1.5, 0), 0, 0, 60, False))
    lights: list[tuple[Array, Array]] = field(default_factory=list)  # position, linear colour
    sun: float = 0.0
    ambient: float = 1.0
    reach: float = 5.0
    fog: float = 0.0
    backdrop: int | None = None
    ground_m: float | None = None
    gradient: tuple[Array, Array] | None = None
    night: bool = False
    defocus_chance: float = 0.1
    sky_seen: bool = True  # the HDR map is visible, so it should show open air

    def uniform(self, low: float, high: float) -> float:
        """One number between low and high."""
        return float(self.rng.uniform(low, high))

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return bool(self.rng.random() < probability)

    def pick(self, members: Sequence[Any]) -> Any:
        """A random member."""
        return members[int(self.rng.integers(len(members)))]

    def choice(self, group: str) -> Piece:
        """A random piece of a library group."""
        piece: Piece = self.pick(self.library.groups[group])
        return piece

    def shape(self, family: str) -> Piece:
        """A random procedural shape of that family."""
        piece: Piece = self.pick(self.library.shapes[family])
        return piece

    def add(
        self,
        piece: Piece,
        model: Array,
        look: Look | None = None,
        *,
        casts: bool = True,
        subject: bool = False,
    ) -> None:
        """Adds a piece with a 4x4 model matrix; without a look it has its own textures, slightly tinted."""
        self.instances.append(
            Instance(piece.first, piece.count, model, look or self.own_look(), casts, subject)
        )

    def stand(
        self,
        piece: Piece,
        at: Array | Sequence[float],
        yaw: float | None = None,
        scale: float = 1.0,
        *,
        subject: bool = False,
    ) -> None:
        """Adds an upright piece at a point, turned by `yaw` radians; None: at random."""
        turn = rotation(self.uniform(0, 2 * np.pi) if yaw is None else yaw)
        self.add(piece, placed(at, turn, scale), subject=subject)

    def claim(self, x: float, z: float, radius: float) -> bool:
        """Occupies a disc of the floor, in metres; False when part of it is taken."""
        if any((a - x) ** 2 + (b - z) ** 2 < 0.7 * (r + radius) ** 2 for a, b, r in self.taken):
            return False
        self.taken.append((x, z, radius))
        return True

    def ahead(self, distance: float, sideways: float = 0.0, upwards: float = 0.0) -> Array:
        """The point at a distance along the view; sideways and upwards in halves of the picture's longer side."""
        eye = self.eye
        return eye.position + distance * (
            eye.forward + (eye.right * sideways + eye.up * upwards) * eye.half_tangent
        )

    def on_ground(self, nearest: float, farthest: float, spread: float = 1.2) -> Array:
        """A random point on the ground in view; the logarithm of its distance is uniform."""
        distance = math.exp(self.uniform(math.log(nearest), math.log(farthest)))
        eye = self.eye
        rightward = np.array([-eye.level[2], 0, eye.level[0]])
        return eye.position * [1, 0, 1] + distance * (
            eye.level + rightward * self.uniform(-spread, spread) * eye.half_tangent
        )

    def tint(self, amount: float = 0.25) -> tuple[float, float, float]:
        """A random factor near 1 for each colour channel."""
        return _triple(
            np.clip(1 + self.uniform(-amount, amount) + self.rng.uniform(-amount, amount, 3) / 2, 0.3, 1.6)
        )

    def colour(
        self, low: float = 0.05, high: float = 0.95, saturation: float = 0.7
    ) -> tuple[float, float, float]:
        """A random linear colour with a brightness between low and high."""
        grey = self.uniform(low, high)
        return _triple(np.clip(grey + saturation * self.rng.uniform(-0.4, 0.4, 3) * grey, 0.02, 1))

    def surface(self, *words: str) -> float:
        """A random texture layer whose file name contains one of the words, or any layer when none does."""
        covers = self.library.surfaces
        fitting = [layer for layer, name in covers if any(word in name for word in words)] if words else []
        return float(self.pick(fitting)) if fitting else float(self.pick(covers)[0])

    def covered(self, *words: str, uv: tuple[float, float] = (1, 4), amount: float = 0.35) -> Look:
        """A look with a texture, chosen by words. uv: range of the repetitions."""
        return Look(self.surface(*words), self.uniform(*uv), self.tint(amount))

    def painted(
        self, low: float = 0.05, high: float = 0.95, saturation: float = 0.7, grain: float = 0.0
    ) -> Look:
        """A look of one random colour."""
        return Look(PLAIN, tint=self.colour(low, high, saturation), grain=grain)

    def material(self) -> Look:
        """A random look for a shape without textures of its own."""
        gloss = self.uniform(0.02, 0.4) if self.chance(1 / 3) else 0.0
        grain = self.uniform(0.1, 0.6) if self.chance(0.5) else 0.0
        if self.chance(0.65):
            return Look(
                self.surface(), self.uniform(0.5, 3), self.tint(0.3), gloss, grain, triplanar=self.chance(0.5)
            )
        return Look(PLAIN, tint=self.colour(), gloss=gloss, grain=grain)

    def own_look(self, amount: float = 0.3) -> Look:
        """A model's own textures, tinted; 30 % have their colour channels mixed."""
        swap = (0, 1, 2)
        if self.chance(0.3):
            a, b, c = self.rng.permutation(3)
            swap = (int(a), int(b), int(c))
        gloss = float(self.pick((0.0, 0.0, 0.1, 0.3)))
        return Look(tint=self.tint(amount), gloss=gloss, swap=swap, swap_amount=self.uniform(0, 0.6))

    def point_lights(
        self, around: Array | Sequence[float], spread: float, strength: float, chance: float = 0.6
    ) -> None:
        """Adds up to LIGHTS point lights around a point."""
        for _ in range(LIGHTS):
            if self.chance(chance):
                at = np.asarray(around) + self.rng.uniform(-spread, spread, 3)
                self.lights.append((at, np.array(self.colour(0.6, 1, 0.3)) * self.uniform(0, strength)))


def _triple(values: Array) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])
