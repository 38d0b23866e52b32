"""How near a blur that was rendered small and brought to full size comes to one rendered at full size, and how much faster.

    python benchmarks/upsampling.py MODEL.onnx [--levels 1,5] [--speed]

MODEL.onnx is what `deeplens train upsample` wrote. Per blur level of benchmarks/scenes, PSNR in dB of 8-bit sRGB against the
optical renderer at full size, mean of twelve pictures, for x2 and x4: the small blur enlarged (bicubic), the sharp photo laid
over it where the CoC is below 1 px, and the network. --speed: a 12-megapixel picture, largest CoC 2 % of its width, with the
renderer's own reduced resolutions switched off. Writes benchmarks/results/upsampling.json.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from machine import machine
from truths import psnr, truths

import deeplens_dof as dl
from deeplens_dof.lens_blur.optical import render_optical
from deeplens_dof.lens_blur.views import Shell

RESULTS = Path(__file__).parent / "results" / "upsampling.json"
TILE, HALO = 512, 16
ONE_SHELL = [Shell(1, 0.0, math.inf)]


class Network:
    """One doubling after the other, in tiles."""

    def __init__(self, path: Path) -> None:
        self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def doubled(self, sharp: np.ndarray, small: np.ndarray, coc_px: np.ndarray) -> np.ndarray:
        height, width = coc_px.shape
        out = np.empty_like(sharp)
        for top in range(0, height, TILE):
            for left in range(0, width, TILE):
                y, x = max(0, top - HALO), max(0, left - HALO)
                rows, columns = (
                    slice(y, min(height, top + TILE + HALO)),
                    slice(x, min(width, left + TILE + HALO)),
                )
                half = slice(rows.start // 2, rows.stop // 2), slice(columns.start // 2, columns.stop // 2)
                given = {
                    "sharp": planes(sharp[rows, columns]),
                    "blurred": planes(small[half]),
                    "coc_px": coc_px[rows, columns][None, None],
                }
                (tile,) = self.session.run(["picture"], given)
                part = tile[0].transpose(1, 2, 0)[top - y : top - y + TILE, left - x : left - x + TILE]
                out[top : top + part.shape[0], left : left + part.shape[1]] = part
        return out


def planes(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(picture.transpose(2, 0, 1)[None])


def halved(rgb: np.ndarray, coc_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Light averaged, CoC in px of the smaller picture; sides that are even."""
    small = cv2.resize(rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return small, np.ascontiguousarray(coc_px[::2, ::2] / 2)


def ways(
    network: Network, rgb: np.ndarray, coc_px: np.ndarray, times: int, shells=None
) -> dict[str, np.ndarray]:
    """The blur at full size from one at 1 / 2^times, by three ways."""
    sizes = [(rgb, coc_px)]
    for _ in range(times):
        sizes.append(halved(*sizes[-1]))
    blurred = render_optical(*sizes[-1], dl.Aperture.disc(), shells=shells)
    enlarged = np.maximum(cv2.resize(blurred, rgb.shape[1::-1], interpolation=cv2.INTER_CUBIC), 0)
    share = np.clip(1 - np.abs(coc_px), 0, 1)[..., None]
    for sharp, coc in reversed(sizes[:-1]):
        blurred = network.doubled(sharp, blurred, coc)
    return {"enlarged": enlarged, "laid over": enlarged + share * (rgb - enlarged), "network": blurred}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--levels", default="1,2,3,4,5")
    parser.add_argument("--speed", action="store_true")
    arguments = parser.parse_args()
    network = Network(arguments.model)
    report: dict[str, object] = {"machine": machine()}
    for level in map(int, arguments.levels.split(",")):
        found: dict[str, list[float]] = {}
        for each in truths({level}):
            whole = dl.linear_to_srgb(dl.render(each.rgb, each.coc_px))
            for times in (1, 2):
                for name, picture in ways(network, each.rgb, each.coc_px, times).items():
                    score = psnr(dl.linear_to_srgb(picture), whole)
                    found.setdefault(f"x{2**times} {name}", []).append(score)
        report[f"L{level}"] = {name: round(statistics.mean(scores), 2) for name, scores in found.items()}
        print(f"L{level}", report[f"L{level}"], flush=True)
    if arguments.speed:
        report["speed"] = speed(network)
        print(report["speed"])
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")


def speed(network: Network) -> dict[str, float]:
    """Seconds, once warm, and how many times faster."""
    from speed_scene import large

    rgb, coc = large(12)
    rgb, coc = (
        rgb[: rgb.shape[0] // 4 * 4, : rgb.shape[1] // 4 * 4],
        coc[: coc.shape[0] // 4 * 4, : coc.shape[1] // 4 * 4],
    )
    rgb, coc = np.ascontiguousarray(rgb), np.ascontiguousarray(coc * 0.02 * coc.shape[1])
    took: dict[str, float] = {}
    for name, work in {
        "full size, one resolution": lambda: render_optical(rgb, coc, dl.Aperture.disc(), shells=ONE_SHELL),
        "x2 network": lambda: ways(network, rgb, coc, 1, ONE_SHELL),
        "x4 network": lambda: ways(network, rgb, coc, 2, ONE_SHELL),
        "full size, as shipped": lambda: dl.render(rgb, coc),
    }.items():
        started = time.perf_counter()
        work()
        took[name] = round(time.perf_counter() - started, 2)
    return took


if __name__ == "__main__":
    main()
