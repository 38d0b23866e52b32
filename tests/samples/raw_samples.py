"""A camera's RAW made by hand: a DNG (Adobe DNG 1.4) of 16-bit samples behind a Bayer filter, red top left."""

from __future__ import annotations

import struct

import numpy as np

from deeplens_dof.photo.metadata import ifd

BLACK, WHITE = 512, 16_895
# XYZ (D65) to a camera that sees as sRGB does.
CAMERA = (3.2405, -1.5371, -0.4985, -0.9693, 1.8760, 0.0416, 0.0556, -0.2040, 1.0572)
SIGNED_RATIONAL = 10


def rationals(order: str, *values: float, kind: int = ifd.RATIONAL) -> ifd.Field:
    flat = [part for value in values for part in (round(value * 10_000), 10_000)]
    return ifd.Field(
        kind, len(values), struct.pack(f"{order}{len(flat)}{'I' if kind == ifd.RATIONAL else 'i'}", *flat)
    )


def four_patches(height: int = 96, width: int = 128) -> np.ndarray:
    """Linear light: red, green, blue and grey quarters."""
    light = np.empty((height, width, 3))
    light[: height // 2, : width // 2] = (0.5, 0.1, 0.1)
    light[: height // 2, width // 2 :] = (0.1, 0.5, 0.1)
    light[height // 2 :, : width // 2] = (0.1, 0.1, 0.5)
    light[height // 2 :, width // 2 :] = 0.4
    return light


def dng(
    light: np.ndarray,
    orientation: int = 1,
    order: str = "<",
    neutral: tuple[float, float, float] = (1, 1, 1),
    xmp: bytes | None = None,
) -> bytes:
    """The file of a camera that saw this linear light (H, W, 3), 0..1. neutral: its samples of white."""
    height, width, _ = light.shape
    seen = light * neutral
    samples = np.empty((height, width))
    for row, column, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        samples[row::2, column::2] = seen[row::2, column::2, channel]
    codes = np.clip(np.rint(samples * (WHITE - BLACK) + BLACK), 0, 65_535).astype(f"{order}u2").tobytes()
    page = {
        0x00FE: ifd.packed(order, ifd.LONG, 0),
        0x0100: ifd.packed(order, ifd.LONG, width),
        0x0101: ifd.packed(order, ifd.LONG, height),
        0x0102: ifd.packed(order, ifd.SHORT, 16),
        0x0103: ifd.packed(order, ifd.SHORT, 1),
        0x0106: ifd.packed(order, ifd.SHORT, 32_803),  # colour filter array
        0x010F: ifd.bytes_field(ifd.ASCII, b"Contax\0"),
        0x0110: ifd.bytes_field(ifd.ASCII, b"T2 digital\0"),
        0x0111: ifd.packed(order, ifd.LONG, 0),
        0x0112: ifd.packed(order, ifd.SHORT, orientation),
        0x0115: ifd.packed(order, ifd.SHORT, 1),
        0x0116: ifd.packed(order, ifd.LONG, height),
        0x0117: ifd.packed(order, ifd.LONG, len(codes)),
        0x011C: ifd.packed(order, ifd.SHORT, 1),
        0x0132: ifd.bytes_field(ifd.ASCII, b"2024:05:06 07:08:09\0"),
        0x828D: ifd.packed(order, ifd.SHORT, 2, 2),
        0x828E: ifd.bytes_field(ifd.BYTE, bytes((0, 1, 1, 2))),
        0xC612: ifd.bytes_field(ifd.BYTE, bytes((1, 4, 0, 0))),  # DNGVersion
        0xC614: ifd.bytes_field(ifd.ASCII, b"Contax T2 digital\0"),
        0xC61A: ifd.packed(order, ifd.LONG, BLACK),
        0xC61D: ifd.packed(order, ifd.LONG, WHITE),
        0xC621: rationals(order, *CAMERA, kind=SIGNED_RATIONAL),
        0xC628: rationals(order, *neutral),
        0xC65A: ifd.packed(order, ifd.SHORT, 21),  # D65
    }
    if xmp is not None:
        page[0x02BC] = ifd.bytes_field(ifd.BYTE, xmp)
    exif = {0x829D: rationals(order, 2.8), 0x920A: rationals(order, 38)}
    gps = {1: ifd.bytes_field(ifd.ASCII, b"N\0"), 2: rationals(order, 52, 31, 12)}
    page[0x0111] = ifd.packed(order, ifd.LONG, len(ifd.laid_out(order, ifd.Tags(page, exif, gps, {}))))
    return ifd.laid_out(order, ifd.Tags(page, exif, gps, {})) + codes
