"""Pairs from path-traced sets: fewer than the composed ones, but more realistic.

    python -m deeplens_dof.learn.scenes.traced SETS OUT [--held-out]

SETS is a folder of `tools/data/make_traced_sets.py`; of each set this reads

    meta.json          scene, seed, width, height, held_out, licences; for each picture name, level, focus, K, disp_focus
    aif_linear.npz     rgb float16 (H, W, 3), linear light, not clipped
    disp.npz           disp float32 (H, W), inverse depth in 1/m
    L1_F1.exr ...      true bokeh, linear light

OUT becomes a folder of pairs (`datasets/pairs.py`), with the licences of their contents in licences.json. `K` is our blur_px
[px m], `disp_focus` our focus. The tracer does not distinguish surfaces: `surface` is 0 everywhere.
"""

from __future__ import annotations

import argparse
import json
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.datasets.pairs import Pair, pair_path, write_pair
from deeplens_dof.datasets.split import evaluation_only
from deeplens_dof.evaluate.bokeh.pictures import read_exr_rgb, read_json
from deeplens_dof.learn.scenes.composites.compose import SIZE
from deeplens_dof.runtime.atomic_write import write_atomically

Floats = npt.NDArray[np.float32]
FIRST_SEED = 1000  # smaller seeds belong to evaluation
LEVELS, FOCUSES = 5, 3  # the most that a set has
MAKE_THEM = "make sets with tools/data/make_traced_sets.py"


@dataclass(frozen=True)
class _Picture:
    """A true bokeh in meta.json: file name without ending, level, focus number, blur in px m, focus in 1/m."""

    name: str
    level: int
    focus: int
    blur_px: float
    disp_focus: float


@dataclass(frozen=True)
class _Set:
    """A finished set."""

    folder: Path
    seed: int
    held_out: bool
    pictures: tuple[_Picture, ...]
    licences: dict[str, str]


def make_traced_pairs(
    sets: Path, out: Path, held_out: bool = False, progress: Callable[[int], None] | None = None
) -> dict[str, int]:
    """Fills `out` with the pairs of one side of the split; those already there are kept.

    Args:
        sets: folder of path-traced sets.
        out: folder for the pairs.
        held_out: the sets of held-out assets instead of those for training.
        progress: called with the number of pairs made or found so far.

    Returns:
        The counts {"made", "kept", "unfinished"}; the last is of sets that are not finished or not ours.

    Raises:
        ValueError: no set is of this side of the split, a file is broken, or a set is for evaluation.
    """
    found = [_read_set(file) for file in sorted(sets.glob("*/meta.json"))]
    chosen = [traced for traced in found if traced is not None and traced.held_out == held_out]
    if not chosen:
        side = "held-out" if held_out else "training"
        raise ValueError(f"{sets} holds {len(found)} sets, none of them finished and {side}; {MAKE_THEM}")
    counts = {"made": 0, "kept": 0, "unfinished": found.count(None)}
    for traced in chosen:
        missing = [picture for picture in traced.pictures if not _path(out, traced, picture).exists()]
        counts["kept"] += len(traced.pictures) - len(missing)
        for picture, pair in zip(missing, _pairs(traced, missing), strict=True):
            write_pair(_path(out, traced, picture), pair)
            counts["made"] += 1
        if progress is not None:
            progress(counts["made"] + counts["kept"])
    licences = {content: licence for traced in chosen for content, licence in traced.licences.items()}
    text = json.dumps(licences, indent=1, sort_keys=True) + "\n"
    write_atomically(out / "licences.json", lambda file: file.write(text.encode()))
    return counts


def _read_set(file: Path) -> _Set | None:
    """The set of a meta.json, or None if it is not finished. Raises ValueError if it is for evaluation."""
    meta = read_json(file)
    if not isinstance(meta, dict) or not isinstance(meta.get("images"), list):
        raise ValueError(f"{file} names no images; delete {file.parent} and {MAKE_THEM}")
    if not isinstance(meta.get("held_out"), bool):
        return None
    scene, seed = meta.get("scene"), meta.get("seed")
    if scene != "random" or not isinstance(seed, int) or seed < FIRST_SEED:
        raise ValueError(
            f"{file.parent} is of scene {scene}, seed {seed}, which is for evaluation; expected random scenes of seeds from "
            f"{FIRST_SEED} on"
        )
    licences = meta.get("licences")
    if not isinstance(licences, dict):
        raise ValueError(f"{file} names no licences; delete {file.parent} and {MAKE_THEM}")
    for content in licences:
        if content.startswith(".../") and (reason := evaluation_only(Path(content), Path("..."))):
            raise ValueError(f"{file.parent} shows evaluation material: {reason}; {MAKE_THEM}")
    if (meta.get("height"), meta.get("width")) != (SIZE, SIZE):
        raise ValueError(
            f"{file.parent} is {meta.get('width')} x {meta.get('height')} px, expected {SIZE} x {SIZE} like other pairs; "
            f"make it again with --size {SIZE}"
        )
    pictures = tuple(_checked(file, facts) for facts in meta["images"])
    return _Set(file.parent, seed, meta["held_out"], pictures, licences)


def _checked(file: Path, facts: Any) -> _Picture:
    try:
        level, focus = int(facts["level"]), int(facts["focus"])
        blur_px, disp_focus = float(facts["K"]), float(facts["disp_focus"])
        name = Path(str(facts["name"])).stem
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{file} names an image without name, level, focus, K and disp_focus; delete {file.parent} and {MAKE_THEM}"
        ) from error
    if not (1 <= level <= LEVELS and 1 <= focus <= FOCUSES):
        raise ValueError(f"{file} names level {level}, focus {focus}; expected 1 to {LEVELS}, 1 to {FOCUSES}")
    return _Picture(name, level, focus, blur_px, disp_focus)


def _index(traced: _Set, picture: _Picture) -> int:
    """The pair's number, which does not depend on the other sets."""
    place = (picture.level - 1) * FOCUSES + picture.focus - 1
    return (traced.seed - FIRST_SEED) * LEVELS * FOCUSES + place


def _path(out: Path, traced: _Set, picture: _Picture) -> Path:
    return pair_path(out, _index(traced, picture))


def _pairs(traced: _Set, pictures: list[_Picture]) -> Iterator[Pair]:
    """The pairs of some pictures of a set."""
    if not pictures:
        return
    rgb = np.maximum(_array(traced.folder / "aif_linear.npz", "rgb", (SIZE, SIZE, 3)), 0)
    disp = _array(traced.folder / "disp.npz", "disp", (SIZE, SIZE))
    for picture in pictures:
        path = traced.folder / f"{picture.name}.exr"
        if not path.is_file():
            raise ValueError(
                f"{path} is missing, which meta.json names; delete {traced.folder} and {MAKE_THEM}"
            )
        bokeh = np.maximum(read_exr_rgb(path), 0)
        if bokeh.shape != rgb.shape:
            raise ValueError(f"{path} has shape {bokeh.shape}, expected {rgb.shape} like aif_linear.npz")
        coc = np.asarray(np.float32(picture.blur_px) * (disp - np.float32(picture.disp_focus)))
        known = {
            "traced": True,
            "set": traced.folder.name,
            "level": picture.level,
            "seed": traced.seed,
            "index": _index(traced, picture),
            "held_out": traced.held_out,
            "shape": "disc",
            "focus": picture.disp_focus,
            "blur_px": picture.blur_px,
        }
        yield Pair(rgb, bokeh, coc, np.zeros((SIZE, SIZE), np.uint8), known)


def _array(path: Path, name: str, shape: tuple[int, ...]) -> Floats:
    try:
        with np.load(path, allow_pickle=False) as kept:
            values = np.asarray(kept[name], np.float32)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is not an .npz file with {name} ({error}); delete {path.parent} and {MAKE_THEM}"
        ) from error
    if values.shape != shape or not np.isfinite(values).all():
        raise ValueError(f"{path} holds {name} of shape {values.shape}, expected finite values of {shape}")
    return values


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m deeplens_dof.learn.scenes.traced", description="Turns path-traced sets into pairs."
    )
    parser.add_argument("sets", type=Path, help="folder of tools/data/make_traced_sets.py")
    parser.add_argument("out", type=Path, help="folder for the pairs")
    parser.add_argument(
        "--held-out", action="store_true", help="the sets of assets that are never trained on"
    )
    options = parser.parse_args()
    try:
        counts = make_traced_pairs(options.sets, options.out, options.held_out)
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    print(
        "{}: {made} pairs made, {kept} kept; {unfinished} unfinished sets left out".format(
            options.out, **counts
        )
    )


if __name__ == "__main__":
    main()
