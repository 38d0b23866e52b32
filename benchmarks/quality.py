"""How near a lens blur comes to path-traced truth when the depth is given.

    python benchmarks/quality.py [--methods optical,discs,scatter,none] [--levels 1,2,3,4,5] [--out FILE.json]

Per blur level, mean over scenes and focuses: PSNR of the whole picture and of the band round occlusion edges, and SSIM,
all on 8-bit sRGB. `discs` is 32 disc layers put over each other (needs opencv), `scatter` spreads every pixel over its
own disc (Potmesil and Chakravarty 1981), `none` is the input.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numba as nb
import numpy as np
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter
from skimage.metrics import structural_similarity

import deeplens_dof as dl

HERE = Path(__file__).parent
SCENES = HERE / "scenes"
Render = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Truth:
    """One picture of a scene: input in linear light, signed CoC, the truth, the band round its occlusion edges."""

    scene: str
    level: int
    focus: int
    rgb: np.ndarray
    coc_px: np.ndarray
    truth: np.ndarray
    band: np.ndarray


def truths(levels: set[int], scenes: Path = SCENES) -> Iterator[Truth]:
    for meta_file in sorted(scenes.glob("*/meta.json")):
        folder, meta = meta_file.parent, json.loads(meta_file.read_text())
        disp = np.load(folder / "disp.npz")["disp"].astype(np.float32)
        rgb = dl.srgb_to_linear(np.asarray(Image.open(folder / "aif.png").convert("RGB")))
        for entry in meta["images"]:
            if entry["level"] in levels:
                coc = (entry["K"] * (disp - entry["disp_focus"])).astype(np.float32)
                truth = np.asarray(Image.open(folder / entry["name"]).convert("RGB"))
                yield Truth(folder.name, entry["level"], entry["focus"], rgb, coc, truth, edge_band(coc))


def edge_band(coc: np.ndarray) -> np.ndarray:
    """Pixels within the circle of confusion of a depth step of more than 1.5 px."""
    edges = maximum_filter(coc, 3) - minimum_filter(coc, 3) > 1.5
    radius = np.where(edges, maximum_filter(np.abs(coc), 3), 0)
    band = np.zeros(edges.shape, bool)
    for low, high in ((0, 2), (2, 4), (4, 8), (8, 12), (12, 18), (18, 26), (26, 99)):
        reach = (radius > low) & (radius <= high)
        if reach.any():
            band |= maximum_filter(reach, 2 * min(high, 32) + 1)
    return band


def psnr(a: np.ndarray, b: np.ndarray, where: np.ndarray | None = None) -> float:
    error = ((a.astype(np.float64) - b) / 255) ** 2
    mean = float((error if where is None else error[where]).mean())
    return -10 * math.log10(max(mean, 1e-10))


def none(rgb: np.ndarray, coc_px: np.ndarray) -> np.ndarray:
    return rgb


def optical(rgb: np.ndarray, coc_px: np.ndarray) -> np.ndarray:
    return dl.render(rgb, coc_px)


def discs(rgb: np.ndarray, coc_px: np.ndarray, layers: int = 32) -> np.ndarray:
    """Slices of equal CoC, each blurred by its disc with its alpha, from the farthest to the nearest."""
    import cv2

    low, high = float(coc_px.min()), float(coc_px.max())
    index = np.clip(((coc_px - low) / max(high - low, 1e-6) * layers).astype(int), 0, layers - 1)
    colour, total = np.zeros_like(rgb), np.zeros(coc_px.shape, np.float32)
    for i in range(layers):
        mask = index == i
        if not mask.any():
            continue
        radius = abs(float(coc_px[mask].mean()))
        kernel = disc_kernel(radius)
        alpha = cv2.filter2D(mask.astype(np.float32), -1, kernel, borderType=cv2.BORDER_REPLICATE)
        part = cv2.filter2D(rgb * mask[..., None], -1, kernel, borderType=cv2.BORDER_REPLICATE)
        colour = colour * (1 - alpha[..., None]) + part
        total = total * (1 - alpha) + alpha
    return colour / np.maximum(total, 1e-6)[..., None]


def disc_kernel(radius: float) -> np.ndarray:
    """A disc of that radius with a soft rim of one pixel, sum 1."""
    side = math.ceil(radius + 0.5)
    y, x = np.mgrid[-side : side + 1, -side : side + 1]
    kernel = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1).astype(np.float32)
    return kernel / kernel.sum()


def scatter(rgb: np.ndarray, coc_px: np.ndarray) -> np.ndarray:
    return _scatter(rgb, np.abs(coc_px))


@nb.njit(fastmath=True, cache=True)
def _scatter(rgb: np.ndarray, radius: np.ndarray) -> np.ndarray:
    height, width = radius.shape
    colour, total = np.zeros_like(rgb), np.zeros_like(radius)
    for y in range(height):
        for x in range(width):
            r = max(radius[y, x], np.float32(0.5))
            side, share = int(math.ceil(r)), 1 / (math.pi * r * r)
            for yy in range(max(0, y - side), min(height, y + side + 1)):
                for xx in range(max(0, x - side), min(width, x + side + 1)):
                    distance = math.sqrt((yy - y) ** 2 + (xx - x) ** 2)
                    weight = share * min(max(r + 0.5 - distance, 0.0), 1.0)
                    total[yy, xx] += weight
                    for c in range(3):
                        colour[yy, xx, c] += weight * rgb[y, x, c]
    for y in range(height):
        for x in range(width):
            for c in range(3):
                colour[y, x, c] /= max(total[y, x], 1e-6)
    return colour


METHODS: dict[str, Render] = {"none": none, "scatter": scatter, "discs": discs, "optical": optical}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--methods", default="none,scatter,discs,optical")
    parser.add_argument("--levels", default="1,2,3,4,5")
    parser.add_argument("--scenes", type=Path, default=SCENES, help="folder of scenes of the same layout")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "quality.json")
    parser.add_argument("--pictures", type=Path, help="folder for the rendered pictures")
    arguments = parser.parse_args()
    levels = {int(level) for level in arguments.levels.split(",")}
    rows: list[dict[str, Any]] = []
    for name in arguments.methods.split(","):
        started = time.perf_counter()
        for each in truths(levels, arguments.scenes):
            result = dl.linear_to_srgb(METHODS[name](each.rgb, each.coc_px))
            if arguments.pictures:
                target = arguments.pictures / name / each.scene / f"L{each.level}_F{each.focus}.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(result).save(target)
            ssim = structural_similarity(result, each.truth, channel_axis=2, data_range=255)
            rows.append(
                {
                    "method": name, "scene": each.scene, "level": each.level, "focus": each.focus,
                    "psnr": round(psnr(result, each.truth), 3), "edge": round(psnr(result, each.truth, each.band), 3),
                    "ssim": round(float(ssim), 5),
                }
            )  # fmt: skip
        print(table_row(name, [r for r in rows if r["method"] == name], sorted(levels)), flush=True)
        print(f"{'':10s}{time.perf_counter() - started:.0f} s", flush=True)
    parts = {part: version(part) for part in ("numpy", "numba", "scikit-image", "opencv-python-headless")}
    report = {"machine": platform.processor() or platform.machine(), "versions": parts, "rows": rows}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")


def table_row(name: str, rows: list[dict[str, Any]], levels: list[int]) -> str:
    def mean(level: int, key: str) -> float:
        return float(np.mean([row[key] for row in rows if row["level"] == level]))

    cells = [f"{mean(level, 'psnr'):.2f} / {mean(level, 'edge'):.2f}" for level in levels]
    return f"| {name} | {' | '.join(cells)} | {np.mean([row['ssim'] for row in rows]):.4f} |"


if __name__ == "__main__":
    main()
