"""Resolution, IPTC, comment and PNG text: kept by every format that can hold them, and left out on request."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import photo_samples as samples
import pytest
from PIL import Image, IptcImagePlugin, PngImagePlugin, TiffImagePlugin

from deeplens_dof import photo
from deeplens_dof.photo import Photo, PhotoError
from deeplens_dof.photo.limits import SERVICE_LIMITS
from deeplens_dof.photo.metadata import annotations as notes
from deeplens_dof.photo.metadata import ifd
from deeplens_dof.photo.metadata.annotations import Annotations
from deeplens_dof.photo.remove_gps import without_gps

CAPTION = "Zürich, Hauptbahnhof".encode()
IPTC = b"".join(
    b"\x1c" + bytes((2, number)) + struct.pack(">H", len(text)) + text
    for number, text in ((25, b"tram"), (120, CAPTION))
)
FORMATS = (
    "JPEG",
    "PNG",
    "TIFF",
    "WEBP",
    "AVIF",
    "JXL",
    "EXR",
    *(["HEIF"] if "HEIF" in samples.FORMATS else []),
)


def png_with_text() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a cat, steps: 20")
    info.add_text("workflow", '{"nodes": []}', zip=True)
    info.add_itxt("Title", "Katze ☀", "de", "Titel")
    return samples.file_of(Image.fromarray(samples.picture()), "PNG", pnginfo=info, dpi=(300, 300))


def annotated(density: tuple[float, float] | None = (300.0, 300.0)) -> Photo:
    return Photo(samples.picture(), annotations=Annotations(density, IPTC, b"by hand"))


def caption(data: bytes) -> bytes | None:
    """As Pillow reads it."""
    found = IptcImagePlugin.getiptcinfo(Image.open(io.BytesIO(data)))
    return None if found is None else found[2, 120]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("density", [(300.0, 300.0), (72.0, 72.0), (118.11, 118.11)])
def test_the_resolution_survives_every_format(form: str, density: tuple[float, float]) -> None:
    back = photo.read(annotated(density).to_bytes(format=form)).annotations.density
    assert back == pytest.approx(density, rel=0.002)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF"])
def test_pillow_reads_the_resolution_that_we_write(form: str) -> None:
    image = Image.open(io.BytesIO(annotated().to_bytes(format=form)))
    assert image.info["dpi"] == pytest.approx((300, 300), rel=0.002)


@pytest.mark.parametrize("source", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("target", ["JPEG", "PNG", "TIFF"])
def test_the_resolution_of_pillows_files_goes_everywhere(source: str, target: str) -> None:
    data = samples.file_of(Image.fromarray(samples.picture()), source, dpi=(240, 240))
    image = Image.open(io.BytesIO(photo.read(data).to_bytes(format=target)))
    assert image.info["dpi"] == pytest.approx((240, 240), rel=0.002)


def test_the_resolution_turns_with_the_picture() -> None:
    lying = samples.file_of(
        Image.fromarray(samples.picture()), "JPEG", dpi=(200, 100), exif=b"Exif\0\0" + samples.exif_block(6)
    )
    assert photo.read(lying).annotations.density == (100, 200)


def test_a_jpeg_that_tells_no_resolution_gets_none() -> None:
    data = samples.file_of(Image.fromarray(samples.picture()), "JPEG")
    assert photo.read(data).annotations.density is None
    assert "dpi" not in Image.open(io.BytesIO(photo.read(data).to_bytes())).info


@pytest.mark.parametrize("source", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("target", ["JPEG", "PNG", "TIFF"])
def test_iptc_survives_byte_for_byte(source: str, target: str) -> None:
    back = photo.read(photo.read(annotated().to_bytes(format=source)).to_bytes(format=target))
    assert back.annotations.iptc == IPTC


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_pillow_reads_the_iptc_that_we_write(form: str) -> None:
    assert caption(annotated().to_bytes(format=form)) == CAPTION


def test_iptc_longer_than_a_segment_of_jpeg_survives() -> None:
    long = IPTC + b"\x1c\x02\x78" + struct.pack(">H", 32_000) + b"x" * 32_000
    long = long + long + long
    back = photo.read(Photo(samples.picture(), annotations=Annotations(iptc=long)).to_bytes(format="JPEG"))
    assert back.annotations.iptc == long


def test_iptc_is_found_behind_other_resources() -> None:
    other = b"8BIM" + struct.pack(">H", 1005) + b"\x03abc" + struct.pack(">I", 5) + b"12345\0"
    assert notes.iptc_in(other + notes.as_resources(IPTC)) == IPTC


@pytest.mark.parametrize("order", ["<", ">"])
def test_iptc_of_tiff_files_that_call_it_numbers(order: str) -> None:
    padded = IPTC + bytes(-len(IPTC) % 4)
    turned = b"".join(padded[at : at + 4][::-1] for at in range(0, len(padded), 4))
    for stored in (padded, turned):
        tag = ifd.Field(ifd.LONG, len(stored) // 4, stored)
        block = ifd.laid_out(order, ifd.Tags({0x83BB: tag}, {}, {}, {}))
        assert notes.iptc_in_tiff(block) == padded


def test_png_text_survives_chunk_by_chunk() -> None:
    back = Image.open(io.BytesIO(photo.read(png_with_text()).to_bytes()))
    back.load()
    assert back.text["parameters"] == "a cat, steps: 20"
    assert back.text["workflow"] == '{"nodes": []}'
    assert back.text["Title"] == "Katze ☀"
    assert back.text["Title"].lang == "de"


def test_text_that_stands_for_metadata_is_not_written_twice() -> None:
    source = Photo(samples.picture(), xmp=samples.XMP, annotations=Annotations(iptc=IPTC)).to_bytes(
        format="PNG"
    )
    again = photo.read(source)
    assert again.annotations.texts == ()
    assert again.to_bytes().count(b"XML:com.adobe.xmp") == 1
    assert again.to_bytes().count(b"Raw profile type iptc") == 1


def test_the_comment_of_a_jpeg_survives() -> None:
    data = samples.file_of(Image.fromarray(samples.picture()), "JPEG", comment=b"by hand")
    assert Image.open(io.BytesIO(photo.read(data).to_bytes())).info["comment"] == b"by hand"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_stripped_files_keep_only_the_resolution(form: str) -> None:
    first = annotated() if form != "PNG" else photo.read(png_with_text())
    data = first.to_bytes(format=form, strip_metadata=True)
    back = photo.read(data).annotations
    assert back == Annotations(back.density)
    assert back.density == pytest.approx((300, 300), rel=0.002)
    assert CAPTION not in data


def test_text_that_names_the_place_goes_with_it() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("exif:GPSLatitude", "52/1, 31/1")
    info.add_text("Title", "cat")
    data = samples.file_of(Image.fromarray(samples.picture()), "PNG", pnginfo=info)
    left = without_gps(photo.read(data)).annotations.texts
    assert left == ((b"tEXt", b"Title\0cat"),)


def test_the_place_goes_from_packed_text_and_comments_too() -> None:
    place, title = zlib.compress(b"GPS 52 N, 13 E"), zlib.compress(b"a cat")
    texts = (
        (b"zTXt", b"Comment\0\0" + place),
        (b"iTXt", b"Comment\0\1\0en\0\0" + place),
        (b"zTXt", b"Broken\0\0" + place[:-3]),
        (b"zTXt", b"Title\0\0" + title),
        (b"iTXt", b"Title\0\1\0en\0\0" + title),
    )
    left = Annotations(comment=b"gps: 52 N", texts=texts).without_place()
    assert left == Annotations(texts=texts[3:])
    assert Annotations(comment=b"a cat").without_place().comment == b"a cat"


def test_too_much_text_is_refused() -> None:
    chunk = b"tEXt" + b"a\0" + bytes(SERVICE_LIMITS.max_text_bytes)
    data = png_with_text()
    at = data.index(b"IDAT") - 4
    long = (
        data[:at]
        + struct.pack(">I", len(chunk) - 4)
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + data[at:]
    )
    with pytest.raises(
        PhotoError, match="of IPTC and text, expected at most 8,388,608; remove that metadata"
    ):
        photo.read(long, limits=SERVICE_LIMITS)


def test_damaged_annotations_never_raise() -> None:
    random = np.random.default_rng(3)
    whole = notes.as_resources(IPTC)
    for cut in range(len(whole)):
        notes.iptc_in(whole[:cut])
        notes.density_in(samples.exif_block()[:cut])
    for _ in range(500):
        broken = bytearray(whole)
        broken[int(random.integers(0, len(whole)))] = int(random.integers(0, 256))
        notes.iptc_in(bytes(broken))


def test_a_tiff_has_one_resolution() -> None:
    """The file's own counts before that of EXIF, as they come from two places in a PNG."""
    tags = ifd.Tags(notes.density_tags("<", (72.0, 72.0)), {}, {}, {})
    both = Photo(samples.picture(), exif=ifd.laid_out("<", tags), annotations=Annotations((300.0, 300.0)))
    image = Image.open(io.BytesIO(both.to_bytes(format="TIFF")))
    assert isinstance(image, TiffImagePlugin.TiffImageFile)
    assert image.info["dpi"] == (300, 300)
