"""Renderers against ground truth: scores by name on the pictures of a benchmark, with its own protocol.

    rows = measure(BenchmarkRun(BENCHMARKS["blb"], Path("BLB"), ("none", "optical")))

The unknown blur of a real lens is searched for, per picture and renderer, for the best SSIM.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from deeplens_dof.datasets.folder import OnError, Tell
from deeplens_dof.evaluate.bokeh.lpips import Lpips
from deeplens_dof.evaluate.bokeh.score_table import Row, ScoreTable
from deeplens_dof.evaluate.metrics import ssim
from deeplens_dof.highlights.network import reconstruct_highlights
from deeplens_dof.lens_blur.render import DISC_ONLY, RENDERERS, render
from deeplens_dof.optics.aperture import Aperture
from deeplens_dof.pipeline import restored

T = TypeVar("T")
Floats = npt.NDArray[np.float32]
NONE = "none"  # the renderer that returns its input
# After a renderer's name: clipped highlights are reconstructed before the blur, as in a photo.
WITH_LIGHT = "+light"
# The smallest blur over the whole depth that the search tries besides none, as a share of the picture's width.
LEAST_SEARCHED = 1 / 500
TRIED, REFINED = 7, 6  # blurs over the whole range, then between the neighbours of the best


@dataclass(frozen=True, slots=True)
class Case:
    """Input of a renderer, and ground truth.

    rgb: linear light (H, W, 3). coc_px: signed CoC (H, W). truth: in the benchmark's display encoding, (H, W, 3). band: bool
    (H, W) around occlusion edges, or None. most_blur: None, or the upper end of the blur search from 0; `coc_px` is then that
    of a blur of 1 px.
    """

    rgb: Floats
    coc_px: Floats
    truth: npt.NDArray[Any]
    aperture: Aperture = field(default_factory=Aperture.disc)
    band: npt.NDArray[np.bool_] | None = None
    most_blur: float | None = None


@dataclass(frozen=True, slots=True)
class BenchmarkEntry:
    """A picture of a benchmark. name: unique in its folder. group: its column in published tables. read: loads the
    case; raises ValueError or OSError, one sentence, for damaged files.
    """

    name: str
    group: str
    read: Callable[[], Case]


class Listing(NamedTuple):
    """entries: pictures. problems: sentences about missing or unexpected files."""

    entries: list[BenchmarkEntry]
    problems: list[str]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Layout and scoring of a benchmark.

    layout: in words. measures: names of the scores. protocol: in words. show: linear light to the encoding that is compared.
    score: displayed picture and case to scores. peak: white of a displayed picture. overall: report a mean over all groups.
    """

    name: str
    layout: str
    measures: tuple[str, ...]
    protocol: str
    listing: Callable[[Path], Listing]
    show: Callable[[Floats], npt.NDArray[Any]]
    score: Callable[[npt.NDArray[Any], Case], dict[str, float]]
    peak: float
    overall: bool = False


@dataclass(frozen=True, slots=True)
class BenchmarkRun:
    """Options of a measurement. limit: at most this many pictures, evenly spaced. on_error: "skip" reports damaged,
    missing or unexpected files (sentences that begin with "skipped"), "refuse" raises ValueError. table: stores
    scores, and supplies those of an earlier run.
    """

    benchmark: Benchmark
    folder: Path
    renderers: Sequence[str]
    limit: int | None = None
    on_error: OnError = "skip"
    lpips: Lpips | None = None
    table: ScoreTable | None = None
    threads: int | None = None
    tell: Tell = lambda _: None


def renderer_names() -> tuple[str, ...]:
    """All that can be asked for; those of `RENDERERS` also followed by WITH_LIGHT."""
    return (NONE, *RENDERERS)


def is_renderer(name: str) -> bool:
    """Whether `measure` knows this name."""
    return name == NONE or name.removesuffix(WITH_LIGHT) in RENDERERS


def measure(run: BenchmarkRun) -> list[Row]:
    """One row for each picture and renderer, in that order.

    Raises FileNotFoundError for a missing folder; ValueError for another layout, an unknown renderer and, with "refuse", for
    files that are damaged, missing or unexpected.
    """
    for name in run.renderers:
        if not is_renderer(name):
            raise ValueError(f"there is no renderer {name!r}; there are: {', '.join(renderer_names())}")
    if not run.folder.is_dir():
        raise FileNotFoundError(
            f"there is no folder {str(run.folder)!r}, expected one of {run.benchmark.name}: {run.benchmark.layout}"
        )
    entries, problems = run.benchmark.listing(run.folder)
    for sentence in problems:
        _skip_or_raise(run, sentence)
    if not entries:
        raise ValueError(
            f"{run.folder} holds no pictures of {run.benchmark.name}, expected {run.benchmark.layout}"
        )
    rows: list[Row] = []
    chosen = subsample(entries, run.limit)
    for number, entry in enumerate(chosen, start=1):
        run.tell(f"{run.benchmark.name}: {entry.name} ({number} of {len(chosen)})")
        rows.extend(_rows(run, entry))
    if not rows:
        raise ValueError(f"no picture of {run.folder} could be scored; see the messages above")
    return rows


def subsample(entries: Sequence[T], limit: int | None) -> Sequence[T]:
    """At most `limit` entries, evenly spaced."""
    if limit is None or len(entries) <= limit:
        return entries
    return [entries[round(place)] for place in np.linspace(0, len(entries) - 1, limit)]


def _rows(run: BenchmarkRun, entry: BenchmarkEntry) -> list[Row]:
    """The rows of a picture; those in the table are not measured again."""
    found = {} if run.table is None else run.table.rows_of(entry.name)
    for row in _made(run, entry, [name for name in run.renderers if name not in found]):
        found[row.renderer] = row
        if run.table is not None:
            run.table.add(row)
    return [found[name] for name in run.renderers if name in found]


def _made(run: BenchmarkRun, entry: BenchmarkEntry, renderers: Sequence[str]) -> Iterator[Row]:
    """A row of each renderer, up to the first for which the picture is unusable."""
    case: Case | None = None
    for name in renderers:
        try:
            case = case or entry.read()
            row = _row(run, entry, case, name)
        except (ValueError, OSError) as error:
            text = " ".join(str(error).split())
            _skip_or_raise(run, text if str(run.folder) in text else f"{entry.name}: {text}")
            return
        yield row


def _row(run: BenchmarkRun, entry: BenchmarkEntry, case: Case, name: str) -> Row:
    started = time.perf_counter()
    blur, light = _rendered(run, case, name)
    seconds = time.perf_counter() - started
    shown = run.benchmark.show(light)
    found = run.benchmark.score(shown, case)
    scores: dict[str, float | None] = {
        measure: None if math.isnan(value) else value for measure, value in found.items()
    }
    scores["lpips"] = None if run.lpips is None else run.lpips.distance(shown, case.truth, run.benchmark.peak)
    return Row(name, entry.name, entry.group, scores | {"blur_px": blur, "seconds": round(seconds, 3)})


def _rendered(run: BenchmarkRun, case: Case, name: str) -> tuple[float | None, Floats]:
    """The blur found by the search (None where it is known), and the picture.

    Renderers limited to a disc are scored with it.
    """
    if name == NONE:
        return None, case.rgb
    renderer = name.removesuffix(WITH_LIGHT)
    aperture = Aperture.disc() if renderer in DISC_ONLY else case.aperture
    light = case.rgb
    if name.endswith(WITH_LIGHT) and light.max() <= 1:  # else it has light above white already
        light = reconstruct_highlights(light, 1.0, threads=run.threads)

    def at(blur: float) -> Floats:
        coc_px = case.coc_px * np.float32(blur)
        blurred = render(light, coc_px, aperture, renderer, run.threads)
        return restored(blurred, case.rgb, light, coc_px)

    if case.most_blur is None:
        return None, at(1.0)

    def likeness(blur: float) -> float:
        return ssim(run.benchmark.show(at(blur)), case.truth, run.benchmark.peak)

    blur = best_blur(likeness, case.coc_px.shape[1] * LEAST_SEARCHED, case.most_blur)
    return blur, at(blur)


def best_blur(likeness: Callable[[float], float], least: float, most: float) -> float:
    """The blur with the largest `likeness`: 0, or between `least` and `most`.

    The range is sampled in equal ratios, then refined by golden sections between the neighbours of the best.
    """
    tried = {blur: likeness(blur) for blur in (0.0, *(float(b) for b in np.geomspace(least, most, TRIED)))}
    order = sorted(tried)
    place = order.index(max(tried, key=lambda blur: tried[blur]))
    low, high = order[max(0, place - 1)], order[min(len(order) - 1, place + 1)]
    golden = (5**0.5 - 1) / 2
    for _ in range(REFINED):
        left, right = high - golden * (high - low), low + golden * (high - low)
        for blur in (left, right):
            if blur not in tried:
                tried[blur] = likeness(blur)
        low, high = (low, right) if tried[left] >= tried[right] else (left, high)
    return max(tried, key=lambda blur: tried[blur])


def _skip_or_raise(run: BenchmarkRun, sentence: str) -> None:
    if run.on_error == "refuse":
        raise ValueError(sentence)
    run.tell(f"skipped: {sentence}")
