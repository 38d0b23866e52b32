"""The detector: groups, sizes, mirror images, turned heads, borders, pictures without faces, arrays that are none."""

from __future__ import annotations

import io

import numpy as np
import pytest
from face_samples import BOX, EYES, HEAD, PORTRAIT, drawn_face, group, portrait
from PIL import Image

import deeplens_dof as dl


def test_the_face_and_its_eyes_are_where_they_are() -> None:
    (face,) = dl.find_faces(portrait())
    np.testing.assert_allclose(face.box, BOX, atol=0.02)
    np.testing.assert_allclose(face.eyes, EYES, atol=0.012)
    assert 0.8 < face.score <= 1


def test_the_mirror_image_has_the_mirrored_face() -> None:
    (face,), (mirrored,) = dl.find_faces(portrait()), dl.find_faces(portrait()[:, ::-1])
    left, top, right, bottom = mirrored.box
    np.testing.assert_allclose((1 - right, top, 1 - left, bottom), face.box, atol=0.015)
    np.testing.assert_allclose([(1 - x, y) for x, y in mirrored.eyes[::-1]], face.eyes, atol=0.015)


def test_a_group_is_found_whole_the_large_and_central_first() -> None:
    heads = [(20, 40, 100), (240, 120, 200), (480, 60, 80), (500, 300, 120), (60, 320, 90)]
    faces = dl.find_faces(group(heads))
    assert len(faces) == len(heads)
    centres = [(left + side / 2, top + side * 0.47) for left, top, side in heads]
    for x, y in centres:
        assert any(np.hypot(f.centre[0] * 640 - x, f.centre[1] * 480 - y) < 12 for f in faces)
    assert faces[0].centre == pytest.approx((340 / 640, 214 / 480), abs=0.02)


@pytest.mark.parametrize("share", [0.03, 0.05, 0.1, 0.3, 0.45])
def test_faces_are_found_from_3_per_cent_of_the_width(share: float) -> None:
    side = round(2000 * share * (HEAD[2] - HEAD[0]) / (0.2 * 512))
    (face,) = dl.find_faces(group([(40, 30, side)], 1500, 2000))
    assert face.width == pytest.approx(share, rel=0.15)


def test_a_picture_of_another_size_has_the_same_face() -> None:
    (face,) = dl.find_faces(portrait())
    for size in (128, 300, 1500):
        resized = np.array(Image.fromarray(portrait()).resize((size, size)))
        (found,) = dl.find_faces(resized)
        np.testing.assert_allclose(found.eyes, face.eyes, atol=0.015)


def test_a_face_that_fills_the_picture_is_found() -> None:
    (face,) = dl.find_faces(portrait()[60:190, 165:290])
    assert face.width > 0.7


@pytest.mark.parametrize(
    ("name", "cut"),
    [("top", np.s_[72:]), ("left", np.s_[:, 172:]), ("bottom", np.s_[:176]), ("right", np.s_[:, :280])],
)
def test_a_face_at_the_border_of_the_picture_is_found_and_stays_within_it(
    name: str, cut: tuple[slice]
) -> None:
    (face,) = dl.find_faces(portrait()[cut])
    assert all(0 <= part <= 1 for part in (*face.box, *face.eyes[0], *face.eyes[1]))
    assert {"top": face.box[1], "left": face.box[0], "bottom": 1 - face.box[3], "right": 1 - face.box[2]}[
        name
    ] < 0.03


@pytest.mark.parametrize("turns", [1, 3])
def test_a_head_that_lies_on_its_side_is_found(turns: int) -> None:
    (face,) = dl.find_faces(np.ascontiguousarray(np.rot90(portrait(), turns)))
    (x, y) = (0.4425, 0.2475)  # the middle of the face
    assert face.centre == pytest.approx((y, 1 - x) if turns == 1 else (1 - y, x), abs=0.04)


def test_a_drawn_face_counts() -> None:
    (face,) = dl.find_faces(drawn_face())
    assert face.centre == pytest.approx((0.5, 0.5), abs=0.06)


@pytest.mark.parametrize("name", ["chelsea", "coffee", "rocket"])
def test_a_cat_a_cup_and_a_rocket_have_no_face(name: str) -> None:
    assert dl.find_faces(dl.read(PORTRAIT.with_name(f"{name}.jpg")).srgb8()) == ()


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 500), (500, 1), (23, 400), (24, 24), (30, 3000), (3000, 30), (200, 300)]
)
def test_flat_pictures_and_noise_of_any_shape_have_none(shape: tuple[int, int]) -> None:
    assert dl.find_faces(np.full((*shape, 3), 120, np.uint8)) == ()
    assert dl.find_faces(np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)) == ()


def test_the_answer_does_not_depend_on_threads_or_memory_layout() -> None:
    faces = dl.find_faces(portrait(), threads=1)
    np.testing.assert_allclose(dl.find_faces(portrait(), threads=2)[0].box, faces[0].box, atol=1e-4)
    assert dl.find_faces(np.asfortranarray(portrait()), threads=1) == faces


@pytest.mark.parametrize(
    "given",
    [portrait().astype(np.float32), portrait()[..., 0], np.zeros((0, 4, 3), np.uint8), "photo.jpg", None],
    ids=["floats", "grey", "empty", "a name", "None"],
)
def test_other_arrays_are_refused_with_a_sentence(given: object) -> None:
    with pytest.raises(ValueError, match=r"the picture .*, expected"):
        dl.find_faces(given)


def kinds() -> dict[str, dl.Photo]:
    """The portrait as photos of other kinds."""
    rgb = portrait()
    grey = np.repeat(rgb.mean(2, keepdims=True).astype(np.uint8), 3, 2)
    light = ((rgb / 255.0) ** 2.2).astype(np.float32)
    return {
        "grey": dl.Photo(grey),
        "16 bits": dl.Photo(rgb.astype(np.uint16) * 257),
        "light": dl.Photo(light),
        "alpha": dl.Photo(rgb, alpha=np.full(rgb.shape[:2], 255, np.uint8)),
    }


@pytest.mark.parametrize("name", kinds())
def test_photos_of_any_kind_have_faces(name: str) -> None:
    photo = kinds()[name]
    flat = dl.InverseDepth(np.zeros((photo.height, photo.width), np.float32), "relative")
    (face,) = dl.Scene(photo, flat, (0.5, 0.5)).faces
    np.testing.assert_allclose(face.eyes, EYES, atol=0.015)


def test_light_that_is_no_number_breaks_nothing() -> None:
    light = kinds()["light"].pixels.copy()
    light[300:, :100] = np.nan
    light[:20] = np.inf
    flat = dl.InverseDepth(np.zeros(light.shape[:2], np.float32), "relative")
    with np.errstate(invalid="ignore"):
        (face,) = dl.Scene(dl.Photo(light), flat, (0.5, 0.5)).faces
    np.testing.assert_allclose(face.eyes, EYES, atol=0.02)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_the_orientation_of_the_file_counts(orientation: int) -> None:
    """Stored turned, with the orientation that says so, the photo has the face where the upright one has it."""
    turn = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    stored, exif = Image.fromarray(portrait()).transpose(turn[orientation]), Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    stored.save(file, "JPEG", quality=95, exif=exif)
    (face,) = dl.find_faces(dl.read(file.getvalue()).srgb8())
    np.testing.assert_allclose(face.eyes, EYES, atol=0.015)
