"""Composed scenes: tilted planes with soft mattes, one before another, and their true bokeh.

    pair = make_pair(seed, index)
    pair.rgb, pair.coc_px, pair.bokeh

A pair depends on (seed, index) and the assets alone. Its bokeh is the integral of the whole scene over the aperture
(`integrate.py`), which includes the occluded background that no single photo shows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from deeplens_dof.datasets.pairs import Pair
from deeplens_dof.learn.scenes.composites.integrate import SUBPIXELS, integrate
from deeplens_dof.learn.scenes.composites.materials import Materials, load_materials
from deeplens_dof.learn.scenes.composites.mattes import any_matte
from deeplens_dof.optics.aperture import Aperture

Floats = npt.NDArray[np.float32]
SIZE = 256
LEAST_BLUR_PX, MOST_BLUR_PX = 3.0, 34.0  # CoC radius over the depth range of a scene
SHAPES = ("disc", "blades:5", "blades:6:0.3", "blades:8", "ring:0.5", "anamorphic:1.5")
SHAPE_SHARES = (0.7, 0.08, 0.08, 0.06, 0.04, 0.04)
CUT_OUT_SHARE = 0.25  # of the objects: the part that is cut out of photos
POINTS_PER_PIXEL, FEWEST_POINTS, MOST_POINTS = 0.7, 128, 256


@dataclass(frozen=True)
class Layer:
    """A textured plane.

    texture: (n, n, 4) linear light premultiplied by alpha, and alpha, SUBPIXELS samples per pixel and axis. plane: (3,)
    inverse depth 0..1 at pixel (0, 0), and its change per pixel along x and y.
    """

    texture: Floats = field(repr=False)
    plane: Floats

    def inverse_depth(self, size: int) -> Floats:
        x = np.arange(size, dtype=np.float32)
        return np.asarray(self.plane[0] + self.plane[1] * x[None] + self.plane[2] * x[:, None], np.float32)


@dataclass(frozen=True)
class Composition:
    """A scene of layers, nearest first, the last one opaque. They extend `margin` px beyond the visible `size`."""

    layers: tuple[Layer, ...]
    size: int
    margin: int

    def light(self) -> Floats:
        """The sharp picture, through a pinhole at the centre of the lens: (size, size, 3) linear light."""
        return self.through(np.zeros((SUBPIXELS**2, 2), np.float32), 0.0, 1.0)

    def through(self, points: Floats, focus_inverse_depth: float, blur_px: float) -> Floats:
        """The bokeh: the mean of the views from all lens points.

        Args:
            points: (N, 2) in the unit disc, N a multiple of SUBPIXELS^2.
            focus_inverse_depth: 0..1.
            blur_px: CoC radius over the whole depth range.

        Returns:
            (size, size, 3) linear light.
        """
        coc = np.stack([layer.plane for layer in self.layers]).astype(np.float32)
        coc[:, 0] -= np.float32(focus_inverse_depth)
        coc *= np.float32(blur_px)
        textures = np.stack([layer.texture for layer in self.layers])
        extent = np.stack([_extent(layer.texture[..., 3]) for layer in self.layers])
        light = np.zeros((self.size, self.size, 3), np.float32)
        integrate(textures, coc, extent, self.margin, points, light)
        return light

    def unmixed_at(self, inverse_depth: Floats) -> tuple[Floats, Floats, Floats]:
        """Unmixes each pixel into a near and a far part, divided at a depth.

        Args:
            inverse_depth: (size, size), the depth that divides them.

        Returns:
            The near part's alpha (size, size), its colour and the colour behind it, (size, size, 3) linear light; black
            where a part is empty.
        """
        light = np.zeros((2, self.size, self.size, 3), np.float32)
        passed = np.ones((2, self.size, self.size, 1), np.float32)
        for layer in self.layers:
            pixels = self._pixels(layer)
            is_near = (layer.inverse_depth(self.size) > inverse_depth)[..., None]
            for side, here in enumerate((is_near, ~is_near)):
                visible = passed[side] * here
                light[side] += visible * pixels[..., :3]
                passed[side] -= visible * pixels[..., 3:]
        near, far = (light[side] / np.maximum(1 - passed[side], np.float32(1e-4)) for side in range(2))
        return 1 - passed[0, ..., 0], near, far

    def _pixels(self, layer: Layer) -> Floats:
        """The visible part of a layer, (size, size, 4): the mean of each pixel's samples."""
        start, side = self.margin * SUBPIXELS, self.size * SUBPIXELS
        samples = layer.texture[start : start + side, start : start + side]
        shape = (self.size, SUBPIXELS, self.size, SUBPIXELS, 4)
        return np.asarray(samples.reshape(shape).mean((1, 3)), np.float32)

    def surfaces(self) -> npt.NDArray[np.uint8]:
        """The layer that each pixel shows, (size, size): the nearest that covers at least half of it."""
        shown = np.full((self.size, self.size), len(self.layers) - 1, np.uint8)
        for number, layer in reversed(list(enumerate(self.layers))):
            shown[self._pixels(layer)[..., 3] >= 0.5] = number
        return shown

    def inverse_depth(self) -> Floats:
        """Inverse depth of the surface that each pixel shows, (size, size), 0..1."""
        planes = np.stack([layer.inverse_depth(self.size) for layer in self.layers])
        return np.asarray(np.take_along_axis(planes, self.surfaces()[None].astype(np.intp), 0)[0])


def make_pair(seed: int, index: int, held_out: bool = False, size: int = SIZE) -> Pair:
    """Pair `index` of a seed.

    Args:
        seed: 0 or more.
        index: 0 or more.
        held_out: use the assets that are never trained on.
        size: side in px.

    Raises:
        RuntimeError: the assets have not been fetched.
    """
    rng, blur_px, scene = _composed(seed, index, held_out, size)
    surface, depth = scene.surfaces(), scene.inverse_depth()
    focus = float(rng.uniform(0, 1))
    if rng.random() < 0.6:
        focus = float(depth[tuple(rng.integers(size, size=2))])
    shape = str(rng.choice(SHAPES, p=SHAPE_SHARES))
    coc = np.asarray((depth - np.float32(focus)) * np.float32(blur_px))
    bokeh = scene.through(_points(shape, float(np.abs(coc).max()), rng), focus, blur_px)
    facts = {
        "seed": seed,
        "index": index,
        "held_out": held_out,
        "shape": shape,
        "focus": focus,
        "blur_px": blur_px,
    }
    return Pair(scene.light(), bokeh, coc, surface, facts)


def scene_of(pair: Pair) -> Composition:
    """The scene of a pair, composed again. Raises RuntimeError without assets."""
    facts = pair.facts
    return _composed(facts["seed"], facts["index"], facts["held_out"], len(pair.rgb))[2]


def _composed(
    seed: int, index: int, held_out: bool, size: int
) -> tuple[np.random.Generator, float, Composition]:
    """The random generator after composing the scene, the blur in px, and the scene."""
    rng = np.random.default_rng((seed, index, int(held_out)))
    blur_px = float(np.exp(rng.uniform(math.log(LEAST_BLUR_PX), math.log(MOST_BLUR_PX))))
    return rng, blur_px, draw(rng, load_materials(held_out), size, math.ceil(blur_px) + 2)


def draw(rng: np.random.Generator, materials: Materials, size: int, margin: int) -> Composition:
    """A scene: a wall, or ground with a distant background, behind one to five objects."""
    samples = (size + 2 * margin) * SUBPIXELS
    behind = _backdrop(rng, materials, samples, size)
    farthest = max(float(layer.inverse_depth(size).max()) for layer in behind)
    count = int(rng.choice(5, p=(0.3, 0.3, 0.2, 0.12, 0.08))) + 1
    places = np.sort(rng.uniform(min(farthest + 0.03, 0.9), 1, count))[::-1]
    edges = np.concatenate([[1.05], places, [min(farthest, places[-1])]])
    things = []
    for number, place in enumerate(places, start=1):
        room = 0.45 * min(edges[number - 1] - place, place - edges[number + 1])
        tilt = rng.uniform(-1, 1, 2) * max(room, 0.0) / size * (rng.random() < 0.6)
        plane = np.array([place - tilt.sum() * size / 2, *tilt], np.float32)
        if materials.cutouts and rng.random() < CUT_OUT_SHARE:
            colour, matte = materials.subject(rng, samples)
        else:
            colour, matte = materials.texture(rng, samples), any_matte(rng, samples)
        things.append(Layer(_premultiplied(colour, matte), plane))
    return Composition((*things, *behind), size, margin)


def _backdrop(rng: np.random.Generator, materials: Materials, samples: int, size: int) -> list[Layer]:
    """The background layers: a more or less tilted wall, or ground that runs to a horizon."""
    colour = materials.texture(rng, samples)
    opaque = np.ones(colour.shape[:2], np.float32)
    if rng.random() < 0.6:
        middle = rng.uniform(0, 0.35)
        tilt = rng.uniform(-1, 1, 2) * min(middle, 0.2) / size
        plane = np.array([middle - tilt.sum() * size / 2, *tilt], np.float32)
        return [Layer(_premultiplied(colour, opaque), plane)]
    horizon = rng.uniform(0.05, 0.7) * size
    slope = rng.uniform(0.2, 0.8) / (size - horizon)
    margin = (samples // SUBPIXELS - size) // 2
    rows = (np.arange(samples) + 0.5) / SUBPIXELS - margin
    below = np.clip((rows - horizon) * 2, 0, 1).astype(np.float32)
    ground = Layer(
        _premultiplied(materials.texture(rng, samples), np.repeat(below[:, None], samples, 1)),
        np.array([-slope * horizon, 0, slope], np.float32),
    )
    return [ground, Layer(_premultiplied(colour, opaque), np.zeros(3, np.float32))]


def _points(shape: str, largest_px: float, rng: np.random.Generator) -> Floats:
    """Enough lens points for the largest CoC. A disc's are rotated at random, so that no network can learn their pattern."""
    step = SUBPIXELS**2 * 4
    enough = POINTS_PER_PIXEL * math.pi * largest_px**2
    count = int(np.clip(math.ceil(enough / step) * step, FEWEST_POINTS, MOST_POINTS))
    points = Aperture.parse(shape).points(count)
    if shape == "disc":
        angle = rng.uniform(0, 2 * math.pi)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], np.float32)
        points = points @ turn
    return np.ascontiguousarray(points, np.float32)


def _premultiplied(colour: Floats, matte: Floats) -> Floats:
    return np.dstack([colour * matte[..., None], matte]).astype(np.float32)


def _extent(alpha: Floats) -> npt.NDArray[np.int32]:
    """First and last row, first and last column that are not empty, int32 (4,)."""
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    if not len(rows):
        return np.array([1, 0, 1, 0], np.int32)
    return np.array([rows[0], rows[-1], columns[0], columns[-1]], np.int32)
