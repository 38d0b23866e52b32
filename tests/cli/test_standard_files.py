"""`deeplens blur - -o -`: a photo through the command as through a filter, messages on standard error only."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

COMMAND = [sys.executable, "-m", "deeplens_dof.cli", "blur"]
FAST = ["--f-number", "22", "--lens-mm", "10", "--highlights", "0", "--depth", "depth.png"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ramp = np.arange(48 * 64, dtype=np.uint32).reshape(48, 64)
    Image.fromarray((ramp * 20).astype(np.uint16)).save(tmp_path / "depth.png")
    Image.fromarray((ramp % 251).astype(np.uint8)).convert("RGB").save(tmp_path / "a.jpg")
    return tmp_path


def blur(folder: Path, *words: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *words, *FAST], cwd=folder, input=given, capture_output=True, timeout=300, check=False
    )


def test_through_the_command_as_through_files(folder: Path) -> None:
    done = blur(folder, "-", "-o", "-", given=(folder / "a.jpg").read_bytes())
    assert done.returncode == 0
    assert blur(folder, "a.jpg", "-o", "b.jpg").returncode == 0
    assert done.stdout == (folder / "b.jpg").read_bytes()
    assert b"standard output (" in done.stderr
    assert b"deeplens-" not in done.stderr


def test_standard_output_is_the_default_for_standard_input_and_takes_any_format(folder: Path) -> None:
    done = blur(folder, "-", "--format", "png", given=(folder / "a.jpg").read_bytes())
    assert Image.open(io.BytesIO(done.stdout)).format == "PNG"
    done = blur(folder, "a.jpg", "-o", "-")
    assert Image.open(io.BytesIO(done.stdout)).format == "JPEG"
    done = blur(folder, "-", "-o", "c.png", given=(folder / "a.jpg").read_bytes())
    assert (done.returncode, done.stdout) == (0, b"")
    assert Image.open(folder / "c.png").format == "PNG"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (b"", b"deeplens: standard input is empty, expected"),
        (b"hello", b"deeplens: standard input is a text file, expected"),
        (b"\xff\xd8\xff\xe0", b"deeplens: standard input is a damaged or incomplete JPEG file"),
    ],
)
def test_what_is_no_photo_is_one_sentence_and_no_output(given: bytes, sentence: bytes, folder: Path) -> None:
    done = blur(folder, "-", given=given)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(sentence)
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-", "a.jpg", "-o", "out/"], b"'-' stands for one photo"),
        (["-", "--from", "-"], b"'-' stands for one photo"),
        (["-", "--json"], b"--json does not go with standard output"),
        (["-", "--watch"], b"--watch does not go with standard output"),
        (["-", "--format", "gif"], b"--format: 'gif' is not a picture format that is written"),
        (["a.jpg", "-o", "b.png", "--format", "jpeg"], b"--format goes with -o -"),
    ],
)
def test_wrong_usage(words: list[str], sentence: bytes, folder: Path) -> None:
    done = blur(folder, *words, given=(folder / "a.jpg").read_bytes())
    assert (done.returncode, done.stdout) == (2, b"")
    assert sentence in done.stderr
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("words", "stream", "sentence"),
    [
        (["-", "-o", "b.jpg"], "stdin", b"standard input is a terminal, expected a photo"),
        (["a.jpg", "-o", "-"], "stdout", b"standard output is a terminal, expected a file or a pipe"),
    ],
)
def test_a_terminal_is_refused(words: list[str], stream: str, sentence: bytes, folder: Path) -> None:
    ours, theirs = pty.openpty()
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, stream: theirs}
    done = subprocess.run([*COMMAND, *words], cwd=folder, stderr=subprocess.PIPE, timeout=60, **streams)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 2
    assert sentence in done.stderr
