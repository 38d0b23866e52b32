"""Teacher mattes of photos without labels, as a folder to train on: `--rgbd mattes:OUT`.

    python -m deeplens_dof.learn.training.photo_mattes PHOTOS OUT

U2-Net predicts the matte of each photo and, where it is sure of one subject, of its mirror image. Where the two agree, OUT
gets a link to the photo and the mean of the mattes. You can stop and resume at any time. Pictures reserved for evaluation
(`datasets/split.py`) are left out. Where you have true masks, use them instead.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from deeplens_dof.datasets import split
from deeplens_dof.datasets.sample import PHOTO_SUFFIXES, read_rgb
from deeplens_dof.evaluate.depth.matte import is_one_clear_subject, matte_scores
from deeplens_dof.runtime.atomic_write import write_atomically

AGREE_IOU = 0.92  # IoU of the mattes of a photo and of its mirror image
Matte = npt.NDArray[np.float32]


def sure_matte(rgb: npt.NDArray[np.uint8], teacher: Any) -> Matte | None:
    """The teacher matte, (H, W) 0..1, or None when the teacher is unsure or its matte of the mirror image differs."""
    first = teacher.matte(rgb)
    if not is_one_clear_subject(first):
        return None
    second = teacher.matte(np.ascontiguousarray(rgb[:, ::-1]))[:, ::-1]
    if matte_scores(first, second).iou < AGREE_IOU:
        return None
    return np.asarray((first + second) / 2, np.float32)


def teach(photos: Path, out: Path, teacher: Any, tell: Callable[[str], None] = print) -> int:
    """Writes the missing mattes of a folder of photos; returns the number of mattes in `out`.

    `out`/asked.txt names the photos on which the teacher is not sure.
    """
    for role in ("image", "matte"):
        (out / role).mkdir(parents=True, exist_ok=True)
    unsure = out / "asked.txt"
    passed = set(unsure.read_text().split("\n")) if unsure.is_file() else set()
    for path in sorted(photos.iterdir()):
        place = out / "matte" / f"{path.stem}.png"
        if path.suffix.lower() not in PHOTO_SUFFIXES or path.name in passed or place.is_file():
            continue
        reason = split.evaluation_only(path, photos)
        if reason is not None:
            tell(f"skipped: {reason}")
            continue
        matte = sure_matte(read_rgb(path), teacher)
        if matte is None:
            with unsure.open("a") as file:
                file.write(f"{path.name}\n")
            continue
        link = out / "image" / path.name
        if not link.is_symlink():
            link.symlink_to(path.resolve())
        data = cv2.imencode(".png", np.rint(matte * 255).astype(np.uint8))[1].tobytes()
        write_atomically(place, lambda file, data=data: file.write(data))  # type: ignore[misc]
    return sum(1 for _ in (out / "matte").glob("*.png"))


def main() -> None:
    """The command line of this module."""
    from deeplens_dof.learn.scenes.objects.pictures import SubjectTeacher

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("photos", type=Path, help="a folder of photos")
    parser.add_argument("out", type=Path, help="the folder to train on")
    arguments = parser.parse_args()
    photos = arguments.photos.expanduser()
    sure = teach(photos, arguments.out.expanduser(), SubjectTeacher())
    print(f"{photos}: the teacher is sure of one subject in {sure} photos")


if __name__ == "__main__":
    main()
