"""Makes folders of composed pairs, in one process or in several."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from deeplens_dof.datasets.cache import cache_folder
from deeplens_dof.datasets.pairs import VERSION, pair_path, write_pair
from deeplens_dof.evaluate.bokeh.composed import COUNT, SEED
from deeplens_dof.learn.scenes.composites.compose import make_pair
from deeplens_dof.learn.scenes.composites.materials import load_materials
from deeplens_dof.learn.scenes.processes import run_jobs


def make_pairs(
    out: Path,
    count: int,
    seed: int,
    workers: int = 1,
    held_out: bool = False,
    progress: Callable[[int], None] | None = None,
) -> dict[str, int]:
    """Fills `out` with pairs 0 .. count - 1 of a seed; those already there are kept.

    Args:
        out: the folder; made if it is not there.
        count: 1 or more.
        seed: 0 or more.
        workers: processes.
        held_out: use the assets that are never trained on.
        progress: called with the number of pairs made or found so far.

    Returns:
        The counts {"made", "kept"}.

    Raises:
        RuntimeError: the assets have not been fetched.
        ValueError: count, seed or workers is too small.
    """
    if count < 1 or seed < 0 or workers < 1:
        raise ValueError(f"count is {count}, seed {seed}, workers {workers}; expected at least 1, 0 and 1")
    out.mkdir(parents=True, exist_ok=True)
    missing = [index for index in range(count) if not pair_path(out, index).exists()]
    if missing:
        load_materials(held_out)  # collected once, before the workers read it
    for made, _ in enumerate(
        run_jobs(_write_one, [(out, seed, index, held_out) for index in missing], workers), start=1
    ):
        if progress is not None:
            progress(count - len(missing) + made)
    return {"made": len(missing), "kept": count - len(missing)}


def synthetic_folder(tell: Callable[[str], None]) -> Path:
    """The folder of the synthetic benchmark in the cache; missing pairs are made. Raises OSError without their assets."""
    folder = cache_folder() / "pairs" / f"synthetic_{VERSION}"
    try:
        make_pairs(
            folder, COUNT, SEED, held_out=True, progress=lambda done: tell(f"{done} of {COUNT} pairs made")
        )
    except RuntimeError as error:
        raise OSError(str(error)) from error
    return folder


def _write_one(job: tuple[Path, int, int, bool]) -> int:
    import cv2

    cv2.setNumThreads(1)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    out, seed, index, held_out = job
    write_pair(pair_path(out, index), make_pair(seed, index, held_out))
    return index
