"""How near a lens blur comes to path-traced truth when the depth is given, or predicted, or wrong.

    python benchmarks/quality.py [--methods optical,discs] [--levels 1,5] [--scenes FOLDER] [--only room,night]
    python benchmarks/quality.py --depths true,predicted,eroded,dilated,blurred,coarse --levels 1,3,5 --out FILE

Per blur level, mean over scenes and focuses: PSNR of the whole picture / PSNR of the band round occlusion edges / SSIM,
on 8-bit sRGB. Every method gets the same inputs in the same run:

    none     the input
    scatter  every pixel over its own disc (Potmesil and Chakravarty 1981)
    discs    32 disc slices put over each other (OpenCV)
    gegl     GEGL's lens-blur; skipped where the command is absent
    optical  ours
    optical+highlights  ours after the recovery of clipped light by rule
    optical+light, neural+light  ours after its reconstruction by the network
    preview  ours with at most 32 lens points
    paper    the DeepLens of 2018, trained here; and whatever else `dl.render` knows: `renderers` stands for all of them

With several --depths (depths.py) a last table tells what each method loses by each of them, in dB. The band is always that
of the true depth. The tables go to the terminal, all numbers of every picture to benchmarks/results/quality.json.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from depths import DEPTHS
from machine import machine, versions
from others import OTHERS, Render, why_absent
from PIL import Image
from truths import SCENES, Truth, score_traced, truths

import deeplens_dof as dl
from deeplens_dof.lens_blur.render import RENDERERS
from deeplens_dof.pipeline import restored

RESULTS = Path(__file__).parent / "results"
Row = dict[str, Any]


def rendered_by(renderer: str) -> Render:
    """A renderer of ours in the form of a method."""
    return lambda rgb, coc_px, threads: dl.render(rgb, coc_px, renderer=renderer, threads=threads)


def optical_with_highlights(rgb: np.ndarray, coc_px: np.ndarray, threads: int) -> np.ndarray:
    from deeplens_dof.highlights.rule import recover_highlights

    return dl.render(recover_highlights(rgb, 1.0), coc_px, threads=threads)


def with_light(renderer: str) -> Render:
    """A renderer of ours after the network has reconstructed clipped highlights."""

    def method(rgb: np.ndarray, coc_px: np.ndarray, threads: int) -> np.ndarray:
        from deeplens_dof.highlights.network import reconstruct_highlights

        light = reconstruct_highlights(rgb, 1.0, threads=threads)
        return restored(dl.render(light, coc_px, renderer=renderer, threads=threads), rgb, light, coc_px)

    return method


def preview(rgb: np.ndarray, coc_px: np.ndarray, threads: int) -> np.ndarray:
    return dl.render(rgb, coc_px, threads=threads, lens_points=32)


OURS: dict[str, Render] = {name: rendered_by(name) for name in RENDERERS} | {
    "optical+highlights": optical_with_highlights,
    "optical+light": with_light("optical"),
    "neural+light": with_light("neural"),
    "preview": preview,
}
METHODS = OTHERS | OURS


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--depths", default="true", help=f"of {', '.join(DEPTHS)}")
    parser.add_argument("--levels", default="1,2,3,4,5")
    parser.add_argument("--scenes", type=Path, default=SCENES, help="folder of scenes of the same layout")
    parser.add_argument("--only", default="", help="scenes of that folder, by name; all by default")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, default=RESULTS / "quality.json")
    parser.add_argument("--pictures", type=Path, help="folder for the rendered pictures")
    arguments = parser.parse_args()
    levels = sorted(int(level) for level in arguments.levels.split(","))
    only = {name for name in arguments.only.split(",") if name}
    methods, depths = chosen(arguments.methods), chosen_depths(arguments.depths)
    rows: list[Row] = []
    print(heading("", levels))
    for name in methods:
        for depth in depths:
            started = time.perf_counter()
            for each in truths(set(levels), arguments.scenes, only):
                rows.append(scored(name, depth, each, arguments.threads, arguments.pictures))
            seconds = time.perf_counter() - started
            first = name if depths == ["true"] else f"{name}, {depth}"
            print(f"{line(first, of(rows, method=name, depth=depth), levels)}  {seconds:.0f} s", flush=True)
    if not rows:
        raise SystemExit(f"there is no picture of these levels and scenes in {arguments.scenes}")
    print("\n" + by_scene(of(rows, depth=depths[0]), methods, levels))
    if len(depths) > 1:
        print("\n" + losses(rows, methods, depths))
    report = {"machine": machine(), "versions": versions(), "rows": rows}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")


def chosen(methods: str) -> list[str]:
    """The methods that were asked for and can be run; says why where one cannot."""
    names = [each for name in methods.split(",") for each in (RENDERERS if name == "renderers" else [name])]
    unknown = [name for name in names if name not in METHODS]
    if unknown:
        raise SystemExit(f"there is no method {unknown[0]!r}; there are: {', '.join(METHODS)}")
    for name in names:
        if why_absent(name):
            print(why_absent(name))
    return [name for name in names if not why_absent(name)]


def chosen_depths(depths: str) -> list[str]:
    names = depths.split(",")
    unknown = [name for name in names if name not in DEPTHS]
    if unknown:
        raise SystemExit(f"there is no depth {unknown[0]!r}; there are: {', '.join(DEPTHS)}")
    return names


def scored(name: str, depth: str, each: Truth, threads: int, pictures: Path | None) -> Row:
    """One picture by one method against its truth."""
    coc_px = np.ascontiguousarray(DEPTHS[depth](each))
    picture = dl.linear_to_srgb(METHODS[name](each.rgb, coc_px, threads))
    if pictures:
        target = pictures / name / depth / each.scene / f"L{each.level}_F{each.focus}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(target)
    which = {"method": name, "depth": depth, "scene": each.scene, "level": each.level, "focus": each.focus}
    return which | score_traced(picture, each)


def of(rows: list[Row], **which: Any) -> list[Row]:
    return [row for row in rows if all(row[key] == value for key, value in which.items())]


def heading(first: str, levels: list[int]) -> str:
    columns = [first, *(f"L{level}" for level in levels), "SSIM", "SSIM edge"]
    return f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"


def line(first: str, rows: list[Row], levels: list[int]) -> str:
    """A line of a Markdown table: PSNR whole / edge of every level, SSIM and that of the band, of all."""

    def mean(some: list[Row], key: str) -> float:
        return float(np.nanmean([row[key] for row in some])) if some else float("nan")

    cells = []
    for level in levels:
        some = of(rows, level=level)
        cells.append(f"{mean(some, 'psnr'):.2f} / {mean(some, 'edge'):.2f}")
    cells += [f"{mean(rows, key):.4f}" for key in ("ssim", "edge_ssim")]
    return f"| {first} | {' | '.join(cells)} |"


def by_scene(rows: list[Row], methods: list[str], levels: list[int]) -> str:
    lines = [heading("scene, method", levels)]
    for scene in sorted({row["scene"] for row in rows}):
        lines += [line(f"{scene}, {name}", of(rows, scene=scene, method=name), levels) for name in methods]
    return "\n".join(lines)


def losses(rows: list[Row], methods: list[str], depths: list[str]) -> str:
    """What each method loses in dB by each depth against the first one, whole / edge band, mean over all pictures."""

    def mean(method: str, depth: str, key: str) -> float:
        return float(np.nanmean([row[key] for row in of(rows, method=method, depth=depth)]))

    columns = [f"dB, by depth: {depths[0]}", *depths[1:]]
    lines = [f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"]
    for name in methods:
        best = {key: mean(name, depths[0], key) for key in ("psnr", "edge")}
        cells = [f"{name}: {best['psnr']:.2f} / {best['edge']:.2f}"]
        for depth in depths[1:]:
            whole, edge = (mean(name, depth, key) - best[key] for key in ("psnr", "edge"))
            cells.append(f"{whole:+.2f} / {edge:+.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
