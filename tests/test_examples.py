"""The examples run as they stand in the README, and make what they say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import deeplens_dof as dl

ROOT = Path(__file__).parent.parent
MADE = {
    "1_simple.py": {"astronaut.jpg": "astronaut.jpg"},
    "2_steps.py": {
        f"coffee-{focus}-f{f_number}.jpg": "coffee.jpg"
        for focus in ("subject", "far-corner")
        for f_number in ("1.4", "4")
    },
    "3_swap_a_part.py": {"ground.jpg": "rocket.jpg", "tilted.jpg": "rocket.jpg"},
}
OF_THE_SCHOOL = {"4_autofocus_by_gradient.py", "5_deeplens_in_torch.py"}


def run(example: str, folder: Path) -> str:
    environment = os.environ | {"PYTHONPATH": str(Path(dl.__file__).parents[1])}
    command = [sys.executable, f"examples/{example}", str(folder)]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    return ended.stdout


def test_every_example_is_tried_here() -> None:
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == {*MADE, *OF_THE_SCHOOL}


@pytest.fixture(scope="module", params=MADE)
def made(request, tmp_path_factory) -> tuple[str, Path, str]:
    """The example's name, the folder that it wrote into and what it printed."""
    folder = tmp_path_factory.mktemp("examples") / "made"
    return request.param, folder, run(request.param, folder)


def test_the_example_makes_its_pictures(made) -> None:
    example, folder, printed = made
    assert str(folder) in printed.splitlines()[-1]
    assert {path.name for path in folder.iterdir()} - {"depth.png"} == set(MADE[example])
    for name, source in MADE[example].items():
        before, after = (dl.read(path).pixels for path in (ROOT / "examples/photos" / source, folder / name))
        assert after.shape == before.shape
        change = np.abs(after.astype(int) - before.astype(int)).mean((1, 2))
        assert change.max() > 2, "something is blurred"


def test_the_steps_show_what_they_are_about(made) -> None:
    example, folder, printed = made
    if example != "2_steps.py":
        return
    before = dl.read(ROOT / "examples/photos/coffee.jpg").pixels
    assert dl.read_depth_file(folder / "depth.png").shape == before.shape[:2]
    wide, narrow = (dl.read(folder / f"coffee-subject-f{n}.jpg").pixels.astype(int) for n in ("1.4", "4"))
    assert np.abs(wide - before).mean() > np.abs(narrow - before).mean()
    radii = [float(line.split()[-4]) for line in printed.splitlines() if "circles of confusion" in line]
    assert radii[0] / radii[1] == pytest.approx(4 / 1.4, rel=0.05)


@pytest.mark.slow
def test_focus_and_aperture_are_found_by_gradient(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the school needs torch: pip install '.[learn]'")
    printed = run("4_autofocus_by_gradient.py", tmp_path / "made")
    assert {path.name for path in (tmp_path / "made").iterdir()} == {"target.png", "recovered.png"}
    hidden, found = (
        [float(number) for number in re.findall(r"[\d.]+(?= 1/m)|(?<=f/)[\d.]+", line)]
        for line in printed.splitlines()[-3:-1]
    )
    assert found[0] == pytest.approx(hidden[0], abs=0.03)
    assert found[1] == pytest.approx(hidden[1], rel=0.08)


@pytest.mark.slow
def test_deeplens_is_tuned_and_saved(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the school needs torch: pip install '.[learn]'")
    printed = run("5_deeplens_in_torch.py", tmp_path / "made")
    before, after = (float(loss) for loss in re.findall(r"loss ([\d.e-]+)", printed))
    assert after < before, "a step towards the target"
    assert "differ by 0.0e+00" in printed
    assert {path.name for path in (tmp_path / "made").iterdir()} == {
        "depth.onnx",
        "lens_blur.onnx",
        "upsample.onnx",
    }
