"""Scores, times and pictures of the depth.

    python benchmarks/depth.py                 what `deeplens evaluate depth --stages` prints, with the machine, and
                                               benchmarks/results/depth.json
    python benchmarks/depth.py --speed         also times and memory for a 12-megapixel photo
    python benchmarks/depth.py --sheet         only docs/img/depth_sheet.jpg: photo, depth, before, after

The data come from tools/data/fetch_evaluation_data.py.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from deeplens_dof.depth.predict import predict_coarse, predict_depth
from deeplens_dof.depth.refine import refine
from deeplens_dof.depth.subject import subject_point
from deeplens_dof.evaluate.depth.measured_photos import CACHE
from deeplens_dof.evaluate.depth.report import markdown
from deeplens_dof.evaluate.depth.score import DepthOptions, score_depth
from deeplens_dof.imaging.guided_filter import guided_upsample
from deeplens_dof.imaging.resize import resize_picture

ROOT = Path(__file__).resolve().parents[1]
# The crop that shows the borders: x, y of its centre and its side as a share of the short side.
SHEET = {
    "astronaut.jpg": (0.45, 0.25, 0.5),
    "coffee.jpg": (0.70, 0.35, 0.5),
    "chelsea.jpg": (0.80, 0.50, 0.6),
    "rocket.jpg": (0.50, 0.55, 0.4),
    "motorcycle_left.png": (0.60, 0.45, 0.6),
    "aloeL.jpg": (0.35, 0.45, 0.5),
    "pug.heic": (0.60, 0.65, 0.5),
    "cat.hif": (0.68, 0.30, 0.5),
    "china.jpg": (0.30, 0.40, 0.5),
    "flower.jpg": (0.40, 0.40, 0.6),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=CACHE)
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--sheet", action="store_true")
    arguments = parser.parse_args()
    if arguments.sheet:
        write_sheet(arguments.data, ROOT / "docs" / "img" / "depth_sheet.jpg")
        return
    report = {"machine": machine()} | score_depth(
        DepthOptions(folders=(str(arguments.data),), every_stage=True)
    )
    print(markdown(report))
    if arguments.speed:
        report["speed_12_megapixels"] = speed()
    target = ROOT / "benchmarks" / "results" / "depth.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(report, indent=1) + "\n")


def speed(runs: int = 5) -> dict[str, Any]:
    """Median and spread, in seconds, of the stages on a photo enlarged to 4000 x 3000, and memory."""
    rgb = resize_picture(read(ROOT / "examples" / "photos" / "coffee.jpg"), 3000, 4000)
    coarse = predict_coarse(rgb).inverse_depth
    stages: dict[str, Callable[[], Any]] = {
        "network once": lambda: predict_coarse(rgb, mirrored_too=False),
        "network, mirrored too": lambda: predict_coarse(rgb),
        "refine": lambda: refine(coarse, rgb),
        "predict_depth": lambda: predict_depth(rgb),
        "guided_upsample from 1000 x 750": lambda: guided_upsample(np.ones((750, 1000), np.float32), rgb),
    }
    report: dict[str, Any] = {}
    for name, run in stages.items():
        run()
        times = []
        used = time.process_time()
        for _ in range(runs):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        used = (time.process_time() - used) / runs
        median = statistics.median(times)
        report[name] = {"median_s": median, "min_s": min(times), "max_s": max(times), "cpu_s": used}
        print(f"{name:34} {median:.2f} s ({min(times):.2f} .. {max(times):.2f}), {used:.2f} s of all cores")
    report["peak_memory_mb"], report["load_average"] = peak_memory_mb(), os.getloadavg()[0]
    print(f"peak memory {report['peak_memory_mb']:.0f} MB, of which the photo {rgb.nbytes / 1e6:.0f}")
    return report


def peak_memory_mb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def machine() -> dict[str, Any]:
    packages = ("numpy", "numba", "onnxruntime", "pillow")
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "python": platform.python_version(),
    } | {name: version(name) for name in packages}


def write_sheet(folder: Path, target: Path, tile_px: int = 200) -> None:
    """Two photos a line: photo with its subject point, depth; a crop of photo, coarse, refined depth."""
    strips = []
    for name, crop in SHEET.items():
        path = next((p for p in (ROOT / "examples" / "photos" / name, folder / name) if p.is_file()), None)
        if path is None:
            raise FileNotFoundError(
                f"{name} is not in {folder}; run tools/data/fetch_evaluation_data.py first"
            )
        strips.append(strip(read(path), crop, tile_px))
    lines = [np.hstack(strips[k : k + 2]) for k in range(0, len(strips), 2)]
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.vstack(lines)).save(target, quality=82)
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size / 1e3:.0f} kB")


def strip(rgb: np.ndarray, crop: tuple[float, float, float], tile_px: int) -> np.ndarray:
    """Five square tiles side by side, uint8 (tile_px, 5 * tile_px, 3)."""
    height, width = rgb.shape[:2]
    coarse = predict_coarse(rgb).inverse_depth
    depth = refine(coarse, rgb)
    soft = np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR))
    side = int(crop[2] * min(height, width))
    left = int(np.clip(crop[0] * width - side / 2, 0, width - side))
    top = int(np.clip(crop[1] * height - side / 2, 0, height - side))
    square = np.s_[top : top + side, left : left + side]
    marked = fit(Image.fromarray(rgb), tile_px)
    x, y = subject_point(depth)
    shown = min(tile_px / width, tile_px / height)
    centre = tile_px / 2 + (x - 0.5) * width * shown, tile_px / 2 + (y - 0.5) * height * shown
    ImageDraw.Draw(marked).circle(centre, 5, outline=(0, 255, 0), width=2)
    tiles = [marked, fit(grey(depth), tile_px)]
    tiles += [
        fit(Image.fromarray(np.ascontiguousarray(rgb[square])), tile_px),
        fit(grey(soft[square]), tile_px),
    ]
    tiles += [fit(grey(depth[square]), tile_px)]
    return np.hstack([np.asarray(tile) for tile in tiles])


def grey(depth: np.ndarray) -> Image.Image:
    return Image.fromarray(np.rint(np.clip(depth, 0, 1) * 255).astype(np.uint8)).convert("RGB")


def fit(picture: Image.Image, tile_px: int) -> Image.Image:
    """The whole picture in the middle of a square tile."""
    scale = min(tile_px / picture.width, tile_px / picture.height)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    tile = Image.new("RGB", (tile_px, tile_px), (24, 24, 24))
    how = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    tile.paste(picture.resize(size, how), ((tile_px - size[0]) // 2, (tile_px - size[1]) // 2))
    return tile


def read(path: Path) -> np.ndarray:
    if path.suffix in (".heic", ".hif"):
        import pillow_heif

        return np.array(pillow_heif.open_heif(path).to_pillow().convert("RGB"))
    with Image.open(path) as picture:
        return np.array(picture.convert("RGB"))


if __name__ == "__main__":
    main()
