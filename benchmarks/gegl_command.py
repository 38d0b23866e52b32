"""GEGL's operation `lens-blur`, run by the command `gegl` on files.

    radius       the largest CoC radius in px
    aux          |CoC| / radius, read as it stands (linear-mask=true); the operation knows no sign: nothing occludes
    input        linear light, float EXR

Its rule: a pixel is spread over the rows of a disc of its radius + 0.5 px, with weight 1 / area.

Seconds are what GEGL's own instrumentation (GEGL_DEBUG_TIME) says about the operation: starting the process, reading and
writing files do not count. Nor does GEGL swap to disk here: its cache is as large as need be.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CACHE_MB = 64_000


@dataclass(frozen=True)
class Run:
    """seconds: of the operation alone. peak_mb: of the whole process, pictures included."""

    seconds: float
    peak_mb: float


class Files:
    """Input, mask and result of one picture in a folder."""

    def __init__(self, folder: Path, rgb: np.ndarray, coc_px: np.ndarray) -> None:
        self.input, self.mask, self.output = (folder / name for name in ("in.exr", "mask.exr", "out.npy"))
        self.radius = float(np.abs(coc_px).max())
        _write_exr(self.input, rgb)
        _write_exr(self.mask, (np.abs(coc_px) / max(self.radius, 1e-6))[..., None])

    def result(self) -> np.ndarray:
        """float32 (H, W, 3) linear light."""
        return np.ascontiguousarray(np.load(self.output)[..., :3], np.float32)


def installed() -> bool:
    return shutil.which("gegl") is not None


def version() -> str | None:
    """Of the library, as Debian's or pkg-config's record says; None when neither does."""
    for command in (
        ["dpkg-query", "-W", "-f", "${Version}", "gegl"],
        ["pkg-config", "--modversion", "gegl-0.4"],
    ):
        if shutil.which(command[0]):
            ended = subprocess.run(command, capture_output=True, text=True)
            if ended.returncode == 0 and ended.stdout:
                return ended.stdout.strip()
    return None


def run(files: Files, threads: int, limit_s: float | None = None) -> Run:
    """Blurs once. Raises RuntimeError when GEGL fails, subprocess.TimeoutExpired beyond the limit."""
    load = "gegl:exr-load"
    command = ["gegl", "-o", str(files.output), "--", load, f"path={files.input}"]
    command += ["gegl:lens-blur", f"radius={files.radius!r}", "linear-mask=true"]
    command += ["aux=[", load, f"path={files.mask}", "]"]
    environment = os.environ | {
        "GEGL_THREADS": str(threads),
        "GEGL_DEBUG_TIME": "1",
        "GEGL_CACHE_SIZE": str(CACHE_MB),
        "GEGL_USE_OPENCL": "no",
        "LC_ALL": "C.UTF-8",
    }
    files.output.unlink(missing_ok=True)
    measured = ["/usr/bin/time", "-f", "peak kB %M"] if os.path.exists("/usr/bin/time") else []
    ended = subprocess.run(
        measured + command, env=environment, capture_output=True, text=True, timeout=limit_s, errors="replace"
    )
    said = ended.stdout + ended.stderr
    if ended.returncode or not files.output.is_file():
        raise RuntimeError(f"gegl made no picture: {said.strip()[-300:]}")
    peak = re.search(r"peak kB (\d+)", said)
    return Run(seconds_of_operation(said), int(peak[1]) / 1024 if peak else float("nan"))


def seconds_of_operation(said: str) -> float:
    """Total time times the share of `process` times the share in it of `gegl:lens-blur`, from GEGL_DEBUG_TIME's tree."""
    total = re.search(r"Total time: ([\d.]+)s", said)
    process = re.search(r"^\s+process\s+([\d.]+)%", said, re.MULTILINE)
    operation = re.search(r"^\s+gegl:lens-blur\s+([\d.]+)%", said, re.MULTILINE)
    if not (total and process and operation):
        raise RuntimeError("gegl did not say how long its operation took (GEGL_DEBUG_TIME)")
    return float(total[1]) * float(process[1]) / 100 * float(operation[1]) / 100


def _write_exr(path: Path, values: np.ndarray) -> None:
    import OpenImageIO as oiio

    height, width, channels = values.shape
    spec = oiio.ImageSpec(width, height, channels, "float")
    spec.channelnames = ("R", "G", "B") if channels == 3 else ("Y",)
    spec.attribute("compression", "none")
    output = oiio.ImageOutput.create(str(path))
    if not (
        output
        and output.open(str(path), spec)
        and output.write_image(np.ascontiguousarray(values, np.float32))
    ):
        raise RuntimeError(f"{path} could not be written: {oiio.geterror()}")
    output.close()
