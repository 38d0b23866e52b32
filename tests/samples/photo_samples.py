"""Pictures, profiles and metadata that the tests of photo/ are made from; everything is synthesised here."""

from __future__ import annotations

import io
import struct
from importlib.util import find_spec
from typing import Any

import numpy as np
from PIL import Image

FORMATS: tuple[str, ...] = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF")
if find_spec("pillow_heif"):
    import pillow_heif

    pillow_heif.register_heif_opener()  # so that the tests can look at what was written with Pillow
    FORMATS += ("HEIF",)
LOSSLESS = ("PNG", "TIFF")
SUFFIX = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "AVIF": ".avif", "TIFF": ".tif", "HEIF": ".heic"}


def picture(height: int = 32, width: int = 48, dtype: Any = np.uint8) -> np.ndarray:
    """A smooth picture whose four corners differ, so that each of the eight orientations shows. (H, W, 3)."""
    y, x = np.mgrid[0:height, 0:width]
    x, y = (x + 0.5) / width, (y + 0.5) / height
    planes = np.stack([x, y, 0.5 + 0.4 * np.sin(3 * x + 5 * y)], axis=2)
    return np.rint(planes * np.iinfo(dtype).max).astype(dtype)


def noise(height: int, width: int, dtype: Any, channels: int = 3) -> np.ndarray:
    """Every sample its own random value, so that a lost bit shows."""
    top = np.iinfo(dtype).max
    return np.random.default_rng(7).integers(0, top + 1, (height, width, channels)).astype(dtype)


def file_of(image: Image.Image, form: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def close(a: np.ndarray, b: np.ndarray, levels: float) -> bool:
    """Whether two 8-bit pictures differ by no more than `levels` on average."""
    return a.shape == b.shape and float(np.abs(a.astype(float) - b.astype(float)).mean()) <= levels


def exif_block(orientation: int = 1, order: str = "<") -> bytes:
    """Camera, date, exposure and place, as TIFF-structured bytes with a maker note and an IFD1 thumbnail."""
    from deeplens_dof.photo.metadata import ifd

    def rational(*pairs: tuple[int, int]) -> ifd.Field:
        flat = [n for pair in pairs for n in pair]
        return ifd.Field(ifd.RATIONAL, len(pairs), struct.pack(f"{order}{len(flat)}I", *flat))

    ifd0 = {
        0x010F: ifd.bytes_field(ifd.ASCII, b"Contax\0"),
        0x0110: ifd.bytes_field(ifd.ASCII, b"T2\0"),
        0x0112: ifd.packed(order, ifd.SHORT, orientation),
        0x0132: ifd.bytes_field(ifd.ASCII, b"2024:05:06 07:08:09\0"),
    }
    exif = {
        0x829D: rational((28, 10)),
        0x920A: rational((38, 1)),
        0x927C: ifd.bytes_field(ifd.UNDEFINED, b"maker\x01\x02\x03 note"),
        0xA002: ifd.packed(order, ifd.LONG, 4000),
        0xA003: ifd.packed(order, ifd.LONG, 3000),
        0xA405: ifd.packed(order, ifd.SHORT, 38),
    }
    gps = {1: ifd.bytes_field(ifd.ASCII, b"N\0"), 2: rational((52, 1), (31, 1), (12, 1))}
    return ifd.laid_out(order, ifd.Tags(ifd0, exif, gps, {1: ifd.bytes_field(ifd.ASCII, b"R98\0")}))


def with_thumbnail(exif: bytes, thumbnail: bytes) -> bytes:
    """The block with an IFD1 behind it that holds a JPEG."""
    from deeplens_dof.photo.metadata import ifd

    order = ifd.byte_order(exif)
    assert order is not None
    link = ifd.next_pointer(exif, order, 8)
    assert link is not None
    at = len(exif)
    entries = struct.pack(f"{order}HHHIIHHII", 2, 0x0201, 4, 1, at + 30, 0x0202, 4, 1, len(thumbnail))
    linked = exif[:link] + struct.pack(f"{order}I", at) + exif[link + 4 :]
    return linked + entries + bytes(4) + thumbnail


XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><!-- kept -->\n'
    ' <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
    '  <rdf:Description rdf:about="uuid:7" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"\n'
    '    xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"\n'
    '    xmlns:dc="http://purl.org/dc/elements/1.1/" note="a &gt; b&#10;c">\n'
    "   <dc:subject><rdf:Bag><rdf:li>Zürich ☀</rdf:li></rdf:Bag></dc:subject>\n"
    "  </rdf:Description>\n"
    " </rdf:RDF>\n"
    '</x:xmpmeta>\n<?xpacket end="w"?>'
).encode()

D50 = (0.9642, 1.0, 0.8249)
SRGB_COLORANTS = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))
P3_COLORANTS = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
ADOBE_COLORANTS = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
SRGB_CURVE = b"para" + bytes(4) + struct.pack(">HH", 3, 0) + struct.pack(
    ">5i", *(round(v * 65536) for v in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
)  # fmt: skip


def gamma_curve(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"


def table_curve(values: np.ndarray) -> bytes:
    codes = np.rint(np.asarray(values) * 65535).astype(">u2")
    return b"curv" + bytes(4) + struct.pack(">I", codes.size) + codes.tobytes()


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in values))


def _icc(space: bytes, connection: bytes, kind: bytes, tags: dict[bytes, bytes]) -> bytes:
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 7) + b"sample\0" + bytes(78),
        b"cprt": b"text" + bytes(4) + b"CC0\0",
        b"wtpt": _xyz(D50),
        **tags,
    }
    table, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, block in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(block))
        body += block + bytes(-len(block) % 4)
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"lcms", 0x02400000, kind, space, connection)
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += struct.pack(">3i", *(round(v * 65536) for v in D50))
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def rgb_profile(colorants: tuple[tuple[float, float, float], ...], *curves: bytes) -> bytes:
    """A matrix/TRC profile; one curve serves all channels."""
    curves = curves * 3 if len(curves) == 1 else curves
    names = (b"rXYZ", b"gXYZ", b"bXYZ")
    tags = {name: _xyz(c) for name, c in zip(names, colorants, strict=True)}
    tags |= dict(zip((b"rTRC", b"gTRC", b"bTRC"), curves, strict=True))
    return _icc(b"RGB ", b"XYZ ", b"mntr", tags)


def display_p3() -> bytes:
    return rgb_profile(P3_COLORANTS, SRGB_CURVE)


def grey_profile(curve: bytes) -> bytes:
    return _icc(b"GRAY", b"XYZ ", b"mntr", {b"kTRC": curve})


def cmyk_profile() -> bytes:
    """A press whose only ink is black, and whose full black has lightness 50: nothing like 1 - ink."""
    ramp = bytes(range(256))
    nodes = b""
    for node in range(16):
        black = node & 1  # the last channel changes fastest
        nodes += bytes((128 if black else 255, 128, 128))
    identity = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    lut = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + identity + ramp * 4 + nodes + ramp * 3
    return _icc(b"CMYK", b"Lab ", b"prtr", {b"A2B0": lut, b"A2B1": lut})
