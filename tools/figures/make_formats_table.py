"""Writes docs/formats.md: which picture formats are read and written, and what each of them keeps.

    python tools/figures/make_formats_table.py

The table is that of deeplens_dof/photo/codecs/formats.py, and tests/photo/test_format_table.py tries every cell of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from deeplens_dof.photo.codecs.formats import FORMATS, Format

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
COLUMNS = (
    *(
        "read",
        "write",
        "depth",
        "gain map",
        "16 bit",
        "float",
        "ICC",
        "nclx, cICP",
        "EXIF",
        "date",
        "XMP",
        "IPTC",
        "text",
    ),
    *("dpi", "motion photo", "alpha"),
)
INTRODUCTION = """\
# Formats

Made by `python tools/figures/make_formats_table.py` from the table in `photo/codecs/formats.py`; every cell is tried by
`tests/photo/test_format_table.py`. More on each is in [photos.md](photos.md).

"""
NOTES = """
**yes**: it survives reading and writing. **read**: it is read, and not written again. **no**:

- *write*: naming such a file for a result is an error; without `-o` the result is a 16-bit TIFF.
- *16 bit*: pixels are rounded to 8 bits; HEIC is read with all its bits, and written with 10 of 16.
- *float*: light above white becomes white and light below black becomes black, in sRGB's curve; the input has 8 or 16
  bits. A TIFF of floats is read, as linear light unless a profile says otherwise, and written with 16 bits.
- *ICC*: EXR holds linear light in the primaries of Rec. 709 and says so; colours of a profile are converted to it, unclipped.
  RAW is developed to sRGB.
- *EXIF*: EXR keeps the date only.
- *nclx, cICP*: the format has an ICC profile alone; for SDR, results in every format hold one of the same colours.
- *IPTC*, *text*: the format has no place for it. *dpi*: where a format has no place of its own it is in EXIF.
- *motion photo*: the photo is read; its film is left out, and so is every entry that names it.
- *alpha*: it is left out. RAW has none.

*depth* is GDepth, which stands in XMP. The depth image of a HEIC photo and Dynamic Depth behind a JPEG are read too
([photos.md](photos.md#photos-of-phones)); a HEIC is saved without, a JPEG with GDepth in its place.

Colours named other than by ICC (AVIF and HEIC `nclx`, PNG `cICP`, `gAMA` and `cHRM`, the index R03 of DCF) are read; for SDR
the result holds an ICC profile of the same colours. PQ and HLG are decoded to light, blurred there, and written as PQ or HLG
in HEIC (10 bits), AVIF (8 bits) and PNG (16 bits); EXR holds the light; other formats get it tone mapped, with a note.
[Gain maps](photos.md#hdr-gain-maps) are read from JPEG and HEIC and written to JPEG; the films of motion photos are not kept.
What is not kept leaves no entry that names it. `.mpo` is read as its first picture and written as a JPEG.

A JPEG XL of 16 bits is written without loss, one of 8 bits if it came so; otherwise its profile is replaced by another one of
the same colours.
"""


def cells(form: Format) -> dict[str, str]:
    """What the table says of a format, by column: "yes", "read" or "no", and of reading which extra it needs."""
    kept = "yes" if form.written else "read"
    flags = {
        "16 bit": form.deep,
        "float": form.floats,
        "ICC": form.icc,
        "nclx, cICP": form.named_colors,
        "EXIF": form.exif,
        "date": form.date,
        "XMP": form.xmp,
        "IPTC": form.iptc,
        "text": form.text,
        "dpi": form.density,
        "alpha": form.alpha,
    }
    first = {
        "read": f"with `[{form.extra}]`" if form.extra else "yes",
        "write": "yes" if form.written else "no",
        "depth": form.depth,
        "gain map": form.gain_map,
        "motion photo": "no",
    }
    return first | {column: kept if flag else "no" for column, flag in flags.items()}


def table(forms: Iterable[Format]) -> str:
    lines = [f"| format | {' | '.join(COLUMNS)} |", "|---" * (1 + len(COLUMNS)) + "|"]
    for form in forms:
        found = cells(form)
        suffixes = " ".join(f"`{suffix}`" for suffix in form.suffixes[:4])
        more = ", ..." if len(form.suffixes) > 4 else ""
        name = form.shown[:1].upper() + form.shown[1:]
        lines.append(f"| {name} {suffixes}{more} | {' | '.join(found[column] for column in COLUMNS)} |")
    return "\n".join(lines) + "\n"


def page() -> str:
    return INTRODUCTION + table(FORMATS.values()) + NOTES


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
