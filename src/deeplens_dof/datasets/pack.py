"""Packs real photos and synthetic frames into a folder small enough to copy to another machine.

    python -m deeplens_dof.datasets.pack OUT --rgbd rgbd:DIR --rgbd masks:DIR ... --frames DIR [--megabytes 60]

OUT gets frames/ and a folder for each KIND:DIR, in the layouts that `--rgbd` reads: 0-rgbd (also for `nyuv2` and other kinds
with a known unit of depth), 1-masks, 2-mattes. Samples beyond the size are left out evenly. `scripts/train_on_gpu.sh` trains
on such a folder.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from deeplens_dof.datasets.folder import Folder, open_folder
from deeplens_dof.datasets.frames import frame_files
from deeplens_dof.datasets.sample import Sample, nearest
from deeplens_dof.imaging.resize import resize_picture

LONG_SIDE_PX = 400
QUALITY = 88
FARTHEST_M = 65.0  # the most that 16 bits of millimetres hold; larger depth is clamped
FRAMES_SHARE = 0.25  # of the size
SUBJECT_ROLE = {"masks": "mask", "mattes": "matte"}


def pack(out: Path, folders: Sequence[Folder], frames: Path | None, megabytes: float) -> float:
    """Fills the new folder `out`; returns its size in MB.

    Raises ValueError when the folder exists, and for relative depth, which cannot be stored in millimetres.
    """
    if out.exists():
        raise ValueError(f"{out} is there already; name another folder, or delete it")
    groups = [_written(folder, out / f"{number}-{_kind(folder)}") for number, folder in enumerate(folders)]
    room = megabytes * 1e6 * (1 - FRAMES_SHARE if frames else 1)
    whole = sum(size for group in groups for size in map(_size, group))
    for group in groups:
        _thin(group, room / max(whole, 1))
    if frames:
        left = megabytes * 1e6 - sum(_size((path,)) for path in out.rglob("*"))
        _copy(frame_files(frames), out / "frames", left)
    return sum(_size((path,)) for path in out.rglob("*")) / 1e6


def _kind(folder: Folder) -> str:
    return folder.layout.kind if folder.layout.kind in SUBJECT_ROLE else "rgbd"


def _written(folder: Folder, place: Path) -> list[tuple[Path, ...]]:
    """Writes smaller copies of all samples of a folder; returns the files of each."""
    kind = _kind(folder)
    groups = []
    for number, one in enumerate(folder.samples()):
        scale = min(1.0, LONG_SIDE_PX / max(one.rgb.shape[:2]))
        size = max(1, round(one.rgb.shape[0] * scale)), max(1, round(one.rgb.shape[1] * scale))
        photo = place / ("rgb" if kind == "rgbd" else "image") / f"{number:05d}.jpg"
        parts = {photo: resize_picture(one.rgb, *size)}
        if kind == "rgbd":
            parts[place / "depth_mm" / f"{number:05d}.png"] = nearest(_millimetres(one), *size)
        elif one.subject is not None:
            codes = np.rint(one.subject * 255).astype(np.uint8)
            small = Image.fromarray(codes).resize(size[::-1], Image.Resampling.BOX)
            parts[place / SUBJECT_ROLE[kind] / f"{number:05d}.png"] = np.asarray(small)
        for path, pixels in parts.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path, quality=QUALITY)  # of the JPEG; PNG has none
        groups.append(tuple(parts))
    return groups


def _millimetres(one: Sample) -> np.ndarray:
    if one.unit == "relative":
        raise ValueError(
            f"{one.name} has relative depth, which cannot be packed as millimetres; leave it out"
        )
    with np.errstate(divide="ignore"):
        metres = np.where(one.known, 1 / np.maximum(one.inverse_depth, 1 / FARTHEST_M), 0)
    return np.asarray(np.rint(metres * 1000), np.uint16)


def _thin(groups: list[tuple[Path, ...]], share: float) -> None:
    """Deletes samples evenly, until that share is left."""
    kept = set(
        np.linspace(0, len(groups) - 1, max(1, int(len(groups) * min(1.0, share)))).round().astype(int)
    )
    for number, group in enumerate(groups):
        if number not in kept:
            for path in group:
                path.unlink()


def _copy(files: list[Path], place: Path, room: float) -> None:
    for number, path in enumerate(files):
        room -= path.stat().st_size
        if room < 0:
            return
        target = place / f"{number // 1000:03d}" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _size(paths: Sequence[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.is_file())


def main() -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rgbd", action="append", default=[], metavar="KIND:DIR", help="may be repeated")
    parser.add_argument("--frames", type=Path, help="a folder of `deeplens scenes`")
    parser.add_argument("--megabytes", type=float, default=60.0)
    arguments = parser.parse_args()
    folders = [open_folder(named, "skip", for_training=True) for named in arguments.rgbd]
    size = pack(arguments.out, folders, arguments.frames, arguments.megabytes)
    print(f"{arguments.out}: {size:.1f} MB")


if __name__ == "__main__":
    main()
