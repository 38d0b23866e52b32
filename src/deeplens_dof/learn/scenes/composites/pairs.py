"""Composed pairs made in numbers: a sharp picture with its depth, and what a lens makes of it."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from deeplens_dof.datasets.cache import cache_folder
from deeplens_dof.datasets.pairs import VERSION, pair_path, write_pair
from deeplens_dof.evaluate.bokeh.composed import COUNT, SEED
from deeplens_dof.learn.scenes.composites.compose import make_pair
from deeplens_dof.learn.scenes.composites.materials import load_materials
from deeplens_dof.runtime.interrupt import ignore_interrupts

Job = TypeVar("Job")


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
    with multiprocessing.get_context("spawn").Pool(workers, ignore_interrupts) as pool:
        yield from pool.imap_unordered(make, jobs, chunksize=4)


def _write_one(job: tuple[Path, int, int, bool]) -> int:
    import cv2

    cv2.setNumThreads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    out, seed, index, held_out = job
    write_pair(pair_path(out, index), make_pair(seed, index, held_out))
    return index
