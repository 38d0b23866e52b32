"""Camera RAW: told apart from TIFF, developed to 16 bits in the camera's white, upright once, and only read."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
import photo_samples as samples
import pytest
import raw_samples
from PIL import Image

import deeplens_dof
from deeplens_dof import photo
from deeplens_dof.batch.jobs import Input, plan
from deeplens_dof.imaging.color import srgb_to_linear
from deeplens_dof.optics.inverse_depth import InverseDepth
from deeplens_dof.photo import Limits, Photo, PhotoError
from deeplens_dof.photo.codecs import raw
from deeplens_dof.photo.codecs.boxes import box
from deeplens_dof.photo.codecs.formats import by_content
from deeplens_dof.photo.codecs.raw_kind import is_raw
from deeplens_dof.photo.metadata import exif, ifd
from deeplens_dof.photo.metadata.orientation import upright

rawpy = pytest.importorskip("rawpy")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("neutral", [(1, 1, 1), (0.5, 1, 0.7)])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_dng_has_its_colours_in_the_cameras_white_and_is_upright(
    orientation: int, neutral: tuple[float, float, float], order: str, tmp_path: Path
) -> None:
    light = raw_samples.four_patches()
    path = tmp_path / "picture.dng"
    path.write_bytes(raw_samples.dng(light, orientation, order, neutral))
    back = photo.read(path)
    assert (back.pixels.dtype, back.format, back.icc, back.alpha) == (np.uint16, "TIFF", None, None)
    expected = upright(light, orientation)
    assert back.pixels.shape == expected.shape
    inner = np.ones(expected.shape[:2], bool)  # away from where patches meet
    for axis in (0, 1):
        middle = expected.shape[axis] // 2
        np.moveaxis(inner, axis, 0)[middle - 6 : middle + 6] = False
    np.testing.assert_allclose(srgb_to_linear(back.pixels)[inner], expected[inner], atol=0.004)
    again = photo.read(back.to_bytes())
    np.testing.assert_array_equal(again.pixels, back.pixels)


def test_camera_exif_place_and_xmp_are_kept_and_say_upright() -> None:
    back = photo.read(raw_samples.dng(raw_samples.four_patches(), 6, xmp=samples.XMP))
    assert (back.camera.make, back.camera.model) == ("Contax", "T2 digital")
    assert (back.camera.f_number, back.camera.focal_length_mm) == (2.8, 38)
    assert back.xmp is not None
    assert b'tiff:Orientation="1"' in back.xmp
    for form in ("TIFF", "JPEG", "PNG"):
        again = photo.read(back.to_bytes(format=form))
        assert again.camera == back.camera
        assert again.exif is not None
        assert 1 in ifd.tags_of(again.exif, "<").gps
        assert again.pixels.shape == back.pixels.shape
    assert photo.read(back.to_bytes(strip_metadata=True)).exif is None


def test_light_up_to_white_is_neither_brightened_nor_cut() -> None:
    ramp = np.repeat(np.linspace(0, 1, 256)[None, :, None], 3, axis=2).repeat(32, axis=0)
    back = photo.read(raw_samples.dng(ramp))
    np.testing.assert_allclose(back.linear()[16, 4:-4], ramp[16, 4:-4], atol=0.003)


def test_a_raw_is_told_from_its_content() -> None:
    data = raw_samples.dng(raw_samples.four_patches())
    assert by_content(data, "holiday.tif").name == "RAW"
    plain = samples.file_of(Image.fromarray(samples.picture()), "TIFF")
    assert by_content(plain, "holiday.dng").name == "TIFF"
    below = samples.file_of(Image.new("RGB", (16, 12)), "TIFF", tiffinfo={50706: b"\1\4\0\0"})
    assert is_raw(below)
    heads = (
        b"FUJIFILMCCD-RAW ",
        b"IIRO\x08\0\0\0",
        b"IIU\0\x18\0\0\0",
        b"II*\0\x10\0\0\0CR\2\0",
        b"\0\0\0\x18ftypcrx \0",
    )
    for head in heads:
        assert by_content(head.ljust(64, b"\0"), "x").name == "RAW"
    assert by_content(b"\x80\x81\x82\x83" * 50, "x.kdc").name == "RAW"  # LibRaw shall say


@pytest.mark.parametrize("pages", [1, 3])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg"])
def test_plain_tiff_is_never_taken_for_a_raw(compression: str, pages: int) -> None:
    image = Image.fromarray(samples.picture())
    options = {"save_all": True, "append_images": [image] * (pages - 1)} if pages > 1 else {}
    data = samples.file_of(image, "TIFF", compression=compression, **options)
    assert not is_raw(data)
    assert photo.read(data).format == "TIFF"
    assert not is_raw(
        Photo(samples.picture(dtype=np.uint16), exif=samples.exif_block()).to_bytes(format="TIFF")
    )


def test_broken_raws_are_a_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    data = raw_samples.dng(raw_samples.four_patches())
    for tenth in range(1, 10):
        with pytest.raises(PhotoError, match=r"^the picture is a damaged or incomplete camera RAW file"):
            photo.read(data[: len(data) * tenth // 10])
    assert capfd.readouterr().err == ""
    for junk in (b"FUJIFILMCCD-RAW ".ljust(4000, b"\7"), b"II*\0\x10\0\0\0CR\2\0".ljust(4000, b"\7")):
        with pytest.raises(PhotoError, match="damaged or incomplete camera RAW file") as caught:
            photo.read(junk)
        assert "b'" not in str(caught.value)
    random = np.random.default_rng(5)
    for _ in range(60):
        broken = bytearray(data)
        for place in random.integers(0, 1200, 3):
            broken[place] ^= int(random.integers(1, 256))
        try:
            found = str(photo.read(bytes(broken)).source)
        except PhotoError as problem:
            found = str(problem)
        assert found.startswith("the picture")


def test_without_rawpy_one_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(PhotoError, match=r"camera RAW file, and rawpy.*install deeplens-dof\[raw\]"):
        photo.read(raw_samples.dng(raw_samples.four_patches()))


def test_the_size_is_checked_before_developing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "decode_raw", lambda *_: pytest.fail("it was developed"))
    few = Limits(max_pixels=10_000, max_side=1000, max_bytes=10_000_000)
    with pytest.raises(PhotoError, match="128 x 96 px"):
        photo.read(raw_samples.dng(raw_samples.four_patches()), limits=few)


def test_the_bytes_of_a_raw_come_back_blurred_as_a_tiff() -> None:
    light = raw_samples.four_patches(48, 64)
    depth = InverseDepth(np.full((48, 64), 0.5, np.float32), "relative")
    data = deeplens_dof.blur(raw_samples.dng(light), depth=depth)
    back = photo.read(data)
    assert by_content(data, "x").name == "TIFF"
    np.testing.assert_array_equal(
        back.pixels, photo.read(raw_samples.dng(light)).pixels
    )  # all of it in focus


def test_a_raw_is_only_read() -> None:
    with pytest.raises(PhotoError, match="which is only read, expected one of"):
        Photo(samples.picture()).save("x.dng")
    with pytest.raises(PhotoError, match="not a picture format that is written"):
        Photo(samples.picture()).to_bytes(format="RAW")


def test_results_of_raws_are_tiffs_unless_named(tmp_path: Path) -> None:
    data = raw_samples.dng(raw_samples.four_patches())
    source, folder = tmp_path / "in" / "x.DNG", tmp_path / "out"
    source.parent.mkdir()
    source.write_bytes(data)
    for other in ("x.tif", "y.jpg"):
        (source.parent / other).write_bytes(b"")

    def outputs(of: Path, out: str | None) -> list[Path]:
        return [job.out for job in plan([Input(of)], out).jobs]

    assert outputs(source, None) == [source.parent / "x-bokeh.tif"]
    assert outputs(source.parent, str(folder)) == [folder / "x.DNG.tif", folder / "x.tif", folder / "y.jpg"]
    assert outputs(source, f"{folder}/") == [folder / "x.DNG.tif"]
    assert outputs(source, "z.png") == [Path("z.png")]


def test_the_exif_of_other_makers_is_found_where_they_keep_it() -> None:
    block = samples.exif_block(6)
    jpeg = samples.file_of(Image.fromarray(samples.picture()), "JPEG", exif=b"Exif\0\0" + block)
    segment = b"\xff\xd8\xff\xe1" + jpeg[jpeg.index(b"\xff\xe1") + 2 :]
    fuji = b"FUJIFILMCCD-RAW ".ljust(84, b"\0") + struct.pack(">II", 160, len(segment))
    tags = ifd.tags_of(block, "<")

    def alone(directory: ifd.Directory) -> bytes:
        return ifd.laid_out("<", ifd.Tags(directory, {}, {}, {}))

    inner = box(b"CMT1", alone({t: e for t, e in tags.ifd0.items() if t not in (0x8769, 0x8825)}))
    inner += box(b"CMT2", alone({t: e for t, e in tags.exif.items() if t != 0xA005})) + box(
        b"CMT4", alone(tags.gps)
    )
    canon = box(b"ftyp", b"crx \0\0\0\1crx isom")
    canon += box(b"moov", box(b"uuid", bytes.fromhex("85c0b687820f11e08111f4ce462b6a48") + inner))
    canon += box(b"uuid", bytes.fromhex("be7acfcb97a942e89c71999491e3afac") + samples.XMP)
    olympus = b"IIRO" + block[4:]
    for data in (fuji.ljust(160, b"\0") + segment, canon, olympus):
        found, packet = raw._metadata(data)
        camera = exif.camera_of(found)
        assert (camera.make, camera.model, camera.f_number) == ("Contax", "T2", 2.8)
        assert found is not None
        assert 2 in ifd.tags_of(found, "<").gps
        assert packet == (samples.XMP if data is canon else None)
