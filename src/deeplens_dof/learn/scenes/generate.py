"""Makes synthetic frames: composes a random stage for frame i, rasterises it and exposes the picture."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.datasets.frames import Frame, frame_path, write_frame
from deeplens_dof.learn.scenes.objects.library import LIBRARY_VERSION, Library, load_library
from deeplens_dof.learn.scenes.processes import run_jobs
from deeplens_dof.learn.scenes.render.photographic import contact_shadow, exposed, random_defocus
from deeplens_dof.learn.scenes.render.raster import Drawing, Rasteriser
from deeplens_dof.learn.scenes.stages import closeups, nearby, outdoors, portraits, rooms
from deeplens_dof.learn.scenes.stages.stage import Stage
from deeplens_dof.runtime.atomic_write import SUFFIX

LONG_SIDE, SHORT_SIDE = 448, 336
UPRIGHT_SHARE = 0.3
STALE_AFTER_S = 600  # an unfinished file older than this was left by a killed process
ATTEMPTS = 8  # scenes composed until one is worth keeping; some show only a wall before the lens

KINDS: dict[str, tuple[float, Callable[[Stage], None]]] = {  # share of frames, composer
    "room": (0.35, rooms.room),
    "portrait": (0.20, portraits.portrait),
    "outdoor": (0.17, outdoors.outdoor),
    "macro": (0.10, closeups.macro),
    "tabletop": (0.10, closeups.tabletop),
    "cutout": (0.05, portraits.cutout),
    "flying": (0.03, closeups.flying),
}
OCCLUDER_CHANCE = {"portrait": 0.25, "outdoor": 0.25, "cutout": 0.2, "room": 0.05}
HAND_CHANCE = {"room": 0.05, "outdoor": 0.06, "tabletop": 0.1, "portrait": 0.06}
NIGHT_CHANCE = {"outdoor": 0.14, "portrait": 0.06, "room": 0.04, "tabletop": 0.04}


def make_scenes(
    out: Path, count: int, seed: int, workers: int = 1, progress: Callable[[int], None] | None = None
) -> dict[str, int]:
    """Fills `out` with frames 0 .. count - 1 of a seed; those already there are kept.

    Args:
        out: the folder; made if it is not there.
        count: 1 or more.
        seed: 0 or more.
        workers: processes.
        progress: called with the number of frames made or found so far.

    Returns:
        The counts {"made", "kept"}.

    Raises:
        RuntimeError: assets or OpenGL are missing.
        ValueError: count, seed or workers is too small.
    """
    if count < 1 or seed < 0 or workers < 1:
        raise ValueError(f"count is {count}, seed {seed}, workers {workers}; expected at least 1, 0 and 1")
    import moderngl  # noqa: F401 - fails here rather than after the library has been built

    out.mkdir(parents=True, exist_ok=True)
    for stale in out.glob(f"*/.*{SUFFIX}"):
        if time.time() - stale.stat().st_mtime > STALE_AFTER_S:
            stale.unlink(missing_ok=True)
    missing = [index for index in range(count) if not frame_path(out, index).exists()]
    kept = count - len(missing)
    load_library()  # built before the workers map it
    jobs = [(out, seed, index) for index in missing]
    for made, _ in enumerate(run_jobs(_write_one, jobs, workers), start=1):
        if progress is not None:
            progress(kept + made)
    return {"made": len(missing), "kept": kept}


def _write_one(job: tuple[Path, int, int]) -> int:
    out, seed, index = job
    write_frame(frame_path(out, index), make_frame(seed, index))
    return index


@cache
def _studio() -> tuple[Library, Rasteriser]:
    """The library and the OpenGL context of this process."""
    import cv2

    cv2.setNumThreads(1)
    os.environ.setdefault("LP_NUM_THREADS", "1")  # one core per process; llvmpipe would take them all
    library = load_library()
    return library, Rasteriser(library)


def make_frame(seed: int, index: int) -> Frame:
    """Frame `index` of a seed; the same arguments give the same pixels. Raises RuntimeError without assets or OpenGL."""
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([seed, index, attempt])
        kind, stage, drawing = _draw(rng)
        rgb = _develop(stage, drawing)
        if attempt == ATTEMPTS - 1 or _is_worth_keeping(rgb, drawing):
            break
    facts: dict[str, Any] = {"seed": seed, "index": index, "kind": kind, "library": LIBRARY_VERSION}
    return Frame(rgb, drawing.inverse_depth, _subject(stage, drawing), facts)


def _draw(rng: np.random.Generator) -> tuple[str, Stage, Drawing]:
    library, rasteriser = _studio()
    names = list(KINDS)
    shares = np.array([KINDS[name][0] for name in names])
    kind = names[int(rng.choice(len(names), p=shares / shares.sum()))]
    stage = Stage(library, rng, portrait=bool(rng.random() < UPRIGHT_SHARE))
    KINDS[kind][1](stage)
    if stage.chance(OCCLUDER_CHANCE.get(kind, 0)):
        nearby.near_occluder(stage)
        stage.defocus_chance = max(stage.defocus_chance, 0.6)
    if stage.chance(HAND_CHANCE.get(kind, 0)):
        nearby.reaching_hand(stage)
    if stage.chance(NIGHT_CHANCE.get(kind, 0)):
        nearby.night(stage)
    size = (SHORT_SIDE, LONG_SIDE) if stage.portrait else (LONG_SIDE, SHORT_SIDE)
    return kind, stage, rasteriser.draw(stage, size)


def _develop(stage: Stage, drawing: Drawing) -> npt.NDArray[np.uint8]:
    rng = stage.rng
    linear = contact_shadow(
        drawing.linear, drawing.inverse_depth, int(rng.integers(3, 9)), rng.uniform(0.2, 0.8)
    )
    if stage.chance(stage.defocus_chance):
        linear = random_defocus(linear, drawing.inverse_depth, rng)
    return exposed(linear.astype(np.float32), rng, stage.night)


def _is_worth_keeping(rgb: npt.NDArray[np.uint8], drawing: Drawing) -> bool:
    """True when the picture has contrast and the scene has depth."""
    low, high, most = np.percentile(drawing.inverse_depth, (3, 97, 99.7))
    return bool(rgb.std() > 8 and most > 0 and high - low > 0.05 * most)


def _subject(stage: Stage, drawing: Drawing) -> npt.NDArray[np.uint8] | None:
    """The subject's mask, if it covers a sensible part of the frame and little occludes it; else None."""
    area = float(drawing.subject.mean())
    if not any(instance.is_subject for instance in stage.instances) or not 0.02 < area < 0.85:
        return None
    inside = drawing.subject > 0.5
    if not inside.any():
        return None
    before = drawing.inverse_depth[~inside] > np.median(drawing.inverse_depth[inside])
    if before.mean() > 0.3:
        return None
    return np.rint(drawing.subject * 255).astype(np.uint8)
