"""The curves of a run: `deeplens train RECIPE --curves` writes curves.svg into the run's folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from deeplens_dof.runtime.atomic_write import write_atomically

WIDTH, ROW, LEFT, GAP = 720, 130, 60, 34


def read_log(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Every series of numbers in a log: its (step, value) pairs by name. The later value of a repeated step counts.

    Raises ValueError when a line is not JSON.
    """
    series: dict[str, dict[int, float]] = {}
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(
                f"line {number} of {path} is not JSON ({error}); expected a training log"
            ) from error
        if entry.get("event") in ("train", "validation"):
            for name in entry.keys() - {"time", "event", "step", "s"}:
                series.setdefault(name, {})[entry["step"]] = float(entry[name])
    return {name: sorted(values.items()) for name, values in sorted(series.items())}


def held_out_scores(run: Path) -> list[str]:
    """A line for each score of a run's validations: its name, the first and the last value. Empty without any."""
    log = run / "log.jsonl"
    series = read_log(log) if log.is_file() else {}
    lines = []
    for name, points in series.items():
        if name.startswith("val_"):
            (first, before), (last, after) = points[0], points[-1]
            earlier = f", at step {first} {before:.4g}" if first < last else ""
            lines.append(f"held out, {name.removeprefix('val_')}: {after:.4g} at step {last}{earlier}")
    return lines


def write_curves(run: Path) -> Path:
    """Writes curves.svg into a run's folder and returns its path.

    Raises FileNotFoundError when the folder has no log, ValueError when the log is broken.
    """
    log, target = run / "log.jsonl", run / "curves.svg"
    if not log.is_file():
        raise FileNotFoundError(f"{run} holds no log.jsonl, expected the folder of a run of `deeplens train`")
    series = read_log(log)
    write_atomically(target, lambda file: file.write(draw(series).encode()))
    return target


def draw(series: dict[str, list[tuple[int, float]]]) -> str:
    """SVG with one small plot per series, all over the same range of steps."""
    last = max(1, max((step for points in series.values() for step, _ in points), default=1))
    plots = [_plot(name, points, last, index) for index, (name, points) in enumerate(series.items())]
    height = len(series) * (ROW + GAP) + GAP
    style = "font: 12px sans-serif; background: white"
    body = "\n".join(plots)
    size = f'width="{WIDTH}" height="{height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} style="{style}">\n{body}\n</svg>\n'


def _plot(name: str, points: list[tuple[int, float]], last: int, index: int) -> str:
    top = GAP + index * (ROW + GAP)
    low, high = min(value for _, value in points), max(value for _, value in points)
    span = high - low or 1.0
    places = [
        (LEFT + step / last * (WIDTH - LEFT - 10), top + ROW - (value - low) / span * ROW)
        for step, value in points
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return (
        f'<text x="{LEFT}" y="{top - 8}">{name}: {points[-1][1]:.4g} at step {points[-1][0]}</text>'
        f'<text x="4" y="{top + 10}">{high:.3g}</text><text x="4" y="{top + ROW}">{low:.3g}</text>'
        f'<rect x="{LEFT}" y="{top}" width="{WIDTH - LEFT - 10}" height="{ROW}" fill="none" stroke="#bbb"/>'
        f'<polyline points="{line}" fill="none" stroke="#06c" stroke-width="1.5"/>'
    )


if __name__ == "__main__":
    print(f"curves are in {write_curves(Path(sys.argv[1]))}")
