"""The focus on faces: which face and which eye, bands that hold several, sentences where there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from face_samples import EYES, portrait

import deeplens_dof as dl
from deeplens_dof import pipeline
from deeplens_dof.faces import focus as module
from deeplens_dof.faces.focus import band, nearer_eye, subject_and_faces

HEIGHT, WIDTH = 60, 120
DARK = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
WIDE_OPEN = {"f_number": 1.0, "lens_mm": 85.0}


def face_at(x: float, y: float = 0.4, width: float = 0.1) -> dl.Face:
    half, eye = width / 2, width / 5
    box = (x - half, y - width, x + half, y + width)
    return dl.Face(box, ((x - eye, y), (x + eye, y)), 0.9)


LEFT, MIDDLE, RIGHT = face_at(0.2), face_at(0.5), face_at(0.8)


def columns(*depths: float) -> np.ndarray:
    """Inverse depth in columns of equal width."""
    return np.repeat(np.float32(depths), WIDTH // len(depths))[None].repeat(HEIGHT, 0)


def matte_at(face: dl.Face, share: float = 1.0) -> np.ndarray:
    x = (np.arange(WIDTH) + 0.5) / WIDTH
    return np.where(np.abs(x - face.centre[0]) < 0.12, np.float32(share), 0)[None].repeat(HEIGHT, 0)


@pytest.fixture
def faces(monkeypatch: pytest.MonkeyPatch) -> list[dl.Face]:
    """What the detector finds, in a list to fill."""
    found: list[dl.Face] = []
    monkeypatch.setattr(module, "find_faces", lambda rgb, threads=None: tuple(found))
    return found


@pytest.mark.parametrize(("depths", "eye"), [((0.2, 0.3), 1), ((0.3, 0.2), 0), ((0.3, 0.3), 0)])
def test_the_nearer_eye_is_the_one_with_the_larger_inverse_depth(
    depths: tuple[float, float], eye: int
) -> None:
    assert nearer_eye(MIDDLE, columns(*depths)) == MIDDLE.eyes[eye]
    assert nearer_eye(MIDDLE, columns(*depths) * 7 - 3) == MIDDLE.eyes[eye]


def test_an_eye_beyond_the_border_has_a_depth() -> None:
    face = dl.Face((0.9, 0.9, 1, 1), ((0.95, 1.0), (1.0, 1.0)), 0.9)
    assert nearer_eye(face, columns(0, 1)) in face.eyes


def test_the_default_focus_is_on_the_face_in_the_matte(faces) -> None:
    faces += [LEFT, RIGHT]
    depth = columns(0.1, 0.1, 0.11, 0.1, 0.1, 0.1)
    for face in faces:
        subject, found = subject_and_faces(DARK, depth, matte_at(face))
        assert subject.point in face.eyes
        assert found == (LEFT, RIGHT)


def test_of_two_faces_in_the_matte_the_more_prominent_has_the_focus(faces) -> None:
    faces += [RIGHT, LEFT]
    assert subject_and_faces(DARK, columns(1, 1), np.ones((HEIGHT, WIDTH), np.float32))[0].point in RIGHT.eyes


@pytest.mark.parametrize(
    "matte", [matte_at(RIGHT), matte_at(LEFT, 0.4), np.zeros((HEIGHT, WIDTH), np.float32)]
)
def test_a_face_that_is_no_part_of_the_subject_changes_nothing(faces, matte) -> None:
    """A poster behind the subject, say."""
    depth = columns(0.1, 0.1, 0.1, 0.6, 0.6, 0.1)
    without, none = subject_and_faces(DARK, depth, matte)
    faces.append(LEFT)
    assert subject_and_faces(DARK, depth, matte) == (without, (LEFT,))
    assert none == ()


def test_a_face_in_the_matte_far_behind_the_subject_changes_nothing(faces) -> None:
    """One of a crowd behind a dancer, say."""
    depth = columns(0.1, 0.1, 0.1, 0.9, 0.9, 0.9)
    faces.append(LEFT)
    assert subject_and_faces(DARK, depth, np.ones((HEIGHT, WIDTH), np.float32))[0].point not in LEFT.eyes


def test_a_given_depth_in_focus_needs_no_face() -> None:
    scene = scene_of(depth=columns(0.1, 0.9))
    assert np.isfinite(scene.coc_px(dl.Settings(focus="face"), focus_depth=0.5)).all()


def test_a_matte_of_nan_has_no_say_and_breaks_nothing(faces) -> None:
    faces.append(LEFT)
    matte = np.full((HEIGHT, WIDTH), np.nan, np.float32)
    assert subject_and_faces(DARK, columns(0.1, 0.9), matte)[0].point not in LEFT.eyes


def test_without_a_matte_a_face_at_the_depth_of_the_subject_has_the_focus(faces) -> None:
    depth = columns(0.0, 0.0, 0.8, 0.8, 0.0, 0.0)
    faces.append(LEFT)
    assert subject_and_faces(DARK, depth, None)[0].point not in LEFT.eyes
    faces.append(MIDDLE)
    assert subject_and_faces(DARK, depth, None)[0].point in MIDDLE.eyes


def scene_of(*faces: dl.Face, depth: np.ndarray) -> dl.Scene:
    return dl.Scene(dl.Photo(DARK), dl.InverseDepth(depth, "relative"), (0.5, 0.5), found_faces=faces)


def test_a_focus_on_the_face_is_on_the_most_prominent_whatever_the_subject() -> None:
    scene = scene_of(RIGHT, LEFT, depth=columns(0.2, 0.2, 0.2, 0.9, 0.9, 0.9))
    face = dl.Settings(focus="face")
    assert scene.focus_point(face) in RIGHT.eyes
    assert scene.focus_depth(face) == pytest.approx(0.9)
    assert scene.focus_point(dl.Settings()) == (0.5, 0.5)
    assert scene.focus_point(dl.Settings(focus=(0.1, 0.2))) == (0.1, 0.2)


def test_a_focus_on_faces_keeps_all_of_them_sharp_and_blurs_the_rest() -> None:
    depth = columns(0.0, 0.4, 0.4, 1.0, 1.0, 0.7)  # faces at 0.4, 1.0 and 0.7
    scene = scene_of(MIDDLE, LEFT, RIGHT, depth=depth)
    depths = [float(depth[24, int(x * WIDTH)]) for x in (0.2, 0.5, 0.8)]
    coc_px = scene.coc_px(dl.Settings(focus="faces", focus_range=0.0, **WIDE_OPEN))
    at = {float(value): float(np.abs(coc_px[depth == np.float32(value)]).max()) for value in np.unique(depth)}
    assert [at[value] for value in depths] == [0, 0, 0]
    assert at[0.0] > 0.5
    one = scene.coc_px(dl.Settings(focus="face", focus_range=0.0, **WIDE_OPEN))
    assert np.abs(one[depth == np.float32(0.4)]).max() > 0.5


def test_a_wider_focus_range_than_faces_need_stays() -> None:
    scene = scene_of(LEFT, RIGHT, depth=columns(0.45, 0.55))
    assert scene.focus_band(dl.Settings(focus="faces", focus_range=0.8)) == pytest.approx((0.5, 0.8))
    focus, width = scene.focus_band(dl.Settings(focus="faces", focus_range=0.0))
    assert focus == pytest.approx(0.5)
    assert 0.1 < width < 0.2


def test_persons_at_two_distances_are_each_held_whole() -> None:
    """Two persons whose bodies come nearer downwards, by more than the band of both faces holds."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] / np.float32([HEIGHT, WIDTH])[:, None, None]
    persons = [np.abs(x - face.centre[0]) < 0.1 for face in (LEFT, RIGHT)]
    depth = np.full((HEIGHT, WIDTH), 0.1, np.float32)
    for person, distance in zip(persons, (0.4, 0.8), strict=True):
        depth = np.where(person, np.float32(distance) + 0.15 * (y - 0.4), depth)
    matte = (persons[0] | persons[1]).astype(np.float32)
    scene = replace(scene_of(LEFT, RIGHT, depth=depth.astype(np.float32)), matte=matte)
    coc_px = scene.coc_px(dl.Settings(focus="faces", focus_range=0.0, **WIDE_OPEN))
    for person in persons:
        assert not coc_px[person].any()
    assert (coc_px[matte == 0] < -1).all()


def test_a_band_holds_its_depths() -> None:
    assert band([0.3], 1.0) == (pytest.approx(0.3), 0.0)
    focus, width = band([0.9, 0.2, 0.4], 1.0)
    assert focus - width / 2 < 0.2
    assert focus + width / 2 > 0.9


@pytest.mark.parametrize("focus", ["face", "faces"])
def test_where_no_face_is_found_a_sentence_says_so(focus: str) -> None:
    scene = scene_of(depth=columns(0, 1))
    with pytest.raises(
        ValueError, match=f"no face was found in the picture, and the focus is '{focus}'; give a point"
    ):
        dl.refocus(scene, dl.Settings(focus=focus))


def test_faces_are_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from deeplens_dof.faces import find

    calls: list[int] = []
    monkeypatch.setattr(find, "find_faces", lambda rgb: calls.append(1) or (LEFT,))
    scene = replace(scene_of(depth=columns(0, 1)), found_faces=None)
    assert scene.faces is scene.faces
    assert calls == [1]
    assert replace(scene, subject=(0.1, 0.1), found_faces=scene.faces).faces == (LEFT,)
    assert calls == [1]


def test_a_preview_has_the_faces_of_the_scene() -> None:
    photo = np.zeros((300, 600, 3), np.uint8)
    depth = dl.InverseDepth(np.zeros((300, 600), np.float32), "relative")
    scene = dl.Scene(dl.Photo(photo), depth, (0.5, 0.5), found_faces=(LEFT,))
    assert dl.preview(scene, 5_000).faces == (LEFT,)


def test_a_portrait_is_focused_on_an_eye() -> None:
    scene = dl.analyse(dl.Photo(portrait()), dl.InverseDepth(np.ones((512, 512), np.float32), "relative"))
    assert np.hypot(*np.subtract(scene.subject, EYES).T).min() < 0.015
    predicted = dl.analyse(dl.Photo(portrait()))
    assert np.hypot(*np.subtract(predicted.subject, EYES).T).min() < 0.015


def test_a_focus_that_the_photo_brings_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    from deeplens_dof.photo.embedded_depth import EmbeddedDepth

    depth = dl.InverseDepth(np.linspace(0, 1, 512 * 512, dtype=np.float32).reshape(512, 512), "relative")
    photo = replace(dl.Photo(portrait()), depth=EmbeddedDepth(depth, "GDepth", focus=(0.2, 0.9)))
    scene = pipeline.analyse(photo, "embedded")
    assert scene.subject == (0.2, 0.9)
    assert len(scene.faces) == 1
