"""How far the matte is from true alpha, in the band that a trimap leaves open: hair, fur, leaves.

    python benchmarks/mattes.py FOLDER [--model FILE.onnx]

FOLDER holds image/NAME.png, trimap/NAME.png (0 background, 255 subject, open between) and alpha/NAME.png, as
alphamatting.com gives them. Mean absolute difference in the open band, of each photo and of all; IoU of the whole above
0.5. "two halves" is a matte that says 0.5 in the band: a guess is worth something only below it.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import numpy as np
from PIL import Image

from deeplens_dof.evaluate.depth.matte import matte_scores
from deeplens_dof.evaluate.depth.predictors import predicted_subject
from deeplens_dof.imaging.resize import resize_picture
from deeplens_dof.models import MODELS, candidate

LONGEST_PX = 1024


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path, help="an ONNX network; without it, the one that is shipped")
    arguments = parser.parse_args()
    model = candidate(arguments.model) if arguments.model else MODELS["depth"]
    print("| photo | error in the band | two halves | IoU |\n|---|---|---|---|")
    rows = []
    for path in sorted((arguments.folder / "image").iterdir()):
        rgb = _read(path, "RGB")
        trimap, alpha = (
            _read(arguments.folder / role / f"{path.stem}.png", "L") for role in ("trimap", "alpha")
        )
        band, truth = (trimap > 0) & (trimap < 255), alpha.astype(np.float32) / 255
        matte = predicted_subject(rgb, model).matte
        errors = [float(np.abs(one - truth)[band].mean()) for one in (matte, np.full_like(matte, 0.5))]
        rows.append((*errors, matte_scores(matte, truth).iou))
        print(f"| {path.stem} | {' | '.join(f'{value:.3f}' for value in rows[-1])} |", flush=True)
    means = [statistics.fmean(column) for column in zip(*rows, strict=True)]
    print(f"| mean of {len(rows)} | {' | '.join(f'{value:.3f}' for value in means)} |")


def _read(path: Path, mode: str) -> np.ndarray:
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert(mode))
    scale = min(1.0, LONGEST_PX / max(pixels.shape[:2]))
    size = round(pixels.shape[0] * scale), round(pixels.shape[1] * scale)
    if size == pixels.shape[:2]:
        return pixels
    if mode == "RGB":
        return resize_picture(np.ascontiguousarray(pixels), *size)
    return np.asarray(Image.fromarray(pixels).resize(size[::-1], Image.Resampling.NEAREST))


if __name__ == "__main__":
    main()
