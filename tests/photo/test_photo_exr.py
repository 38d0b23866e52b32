"""EXR: scene-linear light in and out, light above white through the blur, and what is refused."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import photo_samples as samples
import pytest

import deeplens_dof
from deeplens_dof import photo
from deeplens_dof.imaging.color import srgb_to_linear
from deeplens_dof.optics.inverse_depth import InverseDepth
from deeplens_dof.photo import Compression, Limits, Photo, PhotoError

ACES = (0.713, 0.293, 0.165, 0.830, 0.128, 0.044, 0.32168, 0.33767)  # AP1


def light(height: int = 20, width: int = 30) -> np.ndarray:
    """Scene-linear light from a little below black to far above white."""
    values = np.random.default_rng(3).random((height, width, 3)).astype(np.float32) * 3 - 0.2
    values[5, 6] = 50
    return values


def exr_of(pixels: np.ndarray, channels: tuple[str, ...], path: Path, **attributes: Any) -> bytes:
    """A file of OpenImageIO's; attributes are given as (type, value), windows as (x, y, full width, full height)."""
    import OpenImageIO

    window = attributes.pop("window", None)
    spec = OpenImageIO.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], "float")
    spec.channelnames = channels
    if window:
        spec.x, spec.y, spec.full_width, spec.full_height = window
    for name, (kind, value) in attributes.items():
        spec.attribute(name, OpenImageIO.TypeDesc(kind), value)
    file = OpenImageIO.ImageOutput.create(str(path))
    assert file.open(str(path), spec), file.geterror()
    assert file.write_image(np.ascontiguousarray(pixels))
    assert file.close()
    return path.read_bytes()


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
def test_light_alpha_and_xmp_come_back_bit_for_bit(half: bool, alpha: bool, tmp_path: Path) -> None:
    pixels, cover = light(), np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30)
    if half:
        pixels, cover = (each.astype(np.float16).astype(np.float32) for each in (pixels, cover))
    first = Photo(pixels, cover if alpha else None, xmp=samples.XMP, compression=Compression(half=half))
    first.save(tmp_path / "x.exr")
    back = photo.read(tmp_path / "x.exr")
    assert (back.format, back.pixels.dtype, back.compression.half) == ("EXR", np.float32, half)
    np.testing.assert_array_equal(back.pixels, pixels)
    assert (back.alpha is not None) == alpha
    if alpha:
        np.testing.assert_array_equal(back.alpha, cover)
    assert back.xmp is not None
    assert "Zürich ☀".encode() in back.xmp
    assert back.linear() is back.pixels
    again = back.to_bytes()
    assert photo.read(again).to_bytes() == again


def test_a_bright_point_keeps_its_energy_through_the_blur() -> None:
    pixels = np.full((160, 200, 3), 0.1, np.float32)
    pixels[80, 100] = 50
    pixels[80, 5] = -0.25  # in focus
    depth = np.zeros((160, 200), np.float32)
    depth[:, :20] = 1
    for grain in (0.0, 1.0):
        result = deeplens_dof.blur(
            Photo(pixels, format="EXR"),
            depth=InverseDepth(depth, "relative"),
            focus=(0.02, 0.5),
            highlights=1.0,
            grain=grain,
        )
        assert result.image.dtype == np.float32
        added = (result.image[:, 30:] - 0.1).sum(axis=(0, 1))
        np.testing.assert_allclose(added, 49.9, rtol=1e-3)
        assert 1 < result.image.max() < 25
        np.testing.assert_array_equal(result.image[80, 5], pixels[80, 5])


def test_nothing_out_of_focus_is_nothing_changed() -> None:
    depth = InverseDepth(np.full((20, 30), 0.5, np.float32), "relative")
    result = deeplens_dof.blur(Photo(light(), format="EXR"), depth=depth)
    np.testing.assert_array_equal(result.image, light())
    data = Photo(light(), format="EXR").to_bytes()
    np.testing.assert_array_equal(photo.read(deeplens_dof.blur(data, depth=depth)).pixels, light())


@pytest.mark.parametrize("form", ["PNG", "TIFF", "JPEG"])
def test_codes_are_srgb_with_light_above_white_clipped(form: str) -> None:
    pixels = np.full((16, 16, 3), 0.25, np.float32)
    pixels[8:] = 3
    back = photo.read(Photo(pixels).to_bytes(format=form))
    assert back.pixels.dtype == (np.uint8 if form == "JPEG" else np.uint16)
    tolerance = 0.01 if form == "JPEG" else 1e-4
    np.testing.assert_allclose(srgb_to_linear(back.pixels), np.minimum(pixels, 1), atol=tolerance)


def test_alpha_is_associated_in_exr_and_straight_elsewhere() -> None:
    cover = np.array([[0, 0.5, 1]], np.float32)
    associated = np.array([[[0.7] * 3, [0.2] * 3, [0.3] * 3]], np.float32)  # a glow where nothing covers
    png = photo.read(Photo(associated, cover).to_bytes(format="PNG"))
    np.testing.assert_allclose(srgb_to_linear(png.pixels)[0, :, 0], [0.7, 0.4, 0.3], atol=1e-4)
    np.testing.assert_array_equal(png.alpha, [[0, 32768, 65535]])
    exr = photo.read(png.to_bytes(format="EXR"))
    np.testing.assert_allclose(exr.pixels[0, :, 0], [0, 0.2, 0.3], atol=1e-4)


def test_other_primaries_become_those_of_srgb(tmp_path: Path) -> None:
    grey = np.full((4, 4, 3), 0.5, np.float32)
    back = photo.read(exr_of(grey, ("R", "G", "B"), tmp_path / "a.exr", chromaticities=("float[8]", ACES)))
    np.testing.assert_allclose(back.pixels, grey, atol=1e-4)  # white stays white
    red = np.zeros((4, 4, 3), np.float32)
    red[..., 0] = 1
    back = photo.read(exr_of(red, ("R", "G", "B"), tmp_path / "b.exr", chromaticities=("float[8]", ACES)))
    np.testing.assert_allclose(
        back.pixels[0, 0], [1.7051, -0.1302, -0.0240], atol=2e-3
    )  # of ACES' published matrix

    wide = np.zeros((4, 4, 3), np.uint8)
    wide[..., 0] = 255
    back = photo.read(Photo(wide, icc=samples.display_p3()).to_bytes(format="EXR"))
    np.testing.assert_allclose(back.pixels[0, 0], [1.2249, -0.0420, -0.0197], atol=2e-3)  # Display-P3's red
    srgb = np.random.default_rng(1).integers(0, 256, (4, 4, 3)).astype(np.uint8)
    back = photo.read(Photo(srgb).to_bytes(format="EXR"))
    np.testing.assert_array_equal(back.encode(back.linear(), np.uint8), srgb)


@pytest.mark.parametrize(
    ("channels", "colours"),
    [
        (("Y",), (0, 0, 0)),
        (("Y", "A"), (0, 0, 0)),
        (("R", "G", "B", "Z"), (0, 1, 2)),
        (("view.R", "view.G", "view.B", "view.A"), (0, 1, 2)),
        (("depth.Z", "view.R", "view.G", "view.B"), (1, 2, 3)),
        (("R", "G", "B", "A", "glow.R", "glow.G", "glow.B"), (0, 1, 2)),
    ],
)
def test_the_picture_is_found_among_channels(
    channels: tuple[str, ...], colours: tuple[int, ...], tmp_path: Path
) -> None:
    stored = np.random.default_rng(2).random((6, 5, len(channels))).astype(np.float32)
    back = photo.read(exr_of(stored, channels, tmp_path / "x.exr"))
    np.testing.assert_array_equal(back.pixels, stored[..., list(colours)])
    cover = [i for i, name in enumerate(channels) if name in ("A", "view.A")]
    assert (back.alpha is not None) == bool(cover)
    if cover:
        np.testing.assert_array_equal(back.alpha, stored[..., cover[0]])


def test_pixels_are_laid_into_the_display_window(tmp_path: Path) -> None:
    stored = np.random.default_rng(2).random((6, 5, 3)).astype(np.float32)
    inside = photo.read(exr_of(stored, ("R", "G", "B"), tmp_path / "a.exr", window=(2, 1, 10, 8)))
    assert (inside.width, inside.height) == (10, 8)
    np.testing.assert_array_equal(inside.pixels[1:7, 2:7], stored)
    assert inside.pixels.sum() == pytest.approx(stored.sum(), rel=1e-5)
    beyond = photo.read(exr_of(stored, ("R", "G", "B"), tmp_path / "b.exr", window=(-1, -2, 3, 3)))
    np.testing.assert_array_equal(beyond.pixels, stored[2:5, 1:4])


@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_an_orientation_is_applied_once(orientation: int, tmp_path: Path) -> None:
    from deeplens_dof.photo.metadata.orientation import upright

    stored = light()
    data = exr_of(stored, ("R", "G", "B"), tmp_path / "x.exr", Orientation=("int", orientation))
    back = photo.read(data)
    np.testing.assert_array_equal(back.pixels, upright(stored, orientation))
    np.testing.assert_array_equal(photo.read(back.to_bytes()).pixels, back.pixels)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused_and_counted(value: float, tmp_path: Path) -> None:
    stored = light()
    stored[2, 3, 1] = stored[4, 5, 0] = stored[4, 5, 2] = value
    data = exr_of(stored, ("R", "G", "B"), tmp_path / "x.exr")
    with pytest.raises(PhotoError, match=r"the picture has 2 pixels with NaN or infinity.*fill them first"):
        photo.read(data)


def test_channels_that_make_no_picture_are_named(tmp_path: Path) -> None:
    data = exr_of(light()[..., :2], ("Z", "mask"), tmp_path / "x.exr")
    with pytest.raises(PhotoError, match=r"its channels are.*expected R, G and B, or Y"):
        photo.read(data)


def test_sizes_are_refused_from_the_header_before_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(Photo(light()).to_bytes(format="EXR"))
    at = data.index(b"dataWindow\0box2i\0") + len(b"dataWindow\0box2i\0") + 4
    data[at : at + 16] = struct.pack("<4i", 0, 0, 99_999, 99_999)
    monkeypatch.setattr(
        "deeplens_dof.photo.codecs.exr.stored_samples", lambda *_: pytest.fail("it was decoded")
    )
    with pytest.raises(PhotoError, match="100,000 x 100,000 px"):
        photo.read(bytes(data))
    few = Limits(max_pixels=500, max_side=100, max_bytes=10_000_000)
    with pytest.raises(PhotoError, match=r"expected at most [0-9,]+ pixels"):
        photo.read(Photo(light()).to_bytes(format="EXR"), limits=few)


def test_float_photos_are_checked_when_they_are_made() -> None:
    with pytest.raises(PhotoError, match="float32 pixels and an ICC profile"):
        Photo(light(), icc=samples.display_p3())
    with pytest.raises(PhotoError, match="float32 linear light"):
        Photo(light().astype(np.float64))
    with pytest.raises(PhotoError, match="alpha"):
        Photo(light(), np.zeros((20, 30), np.uint8))


@pytest.mark.parametrize("compression", ["none", "rle", "zips", "piz", "pxr24", "b44", "dwaa"])
@pytest.mark.parametrize("tile", [0, 16])
def test_every_compression_and_tiles_are_read(compression: str, tile: int, tmp_path: Path) -> None:
    import OpenImageIO

    stored = np.full((40, 50, 3), 0.5, np.float32)
    spec = OpenImageIO.ImageSpec(50, 40, 3, "half")
    spec.attribute("compression", compression)
    spec.tile_width = spec.tile_height = tile
    file = OpenImageIO.ImageOutput.create(str(tmp_path / "x.exr"))
    assert file.open(str(tmp_path / "x.exr"), spec), file.geterror()
    assert file.write_tiles(0, 50, 0, 40, 0, 1, stored) if tile else file.write_image(stored)
    assert file.close()
    back = photo.read(tmp_path / "x.exr")
    assert back.compression.half
    np.testing.assert_allclose(back.pixels, stored, atol=0.01)


def test_of_several_parts_the_first_is_read(tmp_path: Path) -> None:
    import OpenImageIO

    path = str(tmp_path / "x.exr")
    specs = [OpenImageIO.ImageSpec(30, 20, 3, "float") for _ in range(2)]
    file = OpenImageIO.ImageOutput.create(path)
    assert file.open(path, tuple(specs)), file.geterror()
    assert file.write_image(light())
    assert file.open(path, specs[1], "AppendSubimage"), file.geterror()
    assert file.write_image(light() + 1)
    assert file.close()
    np.testing.assert_array_equal(photo.read(path).pixels, light())
