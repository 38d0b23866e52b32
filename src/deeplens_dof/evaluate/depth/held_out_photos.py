"""Held-out photos for scoring mattes and depth, from public packages; never used for training."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from deeplens_dof.datasets.cache import assets_folder
from deeplens_dof.datasets.split import may_train_on
from deeplens_dof.evaluate.depth.measured_photos import CACHE

ENDINGS = (".jpg", ".png", ".heic", ".hif")
# Where they come from: scikit-image (`[dev]`), tools/data/fetch_evaluation_data.py, and the parts of the assets of training
# that are kept for evaluation.
_PHOTOS = {
    "scikit-image": ("astronaut", "coffee", "chelsea", "rocket", "camera", "motorcycle_left", "clock_motion"),
    "evaluation": ("aloeL", "pug", "cat", "china", "flower"),
    "mate-backgrounds": ("Garden", "Wood", "Aqua", "RainDrops", "LadyBird", "Elephants"),
    "opencv-doc": (
        "basketball1", "rubberwhale1", "aero1", "graf1", "box_in_scene", "stuff", "board", "left01",
        "chicky_512", "text_defocus",
    ),
}  # fmt: skip


def photos() -> dict[str, Path | None]:
    """Their files by name, None for missing ones."""
    return {name: find(package, name) for package, names in _PHOTOS.items() for name in names}


def find(package: str, name: str) -> Path | None:
    """The largest file of that stem in the package's folder, unless it may be used for training."""
    skimage = find_spec("skimage")
    folders = {
        "scikit-image": Path(skimage.origin).parent / "data" if skimage and skimage.origin else Path(),
        "evaluation": CACHE,
    }
    folder = folders.get(package, assets_folder() / package)
    found = [path for path in folder.rglob(f"{name}.*") if path.suffix.lower() in ENDINGS]
    return max(
        (path for path in found if not may_train_on(path, assets_folder())),
        key=lambda path: path.stat().st_size,
        default=None,
    )
