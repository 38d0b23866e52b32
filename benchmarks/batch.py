"""How fast and how large workers are: `python benchmarks/batch.py rate|memory [--photos N] [--repeats R]`.

rate: photos of 12 megapixels a minute through the whole product, JPEG to JPEG with predicted depth, by one worker that has
one core, by two workers that have one core each, and by one worker that has two; every worker has done a photo before the
clock starts, and the three take turns. Core seconds, unlike rates, hardly depend on what else the machine does. memory: of
one worker, after each of many small photos. Writes its part of benchmarks/results/batch.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from machine import machine
from PIL import Image

from deeplens_dof import Settings
from deeplens_dof.batch.engines import InWorkers
from deeplens_dof.batch.jobs import Input, Job, plan
from deeplens_dof.batch.manifest import Record
from deeplens_dof.batch.process import JobOptions
from deeplens_dof.runtime.threads import THREADS_VARIABLE

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results/batch.json"
EXAMPLES = ("astronaut.jpg", "chelsea.jpg", "coffee.jpg", "rocket.jpg")
LARGE, SMALL = 12e6, 30e3  # pixels
WAYS = {"1 worker, 1 core": (1, 1), "2 workers, 1 core each": (2, 2), "1 worker, 2 cores": (1, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("rate", "memory"))
    parser.add_argument("--photos", type=int, help="8 for rate, 500 for memory")
    parser.add_argument("--repeats", type=int, default=3, help="of rate")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.what == "rate":
            found = rate(Path(folder), asked.photos or 8, asked.repeats)
        else:
            found = memory(Path(folder), asked.photos or 500)
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    results[asked.what] = {"machine": machine(), **found}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results[asked.what], indent=1))


def make_photos(folder: Path, count: int, pixels: float) -> list[Job]:
    """So many different photos of about that size: the examples, enlarged, with noise; and the jobs to do them."""
    folder.mkdir()
    for number in range(count):
        small = Image.open(ROOT / "examples/photos" / EXAMPLES[number % len(EXAMPLES)]).convert("RGB")
        scale = (pixels / (small.width * small.height)) ** 0.5
        size = (round(small.width * scale), round(small.height * scale))
        large = np.asarray(small.resize(size, Image.Resampling.BICUBIC)).astype(np.int16)
        large = large + np.random.default_rng(number).normal(0, 4, large.shape).astype(np.int16)
        photo = Image.fromarray(np.clip(large, 0, 255).astype(np.uint8))
        photo.save(folder / f"{number:04}.jpg", quality=92)
    return plan([Input(folder)], str(folder) + "-out").jobs


def rate(folder: Path, count: int, repeats: int) -> dict[str, Any]:
    """Photos a minute by number of workers and cores, and the load of the machine by others at the time."""
    jobs = make_photos(folder / "in", count, LARGE)
    minutes: dict[str, list[float]] = {way: [] for way in WAYS}
    core_seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    peaks: dict[str, float] = {}
    loads = []
    for _ in range(repeats):
        for way, (workers, cores) in WAYS.items():
            with engine_of(workers, cores) as engine:
                timed(engine, jobs[:workers])
                others = psutil.cpu_percent(5.0) * (psutil.cpu_count() or 1) / 100
                loads.append(round(others, 2))
                before = core_seconds_of_workers()
                seconds = timed(engine, jobs)
                core_seconds[way].append((core_seconds_of_workers() - before) / count)
                peaks[way] = max(map(peak_mb, workers_of()))
            minutes[way].append(60 * count / seconds)
    one, two, threaded = (statistics.median(minutes[way]) for way in WAYS)
    return {
        "photos": count,
        "megapixels": LARGE / 1e6,
        "photos_a_minute": {way: [round(each, 3) for each in values] for way, values in minutes.items()},
        "2_workers_against_1_worker_of_1_core": round(two / one, 2),
        "2_workers_against_1_worker_of_2_cores": round(two / threaded, 2),
        "core_seconds_a_photo": {
            way: round(statistics.median(values), 2) for way, values in core_seconds.items()
        },
        "photos_a_core_hour": round(3600 / statistics.median(core_seconds["1 worker, 1 core"])),
        "peak_megabytes_of_a_worker": peaks,
        "cores_busy_with_others_before_each": loads,
    }


def memory(folder: Path, count: int) -> dict[str, Any]:
    """Resident megabytes of one worker after each photo, as means of ten."""
    jobs = make_photos(folder / "in", count, SMALL)
    sizes = []
    with engine_of(1, 1) as engine:
        for _ in done(engine, jobs):
            sizes.append(sum(each.memory_info().rss for each in workers_of()) / 1e6)
    tens = [round(statistics.fmean(sizes[at : at + 10]), 1) for at in range(0, count, 10)]
    after_50 = tens[min(4, len(tens) - 1)]
    return {
        "photos": count,
        "megabytes_by_ten": tens,
        "megabytes_after_50": after_50,
        "megabytes_at_the_end": tens[-1],
        "growth_after_50": round(tens[-1] / after_50 - 1, 4),
    }


def workers_of() -> list[psutil.Process]:
    """The worker processes, without multiprocessing's own helper."""
    children = psutil.Process().children()
    return [each for each in children if "resource_tracker" not in " ".join(each.cmdline())]


def core_seconds_of_workers() -> float:
    return sum(each.cpu_times().user + each.cpu_times().system for each in workers_of())


def peak_mb(process: psutil.Process) -> float:
    """The most that a process had resident so far; what it has now where the system does not tell."""
    status = Path(f"/proc/{process.pid}/status")
    if status.is_file():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return round(int(line.split()[1]) * 1024 / 1e6)
    return round(process.memory_info().rss / 1e6)


@contextmanager
def engine_of(workers: int, cores: int) -> Iterator[InWorkers]:
    os.environ[THREADS_VARIABLE] = str(cores)
    engine = InWorkers(workers)
    try:
        yield engine
    finally:
        engine.stop()
        del os.environ[THREADS_VARIABLE]


def done(engine: InWorkers, jobs: list[Job]) -> Iterator[Record]:
    for record in engine.process(iter(jobs), JobOptions(Settings()), lambda *_: None):
        if record.error:
            raise SystemExit(record.error)
        yield record


def timed(engine: InWorkers, jobs: list[Job]) -> float:
    started = time.monotonic()
    for _ in done(engine, jobs):
        pass
    return time.monotonic() - started


if __name__ == "__main__":
    main()
