"""Scores of a bokeh benchmark as rows, and as a Markdown table of means over pictures."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from deeplens_dof.evaluate.bokeh.measure import BenchmarkRun
from deeplens_dof.evaluate.bokeh.score_table import Row
from deeplens_dof.evaluate.machine import machine, versions
from deeplens_dof.evaluate.markdown import table

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


def bokeh_report(run: BenchmarkRun, rows: Iterable[Row], notes: Iterable[str] = ()) -> dict[str, Any]:
    """{"benchmark", "protocol", "folder", "machine", "versions", "lpips", "bokeh": rows, "notes"}.

    Means over pictures, medians of seconds.
    """
    scored = list(rows)
    sets: dict[str, list[Row]] = {}
    for row in sorted(scored, key=lambda row: _natural(row.group)):
        sets.setdefault(row.group, []).append(row)
    if run.benchmark.overall and len(sets) > 1:
        sets["all"] = scored
    means = []
    for group, some in sets.items():
        for name in run.renderers:
            own = [row for row in some if row.renderer == name]
            if own:
                means.append({"set": group, "method": name, "samples": len(own)} | _means(own))
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
    """Mean of every measure over the pictures that have it, and the scores of each picture.

    Of seconds the median, because the first picture may include compilation.
    """
    found: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.scores.items():
            if value is not None:
                found.setdefault(name, []).append(value)
    pictures = [{"picture": row.picture} | row.scores for row in rows]
    means = {name: statistics.fmean(values) for name, values in found.items()}
    return means | {"seconds": statistics.median(found["seconds"]), "each": pictures}


def bokeh_markdown(report: Mapping[str, Any]) -> str:
    """The table of a bokeh benchmark, its protocol, and the machine."""
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
    lines += table(header, map(cells, report["bokeh"]))
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


def _natural(group: str) -> list[Any]:
    """Sort key: f/2 before f/10."""
    return [float(part) if part[:1].isdigit() else part for part in re.split(r"(\d+(?:\.\d+)?)", group)]
