"""Depth in files of bare numbers: npz of ours and of other programs, npy and pfm.

| file | array | what it is, unless told otherwise                                                          |
|------|-------|--------------------------------------------------------------------------------------------|
| .npz | `inverse_depth` and `unit` | ours                                                                  |
| .npz | `depth`, or the only array | metres (Depth Pro); inverse depth where some are 0 (Depth Anything)   |
| .npy | | inverse depth, known up to scale and shift (MiDaS, Depth Anything)                               |
| .pfm | | inverse depth or disparity, known up to scale and shift (MiDaS, Middlebury)                      |
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.optics.inverse_depth import InverseDepth
from deeplens_dof.photo.errors import PhotoError
from deeplens_dof.photo.limits import Limits
from deeplens_dof.types import Plane

NPZ, NPY, PFM = ".npz", ".npy", ".pfm"
SIGNATURES = {NPZ: (b"PK\x03\x04",), NPY: (b"\x93NUMPY",), PFM: (b"Pf\n", b"PF\n", b"Pf\r\n", b"Pf ")}
_OURS = {"inverse_depth.npy", "unit.npy"}
_LONGEST_LINE_BYTES = 100


def read_numbers(file: Path, kind: str, limits: Limits, far_is_bright: bool | None) -> InverseDepth:
    """Inverse depth from a file of `kind`, one of SIGNATURES.

    Args:
        file: a regular file.
        kind: its suffix by content.
        limits: bounds on the file and its array.
        far_is_bright: True for distances, False for inverse depth, None for what such files mostly hold.

    Raises:
        ValueError: one sentence, for a file that is damaged, too large or no depth.
    """
    name = f"the depth file {file.name!r}"
    limits.check_file(name, file.stat().st_size)
    try:
        if kind == NPZ:
            return _npz(file, name, limits, far_is_bright)
        values = _npy(file, name, limits) if kind == NPY else _pfm(file.read_bytes(), name, limits)
        refuse_unknown(name, values)
        return of_distances(values) if far_is_bright else of_inverse(name, values)
    except PhotoError:
        raise
    except Exception as error:  # readers of damaged files raise anything
        text = str(error)
        raise ValueError(text if text.startswith(name) else f"{name} cannot be read: {text}") from error


def of_inverse(name: str, values: Plane, far_is_bright: bool = False) -> InverseDepth:
    """Relative inverse depth of values without a unit, stretched to 0..1. Raises ValueError where all are one."""
    low, high = float(values.min()), float(values.max())
    if not high > low:
        raise ValueError(f"{name} holds one and the same value everywhere: it tells no depth")
    spread = ((values - np.float64(low)) / (np.float64(high) - low)).astype(np.float32)
    return InverseDepth(1 - spread if far_is_bright else spread, "relative")


def of_distances(values: Plane) -> InverseDepth:
    """Relative inverse depth of distances in an unknown unit: 1 is at the nearest, in proportion where all are above 0."""
    nearest = float(values.min())
    if nearest > 0:
        return InverseDepth((nearest / values.astype(np.float64)).astype(np.float32), "relative")
    return of_inverse("the depth", values, far_is_bright=True)


def refuse_unknown(name: str, values: npt.NDArray[Any]) -> None:
    """Raises ValueError for NaN and infinity."""
    unknown = int((~np.isfinite(values)).sum())
    if unknown:
        raise ValueError(f"{name} has {unknown} pixels with NaN or infinity; fill them first")


def _npz(file: Path, name: str, limits: Limits, far_is_bright: bool | None) -> InverseDepth:
    with zipfile.ZipFile(file) as archive:
        members = archive.namelist()
        ours = set(members) >= _OURS
        if ours and archive.getinfo("unit.npy").file_size > 4096:
            raise ValueError("its unit is not a short text, expected 1/m or relative")
        key = "inverse_depth.npy" if ours else _member(members)
        with archive.open(key) as stream:
            _check_header(stream, name, key.removesuffix(".npy"), limits)
    with np.load(file, allow_pickle=False) as arrays:
        values = _plane(arrays[key.removesuffix(".npy")])
        unit = str(arrays["unit"]) if ours else ""
    refuse_unknown(name, values)
    if ours:
        if unit not in ("1/m", "relative"):
            raise ValueError(f"{name} names the unit {unit!r}, expected 1/m or relative")
        return InverseDepth(values.astype(np.float32), "1/m" if unit == "1/m" else "relative")
    if far_is_bright is False or (far_is_bright is None and float(values.min()) <= 0):
        return of_inverse(name, values)
    if float(values.min()) <= 0:
        return of_distances(values)
    return InverseDepth((1 / values.astype(np.float64)).astype(np.float32), "1/m")


def _member(members: Sequence[str]) -> str:
    if "depth.npy" in members:
        return "depth.npy"
    if len(members) == 1:
        return members[0]
    found = ", ".join(name.removesuffix(".npy") for name in members) or "nothing"
    raise ValueError(f"it holds {found}, expected inverse_depth and unit, or depth")


def _npy(file: Path, name: str, limits: Limits) -> Plane:
    with file.open("rb") as stream:
        _check_header(stream, name, "its array", limits)
    return _plane(np.load(file, allow_pickle=False))


def _check_header(stream: IO[bytes], name: str, what: str, limits: Limits) -> None:
    """Rejects an array that is not a map of numbers, or too large, before it is decompressed."""
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, kind = read(stream)
    sides = _sides(shape)
    if len(sides) != 2 or kind.kind not in "fiu" or kind.itemsize > 8:
        raise ValueError(f"{what} is {kind} {shape}, expected numbers (height, width)")
    limits.check_picture(name, sides[1], sides[0])


def _sides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape without leading and trailing axes of 1, as of a batch or a channel, down to two axes."""
    while len(shape) > 2 and 1 in (shape[0], shape[-1]):
        shape = shape[1:] if shape[0] == 1 else shape[:-1]
    return shape


def _plane(values: npt.NDArray[Any]) -> Plane:
    plane: Plane = np.asarray(values).reshape(_sides(np.shape(values)))
    return plane if plane.dtype.kind == "f" else plane.astype(np.float64)


def _pfm(data: bytes, name: str, limits: Limits) -> Plane:
    """A portable float map (netpbm.sourceforge.net/doc/pfm.html): rows from the bottom; a negative scale is little-endian."""
    words: list[bytes] = []
    at = 0
    for _ in range(3):
        end = data.find(b"\n", at, at + _LONGEST_LINE_BYTES)
        if end < 0:
            raise ValueError("its header is cut off")
        words += data[at:end].split()
        at = end + 1
        if len(words) >= 4:
            break
    kind, width, height, scale = words[0], int(words[1]), int(words[2]), float(words[3])
    if kind != b"Pf":
        raise ValueError("it is a colour map, expected one channel (Pf)")
    limits.check_picture(name, width, height)
    order = "<" if scale < 0 else ">"
    if len(data) - at < 4 * width * height:
        raise ValueError(f"it ends too early, expected {4 * width * height:,} bytes of numbers")
    rows = np.frombuffer(data, f"{order}f4", width * height, at).reshape(height, width)
    return np.ascontiguousarray(rows[::-1], np.float32)
