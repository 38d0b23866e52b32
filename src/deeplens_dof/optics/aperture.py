"""The shape of the aperture: where light passes the lens. A point of light out of focus takes this shape.

Lens points `u = (x, y)` are in units of the circle of confusion, x to the right and y down as in the picture. A surface
with signed CoC radius `c` is seen from `u` displaced by `c * u`: a point of light nearer than the focus shows the shape
upright, one farther away shows it turned by 180 degrees, as behind a real lens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.optics.aperture_spec import SHAPES, numbers_of, parse_shape, shape_text
from deeplens_dof.optics.lens_points import CELLS, cell_centres, even_points
from deeplens_dof.types import Array, Array64, Mask

_SAMPLES = 3  # a side, within a cell of the grid of light
LARGEST_KERNEL = CELLS  # a side; finer kernel pictures are averaged down to it
# The heart's centre of light lies above the middle of its square: the two half discs hold pi / 4 of light, the square 1.
_HEART_MIDDLE = -(math.sqrt(0.125) + math.sqrt(2) / (3 * math.pi)) * math.pi / (4 + math.pi)
_HEART_SIZE = (
    math.sqrt(0.5) - _HEART_MIDDLE
)  # from there to the point below, which lies on the circle of confusion
# Shapes that are the disc: (shape, index of a number, its value).
_ROUND = {("blades", 1, 1.0), ("ring", 0, 0.0), ("cat-eye", 0, 0.0), ("anamorphic", 0, 1.0)}


@dataclass(frozen=True, slots=True)
class KernelGrid:
    """Weights of square cells, rows from the top; lengths in units of the CoC."""

    rows: int
    columns: int
    left: float
    top: float
    side: float  # of a cell
    weights: bytes = field(repr=False)  # float32, 0..1

    def array(self) -> Array:
        """The weights, (rows, columns)."""
        return np.frombuffer(self.weights, np.float32).reshape(self.rows, self.columns)


@dataclass(frozen=True, slots=True)
class Aperture:
    """A shape in the square [-1, 1]^2. Make one with `disc`, `blades`, `ring`, `cat_eye`, `anamorphic`, `star`, `heart`,
    `kernel`, `parse`. Star and heart stand upright behind the focus, where most lights are.

    Equal shapes are equal: seven blades rounded to a circle are the disc.
    """

    kind: str = "disc"
    values: tuple[float, ...] = ()
    grid: KernelGrid | None = None

    def __post_init__(self) -> None:
        if (self.kind == "kernel") != (self.grid is not None) or self.kind not in (*SHAPES, "kernel"):
            raise ValueError(f"there is no aperture of kind {self.kind!r}, expected {', '.join(SHAPES)}")
        if self.grid is None:
            values = numbers_of(self.kind, list(self.values))
            round_ = any(self.kind == kind and values[index] == value for kind, index, value in _ROUND)
            object.__setattr__(self, "kind", "disc" if round_ else self.kind)
            object.__setattr__(self, "values", () if round_ else values)

    @classmethod
    def disc(cls) -> Aperture:
        """The round aperture of a lens wide open."""
        return cls()

    @classmethod
    def blades(cls, count: int, rounding: float = 0.0, rotation_deg: float = 0.0) -> Aperture:
        """A polygon of blades with its corners on the circle of confusion, the first one at the top.

        Args:
            count: of blades, 3..32.
            rounding: 0 (straight) .. 1 (disc), the curvature of the blades.
            rotation_deg: clockwise, -360..360.
        """
        return cls("blades", numbers_of("blades", [count, rounding, rotation_deg]))

    @classmethod
    def ring(cls, inner: float = 0.5) -> Aperture:
        """The ring of a mirror lens; `inner` is the radius of the hole, 0..0.95 of the outer one."""
        return cls("ring", numbers_of("ring", [inner]))

    @classmethod
    def cat_eye(cls, strength: float = 1.0) -> Aperture:
        """A disc that the barrel cuts to a lemon towards the corners; at strength 1 to half its width."""
        return cls("cat-eye", numbers_of("cat-eye", [strength]))

    @classmethod
    def anamorphic(cls, ratio: float) -> Aperture:
        """An ellipse, `ratio` times as tall as wide (below 1: wider than tall); its longer half-axis is the CoC."""
        return cls("anamorphic", numbers_of("anamorphic", [ratio]))

    @classmethod
    def star(cls, count: int = 5, inner: float = 0.5) -> Aperture:
        """A star of `count` points, 3..12; its notches lie at `inner` of the radius, 0.2..0.9."""
        return cls("star", numbers_of("star", [count, inner]))

    @classmethod
    def heart(cls) -> Aperture:
        """A heart."""
        return cls("heart")

    @classmethod
    def kernel(cls, image: npt.ArrayLike) -> Aperture:
        """Any shape, from a picture.

        The longer side of the picture spans the diameter of the circle of confusion. Its centre of light becomes the
        centre of the lens, so that nothing is displaced; it shrinks a little if it would extend beyond the square.

        Args:
            image: (H, W), (H, W, 3) or (H, W, 4). Grey levels are the weights, white is open; alpha multiplies them.

        Raises:
            ValueError: for another shape, NaN, negative weights, or a picture without light.
        """
        return cls("kernel", (), _kernel_grid(np.asarray(image)))

    @classmethod
    def parse(cls, text: str) -> Aperture:
        """The inverse of `str(aperture)`.

        Args:
            text: disc, blades:N[:ROUND[:DEG]], ring[:INNER], cat-eye[:STRENGTH], anamorphic:R, star[:N[:INNER]],
                heart, or an everyday name such as hexagon.

        Raises:
            ValueError: for anything else; a kernel picture is opened with `dl.read` and passed to `kernel`.
        """
        named = parse_shape(text)
        if named is None:
            raise ValueError(
                f"shape is the file {text!r}, expected the name of a shape; open it and use Aperture.kernel(pixels)"
            )
        return cls(*named)

    def __str__(self) -> str:
        return self.kind if self.grid else shape_text(self.kind, self.values)

    @property
    def is_disc(self) -> bool:
        """Whether it is the plain disc everywhere in the picture."""
        return self.kind == "disc"

    @property
    def vignetting(self) -> float:
        """Offset of the barrel's rims from the axis of the lens, seen from the corner of the picture, in CoC units.

        Seen from the picture position `p` (centre (0, 0), corners of length 1) the lens point `u` is open where
        |u| <= 1, |u - v p| <= 1 and |u + v p| <= 1; front and rear rim cut alike, so nothing is displaced.
        """
        return 0.5 * self.values[0] if self.kind == "cat-eye" else 0.0

    @property
    def area(self) -> float:
        """Light that passes in the middle of the picture, as a share of the disc's."""
        return 1.0 if self.is_disc else float(_light(self).mean() * 4 / math.pi)

    def density(self, x: npt.ArrayLike, y: npt.ArrayLike) -> Array64:
        """How open the lens is at (x, y), 0..1, seen from the middle of the picture. This defines every shape."""
        x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
        if self.grid is not None:
            return _kernel_density(self.grid, x, y)
        squared = x * x + y * y
        if self.kind == "blades":
            within = _polygon(x, y, *self.values)
        elif self.kind == "star":
            within = _star(x, -y, *self.values)
        elif self.kind == "heart":
            within = _heart(x, -y)
        elif self.kind == "anamorphic":
            half_x, half_y = self._half_axes()
            within = (x / half_x) ** 2 + (y / half_y) ** 2 <= 1
        else:
            hole = self.values[0] if self.kind == "ring" else 0.0
            within = (squared <= 1) & (squared >= hole * hole)
        return np.asarray(within, np.float64)

    def points(self, count: int) -> Array:
        """Lens points that stand for equal amounts of light; always the same ones.

        See `open_share` for the light that the barrel cuts off towards the corners.

        Args:
            count: 1 or more.

        Returns:
            (count, 2) float32 as (x, y), -1..1, with the mean (0, 0).

        Raises:
            ValueError: for a count below 1.
        """
        if count < 1:
            raise ValueError(f"{count} lens points were asked for, expected at least 1")
        return _points(self, count).copy()

    def open_share(self, points: Array, p: npt.ArrayLike) -> Array64:
        """How open each lens point is, seen from positions in the picture; see `vignetting`.

        A point stands for a cell of the lens, so the rim is soft by the width of a cell.

        Args:
            points: (count, 2).
            p: (..., 2), centre (0, 0), corners of length 1.

        Returns:
            (..., count), 0..1.
        """
        points, p = np.asarray(points, np.float64), np.asarray(p, np.float64)
        shift = self.vignetting * p[..., None, :]
        beyond = np.maximum(np.linalg.norm(points - shift, axis=-1), np.linalg.norm(points + shift, axis=-1))
        if self.vignetting == 0:
            return np.ones_like(beyond)
        cell = math.sqrt(math.pi / len(points))
        share: Array64 = np.clip((1 - beyond) / cell + 0.5, 0, 1)
        return share

    def _half_axes(self) -> tuple[float, float]:
        ratio = self.values[0]
        return min(1.0, 1 / ratio), min(1.0, ratio)


@lru_cache(maxsize=256)
def _points(aperture: Aperture, count: int) -> Array:
    """The points of a shape; of discs and ellipses on a sunflower spiral, which is even and cheap."""
    if aperture.kind in ("disc", "cat-eye", "anamorphic"):
        index = np.arange(count) + 0.5
        radius, angle = np.sqrt(index / count), index * math.pi * (3 - math.sqrt(5))
        points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
        if aperture.kind == "anamorphic":
            points *= aperture._half_axes()
    else:
        points = even_points(_light(aperture), count)
    centred: Array = (points - points.mean(0)).astype(np.float32)
    return np.clip(centred, -1, 1)


@lru_cache(maxsize=16)
def _light(aperture: Aperture) -> Array64:
    """Mean density of the cells of a grid over [-1, 1]^2, (CELLS, CELLS), rows from the top."""
    x, y = cell_centres()
    within = ((np.arange(_SAMPLES) + 0.5) / _SAMPLES - 0.5) * (2 / CELLS)
    total: Array64 = sum((aperture.density(x + dx, y + dy) for dx in within for dy in within), np.zeros(1))
    return total / _SAMPLES**2


def _polygon(x: Array64, y: Array64, count: float, rounding: float, rotation_deg: float) -> Mask:
    """Whether points lie within `count` arcs of curvature `rounding` between corners on the unit circle."""
    sector = 2 * math.pi / count
    middle = (
        -math.pi / 2 + math.radians(rotation_deg) + sector / 2
    )  # of the first blade, clockwise from the top
    angle = np.arctan2(y, x) - middle
    angle = angle - sector * np.round(angle / sector)
    radius = np.hypot(x, y)
    along, across = radius * np.cos(angle), radius * np.sin(angle)
    apothem, half_blade = math.cos(sector / 2), math.sin(sector / 2)
    if rounding == 0:
        return np.asarray(along <= apothem)
    arc = 1 / rounding
    centre = apothem - math.sqrt(arc * arc - half_blade * half_blade)
    return np.asarray((along - centre) ** 2 + across**2 <= arc * arc)


def _star(x: Array64, y: Array64, count: float, inner: float) -> Mask:
    """Whether points lie within a star of `count` points on the unit circle, the first one at the top; its notches lie
    on a circle of radius `inner`."""
    half = math.pi / count
    angle = np.arctan2(x, -y)
    angle = np.abs(
        angle - 2 * half * np.round(angle / (2 * half))
    )  # from the nearest point of the star, 0..half
    along, across = np.hypot(x, y) * np.cos(angle), np.hypot(x, y) * np.sin(angle)
    notch_x, notch_y = inner * math.cos(half), inner * math.sin(half)
    return np.asarray((1 - along) * notch_y - across * (1 - notch_x) >= 0)


def _heart(x: Array64, y: Array64) -> Mask:
    """Whether points lie within a heart, its point below: a square on its corner, with discs on its upper sides."""
    x, y = x * _HEART_SIZE, y * _HEART_SIZE + _HEART_MIDDLE
    side = math.sqrt(0.5)
    lobe = (np.abs(x) - side / 2) ** 2 + (y + side / 2) ** 2 <= 0.25
    return np.asarray(lobe | (np.abs(x) + np.abs(y) <= side))


def _kernel_density(grid: KernelGrid, x: Array64, y: Array64) -> Array64:
    x, y = np.broadcast_arrays(x, y)
    column, row = np.floor((x - grid.left) / grid.side), np.floor((y - grid.top) / grid.side)
    within = (column >= 0) & (column < grid.columns) & (row >= 0) & (row < grid.rows)
    found = grid.array()[
        np.where(within, row, 0).astype(np.intp), np.where(within, column, 0).astype(np.intp)
    ]
    return np.where(within, found, 0.0).astype(np.float64)


def _kernel_grid(image: npt.NDArray[Any]) -> KernelGrid:
    """The weights of a kernel picture around their centre of light."""
    weights = _smaller(_weights(image), LARGEST_KERNEL)
    lit = weights > 0
    rows, columns = weights.shape
    side = 2 / max(rows, columns)
    total = float(weights.sum(dtype=np.float64))
    centre_x = float(weights.sum(0, dtype=np.float64) @ (np.arange(columns) + 0.5)) / total
    centre_y = float(weights.sum(1, dtype=np.float64) @ (np.arange(rows) + 0.5)) / total
    across, down = np.flatnonzero(lit.any(0)), np.flatnonzero(lit.any(1))
    reach = side * max(
        centre_x - across[0], across[-1] + 1 - centre_x, centre_y - down[0], down[-1] + 1 - centre_y
    )
    side /= max(1.0, reach)
    weights = np.ascontiguousarray(weights / weights.max(), np.float32)
    return KernelGrid(rows, columns, -centre_x * side, -centre_y * side, side, weights.tobytes())


def _weights(image: npt.NDArray[Any]) -> Array64:
    """Grey levels (H, W), 0 and above. Raises ValueError as `Aperture.kernel`."""
    if image.ndim not in (2, 3) or image.size == 0 or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise ValueError(
            f"the aperture's picture has shape {image.shape}, expected (H, W), (H, W, 3) or (H, W, 4); "
            "give grey levels, white where light passes"
        )
    if image.dtype.kind not in "buif":
        raise ValueError(
            f"the aperture's picture is of type {image.dtype}, expected numbers; give grey levels"
        )
    top = float(np.iinfo(image.dtype).max) if image.dtype.kind == "u" else 1.0
    values = image.astype(np.float64) / top
    if not np.isfinite(values).all() or values.min() < 0:
        raise ValueError(
            "the aperture's picture holds negative or no finite weights, expected 0 (closed) and above"
        )
    if image.ndim == 3:
        grey = values[..., :3].mean(2)
        values = grey * values[..., 3] if image.shape[2] == 4 else grey
    if values.max() <= 0:
        raise ValueError("the aperture's picture is black, expected white where light passes; invert it")
    return values


def _smaller(weights: Array64, side: int) -> Array64:
    """Means over blocks, so that no side is longer than `side` cells; padded with 0."""
    block = -(-max(weights.shape) // side)
    if block > 1:
        rows, columns = (-(-length // block) * block for length in weights.shape)
        padded = np.pad(weights, ((0, rows - weights.shape[0]), (0, columns - weights.shape[1])))
        weights = padded.reshape(rows // block, block, columns // block, block).mean((1, 3))
    return weights
