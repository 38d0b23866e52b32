"""Depth files: 16-bit PNG and TIFF, EXR, npz, and points. Near is bright in every picture.

| format     | holds                                                                                     |
|------------|-------------------------------------------------------------------------------------------|
| .png .tiff | 16-bit grey, 0 far .. 65535 near; the text tag ImageDescription names unit and range      |
| .exr       | float channel Z in metres along the optical axis; infinitely far is written as infinity   |
| .npz       | arrays `inverse_depth` float32 (H, W) and `unit`                                          |
| .ply       | points in metres with the photo's colours (see point_cloud.py); not read back             |

Reading also takes grey PNG, TIFF and JPEG pictures of other programs, 8 or 16 bit: near is bright, stretched
to 0..1.
"""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from deeplens_dof.depth.point_cloud import write_point_cloud
from deeplens_dof.optics.inverse_depth import InverseDepth, Unit
from deeplens_dof.runtime.atomic_write import write_atomically

MAX_PIXELS = 200_000_000
WRITTEN = (".png", ".tif", ".tiff", ".exr", ".npz")
POINTS = ".ply"
EXPORTED = (*WRITTEN, POINTS)
_READ = (*WRITTEN, ".jpg", ".jpeg")
_FAR_M = 65504.0  # the largest half-precision number: infinity to many renderers
_TAG = re.compile(r"deeplens inverse depth, unit (\S+), black (\S+), white (\S+)")
_MAGIC = (
    b"\x89PNG",
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"\xff\xd8\xff",
    b"\x76\x2f\x31\x01",
    b"PK\x03\x04",
)
Pixels = npt.NDArray[np.float32]


Scale = tuple[Unit, float, float]  # unit, and the inverse depths of black and white


def read_depth_file(
    path: str | os.PathLike[str], max_pixels: int = MAX_PIXELS, untagged: Scale | None = None
) -> InverseDepth:
    """Inverse depth from a depth file, at the file's own size (see `fit_to`).

    untagged: what a grey picture means that does not say so itself; None stretches it to 0..1. Raises
    FileNotFoundError for no file, ValueError for a format, size or content that is not a depth map.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"there is no depth file {str(file)!r}")
    kind = file.suffix.lower()
    if kind not in _READ:
        raise ValueError(f"the depth file {file.name!r} ends in {kind!r}, expected one of {' '.join(_READ)}")
    with file.open("rb") as stream:
        if not stream.read(4).startswith(_MAGIC):
            raise ValueError(
                f"the depth file {file.name!r} is not a PNG, TIFF, JPEG, EXR or npz file; export it again"
            )
    if kind == ".npz":
        return _read_npz(file, max_pixels)
    pixels, channels, description = _read_picture(file, max_pixels)
    if kind == ".exr":
        return _from_metres(file, pixels, channels)
    return _from_grey(file, pixels, description, untagged)


def write_depth_file(
    path: str | os.PathLike[str],
    depth: InverseDepth,
    nearest_m: float = 1.0,
    rgb: npt.NDArray[np.uint8] | None = None,
    lens_mm: float = 50.0,
) -> None:
    """Writes a depth file in the format of its ending; never leaves half a file.

    nearest_m: distance of relative depth 1, for EXR and PLY, which hold metres. rgb, lens_mm: the photo, sRGB (H, W, 3),
    and its focal length on a 36 mm wide sensor, for PLY. Raises ValueError for another ending, and for PLY without a
    photo; OSError when it cannot be written.
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
    """`depth` at the size of its photo, (height, width).

    rgb: the photo, sRGB uint8 (height, width, 3): borders then snap to its edges; without it depth is
    interpolated. Raises ValueError when the two aspect ratios differ by more than 2 % (and by more than one
    pixel).
    """
    if depth.shape == (height, width):
        return depth
    rows, columns = depth.shape
    ideal = rows * width / height
    if abs(columns - ideal) > max(1.0, 0.02 * ideal) and abs(rows - columns * height / width) > 1.0:
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


def _check_size(file: Path, height: int, width: int, max_pixels: int) -> None:
    if height * width > max_pixels or height < 1 or width < 1:
        raise ValueError(
            f"the depth file {file.name!r} has {width} x {height} pixels, expected at most {max_pixels}; "
            "make it smaller"
        )


def _read_picture(file: Path, max_pixels: int) -> tuple[Pixels, list[str], str]:
    """float32 (H, W, C), integers scaled to 0..1; the channels' names; the text tag."""
    import OpenImageIO as oiio

    picture = oiio.ImageInput.open(str(file))
    if picture is None:
        raise ValueError(f"the depth file {file.name!r} cannot be read ({_reason(oiio.geterror())})")
    try:
        spec = picture.spec()
        _check_size(file, spec.height, spec.width, max_pixels)
        if spec.nchannels > 8 or spec.depth > 1:
            raise ValueError(
                f"the depth file {file.name!r} has {spec.nchannels} channels, expected one of depth"
            )
        pixels = picture.read_image(0, 0, 0, spec.nchannels, oiio.FLOAT)
        if pixels is None or picture.has_error:
            raise ValueError(
                f"the depth file {file.name!r} is damaged ({_reason(picture.geterror())}); export it again"
            )
        shape = (spec.height, spec.width, spec.nchannels)
        return (
            np.asarray(pixels, np.float32).reshape(shape),
            list(spec.channelnames),
            spec.get_string_attribute("ImageDescription"),
        )
    finally:
        picture.close()


def _reason(message: str) -> str:
    return " ".join(message.split()) or "no reason given"


def _from_grey(file: Path, pixels: Pixels, description: str, untagged: Scale | None) -> InverseDepth:
    values = pixels[..., 0]
    colours = pixels[..., : 3 if pixels.shape[2] >= 3 else 1]
    if np.ptp(colours, axis=2).max() > 0.02:
        raise ValueError(
            f"the depth file {file.name!r} is a colour picture, expected grey with near bright and far dark"
        )
    _refuse_unknown(file, values)
    tag = _TAG.match(description)
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
    low, high = float(values.min()), float(values.max())
    if not high > low:
        raise ValueError(
            f"the depth file {file.name!r} holds one and the same value everywhere: it tells no depth"
        )
    return InverseDepth((values - np.float32(low)) / np.float32(high - low), "relative")


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


def _from_metres(file: Path, pixels: Pixels, channels: list[str]) -> InverseDepth:
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


def _refuse_unknown(file: Path, values: npt.NDArray[Any]) -> None:
    unknown = int((~np.isfinite(values)).sum())
    if unknown:
        raise ValueError(
            f"the depth file {file.name!r} has {unknown} pixels with NaN or infinity; fill them first"
        )


def _read_npz(file: Path, max_pixels: int) -> InverseDepth:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            if not {"inverse_depth.npy", "unit.npy"} <= set(names):
                found = ", ".join(name.removesuffix(".npy") for name in names) or "nothing"
                raise ValueError(f"it holds {found}, expected inverse_depth and unit")
            _check_npy_header(file, archive, max_pixels)
        with np.load(file, allow_pickle=False) as arrays:
            values, unit = np.asarray(arrays["inverse_depth"]), str(arrays["unit"])
    except Exception as error:  # readers of damaged archives raise anything
        raise ValueError(f"the depth file {file.name!r} cannot be read: {error}") from error
    _refuse_unknown(file, values)
    if unit not in ("1/m", "relative"):
        raise ValueError(f"the depth file {file.name!r} names the unit {unit!r}, expected 1/m or relative")
    return InverseDepth(values.astype(np.float32), "1/m" if unit == "1/m" else "relative")


def _check_npy_header(file: Path, archive: zipfile.ZipFile, max_pixels: int) -> None:
    """Refuses an array that is no map of numbers or too large, before anything is unpacked."""
    if archive.getinfo("unit.npy").file_size > 4096:
        raise ValueError("its unit is not a short text, expected 1/m or relative")
    with archive.open("inverse_depth.npy") as stream:
        version = np.lib.format.read_magic(stream)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, kind = read(stream)
    if len(shape) != 2 or kind.kind not in "fiu" or kind.itemsize > 8:
        raise ValueError(f"inverse_depth is {kind} {shape}, expected numbers (height, width)")
    _check_size(file, shape[0], shape[1], max_pixels)


def scale_of(depth: InverseDepth) -> Scale:
    """What black and white mean in a grey picture of this depth: 0 and 1 where that holds it, else its own range."""
    black, white = min(0.0, float(depth.values.min())), max(float(depth.values.max()), 1e-12)
    if depth.unit == "relative" and black == 0.0 and white <= 1.0:
        white = 1.0
    return depth.unit, black, white


def codes_of(values: Pixels, black: float, white: float) -> npt.NDArray[np.uint16]:
    """Inverse depth as the 16-bit codes of a grey picture; beyond its ends it is clipped."""
    codes = np.clip(np.rint((values - np.float64(black)) * (65535 / (white - black))), 0, 65535)
    return codes.astype(np.uint16)


def write_grey(stream: BinaryIO, depth: InverseDepth, kind: str = ".png", scale: Scale | None = None) -> None:
    """A 16-bit grey PNG or TIFF, near is bright. scale: None is `scale_of` it."""
    from PIL import Image, PngImagePlugin

    _, black, white = scale or scale_of(depth)
    grey = codes_of(depth.values, black, white)
    text = f"deeplens inverse depth, unit {depth.unit}, black {black!r}, white {white!r}"
    picture = Image.fromarray(grey)
    if kind == ".png":
        tags = PngImagePlugin.PngInfo()
        tags.add_text("Description", text)
        picture.save(stream, "PNG", pnginfo=tags)
    else:
        picture.save(stream, "TIFF", tiffinfo={270: text}, compression="tiff_adobe_deflate")


def _write_exr(stream: BinaryIO, inverse_m: Pixels) -> None:
    import OpenImageIO as oiio

    height, width = inverse_m.shape
    with np.errstate(divide="ignore"):
        metres = np.where(inverse_m > 0, np.float32(1) / inverse_m, np.float32(np.inf)).astype(np.float32)
    spec = oiio.ImageSpec(width, height, 1, oiio.FLOAT)
    spec.channelnames = ("Z",)
    spec.attribute("compression", "zip")
    output = oiio.ImageOutput.create("exr")
    written = output is not None and output.open(stream.name, spec) and output.write_image(metres[..., None])
    if output is None or not (output.close() and written):
        raise OSError(f"the EXR depth file cannot be written: {_reason(oiio.geterror())}")
