"""The only list of photos and assets that may be used for training; all others are for evaluation.

Assets lie in one folder per package (see `learn/scenes/assets.py`). A rule names a package and the file stems that may be
used. Every training reader opens its pictures through `require_training`, so that an evaluation photo cannot slip into a
cut-out, a backdrop or a distillation batch. Sets of real photos, their terms
and the held-out part of each are named in `datasets/real_photos.py`.
"""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

# package -> patterns of file stems (without ending) which may be trained on. "*" is every file of the
# package.
TRAINING: dict[str, tuple[str, ...]] = {
    "sweethome3d-furniture": ("*",),
    "supertuxkart-data": ("*",),
    "pmndrs-assets": ("*",),
    "plasma-workspace-wallpapers": ("*",),
    "mate-backgrounds": ("FreshFlower", "YellowFlower", "TwoWings", "Dune", "GreenMeadow", "Storm"),
    "opencv-doc": (
        "messi5", "squirrel_cls", "baboon", "fruits", "butterfly", "apple", "orange", "HappyFish", "plant",
        "building",
        "home", "leuvenB",
    ),
}  # fmt: skip

# Stems that are never trained on, wherever they lie: the evaluation photos under the names their packages
# give them, and the stereo sets also under those of tools/data/fetch_stereo_sets.py.
EVALUATION = (
    "motorcycle*", "aloe*", "pug", "spatial_photo", "astronaut", "coffee", "chelsea", "rocket", "china",
    "flower",
    "oakd_*", "eth3d_*", "middlebury_*", "kitti2015_000046", "kitti_000046*", "drivingstereo_*",
    "2018-07-11-14-48-52_*", "utbm_road", "spatial_photo_*", "nokia_path", "stereo_1200x800", "fujifilm*",
    "rpx_scene049", "scene049-*",
)  # fmt: skip


# Names of folders that hold a data set's own part for evaluation.
EVALUATION_FOLDERS = ("val", "valid", "validation", "test", "testing", "evaluation", "held_out")


class EvaluationOnlyError(ValueError):
    """An evaluation picture was about to be used for training."""


def may_train_on(path: Path, assets: Path) -> bool:
    """Whether the list allows training on this file. `path` lies in a package's folder below `assets`."""
    try:
        package, *_ = path.resolve().relative_to(assets.resolve()).parts
    except ValueError:
        return False
    if any(fnmatch(path.stem, pattern) for pattern in EVALUATION):
        return False
    return any(fnmatch(path.stem, pattern) for pattern in TRAINING.get(package, ()))


def require_training(path: Path, assets: Path) -> Path:
    """The path itself if it may be used for training. Raises EvaluationOnlyError otherwise."""
    if not may_train_on(path, assets):
        raise EvaluationOnlyError(
            f"{path.name} is not in the list of training pictures (deeplens_dof/datasets/split.py), so it is "
            "for evaluation "
            f"only; expected a file of {', '.join(TRAINING)} below {assets} that the list names"
        )
    return path


def evaluation_only(path: Path, folder: Path) -> str | None:
    """Why a file of your own data is for evaluation only, in a sentence; None when it may be used for training.

    It is if its name, or that of the file it links to, is one of EVALUATION, or if it lies in a part of the folder
    reserved for evaluation.
    """
    stems = {path.stem, path.resolve().stem}
    for pattern in EVALUATION:
        if any(fnmatch(stem, pattern) for stem in stems):
            return (
                f"{path} has the name of an evaluation picture ({pattern} in deeplens_dof/datasets/split.py), which is "
                "never trained on"
            )
    inner = path.relative_to(folder).parts[:-1] if path.is_relative_to(folder) else ()
    kept = [part for part in (folder.name, *inner) if part.lower() in EVALUATION_FOLDERS]
    return f"{path} lies in {kept[0]}/, which is for evaluation and never trained on" if kept else None
