"""Bokeh scores of `deeplens evaluate`: one benchmark, one folder, several renderers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deeplens_dof.datasets.folder import OnError, Tell
from deeplens_dof.evaluate.bokeh.blb import BLB
from deeplens_dof.evaluate.bokeh.composed import PAIRS, SYNTHETIC
from deeplens_dof.evaluate.bokeh.ebb import EBB
from deeplens_dof.evaluate.bokeh.lpips import Lpips
from deeplens_dof.evaluate.bokeh.measure import Benchmark, BenchmarkRun, measure
from deeplens_dof.evaluate.bokeh.realbokeh import REALBOKEH
from deeplens_dof.evaluate.bokeh.report import bokeh_report
from deeplens_dof.evaluate.bokeh.score_table import ScoreTable
from deeplens_dof.evaluate.bokeh.traced import TRACED

BENCHMARKS: dict[str, Benchmark] = {
    benchmark.name: benchmark for benchmark in (BLB, EBB, REALBOKEH, TRACED, PAIRS, SYNTHETIC)
}


@dataclass(frozen=True, slots=True)
class BokehOptions:
    """renderers: names. csv_file: receives the scores of each picture at once. resume: keep the scores already in it.
    lpips: an ONNX network of the user's. The others are as in `BenchmarkRun`.
    """

    renderers: Sequence[str]
    csv_file: Path | None = None
    resume: bool = False
    lpips: Path | None = None
    limit: int | None = None
    on_error: OnError = "skip"
    threads: int | None = None
    tell: Tell = lambda _: None


def score_bokeh(benchmark: Benchmark, folder: Path, wanted: BokehOptions) -> dict[str, Any]:
    """The report of `bokeh_report`. Raises as `measure`, `Lpips` and `ScoreTable` do."""
    notes: list[str] = []

    def tell(text: str) -> None:
        if text.startswith("skipped"):
            notes.append(text)
        wanted.tell(text)

    lpips = Lpips(wanted.lpips, wanted.threads) if wanted.lpips else None
    table = None
    if wanted.csv_file is not None:
        measures = [*benchmark.measures, "lpips", "seconds"]
        needed = ["lpips"] if lpips else []
        table = ScoreTable(wanted.csv_file, benchmark.name, measures, needed, wanted.resume)
    run = BenchmarkRun(
        benchmark, folder, wanted.renderers, wanted.limit, wanted.on_error, lpips, table, wanted.threads, tell
    )
    rows = measure(run)
    return bokeh_report(run, rows, notes)
