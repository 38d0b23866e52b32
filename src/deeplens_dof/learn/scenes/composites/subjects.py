"""Whole photos composed of a subject with a known soft matte before a background.

Three kinds of subjects: cut out by true alpha, cut out by a mask with fur or hair drawn along its outline, and drawn mattes
with the texture of a photo. The background is another photo, often out of focus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from deeplens_dof.imaging.color import linear_to_srgb, srgb_to_linear
from deeplens_dof.learn.scenes.composites import mattes

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]
Kind = Literal["alpha", "mask", "drawn"]
SHARES: dict[Kind, float] = {"alpha": 0.3, "mask": 0.5, "drawn": 0.2}
LONG_SIDE = 640
STRANDS_SHARE = 0.75  # of the subjects with a mask: the part that gets fur or hair
_FINE = 6  # fractional bits of coordinates for OpenCV
_TWICE = 2  # mattes are drawn at this many times their size


@dataclass(frozen=True)
class SubjectSources:
    """Files to compose from. alpha, masks: pairs of a photo and its alpha or mask. photos: of backgrounds."""

    alpha: Sequence[tuple[Path, Path]]
    masks: Sequence[tuple[Path, Path]]
    photos: Sequence[Path]


class CutOut(NamedTuple):
    """A subject: its own colour, (h, w, 3) linear light, continued beyond its border, and its alpha (h, w), 0..1."""

    colour: Floats
    alpha: Floats


class Composite(NamedTuple):
    """A composed photo.

    rgb: (H, W, 3) sRGB uint8. alpha: (H, W), 0..1. front, back: (H, W, 3), linear light, the colours of the subject and of
    what is behind it. kind: of the subject.
    """

    rgb: Bytes
    alpha: Floats
    front: Floats
    back: Floats
    kind: Kind


def compose(rng: np.random.Generator, sources: SubjectSources) -> Composite:
    """A random subject before a random background.

    Raises:
        ValueError: there is no photo, or no subject of the kind that was drawn.
    """
    kinds = [
        kind
        for kind in SHARES
        if kind == "drawn" or getattr(sources, "alpha" if kind == "alpha" else "masks")
    ]
    shares = np.array([SHARES[kind] for kind in kinds])
    kind = kinds[int(rng.choice(len(kinds), p=shares / shares.sum()))]
    size = (LONG_SIDE, 480) if rng.random() < 0.6 else (480, LONG_SIDE)
    back = _background(rng, sources.photos, size)
    subject = _placed(_cut_out(rng, kind, sources), rng, size)
    front = subject.colour * np.float32(np.exp(rng.normal(0, 0.25)))
    alpha = subject.alpha[..., None]
    light = alpha * front + (1 - alpha) * back
    return Composite(_as_photo(light, rng), subject.alpha, front, back, kind)


def _cut_out(rng: np.random.Generator, kind: Kind, sources: SubjectSources) -> CutOut:
    if kind == "alpha":
        photo, matte = sources.alpha[int(rng.integers(len(sources.alpha)))]
        alpha = _share(_read(matte, "L"))
        return CutOut(own_colour(srgb_to_linear(_read(photo, "RGB")), alpha), alpha)
    if kind == "mask":
        photo, mask = sources.masks[int(rng.integers(len(sources.masks)))]
        return _furred(_read(photo, "RGB"), _read(mask, "L"), rng)
    side = 512
    alpha = mattes.any_matte(rng, side)
    return CutOut(_background(rng, sources.photos, (side, side)), alpha)


def own_colour(light: Floats, alpha: Floats) -> Floats:
    """The subject's own colour, (h, w, 3), from the pixels that it covers wholly, continued beyond them.

    Where it covers a part, the mixture is solved for it with the background continued from outside (both by averages of
    ever larger windows), and bounded by the colours around.
    """
    front, back = (_continued(light, weight) for weight in (alpha > 0.97, alpha < 0.03))
    share = alpha[..., None]
    solved = (light - (1 - share) * back) / np.maximum(share, np.float32(0.2))
    window = np.ones((9, 9), np.uint8)
    sure = alpha > 0.97
    low = cv2.erode(np.where(sure[..., None], light, front), window)
    high = cv2.dilate(np.where(sure[..., None], light, front), window)
    return np.asarray(np.clip(solved, low, high) * share + front * (1 - share), np.float32)


def _share(codes: Bytes) -> Floats:
    """0..1 of 8-bit codes."""
    return np.asarray(codes, np.float32) / np.float32(255)


def _continued(light: Floats, where: npt.NDArray[np.bool_]) -> Floats:
    """The colours of some pixels continued over the others: from coarse to fine averages."""
    weight = where.astype(np.float32)
    levels = [(light * weight[..., None], weight)]
    while min(levels[-1][1].shape) > 2:
        size = tuple(max(1, side // 2) for side in levels[-1][1].shape[::-1])
        levels.append(tuple(cv2.resize(part, size, interpolation=cv2.INTER_AREA) for part in levels[-1]))
    total, count = levels[-1]
    found = total / np.maximum(count, np.float32(1e-4))[..., None]
    for total, count in levels[-2::-1]:
        found = cv2.resize(found, count.shape[::-1], interpolation=cv2.INTER_LINEAR)
        known = np.clip(count, 0, 1)[..., None]
        found = known * (total / np.maximum(count, np.float32(1e-4))[..., None]) + (1 - known) * found
    return np.asarray(found, np.float32)


def _furred(rgb: Bytes, mask: Bytes, rng: np.random.Generator) -> CutOut:
    """A subject cut out by its mask, drawn in a little, its border soft, with strands along a part of it."""
    light = srgb_to_linear(rgb)
    height, width = mask.shape
    inside = cv2.erode((mask > 127).astype(np.uint8), np.ones((5, 5), np.uint8))
    size = (_TWICE * width, _TWICE * height)
    canvas = cv2.resize(inside * 255, size, interpolation=cv2.INTER_LINEAR)
    canvas = np.where(cv2.GaussianBlur(canvas, (0, 0), 2.5) > 127, 255, 0).astype(np.uint8)
    colour = cv2.resize(_continued(light, inside > 0), size, interpolation=cv2.INTER_LINEAR)
    if rng.random() < STRANDS_SHARE:
        _draw_strands(canvas, colour, rng)
    softness = rng.uniform(0.5, 1.6) if rng.random() < 0.8 else rng.uniform(1.6, 4)
    alpha = _share(cv2.GaussianBlur(canvas, (0, 0), softness))
    small = (width, height)
    return CutOut(
        np.asarray(cv2.resize(colour, small, interpolation=cv2.INTER_AREA), np.float32),
        np.asarray(cv2.resize(alpha, small, interpolation=cv2.INTER_AREA), np.float32),
    )


def _draw_strands(canvas: Bytes, colour: Floats, rng: np.random.Generator) -> None:
    """Fur, or hair, in the subject's own colour, along one to four stretches of its outline; changes both arrays."""
    outlines, _ = cv2.findContours(canvas, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outlines:
        return
    outline = max(outlines, key=len)[:, 0].astype(np.float64)
    count, scale = len(outline), max(canvas.shape)
    if count < 40:
        return
    outwards = _outward(outline)
    longest = scale * float(np.exp(rng.uniform(np.log(0.008), np.log(0.11))))
    style = rng.uniform(0, 0.6), rng.normal(0, 1.2), rng.uniform(0.2, 1)  # spread of angles, curl, opacity
    for _ in range(int(rng.integers(1, 5))):
        first, stretch = int(rng.integers(count)), int(count * rng.uniform(0.05, 0.45))
        lean = rng.normal(0, 0.7)
        for _ in range(int(stretch * rng.uniform(0.15, 1.6))):
            at = (first + int(rng.integers(max(1, stretch)))) % count
            _draw_strand(canvas, colour, rng, (outline[at], outwards[at]), longest, lean, style)


def _outward(outline: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Unit normals of a closed outline that point out of it, (N, 2)."""
    along = np.roll(outline, -4, 0) - np.roll(outline, 4, 0)
    normals = np.stack([along[:, 1], -along[:, 0]], 1)
    area = np.sum(outline[:, 0] * np.roll(outline[:, 1], -1) - np.roll(outline[:, 0], -1) * outline[:, 1])
    normals *= 1 if area > 0 else -1
    return normals / np.maximum(np.hypot(*normals.T), 1e-6)[:, None]


def _draw_strand(
    canvas: Bytes,
    colour: Floats,
    rng: np.random.Generator,
    root: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
    longest: float,
    lean: float,
    style: tuple[float, float, float],
) -> None:
    """One strand from a root (place, outward normal)."""
    (place, normal), (spread, curl, opacity) = root, style
    along = np.linspace(0, 1, 7)[:, None] * min(rng.exponential(longest / 2), 2 * longest)
    angles = lean + rng.normal(0, spread) + (curl + rng.normal(0, 0.5)) * np.linspace(0, 1, 7)
    turned = np.stack(
        [normal[0] * np.cos(angles) - normal[1] * np.sin(angles),
         normal[0] * np.sin(angles) + normal[1] * np.cos(angles)], 1
    )  # fmt: skip
    inner = place - normal * 6
    way = np.rint((place - normal * 3 + turned * along) * 2**_FINE).astype(np.int32)
    row, column = (int(np.clip(v, 0, n - 1)) for v, n in zip(inner[::-1], canvas.shape, strict=True))
    shade = colour[row, column] * np.float32(np.exp(rng.normal(0, 0.2)))
    width = int(rng.choice((1, 2, 3), p=(0.55, 0.35, 0.1)))
    cv2.polylines(colour, [way], False, tuple(map(float, shade)), width + 3, cv2.LINE_8, _FINE)
    drawn = np.zeros_like(canvas[:1, :1])
    left, top = (np.maximum(way.min(0) / 2**_FINE - 4, 0)).astype(int)
    right, bottom = (way.max(0) / 2**_FINE + 5).astype(int)
    part = canvas[top:bottom, left:right]
    if not part.size:
        return
    drawn = np.zeros_like(part)
    moved = way - np.array([left, top]) * 2**_FINE
    cv2.polylines(drawn, [moved], False, round(255 * rng.uniform(opacity, 1)), width, cv2.LINE_AA, _FINE)
    np.maximum(part, drawn, out=part)


def _placed(cut: CutOut, rng: np.random.Generator, size: tuple[int, int]) -> CutOut:
    """The subject at a random size and place in a picture of that size (width, height)."""
    width, height = size
    rows, columns = np.flatnonzero((cut.alpha > 0.1).any(1)), np.flatnonzero((cut.alpha > 0.1).any(0))
    if not len(rows):
        return CutOut(np.zeros((height, width, 3), np.float32), np.zeros((height, width), np.float32))
    extent = max((rows[-1] - rows[0]) / height, (columns[-1] - columns[0]) / width)
    scale = rng.uniform(0.4, 1.15) / max(extent, 0.05)
    scale = min(scale, 1.8)
    middle = (columns[0] + columns[-1]) / 2, (rows[0] + rows[-1]) / 2
    target = rng.uniform(0.3, 0.7) * width, rng.uniform(0.4, 0.75) * height
    angle, mirrored = rng.normal(0, 0.1), -1.0 if rng.random() < 0.5 else 1.0
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turn[:, 0] *= mirrored
    move = np.column_stack([turn, np.array(target) - turn @ np.array(middle)])
    if scale < 1:
        blur = 0.5 / scale - 0.5
        cut = CutOut(*(cv2.GaussianBlur(part, (0, 0), blur) if blur > 0.1 else part for part in cut))
    colour = cv2.warpAffine(cut.colour, move, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(cut.alpha, move, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return CutOut(np.maximum(colour, 0), np.clip(alpha, 0, 1))


def _background(rng: np.random.Generator, photos: Sequence[Path], size: tuple[int, int]) -> Floats:
    """A part of a photo, (h, w, 3) linear light, three times of five out of focus. size: width and height."""
    rgb = _read(photos[int(rng.integers(len(photos)))], "RGB")
    height, width = rgb.shape[:2]
    part = rng.uniform(0.4, 1)
    rows = int(min(height, width * size[1] / size[0]) * part)
    columns = int(rows * size[0] / size[1])
    top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
    piece = rgb[top : top + rows, left : left + columns]
    light = srgb_to_linear(
        cv2.resize(piece, size, interpolation=cv2.INTER_AREA if rows > size[1] else cv2.INTER_CUBIC)
    )
    if rng.random() < 0.5:
        light = light[:, ::-1]
    if rng.random() < 0.6:
        light = cv2.GaussianBlur(light, (0, 0), float(np.exp(rng.uniform(-0.7, 2.3))))
    return np.ascontiguousarray(light * np.float32(np.exp(rng.normal(0, 0.3))), np.float32)


def _as_photo(light: Floats, rng: np.random.Generator) -> Bytes:
    """8-bit sRGB with noise, sometimes softened or from a JPEG."""
    if rng.random() < 0.3:
        light = cv2.GaussianBlur(light, (0, 0), rng.uniform(0.3, 0.9))
    tone = linear_to_srgb(np.clip(light, 0, 1), np.float32)
    tone = tone + rng.standard_normal(tone.shape, np.float32) * np.float32(rng.uniform(0, 0.02))
    rgb = np.clip(np.rint(tone * 255), 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        _, encoded = cv2.imencode(".jpg", rgb, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(60, 96))])
        rgb = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    return np.asarray(rgb, np.uint8)


@lru_cache(maxsize=256)
def _read(path: Path, mode: str) -> Bytes:
    with Image.open(path) as picture:
        return np.asarray(picture.convert(mode))
