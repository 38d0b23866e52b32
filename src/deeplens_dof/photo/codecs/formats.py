"""The picture formats in one literal table, and how the first bytes of a file identify its format.

A format is recognised by content, never by name. Names matter only for writing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from deeplens_dof.photo.codecs.raw_kind import is_raw
from deeplens_dof.photo.errors import PhotoError, UnknownFormatError
from deeplens_dof.photo.metadata import ifd
from deeplens_dof.runtime.errors import shown


@dataclass(frozen=True, slots=True)
class Format:
    """One row of the capability table, from which docs/formats.md is made.

    suffixes: lower case, the usual one first. max_side: the format's limit, in px. spelled: its name in sentences.
    written: whether DeepLens writes it; photos of other formats are written as TIFF by default. extra: the extra of this
    package that it needs. The other fields say what survives reading and writing (only reading, for a format that is not
    written): alpha, deep (16 bits), floats (light above white), icc, named_colors (a name of its colours in place of a
    profile), exif, date, xmp, iptc, text, density (dots per inch), gain map, and embedded depth.
    """

    name: str
    suffixes: tuple[str, ...]
    media_type: str
    max_side: int
    alpha: bool = True
    spelled: str = ""
    written: bool = True
    deep: bool = False
    floats: bool = False
    icc: bool = True
    exif: bool = True
    xmp: bool = True
    date: bool = True
    iptc: bool = False
    text: bool = False
    density: bool = True
    named_colors: bool = False
    gain_map: Literal["no", "read", "yes"] = "no"
    depth: Literal["no", "yes"] = "yes"
    extra: str = ""

    @property
    def shown(self) -> str:
        return self.spelled or self.name


_RAW_SUFFIXES = (
    ".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".srw", ".raf", ".orf", ".rw2", ".rwl", ".pef",
    ".3fr", ".iiq", ".erf", ".mef", ".mos", ".mrw", ".kdc", ".dcr",
)  # fmt: skip
FORMATS = {
    form.name: form
    for form in (
        Format(
            "JPEG",
            (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
            "image/jpeg",
            65_500,
            alpha=False,
            iptc=True,
            gain_map="yes",
        ),
        Format("PNG", (".png",), "image/png", 2**31 - 1, deep=True, iptc=True, text=True, named_colors=True),
        Format("WEBP", (".webp",), "image/webp", 16_383, spelled="WebP"),
        Format("AVIF", (".avif",), "image/avif", 65_535, named_colors=True),
        Format(
            "HEIF",
            (".heic", ".heif", ".hif"),
            "image/heic",
            16_384,
            spelled="HEIC",
            named_colors=True,
            gain_map="read",
            extra="heif",
        ),
        Format("TIFF", (".tif", ".tiff"), "image/tiff", 2**31 - 1, deep=True, iptc=True),
        Format("EXR", (".exr",), "image/x-exr", 2**31 - 1, deep=True, floats=True, icc=False, exif=False),
        Format("JXL", (".jxl",), "image/jxl", 2**30, spelled="JPEG XL", deep=True),
        Format(
            "RAW",
            _RAW_SUFFIXES,
            "image/x-raw",
            65_535,
            spelled="camera RAW",
            written=False,
            alpha=False,
            deep=True,
            icc=False,
            density=False,
            depth="no",
            extra="raw",
        ),
    )
}
PICTURE_SUFFIXES = tuple(suffix for form in FORMATS.values() for suffix in form.suffixes)
_WRITTEN = tuple(form for form in FORMATS.values() if form.written)
_READ_ONLY = tuple(suffix for form in FORMATS.values() if not form.written for suffix in form.suffixes)
READABLE = " or ".join(", ".join(form.shown for form in FORMATS.values()).rsplit(", ", 1))

# The first bytes of the formats that they tell; by_content looks into ISO media files, WebP and RAW.
SIGNATURES = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "TIFF": tuple(ifd.BYTE_ORDERS),
    "EXR": (b"\x76\x2f\x31\x01",),
    "JXL": (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"),
}
BIG_TIFF = (b"II+\0", b"MM\0+")
SIGNATURE_BYTES = 16
_FOREIGN = (
    (b"GIF8", "a GIF"),
    (b"BM", "a BMP"),
    (b"%PDF", "a PDF"),
    (b"%!PS", "a PostScript file"),
    (b"8BPS", "a Photoshop file"),
    (b"<svg", "an SVG"),
    (b"<?xml", "an XML file"),
    *((signature, "a BigTIFF") for signature in BIG_TIFF),
)
_AVIF_BRANDS = (b"avif", b"avis")
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_UNKNOWN = "not a picture of a known format"


def by_content(data: bytes, name: str) -> Format:
    """The format of a file, from its first bytes. Raises PhotoError, which names the format found instead."""
    head = data[:64]
    if not head:
        raise UnknownFormatError(f"{name} is empty, expected a {READABLE} picture; copy or export it again")
    signed = by_signature(head)
    if signed is not None and signed.name != "TIFF":
        return signed
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return FORMATS["WEBP"]
    if head[4:8] == b"ftyp" and _has_brand(data, _AVIF_BRANDS):
        return FORMATS["AVIF"]
    if head[4:8] == b"ftyp" and _has_brand(data, _HEIF_BRANDS):
        return FORMATS["HEIF"]
    if is_raw(data):
        return FORMATS["RAW"]
    if signed is not None:
        return signed  # a TIFF that is no camera RAW
    found = _foreign(head)
    if found == _UNKNOWN and PurePath(name).suffix.lower() in _RAW_SUFFIXES:
        return FORMATS["RAW"]  # LibRaw knows more cameras than have a mark of their own
    raise UnknownFormatError(f"{name} is {found}, expected {READABLE}; export it as one of these")


def by_signature(head: bytes) -> Format | None:
    """The format identified by the first SIGNATURE_BYTES bytes alone, one of SIGNATURES; else None.

    A camera RAW may have the layout of a TIFF, and then counts as one here.
    """
    return next((FORMATS[name] for name, marks in SIGNATURES.items() if head.startswith(marks)), None)


def by_suffix(path: str | os.PathLike[str]) -> Format:
    """The format to write for a file name. Raises PhotoError for an unknown or missing suffix."""
    suffix = PurePath(os.fsdecode(path)).suffix.lower()
    for form in _WRITTEN:
        if suffix in form.suffixes:
            return form
    known = ", ".join(form.suffixes[0] for form in _WRITTEN)
    found = f"ends in {shown(suffix)!r}" if suffix else "has no suffix"
    if suffix in _READ_ONLY:
        found += ", which is only read"
    raise PhotoError(f"{shown(path)} cannot be written: its name {found}, expected one of {known}; rename it")


def by_name(format_name: str) -> Format:
    """The format to write named `format_name` ("JPEG", "jpg", ".png", ...). Raises PhotoError for an unknown name."""
    wanted = format_name.lower().lstrip(".")
    for form in _WRITTEN:
        if wanted == form.name.lower() or f".{wanted}" in form.suffixes:
            return form
    known = ", ".join(form.name for form in _WRITTEN)
    raise PhotoError(
        f"{shown(format_name)!r} is not a picture format that is written, expected one of {known}"
    )


def written_as(suffix: str) -> str:
    """The suffix of the result for a photo with `suffix`: the same, or .tif where the format is read-only."""
    return FORMATS["TIFF"].suffixes[0] if suffix.lower() in _READ_ONLY else suffix


def _has_brand(data: bytes, wanted: tuple[bytes, ...]) -> bool:
    """Whether the `ftyp` box (ISO/IEC 14496-12) names one of these brands."""
    brands = data[8 : min(int.from_bytes(data[:4], "big"), 1024)]
    return any(brands[i : i + 4] in wanted for i in range(0, len(brands), 4) if i != 4)


def _foreign(head: bytes) -> str:
    """A description of a file in an unsupported format."""
    for signature, words in _FOREIGN:
        if head.startswith(signature):
            return words
    if head[4:8] == b"ftyp":
        return "a video or another ISO media file"
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        return "a text file"
    return _UNKNOWN
