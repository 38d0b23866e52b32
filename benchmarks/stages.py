"""Where the time of one photo goes: every stage of `deeplens blur`, cold and warm.

    python benchmarks/stages.py PHOTO                            the photo at 1, 12 and 48 MP
    python benchmarks/stages.py PHOTO --megapixels 12 --repeats 5 --json benchmarks/results/stages.json

A process of its own for each size imports the package, reads the photo from a JPEG, analyses it, blurs it at the default
settings and writes a JPEG; then does so again `--repeats` times (warm). The stages are the functions that the product itself
calls, wrapped in clocks. "other" is what lies between them. CPU seconds are those of all threads, of use where other
programs share the machine: compare them and the shares of one run, not seconds of different machines.
"""

from __future__ import annotations

import argparse
import importlib
import io
import json
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

Seconds = tuple[float, float]  # wall, CPU of all threads

# Stage: module, owner within it or "", function. Stages never call each other.
STAGES = (
    ("network", "deeplens_dof.depth.predict", "", "predict_coarse"),
    ("matte", "deeplens_dof.depth.predict", "", "full_matte"),
    ("refine", "deeplens_dof.depth.predict", "", "refine"),
    ("subject", "deeplens_dof.depth.subject", "", "find_subject"),
    ("linear", "deeplens_dof.photo.photo", "Photo", "linear"),
    ("light", "deeplens_dof.highlights.network", "", "reconstruct_highlights"),
    ("circles", "deeplens_dof.scene", "Scene", "coc_px"),
    ("render", "deeplens_dof.lens_blur.render", "", "render_subject"),
    ("restore", "deeplens_dof.pipeline", "", "restored"),
    ("measure grain", "deeplens_dof.imaging.film_grain", "", "measure_grain"),
    ("grain", "deeplens_dof.imaging.film_grain", "", "with_grain"),
    ("encode", "deeplens_dof.photo.photo", "Photo", "encode"),
)
ORDER = ("start", "read", *(stage[0] for stage in STAGES), "write", "other", "all")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photo", type=Path)
    parser.add_argument("--megapixels", default="1,12,48", help="sizes, separated by commas")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write every time here")
    parser.add_argument("--case", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(case(arguments.photo, arguments.repeats)))
        return
    found = {}
    for size in arguments.megapixels.split(","):
        found[size] = of_size(arguments.photo, float(size), arguments.repeats)
        print(f"\n{table(size, found[size])}", flush=True)
    if arguments.json:
        from machine import machine, versions

        report = {"machine": machine(), "versions": versions(), "sizes": found}
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")


def of_size(photo: Path, megapixels: float, repeats: int) -> dict[str, Any]:
    """What `case` finds for the photo at that size, in a process of its own."""
    from PIL import Image, ImageOps

    with tempfile.TemporaryDirectory() as folder:
        picture = ImageOps.exif_transpose(Image.open(photo)).convert("RGB")
        scale = math.sqrt(megapixels * 1e6 / (picture.width * picture.height))
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        small = Path(folder) / "photo.jpg"
        picture.resize(size, Image.Resampling.LANCZOS).save(small, quality=93)
        command = [sys.executable, __file__, str(small), "--case", "--repeats", str(repeats)]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, Any] = json.loads(answer)
    return found


def case(photo: Path, repeats: int) -> dict[str, Any]:
    """Wall and CPU seconds of every stage: of the first run, and of each warm one; the peak of memory in MB."""
    spent: dict[str, Seconds] = {}
    began = now()
    for _, module, _, _ in STAGES:
        importlib.import_module(module)
    start = since(began)
    for name, module, owner, function in STAGES:
        place: Any = importlib.import_module(module)
        place = getattr(place, owner) if owner else place
        setattr(place, function, timed(getattr(place, function), name, spent))
    runs = []
    for number in range(1 + repeats):
        spent.clear()
        if number == 0:
            spent["start"] = start
        whole = now()
        one_photo(photo, spent)
        took = since(whole)
        if number == 0:
            took = took[0] + start[0], took[1] + start[1]
        stages = [sum(each[clock] for each in spent.values()) for clock in (0, 1)]
        spent["other"], spent["all"] = (took[0] - stages[0], took[1] - stages[1]), took
        runs.append(dict(spent))
    unit = 1024 * 1024 if sys.platform == "darwin" else 1024
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return {"cold": runs[0], "warm": runs[1:], "peak_mb": round(peak_mb)}


def one_photo(photo: Path, spent: dict[str, Seconds]) -> None:
    import deeplens_dof as dl

    found = timed(dl.read, "read", spent)(photo)
    result = dl.refocus(dl.analyse(found, "predict"))
    result.image  # noqa: B018 (encodes; writing is a stage of its own)
    blurred = result.as_photo()
    timed(lambda: io.BytesIO(blurred.to_bytes(format="JPEG")), "write", spent)()


def timed(function: Callable[..., Any], name: str, spent: dict[str, Seconds]) -> Callable[..., Any]:
    """The function, whose time is added to `spent` under that name."""

    @wraps(function)
    def with_clock(*values: Any, **named: Any) -> Any:
        began = now()
        try:
            return function(*values, **named)
        finally:
            wall, cpu = since(began)
            before = spent.get(name, (0.0, 0.0))
            spent[name] = before[0] + wall, before[1] + cpu

    return with_clock


def now() -> Seconds:
    return time.perf_counter(), time.process_time()


def since(began: Seconds) -> Seconds:
    wall, cpu = now()
    return wall - began[0], cpu - began[1]


def table(size: str, found: dict[str, Any]) -> str:
    """Markdown: stages as rows; cold and warm, wall and CPU seconds, medians, and the share of the warm CPU seconds."""
    rows = [
        f"| {size} MP, peak {found['peak_mb']} MB | cold, s | CPU s | warm, s | CPU s | share |",
        "|---|---|---|---|---|---|",
    ]
    whole = statistics.median(run["all"][1] for run in found["warm"])
    for name in ORDER:
        cold = found["cold"].get(name, (0.0, 0.0))
        wall, cpu = (statistics.median(run.get(name, (0, 0))[c] for run in found["warm"]) for c in (0, 1))
        numbers = [f"{value:.2f}" for value in (*cold, wall, cpu)]
        rows.append(f"| {name} | {' | '.join(numbers)} | {cpu / max(whole, 1e-9):.0%} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
