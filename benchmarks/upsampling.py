"""How near a blur that was rendered small and brought to full size comes to one rendered at full size, and how much faster.

    python benchmarks/upsampling.py [--model MODEL.onnx] [--levels 1,5] [--speed [MEGAPIXELS]] [--threads N]

PSNR in dB of 8-bit sRGB against the optical renderer at full size with its own reduced resolutions switched off, for x2 and
x4: the small blur enlarged, the sharp photo laid over it where the CoC is below 1 px, and the guided upsampling
(`lens_blur/guided_upsample.py`). Scenes: benchmarks/scenes, mean of twelve pictures a level, and the least; the photos of
examples/photos with predicted depth, focused on what is near, largest CoC 1 % and 3 % of the width. "shipped" is the renderer
as it is.
--speed: a picture of 12 megapixels, largest CoC 2 % of its width: seconds, median of five rounds in which each has its turn,
and how many times faster than the renderer in one resolution. With MALLOC_MMAP_THRESHOLD_=4000000000 and
MALLOC_TRIM_THRESHOLD_=8000000000 the process keeps its memory, and no time goes into getting it from the system.
MODEL.onnx: other weights than those of the package, of `deeplens train upsample`. Writes benchmarks/results/upsampling.json.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from machine import machine
from PIL import Image
from truths import psnr, truths

import deeplens_dof as dl
from deeplens_dof.lens_blur.baselines import guided_upsample
from deeplens_dof.lens_blur.baselines.halving import halved
from deeplens_dof.lens_blur.optical import render_optical
from deeplens_dof.lens_blur.tiles.coc_band import CocBand
from deeplens_dof.models import Model, candidate
from deeplens_dof.runtime.threads import thread_count

RESULTS = Path(__file__).parent / "results" / "upsampling.json"
PHOTOS = Path(__file__).parents[1] / "examples" / "photos"
ONE_BAND = [CocBand(1, 0.0, math.inf)]
ROUNDS = 5
KEPT = "MALLOC_MMAP_THRESHOLD_"
Scene = tuple[np.ndarray, np.ndarray]  # linear light and CoC


def scenes(levels: list[int]) -> Iterator[tuple[str, Scene]]:
    """Group and scene."""
    for level in levels:
        for each in truths({level}):
            yield f"L{level}", (each.rgb, each.coc_px)
    for path in sorted(PHOTOS.glob("*.jpg")):
        photo = np.asarray(Image.open(path).convert("RGB"))
        depth = np.asarray(dl.predict_depth(photo).values, np.float32)
        for percent in (1, 3):
            coc = depth - np.quantile(depth, 0.9)
            coc *= percent / 100 * photo.shape[1] / np.abs(coc).max()
            yield f"photos {percent} %", (dl.srgb_to_linear(photo), coc.astype(np.float32))


def ways(model: str | Model, rgb: np.ndarray, coc_px: np.ndarray, times: int) -> dict[str, np.ndarray]:
    """The blur at full size from one at 1 / 2^times."""
    aperture = dl.Aperture.disc()
    small = rgb, coc_px
    for _ in range(times):
        small = halved(*small)
    blurred = render_optical(*small, aperture)
    enlarged = np.maximum(cv2.resize(blurred, rgb.shape[1::-1], interpolation=cv2.INTER_CUBIC), 0)
    share = np.clip(1 - np.abs(coc_px), 0, 1)[..., None]
    network = guided_upsample.render_guided(rgb, coc_px, aperture, doublings=times, model=model)
    return {"enlarged": enlarged, "laid over": enlarged + share * (rgb - enlarged), "guided": network}


def scores(model: str | Model, levels: list[int]) -> dict[str, dict[str, float]]:
    """dB by group and way; "least" of the guided ones."""
    found: dict[str, dict[str, list[float]]] = {}
    for group, (rgb, coc) in scenes(levels):
        whole = dl.linear_to_srgb(render_optical(rgb, coc, dl.Aperture.disc(), bands=ONE_BAND))
        pictures = {"shipped": dl.render(rgb, coc)}
        for times in (1, 2):
            pictures |= {f"x{2**times} {name}": each for name, each in ways(model, rgb, coc, times).items()}
        for name, picture in pictures.items():
            score = min(99.0, psnr(dl.linear_to_srgb(picture), whole))
            found.setdefault(group, {}).setdefault(name, []).append(score)
    report = {}
    for group, by_way in found.items():
        report[group] = {name: round(statistics.mean(each), 2) for name, each in by_way.items()}
        report[group] |= {f"{name} least": round(min(by_way[name]), 2) for name in ("x2 guided", "x4 guided")}
        print(group, report[group], flush=True)
    return report


def speed(model: str | Model, megapixels: float, threads: int | None) -> dict[str, object]:
    """Median seconds, once warm, how many times faster than one resolution, and dB."""
    from speed_scene import large

    rgb, coc = large(megapixels)
    coc = np.ascontiguousarray(coc * np.float32(0.02 * coc.shape[1]))
    disc = dl.Aperture.disc()
    work = {
        "one resolution": lambda: render_optical(rgb, coc, disc, threads, bands=ONE_BAND),
        "shipped": lambda: render_optical(rgb, coc, disc, threads),
        "x2 guided": lambda: guided_upsample.render_guided(rgb, coc, disc, threads, doublings=1, model=model),
        "x4 guided": lambda: guided_upsample.render_guided(rgb, coc, disc, threads, doublings=2, model=model),
    }
    clock = time.process_time if threads == 1 else time.perf_counter
    took: dict[str, list[float]] = {name: [] for name in work}
    report: dict[str, object] = {"megapixels": megapixels, "threads": threads or thread_count()}
    report["clock"] = "seconds of the processor" if threads == 1 else "seconds"
    whole = dl.linear_to_srgb(work["one resolution"]())
    for name in ("shipped", "x2 guided", "x4 guided"):  # and warm
        report[f"{name} dB"] = round(min(99.0, psnr(dl.linear_to_srgb(work[name]()), whole)), 2)
    del whole
    for _ in range(ROUNDS):
        for name, each in work.items():
            started = clock()
            each()
            took[name].append(clock() - started)
    slow = statistics.median(took["one resolution"])
    for name, seconds in took.items():
        middle = statistics.median(seconds)
        report[name] = {
            "s": round(middle, 3),
            "least": round(min(seconds), 3),
            "times": round(slow / middle, 2),
        }
    print(report, flush=True)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path)
    parser.add_argument("--levels", default="1,2,3,4,5")
    parser.add_argument("--speed", type=float, nargs="?", const=12.0)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    cv2.setNumThreads(arguments.threads or thread_count())
    model = candidate(arguments.model, like="upsample") if arguments.model else "upsample"
    report: dict[str, object] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    report["machine"] = machine()
    if levels := [int(level) for level in arguments.levels.split(",") if level]:
        report["dB"] = scores(model, levels)
    if arguments.speed:
        kept = " (memory kept)" if KEPT in os.environ else ""
        report[f"speed{kept}"] = speed(model, arguments.speed, arguments.threads)
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
