"""What each part of the depth training is worth: short trainings that differ in one thing.

    python benchmarks/depth_ablations.py --frames DIR [--frames DIR] [--only NAME]...

Each begins with DINOv2, takes about six minutes of one core, goes on where it was stopped, and is scored on the
real photos of tools/data/fetch_evaluation_data.py and on frames it did not see.
Writes benchmarks/results/depth_ablations.json.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from depth import machine

from deeplens_dof.datasets.cache import cache_folder
from deeplens_dof.datasets.frames import frame_files, read_frame
from deeplens_dof.evaluate.depth.predictors import WHOLE
from deeplens_dof.evaluate.depth.score import DepthOptions, score_depth
from deeplens_dof.learn.scenes.objects.pictures import SubjectTeacher
from deeplens_dof.learn.training.depth import depth_task
from deeplens_dof.learn.training.depth_recipes import DepthRecipe, Phase
from deeplens_dof.learn.training.recipes import RECIPES, train
from deeplens_dof.learn.training.trainer import TrainingData
from deeplens_dof.models import candidate

STEREO = cache_folder() / "evaluation_stereo"
RESULTS = Path(__file__).parent / "results" / "depth_ablations.json"
BASE = DepthRecipe((Phase(160, 252, 6, 3e-5, 2e-3, 2e-3),), ema=0.97, seed=11)
VARIANTS = {
    "base: last 6 blocks, all frames, matte, cut-outs": BASE,
    "encoder frozen": replace(BASE, phases=(replace(BASE.phases[0], blocks=0),)),
    "all 12 blocks": replace(BASE, phases=(replace(BASE.phases[0], blocks=12),)),
    "no matte": replace(BASE, matte_weight=0.0, photo_share=0.0),
    "no ranking of pairs": replace(BASE, ordinal_weight=0.0),
    "100 frames": replace(BASE, frames=100),
    "300 frames": replace(BASE, frames=300),
    "no cut-outs": BASE,
    "base, another seed": replace(BASE, seed=12),
}
WITHOUT_KIND = {"no cut-outs": "cutout"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=Path, action="append", required=True)
    parser.add_argument("--only", action="append", help="a variant; may be repeated")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    for name in arguments.only or VARIANTS:
        slug = name.split(":")[0].replace(" ", "-").replace(",", "")
        RECIPES[slug] = depth_task, VARIANTS[name]
        out = cache_folder() / "runs" / "ablations" / slug
        folders = [frames.expanduser() for frames in arguments.frames]
        if name in WITHOUT_KIND:
            folders = [
                without_kind(folder, WITHOUT_KIND[name], out / f"frames-{k}")
                for k, folder in enumerate(folders)
            ]
        weights = train(slug, TrainingData(folders), out, resume=True, threads=arguments.threads)
        assert weights is not None
        scored = scores(weights, arguments.threads) | last_validation(out)
        print(name, scored)
        add(name, scored)


def add(name: str, scored: dict[str, float]) -> None:
    """Into the file, which is read anew: another process may be at work on other variants."""
    report: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    report["machine"] = machine()
    report.setdefault("variants", {})[name] = scored
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")


def without_kind(folder: Path, kind: str, out: Path) -> Path:
    """A folder of links to the frames that are not of that kind, held-out ones included as they are."""
    for number, path in enumerate(frame_files(folder)):
        link = out / path.parent.name / path.name
        if link.is_symlink() or (number >= BASE.held_out and read_frame(path).facts["kind"] == kind):
            continue
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    return out


def scores(weights: Path, threads: int) -> dict[str, float]:
    """Spearman of the refined depth on each real photo and, where tools/data/fetch_stereo_sets.py brought them, mean and
    median over the stereo photos; the matte's mean IoU with U2-Net."""
    model = candidate(weights)
    report = score_depth(DepthOptions(model=model, threads=threads, teacher=SubjectTeacher))
    found = {row["set"]: row["spearman"] for row in report["depth"] if row["method"] == WHOLE}
    if STEREO.is_dir():
        stereo = score_depth(DepthOptions(model=model, folders=(f"rgbd:{STEREO}",), threads=threads))
        (row,) = (row for row in stereo["depth"] if row["method"] == WHOLE)
        found |= {"stereo_mean": row["spearman"], "stereo_median": row["median"]["spearman"]}
    mattes = report["matte"]
    return found | ({"matte_iou": mattes[0]["iou"]} if mattes else {})


def last_validation(out: Path) -> dict[str, float]:
    """Difference, rank correlation and matte IoU on held-out frames, at the end."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    last = [line for line in lines if line["event"] == "validation"][-1]
    return {key: value for key, value in last.items() if key.startswith("val_")}


if __name__ == "__main__":
    main()
