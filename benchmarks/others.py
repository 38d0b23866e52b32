"""Other lens blurs, for comparison. Each takes linear light (H, W, 3), signed CoC (H, W) in px and the number of
threads, and gives linear light."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import gegl_command
import numba as nb
import numpy as np

Render = Callable[[np.ndarray, np.ndarray, int], np.ndarray]
Box = tuple[slice, slice]
SMALLEST_ALPHA = 1e-6


def none(rgb: np.ndarray, coc_px: np.ndarray, threads: int) -> np.ndarray:
    return rgb


def discs(rgb: np.ndarray, coc_px: np.ndarray, threads: int, slices: int = 32) -> np.ndarray:
    """Slices of equal CoC, each with its alpha blurred by its disc (OpenCV), put over each other from the farthest to the
    nearest and divided by the coverage.

    A pixel between two slices is shared by them, which scores 0.6 dB better than the nearer one alone. Each slice is
    filtered only where it reaches, `threads` slices at a time.
    """
    import cv2

    low, high = float(coc_px.min()), float(coc_px.max())
    place = (coc_px - np.float32(low)) * np.float32(
        (slices - 1) / max(high - low, 1e-6)
    )  # (H, W) 0..slices-1
    planes = [np.ascontiguousarray(rgb[..., c]) for c in range(3)]
    total = np.zeros((4, *coc_px.shape), np.float32)  # red, green, blue, each multiplied by alpha, and alpha

    def blurred(number: int) -> tuple[Box | None, list[np.ndarray]]:
        radius = abs(low + number * (high - low) / (slices - 1))
        return _blurred_slice(planes, np.maximum(1 - np.abs(place - np.float32(number)), 0), radius)

    cv2.setNumThreads(1)
    with ThreadPoolExecutor(threads) as pool:
        for first in range(0, slices, threads):  # no more than one slice a thread is held
            for box, part in pool.map(blurred, range(first, min(first + threads, slices))):
                if box:
                    behind = 1 - part[3]
                    for plane, light in zip(total, part, strict=True):
                        plane[box] *= behind
                        plane[box] += light
    total[:3] /= np.maximum(total[3], SMALLEST_ALPHA)
    return np.ascontiguousarray(np.moveaxis(total[:3], 0, 2))


def _blurred_slice(
    planes: list[np.ndarray], alpha: np.ndarray, radius: float
) -> tuple[Box | None, list[np.ndarray]]:
    """Where the slice reaches, and its blurred colours, multiplied by alpha, and alpha there: four of (h, w)."""
    import cv2

    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    if not rows.size:
        return None, []
    kernel = disc_kernel(radius)
    margin = kernel.shape[0] // 2
    box = (
        slice(max(0, rows[0] - margin), rows[-1] + margin + 1),
        slice(max(0, columns[0] - margin), columns[-1] + margin + 1),
    )
    alpha = np.ascontiguousarray(alpha[box])
    light = [*(plane[box] * alpha for plane in planes), alpha]
    return box, [cv2.filter2D(each, -1, kernel, borderType=cv2.BORDER_REPLICATE) for each in light]


def disc_kernel(radius: float, samples: int = 8) -> np.ndarray:
    """The share of a disc in every pixel, sum 1; below a radius of 1 px a 3x3 kernel of the disc's variance.

    The disc is smaller by what pixels, being squares, add to its variance: 1/12.
    """
    if radius < 1:
        variance = radius * radius / 4
        line = np.array([variance / 2, 1 - variance, variance / 2], np.float32)
        return np.outer(line, line)
    radius = math.sqrt(radius * radius - 1 / 3)
    side = 2 * math.ceil(radius - 0.5) + 1
    if radius > 16:  # a rim of one pixel that falls off evenly is as good
        samples = 1
    along = (np.arange(side * samples) + 0.5) / samples - side / 2
    distance = np.hypot(along[:, None], along[None, :]).astype(np.float32)
    inside = np.clip((radius - distance) * samples + 0.5, 0, 1)
    kernel = inside.reshape(side, samples, side, samples).mean((1, 3))
    return kernel / kernel.sum()


def scatter(rgb: np.ndarray, coc_px: np.ndarray, threads: int) -> np.ndarray:
    """Every pixel spread evenly over its own disc, whatever stands before it (Potmesil and Chakravarty 1981); divided by
    the sum of the weights. Threads have a band of rows of the result each."""
    radius = np.maximum(np.abs(coc_px), np.float32(0.5))
    out = np.empty_like(rgb)
    edges = np.linspace(0, len(rgb), 4 * threads + 1).astype(int)
    with ThreadPoolExecutor(threads) as pool:
        bands = pairwise(edges)
        for done in [pool.submit(_scatter, rgb, radius, top, bottom, out) for top, bottom in bands]:
            done.result()
    return out


@nb.njit(nogil=True, fastmath=True, cache=True)
def _scatter(rgb: np.ndarray, radius: np.ndarray, top: int, bottom: int, out: np.ndarray) -> None:
    height, width = radius.shape
    total = np.zeros((bottom - top, width, 4), np.float32)
    for y in range(height):
        for x in range(width):
            r = radius[y, x]
            side = int(math.ceil(r - 0.5))
            if y + side < top or y - side >= bottom:
                continue
            share = np.float32(1 / (math.pi * r * r))
            red, green, blue = rgb[y, x, 0], rgb[y, x, 1], rgb[y, x, 2]
            for yy in range(max(top, y - side), min(bottom, y + side + 1)):
                down = np.float32((yy - y) * (yy - y))
                for xx in range(max(0, x - side), min(width, x + side + 1)):
                    across = np.float32((xx - x) * (xx - x))
                    rim = r + np.float32(0.5) - np.sqrt(down + across)
                    weight = share * min(max(rim, np.float32(0)), np.float32(1))
                    total[yy - top, xx, 0] += weight * red
                    total[yy - top, xx, 1] += weight * green
                    total[yy - top, xx, 2] += weight * blue
                    total[yy - top, xx, 3] += weight
    for y in range(bottom - top):
        for x in range(width):
            for c in range(3):
                out[top + y, x, c] = total[y, x, c] / max(total[y, x, 3], np.float32(1e-6))


def gegl(rgb: np.ndarray, coc_px: np.ndarray, threads: int) -> np.ndarray:
    """GEGL's `lens-blur`, the command's own process each time; see gegl_command."""
    with tempfile.TemporaryDirectory() as folder:
        files = gegl_command.Files(Path(folder), rgb, coc_px)
        gegl_command.run(files, threads)
        return files.result()


OTHERS: dict[str, Render] = {"none": none, "scatter": scatter, "discs": discs, "gegl": gegl}


def why_absent(name: str) -> str | None:
    """A sentence where a method cannot be run here."""
    if name == "gegl" and not gegl_command.installed():
        return "gegl is skipped: the command is not installed (Debian: apt install gegl)"
    if name == "discs" and not find_spec("cv2"):
        return "discs is skipped: OpenCV is not installed (pip install opencv-python-headless)"
    return None
