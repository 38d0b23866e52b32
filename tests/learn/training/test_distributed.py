"""Several processes that share a batch train as one does; after Ctrl-C a run can be resumed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

from deeplens_dof.learn.training.distributed import Alone, processes
from deeplens_dof.learn.training.recipes import train
from deeplens_dof.learn.training.trainer import TrainingData

# Two phases with different frozen blocks, and a log line for every iteration.
TRAIN = """
import sys
from dataclasses import replace
from pathlib import Path
from deeplens_dof.learn.training.depth import DepthTask
from deeplens_dof.learn.training.recipes import RECIPES, train
from deeplens_dof.learn.training.trainer import TrainingData
task, toy = RECIPES["depth-toy"]
phases = (replace(toy.phases[0], iterations=4), replace(toy.phases[0], iterations=4, blocks=4))
RECIPES["two-phases"] = task, replace(toy, batch=5, phases=phases)
DepthTask.log_every = 1
frames, out, stop_after = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
print(train("two-phases", TrainingData([frames]), out, resume=True, stop_after=stop_after, threads=1))
"""
LARGEST_RELATIVE_DIFFERENCE = 2e-3  # of a logged loss with four decimals; sums are in another order
LARGEST_MEDIAN_DIFFERENCE = 1e-6  # of weights; Adam magnifies rounding where a gradient is tiny


def trained(frames: Path, out: Path, count: int, stop_after: int = 8) -> list[dict]:
    """The training lines in the log of a run that continues for `stop_after` iterations in `count` processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for rank in range(count):
        several = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_PORT": port}
        several |= {"MASTER_ADDR": "127.0.0.1", "ACCELERATE_USE_CPU": "true"}
        environment = os.environ | (
            {name: str(value) for name, value in several.items()} if count > 1 else {}
        )
        environment |= {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
        }
        command = [sys.executable, "-c", TRAIN, str(frames), str(out), str(stop_after)]
        started.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    for process in started:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    return [line for line in logged(out) if line["event"] == "train"]


def logged(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_two_processes_train_as_one(frames_folder: Path, tmp_path: Path) -> None:
    """With a batch of five shared unequally, samples without a matte, and a change of phase at which both are resumed."""
    pytest.importorskip("accelerate", reason="several processes need accelerate: pip install '.[learn]'")
    one = trained(frames_folder, tmp_path / "1", 1)
    trained(frames_folder, tmp_path / "2", 2, stop_after=5)
    two = trained(frames_folder, tmp_path / "2", 2)
    starts = [line["step"] for line in logged(tmp_path / "2") if line["event"] == "start"]
    assert starts == [0, 5]  # the first process alone writes
    assert (tmp_path / "2" / "depth.onnx").is_file()
    assert len(one) == len(two) == 8
    for alone, together in zip(one, two, strict=True):
        for name in ("absolute", "gradient", "ordinal", "matte"):
            assert together[name] == pytest.approx(alone[name], rel=LARGEST_RELATIVE_DIFFERENCE)
    first, second = (
        torch.load(tmp_path / n / "checkpoint.pt", weights_only=True)["network"] for n in ("1", "2")
    )
    differences = torch.cat([(first[name] - second[name]).abs().flatten() for name in first])
    assert float(differences.median()) < LARGEST_MEDIAN_DIFFERENCE


def test_one_process_shares_nothing() -> None:
    group = processes(8)
    assert type(group) is Alone
    assert group.share(torch.ones(3)) == 1


def test_more_processes_than_samples_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(ValueError, match="3 processes for batches of 2"):
        processes(2)


@pytest.fixture
def heeding():
    """Handles interrupts as in a terminal; a background job of a shell inherits that they are ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeding")
def test_an_interrupted_run_goes_on_to_the_same_weights(frames_folder: Path, tmp_path: Path) -> None:
    data = TrainingData([frames_folder])
    train("depth-toy", data, tmp_path / "whole", threads=1)

    def interrupt(done: int, of: int, last: dict[str, float]) -> None:
        if done == 3:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train("depth-toy", data, tmp_path / "parts", threads=1, progress=interrupt)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert torch.load(tmp_path / "parts" / "checkpoint.pt", weights_only=True)["step"] == 3
    train("depth-toy", data, tmp_path / "parts", resume=True, threads=1)
    one, other = (
        torch.load(tmp_path / n / "checkpoint.pt", weights_only=True)["average"] for n in ("whole", "parts")
    )
    assert all((one[name] == other[name]).all() for name in one)


def test_a_run_in_another_thread_leaves_signals_alone(frames_folder: Path, tmp_path: Path) -> None:
    thread = threading.Thread(
        target=train,
        args=("depth-toy", TrainingData([frames_folder]), tmp_path),
        kwargs={"stop_after": 1, "threads": 1},
    )
    thread.start()
    thread.join()
    assert (tmp_path / "checkpoint.pt").is_file()
