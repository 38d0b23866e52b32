"""Broken, foreign and hostile input gives one sentence that starts with its name, and never anything else."""

from __future__ import annotations

import os
import struct
import time
import tracemalloc
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import photo_samples as samples
import pytest
import raw_samples
from PIL import Image

from deeplens_dof import photo
from deeplens_dof.photo import COMMAND_LINE_LIMITS, SERVICE_LIMITS, Photo, PhotoError
from deeplens_dof.photo.codecs.formats import READABLE


def whole_files() -> dict[str, bytes]:
    rich = {"exif": samples.exif_block(6), "xmp": samples.XMP, "icc": samples.display_p3()}
    files = {form: Photo(samples.picture(), **rich).to_bytes(format=form) for form in samples.FORMATS}
    for form in samples.LOSSLESS:
        files[f"{form} 16"] = Photo(samples.noise(24, 32, np.uint16), **rich).to_bytes(format=form)
    for form in ("EXR", "JXL"):
        files[form] = Photo(samples.picture(), **rich).to_bytes(format=form)
    files["DNG"] = raw_samples.dng(raw_samples.four_patches(24, 32), xmp=samples.XMP)
    image = Image.fromarray(samples.picture())
    files["progressive"] = samples.file_of(image, "JPEG", progressive=True)
    files["LZW"] = samples.file_of(image, "TIFF", compression="tiff_lzw")
    return files


WHOLE = whole_files()


def sentence(problem: PhotoError, name: str) -> None:
    text = str(problem)
    assert text.startswith(name)
    assert "\n" not in text
    assert not text.endswith(".")


@pytest.mark.parametrize("kind", WHOLE)
def test_truncated_at_ten_lengths_is_a_sentence(kind: str) -> None:
    data = WHOLE[kind]
    photo.read(data)
    for tenth in range(10):
        cut = data[: len(data) * tenth // 10]
        with pytest.raises(PhotoError) as caught:
            photo.read(cut)
        sentence(caught.value, "the picture")


@pytest.mark.parametrize("kind", WHOLE)
def test_flipped_bytes_give_a_sentence_or_a_picture(kind: str) -> None:
    data, random = WHOLE[kind], np.random.default_rng(11)
    refused = 0
    for trial in range(80):
        broken = bytearray(data)
        where = 64 if trial % 2 else len(data)  # the header every other time
        for place in random.integers(0, where, 1 + trial % 3):
            broken[place] ^= int(random.integers(1, 256))
        try:
            found = photo.read(bytes(broken))
        except PhotoError as problem:
            sentence(problem, "the picture")
            refused += 1
        else:
            assert found.pixels.ndim == 3
            found.linear()
    assert refused > 0


def test_nothing_but_sentences_for_things_that_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "circle.jpg").symlink_to(tmp_path / "circle.jpg")
    cases = {
        tmp_path: "is a folder",
        tmp_path / "pipe.jpg": "pipe or a device",
        Path(os.devnull): "pipe or a device",
        tmp_path / "link.jpg": "no such file",
        tmp_path / "circle.jpg": "circle",
        tmp_path / "missing.jpg": "no such file",
        tmp_path / ("x" * 5000): "too long",
        tmp_path / "a\0b.jpg": "NUL",
    }
    for path, words in cases.items():
        start = time.monotonic()
        with pytest.raises(PhotoError, match=words) as caught:
            photo.read(path)
        assert time.monotonic() - start < 2
        assert str(caught.value).startswith(str(path)[:50].replace("\0", "\\x00"))
        assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"hello, this is no picture\n", "a text file"),
        (b"%PDF-1.7 ...", "a PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "a PostScript file"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG"),
        (b"GIF89a\1\0\1\0", "a GIF"),
        (b"BM\0\0\0\0", "a BMP"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isomavc1", "a video"),
        (b"II+\0\x08\0\0\0", "BigTIFF"),
        (bytes(range(128, 200)), "not a picture of a known format"),
    ],
)
def test_foreign_files_are_named(data: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    path.write_bytes(data)
    with pytest.raises(PhotoError, match=words) as caught:
        photo.read(path)
    sentence(caught.value, str(path))
    assert READABLE in str(caught.value)


def test_raw_files_that_look_like_tiff_are_refused() -> None:
    data = samples.file_of(Image.new("RGB", (16, 12)), "TIFF", tiffinfo={50706: b"\1\4\0\0"})
    with pytest.raises(PhotoError, match="damaged or incomplete camera RAW"):
        photo.read(data)


def test_names_are_shown_on_one_line(tmp_path: Path) -> None:
    path = tmp_path / "two\nlines\x1b[31m 🐈.jpg"
    path.write_bytes(b"text")
    with pytest.raises(PhotoError) as caught:
        photo.read(path)
    assert "two\\nlines\\x1b[31m 🐈.jpg is a text file" in str(caught.value)


def png_header(width: int, height: int, bits: int = 8, color_type: int = 2, body: bytes = b"") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def webp_header(width: int, height: int) -> bytes:
    body = (
        b"VP8X"
        + struct.pack("<I", 10)
        + bytes(4)
        + struct.pack("<I", width - 1)[:3]
        + struct.pack("<I", height - 1)[:3]
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def jpeg_header(width: int, height: int) -> bytes:
    frame = struct.pack(">BHHB", 8, height, width, 3) + b"\1\x11\0\2\x11\0\3\x11\0"
    scan = b"\3\1\0\2\0\3\0\0\x3f\0"
    return (
        b"\xff\xd8\xff\xc0"
        + struct.pack(">H", len(frame) + 2)
        + frame
        + b"\xff\xda"
        + struct.pack(">H", 12)
        + scan
    )


def tiff_header(width: int, height: int, bits: int) -> bytes:
    from deeplens_dof.photo.metadata import ifd

    tags = {256: width, 257: height, 258: bits, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: 100}
    return ifd.laid_out(
        "<", ifd.Tags({tag: ifd.packed("<", ifd.LONG, v) for tag, v in tags.items()}, {}, {}, {})
    )


BOMBS = {
    "40,000 x 40,000 PNG": png_header(40_000, 40_000),
    "30,000 x 30,000 1-bit PNG": png_header(30_000, 30_000, 1, 0, zlib.compress(bytes(3751 * 30_000), 1)),
    "16-bit PNG": png_header(40_000, 40_000, 16),
    "PNG of 2^31 px": png_header(2**31 - 1, 2**31 - 1),
    "WebP": webp_header(16_000, 16_000),
    "JPEG": jpeg_header(60_000, 60_000),
    "TIFF": tiff_header(50_000, 50_000, 8),
    "16-bit TIFF": tiff_header(50_000, 50_000, 16),
    "1-bit TIFF": tiff_header(60_000, 60_000, 1),
}


@pytest.mark.parametrize("kind", BOMBS)
@pytest.mark.parametrize("limits", [COMMAND_LINE_LIMITS, SERVICE_LIMITS])
def test_bombs_are_refused_by_their_header(kind: str, limits: photo.Limits) -> None:
    photo.read(WHOLE["PNG"])  # imports what is needed
    tracemalloc.start()
    start = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(PhotoError, match=r"megapixels|px a side|more pixels"):
            photo.read(BOMBS[kind], limits=limits)
    assert time.monotonic() - start < 1
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_sides_progressive_jpeg_and_bytes_have_their_limits(tmp_path: Path) -> None:
    photo.read(WHOLE["progressive"], limits=SERVICE_LIMITS)
    tight = photo.Limits(max_pixels=10**6, max_side=40, max_bytes=10**6)
    with pytest.raises(PhotoError, match="px a side"):
        photo.read(WHOLE["PNG"], limits=tight)
    tight = photo.Limits(10**6, 10**4, 10**6, max_progressive_jpeg_pixels=1000)
    photo.read(WHOLE["JPEG"], limits=tight)
    with pytest.raises(PhotoError, match="progressive JPEG"):
        photo.read(WHOLE["progressive"], limits=tight)
    tight = photo.Limits(10**6, 10**4, max_bytes=100)
    path = tmp_path / "large.png"
    path.write_bytes(WHOLE["PNG"])
    for source in (path, WHOLE["PNG"]):
        with pytest.raises(PhotoError, match="at most 100"):
            photo.read(source, limits=tight)


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_large_pictures_read_without_a_warning(form: str) -> None:
    """90 megapixels: Pillow by itself would warn of it."""
    data = samples.file_of(
        Image.new("L", (9_500, 9_500), 77), form, **({"compression": "tiff_lzw"} if form == "TIFF" else {})
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        back = photo.read(data)
    assert back.pixels.shape == (9_500, 9_500, 3)
    assert back.pixels[0, 0, 0] == back.pixels[-1, -1, 2] == 77


def test_pillows_own_state_stays_as_it_was() -> None:
    before = (Image.MAX_IMAGE_PIXELS, warnings.filters[:])
    for data in WHOLE.values():
        photo.read(data)
    assert (Image.MAX_IMAGE_PIXELS, warnings.filters[:]) == before


def test_threads_read_and_write_alike() -> None:
    def there_and_back(kind: str) -> np.ndarray:
        return photo.read(photo.read(WHOLE[kind]).to_bytes(format="PNG")).pixels

    kinds = list(WHOLE) * 3
    with ThreadPoolExecutor(4) as pool:
        for kind, found in zip(kinds, pool.map(there_and_back, kinds), strict=True):
            whole = photo.read(WHOLE[kind])
            expected = whole.encode(whole.pixels, np.uint16) if whole.is_float else whole.pixels
            np.testing.assert_array_equal(found, expected)


def test_importing_the_room_loads_nothing_heavy() -> None:
    import subprocess
    import sys

    heavy = "('numba', 'OpenImageIO', 'torch', 'cv2')"
    code = f"import sys, deeplens_dof.photo; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
