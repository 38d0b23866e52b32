"""How much the predicted depth of a film flickers, with and without `SteadyDepth`.

    python benchmarks/sequence.py [--frames N]      prints a table and writes benchmarks/results/sequence.json

The films are crops of the photos in examples/photos: from a tripod, panned by 0.2 % of the width a frame, and zoomed in by
0.4 % a frame; each frame has grain of its own (sigma 3 of 255). As the crops are known, every scene point that is seen in
all frames is looked at in each: flicker is the standard deviation over time of its inverse depth, jump the mean change
from one frame to the next, both in percent of the depth range of the first frame, and both as means over the points.
`borders` is how steep the steepest hundredth of the depth is, over that of the frames' own answers: 1 is as sharp.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine
from PIL import Image

from deeplens_dof import SteadyDepth, predict_depth

ROOT = Path(__file__).resolve().parents[1]
PHOTOS = ("astronaut.jpg", "chelsea.jpg", "coffee.jpg", "rocket.jpg")
MOTIONS = {"tripod": (0.0, 0.0), "pan": (0.002, 0.0), "zoom": (0.0, 0.004)}
SHARE = 0.8  # of the photo that the first frame shows
GRAIN = 3.0
POINTS = 100  # a side

Box = tuple[float, float, float, float]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=int, default=24)
    arguments = parser.parse_args()
    rows = []
    print("| film | flicker | steady | jump | steady | borders |\n|---|---|---|---|---|---|")
    for motion in MOTIONS:
        found = [measure(ROOT / "examples" / "photos" / name, motion, arguments.frames) for name in PHOTOS]
        rows += found
        means = {
            key: statistics.mean(row[key] for row in found)
            for key in found[0]
            if key not in ("photo", "motion")
        }
        for row in (*found, {"photo": "**mean**", "motion": motion} | means):
            print(
                f"| {row['photo'].removesuffix('.jpg')}, {motion} | {row['flicker']:.2f} % | {row['flicker_steady']:.2f} % "
                f"| {row['jump']:.2f} % | {row['jump_steady']:.2f} % | {row['borders']:.2f} |"
            )
    target = ROOT / "benchmarks" / "results" / "sequence.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(
        json.dumps({"machine": machine(), "frames": arguments.frames, "films": rows}, indent=1) + "\n"
    )


def measure(path: Path, motion: str, count: int) -> dict[str, Any]:
    """Flicker, jump and borders of one film, in percent of the depth range."""
    picture = Image.open(path).convert("RGB")
    boxes = [box(picture, motion, frame, count) for frame in range(count)]
    rng, steady = np.random.default_rng(1), SteadyDepth()
    own, smooth, steepness = [], [], []
    spread = 1.0
    for frame, place in enumerate(boxes):
        rgb = frame_of(picture, place, rng)
        depth = predict_depth(rgb)
        result = steady.update(rgb, depth)
        if frame == 0:
            spread = float(np.subtract(*np.percentile(depth.values, (99.5, 0.5))))
        elif steady.cut:
            raise RuntimeError(f"a cut was seen in frame {frame} of {path.name}, {motion}, which has none")
        own.append(at_points(depth.values, place, boxes))
        smooth.append(at_points(result.values, place, boxes))
        steepness.append(steepest(result.values) / steepest(depth.values))
    return {
        "photo": path.name,
        "motion": motion,
        "flicker": 100 * float(np.std(own, 0).mean()) / spread,
        "flicker_steady": 100 * float(np.std(smooth, 0).mean()) / spread,
        "jump": 100 * float(np.abs(np.diff(own, axis=0)).mean()) / spread,
        "jump_steady": 100 * float(np.abs(np.diff(smooth, axis=0)).mean()) / spread,
        "borders": statistics.median(steepness),
    }


def box(picture: Image.Image, motion: str, frame: int, count: int) -> Box:
    """Left, top, right and bottom of what a frame shows, in pixels of the photo."""
    pan, zoom = MOTIONS[motion]
    width, height = picture.size
    share = SHARE * (1 - zoom) ** frame
    middle = 0.5 + pan * (frame - (count - 1) / 2)
    return (
        width * (middle - share / 2),
        height * (0.5 - share / 2),
        width * (middle + share / 2),
        height * (0.5 + share / 2),
    )


def frame_of(picture: Image.Image, place: Box, rng: np.random.Generator) -> np.ndarray:
    """The crop with grain, sRGB uint8, about as large as in the photo."""
    size = round(picture.width * SHARE), round(picture.height * SHARE)
    crop = np.asarray(picture.resize(size, Image.Resampling.BICUBIC, box=place), np.float32)
    return np.clip(crop + rng.normal(0, GRAIN, crop.shape) + 0.5, 0, 255).astype(np.uint8)


def at_points(depth: np.ndarray, place: Box, boxes: list[Box]) -> np.ndarray:
    """Bilinear values at a grid of points that all frames show, a row."""
    left, top = (max(each[side] for each in boxes) for side in (0, 1))
    right, bottom = (min(each[side] for each in boxes) for side in (2, 3))
    steps = (np.arange(POINTS) + 0.5) / POINTS
    height, width = depth.shape
    x = (left + steps * (right - left) - place[0]) / (place[2] - place[0]) * width - 0.5
    y = (top + steps * (bottom - top) - place[1]) / (place[3] - place[1]) * height - 0.5
    x, y = np.clip(x, 0, width - 1.001), np.clip(y, 0, height - 1.001)
    i, j = y.astype(int), x.astype(int)
    v, u = (y - i)[:, None], (x - j)[None]
    above = (1 - u) * depth[np.ix_(i, j)] + u * depth[np.ix_(i, j + 1)]
    below = (1 - u) * depth[np.ix_(i + 1, j)] + u * depth[np.ix_(i + 1, j + 1)]
    return ((1 - v) * above + v * below).ravel()


def steepest(depth: np.ndarray) -> float:
    return float(np.percentile(np.hypot(*np.gradient(depth)), 99))


if __name__ == "__main__":
    main()
