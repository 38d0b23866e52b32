"""The teacher's mattes of synthetic frames: what U2-Net takes for their subject, kept beside each frame.

    python -m deeplens_dof.learn.scenes.teacher_mattes FRAMES --count 1000

Few real photos may be trained on, so that a matte head which sees them alone learns them by heart. U2-Net's opinion of
frames is to be had in any number. Where it agrees with a frame's exact mask, the mask is kept, whose border is exact.
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

AGREE_IOU = 0.8  # of teacher and exact mask, from which on the exact one is taught
Matte = npt.NDArray[np.float32]


def matte_path(frame: Path) -> Path:
    """Where the teacher's matte of a frame lies: 8-bit grey, white is the subject."""
    return frame.with_suffix(".matte.png")


def read_matte(frame: Path) -> Matte | None:
    """0..1 (H, W), or None where the teacher was not asked, or not sure of one subject."""
    codes = cv2.imread(str(matte_path(frame)), cv2.IMREAD_GRAYSCALE) if matte_path(frame).is_file() else None
    return None if codes is None or codes.shape[0] == 1 else codes.astype(np.float32) / np.float32(255)


def teach(files: list[Path], teacher: Any) -> int:
    """Asks the teacher about each frame that has no matte yet; returns of how many of all it was sure."""
    sure = 0
    for path in files:
        if not matte_path(path).is_file():
            frame = read_frame(path)
            _write(matte_path(path), chosen(frame, teacher.matte(frame.rgb)))
        sure += read_matte(path) is not None
    return sure


def chosen(frame: Frame, matte: Matte) -> Matte | None:
    """The exact mask where the teacher means the same, else the teacher's matte, or None where it is not sure."""
    if frame.subject is not None:
        exact = frame.subject.astype(np.float32) / np.float32(255)
        if matte_scores(matte, exact).iou >= AGREE_IOU:
            return exact
    return matte if is_one_clear_subject(matte) else None


def _write(path: Path, matte: Matte | None) -> None:
    """A single pixel stands for: not sure."""
    values = np.zeros((1, 1), np.float32) if matte is None else matte
    written, data = cv2.imencode(".png", np.rint(values * 255).astype(np.uint8))
    if not written:
        raise OSError(f"{path} could not be made into a PNG")
    write_atomically(path, lambda file: file.write(data.tobytes()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("frames", type=Path, help="a folder of `deeplens scenes`")
    parser.add_argument("--count", type=int, default=1000, help="ask about the first so many")
    arguments = parser.parse_args()
    files = frame_files(arguments.frames.expanduser())[: arguments.count]
    sure = teach(files, SubjectTeacher())
    print(f"{arguments.frames}: the teacher is sure of one subject in {sure} of {len(files)} frames")


if __name__ == "__main__":
    main()
