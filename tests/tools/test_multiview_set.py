"""Depth from photos with known cameras: planes and cameras of a drawn scene, the three layouts, the set that is written."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from deeplens_dof.datasets.folder import open_folder

cv2 = pytest.importorskip("cv2")
pytest.importorskip("numba")
HEIGHT, WIDTH, FOCAL_PX = 60, 80, 70.0
NEAR, FAR = 1 / 2, 1 / 8  # inverse depth of the square and of the wall
SQUARE_M = 0.6  # half of its side
MATRIX = np.array([[FOCAL_PX, 0, WIDTH / 2], [0, FOCAL_PX, HEIGHT / 2], [0, 0, 1]])
TURN = cv2.Rodrigues(np.array([0.02, -0.04, 0.03]))[0]  # of every second camera
CENTRES = ((0, 0, 0), (0.4, 0, 0), (-0.4, 0.1, 0), (0, 0.4, 0.1), (0.1, -0.4, -0.1))


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "tools" / "data"))


def drawn(rotation: np.ndarray, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Grey picture and inverse depth of a textured square 2 m away before a textured wall 8 m away."""
    random = np.random.default_rng(5)
    textures = [
        cv2.GaussianBlur(random.uniform(0, 255, (900, 900)).astype(np.float32), (0, 0), 2.5) for _ in range(2)
    ]
    columns, rows = np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5)
    rays = np.stack([columns, rows, np.ones_like(rows)], -1) @ np.linalg.inv(MATRIX).T @ rotation
    grey, inverse = np.zeros((HEIGHT, WIDTH), np.float32), np.zeros((HEIGHT, WIDTH), np.float32)
    for texture, plane, texels_per_m in ((textures[0], FAR, 16), (textures[1], NEAR, 64)):
        travelled = (1 / plane - centre[2]) / rays[..., 2]
        place = centre[:2] + travelled[..., None] * rays[..., :2]
        here = np.abs(place).max(-1) < (SQUARE_M if plane == NEAR else np.inf)
        texels = np.float32(place * texels_per_m + 450)
        grey[here] = cv2.remap(texture, texels, None, cv2.INTER_LINEAR)[here]
        # a ray of the camera has z = 1 in the camera's own axes, so the way travelled along it is the depth
        inverse[here] = (1 / travelled)[here]
    return grey * 3 - 255, inverse


@pytest.fixture(scope="module")
def scene():
    sys.path.insert(0, str(Path(__file__).parents[2] / "tools" / "data"))
    from multiview_depth import View

    views, truths = [], []
    for k, centre in enumerate(np.array(CENTRES, float)):
        rotation = TURN if k % 2 else np.eye(3)
        grey, inverse = drawn(rotation, centre)
        views.append(View(f"{k}.png", grey, MATRIX, rotation, -rotation @ centre))
        truths.append(inverse)
    sys.path.pop(0)
    return views, truths


def test_a_plane_is_carried_onto_itself(scene) -> None:
    """The homography of the wall takes the pixels of a view to where another view has the same points."""
    from multiview_depth import carried

    views, truths = scene
    for other in views[1:]:
        size = (WIDTH, HEIGHT)
        seen = cv2.warpPerspective(
            other.grey,
            carried(other, views[0], FAR),
            size,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderValue=-1e4,
        )
        wall = (seen > -1e3) & (np.abs(truths[0] - FAR) < 1e-6)
        wall &= cv2.dilate(np.float32(truths[0] > 0.3), np.ones((25, 25))) == 0  # not hidden in either
        assert wall.mean() > 0.05
        assert np.abs(seen - views[0].grey)[wall].mean() < 12


def test_depth_of_square_and_wall_is_measured(scene) -> None:
    from multiview_depth import inverse_depth

    views, truths = scene
    found = inverse_depth(views[0], views[1:], 0.6, 0.1, 32)
    step = 0.5 / 31
    inner = cv2.erode(np.float32(truths[0] == np.median(truths[0][25:35, 35:45])), np.ones((7, 7))) > 0
    assert np.abs(found - truths[0])[inner].max() < step
    assert np.median(np.abs(found - truths[0])) < step / 4
    assert (np.abs(found - truths[0]) < step).mean() > 0.9


def test_mirrored_scene_has_mirrored_depth(scene) -> None:
    """Semi-global paths run in all directions alike."""
    from multiview_depth import View, inverse_depth

    views, _ = scene
    flip = np.diag([-1.0, 1, 1])
    mirrored = [
        View(v.name, v.grey[:, ::-1].copy(), v.matrix, flip @ v.rotation @ flip, flip @ v.position)
        for v in views
    ]
    found = inverse_depth(views[0], views[1:], 0.6, 0.1, 32)
    back = inverse_depth(mirrored[0], mirrored[1:], 0.6, 0.1, 32)[:, ::-1]
    assert (np.abs(found - back) < 0.5 / 31).mean() > 0.97


def test_only_confirmed_depth_is_kept(scene) -> None:
    from multiview_depth import agreeing

    views, truths = scene
    others = list(zip(views[1:], truths[1:], strict=True))
    assert agreeing(views[0], truths[0], others, 0.02, 2).mean() > 0.9
    wrong = truths[0].copy()
    wrong[20:30, 20:30] = 0.35
    kept = agreeing(views[0], wrong, others, 0.02, 2)
    assert kept[20:30, 20:30].mean() < 0.05
    assert not agreeing(views[0], truths[0], others[:1], 0.02, 2).any()


def test_views_that_look_elsewhere_do_not_measure(scene) -> None:
    from multiview_depth import View, nearest_views

    views, _ = scene
    away = View("away.png", views[0].grey, MATRIX, np.diag([-1.0, 1, -1]), np.zeros(3))
    points = np.random.default_rng(1).uniform((-1, -1, 4), (1, 1, 8), (50, 3))
    names = [view.name for view in nearest_views(views[0], [*views, away], points, 8)]
    assert set(names) == {"1.png", "2.png", "3.png", "4.png"}


def test_senseless_requests_are_refused(scene) -> None:
    from multiview_depth import inverse_depth

    views, _ = scene
    with pytest.raises(ValueError, match="1 other photos"):
        inverse_depth(views[0], views[1:2], 0.6, 0.1)
    with pytest.raises(ValueError, match="far < near"):
        inverse_depth(views[0], views[1:], 0.1, 0.6)


def write_strecha(folder: Path, views) -> None:
    (folder / "gt_dense_cameras").mkdir()
    for view in views:
        rows = [*view.matrix, np.zeros(3), *view.rotation.T, view.centre]
        text = "\n".join(" ".join(f"{number:.12g}" for number in row) for row in rows)
        (folder / "gt_dense_cameras" / f"{view.name}.camera").write_text(text)


def write_llff(folder: Path, views) -> None:
    rows = []
    for view in views:
        right, down, forward = view.rotation
        pose = np.stack([down, right, -forward, view.centre, (HEIGHT, WIDTH, FOCAL_PX)], axis=1)
        rows.append([*pose.ravel(), 2.0, 8.0])
    np.save(folder / "poses_bounds.npy", np.array(rows))


def write_transforms(folder: Path, views) -> None:
    frames = []
    for view in views:
        pose = np.eye(4)
        pose[:3, :3] = (view.rotation * [[1], [-1], [-1]]).T
        pose[:3, 3] = view.centre
        frames.append({"file_path": f"images/{view.name}", "transform_matrix": pose.tolist()})
    told = {"fl_x": FOCAL_PX, "fl_y": FOCAL_PX, "cx": WIDTH / 2, "cy": HEIGHT / 2, "w": WIDTH, "h": HEIGHT}
    (folder / "transforms.json").write_text(json.dumps({**told, "frames": frames}))


@pytest.fixture
def photos(tmp_path: Path, scene) -> Path:
    (tmp_path / "garden" / "images").mkdir(parents=True)
    for view in scene[0]:
        cv2.imwrite(str(tmp_path / "garden" / "images" / view.name), np.clip(view.grey, 0, 255))
    return tmp_path / "garden"


@pytest.mark.parametrize("write", [write_strecha, write_llff, write_transforms])
def test_every_layout_gives_the_same_cameras(
    photos: Path, scene, write, monkeypatch: pytest.MonkeyPatch
) -> None:
    import known_cameras

    write(photos, scene[0])
    found = known_cameras.known_cameras(photos)
    assert [each.path.name for each in found] == [view.name for view in scene[0]]
    for each, view in zip(found, scene[0], strict=True):
        np.testing.assert_allclose(each.rotation, view.rotation, atol=1e-9)
        np.testing.assert_allclose(each.position, view.position, atol=1e-9)
        np.testing.assert_allclose(each.matrix, view.matrix, atol=1e-9)
    (photos / "images" / "2.png").unlink()
    if write is not write_llff:  # there the rows stand for the photos in order: they must be told
        assert len(known_cameras.known_cameras(photos)) == 4
        return
    with pytest.raises(ValueError, match=r"photos\.txt"):
        known_cameras.known_cameras(photos)
    (photos / "photos.txt").write_text("\n".join(view.name for view in scene[0]))
    assert [each.path.name for each in known_cameras.known_cameras(photos)] == [
        "0.png",
        "1.png",
        "3.png",
        "4.png",
    ]


def test_a_smaller_view_sees_the_same_rays(photos: Path, scene) -> None:
    import known_cameras

    write_transforms(photos, scene[0])
    view, picture = known_cameras.opened(known_cameras.known_cameras(photos)[0], WIDTH // 2)
    assert picture.shape == (HEIGHT // 2, WIDTH // 2, 3)
    np.testing.assert_allclose(view.matrix[:2], MATRIX[:2] / 2)


def test_the_set_is_read_as_measured_depth(
    photos: Path, scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import make_multiview_set

    write_llff(photos, scene[0])
    arguments = ["make", str(photos), str(photos.parent / "out")]
    monkeypatch.setattr(sys, "argv", arguments)
    assert make_multiview_set.main() == 0
    assert "garden: 5 of 5 photos with depth" in capsys.readouterr().out
    samples = {sample.name: sample for sample in open_folder(f"rgbd:{photos.parent}/out").samples()}
    assert sorted(samples) == [f"garden_{k}" for k in range(5)]
    sample, truth = samples["garden_0"], scene[1][0]
    assert sample.unit == "1/m"
    assert sample.known.mean() > 0.7
    assert np.median(np.abs(sample.inverse_depth - truth)[sample.known]) < 0.01


def test_missing_distances_and_cameras_are_named(
    photos: Path, scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import make_multiview_set

    monkeypatch.setattr(sys, "argv", ["make", str(photos), str(photos.parent / "out")])
    assert make_multiview_set.main() == 1
    assert "says nothing of its cameras" in capsys.readouterr().err
    write_transforms(photos, scene[0])
    assert make_multiview_set.main() == 1
    assert "--distances" in capsys.readouterr().err
    (photos / "images" / "1.png").write_bytes(b"no picture")
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--distances", "2,8"])
    assert make_multiview_set.main() == 1
    assert "1.png is no picture" in capsys.readouterr().err


def test_on_a_turntable_the_subject_alone_is_labelled(
    photos: Path, scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import make_multiview_set

    write_llff(photos, scene[0])
    arguments = ["make", str(photos), str(photos.parent / "out"), "--subject-only"]
    monkeypatch.setattr(sys, "argv", arguments)
    assert make_multiview_set.main() == 1
    assert "no mask" in capsys.readouterr().err
    (photos / "masks").mkdir()
    for view, truth in zip(*scene, strict=True):
        cv2.imwrite(str(photos / "masks" / view.name), np.uint8(truth > 0.3) * 255)
    assert make_multiview_set.main() == 0
    for sample in open_folder(f"rgbd:{photos.parent}/out").samples():
        truth = scene[1][int(sample.name[-1])]
        assert sample.known[truth > 0.3].mean() > 0.6
        assert not sample.known[truth < 0.2].any()
