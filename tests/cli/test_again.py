"""Runs that are repeated, and habits of the command line: -h, -m, *.jpg twice, dates and quality."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deeplens_dof import cli, photo
from deeplens_dof.batch.inputs import expand_inputs
from deeplens_dof.batch.jobs import plan


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    ramp = np.arange(48 * 64, dtype=np.uint32).reshape(48, 64)
    Image.fromarray((ramp * 20).astype(np.uint16)).save("depth.png")
    Image.fromarray((ramp % 251).astype(np.uint8)).convert("RGB").save("a.jpg")
    return tmp_path


def blur(*more: str) -> int:
    fast = ["--depth", "depth.png", "--highlights", "0", "--f-number", "22"]
    with pytest.raises(SystemExit) as end:
        cli.main(["blur", "a.jpg", *fast, *more])
    return int(end.value.code or 0)


@pytest.mark.parametrize("module", ["deeplens_dof", "deeplens_dof.cli"])
def test_the_package_is_the_command_and_h_is_help(module: str) -> None:
    for arguments in (["-h"], ["blur", "-h"]):
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments], capture_output=True, text=True, timeout=200
        )
        assert done.returncode == 0
        assert "Usage: deeplens" in done.stdout


def test_the_date_is_kept_on_request(folder: Path) -> None:
    os.utime("a.jpg", ns=(1_000_000_000_000_000_000, 1_111_111_111_123_456_789))
    assert blur("-o", "kept.jpg", "--keep-time") == 0
    assert blur("-o", "new.jpg") == 0
    assert os.stat("kept.jpg").st_mtime_ns == os.stat("a.jpg").st_mtime_ns
    assert os.stat("new.jpg").st_mtime_ns > 1_200_000_000_000_000_000


def test_quality_is_what_was_asked_for(folder: Path) -> None:
    for quality in ("40", "98"):
        assert blur("-o", f"q{quality}.jpg", "--quality", quality) == 0
    assert [photo.read(f"q{q}.jpg").compression.quality for q in (40, 98)] == [40, 98]
    assert blur("-o", "x.jpg", "--quality", "101") == 2


def test_a_second_run_of_a_pattern_leaves_results_out(folder: Path) -> None:
    for name in ("a-bokeh.jpg", "b.dng", "b-bokeh.tif", "alone-bokeh.jpg"):
        (folder / name).touch()
    names = sorted(str(path) for path in Path().glob("*.*") if path.name != "depth.png")
    jobs = plan(expand_inputs(names), None).jobs
    assert sorted(job.name for job in jobs) == ["a.jpg", "alone-bokeh.jpg", "b.dng"]
    assert [job.name for job in plan(expand_inputs(["a-bokeh.jpg"]), None).jobs] == ["a-bokeh.jpg"]


def test_an_mpo_is_its_first_picture(folder: Path) -> None:
    left, right = (Image.new("RGB", (64, 48), colour) for colour in ("red", "blue"))
    left.save("x.mpo", format="MPO", save_all=True, append_images=[right])
    assert photo.read("x.mpo").pixels[20, 20, 0] > 200
    assert [job.name for job in plan(expand_inputs([str(folder)]), "out").jobs] == [
        "a.jpg",
        "depth.png",
        "x.mpo",
    ]
