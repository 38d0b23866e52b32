"""`deeplens doctor --warm` compiles everything once, and the first photo says so when nobody did."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import deeplens_dof as dl
from deeplens_dof import warmup

BLUR_SOMETHING = """
import numpy as np, deeplens_dof as dl
for height, width, largest_px in ((70, 50, 0.3), (200, 350, 11.0), (500, 700, 70.0), (1100, 1500, 30.0)):
    random = np.random.default_rng(0)
    rgb = random.random((height, width, 3), np.float32)
    coc = np.repeat(random.random((height, 1), np.float32), width, 1) * largest_px
    coc[: height // 2, : width // 3] = -largest_px
    dl.render(rgb, coc)
    dl.render(rgb, coc, threads=1)
dl.render(rgb[:90, :90], coc[:90, :90], dl.Aperture.parse("anamorphic:0.8"))
dl.blur(np.full((300, 400, 3), 90, np.uint8))
for renderer in ("neural", "paper"):
    for size in (90, 400):
        dl.render(rgb[:size, :size], 0.6 * coc[:size, :size], renderer=renderer)
"""


def test_warming_up_says_what_it_is_at(monkeypatch) -> None:
    monkeypatch.setattr(warmup, "BLURS", (("slight blur", 20, 30, 0.7), ("small blur", 40, 60, 5.0)))
    said: list[str] = []
    warmup.compile_blur(said.append)
    assert [line.split(":")[0] for line in said] == [
        "lens blur, slight blur",
        "lens blur, small blur",
        "lens blur, shapes of the aperture",
        "lens blur, with networks",
    ]


def test_the_scene_to_warm_up_with_has_a_step_a_slope_and_sharp_parts() -> None:
    rgb, coc_px = warmup._ball_before_wall(60, 90)
    assert (rgb.dtype, coc_px.dtype) == (np.float32, np.float32)
    assert (coc_px == 0).mean() > 0.2
    assert (coc_px == 1).mean() > 0.1
    assert len(np.unique(coc_px)) > 20


@pytest.mark.parametrize("where", ["beside the code", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME"])
def test_first_use_is_known_from_the_index_of_compiled_loops(where: str, tmp_path, monkeypatch) -> None:
    code = tmp_path / "package" / "lens_blur" / "layers"
    code.mkdir(parents=True)
    (code / "kernels.py").write_text("")
    os.utime(code / "kernels.py", (1000, 1000))
    monkeypatch.setattr(warmup, "__file__", str(tmp_path / "package" / "warmup.py"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    place = code / "__pycache__"
    if where != "beside the code":
        monkeypatch.setenv(where, str(tmp_path / "cache"))
        place = tmp_path / "cache" / ("numba" if where == "XDG_CACHE_HOME" else "") / "layers_0123abcd"
    assert warmup.first_use()
    place.mkdir(parents=True)
    index = place / "kernels.mark_steps-16.py311.nbi"
    index.write_text("")
    assert not warmup.first_use()
    os.utime(index, (500, 500))
    assert warmup.first_use(), "the source is newer"


@pytest.mark.slow
def test_nothing_is_left_to_compile_after_warming_up(tmp_path) -> None:
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": str(Path(dl.__file__).parents[1]),
    }

    def compiled_by(*arguments: str) -> set[str]:
        subprocess.run([sys.executable, *arguments], env=environment, check=True, timeout=1200)
        return {path.name for path in tmp_path.rglob("*.nbc")}

    warm = compiled_by("-m", "deeplens_dof.cli", "doctor", "--warm")
    assert warm
    assert compiled_by("-c", BLUR_SOMETHING) == warm
