"""Depth files: 16-bit PNG and TIFF, EXR, npz, and point clouds. Near is bright in every picture.

| format     | content                                                                                   |
|------------|-------------------------------------------------------------------------------------------|
| .png .tiff | 16-bit grey, 0 far .. 65535 near; the text tag ImageDescription gives unit and range      |
| .exr       | float channel Z in metres along the optical axis; infinitely far is written as infinity   |
| .npz       | arrays `inverse_depth` float32 (H, W) and `unit`                                          |
| .ply       | points in metres with the photo's colours (see point_cloud.py); write only                |

Grey PNG, TIFF and JPEG files of other programs, 8 or 16 bit, are read with near as bright, stretched to 0..1, and so are
pictures in one of the usual colour maps (see colormap.py); arrays of other programs see number_files.py.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from deeplens_dof.depth import number_files
from deeplens_dof.depth.colormap import COLOUR_MAPS, from_colours
from deeplens_dof.depth.number_files import of_inverse, read_numbers, refuse_unknown
from deeplens_dof.depth.point_cloud import write_point_cloud
from deeplens_dof.imaging.aspect import aspects_differ
from deeplens_dof.optics.inverse_depth import InverseDepth, Unit
from deeplens_dof.photo.codecs.formats import SIGNATURE_BYTES
from deeplens_dof.photo.codecs.samples import (
    StoredSamples,
    grey_bytes,
    plane_bytes,
    read_samples,
    sample_format,
)
from deeplens_dof.photo.limits import COMMAND_LINE_LIMITS, Limits
from deeplens_dof.runtime.atomic_write import write_atomically

WRITTEN = (".png", ".tif", ".tiff", ".exr", ".npz")
POINTS = ".ply"
EXPORTED = (*WRITTEN, POINTS)
READ = (*WRITTEN, ".jpg", ".jpeg", number_files.NPY, number_files.PFM)
_FAR_M = 65504.0  # the largest half-precision number: infinity to many renderers
_TAG = re.compile(r"deeplens inverse depth, unit (\S+), black (\S+), white (\S+)")
Pixels = npt.NDArray[np.float32]


Scale = tuple[Unit, float, float]  # unit, and the inverse depths of black and white


def read_depth_file(
    path: str | os.PathLike[str],
    max_pixels: int | None = None,
    untagged: Scale | None = None,
    limits: Limits = COMMAND_LINE_LIMITS,
    far_is_bright: bool | None = None,
) -> InverseDepth:
    """Inverse depth from a depth file, at its own size (see `fit_to`).

    Args:
        path: the file; its content determines the format.
        max_pixels: a tighter bound than that of `limits`, or None.
        untagged: unit and range of a grey picture without a text tag; None stretches it to 0..1.
        limits: bounds on the file and its header, the same as for a photo.
        far_is_bright: whether far is bright, or the larger number, in a picture or array that does not say what it holds;
            None is what such files mostly hold (near is bright; metres in an npz of `depth`).

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: its format, size or content is not that of a depth map.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"there is no depth file {str(file)!r}")
    kind = file.suffix.lower()
    if kind not in READ:
        raise ValueError(f"the depth file {file.name!r} ends in {kind!r}, expected one of {' '.join(READ)}")
    with file.open("rb") as stream:
        found = suffix_by_content(stream.read(SIGNATURE_BYTES))
    if found is None:
        raise ValueError(
            f"the depth file {file.name!r} is not a PNG, TIFF, JPEG, EXR, npz, npy or pfm file; export it again"
        )
    if max_pixels is not None:
        limits = replace(limits, max_pixels=min(max_pixels, limits.max_pixels))
    if found in number_files.SIGNATURES:
        return read_numbers(file, found, limits, far_is_bright)
    samples = read_samples(file, limits, kind="float", name=f"the depth file {file.name!r}")
    if samples.format == "EXR":
        return _from_metres(file, samples)
    return _from_grey(file, samples, untagged, bool(far_is_bright))


def suffix_by_content(head: bytes) -> str | None:
    """The suffix of a depth file from its first SIGNATURE_BYTES bytes; None when it is not one."""
    for kind, signatures in number_files.SIGNATURES.items():
        if head.startswith(signatures):
            return kind
    form = sample_format(head)
    return None if form is None else form.suffixes[0]


def write_depth_file(
    path: str | os.PathLike[str],
    depth: InverseDepth,
    nearest_m: float = 1.0,
    rgb: npt.NDArray[np.uint8] | None = None,
    lens_mm: float = 50.0,
) -> None:
    """Write a depth file in the format of its suffix, completely or not at all.

    Args:
        path: the file, with one of the suffixes in EXPORTED.
        depth: the depth map.
        nearest_m: distance of relative depth 1 in metres, for EXR and PLY, which are metric.
        rgb: the photo, sRGB (H, W, 3), for PLY.
        lens_mm: its focal length on a 36 mm wide sensor, for PLY.

    Raises:
        ValueError: another suffix, or PLY without a photo.
        OSError: the file cannot be written.
    """
    file = Path(path)
    kind = file.suffix.lower()
    if kind not in EXPORTED:
        raise ValueError(
            f"the depth file {file.name!r} ends in {kind!r}, expected one of {' '.join(EXPORTED)}"
        )
    if kind == POINTS and rgb is None:
        raise ValueError(f"{file.name!r} is to hold coloured points, and no photo was given; give it as rgb")

    def write(stream: BinaryIO) -> None:
        if kind == ".npz":
            np.savez_compressed(stream, inverse_depth=depth.values, unit=np.array(depth.unit))
        elif kind == ".exr":
            _write_exr(stream, depth.in_metres(nearest_m))
        elif rgb is not None and kind == POINTS:
            write_point_cloud(stream, depth, rgb, lens_mm, nearest_m)
        else:
            write_grey(stream, depth, kind)

    write_atomically(file, write)


def fit_to(
    depth: InverseDepth, height: int, width: int, rgb: npt.NDArray[np.uint8] | None = None
) -> InverseDepth:
    """`depth` at the size of its photo.

    Args:
        depth: a map of any size.
        height, width: size of the photo in px.
        rgb: the photo, sRGB uint8 (height, width, 3): aligns borders with its edges. Without it depth is interpolated.

    Raises:
        ValueError: the aspect ratios differ by more than 2 % (and by more than one pixel).
    """
    if depth.shape == (height, width):
        return depth
    if aspects_differ((height, width), depth.shape):
        rows, columns = depth.shape
        raise ValueError(
            f"the depth map is {columns} x {rows} pixels and the photo {width} x {height}: their aspects "
            "differ by more than 2 %, so they do not show the same frame; crop or export the depth again"
        )
    from deeplens_dof.depth.refine import FROM_SENSOR, refine
    from deeplens_dof.imaging.resize import resize

    if rgb is None:
        return InverseDepth(resize(depth.values, height, width), depth.unit)
    if rgb.shape != (height, width, 3) or rgb.dtype != np.uint8:
        raise ValueError(f"the photo is {rgb.dtype} {rgb.shape}, expected uint8 ({height}, {width}, 3)")
    return InverseDepth(refine(depth.values, rgb, FROM_SENSOR), depth.unit)


def _from_grey(
    file: Path, samples: StoredSamples, untagged: Scale | None, far_is_bright: bool
) -> InverseDepth:
    pixels, name = samples.values, f"the depth file {file.name!r}"
    values = pixels[..., 0]
    refuse_unknown(name, pixels)
    colours = pixels[..., : 3 if pixels.shape[2] >= 3 else 1]
    if np.ptp(colours, axis=2).max() > 0.02:
        found = from_colours(np.rint(np.clip(colours, 0, 1) * 255).astype(np.uint8))
        if found is None:
            raise ValueError(
                f"{name} is a colour picture, expected grey with near bright and far dark, or the colours of "
                f"{', '.join(COLOUR_MAPS[1:])}; export it in grey"
            )
        return of_inverse(name, found[1], far_is_bright)
    tag = _TAG.match(samples.description)
    if tag:
        black, white = _number(file, tag[2]), _number(file, tag[3])
        if tag[1] not in ("1/m", "relative"):
            raise ValueError(
                f"the depth file {file.name!r} names the unit {tag[1]!r}, expected 1/m or relative"
            )
        named: Unit = "1/m" if tag[1] == "1/m" else "relative"
        return InverseDepth((black + values * np.float64(white - black)).astype(np.float32), named)
    if untagged:
        unit, black, white = untagged
        return InverseDepth((black + values * np.float64(white - black)).astype(np.float32), unit)
    return of_inverse(name, values, far_is_bright)


def _number(file: Path, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise ValueError(
            f"the depth file {file.name!r} has the range {text!r} in its text tag, expected a number"
        )
    return value


def _from_metres(file: Path, samples: StoredSamples) -> InverseDepth:
    pixels, channels = samples.values, samples.channels
    names = [name.rsplit(".", 1)[-1].lower() for name in channels]
    if "z" not in names and len(names) > 1:
        raise ValueError(
            f"the depth file {file.name!r} has the channels {', '.join(channels)}, expected Z (metres)"
        )
    metres = pixels[..., names.index("z") if "z" in names else 0]
    if np.isnan(metres).any() or (metres < 0).any():
        bad = int(np.isnan(metres).sum() + (metres < 0).sum())
        raise ValueError(
            f"the depth file {file.name!r} has {bad} pixels with NaN or negative metres; fill them first"
        )
    far = (metres == 0) | (metres >= _FAR_M)
    with np.errstate(divide="ignore", over="ignore"):
        inverse = np.where(far, np.float32(0), np.float32(1) / metres)
    if not np.isfinite(inverse).all():
        raise ValueError(
            f"the depth file {file.name!r} has pixels nearer than any lens can be; expected metres in Z"
        )
    return InverseDepth(inverse, "1/m")


def scale_of(depth: InverseDepth) -> Scale:
    """Unit and range of a grey picture of this depth.

    The range is 0..1 for relative depth within it, else from 0 (or the lowest value below it) to the highest value.
    """
    black, white = min(0.0, float(depth.values.min())), max(float(depth.values.max()), 1e-12)
    if depth.is_relative and black == 0.0 and white <= 1.0:
        white = 1.0
    return depth.unit, black, white


def grey_codes(values: Pixels, black: float, white: float) -> npt.NDArray[np.uint16]:
    """Inverse depth as 16-bit codes of a grey picture, clipped to its range."""
    codes = np.clip(np.rint((values - np.float64(black)) * (65535 / (white - black))), 0, 65535)
    return codes.astype(np.uint16)


def write_grey(stream: BinaryIO, depth: InverseDepth, kind: str = ".png", scale: Scale | None = None) -> None:
    """Writes a 16-bit grey PNG or TIFF, near is bright. scale: None is `scale_of(depth)`."""
    _, black, white = scale or scale_of(depth)
    text = f"deeplens inverse depth, unit {depth.unit}, black {black!r}, white {white!r}"
    stream.write(grey_bytes(grey_codes(depth.values, black, white), kind, text))


def _write_exr(stream: BinaryIO, inverse_m: Pixels) -> None:
    with np.errstate(divide="ignore"):
        metres = np.where(inverse_m > 0, np.float32(1) / inverse_m, np.float32(np.inf)).astype(np.float32)
    stream.write(plane_bytes(metres, "Z", {"compression": "zip"}))
