"""Depth borders: soft ramps of the network become steps on the edges of objects.

From coarse to fine: where the map has a step (not a slope), every pixel in the uncertain band around it is assigned to the
near or the far side. The evidence comes from pixels around it whose side is certain: the likelihood of a side is how well
their colours match (a kernel density estimate), the prior is the share of near pixels (a mean-field step). Elsewhere the
map is left as the network predicted it, so that no texture gets into the depth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from deeplens_dof.imaging.resize import resize, resize_picture
from deeplens_dof.runtime.threads import for_bands

Map = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]

_COLOUR_SIGMA = 20.0  # sRGB codes by which colours of one object differ
# Height of a step as a share of the depth range: left alone below the first, sharpened fully above the second.
_STEP = (0.08, 0.18)
_SLOPE = (1.3, 1.7)  # range in a window twice as large over that in the window: 1 for a step, 2 for a plane
_MATTE_WEIGHT = 0.75  # of a matte that clearly separates the sides of a step, against colour and prior
_FEW = 1.0  # times the coarse size: a picture no larger than the map has no finer edges
_WIDE_WINDOW_PX = 8  # beyond this radius every second pixel counts as evidence


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass. Lengths are in pixels of the coarse map.

    enlargement: working size over the coarse size; None is the picture's own size. doubt: half width of the band in which a
    step may lie. window: radius within which evidence is collected. prior: weight of the neighbourhood against the colours.
    """

    enlargement: float | None
    doubt: float
    window: float
    prior: float


FROM_NETWORK = (Pass(1, 10, 16, 2.0), Pass(1, 6, 8, 5.0), Pass(3, 2.5, 2.7, 4.5), Pass(None, 1.0, 0.8, 4.5))
FROM_SENSOR = (Pass(2, 1.5, 3, 3.0), Pass(None, 1.0, 1.5, 4.5))


def refine(
    coarse: Map,
    rgb: Picture,
    passes: tuple[Pass, ...] = FROM_NETWORK,
    threads: int | None = None,
    matte: Map | None = None,
) -> Map:
    """Inverse depth at the size of a photo, with borders on its edges.

    Args:
        coarse: (h, w), any scale, near is larger.
        rgb: sRGB uint8 (H, W, 3).
        passes: FROM_NETWORK for maps whose borders are ramps of several pixels, FROM_SENSOR for measured ones.
        threads: None is one per core.
        matte: of a subject, 0..1, any size; helps to place a step where it separates its two sides.

    Returns:
        float32 (H, W), within the range of `coarse`.
    """
    height, width = rgb.shape[:2]
    far, near = float(coarse.min()), float(coarse.max())
    full = max(height, width) / max(coarse.shape)
    depth, scale = coarse, 1.0
    for step in passes:
        finer = min(full, step.enlargement or full)
        if (
            finer < scale
            or (step.enlargement is None and finer == scale)
            or full < min(_FEW, step.enlargement or _FEW)
        ):
            continue
        size = (
            (height, width) if finer == full else (round(height * finer / full), round(width * finer / full))
        )
        guide = resize_picture(rgb, max(1, size[0]), max(1, size[1]))
        depth = _snap(
            depth,
            guide,
            near - far,
            round(step.doubt * scale),
            round(step.window * finer),
            step.prior,
            threads,
            matte,
        )
        scale = finer
    return np.clip(resize(depth, height, width), far, near)


def _snap(
    depth: Map,
    guide: Picture,
    depth_range: float,
    doubt_px: int,
    window_px: int,
    prior: float,
    threads: int | None,
    matte: Map | None,
) -> Map:
    """`depth` at the size of `guide`, with its steps aligned with the guide's edges."""
    from deeplens_dof.depth.refine_kernels import StepMaps, Witnesses, affinity_table, snap_rows

    height, width = guide.shape[:2]
    large = resize(depth, height, width)
    low, high, gate = _steps(depth, max(1, doubt_px), depth_range)
    if not gate.any():
        return large
    out = np.empty_like(large)
    window_px = max(2, window_px)
    distance = np.arange(window_px + 1) / window_px
    nearness = np.exp(-0.5 * (distance / 0.6) ** 2).astype(np.float32)
    affinity = affinity_table(_COLOUR_SIGMA)
    matte_weight = 0.0 if matte is None else _MATTE_WEIGHT
    tells = np.zeros((1, 1), np.float32) if matte is None else matte
    stride = 1 if window_px <= _WIDE_WINDOW_PX else 2

    steps, witnesses = (
        StepMaps(low, high, gate),
        Witnesses(affinity, nearness, stride, prior, tells, matte_weight),
    )

    def work(first: int, last: int) -> None:
        snap_rows(out, first, last, large, guide, steps, witnesses)

    for_bands(work, height, threads)
    return out


def _steps(depth: Map, radius: int, depth_range: float) -> tuple[Map, Map, Map]:
    """Depth behind and in front of the step around every pixel, and 0..1: how much it is a step rather than a slope."""
    from deeplens_dof.depth.refine_kernels import extremes

    low, high = extremes(depth, radius)
    continued = _continued(depth, 2 * radius)
    contrast, wide = (
        _inner(np.subtract(*extremes(continued, r)[::-1]), 2 * radius) for r in (radius, 2 * radius)
    )
    size = np.clip((contrast / max(depth_range, 1e-12) - _STEP[0]) / (_STEP[1] - _STEP[0]), 0, 1)
    sharp = np.clip((_SLOPE[1] - wide / np.maximum(contrast, 1e-12)) / (_SLOPE[1] - _SLOPE[0]), 0, 1)
    return low, high, (size * sharp).astype(np.float32)


def _continued(depth: Map, width: int) -> Map:
    """`depth` padded by that width with its slopes extrapolated, so that a slope looks like one at the border too."""
    if min(depth.shape) < 2:
        return np.pad(depth, width, mode="edge")
    return np.pad(depth, width, mode="reflect", reflect_type="odd")


def _inner(values: Map, width: int) -> Map:
    return values[width:-width, width:-width]
