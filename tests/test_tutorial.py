"""The tutorial notebook runs from its first cell to its last, and holds no outputs."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
NOTEBOOK = json.loads((ROOT / "examples" / "tutorial.ipynb").read_text("utf-8"))
CELLS = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def shown(cell: str, names: dict[str, Any]) -> Any:
    """The value of a cell's last expression, which a notebook shows; None where a statement is last."""
    *before, last = ast.parse(cell).body
    if not isinstance(last, ast.Expr):
        exec(cell, names)
        return None
    exec(compile(ast.Module(before, []), "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)


def test_outputs_are_stripped() -> None:
    for cell in NOTEBOOK["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
    assert not {"widgets", "signature"} & set(NOTEBOOK["metadata"])


@pytest.mark.parametrize("start", [ROOT, ROOT / "examples"], ids=["clone", "folder of the notebook"])
def test_it_finds_its_photo_from_where_jupyter_starts(start, monkeypatch) -> None:
    monkeypatch.chdir(start)
    names: dict[str, Any] = {}
    exec(CELLS[0].partition("scene = ")[0], names)
    assert names["photo"].width > 100


def test_every_cell_runs_and_shows_what_it_is_about(monkeypatch) -> None:
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {}
    *pictures, scores = [shown(cell, names) for cell in CELLS]
    assert scores is None
    for picture in pictures:
        assert isinstance(picture, Image.Image)
        assert np.asarray(picture).std() > 5, "something is to be seen"
    assert abs(names["subject"].coc_px - names["corner"].coc_px).max() > 5, "the focus has moved"
    own, ours = names["scores"]["squares"], names["scores"]["optical"]
    assert ours["edge"] > own["edge"] + 5
