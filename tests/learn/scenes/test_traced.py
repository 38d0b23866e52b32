"""Pairs of path-traced sets, on synthetic ones of the same layout: contents are kept, evaluation sets are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest

from deeplens_dof.datasets.pairs import pair_files, read_pair
from deeplens_dof.learn.scenes.traced import main, make_traced_pairs

SIDE = 256
NEAR, FAR = 2.0, 0.5  # 1/m
LAMP = 12.0  # times as bright as white


def write_exr(path: Path, rgb: np.ndarray) -> None:
    spec = oiio.ImageSpec(rgb.shape[1], rgb.shape[0], 3, oiio.HALF)
    picture = oiio.ImageOutput.create(str(path))
    assert picture.open(str(path), spec)
    assert picture.write_image(np.ascontiguousarray(rgb, np.float32))
    picture.close()


def write_set(
    sets: Path, seed: int, held_out: bool | None = False, changes: dict[str, Any] | None = None
) -> Path:
    """A near left half before a far wall with a lamp, and two arbitrary but known bokeh pictures."""
    folder = sets / f"random_{seed:05d}"
    folder.mkdir(parents=True)
    disp = np.full((SIDE, SIDE), FAR, np.float32)
    disp[:, : SIDE // 2] = NEAR
    rgb = np.random.default_rng(seed).random((SIDE, SIDE, 3)).astype(np.float16)
    rgb[10, 200] = LAMP
    np.savez_compressed(folder / "disp.npz", disp=disp)
    np.savez_compressed(folder / "aif_linear.npz", rgb=rgb)
    images = []
    for level, focus, disp_focus in ((2, 1, NEAR), (5, 3, FAR)):
        name = f"L{level}_F{focus}"
        write_exr(folder / f"{name}.exr", np.where(rgb == LAMP, LAMP / 2, rgb * level / 10))
        images.append(
            {
                "name": f"{name}.png",
                "level": level,
                "focus": focus,
                "K": 2.0 * level,
                "disp_focus": disp_focus,
            }
        )
    meta = {"scene": "random", "seed": seed, "width": SIDE, "height": SIDE, "images": images}
    meta["licences"] = {f"model {seed}": "CC0"}
    if held_out is not None:
        meta["held_out"] = held_out
    (folder / "meta.json").write_text(json.dumps(meta | (changes or {})))
    return folder


def test_a_pair_holds_what_its_set_says(tmp_path: Path):
    write_set(tmp_path / "sets", 1003)
    out = tmp_path / "pairs"
    assert make_traced_pairs(tmp_path / "sets", out) == {"made": 2, "kept": 0, "unfinished": 0}
    weak, strong = (read_pair(path) for path in pair_files(out))
    assert weak.coc_px[0, [0, -1]] == pytest.approx([0, 4 * (FAR - NEAR)])
    assert strong.coc_px[0, [0, -1]] == pytest.approx(
        [10 * (NEAR - FAR), 0]
    )  # nearer than the focus: positive
    assert strong.bokeh[10, 200] == pytest.approx(np.full(3, LAMP / 2))  # not clipped at white
    assert strong.rgb[10, 200] == pytest.approx(np.full(3, LAMP))
    assert strong.bokeh[:9] == pytest.approx(strong.rgb[:9] / 2, abs=1e-3)
    assert weak.bokeh[:9] == pytest.approx(strong.rgb[:9] / 5, abs=1e-3)
    assert strong.facts["traced"] is True
    assert {key: strong.facts[key] for key in ("seed", "shape", "focus", "blur_px", "held_out")} == {
        "seed": 1003, "shape": "disc", "focus": FAR, "blur_px": 10.0, "held_out": False,
    }  # fmt: skip
    assert strong.facts["index"] != weak.facts["index"]
    assert json.loads((out / "licences.json").read_text()) == {"model 1003": "CC0"}


def test_pairs_keep_their_numbers_when_more_sets_come(tmp_path: Path):
    sets, out = tmp_path / "sets", tmp_path / "pairs"
    write_set(sets, 1003)
    make_traced_pairs(sets, out)
    before = {path: path.read_bytes() for path in pair_files(out)}
    write_set(sets, 1001)
    told: list[int] = []
    assert make_traced_pairs(sets, out, progress=told.append) == {"made": 2, "kept": 2, "unfinished": 0}
    assert told == [2, 4]
    assert len(pair_files(out)) == 4
    assert all(path.read_bytes() == content for path, content in before.items())


def test_held_out_sets_go_nowhere_else_and_unfinished_ones_nowhere(tmp_path: Path):
    sets = tmp_path / "sets"
    write_set(sets, 1003)
    write_set(sets, 1009, held_out=True)
    write_set(sets, 1004, held_out=None)
    for held_out, seed in ((False, 1003), (True, 1009)):
        out = tmp_path / f"pairs_{held_out}"
        assert make_traced_pairs(sets, out, held_out) == {"made": 2, "kept": 0, "unfinished": 1}
        facts = [read_pair(path).facts for path in pair_files(out)]
        assert {(each["seed"], each["held_out"]) for each in facts} == {(seed, held_out)}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"scene": "night"}, "scene night, seed 1003, which is for evaluation"),
        ({"seed": 7}, "scene random, seed 7, which is for evaluation"),
        ({"licences": {".../skimage/data/astronaut.png": "public domain"}}, r"astronaut.png has the name of an eval"),
        ({"licences": None}, "names no licences"),
        ({"width": 384}, r"is 384 x 256 px, expected 256 x 256"),
        ({"images": "none"}, "names no images; delete"),
        ({"images": [{"name": "L1_F1.png"}]}, "names an image without name, level"),
        (
            {"images": [{"name": "L9_F1.png", "level": 9, "focus": 1, "K": 1, "disp_focus": 1}]},
            "names level 9, focus 1; expected 1 to 5",
        ),
        (
            {"images": [{"name": "L1_F1.png", "level": 1, "focus": 1, "K": 1, "disp_focus": 1}]},
            r"L1_F1.exr is missing, which meta.json names",
        ),
    ],
)  # fmt: skip
def test_sets_of_evaluation_and_broken_ones_are_named(tmp_path: Path, changes: dict[str, Any], sentence: str):
    write_set(tmp_path, 1003, changes=changes)
    with pytest.raises(ValueError, match=sentence):
        make_traced_pairs(tmp_path, tmp_path / "pairs")


def test_broken_files_and_empty_folders_are_named(tmp_path: Path):
    with pytest.raises(ValueError, match=r"holds 0 sets, none of them finished and held-out; make sets with"):
        make_traced_pairs(tmp_path, tmp_path / "pairs", held_out=True)
    folder = write_set(tmp_path, 1003)
    (folder / "disp.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(ValueError, match=r"disp.npz is not an .npz file with disp"):
        make_traced_pairs(tmp_path, tmp_path / "pairs")


def test_the_command_says_what_it_made_or_what_is_wrong(tmp_path: Path, monkeypatch, capsys):
    sets, out = tmp_path / "sets", tmp_path / "pairs"
    write_set(sets, 1019, held_out=True)
    monkeypatch.setattr("sys.argv", ["traced", str(sets), str(out), "--held-out"])
    main()
    assert capsys.readouterr().out == f"{out}: 2 pairs made, 0 kept; 0 unfinished sets left out\n"
    monkeypatch.setattr("sys.argv", ["traced", str(sets), str(out)])
    with pytest.raises(SystemExit, match=r"holds 1 sets, none of them finished and training"):
        main()


def test_the_maker_of_sets_draws_focuses_by_seed_and_holds_every_tenth_out(tmp_path: Path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "tools" / "data"))
    import make_traced_sets

    seeds = range(1000, 1100)
    drawn = [make_traced_sets.focuses(seed) for seed in seeds]
    assert drawn == [make_traced_sets.focuses(seed) for seed in seeds]
    assert all(len(set(each)) == 2 for each in drawn)
    assert {focus for each in drawn for focus in each} == {1, 2, 3}
    assert sum(map(make_traced_sets.held_out, seeds)) == 10

    folder = write_set(tmp_path, 1009, held_out=None)
    meta = json.loads((folder / "meta.json").read_text())
    near, far = make_traced_sets.focuses(1009)
    meta["images"] = [{"name": f"L{level}_F{focus}.png"} for level in (3, 4, 5) for focus in (near, far)]
    (folder / "meta.json").write_text(json.dumps(meta))
    assert not make_traced_sets.is_complete(folder, 1009)
    make_traced_sets.finish(folder, 1009)
    assert make_traced_sets.is_complete(folder, 1009)
    assert json.loads((folder / "meta.json").read_text())["held_out"] is True
    assert not make_traced_sets.is_complete(tmp_path / "none", 1009)
