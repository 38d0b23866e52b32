"""Depth as a point cloud through the pinhole of the lens: PLY, binary little endian.

In metres, with the camera at the origin as viewers expect it: x to the right, y up, z towards the viewer, so the scene has
negative z. Each pixel is a point with the colour of the photo.
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from deeplens_dof.optics.inverse_depth import InverseDepth
from deeplens_dof.optics.thin_lens import FULL_FRAME_WIDTH_MM, Lens

LARGEST_RANGE = 100.0  # times as far as the nearest point; beyond, and at infinity, points are left out
_BAND_ROWS = 256
_POINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1")])
_NAMES = {"<f4": "float", "|u1": "uchar"}


def write_point_cloud(
    stream: BinaryIO, depth: InverseDepth, rgb: npt.NDArray[np.uint8], lens_mm: float, nearest_m: float
) -> int:
    """Writes the points of a photo and returns their number.

    Args:
        stream: a binary file.
        depth: inverse depth (H, W).
        rgb: the photo, sRGB (H, W, 3).
        lens_mm: focal length on a 36 mm wide sensor.
        nearest_m: distance of relative depth 1 in metres.

    Raises:
        ValueError: sizes differ, a number is out of range, or every point lies at infinity.
    """
    if rgb.shape != (*depth.shape, 3) or rgb.dtype != np.uint8:
        raise ValueError(
            f"the photo is {rgb.dtype} {rgb.shape}, expected uint8 {(*depth.shape, 3)} like its depth"
        )
    inverse_m = depth.in_metres(nearest_m)
    least = float(inverse_m.max()) / LARGEST_RANGE
    count = int((inverse_m >= least).sum()) if least > 0 else 0
    if not count:
        raise ValueError("every point of this depth lies at infinity, so that there is no point cloud of it")
    focal_px = Lens(lens_mm).focal_length_mm / FULL_FRAME_WIDTH_MM * depth.shape[1]
    stream.write(_header(depth, count, lens_mm, nearest_m))
    for top in range(0, depth.shape[0], _BAND_ROWS):
        band = slice(top, top + _BAND_ROWS)
        stream.write(_points(inverse_m[band], rgb[band], top, depth.shape, focal_px, least).tobytes())
    return count


def _header(depth: InverseDepth, count: int, lens_mm: float, nearest_m: float) -> bytes:
    placed = f", relative depth with its nearest at {nearest_m:g} m" if depth.is_relative else ""
    lines = [
        "ply",
        "format binary_little_endian 1.0",
        "comment DeepLens: metres, x right, y up, z towards the viewer, camera at the origin",
        f"comment lens of {lens_mm:g} mm on 36 mm{placed}",
        f"element vertex {count}",
        *(f"property {_NAMES[kind.str]} {name}" for name, (kind, *_) in (_POINT.fields or {}).items()),
        "end_header",
    ]
    return ("\n".join(lines) + "\n").encode("ascii")


def _points(
    inverse_m: npt.NDArray[np.float32],
    rgb: npt.NDArray[np.uint8],
    top: int,
    size: tuple[int, int],
    focal_px: float,
    least: float,
) -> npt.NDArray[np.void]:
    """The points of the rows from `top` on, in reading order."""
    rows, columns = np.nonzero(inverse_m >= least)
    metres = 1 / inverse_m[rows, columns].astype(np.float64)
    points = np.empty(len(rows), _POINT)
    points["x"] = (columns + 0.5 - size[1] / 2) / focal_px * metres
    points["y"] = -(rows + top + 0.5 - size[0] / 2) / focal_px * metres
    points["z"] = -metres
    for channel, name in enumerate(("red", "green", "blue")):
        points[name] = rgb[rows, columns, channel]
    return points
