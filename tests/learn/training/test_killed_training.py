"""A killed training resumes from its last checkpoint and ends with the same weights."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from made_pairs import write_pairs

from deeplens_dof.learn.training.pair_recipes import PAIR_RECIPES

TOY = next(name for name in PAIR_RECIPES if name.endswith("-toy"))

PROCESS = """
import os, signal, sys
from pathlib import Path
import torch
from deeplens_dof.learn.training.recipes import train
from deeplens_dof.learn.training.trainer import Task, TrainingData

recipe, pairs, out, moment = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
Task.checkpoint_every_s, Task.log_every = 0.0, 1
saves, save = [], torch.save


def end():
    os.kill(os.getpid(), signal.SIGKILL)


def told(step, total, facts):
    if moment == "between" and step == 4:
        end()


def cut_short(state, file):
    saves.append(file)
    if moment == "while saving" and len(saves) == 3:
        file.write(b"half a checkpoint")
        file.flush()
        end()
    save(state, file)


torch.save = cut_short
train(recipe, TrainingData([pairs], pairs), out, resume=moment == "resumed", threads=1, progress=told)
"""


@pytest.fixture(scope="module")
def pairs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("pairs"))


def trained(pairs: Path, out: Path, moment: str) -> int:
    """The exit code of a process that trains the toy recipe, killed at that moment if one is given."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", PROCESS, TOY, str(pairs), str(out), moment]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
    return ended.returncode


def losses(run: Path) -> dict[int, float]:
    """The loss by step; the later one of a repeated step."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines if line["event"] == "train"}


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["between", "while saving"])
def test_a_training_that_was_killed_ends_with_the_same_weights(pairs_folder: Path, tmp_path: Path, moment):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert trained(pairs_folder, whole, "never") == 0
    assert trained(pairs_folder, parts, moment) == -signal.SIGKILL
    assert (parts / "checkpoint.pt").exists()
    assert not (parts / "weights.pt").exists()
    assert trained(pairs_folder, parts, "resumed") == 0
    one, two = (torch.load(run / "weights.pt", weights_only=True) for run in (whole, parts))
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert losses(whole) == losses(parts)
    assert len(losses(whole)) == PAIR_RECIPES[TOY].iterations
