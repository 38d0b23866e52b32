"""Every kind of TIFF page: photometric x depth x alpha x byte order x layout, written and read back by tifffile.

The truth is the light that was meant; tifffile, a second reader, checks that the file holds the codes that mean it.
"""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import photo_samples as samples
import pytest
from PIL import Image, ImageCms

from deeplens_dof import photo
from deeplens_dof.photo import PhotoError

tifffile = pytest.importorskip("tifffile")

SIZE = (32, 48)
CHANNELS = {"minisblack": 1, "miniswhite": 1, "rgb": 3, "separated": 4}
ALPHAS = (None, "unspecified", "assocalpha", "unassalpha")
LAYOUTS = ("strips", "tiles", "planes", "planes of tiles")


def straight_codes(channels: int, top: int) -> np.ndarray:
    """(H, W, channels) of a ramp that differs in each channel."""
    ramp = np.linspace(0, 1, SIZE[0] * SIZE[1]).reshape(SIZE)
    return np.rint(np.stack([ramp ** (k + 1) for k in range(channels)], axis=2) * top)


def page(codes: np.ndarray, photometric: str, alpha: str | None, order: str, layout: str) -> bytes:
    options: dict[str, Any] = {"photometric": photometric, "byteorder": order, "metadata": None}
    if codes.shape[2] == 1:
        codes = codes[..., 0]
    elif layout.startswith("planes"):
        codes, options["planarconfig"] = np.moveaxis(codes, 2, 0), "separate"
    else:
        options["planarconfig"] = "contig"
    if "tiles" in layout:
        options["tile"] = (16, 16)
    file = io.BytesIO()
    tifffile.imwrite(file, codes, extrasamples=[alpha] if alpha else None, **options)
    file.seek(0)
    np.testing.assert_array_equal(tifffile.imread(file), codes)
    return file.getvalue()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("photometric", CHANNELS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_kind_of_page(dtype: Any, photometric: str, alpha: str | None, order: str, layout: str) -> None:
    top, channels = np.iinfo(dtype).max, CHANNELS[photometric]
    if channels == 1 and alpha is None and layout.startswith("planes"):
        pytest.skip("one channel is one plane")
    straight = straight_codes(channels, top)
    cover = np.rint(np.linspace(0.25, 1, SIZE[0] * SIZE[1]).reshape(*SIZE, 1) * top)
    stored = [np.rint(straight * cover / top) if alpha == "assocalpha" else straight]
    codes = np.concatenate([*stored, cover][: 2 if alpha else 1], axis=2).astype(dtype)
    back = photo.read(page(codes, photometric, alpha, order, layout))
    meant = top - straight if photometric in ("miniswhite", "separated") else straight
    if photometric == "separated":
        meant = meant[..., :3] * meant[..., 3:] / top
    meant = np.broadcast_to(meant, (*SIZE, 3))
    scale = top / np.iinfo(back.pixels.dtype).max
    rounding = 2 if alpha == "assocalpha" else 0.5  # of the file, divided by an alpha of a quarter
    extra = 6 if photometric == "separated" else 0  # four inks, each rounded; Pillow's own product
    assert np.abs(back.pixels * scale - meant).max() <= rounding + extra
    assert back.pixels.dtype == dtype
    assert (back.alpha is not None) == (alpha in ("assocalpha", "unassalpha"))
    if back.alpha is not None:
        np.testing.assert_array_equal(back.alpha, cover[..., 0])


def test_light_multiplied_before_white_became_zero_is_told_by_its_codes() -> None:
    light, cover = 40000, 8000
    codes = np.empty((*SIZE, 2), np.uint16)
    codes[..., 0], codes[..., 1] = 65535 - round(light * cover / 65535), cover
    back = photo.read(page(codes, "miniswhite", "assocalpha", "<", "strips"))
    assert np.abs(back.pixels.astype(int) - light).max() <= 8


@pytest.mark.parametrize("orientation", range(1, 9))
def test_white_is_zero_turns_upright(orientation: int) -> None:
    codes = samples.picture(*SIZE, np.uint16)[..., 0]
    file = io.BytesIO()
    tags = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(file, 65535 - codes, photometric="miniswhite", metadata=None, extratags=tags)
    from deeplens_dof.photo.metadata.orientation import upright

    np.testing.assert_array_equal(photo.read(file.getvalue()).pixels[..., 0], upright(codes, orientation))


@pytest.mark.parametrize("photometric", [0, 1])
def test_twelve_bits(photometric: int) -> None:
    codes = (np.arange(32) * 4095 // 31).reshape(4, 8)
    rows = b"".join(int("".join(f"{v:012b}" for v in row), 2).to_bytes(12, "big") for row in codes)
    tags = {256: 8, 257: 4, 258: 12, 259: 1, 262: photometric, 273: 0, 277: 1, 278: 4, 279: len(rows)}
    tags[273] = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    data = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + rows
    light = codes if photometric else 4095 - codes
    found = photo.read(data).pixels[..., 0]
    assert np.abs(found - light * (65535 / 4095)).max() <= 1


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("photometric", ["cielab", "icclab"])
def test_lab(photometric: str, dtype: Any, order: str) -> None:
    """Against littlecms' Lab, whose a and b are signed as those of CIELab."""
    rgb = samples.picture(*SIZE)
    to_lab = ImageCms.buildTransform(
        ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    lab = np.array(ImageCms.applyTransform(Image.fromarray(rgb), to_lab)).astype(int)
    lab[..., 1:] = lab[..., 1:].astype(np.uint8).view(np.int8)
    if photometric == "icclab":
        lab[..., 1:] += 128
    if dtype == np.uint16:
        lab[..., 0] *= 256 if photometric == "icclab" else 257
        lab[..., 1:] *= 256
    file = io.BytesIO()
    tifffile.imwrite(file, lab.astype(dtype), photometric=photometric, byteorder=order, metadata=None)
    back = photo.read(file.getvalue())
    assert back.pixels.dtype == np.uint16
    assert np.abs(back.pixels / 257 - rgb).mean() < 1.5  # littlecms rounded Lab to 8 bits


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("alpha", [None, "assocalpha", "unassalpha"])
@pytest.mark.parametrize("photometric", ["minisblack", "rgb"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_linear_light(dtype: Any, photometric: str, alpha: str | None, order: str) -> None:
    channels = CHANNELS[photometric]
    light = (straight_codes(channels, 1024) / 256 - 0.5).astype(np.float16).astype(np.float64)
    cover = np.full((*SIZE, 1), 0.5)
    codes = np.concatenate([light, cover][: 2 if alpha else 1], axis=2).astype(dtype)
    back = photo.read(page(codes, photometric, alpha, order, "strips"))
    meant = light * 0.5 if alpha == "unassalpha" else light
    np.testing.assert_allclose(back.linear(), np.broadcast_to(meant, (*SIZE, 3)), rtol=1e-6)
    assert back.is_float


def test_floats_under_a_profile_are_read_through_it() -> None:
    codes = samples.picture(*SIZE).astype(np.float32) / 255
    file = io.BytesIO()
    tifffile.imwrite(file, codes, photometric="rgb", metadata=None, iccprofile=samples.display_p3())
    eight = photo.Photo(samples.picture(*SIZE), icc=samples.display_p3())
    exr = photo.read(eight.to_bytes(format="EXR"))  # converts to Rec. 709 on its own way
    np.testing.assert_allclose(photo.read(file.getvalue()).linear(), exr.linear(), atol=2e-3)


UNSUPPORTED = {
    "signed": (np.zeros((8, 8), np.int16), {}, "16-bit signed numbers"),
    "32 bit": (np.zeros((8, 8), np.uint32), {}, "32-bit numbers"),
    "complex": (np.zeros((8, 8), np.complex64), {}, "complex"),
}


@pytest.mark.parametrize("kind", UNSUPPORTED)
def test_unsupported_is_not_called_damaged(kind: str) -> None:
    codes, options, words = UNSUPPORTED[kind]
    file = io.BytesIO()
    tifffile.imwrite(file, codes, metadata=None, **{"photometric": "minisblack", **options})
    with pytest.raises(PhotoError, match=f"{words}.*not read") as caught:
        photo.read(file.getvalue())
    assert "damaged" not in str(caught.value)


def test_colours_that_are_not_read_are_named() -> None:
    data = bytearray(page(samples.picture(*SIZE), "rgb", None, "<", "strips"))
    from deeplens_dof.photo.metadata import ifd

    tag = ifd.directory_at(bytes(data), "<", ifd.first_offset(bytes(data), "<"))[262]
    data[tag.offset : tag.offset + 2] = struct.pack("<H", 32845)
    with pytest.raises(PhotoError, match=r"LogLuv, which is not read, expected grey, RGB, CMYK or Lab"):
        photo.read(bytes(data))


@pytest.mark.parametrize("where", ["first", "last", "inside"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_largest_full_page_is_the_photo(dtype: Any, where: str) -> None:
    whole, small = samples.picture(*SIZE, dtype), samples.picture(8, 12, dtype)
    tags = [(271, "s", 0, "Contax", True)]
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as out:
        options: dict[str, Any] = {"photometric": "rgb", "metadata": None}
        if where == "last":
            out.write(whole, extratags=tags, **options)
            out.write(small, subfiletype=1, **options)
        else:
            inside = {"subifds": 1} if where == "inside" else {}
            out.write(small, subfiletype=1, extratags=tags, **inside, **options)
            out.write(whole, **options)
    back = photo.read(file.getvalue())
    np.testing.assert_array_equal(back.pixels, whole)
    assert back.camera.make == "Contax"  # of the first page, wherever the photo is


def test_a_larger_page_of_reduced_resolution_is_not_the_photo() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as out:
        out.write(samples.picture(64, 96), photometric="rgb", metadata=None, subfiletype=1)
        out.write(samples.picture(*SIZE), photometric="rgb", metadata=None)
    assert photo.read(file.getvalue()).pixels.shape[:2] == SIZE


def test_equal_pages_give_the_first() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as out:
        for picture in (samples.picture(*SIZE), samples.noise(*SIZE, np.uint8)):
            out.write(picture, photometric="rgb", metadata=None)
    np.testing.assert_array_equal(photo.read(file.getvalue()).pixels, samples.picture(*SIZE))


def test_pages_that_point_at_each_other_end() -> None:
    file = io.BytesIO()
    tifffile.imwrite(file, samples.picture(*SIZE), photometric="rgb", metadata=None)
    data = bytearray(file.getvalue())
    from deeplens_dof.photo.metadata import ifd

    at = ifd.next_pointer(bytes(data), "<", ifd.first_offset(bytes(data), "<"))
    assert at is not None
    data[at : at + 4] = data[4:8]
    np.testing.assert_array_equal(photo.read(bytes(data)).pixels, samples.picture(*SIZE))
