"""HEIC photos: pixels of 8 and 10 bits, metadata, upright exactly once, and the depth that phones put inside."""

from __future__ import annotations

import builtins
import io
import struct
import sys
import time
import tracemalloc
from typing import Any

import numpy as np
import photo_samples as samples
import pytest
from PIL import Image

from deeplens_dof import photo
from deeplens_dof.photo import COMMAND_LINE_LIMITS, SERVICE_LIMITS, PhotoError
from deeplens_dof.photo.errors import TooLargeError
from deeplens_dof.photo.metadata import exif

pytest.importorskip("pillow_heif", reason="HEIC needs pillow-heif: pip install '.[heif]'")

import heif_files as heif
from test_photo_orientation import stored

HEIGHT, WIDTH = 144, 192
CAMERA = samples.exif_block(6)


def ramp(height: int = HEIGHT // 2, width: int = WIDTH // 2, dtype: Any = np.uint8) -> np.ndarray:
    """Depth codes that rise from left to right, and a little from the top to the bottom. (H, W)."""
    y, x = np.mgrid[0:height, 0:width]
    return np.rint((0.8 * x / (width - 1) + 0.2 * y / (height - 1)) * np.iinfo(dtype).max).astype(dtype)


def read_portrait(**options: Any) -> photo.Photo:
    codes = options.pop("codes", ramp())
    return photo.read(heif.portrait(samples.picture(HEIGHT, WIDTH), codes, **options))


def sentence(text: str) -> None:
    assert text.startswith("the picture ")
    assert "\n" not in text


# --- the picture ---------------------------------------------------------------------------------------------


def test_a_photo_comes_back_with_all_that_belongs_to_it() -> None:
    first = photo.read(
        photo.Photo(
            samples.picture(HEIGHT, WIDTH),
            icc=samples.display_p3(),
            exif=samples.exif_block(),
            xmp=samples.XMP,
        ).to_bytes(format="HEIF", quality=95)
    )
    assert first.format == "HEIF"
    assert samples.close(first.pixels, samples.picture(HEIGHT, WIDTH), 2)
    assert first.icc == samples.display_p3()
    assert (first.camera.make, first.camera.f_number) == ("Contax", 2.8)
    assert b"Z\xc3\xbcrich" in (first.xmp or b"")
    assert (first.depth, first.depth_problem) == (None, None)
    again = photo.read(first.to_bytes(settings={"f_number": 2.0}))
    assert again.exif == first.exif
    assert b"<deeplens:f_number>2.0<" in (again.xmp or b"")
    stripped = photo.read(first.to_bytes(strip_metadata=True))
    assert (stripped.exif, stripped.xmp, stripped.icc) == (None, None, first.icc)


def test_ten_bits_are_read_as_sixteen_and_written_again() -> None:
    """Four times as fine as 8 bits: codes that 8 bits cannot tell apart come back apart, and white stays white."""
    steps = np.repeat(np.arange(512, 512 + 16, dtype=np.uint32) * 65535 // 1023, 8).astype(np.uint16)
    pixels = np.broadcast_to(steps[None, :, None], (64, 128, 3)).copy()
    pixels[:16] = 65535
    first = photo.read(photo.Photo(pixels).to_bytes(format="HEIF", quality=100))
    assert first.pixels.dtype == np.uint16
    assert first.pixels.max() == 65535
    found = first.pixels[32:, 4::8].mean((0, 2))
    assert len(np.unique(np.rint(found * 1023 / 65535))) > 8
    assert np.abs(found - steps[4::8]).max() < 100
    assert photo.read(first.to_bytes(quality=100)).pixels.dtype == np.uint16
    assert photo.read(first.to_bytes(format="PNG")).pixels.dtype == np.uint16


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16], ids=["8 bit", "10 bit"])
def test_alpha_and_grey(dtype: Any) -> None:
    colour = samples.picture(HEIGHT, WIDTH, dtype)
    alpha = np.ascontiguousarray(colour[..., 0])
    found = photo.read(photo.Photo(colour, alpha=alpha).to_bytes(format="HEIF", quality=95))
    assert found.alpha is not None
    scale = 1 if dtype == np.uint8 else 257
    assert samples.close(found.alpha / scale, alpha / scale, 2)
    assert samples.close(found.pixels / scale, colour / scale, 3)
    file = heif.File([heif.picture_part(alpha)])
    grey = photo.read(file.to_bytes())
    assert grey.pixels.dtype == dtype
    assert samples.close(grey.pixels[..., 2] / scale, alpha / scale, 2)
    assert grey.pixels.max() >= 0.98 * np.iinfo(dtype).max


def test_every_suffix_is_heif_and_a_wrong_one_does_not_matter(tmp_path: Any) -> None:
    for name in ("a.heic", "a.HEIF", "a.hif"):
        photo.Photo(samples.picture(HEIGHT, WIDTH)).save(tmp_path / name)
        (tmp_path / name).rename(tmp_path / "b.jpg")
        assert photo.read(tmp_path / "b.jpg").format == "HEIF"


def test_a_pillow_image_of_a_heic_file_is_taken_too() -> None:
    import pillow_heif

    data = heif.portrait(samples.picture(HEIGHT, WIDTH), None, orientation=6, exif=CAMERA)
    found = photo.read(pillow_heif.open_heif(data).to_pillow())
    assert found.pixels.shape == (WIDTH, HEIGHT, 3)


# --- upright -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "depth_turned", [True, False], ids=["depth turned by its own boxes", "by the photo's"]
)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_once_and_depth_matte_and_focus_turn_along(orientation: int, depth_turned: bool) -> None:
    upright, codes = samples.picture(HEIGHT, WIDTH), ramp()
    matte = (codes > 128).astype(np.uint8) * 255
    point = np.zeros((100, 100))
    point[20, 70] = 1
    y, x = np.argwhere(stored(point, orientation))[0]
    found = photo.read(
        heif.portrait(
            stored(upright, orientation),
            stored(codes, orientation),
            orientation=orientation,
            depth_turned=depth_turned,
            mattes={heif.PORTRAIT: stored(matte, orientation)},
            exif=samples.exif_block(orientation),
            xmp=heif.regions_xmp("Focus", (x + 0.5) / 100, (y + 0.5) / 100),
        )
    )
    assert samples.close(found.pixels, upright, 2)
    assert found.depth is not None
    assert np.abs(found.depth.inverse_depth.values - codes / 255).mean() < 0.02
    assert found.depth.matte is not None
    assert np.abs(found.depth.matte - matte / 255).mean() < 0.05
    assert found.depth.focus == pytest.approx((0.705, 0.205), abs=1e-6)
    written = found.to_bytes()
    assert Image.open(io.BytesIO(found.to_bytes(format="JPEG"))).getexif().get(0x0112) == 1
    assert samples.close(photo.read(written).pixels, upright, 3)
    assert photo.read(written).camera.make == "Contax"


def test_where_the_boxes_turn_exif_does_not() -> None:
    """ISO/IEC 23008-12: where `irot` and `imir` say how a picture is turned, the orientation in EXIF is a note of it."""
    found, without = read_portrait(exif=CAMERA, orientation=3), read_portrait(orientation=3)
    assert np.array_equal(found.pixels, without.pixels)
    assert exif.orientation(found.exif) == 1


# --- what codes mean -----------------------------------------------------------------------------------------


def test_disparity_without_a_range_is_relative() -> None:
    depth = read_portrait().depth
    assert depth is not None
    assert (depth.inverse_depth.unit, depth.origin) == ("relative", "HEIC depth image")
    assert (depth.f_number, depth.focus, depth.matte, depth.original) == (None, None, None, None)
    values = depth.inverse_depth.values
    assert values.shape == (HEIGHT // 2, WIDTH // 2)
    assert (values.min(), values.max()) == (0, 1)
    assert values[0, -1] > values[0, 0], "near is bright"


RANGE = {"FloatMinValue": 0.5, "FloatMaxValue": 2.5, "AuxiliaryImageType": "disparity"}


def test_metres_only_where_the_file_states_accuracy_and_range() -> None:
    said = {"absolute": {"Accuracy": "absolute", **RANGE}, "relative": {"Accuracy": "relative", **RANGE}}
    said |= {"silent": RANGE, "no range": {"Accuracy": "absolute"}}
    said |= {"upside down": {"Accuracy": "absolute", "FloatMinValue": 2, "FloatMaxValue": 1}}
    said |= {"infinite": {"Accuracy": "absolute", "FloatMinValue": 0, "FloatMaxValue": "inf"}}
    for case, facts in said.items():
        depth = read_portrait(depth_xmp=heif.apple_xmp(**facts)).depth
        assert depth is not None, case
        assert depth.inverse_depth.unit == ("1/m" if case == "absolute" else "relative"), case
        values = depth.inverse_depth.values
        expected = (0.5, 2.5) if case == "absolute" else (0, 1)
        assert (values.min(), values.max()) == pytest.approx(expected, abs=0.02), case


def test_depth_in_metres_becomes_inverse() -> None:
    facts = {"Accuracy": "absolute", "FloatMinValue": 1.0, "FloatMaxValue": 4.0}
    hdep = int.from_bytes(b"hdep", "big")
    for more in ({"AuxiliaryImageType": "depth"}, {"NativeFormat": hdep}):
        depth = read_portrait(depth_xmp=heif.apple_xmp(**facts, **more)).depth
        assert depth is not None
        values = depth.inverse_depth.values
        assert depth.inverse_depth.unit == "1/m"
        assert (values[0, 0], values[-1, -1]) == pytest.approx((1.0, 0.25), rel=0.03), "far is bright here"


@pytest.mark.parametrize("representation", [0, 1, 2], ids=["inverse depth", "disparity", "depth"])
def test_representations_of_the_stream(representation: int) -> None:
    depth = read_portrait(message=(representation, 1.0, 4.0)).depth
    assert depth is not None
    assert depth.inverse_depth.unit == "relative"
    expected = ramp() / 255
    if representation == 2:
        expected = 1 / (1 + 3 * expected)
        expected = (expected - 0.25) / 0.75
    assert np.abs(depth.inverse_depth.values - expected).mean() < 0.02


def test_the_message_of_the_stream_gives_the_range_where_xmp_gives_none() -> None:
    accurate = heif.apple_xmp(Accuracy="absolute")
    inverse = read_portrait(message=(0, 0.5, 4.0), depth_xmp=accurate).depth
    disparity = read_portrait(message=(1, 0.25, 2.0), depth_xmp=accurate).depth
    for depth in (inverse, disparity):
        assert depth is not None
        assert depth.inverse_depth.unit == "1/m"
        assert float(depth.inverse_depth.values.max()) == pytest.approx(2.0, abs=0.02)
        assert float(depth.inverse_depth.values.min()) == pytest.approx(0.25, abs=0.02)


def test_deep_codes_keep_their_bits() -> None:
    depth = read_portrait(codes=ramp(dtype=np.uint16)).depth
    assert depth is not None
    assert np.abs(depth.inverse_depth.values - ramp(dtype=np.uint16) / 65535).mean() < 0.01


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"codes": np.full((72, 96), 90, np.uint8)}, "the same everywhere"),
        ({"codes": ramp(HEIGHT * 2, WIDTH * 2)}, "larger than the photo"),
        ({"message": (3, 1.0, 4.0)}, "representation 3"),
        ({"message": (2, 4.0, 1.0)}, "between 4.0 and 1.0"),
    ],
    ids=["constant", "larger than the photo", "not uniform", "bounds the wrong way round"],
)
def test_unusable_depth_leaves_the_photo_and_tells_why(options: dict[str, Any], words: str) -> None:
    found = read_portrait(**options)
    assert samples.close(found.pixels, samples.picture(HEIGHT, WIDTH), 2)
    assert found.depth is None
    assert words in (found.depth_problem or "")
    sentence(found.depth_problem or "")


def test_a_damaged_depth_picture_leaves_the_photo() -> None:
    file = heif.File([heif.picture_part(samples.picture(HEIGHT, WIDTH))])
    depth = heif.auxiliary(heif.picture_part(ramp()), heif.DEPTH)
    file.add(heif.Part(depth.kind, b"\0\0\0\x08junkjunk", depth.properties), ("auxl", 1))
    found = photo.read(file.to_bytes())
    assert samples.close(found.pixels, samples.picture(HEIGHT, WIDTH), 2)
    assert found.depth is None
    sentence(found.depth_problem or "")


# --- aperture, matte, focus ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("told", "used"), [("2.8", 2.8), ("0.2", None), ("nan", None), ("wide open", None)])
def test_the_simulated_aperture(told: str, used: float | None) -> None:
    depth = read_portrait(depth_xmp=heif.apple_xmp(SimulatedAperture=told)).depth
    assert depth is not None
    assert depth.f_number == used


def test_mattes() -> None:
    left, right = np.zeros((HEIGHT, WIDTH), np.uint8), np.zeros((HEIGHT, WIDTH), np.uint8)
    left[:, : WIDTH // 4], right[:, -WIDTH // 4 :] = 255, 255
    whole = read_portrait(mattes={heif.PORTRAIT: left, heif.SKIN: right}).depth
    parts = read_portrait(mattes={heif.SKIN: left, heif.HAIR: right}).depth
    sky = read_portrait(mattes={"urn:com:apple:photo:2020:aux:semanticskymatte": left}).depth
    assert whole is not None
    assert whole.matte is not None
    assert parts is not None
    assert parts.matte is not None
    assert sky is not None
    assert sky.matte is None
    assert np.abs(whole.matte - left / 255).mean() < 0.02
    assert np.abs(parts.matte - np.maximum(left, right) / 255).mean() < 0.02


def exif_with_subject_area(x: int, y: int) -> bytes:
    from deeplens_dof.photo.metadata import ifd

    exif = {
        0x9214: ifd.packed("<", ifd.SHORT, x, y, 40, 40),
        0xA002: ifd.packed("<", ifd.LONG, 400),
        0xA003: ifd.packed("<", ifd.LONG, 300),
    }
    return ifd.laid_out("<", ifd.Tags({}, exif, {}, {}))


def test_focus_of_exif_and_of_faces() -> None:
    def focus(**options: Any) -> tuple[float, float] | None:
        depth = read_portrait(**options).depth
        assert depth is not None
        return depth.focus

    assert focus(exif=exif_with_subject_area(100, 240)) == pytest.approx((0.25, 0.8))
    assert focus(exif=exif_with_subject_area(199, 151)) is None, "nobody chose the very centre"
    assert focus(exif=exif_with_subject_area(500, 10)) is None, "outside"
    assert focus(xmp=heif.regions_xmp("Face", 0.3, 0.4)) == pytest.approx((0.3, 0.4))
    both = focus(xmp=heif.regions_xmp("Face", 0.3, 0.4), exif=exif_with_subject_area(100, 240))
    assert both == pytest.approx((0.25, 0.8))
    assert focus(xmp=heif.regions_xmp("Pet", 0.3, 0.4)) is None


# --- bad input -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole() -> bytes:
    return heif.portrait(
        samples.picture(HEIGHT, WIDTH),
        ramp(),
        depth_xmp=heif.apple_xmp(Accuracy="absolute", **RANGE),
        mattes={heif.PORTRAIT: ramp()},
        exif=samples.exif_block(),
        xmp=samples.XMP,
    )


@pytest.mark.parametrize("tenth", range(10))
def test_truncated_files_are_refused(whole: bytes, tenth: int) -> None:
    with pytest.raises(PhotoError) as caught:
        photo.read(whole[: len(whole) * tenth // 10])
    sentence(str(caught.value))


def test_flipped_bytes_never_raise_anything_else(whole: bytes) -> None:
    random = np.random.default_rng(5)
    refused, lost_depth = 0, 0
    for trial in range(300):
        broken = bytearray(whole)
        end = len(whole) if trial % 3 == 0 else 1500  # the boxes mostly
        for place in random.integers(0, end, 1 + trial % 3):
            broken[place] ^= int(random.integers(1, 256))
        try:
            found = photo.read(bytes(broken), limits=SERVICE_LIMITS)
        except PhotoError as problem:
            sentence(str(problem))
            refused += 1
        else:
            assert found.pixels.ndim == 3
            lost_depth += found.depth is None
    assert refused > 30
    assert lost_depth > 10


def bomb(part: heif.Part, width: int, height: int) -> heif.Part:
    size = struct.pack(">III", 0, width, height)
    return heif.Part(part.kind, part.data, tuple((k, size if k == "ispe" else b) for k, b in part.properties))


@pytest.mark.parametrize("limits", [COMMAND_LINE_LIMITS, SERVICE_LIMITS])
def test_bombs_are_refused_by_their_header(limits: photo.Limits) -> None:
    small = heif.picture_part(samples.picture(HEIGHT, WIDTH))
    huge = heif.File([bomb(small, 60_000, 60_000)])
    widest = heif.File([bomb(small, 2**32 - 1, 1)])
    hidden = heif.File([small])
    hidden.add(heif.auxiliary(bomb(small, 50_000, 50_000), heif.DEPTH), ("auxl", 1))
    tiled = heif.File([heif.Part("grid", b"\0\1\0\0" + struct.pack(">II", 60_000, 60_000), small.properties)])
    tiled.add(small)
    tiled.references.append(("dimg", 1, 2))
    photo.read(heif.File([small]).to_bytes())
    for data in (file.to_bytes() for file in (huge, widest, hidden, tiled)):
        tracemalloc.start()
        start = time.monotonic()
        with pytest.raises(TooLargeError, match=r"megapixels|px a side"):
            photo.read(data, limits=limits)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert time.monotonic() - start < 1
        assert peak < 2e6


def test_a_stream_larger_than_its_header_is_not_let_through() -> None:
    small = bomb(heif.picture_part(samples.picture(HEIGHT, WIDTH)), 16, 16)
    with pytest.raises(PhotoError):
        photo.read(heif.File([small]).to_bytes(), limits=photo.Limits(1_000, 100, 10**6))


def test_without_pillow_heif_one_sentence_says_what_to_install(whole: bytes, monkeypatch: Any) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("pillow_heif"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "pillow_heif")
    for work in (lambda: photo.read(whole), lambda: photo.Photo(samples.picture()).to_bytes(format="HEIF")):
        with pytest.raises(PhotoError, match=r"pip install 'deeplens-dof\[heif\]'") as caught:
            work()
        sentence(str(caught.value))
