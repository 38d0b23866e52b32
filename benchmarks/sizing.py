"""What a cluster needs for many photos: `python benchmarks/sizing.py [--price P] [--count N] [--cores N] [--again]`.

Measures one worker that has one core, on photos of 12 megapixels, JPEG to JPEG with predicted depth, after one that does not
count: processor seconds a photo (which, unlike the time on the clock, others on the machine hardly change) and its largest
resident memory. Writes benchmarks/results/sizing.json and prints the table of docs/cluster.md; a later call computes it from
that file, unless `--again` is said. price: of one core for one hour, in whatever currency; it is an assumption of yours.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

from batch import LARGE, ROOT, core_seconds_of_workers, engine_of, make_photos, peak_mb, timed, workers_of
from machine import machine

RESULTS = ROOT / "benchmarks/results/sizing.json"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=6, help="to measure with")
    parser.add_argument("--price", type=float, default=0.04, help="of a core for an hour")
    parser.add_argument("--count", type=int, default=1_000_000, help="photos to be done")
    parser.add_argument("--cores", type=int, default=16, help="of one machine")
    parser.add_argument("--again", action="store_true", help="measure, even if that has been done")
    asked = parser.parse_args()
    if asked.again or not RESULTS.is_file():
        with tempfile.TemporaryDirectory() as folder:
            found = {"machine": machine(), **measure(Path(folder), asked.photos)}
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    print(table(json.loads(RESULTS.read_text()), asked.price, asked.count, asked.cores))


def measure(folder: Path, count: int) -> dict[str, Any]:
    """Seconds of the processor for each photo, the worker's largest memory, and the sizes of files."""
    jobs = make_photos(folder / "in", count + 1, LARGE)
    seconds = [0.0]
    with engine_of(1, 1) as engine:
        for job in jobs:
            timed(engine, [job])
            seconds.append(core_seconds_of_workers())
        peak = max(map(peak_mb, workers_of()))
    each = [round(after - before, 3) for before, after in pairwise(seconds)]
    files = [(job.source.stat().st_size, job.out.stat().st_size) for job in jobs]
    return {
        "megapixels": LARGE / 1e6,
        "first_photo_with_loading": each[0],
        "core_seconds_a_photo": each[1:],
        "largest_memory_mb": peak,
        "mean_mb_in_and_out": [round(statistics.fmean(sizes) / 1e6, 2) for sizes in zip(*files, strict=True)],
    }


def table(found: dict[str, Any], price: float, count: int, cores: int) -> str:
    """As Markdown."""
    seconds = statistics.median(found["core_seconds_a_photo"])
    hours = count * seconds / 3600
    memory_gb = found["largest_memory_mb"] / 1e3
    size_in, size_out = found["mean_mb_in_and_out"]
    rows = {
        f"processor time for a photo of {found['megapixels']:g} megapixels": f"{seconds:.2f} core-seconds",
        "photos per core-hour": f"{3600 / seconds:,.0f}",
        "memory per worker, at most": f"{memory_gb:.2f} GB",
        f"memory of a machine with {cores} workers on {cores} cores": f"{cores * memory_gb:.0f} GB",
        f"{count:,} photos": f"{hours:,.0f} core-hours",
        f"machines of {cores} cores to do them within a day": f"{max(1, -(-hours // (24 * cores))):.0f}",
        f"price of that at {price:g} per core-hour": f"{hours * price:,.0f}",
        f"read and written, at {size_in:g} and {size_out:g} MB a photo": f"{count * size_in / 1e6:.1f} and "
        f"{count * size_out / 1e6:.1f} TB",
    }
    lines = [f"| {what} | {value} |" for what, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines])


if __name__ == "__main__":
    main()
