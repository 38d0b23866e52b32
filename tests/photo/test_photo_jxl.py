"""JPEG XL: sizes from its first bits, 8 and 16 bits, metadata in boxes, and turned exactly once."""

from __future__ import annotations

import numpy as np
import photo_samples as samples
import pytest

from deeplens_dof import photo
from deeplens_dof.photo import Compression, Limits, Photo, PhotoError
from deeplens_dof.photo.codecs import jxl
from deeplens_dof.photo.codecs.boxes import box, boxes
from deeplens_dof.photo.metadata.orientation import upright

LOSSLESS = Compression(lossless=True)
CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n" + box(b"ftyp", b"jxl \0\0\0\0jxl ")


def codestream(data: bytes) -> bytes:
    return b"".join(data[start:end] for kind, start, end in boxes(data) if kind == b"jxlc")


def turned(stream: bytes, orientation: int) -> bytes:
    """The codestream of a 41 x 33 picture with this orientation in its header, which leaves it out when it is 1.

    Bit 15 says whether all is default and 16 whether there are more fields; those are put in behind it: orientation and
    three flags. The depth and colours follow, 8 bits; then, for files with more fields, whether tone mapping is default.
    """
    header = int.from_bytes(stream[2:6], "little")
    assert header >> 15 & 3 == 0
    low, middle, high = header & (1 << 16) - 1, header >> 17 & 255, header >> 25
    bits = low | 1 << 16 | (orientation - 1) << 17 | middle << 23 | 1 << 31 | high << 32
    return stream[:2] + bits.to_bytes(5, "little") + stream[6:]


@pytest.mark.parametrize("profile", [None, samples.display_p3()])
@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_lossless_keeps_every_bit_and_all_metadata(dtype: type, alpha: bool, profile: bytes | None) -> None:
    pixels = samples.noise(33, 41, dtype, 4)
    cover = pixels[..., 3].copy() if alpha else None
    first = Photo(
        pixels[..., :3].copy(), cover, "JXL", profile, samples.exif_block(), samples.XMP, compression=LOSSLESS
    )
    back = photo.read(first.to_bytes())
    assert (back.format, back.pixels.dtype) == ("JXL", dtype)
    np.testing.assert_array_equal(back.pixels, first.pixels)
    assert (back.alpha is None) == (cover is None)
    if cover is not None:
        np.testing.assert_array_equal(back.alpha, cover)
    assert back.icc == profile
    assert back.camera.model == "T2"
    assert back.exif is not None
    assert b"maker\x01\x02\x03 note" in back.exif
    assert back.xmp is not None
    assert "Zürich ☀".encode() in back.xmp
    assert first.to_bytes() == first.to_bytes()
    stripped = photo.read(first.to_bytes(strip_metadata=True))
    assert (stripped.exif, stripped.xmp, stripped.icc) == (None, None, profile)


def test_16_bits_are_lossless_unless_a_quality_is_asked_for() -> None:
    first = Photo(samples.noise(33, 41, np.uint16), format="JXL")
    np.testing.assert_array_equal(photo.read(first.to_bytes()).pixels, first.pixels)
    lossy = photo.read(first.to_bytes(quality=90))
    assert lossy.pixels.dtype == np.uint16
    assert not np.array_equal(lossy.pixels, first.pixels)


def test_lossless_stays_lossless_and_lossy_is_close_and_small() -> None:
    pixels = samples.picture(200, 300)
    lossless = photo.read(Photo(pixels, format="JXL", compression=LOSSLESS).to_bytes())
    assert lossless.compression.lossless
    np.testing.assert_array_equal(photo.read(lossless.to_bytes()).pixels, pixels)
    data = Photo(pixels, format="JXL", icc=samples.display_p3()).to_bytes()
    lossy = photo.read(data)
    assert not lossy.compression.lossless
    assert samples.close(lossy.pixels, pixels, 1.5)
    assert len(data) < 0.5 * len(lossless.to_bytes())
    as_p3 = Photo(pixels, icc=samples.display_p3()).srgb8()
    assert samples.close(lossy.srgb8(), as_p3, 2)  # the profile is another one of the same colours


def test_grey_becomes_rgb() -> None:
    from deeplens_dof.photo.codecs.oiio import stored_bytes

    grey = samples.noise(12, 20, np.uint8, 1)
    back = photo.read(stored_bytes(grey, ".jxl", "uint8", ("Y",), {}))
    np.testing.assert_array_equal(back.pixels, np.repeat(grey, 3, axis=2))
    assert back.alpha is None


def test_floats_are_read_at_16_bits() -> None:
    from deeplens_dof.photo.codecs.oiio import stored_bytes

    light = np.linspace(0, 1.2, 600, dtype=np.float32).reshape(10, 20, 3)
    back = photo.read(stored_bytes(light, ".jxl", "float", ("R", "G", "B"), {}))
    assert back.pixels.dtype == np.uint16
    np.testing.assert_allclose(back.linear(), np.minimum(light, 1), atol=2e-3)


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (33, 41), (64, 256), (257, 300), (600, 800), (64, 4000)])
@pytest.mark.parametrize("form", [np.uint8, np.uint16])
def test_the_size_is_read_from_the_first_bits(size: tuple[int, int], form: type) -> None:
    for lossless in (True, False):
        data = Photo(samples.picture(*size, form), compression=Compression(lossless=lossless)).to_bytes(
            format="JXL"
        )
        assert jxl.read_jxl_header(data).size == size[::-1]
        assert jxl.read_jxl_header(codestream(data)).size == size[::-1]


@pytest.mark.parametrize("side", [1, 2, 24])
def test_files_of_few_bytes_are_whole(side: int) -> None:
    data = Photo(np.full((side, side, 3), 100, np.uint16), format="JXL").to_bytes()
    assert len(data) < 128
    for each in (data, codestream(data)):
        assert (photo.read(each).pixels == 100).all()


def test_sizes_are_refused_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Photo(samples.picture(), format="JXL").to_bytes()
    monkeypatch.setattr(
        "deeplens_dof.photo.codecs.jxl.stored_samples", lambda *_: pytest.fail("it was decoded")
    )
    with pytest.raises(PhotoError, match=r"expected at most [0-9,]+ pixels"):
        photo.read(data, limits=Limits(max_pixels=1000, max_side=100, max_bytes=10_000_000))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_the_codestream_is_applied_and_that_of_exif_is_not(orientation: int) -> None:
    pixels = samples.picture(33, 41)
    stream = turned(codestream(Photo(pixels, format="JXL", compression=LOSSLESS).to_bytes()), orientation)
    back = photo.read(CONTAINER + box(b"Exif", bytes(4) + samples.exif_block(6)) + box(b"jxlc", stream))
    np.testing.assert_array_equal(back.pixels, upright(pixels, orientation))
    again = photo.read(back.to_bytes(format="PNG"))
    np.testing.assert_array_equal(again.pixels, back.pixels)


def test_compressed_boxes_are_expanded_within_bounds() -> None:
    brotli = pytest.importorskip("brotli")
    stream = box(b"jxlc", codestream(Photo(samples.picture(33, 41), format="JXL").to_bytes()))

    def packed(kind: bytes, body: bytes) -> bytes:
        return box(b"brob", kind + brotli.compress(body))

    good = packed(b"Exif", bytes(4) + samples.exif_block()) + packed(b"xml ", samples.XMP)
    back = photo.read(CONTAINER + good + stream)
    assert back.camera.model == "T2"
    assert back.xmp is not None
    bomb = packed(b"xml ", bytes(40 << 20))
    assert photo.read(CONTAINER + bomb + stream).xmp is None
    assert photo.read(CONTAINER + box(b"brob", b"Exif\xff\xff\xff") + stream).exif is None
