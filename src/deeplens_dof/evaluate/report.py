"""Scores of many samples as rows, and as a table in Markdown.

A row is one method on one group of samples: means, and medians where there are several. A group of one is a photo.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from deeplens_dof.evaluate.bokeh import Run
from deeplens_dof.evaluate.depth import DepthSet, Picture, Predictor, score
from deeplens_dof.evaluate.machine import machine, versions
from deeplens_dof.evaluate.matte import LONG_SIDE_PX, is_one_clear_subject, matte_scores
from deeplens_dof.evaluate.score_table import Row
from deeplens_dof.imaging.resize import resize

DEPTH_COLUMNS = {
    "spearman": "Spearman",
    "absolute_relative": "AbsRel",
    "within_1_25": "within 1.25",
    "boundary_f1": "boundary F1",
}
BOKEH_COLUMNS = {  # heading and form
    "psnr": ("PSNR [dB]", ".2f"),
    "edge": ("PSNR, edges [dB]", ".2f"),
    "ssim": ("SSIM", ".4f"),
    "edge_ssim": ("SSIM, edges", ".4f"),
    "rmse": ("RMSE", ".4f"),
    "psnr_slight": ("PSNR, slight [dB]", ".2f"),
    "rmse_slight": ("RMSE, slight", ".4f"),
    "blur_px": ("blur found [px]", ".1f"),
    "lpips": ("LPIPS", ".4f"),
    "seconds": ("s (median)", ".2f"),
}
Matte = npt.NDArray[np.float32]


class Subject(NamedTuple):
    """matte: (H, W) 0..1. focus: (x, y) 0..1, where the product focuses unless told otherwise."""

    matte: Matte
    focus: tuple[float, float]


SubjectPredictor = Callable[[Picture], Subject]
Tell = Callable[[str], None]


def depth_rows(
    group: str, samples: Iterable[DepthSet], predictors: Mapping[str, Predictor], tell: Tell = lambda _: None
) -> Iterator[dict[str, Any]]:
    """One row for each predictor, with the scores of every sample in `each`. A sample that cannot be scored (no known
    depth) is told and left out."""
    scored: dict[str, list[dict[str, Any]]] = {name: [] for name in predictors}
    for number, item in enumerate(samples, 1):
        tell(f"{group}: {item.name} ({number})")
        try:
            rows = {
                name: {"sample": item.name} | score(item, predict) for name, predict in predictors.items()
            }
        except ValueError as error:
            tell(f"skipped: {item.name}: {error}")
            continue
        for name, row in rows.items():
            scored[name].append(row)
    for name, each in scored.items():
        if each:
            yield {"set": group, "method": name} | _summary(each)


def matte_row(
    group: str,
    samples: Iterable[tuple[str, Picture, Matte]],
    predict: SubjectPredictor,
    tell: Tell = lambda _: None,
) -> dict[str, Any] | None:
    """IoU and SAD over (name, photo, true matte); None for no samples.

    `clear_*`: where truth has one clear subject; `focus_inside` is the share of those whose default focus lies in it.
    """
    each = []
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
        each.append(about | asdict(matte_scores(ours, true)))
    if not each:
        return None
    row = {"set": group, "long_side_px": LONG_SIDE_PX} | _summary(each)
    clear: list[Any] = [entry for entry in each if entry["clear"]]
    means = {
        name: statistics.fmean(entry[of] for entry in clear) if clear else None
        for name, of in (("clear_iou", "iou"), ("focus_inside", "focus_inside"))
    }
    return row | {"clear": len(clear)} | means


def _summary(each: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean, and median in `median`, of every measure that all samples have."""
    names = [name for name, value in each[0].items() if isinstance(value, float)]
    shared = [name for name in names if all(name in entry for entry in each)]
    means: dict[str, float] = {name: statistics.fmean(entry[name] for entry in each) for name in shared}
    medians = {name: statistics.median(entry[name] for entry in each) for name in shared}
    return {"samples": len(each), **means, "median": medians, "each": each}


def bokeh_report(run: Run, rows: Iterable[Row], notes: Iterable[str] = ()) -> dict[str, Any]:
    """{"benchmark", "protocol", "folder", "machine", "versions", "lpips", "bokeh": rows, "notes"}; means over pictures
    (of seconds the median)."""
    scored = list(rows)
    sets: dict[str, list[Row]] = {}
    for row in sorted(scored, key=lambda row: _natural(row.group)):
        sets.setdefault(row.group, []).append(row)
    if run.benchmark.overall and len(sets) > 1:
        sets["all"] = scored
    means = []
    for group, some in sets.items():
        for name in run.renderers:
            each = [row for row in some if row.renderer == name]
            if each:
                means.append({"set": group, "method": name, "samples": len(each)} | _means(each))
    lpips = None if run.lpips is None else {"file": run.lpips.name, "sha256": run.lpips.sha256}
    return {
        "benchmark": run.benchmark.name,
        "protocol": run.benchmark.protocol,
        "folder": run.folder.name,
        "machine": machine(),
        "versions": versions(),
        "lpips": lpips,
        "measures": [*run.benchmark.measures, "lpips", "seconds"],
        "bokeh": means,
        "notes": list(notes),
    }


def _means(rows: list[Row]) -> dict[str, Any]:
    """Of every measure over the pictures that have it, and the scores of each picture. Of the seconds the median: the first
    picture may wait for a compiler."""
    found: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.scores.items():
            if value is not None:
                found.setdefault(name, []).append(value)
    each = [{"picture": row.picture} | row.scores for row in rows]
    means = {name: statistics.fmean(values) for name, values in found.items()}
    return means | {"seconds": statistics.median(found["seconds"]), "each": each}


def bokeh_markdown(report: Mapping[str, Any]) -> str:
    """The table of a bokeh benchmark, its protocol, and what it was measured on."""
    columns = {name: BOKEH_COLUMNS[name] for name in report["measures"]}
    header = ("set", "pictures", "renderer", *(heading for heading, _ in columns.values()))

    def cells(row: Mapping[str, Any]) -> list[str]:
        scores = [
            format(row[name], form) if name in row else "not measured" if name == "lpips" else ""
            for name, (_, form) in columns.items()
        ]
        return [row["set"], str(row["samples"]), row["method"], *scores]

    on, parts = report["machine"], report["versions"]
    named = ", ".join(f"{name} {number}" for name, number in parts.items() if number)
    lines = [f"{report['benchmark']} ({report['folder']}), means over pictures. {report['protocol']}.", ""]
    lines += _table(header, map(cells, report["bokeh"]))
    lines += [
        "",
        f"{on['processor']}, {on['cores']} cores, load {on['load_average']}, {on['system']}, Python {on['python']}; "
        f"{named}.",
    ]
    if report["lpips"]:
        lines += ["", f"LPIPS by {report['lpips']['file']}, SHA-256 {report['lpips']['sha256']}."]
    for note in report["notes"]:
        lines += ["", f"- {note}"]
    return "\n".join(lines) + "\n"


def markdown(report: Mapping[str, Any]) -> str:
    """The whole report on depth as Markdown."""
    lines = [f"Network {report['model']['file']}, SHA-256 {report['model']['sha256']}.", ""]
    lines += _table(("set", "samples", "method", *DEPTH_COLUMNS.values()), map(_depth_cells, report["depth"]))
    if any(row["samples"] > 1 for row in report["depth"]):
        lines += ["", "Several samples: mean / median."]
    if report["matte"]:
        header = ("matte", "samples", "IoU", "SAD", "IoU where there is one clear subject", "focus in it")
        lines += ["", *_table(header, map(_matte_cells, report["matte"]))]
        lines += [
            "",
            f"SAD in thousands of pixels at a long side of {LONG_SIDE_PX} or less. Several samples: mean / median.",
        ]
    for note in report["notes"]:
        lines += ["", f"- {note}"]
    return "\n".join(lines) + "\n"


def _table(header: tuple[str, ...], rows: Iterable[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (list(header), ["---"] * len(header), *rows)]


def _depth_cells(row: dict[str, Any]) -> list[str]:
    return [row["set"], str(row["samples"]), row["method"], *(_cell(row, name) for name in DEPTH_COLUMNS)]


def _matte_cells(row: dict[str, Any]) -> list[str]:
    clear = "" if row["clear_iou"] is None else f"{row['clear_iou']:.3f} ({row['clear']} samples)"
    inside = "" if row["focus_inside"] is None else f"{row['focus_inside']:.0%}"
    return [row["set"], str(row["samples"]), _cell(row, "iou"), _cell(row, "sad", ".1f"), clear, inside]


def _natural(group: str) -> list[Any]:
    """f/2 before f/10."""
    return [float(part) if part[:1].isdigit() else part for part in re.split(r"(\d+(?:\.\d+)?)", group)]


def _cell(row: dict[str, Any], name: str, form: str = ".3f") -> str:
    if name not in row:
        return ""
    mean = format(row[name], form)
    return mean if row["samples"] == 1 else f"{mean} / {row['median'][name]:{form}}"
