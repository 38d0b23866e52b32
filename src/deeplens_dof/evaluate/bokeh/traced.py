"""Path-traced scenes (benchmarks/scenes), and how a picture is scored against them.

<scene>/meta.json       width, height, and of every picture name, level, focus, K and disp_focus
<scene>/aif.png         all in focus, 8-bit sRGB: the input
<scene>/disp.npz        disp float32 (H, W): inverse depth in 1/m
<scene>/L1_F1.png ...   ground truth, 8-bit sRGB
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.evaluate.bokeh.measure import Benchmark, BenchmarkEntry, Case, Listing
from deeplens_dof.evaluate.bokeh.pictures import read_json, read_srgb
from deeplens_dof.evaluate.metrics import edge_band, psnr, ssim, ssim_map
from deeplens_dof.imaging.color import linear_to_srgb, srgb_to_linear

Floats = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Truth:
    """One picture of a scene: input in linear light, signed CoC, ground truth, band around its occlusion edges."""

    scene: str
    level: int
    focus: int
    rgb: Floats
    coc_px: Floats
    truth: Picture
    band: npt.NDArray[np.bool_]


def truths(levels: set[int], folder: Path, scenes: set[str] | None = None) -> Iterator[Truth]:
    """Every picture of these levels, of all or the named scenes. Raises ValueError for damaged files."""
    for meta_file in sorted(folder.glob("*/meta.json")):
        if scenes and meta_file.parent.name not in scenes:
            continue
        for facts in _images(meta_file):
            if facts["level"] in levels:
                yield _truth(meta_file.parent, facts)


def score_traced(picture: Picture, case: Truth | Case) -> dict[str, float]:
    """PSNR in dB and SSIM of a uint8 sRGB picture, overall and in the band around occlusion edges."""
    per_pixel = ssim_map(picture, case.truth, 255, "uniform")
    band = edge_band(case.coc_px) if case.band is None else case.band
    return {
        "psnr": round(psnr(picture, case.truth, 255), 3),
        "edge": round(psnr(picture, case.truth, 255, band), 3),
        "ssim": round(ssim(picture, case.truth, 255, "uniform"), 5),
        "edge_ssim": round(float(per_pixel[band].mean()), 5) if band.any() else math.nan,
    }


def _listing(folder: Path) -> Listing:
    """All pictures of all scenes; problems are missing scenes and pictures."""
    entries, problems = [], []
    for meta_file in sorted(folder.glob("*/meta.json")):
        try:
            images = _images(meta_file)
        except ValueError as error:
            problems.append(str(error))
            continue
        for facts in images:
            path = meta_file.parent / facts["name"]
            if path.is_file():
                entries.append(_entry(meta_file.parent, facts))
            else:
                problems.append(f"{path} is missing, which {meta_file.name} names")
    return Listing(entries, problems)


def _entry(folder: Path, facts: dict[str, Any]) -> BenchmarkEntry:
    def read() -> Case:
        found = _truth(folder, facts)
        return Case(found.rgb, found.coc_px, found.truth, band=found.band)

    return BenchmarkEntry(f"{folder.name}/{Path(facts['name']).stem}", f"L{facts['level']}", read)


def _images(meta_file: Path) -> list[dict[str, Any]]:
    meta = read_json(meta_file)
    wanted = {"name": str, "level": int, "focus": int, "K": (int, float), "disp_focus": (int, float)}
    images = meta.get("images") if isinstance(meta, dict) else None
    if not isinstance(images, list) or not all(
        isinstance(image, dict) and all(isinstance(image.get(key), kind) for key, kind in wanted.items())  # type: ignore[arg-type]
        for image in images
    ):
        raise ValueError(f"{meta_file} names no images with {', '.join(wanted)}; copy it again")
    return images


def _truth(folder: Path, facts: dict[str, Any]) -> Truth:
    rgb, disp = _scene(folder)
    coc = (facts["K"] * (disp - facts["disp_focus"])).astype(np.float32)
    path = folder / facts["name"]
    truth = read_srgb(path)
    if truth.shape != rgb.shape:
        raise ValueError(f"{path} has shape {truth.shape}, expected {rgb.shape} like aif.png")
    return Truth(folder.name, facts["level"], facts["focus"], rgb, coc, truth, edge_band(coc))


@lru_cache(maxsize=1)
def _scene(folder: Path) -> tuple[Floats, Floats]:
    """Input shared by all pictures of a scene: linear light (H, W, 3) and inverse depth (H, W)."""
    path = folder / "disp.npz"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            disp = arrays["disp"].astype(np.float32)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is not an .npz file with disp ({error}); copy it again") from error
    rgb = srgb_to_linear(read_srgb(folder / "aif.png"))
    if rgb.shape[:2] != disp.shape:
        raise ValueError(f"{path} has shape {disp.shape}, expected {rgb.shape[:2]} like aif.png")
    return rgb, disp


TRACED = Benchmark(
    name="traced",
    layout="SCENE/meta.json, aif.png, disp.npz and L1_F1.png and so on",
    measures=("psnr", "edge", "ssim", "edge_ssim"),
    protocol="8-bit sRGB; SSIM with a uniform window of 7; edge: within the circle of confusion of an occlusion edge",
    listing=_listing,
    show=linear_to_srgb,
    score=score_traced,
    peak=255,
    overall=True,
)
