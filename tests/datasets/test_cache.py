"""$DEEPLENS_CACHE moves everything that is kept outside the repository."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = """
import sys
sys.path.insert(0, "tools/data")
from deeplens_dof.datasets.cache import assets_folder, cache_folder
from deeplens_dof.evaluate.depth.measured_photos import CACHE
import fetch_evaluation_data, numba
print(assets_folder(), cache_folder(), CACHE, fetch_evaluation_data.CACHE, numba.config.CACHE_DIR, sep="\\n")
"""


def said(**environment: str) -> list[str]:
    own = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    command = [sys.executable, "-c", CODE]
    ended = subprocess.run(
        command, cwd=ROOT, env=own | environment, capture_output=True, text=True, check=True, timeout=120
    )
    return ended.stdout.splitlines()


def test_one_variable_moves_it(tmp_path: Path) -> None:
    assert said(DEEPLENS_CACHE=str(tmp_path)) == [
        str(tmp_path / name) for name in ("assets", "", "evaluation", "evaluation", "numba")
    ]


def test_a_cache_of_numba_that_is_named_stays(tmp_path: Path) -> None:
    kernels = str(tmp_path / "kernels")
    assert said(DEEPLENS_CACHE=str(tmp_path), NUMBA_CACHE_DIR=kernels)[-1] == kernels


def test_no_file_names_the_default_folder_itself() -> None:
    naming = [
        path.relative_to(ROOT).as_posix()
        for folder in ("src", "tools", "benchmarks", "scripts")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if '"~/.cache/deeplens' in path.read_text("utf-8")
    ]
    assert naming == ["src/deeplens_dof/datasets/cache.py"]
