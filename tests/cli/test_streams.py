"""The command with standard streams that are closed, full or broken off, and a terminal of no width."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

COMMAND = f"{sys.executable} -m deeplens_dof.cli"
FAST = "--f-number 22 --lens-mm 10 --highlights 0 --depth depth.png"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ramp = np.arange(48 * 64, dtype=np.uint32).reshape(48, 64)
    Image.fromarray((ramp * 20).astype(np.uint16)).save(tmp_path / "depth.png")
    Image.fromarray((ramp % 251).astype(np.uint8)).convert("RGB").save(tmp_path / "a.jpg")
    return tmp_path


def shell(line: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=os.environ | more, capture_output=True, text=True, timeout=300
    )


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_not_matter(closed: str, folder: Path) -> None:
    done = shell(f"{COMMAND} blur a.jpg -o o.jpg {FAST} {closed}", folder)
    assert done.returncode == 0
    with Image.open(folder / "o.jpg") as picture:
        assert picture.size == (64, 48)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_output_is_one_sentence(folder: Path) -> None:
    done = shell(f"{COMMAND} blur a.jpg -o o.jpg {FAST} --json >/dev/full", folder)
    assert done.returncode == 1
    sentences = [line for line in done.stderr.splitlines() if line.startswith("deeplens: ")]
    assert len(sentences) == 1
    assert "standard output cannot be written" in sentences[0]
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    assert (folder / "o.jpg").exists()


def test_a_reader_that_has_gone_is_no_failure(folder: Path) -> None:
    done = shell(f"set -o pipefail; {COMMAND} models | true", folder)
    assert done.returncode == 0
    assert done.stderr == ""


@pytest.mark.parametrize("columns", ["0", "1", "-3", "wide"])
def test_a_terminal_of_no_width_shows_the_help(columns: str, folder: Path) -> None:
    done = shell(f"{COMMAND} blur --help", folder, COLUMNS=columns)
    assert done.returncode == 0
    assert "--f-number" in done.stdout


def test_notes_are_shown_and_reported(folder: Path) -> None:
    data = (folder / "a.jpg").read_bytes()
    (folder / "a.jpg").write_bytes(data[:-2])
    (folder / "b.jpg").write_bytes(data[: len(data) * 2 // 3])
    done = shell(f"{COMMAND} blur a.jpg b.jpg -o out {FAST} --json", folder)
    assert done.returncode == 1
    assert "a.jpg lacks its end marker" in done.stderr
    photos = json.loads(done.stdout)["photos"]
    assert "lacks its end marker" in photos[0]["notes"][0]
    assert "rows" in photos[1]["error"]
    done = shell(f"{COMMAND} blur b.jpg -o b2.jpg {FAST} --allow-truncated", folder)
    assert done.returncode == 0
    assert "which are grey in the result" in done.stderr
