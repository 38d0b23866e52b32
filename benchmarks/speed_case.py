"""One method on one picture in a process of its own, so that its peak of memory is its own. Started by speed.py:

    python benchmarks/speed_case.py METHOD FOLDER RADIUS_PX THREADS REPEATS

FOLDER holds rgb.npy and coc.npy as speed_scene makes them. Prints one line of JSON. Memory "over the input" is the highest
resident memory while blurring less that with the picture and its CoC loaded and the kernels compiled; the result counts.
GEGL is a command: its memory is that of its whole process less the bytes of its two input pictures.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import gegl_command
import numpy as np
import speed_scene
from quality import METHODS, OURS

from deeplens_dof.warmup import compile_blur

LONG_S = 10.0  # a first run that takes longer is not repeated: it is the measurement
WARM_UP_MEGAPIXELS = 0.2


def main() -> None:
    method, folder, radius_px, threads, repeats = sys.argv[1:]
    measure = measure_gegl if method == "gegl" else measure_here
    print(json.dumps(measure(method, Path(folder), float(radius_px), int(threads), int(repeats))))


def measure_here(method: str, folder: Path, radius_px: float, threads: int, repeats: int) -> dict[str, Any]:
    render = METHODS[method]
    if method in OURS:
        compile_blur()
    rgb, coc = speed_scene.large(WARM_UP_MEGAPIXELS)
    render(rgb, coc * np.float32(min(radius_px, 16)), threads)
    rgb, coc = loaded(folder, radius_px)
    give_back_memory()
    before_mb = resident_mb()
    forget_peak()

    def seconds() -> float:
        started = time.perf_counter()
        render(rgb, coc, threads)
        return time.perf_counter() - started

    return timed(seconds, repeats) | {"over_input_mb": round(peak_mb() - before_mb)}


def measure_gegl(method: str, folder: Path, radius_px: float, threads: int, repeats: int) -> dict[str, Any]:
    rgb, coc = loaded(folder, radius_px)
    peaks = []
    with tempfile.TemporaryDirectory(dir=folder) as place:
        files = gegl_command.Files(Path(place), rgb, coc)

        def seconds() -> float:
            run = gegl_command.run(files, threads)
            peaks.append(run.peak_mb)
            return run.seconds

        report = timed(seconds, repeats)
    return report | {"over_input_mb": round(max(peaks) - (rgb.nbytes + coc.nbytes) / 2**20)}


def timed(seconds: Any, repeats: int) -> dict[str, Any]:
    """Median and range of the repeats after a first run; of the first run alone where that took long."""
    first = seconds()
    every = [first] if first > LONG_S or repeats < 1 else [seconds() for _ in range(repeats)]
    return {
        "median_s": round(float(np.median(every)), 4),
        "from_s": round(min(every), 4),
        "to_s": round(max(every), 4),
        "repeats": len(every),
    }


def loaded(folder: Path, radius_px: float) -> tuple[np.ndarray, np.ndarray]:
    coc = np.load(folder / "coc.npy")
    coc *= np.float32(radius_px)
    return np.load(folder / "rgb.npy"), coc


def give_back_memory() -> None:
    """What was freed and kept for later goes back to the system, where the C library can (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim:
        trim(0)


def resident_mb() -> float:
    """Of this process, now; where the system does not say it, the peak until now."""
    status = Path("/proc/self/statm")
    if status.is_file():
        return int(status.read_text().split()[1]) * resource.getpagesize() / 2**20
    return peak_mb()


def forget_peak() -> None:
    """Lets ru_maxrss begin anew, where the system can (Linux)."""
    switch = Path("/proc/self/clear_refs")
    if switch.exists():
        switch.write_text("5")


def peak_mb() -> float:
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


if __name__ == "__main__":
    main()
