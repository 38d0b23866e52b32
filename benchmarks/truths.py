"""The path-traced scenes and how a picture is scored against them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter
from skimage.metrics import structural_similarity

import deeplens_dof as dl

SCENES = Path(__file__).parent / "scenes"
STEP_PX = 1.5  # neighbours whose CoC differs by more are an occlusion edge


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


def truths(levels: set[int], folder: Path = SCENES, scenes: set[str] | None = None) -> Iterator[Truth]:
    """Every picture of these levels; of these scenes only, where they are named."""
    for meta_file in sorted(folder.glob("*/meta.json")):
        here, meta = meta_file.parent, json.loads(meta_file.read_text())
        if scenes and here.name not in scenes:
            continue
        disp = np.load(here / "disp.npz")["disp"].astype(np.float32)
        rgb = dl.srgb_to_linear(np.asarray(Image.open(here / "aif.png").convert("RGB")))
        for entry in meta["images"]:
            if entry["level"] in levels:
                coc = (entry["K"] * (disp - entry["disp_focus"])).astype(np.float32)
                truth = np.asarray(Image.open(here / entry["name"]).convert("RGB"))
                yield Truth(here.name, entry["level"], entry["focus"], rgb, coc, truth, edge_band(coc))


def edge_band(coc_px: np.ndarray) -> np.ndarray:
    """Pixels within the circle of confusion of an occlusion edge."""
    edges = maximum_filter(coc_px, 3) - minimum_filter(coc_px, 3) > STEP_PX
    radius = np.where(edges, maximum_filter(np.abs(coc_px), 3), 0)
    band = np.zeros(edges.shape, bool)
    for low, high in ((0, 2), (2, 4), (4, 8), (8, 12), (12, 18), (18, 26), (26, 99)):
        reach = (radius > low) & (radius <= high)
        if reach.any():
            band |= maximum_filter(reach, 2 * min(high, 32) + 1)
    return band


def score(picture: np.ndarray, each: Truth) -> dict[str, float]:
    """PSNR in dB and SSIM of a uint8 sRGB picture, of the whole of it and of the band round occlusion edges."""
    ssim, per_pixel = structural_similarity(picture, each.truth, channel_axis=2, data_range=255, full=True)
    return {
        "psnr": round(psnr(picture, each.truth), 3),
        "edge": round(psnr(picture, each.truth, each.band), 3),
        "ssim": round(float(ssim), 5),
        "edge_ssim": round(float(per_pixel[each.band].mean()), 5) if each.band.any() else math.nan,
    }


def psnr(a: np.ndarray, b: np.ndarray, where: np.ndarray | None = None) -> float:
    """Of two uint8 pictures, or of the pixels of them that are marked; NaN where none is."""
    error = ((a.astype(np.float64) - b) / 255) ** 2
    chosen = error if where is None else error[where]
    return -10 * math.log10(max(float(chosen.mean()), 1e-10)) if chosen.size else math.nan
