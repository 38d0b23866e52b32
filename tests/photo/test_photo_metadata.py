"""EXIF and XMP survive, settings are added to them, and stripping leaves nothing but colour."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree

import numpy as np
import photo_samples as samples
import pytest
from PIL import Image

from deeplens_dof import photo
from deeplens_dof.photo import Photo, PhotoError
from deeplens_dof.photo.metadata import exif, ifd, xmp, xmp_in_jpeg

RDF = f"{{{xmp.RDF}}}"
OURS = f"{{{xmp.NAMESPACE}}}"
SETTINGS = {"focus": (0.4, 0.6), "f_number": 1.8, "shape": "blades:5 <&>", "grain": None}


def source(form: str = "JPEG", order: str = "<") -> bytes:
    """A file of that format with camera, place, XMP and profile, written by Pillow or (TIFF) by us."""
    block = samples.exif_block(6, order)
    if form == "TIFF":
        return Photo(samples.picture(), exif=block, xmp=samples.XMP, icc=samples.display_p3()).to_bytes(
            format=form
        )
    options = {"exif": b"Exif\0\0" + block, "icc_profile": samples.display_p3(), "xmp": samples.XMP}
    if form == "PNG":
        from PIL.PngImagePlugin import PngInfo

        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", options.pop("xmp").decode(), zip=True)
    return samples.file_of(Image.fromarray(samples.picture()), form, **options)


def tags_of(block: bytes) -> ifd.Tags:
    order = ifd.byte_order(block)
    assert order is not None
    return ifd.tags_of(block, order)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("form", samples.FORMATS)
def test_exif_survives_every_format(form: str, order: str) -> None:
    first = photo.read(source(form, order))
    for target in samples.FORMATS:
        back = photo.read(first.to_bytes(format=target))
        assert back.camera == photo.Camera("Contax", "T2", 38.0, 38.0, 2.8)
        assert back.exif is not None
        tags = tags_of(back.exif)
        assert ifd.text(tags.ifd0[0x0132]) == "2024:05:06 07:08:09"
        assert tags.exif[0x927C].value == b"maker\x01\x02\x03 note"
        assert tags.gps[2].value == tags_of(samples.exif_block(1, order)).gps[2].value
        assert tags.interop[1].value == b"R98\0"
        assert exif.orientation(back.exif) == 1


@pytest.mark.parametrize("form", samples.FORMATS)
def test_pillow_reads_the_exif_that_we_write(form: str) -> None:
    image = Image.open(io.BytesIO(photo.read(source()).to_bytes(format=form)))
    image.load()
    found = image.getexif()
    assert found[0x010F] == "Contax"
    assert found.get_ifd(0x8769)[0x829D] == pytest.approx(2.8)
    assert found.get_ifd(0x8825)[1] == "N"
    assert image.info["icc_profile"] == samples.display_p3()


def test_exif_is_patched_and_not_rewritten() -> None:
    """Only orientation and sizes change between JPEGs: offsets inside maker notes stay true."""
    block = samples.exif_block(6)
    back = photo.read(photo.read(source("JPEG")).to_bytes())
    assert back.exif is not None
    assert len(back.exif) == len(block)
    changed = [i for i, (a, b) in enumerate(zip(block, back.exif, strict=True)) if a != b]
    tags = tags_of(block)
    allowed = {
        e.offset + i for e in (tags.ifd0[0x0112], tags.exif[0xA002], tags.exif[0xA003]) for i in range(4)
    }
    assert changed
    assert set(changed) <= allowed
    assert ifd.integer(tags_of(back.exif).exif[0xA002], "<") == back.width == 32


def test_the_old_thumbnail_is_gone() -> None:
    thumbnail = samples.file_of(Image.fromarray(samples.picture()), "JPEG")
    block = samples.with_thumbnail(samples.exif_block(6), thumbnail)
    data = samples.file_of(Image.fromarray(samples.picture()), "JPEG", exif=b"Exif\0\0" + block)
    assert thumbnail in data
    back = photo.read(data)
    assert back.exif is not None
    assert thumbnail[4:64] not in back.exif
    assert 0x0201 not in Image.open(io.BytesIO(back.to_bytes())).getexif().get_ifd(1)
    assert back.camera.model == "T2"


def test_exif_too_long_for_jpeg_loses_only_the_maker_note() -> None:
    order, tags = exif.descriptive_tags(samples.exif_block())
    tags.exif[0x927C] = ifd.bytes_field(ifd.UNDEFINED, bytes(70_000))
    first = Photo(samples.picture(), exif=ifd.laid_out(order, tags))
    assert tags_of(photo.read(first.to_bytes(format="PNG")).exif or b"").exif[0x927C].length == 70_000
    back = photo.read(first.to_bytes(format="JPEG"))
    assert 0x927C not in tags_of(back.exif or b"").exif
    assert back.camera.f_number == 2.8
    assert tags_of(back.exif or b"").gps


def test_damaged_exif_never_raises() -> None:
    random = np.random.default_rng(5)
    whole = samples.with_thumbnail(samples.exif_block(8), b"\xff\xd8thumbnail")
    for cut in range(len(whole)):
        exif.made_upright(whole[:cut], 3, 4)
        exif.camera_of(whole[:cut])
        exif.from_tiff(whole[:cut])
    for _ in range(2000):
        broken = bytearray(whole)
        for place in random.integers(0, len(whole), 3):
            broken[place] = random.integers(0, 256)
        exif.made_upright(bytes(broken), 3, 4)
        exif.camera_of(bytes(broken))
        exif.from_tiff(bytes(broken))
        assert 1 <= exif.orientation(bytes(broken)) <= 8


@pytest.mark.parametrize("form", samples.FORMATS)
def test_xmp_survives_and_settings_join_it(form: str) -> None:
    first = photo.read(source(form))
    kept = samples.XMP.replace(b'tiff:Orientation="6"', b'tiff:Orientation="1"')
    assert first.xmp == kept
    for target in samples.FORMATS:
        assert photo.read(first.to_bytes(format=target)).xmp == kept
        back = photo.read(first.to_bytes(format=target, settings=SETTINGS))
        assert back.xmp is not None
        head, tail = kept.split(b"</rdf:RDF>")
        assert back.xmp.startswith(head)
        assert back.xmp.endswith(tail)
        assert xmp.recorded_settings(back.xmp) == {
            "focus": "0.4, 0.6",
            "f_number": "1.8",
            "shape": "blades:5 <&>",
        }


def test_settings_are_replaced_and_do_not_pile_up() -> None:
    once = xmp.with_settings(samples.XMP, SETTINGS)
    twice = xmp.with_settings(once, {"f_number": 4})
    assert xmp.recorded_settings(twice) == {"f_number": "4"}
    assert xmp.with_settings(twice, SETTINGS) == once
    root = ElementTree.fromstring(once.decode())
    descriptions = root.findall(f".//{RDF}Description")
    assert {d.get(f"{RDF}about") for d in descriptions} == {"uuid:7"}
    assert root.findtext(f".//{OURS}f_number") == "1.8"


def test_settings_that_another_program_turned_into_attributes_are_replaced() -> None:
    packet = samples.XMP.replace(
        b'xmp:Rating="4"',
        f"""xmp:Rating="4" xmlns:dl="{xmp.NAMESPACE}" dl:f_number = '2 > 1' dl:grain="0" """.encode(),
    )
    assert xmp.recorded_settings(packet) == {"f_number": "2 > 1", "grain": "0"}
    after = xmp.with_settings(packet, {"f_number": 8})
    assert xmp.recorded_settings(after) == {"f_number": "8"}
    assert b'xmp:Rating="4"' in after


def test_without_xmp_a_packet_is_made() -> None:
    back = photo.read(Photo(samples.picture()).to_bytes(format="JPEG", settings=SETTINGS))
    assert back.xmp is not None
    assert xmp.recorded_settings(back.xmp)["focus"] == "0.4, 0.6"
    assert ElementTree.fromstring(back.xmp.decode()).find(f".//{RDF}Description") is not None
    assert photo.read(Photo(samples.picture()).to_bytes(format="JPEG")).xmp is None


def test_a_setting_needs_a_plain_name() -> None:
    with pytest.raises(ValueError, match="plain identifier"):
        xmp.with_settings(None, {"a b": 1})


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_packets_of_every_encoding_become_utf_8(encoding: str) -> None:
    text = samples.XMP.decode().split("?>\n", 1)[1].split("\n<?xpacket")[0]
    assert "Zürich ☀" in (xmp.checked(text.encode(encoding)) or b"").decode()


@pytest.mark.parametrize(
    "packet",
    [
        b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + samples.XMP.split(b"?>\n", 1)[1],
        b"<!DOCTYPE lolz ["
        + b"".join(b"<!ENTITY l%d '%s'>" % (i, b"&l%d;" % (i - 1) * 10) for i in range(1, 9))
        + b"]><x/>",
        b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF",
        b"<a>" * 5000,
        b"\xff\xfe\x00",
        b"no XML",
        b"<x/>",
    ],
)
def test_unacceptable_packets_are_left_out_and_the_picture_is_read(packet: bytes) -> None:
    data = samples.file_of(Image.fromarray(samples.picture()), "WEBP", lossless=True, xmp=packet)
    back = photo.read(data)
    assert back.xmp is None
    np.testing.assert_array_equal(back.pixels, samples.picture())
    assert xmp.recorded_settings(photo.read(back.to_bytes(settings={"grain": 1})).xmp) == {"grain": "1"}


def test_xmp_longer_than_a_jpeg_segment_is_split_and_joined() -> None:
    long = samples.XMP.replace(b"Z\xc3\xbcrich", b"Z\xc3\xbcrich" * 30_000)
    data = Photo(samples.picture(), xmp=xmp.checked(long)).to_bytes(format="JPEG", settings={"grain": 0.5})
    back = photo.read(data)
    assert back.xmp is not None
    assert "Zürich" * 30_000 + " ☀" in back.xmp.decode()
    assert b"HasExtendedXMP" not in back.xmp
    assert xmp.recorded_settings(back.xmp) == {"grain": "0.5"}
    again = photo.read(back.to_bytes(settings={"grain": 0.5}))
    assert again.xmp == back.xmp or len(again.xmp or b"") < len(back.xmp) + 500
    assert b'Rating="4"' in (again.xmp or b"")


def test_an_incomplete_extended_packet_is_left_out() -> None:
    long = samples.XMP.replace(b"Z\xc3\xbcrich", b"Z\xc3\xbcrich" * 30_000)
    main, segments = xmp_in_jpeg.split(long)
    payloads = [part for part in segments.split(b"\xff\xe1") if part]
    joined = xmp_in_jpeg.joined(main, [part[2:] for part in payloads[:-1]])
    assert joined is not None
    assert b"HasExtendedXMP" not in joined
    assert b"Rating" not in joined
    whole = xmp_in_jpeg.joined(main, [part[2:] for part in reversed(payloads)])
    assert whole is not None
    assert b'Rating="4"' in whole


@pytest.mark.parametrize("form", samples.FORMATS)
def test_stripping_leaves_only_the_profile(form: str) -> None:
    first = photo.read(source())
    data = first.to_bytes(format=form, strip_metadata=True, settings=SETTINGS)
    back = photo.read(data)
    assert back.exif is None
    assert back.xmp is None
    assert back.camera == photo.Camera()
    assert back.icc == samples.display_p3()
    for secret in (b"Contax", b"2024:05:06", b"rich", b"f_number"):
        assert secret not in data


def test_metadata_beyond_the_limits_is_refused() -> None:
    small = photo.Limits(10**6, 10**4, 10**6, max_exif_bytes=100, max_icc_bytes=100, max_xmp_bytes=100)
    for option, kind in (
        ({"exif": b"Exif\0\0" + samples.exif_block()}, "EXIF"),
        ({"xmp": samples.XMP}, "XMP"),
    ):
        data = samples.file_of(Image.fromarray(samples.picture()), "JPEG", **option)
        with pytest.raises(PhotoError, match=f"bytes of {kind}"):
            photo.read(data, limits=small)
