"""Makes sets of path-traced pictures for the training of the lens blur, with the tool in tools/data/pathtrace.

    mkdir -p FOLDER && cd FOLDER && bash REPOSITORY/tools/data/pathtrace/setup.sh     # once: about 3 GB, Debian
    venv/bin/pip install 'opencv-python-headless<4.12'
    venv/bin/python REPOSITORY/tools/data/make_traced_sets.py OUT --count 100 [--seed 1000] [--minutes 35] [--threads 1]

It runs in Blender's environment, not in that of DeepLens, from the folder that setup.sh filled. Set `random_01000` of OUT
holds aif_linear.npz, disp.npz, aif.png, meta.json (licences of the content too) and six pictures through a lens, such as
L4_F2.exr (linear light) and L4_F2.png: the tool's levels 3 to 5 at two of its three focuses, drawn by the seed. More scenes
teach more than more pictures of each, and what is blurred by less than 3 px differs from the optical renderer by no more
than the truth's own noise. Sets that are complete are kept, a set that was stopped goes on with what is missing.

What the tool's random scenes are made of is replaced, so that nothing is trained on that evaluates: photos and surfaces are
those that `datasets/split.py` allows (the tool's own are the evaluation photos astronaut, coffee, chelsea and rocket), models
that stand in the evaluation scenes are left out. Every tenth set (seeds that end in 9) is made of photos, surfaces and
models that the others never show. Seeds below 1000 are refused: they belong to evaluation.
"""

from __future__ import annotations

import argparse
import inspect
import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
FIRST_SEED = 1000
LEVELS = (3, 4, 5)  # CoC radius over the range of a scene of 4.3, 6.7 and 10 px at 256 px
FOCUSES, FOCUSES_OF_A_SET = 3, 2
HELD_OUT_EVERY = 10
GROUNDS, PHOTOS = 3, 6  # of a set, of which it takes one and one
LARGEST_FILE = 3_200_000  # bytes of a model: beyond it every picture is slow
WIDEST = 3.0  # times its height: models are scaled by their height
SURFACES = (
    "HortonRockWall.jpg", "HortonStone6.jpg", "JapanwoodBridge.jpg", "Paving_stones_2.jpg", "astro_turf.jpg",
    "bow_tile.jpg", "canyon_boards.png", "castelwall.jpg", "ceramic.jpg", "chess.png", "city_bricks.png",
    "city_concrete.png", "city_grass.png", "city_rock.jpg", "cottage_wall1.jpg", "cottage_wall3.jpg",
    "cracked-earth-texture.jpg", "crate1_diffuse.jpg", "dirt.jpg", "dirtbrick.png", "egypt2.jpg", "grass2.jpg",
    "grass3.jpg", "hacienda_ground.jpg", "hd_rock_01_d.png", "japanRedWood.png", "marble.jpg", "mossy_stone.png",
    "oldWood.png", "pyramidwall.jpg", "rock1.jpg", "rock_grey.jpg", "roof.png", "sakura_leaves.jpg",
    "stk_generic_brickA.png", "stk_generic_carpet_a.png", "stk_generic_colorfabricA.png",
    "stk_generic_oldbricks_a.png", "stk_generic_grassB.png", "stk_generic_bedRock_a.png",
)  # fmt: skip


def held_out(seed: int) -> bool:
    """Whether the set of that seed is for validation."""
    return seed % HELD_OUT_EVERY == HELD_OUT_EVERY - 1


def focuses(seed: int) -> list[int]:
    """Of the set of that seed: 1 near, 2 middle, 3 far."""
    drawn = np.random.default_rng((seed, 2)).choice(FOCUSES, FOCUSES_OF_A_SET, replace=False) + 1
    return sorted(map(int, drawn))


def is_complete(folder: Path, seed: int) -> bool:
    """Whether every picture of a set is there."""
    try:
        meta = json.loads((folder / "meta.json").read_text())
    except (OSError, ValueError):
        return False
    wanted = {f"L{level}_F{focus}.png" for level in LEVELS for focus in focuses(seed)}
    return "held_out" in meta and wanted <= {each["name"] for each in meta["images"]}


def finish(folder: Path, seed: int) -> None:
    """Notes in meta.json on which side of the split a set is."""
    meta = json.loads((folder / "meta.json").read_text())
    meta["held_out"] = held_out(seed)
    fresh = folder / "meta.json.part"
    fresh.write_text(json.dumps(meta, indent=1))
    fresh.replace(folder / "meta.json")


def main() -> None:
    arguments = parsed()
    os.environ["PATHTRACE_ASSETS"] = str(arguments.assets.resolve())
    sys.path[:0] = [str(HERE / "pathtrace"), str(HERE.parents[1] / "src")]
    began = time.monotonic()
    say = os.fdopen(os.dup(1), "w")  # Blender tells every sample on standard output; that is left out
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    tool = make = None
    with tempfile.TemporaryDirectory(prefix="traced_") as scratch:
        tempfile.tempdir = scratch
        for seed in range(arguments.seed, arguments.seed + arguments.count):
            folder = arguments.out / f"random_{seed:05d}"
            if is_complete(folder, seed):
                continue
            if arguments.minutes and time.monotonic() - began > 60 * arguments.minutes:
                break
            if make is None:
                tool = the_tool(arguments.threads)
                make = Ingredients(tool)
            make.choose(seed)
            wanted = options(arguments, seed)
            start = time.monotonic()
            try:
                tool.run("random", wanted, arguments.size, arguments.size)
                finish(folder, seed)
            except Exception as error:  # a model that Blender cannot read must not end a night's work
                print(f"{folder} failed and is left out: {error}", file=sys.stderr, flush=True)
                continue
            print(f"{folder} is made, {time.monotonic() - start:.1f} s", file=say, flush=True)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, required=True, help="sets, of seeds from --seed on")
    parser.add_argument("--seed", type=int, default=FIRST_SEED)
    parser.add_argument("--size", type=int, default=256, help="side in px")
    parser.add_argument("--minutes", type=float, help="begin no further set after so many")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--assets", type=Path, default=Path(), help="the folder that setup.sh filled")
    arguments = parser.parse_args()
    if arguments.seed < FIRST_SEED or arguments.count < 1:
        parser.error(f"--seed is at least {FIRST_SEED} (smaller ones are for evaluation), --count at least 1")
    return arguments


def options(arguments: argparse.Namespace, seed: int) -> SimpleNamespace:
    """What make_gt.py would have from its command line; its defaults, linear pictures beside the others."""
    return SimpleNamespace(
        out=str(arguments.out), linear=str(arguments.out), seed=seed, preview=False, spp=160, spp_hdr=512, spp_aif=64,
        thr=0.02, levels=list(LEVELS), focus=focuses(seed),
    )  # fmt: skip


def the_tool(threads: int) -> Any:
    """make_gt with Cycles held to so many threads."""
    import make_gt

    reset = make_gt.reset

    def reset_with_threads(width: int, height: int) -> Any:
        scene = reset(width, height)
        scene.render.threads_mode, scene.render.threads = "FIXED", threads
        return scene

    make_gt.reset = reset_with_threads
    return make_gt


class Ingredients:
    """What random scenes are made of, for training and held out, instead of the tool's own."""

    def __init__(self, tool: Any) -> None:
        from deeplens_dof.learn.scenes.composites.materials import is_held_out
        from deeplens_dof.learn.scenes.objects.pictures import training_photos

        self._tool, self._is_held_out = tool, is_held_out
        self._photos = training_photos()
        textures = Path(tool.STK) / "textures"
        self._surfaces = {name: textures / name for name in SURFACES if (textures / name).is_file()}
        if len(self._photos) < 2 * PHOTOS or len(self._surfaces) < 2 * GROUNDS:
            raise SystemExit(
                f"{len(self._photos)} photos and {len(self._surfaces)} surfaces were found, expected more; fetch them with "
                "`python -m deeplens_dof.learn.scenes.assets` (photos) and setup.sh (surfaces)"
            )
        self._models = self._usable_models()
        tool.sk = self._image

    def choose(self, seed: int) -> None:
        """Gives the tool what the set of that seed may show."""
        rng, side = np.random.default_rng((seed, 1)), held_out(seed)
        grounds, photos = (self._of(side, names) for names in (self._surfaces, self._photos))
        self._tool.TEXS = [
            *rng.choice(grounds, GROUNDS, replace=len(grounds) < GROUNDS),
            *rng.choice(photos, PHOTOS, replace=len(photos) < PHOTOS),
        ]
        self._tool.POOL_SMALL = [code for name, code in self._models if self._is_held_out(name) == side]

    def _of(self, side: bool, names: Any) -> list[str]:
        return sorted(name for name in names if self._is_held_out(name) == side)

    def _image(self, name: str) -> Any:
        if name in self._surfaces:
            return self._tool.image(
                str(self._surfaces[name]), "supertuxkart-data (CC-BY-SA 3.0 or freer, licenses.txt beside it)"
            )
        path = self._photos[name]
        source = next(folder for folder in path.parents if (folder / "SOURCE.json").is_file())
        facts = json.loads((source / "SOURCE.json").read_text())
        licence = f"{source.name} ({facts['licence']})"
        self._tool.LIC[f".../{source.name}/{name}{path.suffix}"] = (
            licence  # wallpapers' files have names of sizes
        )
        return self._tool.image(str(path), licence)

    def _usable_models(self) -> list[tuple[str, str]]:
        """(name, code) of models that are of a fair size and stand in no evaluation scene."""
        scenes = [scene for name, scene in self._tool.SCENES.items() if name != "random"]
        shown = set(re.findall(r"'(\w\w:\d+)'", "".join(map(inspect.getsource, scenes))))
        names = {}
        for key, pack in self._tool.PACK.items():
            for number, entry in enumerate(self._tool.catalog(pack), start=1):
                file = Path(f"{self._tool.SH3D}/{pack}{entry['model']}")
                wide = max(entry["w"], entry["d"]) > WIDEST * entry["h"]
                if f"{key}:{number}" in shown or wide or not file.is_file():
                    continue
                if file.stat().st_size <= LARGEST_FILE:
                    names[f"{key}:{number}"] = entry["name"]
        shown_names = {self._name(code) for code in shown}
        return sorted((name, code) for code, name in names.items() if name not in shown_names)

    def _name(self, code: str) -> str:
        key, number = code.split(":")
        return str(self._tool.catalog(self._tool.PACK[key])[int(number) - 1]["name"])


if __name__ == "__main__":
    main()
