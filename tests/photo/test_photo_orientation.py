"""A photo is upright in memory and in every file that is written, whatever the eight orientations said."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import photo_samples as samples
import pytest
from PIL import Image

from deeplens_dof import photo
from deeplens_dof.photo.codecs.png import png_bytes
from deeplens_dof.photo.contents import Contents

ORIENTATIONS = range(1, 9)
_STORED_FROM_UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: np.rot90(a, 2),
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, 1),  # stored lying on its left side, to be turned clockwise
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}


def stored(upright: np.ndarray, orientation: int) -> np.ndarray:
    return np.ascontiguousarray(_STORED_FROM_UPRIGHT[orientation](upright))


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("form", samples.FORMATS)
def test_read_upright_once_and_written_as_1(form: str, orientation: int) -> None:
    upright = samples.picture()
    image = Image.fromarray(stored(upright, orientation))
    options = {
        "WEBP": {"lossless": True},
        "AVIF": {"quality": 95, "subsampling": "4:4:4"},
        "HEIF": {"quality": 95, "chroma": 444},
        "JPEG": {"quality": 98, "subsampling": 0},
    }
    if form == "TIFF":
        data = samples.file_of(image, form, tiffinfo={274: orientation, 271: "Contax"})
    else:
        exif = b"Exif\0\0" + samples.exif_block(orientation)
        data = samples.file_of(image, form, exif=exif, **options.get(form, {}))
    first = photo.read(data)
    assert samples.close(first.pixels, upright, 2)
    for target in samples.FORMATS:
        written = first.to_bytes(format=target)
        assert Image.open(io.BytesIO(written)).getexif().get(0x0112, 1) == 1
        again = photo.read(written)
        assert samples.close(again.pixels, upright, 3)
        assert again.camera.make == "Contax"


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_16_bit_png_and_tiff_turn_too(orientation: int, tmp_path: Path) -> None:
    OpenImageIO = pytest.importorskip("OpenImageIO")
    upright = samples.noise(9, 14, np.uint16)
    lying = stored(upright, orientation)
    png = png_bytes(Contents(lying, exif=samples.exif_block(orientation)))
    np.testing.assert_array_equal(photo.read(png).pixels, upright)

    path = tmp_path / "lying.tif"
    spec = OpenImageIO.ImageSpec(lying.shape[1], lying.shape[0], 3, "uint16")
    spec.attribute("Orientation", orientation)
    file = OpenImageIO.ImageOutput.create(str(path))
    assert file.open(str(path), spec)
    assert file.write_image(lying)
    file.close()
    back = photo.read(path)
    np.testing.assert_array_equal(back.pixels, upright)
    np.testing.assert_array_equal(photo.read(back.to_bytes()).pixels, upright)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_alpha_turns_with_the_picture(orientation: int) -> None:
    rgba = samples.noise(6, 11, np.uint8, 4)
    image = Image.fromarray(stored(rgba, orientation))
    back = photo.read(samples.file_of(image, "PNG", exif=samples.exif_block(orientation)))
    np.testing.assert_array_equal(np.dstack((back.pixels, back.alpha)), rgba)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF"])
def test_an_open_pillow_image_turns_once(form: str) -> None:
    image = Image.fromarray(stored(samples.picture(), 6))
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"tiffinfo": {274: 6}} if form == "TIFF" else {"exif": exif}
    opened = Image.open(io.BytesIO(samples.file_of(image, form, **options)))
    assert samples.close(photo.read(opened).pixels, samples.picture(), 3)


def test_nonsense_orientations_count_as_upright() -> None:
    for nonsense in (0, 9, 4711):
        data = samples.file_of(Image.fromarray(samples.picture()), "PNG", exif=samples.exif_block(nonsense))
        np.testing.assert_array_equal(photo.read(data).pixels, samples.picture())
