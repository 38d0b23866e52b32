"""What goes in comes out: every format, depth and mode."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import photo_samples as samples
import pytest
from PIL import Image

from deeplens_dof import photo
from deeplens_dof.photo import Photo, PhotoError

DTYPES = (np.uint8, np.uint16)


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", samples.LOSSLESS)
def test_png_and_tiff_keep_every_bit(form: str, dtype: type, alpha: bool, tmp_path: Path) -> None:
    pixels = samples.noise(33, 41, dtype, 4)
    original = Photo(pixels[..., :3].copy(), pixels[..., 3].copy() if alpha else None)
    path = tmp_path / f"picture{samples.SUFFIX[form]}"
    original.save(path)
    back = photo.read(path)
    assert back.pixels.dtype == dtype
    assert back.format == form
    np.testing.assert_array_equal(back.pixels, original.pixels)
    if alpha:
        np.testing.assert_array_equal(back.alpha, original.alpha)
    else:
        assert back.alpha is None


@pytest.mark.parametrize("form", samples.LOSSLESS)
@pytest.mark.parametrize("channels", [3, 4])
def test_other_readers_see_the_same_pixels(form: str, channels: int, tmp_path: Path) -> None:
    OpenImageIO = pytest.importorskip("OpenImageIO")
    for dtype in DTYPES:
        pixels = samples.noise(21, 19, dtype, channels)
        original = Photo(pixels[..., :3].copy(), pixels[..., 3].copy() if channels == 4 else None)
        path = tmp_path / f"{np.dtype(dtype).name}{samples.SUFFIX[form]}"
        original.save(path)
        if dtype == np.uint8:
            np.testing.assert_array_equal(np.asarray(Image.open(path)), pixels)
        config = OpenImageIO.ImageSpec()
        config.attribute("oiio:UnassociatedAlpha", 1)
        file = OpenImageIO.ImageInput.open(str(path), config)
        np.testing.assert_array_equal(file.read_image(np.dtype(dtype).name), pixels)
        file.close()


@pytest.mark.parametrize("form", samples.FORMATS)
def test_lossy_formats_stay_close(form: str, tmp_path: Path) -> None:
    pixels = samples.picture(64, 80)
    path = tmp_path / f"picture{samples.SUFFIX[form]}"
    Photo(pixels, pixels[..., 0].copy()).save(path)
    back = photo.read(path)
    assert back.format == form
    assert samples.close(back.pixels, pixels, 1.5)
    if form == "JPEG":
        assert back.alpha is None
    else:
        assert back.alpha is not None
        assert samples.close(back.alpha, pixels[..., 0], 1.0)


def test_lossless_webp_stays_lossless_and_rounds_16_bits() -> None:
    deep = samples.noise(16, 16, np.uint16)
    expected = np.rint(deep / 257).astype(np.uint8)
    original = Photo(deep, compression=photo.Compression(lossless=True))
    back = photo.read(original.to_bytes(format="WEBP"))
    np.testing.assert_array_equal(back.pixels, expected)
    assert back.compression.lossless
    assert not photo.read(Photo(deep).to_bytes(format="WEBP")).compression.lossless


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "AVIF"])
def test_16_bits_are_rounded_to_8_where_the_format_has_no_more(form: str) -> None:
    data = Photo(samples.picture(dtype=np.uint16)).to_bytes(format=form)
    back = photo.read(data)
    assert back.pixels.dtype == np.uint8
    assert samples.close(back.pixels, samples.picture(), 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1), (3, 5), (17, 31)])
@pytest.mark.parametrize("form", samples.FORMATS)
def test_tiny_and_odd_sizes(form: str, size: tuple[int, int]) -> None:
    for dtype in DTYPES:
        pixels = np.full((*size, 3), np.iinfo(dtype).max // 2, dtype)
        back = photo.read(Photo(pixels).to_bytes(format=form))
        assert back.pixels.shape == pixels.shape
        assert (back.width, back.height) == size[::-1]
        if form in samples.LOSSLESS:
            np.testing.assert_array_equal(back.pixels, pixels)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA"])
def test_modes_become_rgb_with_alpha_beside(mode: str, form: str) -> None:
    image = Image.fromarray(samples.picture()).convert("L" if mode in ("1", "LA") else "RGB").convert(mode)
    if mode in ("LA", "RGBA"):
        image.putalpha(Image.fromarray(samples.picture()[..., 0]))
    back = photo.read(samples.file_of(image, form))
    expected = np.asarray(image.convert("RGBA" if mode in ("LA", "RGBA") else "RGB"))
    np.testing.assert_array_equal(back.pixels, expected[..., :3])
    if mode in ("LA", "RGBA"):
        np.testing.assert_array_equal(back.alpha, expected[..., 3])
    else:
        assert back.alpha is None


def test_palette_and_colour_key_transparency_become_alpha() -> None:
    palette = Image.fromarray(samples.picture()).quantize(8)
    index = np.asarray(palette)
    back = photo.read(samples.file_of(palette, "PNG", transparency=3))
    assert back.alpha is not None
    np.testing.assert_array_equal(back.alpha, np.where(index == 3, 0, 255))

    pixels = samples.picture()
    pixels[4, 5] = (1, 2, 3)
    back = photo.read(samples.file_of(Image.fromarray(pixels), "PNG", transparency=(1, 2, 3)))
    assert back.alpha is not None
    assert back.alpha[4, 5] == 0
    assert (back.alpha == 0).sum() == (pixels == (1, 2, 3)).all(axis=2).sum()


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_16_bits(form: str) -> None:
    grey = samples.noise(12, 20, np.uint16, 1)[..., 0]
    back = photo.read(samples.file_of(Image.fromarray(grey), form))
    assert back.pixels.dtype == np.uint16
    for channel in range(3):
        np.testing.assert_array_equal(back.pixels[..., channel], grey)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bit_files_of_another_program(channels: int, suffix: str, tmp_path: Path) -> None:
    OpenImageIO = pytest.importorskip("OpenImageIO")
    stored = samples.noise(13, 17, np.uint16, channels)
    path = tmp_path / f"deep{suffix}"
    spec = OpenImageIO.ImageSpec(17, 13, channels, "uint16")
    spec.attribute("oiio:UnassociatedAlpha", 1)
    if channels in (2, 4):
        spec.alpha_channel = channels - 1
    file = OpenImageIO.ImageOutput.create(str(path))
    assert file.open(str(path), spec)
    assert file.write_image(stored)
    file.close()
    back = photo.read(path)
    color = stored[..., :3] if channels > 2 else np.repeat(stored[..., :1], 3, axis=2)
    assert back.pixels.dtype == np.uint16
    np.testing.assert_array_equal(back.pixels, color)
    if channels in (2, 4):
        np.testing.assert_array_equal(back.alpha, stored[..., -1])
    else:
        assert back.alpha is None


def test_premultiplied_16_bit_tiff_is_divided_by_its_alpha(tmp_path: Path) -> None:
    OpenImageIO = pytest.importorskip("OpenImageIO")
    straight = samples.picture(dtype=np.uint16)
    alpha = np.full(straight.shape[:2], 32768, np.uint16)
    alpha[0] = 0
    stored = np.dstack((np.rint(straight * (alpha[..., None] / 65535)).astype(np.uint16), alpha))
    path = tmp_path / "premultiplied.tif"
    spec = OpenImageIO.ImageSpec(straight.shape[1], straight.shape[0], 4, "uint16")
    file = OpenImageIO.ImageOutput.create(str(path))
    assert file.open(str(path), spec)
    assert file.write_image(stored)
    file.close()
    back = photo.read(path)
    np.testing.assert_array_equal(back.alpha, alpha)
    assert np.abs(back.pixels[1:].astype(int) - straight[1:]).max() <= 1


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk_without_a_profile_is_converted_plainly(form: str) -> None:
    image = Image.fromarray(samples.picture()).convert("CMYK")
    back = photo.read(samples.file_of(image, form))
    assert samples.close(back.pixels, samples.picture(), 2.5)
    assert back.icc is not None
    assert photo.read(back.to_bytes()).icc == back.icc


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk_goes_through_its_profile(form: str) -> None:
    image = Image.new("CMYK", (8, 8), (0, 0, 0, 255))
    back = photo.read(samples.file_of(image, form, icc_profile=samples.cmyk_profile()))
    plain = photo.read(samples.file_of(image, form))
    assert plain.pixels.max() <= 3
    assert np.abs(back.pixels.astype(int) - 119).max() <= 4  # lightness 50 is sRGB 119
    assert back.icc == plain.icc


def test_32_bit_tiff_is_refused() -> None:
    data = samples.file_of(Image.fromarray(np.zeros((4, 4), np.int32)), "TIFF")
    with pytest.raises(PhotoError, match="8 or 16 bits"):
        photo.read(data)


def test_path_bytes_and_pillow_image_read_alike(tmp_path: Path) -> None:
    data = samples.file_of(Image.fromarray(samples.picture()), "PNG", icc_profile=samples.display_p3())
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    for source in (path, str(path), data, bytearray(data), memoryview(data), Image.open(io.BytesIO(data))):
        back = photo.read(source)
        np.testing.assert_array_equal(back.pixels, samples.picture())
        assert back.icc == samples.display_p3()
        assert back.format == "PNG"
    assert photo.read(path).source == str(path)


def test_pillow_image_goes_there_and_back() -> None:
    original = Photo(
        samples.picture(), samples.picture()[..., 1].copy(), icc=samples.display_p3(), xmp=samples.XMP
    )
    back = photo.read(original.to_pillow())
    np.testing.assert_array_equal(back.pixels, original.pixels)
    np.testing.assert_array_equal(back.alpha, original.alpha)
    assert back.icc == original.icc


def test_content_decides_and_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(samples.file_of(Image.fromarray(samples.picture()), "JPEG"))
    assert photo.read(path).format == "JPEG"


def test_only_the_first_frame_is_read() -> None:
    first, second = Image.fromarray(samples.picture()), Image.new("RGB", (48, 32))
    for form in ("PNG", "TIFF", "WEBP"):
        options = {"lossless": True} if form == "WEBP" else {}
        data = samples.file_of(first, form, save_all=True, append_images=[second] * 3, **options)
        np.testing.assert_array_equal(photo.read(data).pixels, samples.picture())


@pytest.mark.parametrize("quality", [60, 92, 97])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_jpeg_is_saved_about_as_it_came(quality: int, subsampling: str) -> None:
    image = Image.fromarray(samples.picture(200, 300))
    source = photo.read(samples.file_of(image, "JPEG", quality=quality, subsampling=subsampling))
    assert source.compression.quality == quality
    again = photo.read(source.to_bytes())
    assert again.compression.quality == max(90, quality)
    assert again.compression.subsampling == subsampling
    assert photo.read(source.to_bytes(quality=70)).compression.quality == 70


def test_pixels_of_the_wrong_kind_are_refused() -> None:
    with pytest.raises(PhotoError, match="uint8 or uint16"):
        Photo(np.zeros((4, 4, 3), np.float64))
    with pytest.raises(PhotoError, match="alpha"):
        Photo(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), np.uint8))
    with pytest.raises(PhotoError, match="expected a path"):
        photo.read(42)
