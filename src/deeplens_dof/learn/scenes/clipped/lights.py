"""Emitters drawn into a picture of linear light: bulbs, strings of bulbs, tubes, windows, street lights, glints and flames.

White is 1; emitters are up to a hundred times as bright.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
SUBPIXELS = 3
SMALLEST_PX, LARGEST_PX = 0.4, 14.0  # radius
MOST_LIGHT = 60.0
KINDS = ("bulbs", "string", "tubes", "windows", "street", "glints", "flames")
KIND_SHARES = (0.3, 0.14, 0.1, 0.12, 0.1, 0.16, 0.08)
FILTERS = ("box", "tent", "gauss", "blackman-harris")


@dataclass(frozen=True)
class Emitter:
    """One emitter.

    x, y, half_width, half_height: px. angle: radians. form: "ellipse", "box" or "flame". falling: limb darkening, 0 (flat)
    to 1. core: extra brightness of its centre. light: (3,) linear.
    """

    x: float
    y: float
    half_width: float
    half_height: float
    angle: float
    form: str
    falling: float
    core: float
    light: Floats


def draw_emitters(
    picture: Floats, rng: np.random.Generator, scale: float = 1.0, kind: str | None = None
) -> None:
    """Draws emitters of one or two kinds into `picture` (S, S, 3), in place. scale: multiplies their sizes."""
    side = picture.shape[0]
    canvas = np.zeros((side * SUBPIXELS, side * SUBPIXELS, 4), np.float32)
    for _ in range(1 if kind or rng.random() < 0.7 else 2):
        chosen = kind or str(rng.choice(KINDS, p=KIND_SHARES))
        for emitter in emitters_of(chosen, rng, side, scale):
            _draw(canvas, emitter)
    if rng.random() < 0.3:
        _hide(canvas, rng, scale)
    shining = filtered(canvas, rng)
    if rng.random() < 0.5:
        _light_up(picture, shining[..., :3], rng, scale)
    picture *= 1 - shining[..., 3:]
    picture += shining[..., :3]


def emitters_of(kind: str, rng: np.random.Generator, side: int, scale: float) -> list[Emitter]:
    """The emitters of one kind at random places of a picture (side, side)."""
    radius = scale * math.exp(rng.uniform(math.log(SMALLEST_PX), math.log(LARGEST_PX)))
    strength = math.exp(rng.uniform(0.0, math.log(MOST_LIGHT)))
    hues = _hues(rng)
    falling, core = rng.choice([0.0, 0.0, rng.uniform(0.2, 1)]), rng.choice([0.0, 0.0, rng.uniform(0.5, 6)])
    spread = rng.choice([0.0, 0.3, 0.7])
    found = []
    for x, y, size in _places(kind, rng, side, radius, scale):
        light = hues() * np.float32(strength * math.exp(rng.normal(0, spread)))
        width, height, angle, form = size, size, 0.0, "ellipse"
        if kind == "tubes":
            width, height, form = size * rng.uniform(4, 30), max(0.4 * scale, size * 0.5), "box"
            angle = float(rng.choice([0.0, math.pi / 2, rng.uniform(0, math.pi)]))
        elif kind == "windows":
            width, height, form = size * rng.uniform(0.7, 1.6), size * rng.uniform(0.7, 1.8), "box"
            light = light / np.float32(max(1.0, strength / 6) if rng.random() < 0.8 else 1.0)
        elif kind == "flames":
            width, height, form = size * 0.5, size * 1.4, "flame"
        elif rng.random() < 0.25:
            height, angle = size * rng.uniform(0.4, 1), rng.uniform(0, math.pi)
        found.append(Emitter(x, y, width, height, float(angle), form, float(falling), float(core), light))
    return found


def _places(
    kind: str, rng: np.random.Generator, side: int, radius: float, scale: float
) -> list[tuple[float, float, float]]:
    """x, y and radius of each emitter, px."""
    if kind in ("string", "street"):
        count = int(rng.integers(4, 20))
        t = (np.arange(count) + rng.uniform(0, 1)) / count
        start, end = rng.uniform(-0.1, 1.1, (2, 2)) * side
        x, y = start[0] + t * (end[0] - start[0]), start[1] + t * (end[1] - start[1])
        if kind == "string":
            y = y + rng.uniform(0, 0.4) * side * 4 * t * (1 - t)
            sizes = np.full(count, min(radius, 5 * scale))
        else:
            sizes = radius * (1 - 0.85 * t)
        return [(float(a), float(b), max(0.3 * scale, float(c))) for a, b, c in zip(x, y, sizes, strict=True)]
    if kind == "windows":
        columns, rows = rng.integers(1, 7, 2)
        left, top, pitch = *(rng.uniform(0, 0.7, 2) * side), radius * rng.uniform(2.6, 6)
        lit = rng.uniform(0.3, 1)
        return [
            (left + column * pitch, top + row * pitch, radius)
            for column in range(columns)
            for row in range(rows)
            if rng.random() < lit
        ]
    most = {"glints": 4.5, "tubes": 1.8, "flames": 1.8}.get(kind, 3.4)
    if kind == "glints":
        radius = scale * math.exp(rng.uniform(math.log(0.25), math.log(1.6)))
    count = int(math.exp(rng.uniform(0, max(0.8, most - 0.5 * math.log(max(1.0, radius / scale))))))
    cloud = rng.random() < 0.4
    places = rng.normal(rng.uniform(0.2, 0.8, 2), 0.15, (count, 2)) if cloud else rng.random((count, 2))
    sizes = radius * np.exp(rng.normal(0, 0.3, count))
    return [
        (float(x * side), float(y * side), float(size)) for (x, y), size in zip(places, sizes, strict=True)
    ]


def _hues(rng: np.random.Generator) -> Callable[[], Floats]:
    """A function that draws hues, (3,) with the brightest channel 1, of one sort of lamp or of many."""
    sort = rng.choice(
        ["white", "warm", "cool", "sodium", "one", "many"], p=[0.2, 0.34, 0.1, 0.08, 0.13, 0.15]
    )
    warmth, own = rng.uniform(0.15, 1), rng.random(3) ** 1.5

    def draw() -> Floats:
        hue = {
            "white": np.ones(3), "warm": np.array([1, 1 - 0.5 * warmth, 1 - 0.85 * warmth]),
            "cool": np.array([1 - 0.4 * warmth, 1 - 0.2 * warmth, 1]), "sodium": np.array([1, 0.5, 0.08]),
            "one": own, "many": rng.random(3) ** 1.5,
        }[str(sort)]  # fmt: skip
        hue = hue * np.exp(rng.normal(0, 0.06, 3))
        return np.asarray(hue / max(hue.max(), 1e-3), np.float32)

    return draw


def _draw(canvas: Floats, emitter: Emitter) -> None:
    """Composites an emitter over the canvas of light and coverage, which has SUBPIXELS samples per px and axis."""
    k = SUBPIXELS
    x, y, a, b = (k * length for length in (emitter.x, emitter.y, emitter.half_width, emitter.half_height))
    reach = math.ceil(math.hypot(a, b)) + 1
    left, top = max(0, int(x) - reach), max(0, int(y) - reach)
    part = canvas[top : max(0, int(y) + reach + 1), left : max(0, int(x) + reach + 1)]
    if not part.size:
        return
    v, u = np.ogrid[: part.shape[0], : part.shape[1]]
    du, dv = (u + np.float32(left + 0.5 - x)), (v + np.float32(top + 0.5 - y))
    c, s = np.float32(math.cos(emitter.angle)), np.float32(math.sin(emitter.angle))
    across, along = (c * du + s * dv) / np.float32(a), (c * dv - s * du) / np.float32(b)
    if emitter.form == "box":
        far = np.maximum(np.abs(across), np.abs(along))
    elif emitter.form == "flame":  # narrow above
        far = np.hypot(across / np.clip(0.65 + 0.5 * along, 0.12, 1), along)
    else:
        far = np.hypot(across, along)
    inside = np.clip((1 - far) * np.float32(min(a, b)) + np.float32(0.5), 0, 1)
    profile = 1 - np.float32(emitter.falling) * (1 - np.sqrt(np.clip(1 - far * far, 0, 1)))
    profile += np.float32(emitter.core) * np.exp(-8 * far * far)
    part *= 1 - inside[..., None]
    part[..., :3] += (inside * profile)[..., None] * emitter.light
    part[..., 3] += inside


def _hide(canvas: Floats, rng: np.random.Generator, scale: float) -> None:
    """Occludes parts of the emitters by dark lines: twigs, bars, roofs."""
    side = canvas.shape[0]
    visible = np.full((side, side), 255, np.uint8)
    for _ in range(int(rng.integers(1, 12))):
        ends = (rng.random((2, 2)) * side).astype(int)
        width = max(1, round(SUBPIXELS * scale * math.exp(rng.uniform(-0.5, 2.2))))
        cv2.line(visible, tuple(map(int, ends[0])), tuple(map(int, ends[1])), 0, width, cv2.LINE_AA)
    canvas *= (visible.astype(np.float32) / 255)[..., None]


def filtered(canvas: Floats, rng: np.random.Generator) -> Floats:
    """The canvas at the size of the picture, by a random pixel filter."""
    side = canvas.shape[0] // SUBPIXELS
    kind, width = str(rng.choice(FILTERS)), rng.uniform(0.3, 0.9)
    if kind != "box":
        at = np.arange(-3 * SUBPIXELS, 3 * SUBPIXELS + 1) / SUBPIXELS
        if kind == "tent":
            taps = np.clip(1 - np.abs(at), 0, None)
        elif kind == "gauss":
            taps = np.exp(-0.5 * (at / width) ** 2)
        else:
            t = 2 * math.pi * np.clip(at / 1.5 + 0.5, 0, 1)
            taps = 0.35875 - 0.48829 * np.cos(t) + 0.14128 * np.cos(2 * t) - 0.01168 * np.cos(3 * t)
        kept = np.flatnonzero(taps > 1e-3 * taps.max())
        taps = taps[kept[0] : kept[-1] + 1]
        taps = (taps / taps.sum()).astype(np.float32)
        canvas = cv2.sepFilter2D(canvas, -1, taps, taps, borderType=cv2.BORDER_REPLICATE)
        return np.ascontiguousarray(canvas[SUBPIXELS // 2 :: SUBPIXELS, SUBPIXELS // 2 :: SUBPIXELS])
    return np.asarray(cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA))


def wide_blur(picture: Floats, sigma_px: float) -> Floats:
    """A Gaussian blur, computed at a smaller size where sigma is large."""
    shrink = max(1, int(sigma_px / 3))
    side = picture.shape[0]
    small = cv2.resize(picture, (max(8, side // shrink),) * 2, interpolation=cv2.INTER_AREA)
    sigma = sigma_px * small.shape[0] / side
    blurred = cv2.GaussianBlur(small, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(cv2.resize(blurred, (side, side), interpolation=cv2.INTER_LINEAR))


def _light_up(picture: Floats, shining: Floats, rng: np.random.Generator, scale: float) -> None:
    """Brightens the picture around the emitters, in place."""
    reach = scale * math.exp(rng.uniform(math.log(6), math.log(60)))
    lit = wide_blur(shining, reach)
    strength = math.exp(rng.uniform(math.log(0.3), math.log(6))) / max(0.2, float(lit.max()))
    picture *= 1 + lit * np.float32(strength)


def glare(picture: Floats, rng: np.random.Generator, scale: float = 1.0) -> Floats:
    """The picture with veiling glare, the light that a lens scatters: a few wide Gaussians of small weight."""
    out = picture.copy()
    for sigma in (1.5, 6.0, 25.0):
        share = math.exp(rng.uniform(math.log(5e-4), math.log(1.5e-2)))
        out *= np.float32(1 - share)
        out += np.float32(share) * wide_blur(picture, scale * sigma * math.exp(rng.normal(0, 0.3)))
    return out
