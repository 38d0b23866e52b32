"""Drawn soft mattes: hair, leaves, twigs, lattices, glass, boards, posts and round shapes."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

Matte = npt.NDArray[np.float32]
_FINE = 8  # fractional bits of coordinates for OpenCV


def shape(rng: np.random.Generator, size: int) -> Matte:
    """A round, closed outline."""
    canvas = _canvas(size)
    _fill(canvas, _outline(rng, size, rng.uniform(0.15, 0.4)))
    return _share(canvas)


def hair(rng: np.random.Generator, size: int) -> Matte:
    """A head of hair: an outline with fine strands that stick out."""
    canvas = _canvas(size)
    outline = _outline(rng, size, rng.uniform(0.15, 0.32))
    _fill(canvas, outline)
    centre, longest = outline.mean(0), rng.uniform(0.04, 0.25) * size
    for _ in range(rng.integers(80, 700)):
        root = outline[rng.integers(len(outline))]
        outwards = (root - centre) / max(float(np.hypot(*(root - centre))), 1.0)
        angle, curl = rng.normal(0, 0.5), rng.normal(0, 1.5)
        along = np.linspace(0, 1, 9)[:, None] * rng.exponential(longest / 2)
        turned = angle + curl * np.linspace(0, 1, 9)
        steps = np.stack([np.cos(turned), np.sin(turned)], 1)
        way = np.stack(
            [outwards[0] * steps[:, 0] - outwards[1] * steps[:, 1],
             outwards[1] * steps[:, 0] + outwards[0] * steps[:, 1]], 1
        )  # fmt: skip
        _line(canvas, root - outwards * 2 + way * along, int(rng.integers(1, 3)), rng.uniform(0.25, 1))
    return _share(canvas)


def leaves(rng: np.random.Generator, size: int) -> Matte:
    """Leaves on a twig, or many of them."""
    canvas = _canvas(size)
    length = rng.uniform(0.03, 0.18) * size
    middle, spread = rng.uniform(0.2, 0.8, 2) * size, rng.uniform(0.1, 0.45) * size
    along = np.linspace(0, math.pi, 12)
    for _ in range(rng.integers(4, 60)):
        here, angle = middle + rng.normal(0, spread, 2), rng.uniform(0, 2 * math.pi)
        long, broad = length * rng.uniform(0.6, 1.3), rng.uniform(0.15, 0.4)
        upper = np.stack([np.cos(along), broad * np.sin(along)], 1) * long / 2
        leaf = np.concatenate([upper, upper[::-1] * (1, -1)])
        turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        _fill(canvas, leaf @ turn + here)
        stem = here + np.array([math.cos(angle), math.sin(angle)]) * long * np.array([[0.5], [0.8]])
        _line(canvas, stem, 2, 1.0)
    return _share(canvas)


def twigs(rng: np.random.Generator, size: int) -> Matte:
    """Branches that fork and taper."""
    canvas = _canvas(size)
    tips = [
        (rng.uniform(0, 1, 2) * size, rng.uniform(0, 2 * math.pi), rng.uniform(0.012, 0.05) * size)
        for _ in range(rng.integers(1, 4))
    ]
    for _ in range(rng.integers(12, 60)):
        if not tips:
            break
        here, angle, width = tips.pop(0)
        there = here + rng.uniform(2, 7) * width * np.array([math.cos(angle), math.sin(angle)])
        _line(canvas, np.stack([here, there]), max(1, round(width)), 1.0)
        if width > 0.6:
            forks = (
                [rng.normal(0, 0.25)] if rng.random() < 0.4 else [rng.normal(0.5, 0.2), rng.normal(-0.5, 0.2)]
            )
            tips += [(there, angle + turn, width * rng.uniform(0.6, 0.92)) for turn in forks]
    return _share(canvas)


def lattice(rng: np.random.Generator, size: int) -> Matte:
    """Bars side by side, often crossed: fences, blinds, window frames, nets."""
    canvas = _canvas(size)
    turn, crossed = rng.uniform(0, math.pi), rng.random() < 0.6
    gap = rng.uniform(0.04, 0.3) * size
    width = max(1, round(gap * rng.uniform(0.03, 0.4)))
    for angle in (turn, turn + math.pi / 2)[: 1 + crossed]:
        along, across = (
            np.array([math.cos(angle), math.sin(angle)]),
            np.array([-math.sin(angle), math.cos(angle)]),
        )
        for k in range(-math.ceil(size / gap), math.ceil(size / gap) + 1):
            middle = size / 2 + across * k * gap
            _line(canvas, np.stack([middle - along * size, middle + along * size]), width, 1.0)
    return _share(canvas)


def glass(rng: np.random.Generator, size: int) -> Matte:
    """A transparent object: a faint body with a firmer rim."""
    outline = _outline(rng, size, rng.uniform(0.12, 0.35))
    body, rim = _canvas(size), _canvas(size)
    _fill(body, outline)
    _line(rim, np.concatenate([outline, outline[:1]]), int(rng.integers(2, 14)), 1.0)
    firm = cv2.GaussianBlur(_share(rim), (0, 0), rng.uniform(0.3, 2.5))
    matte: Matte = np.maximum(_share(body) * rng.uniform(0.05, 0.4), firm * rng.uniform(0.4, 1))
    return matte


def board(rng: np.random.Generator, size: int) -> Matte:
    """A rectangle at any angle, sometimes with a hole."""
    canvas = _canvas(size)
    half = rng.uniform(0.06, 0.4, 2) * size
    angle, middle = rng.normal(0, 0.3), rng.uniform(0.2, 0.8, 2) * size
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    _fill(canvas, corners * half @ turn + middle)
    if rng.random() < 0.3:
        _fill(canvas, corners * half * rng.uniform(0.4, 0.9) @ turn + middle, 0)
    return _share(canvas)


def posts(rng: np.random.Generator, size: int) -> Matte:
    """One or a few slightly rough bars that cross the whole picture."""
    canvas = _canvas(size)
    for _ in range(rng.integers(1, 4)):
        angle = rng.normal(0, 0.3) + (math.pi / 2) * (rng.random() < 0.75)
        along, across = (
            np.array([math.cos(angle), math.sin(angle)]),
            np.array([-math.sin(angle), math.cos(angle)]),
        )
        middle, half = rng.uniform(0, 1, 2) * size, rng.uniform(0.003, 0.12) * size
        t = np.linspace(-1.5, 1.5, 64)[:, None] * size
        rough = half * rng.uniform(0, 0.3) * np.cumsum(rng.normal(0, 0.3, (64, 2)), 0)
        sides = middle + along * t
        _fill(
            canvas,
            np.concatenate(
                [sides + across * (half + rough[:, :1]), (sides - across * (half + rough[:, 1:]))[::-1]]
            ),
        )
    return _share(canvas)


KINDS: tuple[Callable[[np.random.Generator, int], Matte], ...] = (
    shape, hair, leaves, twigs, lattice, glass, board, posts,
)  # fmt: skip
SHARES = (0.18, 0.2, 0.17, 0.12, 0.08, 0.05, 0.1, 0.1)


def any_matte(rng: np.random.Generator, size: int) -> Matte:
    """A matte of a random kind, float32 (size, size), 0..1; its border is sharp or slightly soft."""
    matte = KINDS[rng.choice(len(KINDS), p=SHARES)](rng, size)
    if rng.random() < 0.4:
        matte = cv2.GaussianBlur(matte, (0, 0), rng.uniform(0.4, 2.0))
    return np.ascontiguousarray(matte, np.float32)


def _canvas(size: int) -> npt.NDArray[np.uint8]:
    return np.zeros((size, size), np.uint8)


def _share(canvas: npt.NDArray[np.uint8]) -> Matte:
    return np.asarray(canvas, np.float32) / np.float32(255)


def _fill(canvas: npt.NDArray[np.uint8], outline: npt.NDArray[np.float64], value: int = 255) -> None:
    cv2.fillPoly(canvas, [np.rint(outline * 2**_FINE).astype(np.int32)], value, cv2.LINE_AA, _FINE)


def _line(canvas: npt.NDArray[np.uint8], way: npt.NDArray[np.float64], width: int, opacity: float) -> None:
    line = np.rint(way * 2**_FINE).astype(np.int32)
    cv2.polylines(canvas, [line], False, round(255 * opacity), width, cv2.LINE_AA, _FINE)


def _outline(rng: np.random.Generator, size: int, radius: float) -> npt.NDArray[np.float64]:
    """A closed curve (96, 2) around a point of the picture, with a radius of a few random waves."""
    angle = np.linspace(0, 2 * math.pi, 96, endpoint=False)
    wave = sum(
        rng.normal(0, 0.35 / k**1.4) * np.cos(k * angle + rng.uniform(0, 2 * math.pi)) for k in range(1, 9)
    )
    reach = radius * size * np.exp(np.clip(wave, -1.2, 1.0))
    stretch = np.exp(rng.normal(0, 0.25))
    middle = rng.uniform(0.1, 0.9, 2) * size
    points: npt.NDArray[np.float64] = middle + np.stack(
        [np.cos(angle) * reach * stretch, np.sin(angle) * reach / stretch], 1
    )
    return points
