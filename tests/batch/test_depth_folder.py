"""`--depth FOLDER` and `--depth-out FOLDER`: a depth file for each photo, by its name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deeplens_dof.batch.inputs import expand_inputs
from deeplens_dof.batch.jobs import plan
from deeplens_dof.depth.files import read_depth_file
from deeplens_dof.runtime.errors import PlanError

FAST = ("--f-number", "22", "--lens-mm", "10", "--highlights", "0")
RAMP = np.linspace(0, 65535, 48 * 64).astype(np.uint16).reshape(48, 64)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "depth" / "sub").mkdir(parents=True)
    for name, codes in (("a", RAMP), ("sub/b", RAMP[::-1])):
        Image.fromarray((RAMP // 300).astype(np.uint8)).convert("RGB").save(tmp_path / "in" / f"{name}.jpg")
        Image.fromarray(codes).save(tmp_path / "depth" / f"{name}.png")
    return tmp_path


def planned(folder: Path, **more: object) -> dict[str, object]:
    jobs = plan(expand_inputs([str(folder / "in")]), str(folder / "out"), **more).jobs
    return {job.name: job for job in jobs}


def test_each_photo_has_the_depth_of_its_name(folder: Path) -> None:
    jobs = planned(folder, depth=str(folder / "depth"))
    assert jobs["a.jpg"].depth == folder / "depth" / "a.png"
    assert jobs["sub/b.jpg"].depth == folder / "depth" / "sub" / "b.png"


def test_depth_may_lie_in_one_folder_and_be_called_as_we_call_it(folder: Path) -> None:
    (folder / "depth" / "sub" / "b.png").rename(folder / "depth" / "b-depth.png")
    assert planned(folder, depth=str(folder / "depth"))["sub/b.jpg"].depth == folder / "depth" / "b-depth.png"


def test_a_photo_without_depth_or_with_two_is_a_sentence(folder: Path) -> None:
    (folder / "depth" / "a.png").unlink()
    (folder / "depth" / "sub" / "b.npz").write_bytes(b"")
    jobs = planned(folder, depth=str(folder / "depth"))
    assert "holds no depth file of it, expected a with one of .png" in jobs["a.jpg"].problem
    assert "b.png and" in jobs["sub/b.jpg"].problem
    assert "are both its depth" in jobs["sub/b.jpg"].problem


def test_words_are_no_folders(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "predict").mkdir()
    assert planned(folder, depth="predict")["a.jpg"].depth is None


def test_depth_of_several_photos_goes_into_a_folder(folder: Path) -> None:
    jobs = planned(folder, depth_out=folder / "made")
    assert jobs["sub/b.jpg"].depth_out == folder / "made" / "sub" / "b.png"
    with pytest.raises(PlanError, match="--depth-out names one file"):
        planned(folder, depth_out=folder / "made.png")
    Image.new("RGB", (4, 4)).save(folder / "in" / "a.png")
    jobs = planned(folder, depth_out=folder / "made")
    assert [jobs[name].depth_out.name for name in ("a.jpg", "a.png", "sub/b.jpg")] == [
        "a.jpg.png", "a.png.png", "b.png",
    ]  # fmt: skip


def test_a_photo_is_never_its_own_depth(folder: Path) -> None:
    jobs = planned(folder, depth=str(folder / "in"))
    assert "holds no depth file of it" in jobs["a.jpg"].problem
    (folder / "depth" / "a.png").rename(folder / "in" / "a-depth.tif")
    jobs = plan(expand_inputs([str(folder / "in" / "a.jpg")]), None, depth=str(folder / "in")).jobs
    assert jobs[0].depth == folder / "in" / "a-depth.tif"


def test_depth_that_is_read_is_not_overwritten(folder: Path) -> None:
    with pytest.raises(PlanError, match="is read too and would be overwritten"):
        planned(folder, depth=str(folder / "depth"), depth_out=folder / "depth")


def test_a_run_with_folders_of_depth_and_its_resumption(folder: Path) -> None:
    def run(*more: str) -> str:
        words = [
            "blur",
            "in",
            "-o",
            "out",
            "--depth",
            "depth",
            "--depth-out",
            "made",
            "--resume",
            *FAST,
            *more,
        ]
        done = subprocess.run(
            [sys.executable, "-m", "deeplens_dof.cli", *words],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    assert "2 done" in run()
    for name in ("a", "sub/b"):
        given, made = (read_depth_file(folder / there / f"{name}.png") for there in ("depth", "made"))
        np.testing.assert_allclose(made.values, given.values, atol=2e-5)
    assert "2 skipped" in run()
    Image.fromarray(RAMP[:, ::-1]).save(folder / "depth" / "a.png")
    assert "1 done, 1 skipped" in run()
    turned = run("--depth-far-bright")
    assert "2 done" in turned
    np.testing.assert_allclose(
        read_depth_file(folder / "made" / "sub" / "b.png").values, RAMP[:, ::-1] / 65535, atol=2e-5
    )
