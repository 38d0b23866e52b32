"""Scores of depth and matte as rows, and as a Markdown table.

A row is one method on one group of samples: means, and medians if there are several. A group of one is a photo.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from deeplens_dof.datasets.folder import Tell
from deeplens_dof.evaluate.depth.matte import LONG_SIDE_PX, is_one_clear_subject, matte_scores
from deeplens_dof.evaluate.depth.measured_photos import DepthSet, Picture, Predictor, score_set
from deeplens_dof.evaluate.markdown import cell, table
from deeplens_dof.imaging.resize import resize

DEPTH_COLUMNS = {
    "spearman": "Spearman",
    "absolute_relative": "AbsRel",
    "within_1_25": "within 1.25",
    "boundary_f1": "boundary F1",
}
Matte = npt.NDArray[np.float32]


class Subject(NamedTuple):
    """matte: (H, W) 0..1. focus: (x, y) 0..1, the product's default focus."""

    matte: Matte
    focus: tuple[float, float]


SubjectPredictor = Callable[[Picture], Subject]


def depth_rows(
    group: str, samples: Iterable[DepthSet], predictors: Mapping[str, Predictor], tell: Tell = lambda _: None
) -> Iterator[dict[str, Any]]:
    """One row for each predictor, with the scores of every sample in `each`.

    A sample that cannot be scored (no known depth) is reported and left out.
    """
    scored: dict[str, list[dict[str, Any]]] = {name: [] for name in predictors}
    for number, item in enumerate(samples, 1):
        tell(f"{group}: {item.name} ({number})")
        try:
            rows = {
                name: {"sample": item.name} | score_set(item, predict) for name, predict in predictors.items()
            }
        except ValueError as error:
            tell(f"skipped: {item.name}: {error}")
            continue
        for name, row in rows.items():
            scored[name].append(row)
    for name, scores in scored.items():
        if scores:
            yield {"set": group, "method": name} | _summary(scores)


def matte_row(
    group: str,
    samples: Iterable[tuple[str, Picture, Matte]],
    predict: SubjectPredictor,
    tell: Tell = lambda _: None,
) -> dict[str, Any] | None:
    """IoU and SAD over (name, photo, true matte); None without samples.

    `clear_*`: samples with one clear subject in the ground truth; `focus_inside` is the share of those whose default focus
    lies in it.
    """
    scores = []
    for name, rgb, truth in samples:
        tell(f"{group}: matte of {name}")
        scale = min(1.0, LONG_SIDE_PX / max(rgb.shape[:2]))
        size = max(1, round(rgb.shape[0] * scale)), max(1, round(rgb.shape[1] * scale))
        true = resize(np.asarray(truth, np.float32), *size)
        subject = predict(rgb)
        ours = resize(subject.matte, *size)
        x, y = subject.focus
        inside = bool(true[min(size[0] - 1, int(y * size[0])), min(size[1] - 1, int(x * size[1]))] > 0.5)
        about = {"sample": name, "clear": is_one_clear_subject(true), "focus_inside": inside}
        scores.append(about | asdict(matte_scores(ours, true)))
    if not scores:
        return None
    row = {"set": group, "long_side_px": LONG_SIDE_PX} | _summary(scores)
    clear: list[Any] = [entry for entry in scores if entry["clear"]]
    means = {
        name: statistics.fmean(entry[of] for entry in clear) if clear else None
        for name, of in (("clear_iou", "iou"), ("focus_inside", "focus_inside"))
    }
    return row | {"clear": len(clear)} | means


def _summary(scores: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean, and median in `median`, of every measure that all samples have."""
    names = [name for name, value in scores[0].items() if isinstance(value, float)]
    shared = [name for name in names if all(name in entry for entry in scores)]
    means: dict[str, float] = {name: statistics.fmean(entry[name] for entry in scores) for name in shared}
    medians = {name: statistics.median(entry[name] for entry in scores) for name in shared}
    return {"samples": len(scores), **means, "median": medians, "each": scores}


def markdown(report: Mapping[str, Any]) -> str:
    """The whole report on depth as Markdown."""
    lines = [f"Network {report['model']['file']}, SHA-256 {report['model']['sha256']}.", ""]
    lines += table(("set", "samples", "method", *DEPTH_COLUMNS.values()), map(_depth_cells, report["depth"]))
    if any(row["samples"] > 1 for row in report["depth"]):
        lines += ["", "Several samples: mean / median."]
    if report["matte"]:
        header = ("matte", "samples", "IoU", "SAD", "IoU where there is one clear subject", "focus in it")
        lines += ["", *table(header, map(_matte_cells, report["matte"]))]
        lines += [
            "",
            f"SAD in thousands of pixels at a long side of {LONG_SIDE_PX} or less. Several samples: mean / median.",
        ]
    for note in report["notes"]:
        lines += ["", f"- {note}"]
    return "\n".join(lines) + "\n"


def _depth_cells(row: dict[str, Any]) -> list[str]:
    return [row["set"], str(row["samples"]), row["method"], *(cell(row, name) for name in DEPTH_COLUMNS)]


def _matte_cells(row: dict[str, Any]) -> list[str]:
    clear = "" if row["clear_iou"] is None else f"{row['clear_iou']:.3f} ({row['clear']} samples)"
    inside = "" if row["focus_inside"] is None else f"{row['focus_inside']:.0%}"
    return [row["set"], str(row["samples"]), cell(row, "iou"), cell(row, "sad", ".1f"), clear, inside]
