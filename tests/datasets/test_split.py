"""What may be trained on, and what is kept for evaluation."""

from __future__ import annotations

from pathlib import Path

import pytest

from deeplens_dof.datasets import split

pytest.importorskip("cv2", reason="the assets need opencv-python-headless: pip install '.[learn]'")

from deeplens_dof.learn.scenes.assets import PACKAGES
from deeplens_dof.learn.scenes.objects import pictures


@pytest.mark.parametrize(
    "name",
    [
        "opencv-doc/data/aloeL.jpg", "opencv-doc/data/lena.jpg", "mate-backgrounds/nature/LadyBird.jpg",
        "skimage/motorcycle_left.png",
        "supertuxkart-data/textures/oakd_toy.png", "supertuxkart-data/kitti_000046_left.png",
        "supertuxkart-data/textures/astronaut.png", "elsewhere.jpg", "opencv-doc/../secret/messi5.jpg",
    ],
)  # fmt: skip
def test_evaluation_pictures_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(split.EvaluationOnlyError, match="evaluation"):
        split.require_training(tmp_path / name, tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "opencv-doc/data/messi5.jpg",
        "mate-backgrounds/nature/Dune.jpg",
        "plasma-workspace-wallpapers/Kite/a.png",
    ],
)
def test_training_pictures_are_allowed(tmp_path: Path, name: str) -> None:
    assert split.require_training(tmp_path / name, tmp_path) == tmp_path / name


def test_a_link_from_a_training_folder_to_an_evaluation_photo_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "pug.jpg").write_bytes(b"")
    (tmp_path / "supertuxkart-data").mkdir()
    link = tmp_path / "supertuxkart-data" / "wall.jpg"
    link.symlink_to(tmp_path / "kept" / "pug.jpg")
    assert not split.may_train_on(link, tmp_path)


def test_every_photo_the_scenes_name_is_in_the_list() -> None:
    listed = {*split.TRAINING["opencv-doc"], *split.TRAINING["mate-backgrounds"]}
    assert {*pictures.CUTOUT_PHOTOS, *pictures.BACKDROP_PHOTOS} <= listed


def test_readers_of_training_pictures_go_through_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    monkeypatch.setattr(pictures, "assets_folder", lambda: tmp_path)
    (tmp_path / "opencv-doc").mkdir()
    path = tmp_path / "opencv-doc" / "aloeL.jpg"
    Image.new("RGB", (8, 8)).save(path)
    with pytest.raises(split.EvaluationOnlyError):
        pictures.TextureStack().layer(path)
    with pytest.raises(split.EvaluationOnlyError):
        pictures._rgb(path)


def test_every_asset_package_has_a_licence_and_only_listed_ones_are_trained_on() -> None:
    assert all(package.licence for package in PACKAGES)
    assert set(split.TRAINING) <= {package.folder for package in PACKAGES}
