"""The commands train, evaluate and scenes: files, messages and exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import deeplens_dof as dl
from deeplens_dof import cli
from deeplens_dof.cli.terminal import Terminal

torch = pytest.importorskip("torch", reason="the school needs torch: pip install '.[learn]'")


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@pytest.fixture
def deeplens(capfd, monkeypatch, tmp_path):
    """Runs the command in this process, in an empty folder that is the cache, too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEEPLENS_CACHE", str(tmp_path / "cache"))

    def run(*arguments: object) -> Ended:
        with pytest.raises(SystemExit) as end:
            cli.main([str(argument) for argument in arguments])
        said = capfd.readouterr()
        assert "Traceback" not in said.err
        return Ended(int(end.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def frames(tmp_path) -> Path:
    """Eight frames of waves, brightness being inverse depth."""
    from deeplens_dof.datasets.frames import Frame, frame_path, write_frame

    rows, columns = np.mgrid[0:84, 0:112]
    for index in range(8):
        inverse = (2.1 + np.sin(rows / (9 + index)) + np.cos(columns / 14)).astype(np.float32)
        rgb = np.rint(inverse / 4.2 * 255).astype(np.uint8)[..., None].repeat(3, 2)
        subject = ((inverse > 3) * 255).astype(np.uint8)
        write_frame(frame_path(tmp_path / "frames", index), Frame(rgb, inverse, subject, {"index": index}))
    return tmp_path / "frames"


def test_a_recipe_is_trained_in_pieces_with_curves(deeplens, frames, tmp_path) -> None:
    arguments = ("train", "depth-toy", "--frames", frames, "--out", "run", "--threads", 1)
    begun = deeplens(*arguments, "--stop-after", 2)
    assert (begun.code, begun.out) == (0, "")
    assert "go on with --resume" in begun.err
    assert (tmp_path / "run" / "curves.svg").read_text().startswith("<svg")
    again = deeplens(*arguments)
    assert again.code == 1
    assert len(again.err.splitlines()) == 1
    assert "holds a run already; go on with --resume or name another folder with --out" in again.err
    ended = deeplens(*arguments, "--resume")
    assert ended.code == 0
    assert "weights are in run/depth.onnx" in ended.err
    assert "val_spearman" in (tmp_path / "run" / "curves.svg").read_text()
    (tmp_path / "run" / "curves.svg").unlink()
    assert deeplens("train", "depth-toy", "--out", "run", "--curves").code == 0
    assert (tmp_path / "run" / "curves.svg").is_file()


def test_measured_depth_is_mixed_in(deeplens, frames, tmp_path) -> None:
    for number in range(2):
        from PIL import Image

        for folder in ("rgb", "depth_mm"):
            (tmp_path / "own" / folder).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (64, 48), (9, 99, 199)).save(tmp_path / "own" / "rgb" / f"{number}.png")
        depth = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) + 1000
        Image.fromarray(depth).save(tmp_path / "own" / "depth_mm" / f"{number}.png")
    (tmp_path / "own" / "rgb" / "notes.txt").write_text("foreign")
    arguments = (
        "train",
        "depth-toy",
        "--frames",
        frames,
        "--threads",
        1,
        "--rgbd",
        "rgbd:own",
        "--rgbd-share",
        1,
    )
    refused = deeplens(*arguments, "--out", "refused")
    assert (refused.code, len(refused.err.splitlines())) == (1, 1)
    assert "notes.txt does not belong here" in refused.err
    ended = deeplens(*arguments, "--out", "run", "--on-error", "skip")
    assert ended.code == 0
    assert "skipped: own/rgb/notes.txt" in ended.err
    start = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[0])
    assert start["measured"] == {"own": 2}


def own_pictures(folder: Path, count: int) -> Path:
    """Pictures with depth in millimetres, near at the right."""
    from PIL import Image

    for part in ("rgb", "depth_mm"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    slope = np.broadcast_to(3000 - 40 * np.arange(64, dtype=np.uint16), (48, 64))
    for number in range(count):
        Image.new("RGB", (64, 48), (9, 20 * number, 199)).save(folder / "rgb" / f"{number}.png")
        Image.fromarray(np.ascontiguousarray(slope)).save(folder / "depth_mm" / f"{number}.png")
    return folder


def test_the_toy_needs_no_data_and_ends_with_scores(deeplens, tmp_path) -> None:
    ended = deeplens("train", "depth-toy", "--threads", 1, "--out", "run")
    assert ended.code == 0
    assert "iteration 1 of 6, " in ended.err
    assert "held out, spearman: 0." in ended.err
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    assert set(torch.load(checkpoint, weights_only=True)) == {"step", "network", "average"}
    again = deeplens("train", "depth-toy", "--threads", 1, "--out", "run", "--resume")
    assert (again.code, "weights are in run/depth.onnx" in again.err) == (0, True)


def test_own_pictures_alone_are_enough(deeplens, tmp_path) -> None:
    own = own_pictures(tmp_path / "own", 9)
    ended = deeplens("train", "depth-toy", "--rgbd", own, "--frames", "none", "--threads", 1, "--out", "run")
    assert ended.code == 0
    assert ", at step 0 " in ended.err
    assert "matte" not in "".join(line for line in ended.err.splitlines() if line.startswith("held out"))
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert (log[0]["frames_used"], log[0]["measured"]) == (0, {str(own): 8})
    assert [line["step"] for line in log if line["event"] == "validation"] == [0, 6]
    single = own_pictures(tmp_path / "single", 1)
    refused = deeplens("train", "depth-toy", "--rgbd", single, "--frames", "none", "--out", "other")
    assert (refused.code, "holds 1 pictures, expected at least 2" in refused.err) == (1, True)


def test_in_a_pipe_progress_is_a_line_a_minute(capsys, monkeypatch) -> None:
    from deeplens_dof.cli import train

    pace, now = train._Pace(Terminal(debug=False)), [0.0]
    monkeypatch.setattr(train.time, "monotonic", lambda: now[0])
    for step in range(1, 101):
        pace.show(step, 400, {"absolute": 1 / step, "s": 2.0})
        now[0] += 2.0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "iteration 1 of 400, 13 min left, 2.00 s each: absolute 1.000"
    assert len(lines) == 4
    pace.terminal.on_terminal = True
    pace.show(200, 400, {"absolute": 0.5, "s": 2.0})
    assert "[##########..........] 200 of 400" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["train", "depth-toy", "--frames", "none"],
            "--frames none trains on --rgbd alone; name at least one",
        ),
        (["train", "depht"], "there is no recipe 'depht'; the recipes are depth,"),
        (["train", "depth-toy", "--on-error", "ask"], "--on-error is 'ask', expected skip or refuse"),
        (["train"], "Missing argument 'RECIPE'"),
        (["evaluate", "bokeh"], "there is no benchmark 'bokeh'"),
        (["scenes", "out"], "Missing option '--count'"),
        (["scenes", "out", "--count", "0"], "Invalid value for '--count'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_one_sentence_and_exit_2(deeplens, arguments, said) -> None:
    ended = deeplens(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert len(ended.err.splitlines()) == 1
    assert said in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "depth-short"], "holds no frames; make some with `deeplens scenes"),
        (["train", "depth-toy", "--rgbd", "kitti:x"], "no kind of data 'kitti', expected one of"),
        (["train", "depth-toy", "--curves"], "holds no log.jsonl"),
        (["evaluate", "depth", "missing"], "there is nothing at missing, expected a folder of data"),
        (["evaluate", "depth", "--model", "none.onnx"], "there is no network at 'none.onnx'"),
        (
            ["evaluate", "depth", ".", "--model", "broken.onnx"],
            "broken.onnx is not a network that can be opened",
        ),
        (["evaluate", "depth", "rgbd:."], "is not laid out as rgbd: expected rgb/NAME.jpg"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_one_sentence_and_exit_1(deeplens, arguments, said, tmp_path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    ended = deeplens(*arguments)
    assert (ended.code, ended.out) == (1, "")
    assert len(ended.err.splitlines()) == 1
    assert said in ended.err


def test_depth_is_scored_into_markdown_and_json(deeplens, frames, tmp_path) -> None:
    ended = deeplens("evaluate", "depth", "frames", "--limit", 2, "--json", "e.json", "--report", "e.md")
    assert (ended.code, ended.err) == (0, "")
    assert "| frames of frames | 2 | vertical position only |" in ended.out
    assert "predict_depth" in ended.out
    assert (tmp_path / "e.md").read_text() == ended.out
    report = json.loads((tmp_path / "e.json").read_text())
    assert [row["method"] for row in report["depth"]] == [
        "vertical position only",
        "... and refined: predict_depth",
    ]


def test_a_candidate_is_scored_with_its_matte(deeplens, frames, tmp_path) -> None:
    pytest.importorskip("onnx", reason="export needs onnx: pip install '.[learn]'")
    assert deeplens("train", "depth-toy", "--frames", frames, "--out", "run", "--threads", 1).code == 0
    ended = deeplens("evaluate", "depth", "frames", "--limit", 1, "--model", "run/depth.onnx", "--stages")
    assert ended.code == 0
    assert "Network depth.onnx, SHA-256" in ended.out
    assert ended.out.count("| frames of frames | 1 |") == 6, "five stages and the matte"


def test_scenes_are_drawn_or_what_is_missing_is_said(deeplens, monkeypatch) -> None:
    pytest.importorskip("moderngl", reason="drawing needs moderngl: pip install '.[learn]'")
    asked = []

    def made(out, count, seed, workers, progress):
        asked.append((str(out), count, seed, workers))
        progress(count)
        return {"made": count - 1, "kept": 1}

    monkeypatch.setattr("deeplens_dof.learn.scenes.generate.make_scenes", made)
    ended = deeplens("scenes", "out", "--count", 3, "--seed", 5, "--workers", 2)
    assert (ended.code, ended.out) == (0, "")
    assert "out: 2 frames made, 1 kept" in ended.err
    assert asked == [("out", 3, 5, 2)]
    monkeypatch.undo()
    monkeypatch.setenv("DEEPLENS_CACHE", "nowhere")
    missing = deeplens("scenes", "out", "--count", 1)
    assert (missing.code, len(missing.err.splitlines())) == (1, 1)
    assert "the assets for synthetic scenes are not in nowhere/assets; fetch them with" in missing.err
    assert "inside deeplens" not in missing.err


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (["train", "depth-toy"], "torch"),
        (["scenes", "out", "--count", "1"], "moderngl"),
        (["train", "depth-toy"], "cv2"),
    ],
)
def test_without_the_extra_one_sentence_names_it(arguments, missing, tmp_path) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None; from deeplens_dof.cli import main; main({arguments!r})"
    )
    paths = {"PYTHONPATH": str(Path(dl.__file__).parents[1])}
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | paths,
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert len(ended.stderr.splitlines()) == 1
    assert f"needs {missing}, which is not installed; run pip install 'deeplens-dof[learn]'" in ended.stderr


def test_real_photos_are_scored_without_the_extra(tmp_path) -> None:
    """Only frames and the teacher's mattes need more than the camera does."""
    off = "; ".join(f"sys.modules[{name!r}] = None" for name in ("torch", "cv2", "moderngl", "onnx"))
    code = f"import sys; {off}; from deeplens_dof.cli import main; main(['evaluate', 'depth', 'missing'])"
    paths = {"PYTHONPATH": str(Path(dl.__file__).parents[1])}
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | paths,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 1
    assert "expected a folder of data" in ended.stderr
