"""How long the lens blurs take, and what they cost in memory.

    python benchmarks/speed.py                             12 MP and less, every method
    python benchmarks/speed.py --megapixels 1,4,12,48      all of it; the others take minutes at 48 MP
    python benchmarks/speed.py --memory 100                also 100 MP at 2 %, ours alone, once

The largest CoC radius is 1, 2, 4 and 8 percent of the picture's width; the depth is given; every method has the same
picture (speed_scene.py) and the same number of threads, one after the other. Each (method, size, radius) has a process of
its own. A first run is thrown away, unless it takes more than 10 s: then it is the measurement. What would take longer
than --limit is stopped or left out, and the table says so. GEGL's time is that of its operation alone (gegl_command.py).
Times depend on the machine and on what else it does: compare rows of one run, not machines.

Results go to benchmarks/results/speed.json and, as Markdown, to the terminal.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import speed_scene
from machine import machine, versions
from quality import OURS, RESULTS, chosen

CASE = Path(__file__).parent / "speed_case.py"
START_S = 60.0  # for starting a process, reading the picture and compiling
MEMORY_PERCENT = 2.0
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megapixels", type=numbers, default=[1.0, 4.0, 12.0])
    parser.add_argument(
        "--radius", type=numbers, default=[1.0, 2.0, 4.0, 8.0], help="largest, in percent of the width"
    )
    parser.add_argument("--methods", default="scatter,discs,gegl,optical")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--limit", type=float, default=120.0, help="seconds that one run may take")
    parser.add_argument(
        "--memory", type=float, help="megapixels at which to measure the memory of ours alone"
    )
    parser.add_argument("--scratch", type=Path, help="folder for the pictures, 0.6 GB for 48 MP")
    parser.add_argument("--out", type=Path, default=RESULTS / "speed.json")
    arguments = parser.parse_args()
    methods = chosen(arguments.methods)
    rows: list[Row] = []
    for megapixels in arguments.megapixels:
        with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
            width = write_scene(Path(folder), megapixels)
            for percent in arguments.radius:
                for method in methods:
                    case = {"megapixels": megapixels, "radius_percent": percent, "method": method}
                    rows.append(case | measured(rows, case, Path(folder), width, arguments))
                    print(sentence(rows[-1]), flush=True)
    report: dict[str, Any] = {"machine": machine(), "versions": versions(), "threads": arguments.threads}
    report["rows"] = rows
    for megapixels in arguments.megapixels:
        print("\n" + table(rows, megapixels, methods, arguments.radius))
    if arguments.memory:
        report["memory"] = memory(arguments)
        print("\nMemory alone: " + sentence(report["memory"]))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")


def numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def write_scene(folder: Path, megapixels: float) -> int:
    """Puts the picture and its CoC, whose largest is 1, there; gives its width."""
    rgb, coc = speed_scene.large(megapixels)
    np.save(folder / "rgb.npy", rgb)
    np.save(folder / "coc.npy", coc)
    return coc.shape[1]


def measured(rows: list[Row], case: Row, folder: Path, width: int, arguments: argparse.Namespace) -> Row:
    """What speed_case says; or {"skipped": why}."""
    at_least = least_seconds(rows, case)
    if at_least > arguments.limit:
        return {
            "skipped": f"would take more than {arguments.limit:g} s (by its time on less: {at_least:.0f} s)"
        }
    radius_px = case["radius_percent"] / 100 * width
    parts = (CASE, case["method"], folder, radius_px, arguments.threads, arguments.repeats)
    command = [sys.executable, *map(str, parts)]
    said = output_within(command, arguments.limit + START_S)
    if said is None:
        return {"skipped": f"took more than {arguments.limit:g} s and was stopped"}
    return json.loads(said.splitlines()[-1]) | {"radius_px": round(radius_px, 1)}


def output_within(command: list[str], limit_s: float) -> str | None:
    """What the command prints; None when it takes longer: then it and what it started is ended. Raises SystemExit when it
    fails."""
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        said, problem = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{problem[-2000:]}")
    return said


def least_seconds(rows: list[Row], case: Row) -> float:
    """What another method took with no larger a radius, in proportion to the pixels; ours is always tried."""
    found = [0.0]
    if case["method"] in OURS:
        return 0.0
    for row in rows:
        if row["method"] == case["method"] and row["radius_percent"] <= case["radius_percent"]:
            more = case["megapixels"] / row["megapixels"]
            if more >= 1:
                found.append(row["median_s"] * more if "median_s" in row else float("inf"))
    return max(found)


def memory(arguments: argparse.Namespace) -> Row:
    """Ours alone, once, on a large picture."""
    case = {"megapixels": arguments.memory, "radius_percent": MEMORY_PERCENT, "method": "optical"}
    once = argparse.Namespace(limit=600.0, threads=arguments.threads, repeats=0)
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
        width = write_scene(Path(folder), arguments.memory)
        return case | measured([], case, Path(folder), width, once)


def sentence(row: Row) -> str:
    start = f"{row['megapixels']:g} MP, {row['radius_percent']:g} %, {row['method']}: "
    return start + (row.get("skipped") or f"{seconds(row)}, {row['over_input_mb']} MB over the input")


def seconds(row: Row) -> str:
    """Median and range."""
    span = "one run" if row["repeats"] == 1 else f"{row['from_s']:.2f} to {row['to_s']:.2f}"
    return f"{row['median_s']:.2f} s ({span})"


def table(rows: list[Row], megapixels: float, methods: list[str], radii: list[float]) -> str:
    """Markdown: a method a line, a radius a column; seconds (range), times ours, MB over the input."""
    names = [f"{megapixels:g} MP", *(f"radius {radius:g} %" for radius in radii)]
    lines = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    found = {(row["method"], row["radius_percent"]): row for row in rows if row["megapixels"] == megapixels}
    for method in methods:
        cells = [cell(found[method, radius], found.get(("optical", radius))) for radius in radii]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(row: Row, ours: Row | None) -> str:
    if "skipped" in row:
        return "too long"
    text = seconds(row)
    if ours and ours is not row and "median_s" in ours:
        text += f", {row['median_s'] / ours['median_s']:.2g}x"
    return f"{text}, {row['over_input_mb']} MB"


if __name__ == "__main__":
    main()
