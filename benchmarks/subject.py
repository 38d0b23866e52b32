"""The default focus on photos with masks: how much of the subject is sharp, and how much of the background is not.

    python benchmarks/subject.py ../data/people ../data/cats --every 5 [--json benchmarks/results/subject.json]
    python benchmarks/subject.py --time

Each folder holds image/ and mask/ (white is the subject) with files of one name, as `deeplens train --rgbd masks:DIR` takes
them. A pixel is sharp where the circle of confusion is below 0.06 % of the long side, at the default settings. The background
counts where its predicted depth is at least .15 of the depth range from the focus. Both with `subject_sharp` 1 and 0.
--time: seconds that the circles of confusion of 12 megapixels take with the one and with the other, in turn.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
from PIL import Image

import deeplens_dof as dl
from deeplens_dof.depth.subject import depth_at
from deeplens_dof.evaluate.machine import machine

SHARP = 0.0006  # of the long side
APART = 0.15  # of the depth range
COLUMNS = ("focus", "sharp", "blurred", "sharp_without", "blurred_without")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--time", action="store_true", help="measure the time instead")
    parser.add_argument("--every", type=int, default=5, help="take every n-th picture")
    parser.add_argument("--json", type=Path, help="write the means here")
    arguments = parser.parse_args()
    if arguments.time:
        tell_time()
        return
    if not arguments.folders:
        parser.error("name at least one folder with image/ and mask/")
    print("| set | pictures | focus inside | subject sharp | background blurred | without: sharp | blurred |")
    print("|---|---|---|---|---|---|---|")
    scores = {name_of(folder): scored(folder, arguments.every) for folder in arguments.folders}
    scores["all"] = np.concatenate(list(scores.values()))
    for name, rows in scores.items():
        means = np.nanmean(rows, axis=0)
        print(f"| {name} | {len(rows)} | " + " | ".join(f"{mean:.3f}" for mean in means) + " |")
    if arguments.json:
        means = {
            name: dict(zip(COLUMNS, np.nanmean(rows, axis=0).round(4).tolist(), strict=True))
            | {"pictures": len(rows)}
            for name, rows in scores.items()
        }
        arguments.json.write_text(json.dumps({"machine": machine(), "means": means}, indent=1) + "\n")


def name_of(folder: Path) -> str:
    """The name of a set: that of its folder, or of the one above its part (train, held_out)."""
    folder = folder.resolve()
    return folder.parent.name if folder.name in ("train", "held_out") else folder.name


def scored(folder: Path, every: int) -> np.ndarray:
    """(pictures, len(COLUMNS)) of a folder."""
    masks = {path.stem: path for path in sorted((folder / "mask").iterdir())}
    photos = [path for path in sorted((folder / "image").iterdir()) if path.stem in masks][::every]
    rows = (row(dl.analyse(dl.read(photo), "predict"), masks[photo.stem]) for photo in photos)
    return np.array([each for each in rows if each is not None], np.float64)


def row(scene: dl.Scene, mask_file: Path) -> tuple[float, ...] | None:
    """The columns of one photo, None where its mask is empty."""
    size = scene.photo.width, scene.photo.height
    mask = np.asarray(Image.open(mask_file).convert("L").resize(size, Image.Resampling.NEAREST)) > 127
    if not mask.any():
        return None
    depth = scene.inverse_depth.values
    apart = ~mask & (np.abs(depth - depth_at(depth, scene.subject)) > APART)
    x, y = scene.subject
    found = [float(mask[min(size[1] - 1, int(y * size[1])), min(size[0] - 1, int(x * size[0]))])]
    for subject_sharp in (1.0, 0.0):
        sharp = np.abs(scene.coc_px(dl.Settings(subject_sharp=subject_sharp))) < SHARP * max(size)
        found += [float(sharp[mask].mean()), float(1 - sharp[apart].mean()) if apart.any() else np.nan]
    return tuple(found)


def tell_time(height: int = 3000, width: int = 4000, repeats: int = 9) -> None:
    """Prints the median and the least time, without what the scene remembers."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    subject = np.exp(-(((x / width - 0.5) / 0.2) ** 4) - ((y / height - 0.6) / 0.4) ** 4).astype(np.float32)
    depth = 0.3 * y / height + np.where(subject > 0.5, 0.45 + 0.1 * np.sin(x / 300), 0)
    found = dl.InverseDepth(depth.astype(np.float32), "relative")
    photo = dl.Photo(np.zeros((height, width, 3), np.uint8))
    taken: dict[float, list[tuple[float, float]]] = {0.0: [], 1.0: []}
    for _ in range(repeats + 1):
        for share, times in taken.items():
            scene = dl.Scene(photo, found, (0.5, 0.6), "predicted", subject)
            began = time.perf_counter(), time.process_time()
            scene.coc_px(dl.Settings(subject_sharp=share))
            times.append((time.perf_counter() - began[0], time.process_time() - began[1]))
    for share, times in taken.items():
        wall, cpu = np.array(times[1:]).T  # the first one compiles
        print(
            f"subject_sharp {share:g}: {np.median(wall):.3f} s (least {wall.min():.3f}), "
            f"{np.median(cpu):.3f} CPU-seconds (least {cpu.min():.3f})"
        )


if __name__ == "__main__":
    main()
