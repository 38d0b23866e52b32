"""The curves of a run, from its log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deeplens_dof.learn.training.curves import write_curves


@pytest.mark.parametrize("steps", [[], [0], [0, 20, 40]], ids=["none", "stopped at once", "some"])
def test_a_run_of_any_length_has_curves(tmp_path: Path, steps: list[int]) -> None:
    entries = [{"event": "start", "step": 0}]
    entries += [{"event": "train", "step": step, "loss": 1.0 / (step + 1)} for step in steps]
    (tmp_path / "log.jsonl").write_text("\n".join(json.dumps(entry) for entry in entries))
    drawn = write_curves(tmp_path).read_text()
    assert drawn.startswith("<svg")
    assert ("loss:" in drawn) == bool(steps)
