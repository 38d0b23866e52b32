"""Files as cameras, phones and editors leave them: read as they were meant, and no entry without its data."""

from __future__ import annotations

import lzma
import struct
import zlib

import heif_files
import numpy as np
import photo_samples as samples
import pytest
from PIL import Image, features

from deeplens_dof import photo
from deeplens_dof.photo import Photo, PhotoError
from deeplens_dof.photo.metadata import exif, ifd
from deeplens_dof.photo.metadata.orientation import upright
from deeplens_dof.photo.metadata.xmp_stale import without_stale

KINDS = {1: "B", 3: "H", 4: "I", 5: "II", 6: "b", 8: "h", 9: "i", 10: "ii"}  # integers and rationals of TIFF


def orientation_block(order: str, kind: int, *values: int) -> bytes:
    """EXIF whose IFD0 holds the orientation once for each value, as that type."""
    entries, tail = b"", b""
    start = 8 + 2 + 12 * len(values) + 4
    for value in values:
        numbers = (value, 1) if len(KINDS[kind]) == 2 else (value,)
        packed = struct.pack(order + KINDS[kind], *numbers)
        if len(packed) > 4:
            tail, packed = tail + packed, struct.pack(f"{order}I", start + len(tail))
        entries += struct.pack(f"{order}HHI", 0x0112, kind, 1) + packed.ljust(4, b"\0")
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(f"{order}IH", 8, len(values)) + entries + bytes(4) + tail


def orientations(block: bytes) -> list[float | None]:
    order = ifd.byte_order(block)
    assert order is not None
    found = ifd.entries_at(block, order, ifd.first_offset(block, order))
    return [ifd.number(entry, order) for tag, entry in found if tag == 0x0112]


@pytest.mark.parametrize("again", [(), (6,), (1,), (3, 8)])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", KINDS)
def test_every_orientation_tag_becomes_1(kind: int, order: str, again: tuple[int, ...]) -> None:
    block = orientation_block(order, kind, 6, *again)
    assert exif.orientation(block) == 6
    patched = exif.made_upright(block, 64, 96)
    assert patched is not None
    assert orientations(patched) == [1] * (1 + len(again))
    data = samples.file_of(Image.fromarray(samples.picture()), "JPEG", exif=b"Exif\0\0" + block, quality=95)
    back = photo.read(data)
    assert samples.close(back.pixels, upright(samples.picture(), 6), 2.5)
    again_read = photo.read(back.to_bytes())
    assert again_read.pixels.shape == back.pixels.shape


def test_a_doubled_exif_prefix_is_read() -> None:
    block = b"Exif\0\0Exif\0\0" + samples.exif_block()
    data = samples.file_of(Image.fromarray(samples.picture()), "JPEG", exif=block)
    assert photo.read(data).camera.make == "Contax"


def png_with(*chunks: tuple[bytes, bytes], deep: bool = False, damaged: bytes = b"") -> bytes:
    """A PNG with these chunks before its picture; the checksum of the kind `damaged` is wrong."""
    dtype = np.uint16 if deep else np.uint8
    data = photo.Photo(samples.picture(dtype=dtype)).to_bytes(format="PNG")
    added = b""
    for kind, body in chunks:
        checksum = zlib.crc32(kind + body) ^ (kind == damaged)
        added += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)
    return data[:33] + added + data[33:]


def raw_profile(name: bytes, body: bytes, packed: bool) -> tuple[bytes, bytes]:
    figures = body.hex().encode()
    lines = b"\n".join(figures[i : i + 72] for i in range(0, len(figures), 72))
    text = b"\n" + name + b"\n" + f"{len(body):8d}".encode() + b"\n" + lines + b"\n"
    keyword = b"Raw profile type " + name + b"\0"
    return (b"zTXt", keyword + b"\0" + zlib.compress(text)) if packed else (b"tEXt", keyword + text)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("name", [b"exif", b"APP1"])
def test_exif_as_text_of_a_png(name: bytes, packed: bool, deep: bool) -> None:
    chunk = raw_profile(name, b"Exif\0\0" + samples.exif_block(), packed)
    assert photo.read(png_with(chunk, deep=deep)).camera.make == "Contax"


def test_xmp_as_text_of_a_png() -> None:
    back = photo.read(png_with(raw_profile(b"xmp", samples.XMP, True)))
    assert back.xmp is not None
    assert "Zürich".encode() in back.xmp


@pytest.mark.parametrize("deep", [False, True])
def test_a_damaged_extra_of_a_png_is_left_out_and_named(deep: bool) -> None:
    chunks = ((b"tEXt", b"Title\0x"), (b"eXIf", samples.exif_block()))
    back = photo.read(png_with(*chunks, deep=deep, damaged=b"tEXt"))
    dtype = np.uint16 if deep else np.uint8
    np.testing.assert_array_equal(back.pixels, samples.picture(dtype=dtype))
    assert back.camera.make == "Contax"
    assert len(back.notes) == 1
    assert "tEXt" in back.notes[0]
    data = bytearray(png_with(deep=deep))
    data[-20] ^= 1  # of the picture itself
    with pytest.raises(PhotoError, match="damaged"):
        photo.read(bytes(data))


STALE = {
    "motion photo": 'c:MotionPhoto="1" c:MotionPhotoVersion="1" c:MotionPhotoPresentationTimestampUs="9"',
    "micro video": 'c:MicroVideo="1" c:MicroVideoVersion="1" c:MicroVideoOffset="3024"',
    "gain map": 'hdrgm:Version="1.0"',
    "Apple's gain map": 'apple:HDRGainMapVersion="65536"',
}
DECLARED = (
    'xmlns:c="http://ns.google.com/photos/1.0/camera/" xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" '
    'xmlns:apple="http://ns.apple.com/HDRGainMap/1.0/" xmlns:l="http://ns.google.com/photos/{}1.0/container/" '
    'xmlns:i="http://ns.google.com/photos/{}1.0/container/item/" xmlns:x2="http://ns.adobe.com/xap/1.0/" x2:Rating="4"'
)


def stale_packet(said: str, namespace: str) -> bytes:
    head = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    listed = "<l:Directory><rdf:Seq><rdf:li rdf:parseType='Resource'><l:Item i:Semantic='Primary' i:Mime='image/jpeg'/>"
    listed += "</rdf:li></rdf:Seq></l:Directory>"
    declared = DECLARED.format(namespace, namespace)
    return f'{head}<rdf:Description rdf:about="" {declared} {said}>{listed}</rdf:Description></rdf:RDF></x:xmpmeta>'.encode()


@pytest.mark.parametrize("namespace", ["", "dd/"])
@pytest.mark.parametrize("kind", STALE)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_no_entry_stays_without_its_data(form: str, kind: str, namespace: str) -> None:
    packet = stale_packet(STALE[kind], namespace)
    data = photo.Photo(samples.picture(), xmp=packet).to_bytes(format=form)
    found = photo.read(data + b"\0\0\0\x18ftypmp42").xmp
    assert found is not None
    assert b'x2:Rating="4"' in found
    for word in (b"Motion", b"MicroVideo", b"HDRGainMap", b"hdrgm", b"Directory", b"container"):
        assert word not in found


def test_a_packet_without_such_entries_stays_byte_for_byte() -> None:
    assert without_stale(samples.XMP) is samples.XMP


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("says", [False, True])
def test_heic_is_turned_once(orientation: int, says: bool) -> None:
    """EXIF counts where the container says nothing; the depth image turns with the photo."""
    pytest.importorskip("pillow_heif")
    pixels = samples.picture(128, 192)
    block = samples.exif_block(orientation)
    data = heif_files.portrait(
        pixels, pixels[::2, ::2, 0], orientation=orientation if says else 1, exif=block
    )
    back = photo.read(data)
    turned = upright(pixels, orientation)
    assert samples.close(back.pixels, turned, 4)
    assert orientations(back.exif or b"") == [1]
    assert back.depth is not None
    values = back.depth.inverse_depth.values
    assert values.shape == turned[::2, ::2].shape[:2]
    assert np.corrcoef(values.ravel(), turned[::2, ::2, 0].ravel())[0, 1] > 0.99
    assert samples.close(photo.read(back.to_bytes(format="PNG")).pixels, turned, 4)


JPEGS = {
    "baseline": {},
    "4:2:0": {"subsampling": 2},
    "grey": {"mode": "L"},
    "CMYK": {"mode": "CMYK"},
    "restart markers": {"restart_marker_rows": 1},
    "progressive": {"progressive": True},
    "optimised": {"optimize": True},
}


def jpeg_of(kind: str) -> bytes:
    options = dict(JPEGS[kind])
    image = Image.fromarray(samples.noise(72, 88, np.uint8)).convert(options.pop("mode", "RGB"))
    return samples.file_of(image, "JPEG", quality=80, **options)


@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_that_lacks_only_its_end_is_read_with_a_note(kind: str) -> None:
    data = jpeg_of(kind)
    for cut in (1, 2):
        back = photo.read(data[:-cut])
        np.testing.assert_array_equal(back.pixels, photo.read(data).pixels)
        assert len(back.notes) == 1
        assert "lacks its end marker" in back.notes[0]
    assert photo.read(data).notes == ()


@pytest.mark.parametrize("kind", [kind for kind in JPEGS if kind != "progressive"])
def test_a_jpeg_that_lacks_rows_is_refused_or_filled(kind: str) -> None:
    data = jpeg_of(kind)
    cut = data[: len(data) * 3 // 4]
    with pytest.raises(PhotoError, match=r"lacks \d+ of its 72 rows.*damaged"):
        photo.read(cut)
    back = photo.read(cut, allow_truncated=True)
    whole = photo.read(data)
    same = (back.pixels == whole.pixels).all(axis=(1, 2))
    lost = int(back.notes[0].split(" lacks ")[1].split()[0])
    assert 8 <= lost < 40
    assert same[: 72 - lost - 1].all()
    assert not same[-8:].any()


@pytest.mark.parametrize(
    ("marker", "bits", "words"),
    [(0xC1, 12, "12 bits"), (0xC0, 12, "12 bits"), (0xC3, 8, "lossless"), (0xC5, 8, "hierarchical")],
)
def test_kinds_of_jpeg_that_are_not_read_are_named(marker: int, bits: int, words: str) -> None:
    data = bytearray(jpeg_of("baseline"))
    at = data.index(b"\xff\xc0")
    data[at + 1], data[at + 4] = marker, bits
    with pytest.raises(PhotoError, match=f"{words}.*not read") as caught:
        photo.read(bytes(data))
    assert "damaged" not in str(caught.value)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("code", "words"),
    [(34712, "JPEG 2000"), (34887, "LERC"), (50002, "JPEG XL"), (12345, r"a method of its own \(12345\)")],
)
def test_compressions_of_tiff_that_are_not_read_are_named(kind: type, code: int, words: str) -> None:
    tag = struct.Struct("<HHIHH")
    data = Photo(samples.picture(dtype=kind)).to_bytes(format="TIFF")
    data = data.replace(tag.pack(0x103, 3, 1, 8, 0), tag.pack(0x103, 3, 1, code, 0))
    with pytest.raises(
        PhotoError, match=f"is compressed with {words}, which this installation does not read"
    ):
        photo.read(data)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_lzma_in_tiff_is_read_at_8_bits_and_named_at_16(kind: type) -> None:
    """Pillow has LZMA in its wheels, OpenImageIO has not."""
    pixels = samples.picture(dtype=kind)
    packed = lzma.compress(pixels.astype("<u2" if kind is np.uint16 else kind).tobytes())
    page = {
        0x100: ifd.packed("<", ifd.LONG, pixels.shape[1]),
        0x101: ifd.packed("<", ifd.LONG, pixels.shape[0]),
        0x102: ifd.packed("<", ifd.SHORT, *[8 * pixels.itemsize] * 3),
        0x103: ifd.packed("<", ifd.SHORT, 34925),
        0x106: ifd.packed("<", ifd.SHORT, 2),
        0x111: ifd.packed("<", ifd.LONG, 0),
        0x115: ifd.packed("<", ifd.SHORT, 3),
        0x116: ifd.packed("<", ifd.LONG, pixels.shape[0]),
        0x117: ifd.packed("<", ifd.LONG, len(packed)),
    }
    page[0x111] = ifd.packed("<", ifd.LONG, len(ifd.laid_out("<", ifd.Tags(page, {}, {}, {}))))
    data = ifd.laid_out("<", ifd.Tags(page, {}, {}, {})) + packed
    if kind is np.uint8 and features.check("libtiff"):
        np.testing.assert_array_equal(photo.read(data).pixels, pixels)
        return
    with pytest.raises(PhotoError, match="is compressed with LZMA, which this installation does not read"):
        photo.read(data)
