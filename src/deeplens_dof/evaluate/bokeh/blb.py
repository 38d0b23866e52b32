"""BLB (BokehMe, CVPR 2022): scenes rendered by Blender at 5 levels of blur and 10 focuses.

    <scene>/info.json               resolution_x, resolution_y, focal_length, sensor_width, and lists: focus_distances in
                                    metres, f_stops, blur_parameters in px * m
    <scene>/*depth*.exr             metres
    <scene>/bokeh_00_00.exr ...     truth, linear light: level, focus (counted from 0)
    <scene>/*.exr                   the one other: all in focus, linear light

Pictures are compared as `x ** (1 / 2.2)`, clipped to 0..1.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.evaluate.bokeh.measure import Benchmark, BenchmarkEntry, Case, Listing
from deeplens_dof.evaluate.bokeh.pictures import read_exr_depth, read_exr_rgb, read_json
from deeplens_dof.evaluate.metrics import psnr, ssim

Floats = npt.NDArray[np.float32]
GAMMA = 2.2
_BOKEH = re.compile(r"bokeh_(\d{2})_(\d{2})\.exr")
_OTHERS = (
    ".json",
    ".txt",
    ".md",
    ".png",
    ".jpg",
    ".blend",
)  # other expected files: previews, notes, the scene itself


@dataclass(frozen=True, slots=True)
class Info:
    """Content of info.json. focus_distances: metres. blur_parameters: CoC radius in px per 1/m."""

    width: int
    height: int
    focus_distances: tuple[float, ...]
    blur_parameters: tuple[float, ...]


def read_info(path: Path) -> Info:
    """The info.json of a scene. Raises ValueError when it is not one of BLB."""
    facts = read_json(path)
    wanted = ("resolution_x", "resolution_y", "focus_distances", "blur_parameters")
    missing = [key for key in wanted if not isinstance(facts, dict) or key not in facts]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}; copy it again")
    numbers = [facts[key] for key in wanted[:2]] + [*_listed(facts, wanted[2]), *_listed(facts, wanted[3])]
    if not all(_is_above_0(number) for number in numbers):
        raise ValueError(f"{path} has {', '.join(wanted)} that are not numbers above 0; copy it again")
    return Info(
        int(facts["resolution_x"]),
        int(facts["resolution_y"]),
        tuple(map(float, facts["focus_distances"])),
        tuple(map(float, facts["blur_parameters"])),
    )


def coc_px(depth_m: Floats, info: Info, level: int, focus: int) -> Floats:
    """Signed CoC (H, W) of a picture, in px; level and focus count from 0."""
    offset = 1 / depth_m.astype(np.float64) - 1 / info.focus_distances[focus]
    return (info.blur_parameters[level] * offset).astype(np.float32)


def as_displayed(linear: Floats) -> Floats:
    """Linear light in the encoding BLB compares, 0..1."""
    return np.clip(np.maximum(linear, 0) ** np.float32(1 / GAMMA), 0, 1).astype(np.float32)


def _listing(folder: Path) -> Listing:
    """All pictures of all scenes in the folder."""
    entries: list[BenchmarkEntry] = []
    problems: list[str] = []
    for info_file in sorted([*folder.glob("info.json"), *folder.glob("*/info.json")]):
        try:
            info = read_info(info_file)
            _inputs(info_file.parent)
        except ValueError as error:
            problems.append(str(error))
            continue
        found = set()
        for path in sorted(info_file.parent.iterdir()):
            named = _BOKEH.fullmatch(path.name)
            if named:
                level, focus = int(named[1]), int(named[2])
                if level < len(info.blur_parameters) and focus < len(info.focus_distances):
                    found.add((level, focus))
                    entries.append(_entry(info_file.parent, info, level, focus))
                    continue
            elif (
                path.name.startswith(".")
                or path.suffix.lower() in _OTHERS
                or path in _inputs(info_file.parent)
            ):
                continue
            problems.append(f"{path} does not belong here, expected pictures that info.json tells of")
        for level in range(len(info.blur_parameters)):
            for focus in range(len(info.focus_distances)):
                if (level, focus) not in found:
                    path = info_file.parent / f"bokeh_{level:02d}_{focus:02d}.exr"
                    problems.append(f"{path} is missing, which info.json tells of")
    return Listing(entries, problems)


def _entry(folder: Path, info: Info, level: int, focus: int) -> BenchmarkEntry:
    path = folder / f"bokeh_{level:02d}_{focus:02d}.exr"

    def read() -> Case:
        rgb, depth_m = _scene(folder)
        truth = read_exr_rgb(path)
        for plane in (rgb, depth_m, truth):
            if plane.shape[:2] != (info.height, info.width):
                raise ValueError(
                    f"{path} or what it belongs to has {plane.shape[1]} x {plane.shape[0]} pixels, expected "
                    f"{info.width} x {info.height} as info.json says"
                )
        return Case(rgb, coc_px(depth_m, info, level, focus), as_displayed(truth))

    return BenchmarkEntry(f"{folder.name}/{path.stem}", f"L{level + 1}", read)


def _inputs(folder: Path) -> tuple[Path, Path]:
    """The all-in-focus picture, and the depth."""
    others = [path for path in sorted(folder.glob("*.exr")) if not _BOKEH.fullmatch(path.name)]
    depth = [path for path in others if "depth" in path.name.lower()]
    sharp = [path for path in others if path not in depth]
    if len(depth) != 1 or len(sharp) != 1:
        raise ValueError(
            f"{folder} holds {len(sharp)} EXR pictures that are all in focus and {len(depth)} of depth, expected one of "
            "each beside bokeh_00_00.exr"
        )
    return sharp[0], depth[0]


@lru_cache(maxsize=1)
def _scene(folder: Path) -> tuple[Floats, Floats]:
    """Input shared by all pictures of a scene: linear light (H, W, 3) and metres (H, W)."""
    sharp, depth = _inputs(folder)
    return read_exr_rgb(sharp), read_exr_depth(depth)


def _listed(facts: dict[str, Any], key: str) -> list[Any]:
    """A list of numbers; [None] for anything else."""
    value = facts[key]
    return value if isinstance(value, list) and value else [None]


def _is_above_0(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value) and value > 0


def _score(picture: Floats, case: Case) -> dict[str, float]:
    return {"psnr": psnr(picture, case.truth, 1), "ssim": ssim(picture, case.truth, 1)}


BLB = Benchmark(
    name="blb",
    layout="SCENE/info.json, an all-in-focus EXR, a depth EXR and bokeh_00_00.exr and so on",
    measures=("psnr", "ssim"),
    protocol="x ** (1/2.2), clipped to 0..1; PSNR; SSIM with a Gaussian window of 11, sigma 1.5; true depth",
    listing=_listing,
    show=as_displayed,
    score=_score,
    peak=1,
)
