"""Pairs on disk: a sharp picture with its depth, and what a lens makes of it. One .npz file each, complete or absent.

`<out>/000/pair_000123.npz` holds
    rgb, bokeh   float16 (S, S, 3), linear light, may exceed 1
    coc_px       float16 (S, S), signed radius of the circle of confusion
    surface      uint8 (S, S), which surface a pixel shows, 0 the nearest
    facts        JSON as bytes: seed, index, held_out, shape, focus, blur_px, version
"""

from __future__ import annotations

import json
import multiprocessing
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from deeplens_dof.evaluate.bokeh import Benchmark
from deeplens_dof.evaluate.composed import COUNT, MADE, SEED, composed
from deeplens_dof.learn.scenes.assets import cache_folder
from deeplens_dof.learn.scenes.compose import Pair, make_pair
from deeplens_dof.learn.scenes.materials import load_materials
from deeplens_dof.runtime.atomic_write import write_atomically
from deeplens_dof.runtime.interrupt import leave_interrupts_to_the_parent

VERSION = 3
Job = TypeVar("Job")


def pair_path(folder: Path, index: int) -> Path:
    """Where pair `index` lies: a thousand a folder."""
    return folder / f"{index // 1000:03d}" / f"pair_{index:06d}.npz"


def pair_files(folder: Path) -> list[Path]:
    """All complete pairs of a folder in order. Raises ValueError when there are none."""
    found = sorted(folder.glob("*/pair_*.npz"))
    if not found:
        raise ValueError(
            f"{folder} holds no pairs; make some with `deeplens scenes {folder} --pairs --count 1000 --seed 1`"
        )
    return found


def make_pairs(
    out: Path,
    count: int,
    seed: int,
    workers: int = 1,
    held_out: bool = False,
    progress: Callable[[int], None] | None = None,
) -> dict[str, int]:
    """Fills `out` with pairs 0 .. count - 1 of a seed; those already there are kept.

    held_out: made of the assets that are never trained on. workers: processes. progress: called with the number made or
    found so far. Returns {"made", "kept"}. Raises RuntimeError without assets, ValueError for a count, seed or workers
    that are too small.
    """
    if count < 1 or seed < 0 or workers < 1:
        raise ValueError(f"count is {count}, seed {seed}, workers {workers}; expected at least 1, 0 and 1")
    out.mkdir(parents=True, exist_ok=True)
    missing = [index for index in range(count) if not pair_path(out, index).exists()]
    if missing:
        load_materials(held_out)  # collected once, before the workers read it
    for made, _ in enumerate(
        made_by(_write_one, [(out, seed, index, held_out) for index in missing], workers), start=1
    ):
        if progress is not None:
            progress(count - len(missing) + made)
    return {"made": len(missing), "kept": count - len(missing)}


def write_pair(path: Path, pair: Pair) -> None:
    """Writes a pair so that it is there whole or not at all."""
    facts = json.dumps({**pair.facts, "version": VERSION}).encode()
    half = {
        name: np.minimum(getattr(pair, name), 6e4).astype(np.float16) for name in ("rgb", "bokeh", "coc_px")
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(
        path,
        lambda file: np.savez(file, surface=pair.surface, facts=np.frombuffer(facts, np.uint8), **half),
    )


def read_pair(path: Path) -> Pair:
    """Reads a pair. Raises ValueError in a sentence when the file is not one."""
    try:
        with np.load(path) as kept:
            rgb, bokeh, coc = (kept[name].astype(np.float32) for name in ("rgb", "bokeh", "coc_px"))
            surface, facts = kept["surface"], json.loads(kept["facts"].tobytes())
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is not a pair ({error}); expected an .npz file as `deeplens scenes --pairs` writes it; delete it "
            "and run that again"
        ) from error
    if rgb.ndim != 3 or rgb.shape != bokeh.shape or coc.shape != rgb.shape[:2] or surface.shape != coc.shape:
        raise ValueError(
            f"{path} holds pictures of shapes {rgb.shape}, {bokeh.shape}, {coc.shape}, expected one size"
        )
    return Pair(rgb, bokeh, coc, surface, facts)


def largest_coc_px(path: Path) -> float:
    """Of a pair, of which no more is read. Raises as `read_pair`."""
    try:
        with np.load(path) as kept:
            return float(np.abs(kept["coc_px"]).max())
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return float(np.abs(read_pair(path).coc_px).max())  # says what is wrong


def composed_benchmark(name: str) -> Benchmark:
    """`pairs` of any folder, or `synthetic`: the split that a seed makes anywhere."""
    made = MADE | {"version": VERSION} if name == "synthetic" else None
    return composed(name, pair_files, read_pair, made)


def synthetic_folder(tell: Callable[[str], None]) -> Path:
    """The pairs of the synthetic benchmark in the cache; those that are missing are made. Raises OSError without the assets
    that they are made of."""
    folder = cache_folder() / "pairs" / f"synthetic_{VERSION}"
    try:
        make_pairs(
            folder, COUNT, SEED, held_out=True, progress=lambda done: tell(f"{done} of {COUNT} pairs made")
        )
    except RuntimeError as error:
        raise OSError(str(error)) from error
    return folder


def made_by(make: Callable[[Job], object], jobs: list[Job], workers: int) -> Iterator[object]:
    """Does the jobs one by one, in this process or in several."""
    if workers == 1 or len(jobs) < 2:
        yield from map(make, jobs)
        return
    with multiprocessing.get_context("spawn").Pool(workers, leave_interrupts_to_the_parent) as pool:
        yield from pool.imap_unordered(make, jobs, chunksize=4)


def _write_one(job: tuple[Path, int, int, bool]) -> int:
    import cv2

    cv2.setNumThreads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    out, seed, index, held_out = job
    write_pair(pair_path(out, index), make_pair(seed, index, held_out))
    return index
