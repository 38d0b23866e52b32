"""How long the lens blur takes, and what it costs in memory.

    python benchmarks/speed.py [--megapixels 1,12] [--radius 1,2,4,8] [--repeats 3] [--out FILE.json]

A scene of the benchmark, enlarged; the largest radius in percent of the width; the depth is given. Median and range of the
repeats after one run that compiles, beside 32 disc layers (OpenCV) in the same run. Times depend on the machine and on
what else it does: compare columns, not machines.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from quality import HERE, METHODS, truths


def enlarged(megapixels: float) -> tuple[np.ndarray, np.ndarray]:
    """Linear light (H, W, 3) and CoC (H, W) of the room, focused at the middle, of that many megapixels."""
    each = next(t for t in truths({5}) if t.scene == "room" and t.focus == 2)
    height, width = each.coc_px.shape
    scale = (megapixels * 1e6 / (height * width)) ** 0.5
    size = round(width * scale), round(height * scale)
    rgb = cv2.resize(each.rgb, size, interpolation=cv2.INTER_CUBIC).clip(0)
    return rgb, cv2.resize(each.coc_px, size, interpolation=cv2.INTER_NEAREST)


def timed(method: str, rgb: np.ndarray, coc: np.ndarray, repeats: int) -> dict[str, Any]:
    METHODS[method](rgb, coc)
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        METHODS[method](rgb, coc)
        seconds.append(round(time.perf_counter() - started, 3))
    return {"median_s": float(np.median(seconds)), "from_s": min(seconds), "to_s": max(seconds)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megapixels", default="1,12")
    parser.add_argument("--radius", default="1,2,4,8", help="largest radius in percent of the width")
    parser.add_argument("--methods", default="optical,discs")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "speed.json")
    arguments = parser.parse_args()
    rows = []
    for megapixels in (float(m) for m in arguments.megapixels.split(",")):
        rgb, coc = enlarged(megapixels)
        for percent in (float(r) for r in arguments.radius.split(",")):
            scaled = coc * np.float32(percent / 100 * coc.shape[1] / np.abs(coc).max())
            for method in arguments.methods.split(","):
                row = {"megapixels": megapixels, "radius_percent": percent, "method": method}
                row |= timed(method, rgb, scaled, arguments.repeats)
                rows.append(row)
                span = f"{row['from_s']:.2f} to {row['to_s']:.2f}"
                print(
                    f"{megapixels:g} MP, {percent:g} %, {method}: {row['median_s']:.2f} s ({span})",
                    flush=True,
                )
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    report = {"cores": os.cpu_count(), "load": os.getloadavg()[0], "peak_mb_of_all": peak_mb, "rows": rows}
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
