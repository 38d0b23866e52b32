"""The page of code that is the product: laws of focus, aperture and what comes back; depth mostly given."""

from __future__ import annotations

import io
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import deeplens_dof as dl
from deeplens_dof.photo import aperture_picture
from deeplens_dof.photo.aperture_picture import aperture_of
from deeplens_dof.scene import GENTLEST

PHOTOS = Path(__file__).parent.parent / "examples" / "photos"
HEIGHT, WIDTH = 48, 96
WIDE_OPEN = {"f_number": 1.0, "lens_mm": 70.0}  # a radius of 6.5 px between the planes
NEAR, FAR = (0.2, 0.5), (0.8, 0.5)  # points on the two planes


def stripes(kind: type = np.uint8, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """Black and white stripes of 2 px: what blurs loses contrast. (H, W, 3)."""
    x = np.arange(width)[None, :, None]
    top = np.iinfo(kind).max
    return np.broadcast_to((x // 2 % 2 * (top // 2) + top // 4), (height, width, 3)).astype(kind)


def two_planes(height: int = HEIGHT, width: int = WIDTH) -> dl.InverseDepth:
    """The left half near, the right half far."""
    values = np.zeros((height, width), np.float32)
    values[:, : width // 2] = 1
    return dl.InverseDepth(values, "relative")


def contrast(image: np.ndarray) -> tuple[float, float]:
    """Contrast of the left and the right plane, away from the step and the borders."""
    rows = image[8:-8].astype(float)
    return float(rows[:, 12:36].std()), float(rows[:, -36:-12].std())


def photo_file(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@pytest.fixture(scope="module")
def scene() -> dl.Scene:
    return dl.analyse(dl.Photo(stripes()), two_planes())


def test_sharpness_moves_to_where_the_focus_is(scene) -> None:
    near = dl.refocus(scene, dl.Settings(focus=NEAR, **WIDE_OPEN))
    far = dl.refocus(scene, dl.Settings(focus=FAR, **WIDE_OPEN))
    original = contrast(scene.photo.pixels)[0]
    for result, sharp, blurred in ((near, 0, 1), (far, 1, 0)):
        assert contrast(result.image)[sharp] == pytest.approx(original)
        assert contrast(result.image)[blurred] < 0.1 * original
    assert (near.coc_px[:, WIDTH // 2 :] < 0).all(), "behind the focus is negative"
    assert (far.coc_px[:, : WIDTH // 2] > 0).all(), "before the focus is positive"
    assert (near.coc_px[:, : WIDTH // 2] == 0).all()


def test_the_amounts_before_and_behind_the_focus_are_apart(scene) -> None:
    middle = {"focus": FAR, "focus_range": 0.0, "subject_sharp": 0.0}
    lens = scene.coc_px(dl.Settings(**middle), focus_depth=0.5)
    apart = dl.Settings(**middle, foreground_blur=0.5, background_blur=2)
    amounts = scene.coc_px(apart, focus_depth=0.5)
    before = lens > 0
    assert before.any()
    assert (~before).any()
    np.testing.assert_allclose(amounts[before], 0.5 * lens[before], rtol=1e-6)
    np.testing.assert_allclose(amounts[~before], 2 * lens[~before], rtol=1e-6)
    none = dl.refocus(scene, dl.Settings(foreground_blur=0, background_blur=0))
    assert np.array_equal(none.image, scene.photo.pixels)


def subject_before_a_wall(relief: float = 0.3, confidence: float = 1.0) -> tuple[dl.Scene, np.ndarray]:
    """A scene whose subject, in the middle, comes nearer downwards by `relief`; and its mask."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] / np.float32([HEIGHT, WIDTH])[:, None, None]
    mask = (np.abs(x - 0.5) < 0.25) & (np.abs(y - 0.5) < 0.4)
    depth = np.where(mask, 0.7 + relief * (y - 0.5), 0.1).astype(np.float32)
    photo, matte = dl.Photo(stripes()), mask.astype(np.float32)
    found = dl.InverseDepth(depth, "relative")
    return dl.Scene(photo, found, (0.5, 0.5), "predicted", matte, confidence), mask


@pytest.mark.parametrize("focus", ["subject", (0.5, 0.3), (0.4, 0.7)])
def test_the_subject_is_sharp_as_a_whole_and_the_background_blurred_by_the_lens(focus) -> None:
    scene, mask = subject_before_a_wall()
    held = scene.coc_px(dl.Settings(focus=focus, **WIDE_OPEN))
    plane = scene.coc_px(dl.Settings(focus=focus, subject_sharp=0.0, **WIDE_OPEN))
    assert not held[mask].any()
    assert np.abs(plane[mask]).max() > 0.5
    assert np.array_equal(held[~mask], plane[~mask])


def test_a_focus_beside_the_subject_holds_nothing() -> None:
    scene, mask = subject_before_a_wall()
    wall = {"focus": (0.1, 0.5), **WIDE_OPEN}
    held, plane = (scene.coc_px(dl.Settings(subject_sharp=share, **wall)) for share in (1.0, 0.0))
    assert np.array_equal(held, plane)
    assert (held[mask] > 1).all()


def test_where_nothing_stands_out_the_blur_is_gentle_unless_a_point_is_given() -> None:
    (clear, mask), (vague, _) = (subject_before_a_wall(confidence=share) for share in (1.0, 0.0))
    for settings, share in (
        (dl.Settings(**WIDE_OPEN), GENTLEST),
        (dl.Settings(subject_sharp=0.0, **WIDE_OPEN), 1.0),
        (dl.Settings(focus=(0.5, 0.5), **WIDE_OPEN), 1.0),
    ):
        np.testing.assert_allclose(
            vague.coc_px(settings)[~mask], share * clear.coc_px(settings)[~mask], rtol=1e-5
        )


def test_measured_relief_of_the_subject_is_blurred_as_a_lens_does() -> None:
    predicted, mask = subject_before_a_wall()
    measured = replace(predicted, depth_source="embedded")
    settings = dl.Settings(focus_range=0.0, **WIDE_OPEN)
    plane = measured.coc_px(replace(settings, subject_sharp=0.0))
    np.testing.assert_allclose(measured.coc_px(settings)[mask], plane[mask], atol=0.1)
    assert not predicted.coc_px(settings)[mask].any()


@pytest.mark.parametrize("value", [np.nan, 0.0, 1.0], ids=["NaN", "nothing", "everything"])
def test_a_matte_that_says_nothing_gives_a_picture_all_the_same(value) -> None:
    scene, mask = subject_before_a_wall()
    matte = np.full(mask.shape, value, np.float32)
    result = dl.refocus(replace(scene, matte=matte), dl.Settings(**WIDE_OPEN))
    assert np.isfinite(result.coc_px).all()
    assert (result.coc_px[~mask] < -1).all()
    assert contrast(result.image)[0] < contrast(scene.photo.pixels)[0]


def test_half_the_f_number_is_twice_the_circle_of_confusion(scene) -> None:
    settings = dl.Settings(focus=NEAR, f_number=4.0)
    wider = dl.Settings(focus=NEAR, f_number=2.0)
    assert np.allclose(scene.coc_px(wider), 2 * scene.coc_px(settings), rtol=1e-6)
    assert np.abs(scene.coc_px(wider)).max() > 0


def test_the_circle_of_confusion_is_that_of_the_lens(scene) -> None:
    """50 mm at f/2, focused at 1 m, a point infinitely far away: radius 0.5 f^2 / N on a 36 mm sensor."""
    coc_px = scene.coc_px(dl.Settings(focus=NEAR, f_number=2.0, lens_mm=50.0, nearest_m=1.0, focus_range=0.0))
    assert coc_px.min() == pytest.approx(-0.5 * 0.050**2 / 2 / 0.036 * WIDTH, rel=1e-5)


def test_everything_within_the_focus_range_is_the_photo_itself(scene) -> None:
    result = dl.refocus(scene, dl.Settings(focus=NEAR, focus_range=1.0, **WIDE_OPEN))
    narrow = dl.refocus(scene, dl.Settings(focus=NEAR, focus_range=0.5, **WIDE_OPEN))
    assert narrow.coc_px.min() < 0, "a band that reaches to the middle leaves the far plane blurred"
    whole = dl.Settings(focus=(0.5, 0.5), focus_range=1.0, **WIDE_OPEN)
    constant = dl.analyse(scene.photo, dl.InverseDepth(np.full((HEIGHT, WIDTH), 0.4, np.float32), "relative"))
    assert np.array_equal(dl.refocus(constant, whole).image, scene.photo.pixels)
    far = np.abs(narrow.coc_px) == np.abs(narrow.coc_px).max()
    plane = scene.coc_px(dl.Settings(focus=NEAR, focus_range=0.0, **WIDE_OPEN))
    for band in (result, narrow):  # a band takes no blur off what lies outside it
        np.testing.assert_allclose(band.coc_px[far], plane[far], atol=1e-4)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16], ids=["8 bit", "16 bit"])
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_constant_depth_gives_the_photo_back_bit_for_bit(kind, value) -> None:
    pixels = np.random.default_rng(1).integers(0, np.iinfo(kind).max, (20, 30, 3), endpoint=True).astype(kind)
    depth = dl.InverseDepth(np.full((20, 30), value, np.float32), "relative")
    result = dl.blur(dl.Photo(pixels), depth=depth, **WIDE_OPEN)
    assert result.image.dtype == kind
    assert np.array_equal(result.image, pixels)


@pytest.mark.parametrize("corner", [(0, 0), (1, 0), (0, 1), (1, 1), (0.25, 1.0)])
def test_the_focus_may_lie_in_a_corner(scene, corner) -> None:
    coc_px = scene.coc_px(dl.Settings(focus=corner))
    x = min(WIDTH - 1, int(corner[0] * WIDTH))
    assert coc_px[0, x] == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (3, 5)], ids=str)
def test_tiny_pictures_go_through_with_given_and_with_predicted_depth(shape) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (*shape, 3), np.uint8)
    depth = dl.InverseDepth(np.random.default_rng(3).random(shape, np.float32), "relative")
    assert dl.blur(pixels, depth=depth, **WIDE_OPEN).shape == pixels.shape
    assert dl.blur(pixels, **WIDE_OPEN).shape == pixels.shape


def test_metric_depth_is_not_placed_again() -> None:
    metric = dl.InverseDepth(two_planes().values + np.float32(1), "1/m")
    scene = dl.analyse(dl.Photo(stripes()), metric)
    near, far = (scene.coc_px(dl.Settings(focus=FAR, nearest_m=m, focus_range=0.0)) for m in (0.5, 7.0))
    assert np.array_equal(near, far)
    assert near.max() == pytest.approx(0.5 * 0.050**2 / 1.8 / 0.036 * WIDTH, rel=1e-5)


def test_relative_depth_of_any_scale_is_normalised() -> None:
    """A network of the caller's own may answer with 0..1000."""
    scene = dl.analyse(dl.Photo(stripes()), dl.InverseDepth(two_planes().values * 1000 - 300, "relative"))
    assert np.array_equal(scene.inverse_depth.values, two_planes().values)
    kept = dl.InverseDepth(two_planes().values * np.float32(0.5), "relative")
    assert dl.analyse(dl.Photo(stripes()), kept).inverse_depth.values.max() == 0.5


def test_depth_of_another_size_is_fitted_and_of_another_frame_refused() -> None:
    photo = dl.Photo(stripes())
    small = two_planes(HEIGHT // 4, WIDTH // 4)
    assert dl.analyse(photo, small).inverse_depth.shape == (HEIGHT, WIDTH)
    with pytest.raises(ValueError, match="aspects differ"):
        dl.analyse(photo, two_planes(HEIGHT, HEIGHT))


@pytest.mark.parametrize(
    ("depth", "sentence"),
    [
        (
            None,
            "depth is of type NoneType, expected 'auto', 'predict', 'embedded', a depth file, an array, InverseDepth",
        ),
        (lambda photo: None, "depth is of type NoneType"),
        ("embedded", "the picture holds no depth; say auto, predict"),
        ("no-such-file.png", "there is no depth file 'no-such-file.png'"),
    ],
    ids=["None", "function of None", "embedded", "missing"],
)
def test_what_is_no_depth_is_refused_in_a_sentence(depth, sentence) -> None:
    with pytest.raises((ValueError, OSError), match=sentence):
        dl.analyse(dl.Photo(stripes()), depth)


def test_depth_from_a_file_names_it(tmp_path) -> None:
    dl.write_depth_file(tmp_path / "planes.npz", two_planes())
    scene = dl.analyse(dl.Photo(stripes()), tmp_path / "planes.npz")
    assert scene.depth_source == "planes.npz"
    assert np.array_equal(scene.inverse_depth.values, two_planes().values)


def test_a_lens_that_no_renderer_can_do_is_refused_with_advice(scene) -> None:
    extreme = dl.Settings(focus=NEAR, f_number=0.7, lens_mm=1200.0, nearest_m=0.05)
    with pytest.raises(
        ValueError, match=r"these settings blur by .* px, expected at most .*; raise f_number"
    ):
        dl.refocus(scene, extreme)


def test_the_default_focus_is_the_subject_and_can_be_said_as_a_point() -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    ball = (np.hypot(x - 30, y - 24) < 12).astype(np.float32)
    scene = dl.analyse(dl.Photo(stripes()), dl.InverseDepth(ball, "relative"))
    assert np.hypot(scene.subject[0] * WIDTH - 30, scene.subject[1] * HEIGHT - 24) < 12
    by_default, by_point = dl.refocus(scene), dl.refocus(scene, dl.Settings(focus=scene.subject))
    assert np.array_equal(by_default.coc_px, by_point.coc_px)
    assert (by_default.coc_px[ball == 1] == 0).all()


def test_the_overlay_is_green_in_focus_blue_nearer_red_farther(scene) -> None:
    middle = dl.InverseDepth(np.repeat(np.float32([[1, 0.5, 0]]), 32, 1).repeat(HEIGHT, 0), "relative")
    result = dl.refocus(dl.analyse(scene.photo, middle), dl.Settings(focus=(0.5, 0.5), **WIDE_OPEN))
    overlay = result.overlay()
    assert (overlay.shape, overlay.dtype) == (scene.photo.pixels.shape, np.uint8)
    strongest = [int(overlay[HEIGHT // 2, x].argmax()) for x in (16, 48, 80)]
    assert strongest == [2, 1, 0]


def test_a_path_gives_a_result_twice_in_a_row(tmp_path) -> None:
    Image.fromarray(stripes()).save(tmp_path / "in.png")
    first, second = (
        dl.blur(tmp_path / "in.png", depth=two_planes(), focus=NEAR, **WIDE_OPEN) for _ in range(2)
    )
    assert isinstance(first, dl.Result)
    assert np.array_equal(first.image, second.image)
    assert first.image.dtype == np.uint8
    assert first.settings == dl.Settings(focus=NEAR, **WIDE_OPEN)
    assert isinstance(dl.blur(str(tmp_path / "in.png"), depth=two_planes()), dl.Result)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_bytes_give_bytes_of_the_same_format(form, wrap) -> None:
    given = wrap(photo_file(Image.fromarray(stripes()), form))
    blurred = dl.blur(given, depth=two_planes(), focus=NEAR, **WIDE_OPEN)
    assert isinstance(blurred, bytes)
    with Image.open(io.BytesIO(blurred)) as image:
        assert (image.format, image.size) == (form, (WIDTH, HEIGHT))
        assert contrast(np.array(image.convert("RGB")))[1] < 15


@pytest.mark.parametrize(
    ("mode", "back"), [("RGB", "RGB"), ("RGBA", "RGBA"), ("L", "L"), ("LA", "LA"), ("P", "RGB")]
)
def test_a_pillow_image_gives_one_and_is_left_as_it_was(mode, back) -> None:
    given = Image.fromarray(stripes()).convert(mode)
    before = given.tobytes()
    blurred = dl.blur(given, depth=two_planes(), focus=NEAR, **WIDE_OPEN)
    assert isinstance(blurred, Image.Image)
    assert (blurred.mode, blurred.size) == (back, given.size)
    assert given.tobytes() == before
    assert contrast(np.array(blurred.convert("RGB")))[1] < 15


@pytest.mark.parametrize("name", ["missing.jpg", "nul\0.jpg", "x" * 5000 + ".jpg", ""])
def test_a_path_to_nothing_is_refused_in_a_sentence(name) -> None:
    with pytest.raises(dl.PhotoError, match="cannot be read: ") as refused:
        dl.blur(name)
    assert len(str(refused.value)) < 400


def test_anything_else_is_refused_in_a_sentence() -> None:
    for source in ([[0, 1]], None, 5):
        with pytest.raises(ValueError, match="is not a photo, expected"):
            dl.blur(source, depth=two_planes())
    with pytest.raises(TypeError, match="aperture"):
        dl.blur(stripes(), depth=two_planes(), aperture=2)


def test_16_bits_stay_16_bits_through_a_file(tmp_path) -> None:
    dl.Photo(stripes(np.uint16) + np.uint16(3)).save(tmp_path / "deep.png")
    dl.blur(tmp_path / "deep.png", depth=two_planes(), focus=NEAR, **WIDE_OPEN).save(tmp_path / "out.tif")
    back = dl.read(tmp_path / "out.tif").pixels
    assert back.dtype == np.uint16
    assert np.array_equal(back[:, : WIDTH // 4], stripes(np.uint16)[:, : WIDTH // 4] + 3)


def test_a_rotated_portrait_photo_comes_out_upright_once_with_all_it_carried(tmp_path) -> None:
    from PIL import ImageCms

    lying = Image.fromarray(
        np.ascontiguousarray(np.rot90(stripes(), 1))
    )  # shown rotated by 90 degrees clockwise
    exif = Image.Exif()
    exif[0x0112], exif[0x0110], exif[0x0132] = 6, "Camera of the test", "2024:05:06 07:08:09"
    exif.get_ifd(0x8825)[1] = "N"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lying.save(tmp_path / "in.jpg", exif=exif, icc_profile=profile, quality=95)
    dl.blur(tmp_path / "in.jpg", depth=two_planes(), focus=NEAR, **WIDE_OPEN).save(tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as out:
        assert out.size == (WIDTH, HEIGHT)
        kept = out.getexif()
        assert kept.get(0x0112, 1) == 1
        assert (kept[0x0110], kept[0x0132]) == ("Camera of the test", "2024:05:06 07:08:09")
        assert kept.get_ifd(0x8825)[1] == "N"
        assert out.info["icc_profile"] == profile
        sharp, blurred = contrast(np.array(out))
    assert blurred < 0.1 * sharp, "the near half is on the left of the upright picture"
    again = dl.blur(tmp_path / "out.jpg", depth=two_planes(), focus=NEAR, **WIDE_OPEN)
    assert again.image.shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("name", ["out.png", "out.jpg"])
def test_the_settings_are_recorded_in_xmp(tmp_path, name) -> None:
    result = dl.blur(dl.Photo(stripes()), depth=two_planes(), focus=(0.25, 0.5), f_number=2.8)
    result.save(tmp_path / name)
    packet = dl.read(tmp_path / name).xmp.decode()
    assert "2.8" in packet
    assert "0.25,0.5" in packet
    result.save(tmp_path / name, strip_metadata=True)
    assert dl.read(tmp_path / name).xmp is None


def test_an_unknown_ending_loses_no_work(tmp_path) -> None:
    result = dl.blur(dl.Photo(stripes()), depth=two_planes())
    for name in ("out.xyz", "out", "missing/out.png"):
        with pytest.raises(dl.PhotoError, match="cannot be written"):
            result.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    result.save(tmp_path / "out.png")


def test_many_threads_may_refocus_one_scene(scene) -> None:
    focuses = [NEAR, FAR] * 6
    with ThreadPoolExecutor(6) as pool:
        images = list(
            pool.map(lambda at: dl.refocus(scene, dl.Settings(focus=at, **WIDE_OPEN)).image, focuses)
        )
    for image, at in zip(images, focuses, strict=True):
        assert np.array_equal(image, images[focuses.index(at)])


def test_given_circles_of_confusion_are_rendered_as_the_pipeline_does(scene) -> None:
    result = dl.refocus(scene, dl.Settings(focus=FAR, **WIDE_OPEN))
    assert np.array_equal(
        dl.render(scene.linear, result.coc_px, dl.Aperture.disc(), "optical"), result.linear
    )
    assert np.array_equal(dl.linear_to_srgb(result.linear), result.image)


def test_the_shape_of_the_aperture_reaches_the_renderer(scene, tmp_path) -> None:
    kernel = np.zeros((9, 9), np.uint8)
    kernel[:, :3] = kernel[6:] = 255
    Image.fromarray(kernel).save(tmp_path / "corner.png")
    apertures = {
        "blades:5:0.2": dl.Aperture.blades(5, 0.2),
        "ring": dl.Aperture.ring(),
        str(tmp_path / "corner.png"): dl.Aperture.kernel(kernel),
    }
    disc = dl.refocus(scene, dl.Settings(focus=FAR, **WIDE_OPEN))
    for text, aperture in apertures.items():
        result = dl.refocus(scene, dl.Settings(focus=FAR, shape=text, **WIDE_OPEN))
        assert np.array_equal(dl.render(scene.linear, result.coc_px, aperture), result.linear)
        assert not np.array_equal(result.linear, disc.linear)


def test_the_picture_of_an_aperture_is_read_once_until_it_changes(tmp_path, monkeypatch) -> None:
    path = tmp_path / "shape.png"
    Image.new("RGBA", (8, 8), (255, 255, 255, 128)).save(path)
    opened = []
    real = aperture_picture.read
    monkeypatch.setattr(aperture_picture, "read", lambda name: opened.append(name) or real(name))
    first = aperture_of(dl.Settings(shape=str(path)))
    assert aperture_of(dl.Settings(shape=str(path))) is first
    assert first.density(0.9, 0.9) == 1
    Image.new("L", (4, 8), 255).save(path)
    os.utime(path, ns=(1, 1))
    assert aperture_of(dl.Settings(shape=str(path))).density(0.9, 0.9) == 0
    assert len(opened) == 2


@pytest.mark.parametrize("make", ["missing", "text", "black"])
def test_what_is_no_picture_of_an_aperture_is_refused_in_a_sentence(scene, tmp_path, make) -> None:
    path = tmp_path / "shape.png"
    if make == "text":
        path.write_text("no picture")
    elif make == "black":
        Image.new("L", (8, 8)).save(path)
    with pytest.raises(ValueError, match=r"shape\.png"):
        dl.refocus(scene, dl.Settings(shape=str(path)))


def test_settings_of_light_survive_in_xmp(tmp_path) -> None:
    from deeplens_dof.photo.metadata.xmp import recorded_settings

    settings = dl.Settings(focus=NEAR, shape="blades:7:0.5", highlights=0.75, grain=0.5)
    dl.blur(dl.Photo(stripes()), depth=two_planes(), settings=settings).save(tmp_path / "out.png")
    recorded = recorded_settings(dl.read(tmp_path / "out.png").xmp)
    assert recorded["shape"] == "blades:7:0.5"
    numbers = {name: float(recorded[name]) for name in ("highlights", "grain", "f_number")}
    assert numbers == {"highlights": 0.75, "grain": 0.5, "f_number": 1.8}


def test_the_astronaut_stands_sharp_before_a_blurred_background() -> None:
    """The main job, depth predicted: the face keeps its detail, the shuttle behind loses it."""
    photo = dl.read(PHOTOS / "astronaut.jpg")
    result = dl.blur(PHOTOS / "astronaut.jpg")
    assert result.scene.depth_source == "predicted"

    def detail(image: np.ndarray, top: int, left: int) -> float:
        patch = image[top : top + 60, left : left + 60].astype(float).mean(2)
        return float(np.abs(np.diff(patch, axis=0)).mean() + np.abs(np.diff(patch, axis=1)).mean())

    face, shuttle = (90, 195), (180, 400)
    assert detail(result.image, *face) > 0.95 * detail(photo.pixels, *face)
    assert detail(result.image, *shuttle) < 0.5 * detail(photo.pixels, *shuttle)


def test_a_preview_is_the_same_scene_smaller() -> None:
    scene = dl.analyse(dl.Photo(stripes(height=200, width=400)), two_planes(200, 400))
    small = dl.preview(scene, most_pixels=20_000)
    assert (small.photo.height, small.photo.width) == (100, 200) == small.inverse_depth.shape
    assert set(np.unique(small.inverse_depth.values)) == {0.0, 1.0}  # no depth between the two planes
    assert small.subject == scene.subject
    np.testing.assert_allclose(small.linear.mean((0, 1)), scene.linear.mean((0, 1)), rtol=0.01)
    settings = dl.Settings(focus=NEAR, **WIDE_OPEN)
    quick = dl.refocus(small, settings, lens_points=32)
    full = dl.refocus(scene, settings)
    assert quick.coc_px.min() == pytest.approx(full.coc_px.min() / 2, rel=0.02)
    assert dl.preview(small, most_pixels=20_000) is small
    assert scene.focus_depth(settings) == 1


def test_recovered_light_is_found_once_for_many_lenses(monkeypatch: pytest.MonkeyPatch) -> None:
    """It depends on the photo and the amount alone, and a preview must not wait for it again."""
    from deeplens_dof.highlights import network as light

    rgb = np.full((40, 60, 3), 90, np.uint8)
    rgb[15:20, 25:30] = 255
    depth = dl.InverseDepth(np.tile(np.linspace(0, 1, 60, dtype=np.float32), (40, 1)), "relative")
    scene = dl.analyse(dl.Photo(rgb), depth)
    first = dl.refocus(scene, dl.Settings(f_number=1.4)).linear
    asked = []
    whole = light.reconstruct_highlights
    monkeypatch.setattr(
        light, "reconstruct_highlights", lambda *given: (asked.append(given[1]), whole(*given))[1]
    )
    dl.refocus(scene, dl.Settings(f_number=4.0))
    assert asked == []
    dl.refocus(scene, dl.Settings(highlights=1.0))
    dl.refocus(scene, dl.Settings(highlights=0.0))
    assert asked == [1.0, 0.0]
    np.testing.assert_array_equal(dl.refocus(scene, dl.Settings(f_number=1.4)).linear, first)
    assert replace(scene, subject=(0.1, 0.1)).light(0.25) is not scene.light(0.25)


def test_depth_may_come_from_a_function_of_the_photo(scene) -> None:
    seen = []

    def my_depth(photo: dl.Photo) -> dl.InverseDepth:
        seen.append(photo.seen_srgb8().shape)
        return two_planes(photo.height // 2, photo.width // 2)  # fitted like any given depth

    found = dl.analyse(dl.Photo(stripes()), depth=my_depth)
    assert seen == [(HEIGHT, WIDTH, 3)]
    assert found.depth_source == "given"
    assert np.abs(found.inverse_depth.values - scene.inverse_depth.values).mean() < 0.05
    with pytest.raises(ValueError, match=r"depth is of type NoneType, expected .* a function that returns"):
        dl.analyse(dl.Photo(stripes()), depth=lambda photo: None)


def test_a_renderer_of_ones_own_goes_through_every_call(scene, tmp_path) -> None:
    given = []

    def darker(rgb_linear: np.ndarray, coc_px: np.ndarray) -> np.ndarray:
        given.append((rgb_linear.dtype, coc_px.dtype, rgb_linear.flags.c_contiguous))
        return np.where(coc_px[..., None] == 0, rgb_linear, 0.5 * rgb_linear)

    result = dl.refocus(scene, dl.Settings(focus=NEAR, highlights=0, renderer=darker, **WIDE_OPEN))
    assert given == [(np.float32, np.float32, True)]
    blurred = result.coc_px != 0
    np.testing.assert_array_equal(result.linear[~blurred], scene.linear[~blurred])
    np.testing.assert_allclose(result.linear[blurred], 0.5 * scene.linear[blurred])
    result.save(tmp_path / "own.png")
    assert b"darker" in (tmp_path / "own.png").read_bytes(), "its name is recorded with the settings"
    array = dl.blur(stripes(), depth=two_planes(), renderer=darker, **WIDE_OPEN)
    assert array.shape == (HEIGHT, WIDTH, 3)
    with pytest.raises(ValueError, match="a renderer of your own is not told it"):
        dl.blur(stripes(), depth=two_planes(), renderer=darker, shape="blades:6", **WIDE_OPEN)
    with pytest.raises(ValueError, match=r"your renderer returned shape \(48, 96\)"):
        dl.blur(stripes(), depth=two_planes(), renderer=lambda rgb, coc: coc, **WIDE_OPEN)
