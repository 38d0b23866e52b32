"""What a folder of photos leaves out: hidden folders, those of network drives, and patterns of names."""

from __future__ import annotations

from pathlib import Path

import pytest

from deeplens_dof.batch.inputs import expand_inputs
from deeplens_dof.batch.jobs import is_left_out, plan
from deeplens_dof.runtime.errors import PlanError

HIDDEN = (
    ".thumbnails",
    ".Trash-1000/files",
    "@eaDir",
    "@EADIR",
    "#recycle",
    "b/.cache",
    "$RECYCLE.BIN",
    "__MACOSX",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.jpg", "b/c.jpg", "raw/d.png", *(f"{hidden}/t.jpg" for hidden in HIDDEN)):
        file = tmp_path / "in" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path / "in"


def names(*arguments: str, out: Path, exclude: tuple[str, ...] = ()) -> list[str]:
    inputs = expand_inputs(arguments, exclude=exclude)
    return [job.name for job in plan(inputs, str(out), exclude=exclude).jobs]


@pytest.mark.parametrize("given", ["{}", "{}/**/*"])
def test_hidden_folders_are_left_out(given: str, folder: Path) -> None:
    assert sorted(names(given.format(folder), out=folder.parent / "out")) == ["a.jpg", "b/c.jpg", "raw/d.png"]


@pytest.mark.parametrize("given", ["{}", "{}/**/*"])
@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("*.png", ["a.jpg", "b/c.jpg"]),
        ("b", ["a.jpg", "raw/d.png"]),
        ("b/", ["a.jpg", "raw/d.png"]),
        ("b/*", ["a.jpg", "raw/d.png"]),
        ("c.jpg", ["a.jpg", "raw/d.png"]),
        ("nothing", ["a.jpg", "b/c.jpg", "raw/d.png"]),
    ],
)
def test_patterns_leave_out(given: str, pattern: str, left: list[str], folder: Path) -> None:
    out = folder.parent / "out"
    assert sorted(names(given.format(folder), out=out, exclude=(pattern,))) == left


def test_a_hidden_folder_that_is_named_is_done(folder: Path) -> None:
    assert names(str(folder / ".thumbnails"), out=folder.parent / "out") == ["t.jpg"]


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_name_is_not_the_current_folder(empty: str) -> None:
    with pytest.raises(PlanError, match="an INPUT is empty"):
        expand_inputs([empty])


def test_only_folders_hide_what_is_in_them() -> None:
    assert not is_left_out(("@eaDir",))
    assert is_left_out(("@eaDir", "x.jpg"))
