"""Teacher mattes of synthetic frames: U2-Net's matte of their subject, stored beside each frame.

    python -m deeplens_dof.learn.scenes.teacher_mattes FRAMES --count 1000

So few real photos may be trained on that a matte head would memorise them, whereas frames are unlimited. Where U2-Net agrees
with a frame's exact mask, the mask is stored instead, because its border is exact.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from deeplens_dof.datasets.frames import Frame, frame_files, read_frame
from deeplens_dof.evaluate.depth.matte import is_one_clear_subject, matte_scores
from deeplens_dof.learn.scenes.objects.pictures import SubjectTeacher
from deeplens_dof.runtime.atomic_write import write_atomically

AGREE_IOU = 0.8  # IoU of teacher matte and exact mask from which on the exact mask is used
Matte = npt.NDArray[np.float32]


def matte_path(frame: Path) -> Path:
    """The file of a frame's teacher matte: 8-bit grey, white is the subject."""
    return frame.with_suffix(".matte.png")


def read_matte(frame: Path) -> Matte | None:
    """The teacher matte, (H, W) 0..1, or None where there is none or the teacher is not sure of one subject."""
    codes = cv2.imread(str(matte_path(frame)), cv2.IMREAD_GRAYSCALE) if matte_path(frame).is_file() else None
    return None if codes is None or codes.shape[0] == 1 else codes.astype(np.float32) / np.float32(255)


def teach(files: list[Path], teacher: Any) -> int:
    """Writes the missing teacher mattes; returns the number of frames with a sure one."""
    sure = 0
    for path in files:
        if not matte_path(path).is_file():
            frame = read_frame(path)
            _write(matte_path(path), chosen(frame, teacher.matte(frame.rgb)))
        sure += read_matte(path) is not None
    return sure


def chosen(frame: Frame, matte: Matte) -> Matte | None:
    """The exact mask where the teacher agrees with it, else the teacher matte, or None where it is not sure."""
    if frame.subject is not None:
        exact = frame.subject.astype(np.float32) / np.float32(255)
        if matte_scores(matte, exact).iou >= AGREE_IOU:
            return exact
    return matte if is_one_clear_subject(matte) else None


def _write(path: Path, matte: Matte | None) -> None:
    """Writes a matte; a single pixel stands for None."""
    values = np.zeros((1, 1), np.float32) if matte is None else matte
    written, data = cv2.imencode(".png", np.rint(values * 255).astype(np.uint8))
    if not written:
        raise OSError(f"{path} could not be made into a PNG")
    write_atomically(path, lambda file: file.write(data.tobytes()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("frames", type=Path, help="a folder of `deeplens scenes`")
    parser.add_argument("--count", type=int, default=1000, help="number of frames, from the first on")
    arguments = parser.parse_args()
    files = frame_files(arguments.frames.expanduser())[: arguments.count]
    sure = teach(files, SubjectTeacher())
    print(f"{arguments.frames}: the teacher is sure of one subject in {sure} of {len(files)} frames")


if __name__ == "__main__":
    main()
