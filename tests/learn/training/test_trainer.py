"""The trainer, with the task in docs/training.md: stop, resume, log, export, batches."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import pytest
import torch

from deeplens_dof.learn.training.distributed import Alone
from deeplens_dof.learn.training.recipes import RECIPES, train
from deeplens_dof.learn.training.schedule import warm_cosine
from deeplens_dof.learn.training.tensor_batch import TensorBatch
from deeplens_dof.learn.training.trainer import (
    BATCHES_AHEAD,
    Recipe,
    Task,
    Trainer,
    TrainingData,
    prefetched,
)

DOCS = Path(__file__).parents[3] / "docs" / "training.md"
SHORT = Recipe(iterations=40, rate=1e-2, warm_up=5)


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The names defined by the example in docs/training.md, after running it in `folder`."""
    text = DOCS.read_text(encoding="utf-8").partition("\n## A training of your own")[2]
    code = text.partition("```python\n")[2].partition("```")[0]
    names = {"__name__": "documented", "folder": tmp_path_factory.mktemp("documented")}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(names["folder"])
        patch.setitem(sys.modules, "documented", ModuleType("documented"))  # dataclasses look it up
        exec(code, names)
    return names


@pytest.fixture
def task(documented: dict) -> Task:
    return documented["Sharpen"]("sharpen", SHORT)


def events(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def numbers(out: Path, event: str) -> list[dict]:
    """The log lines of an event, without times."""
    dropped = {"time", "s"}
    return [
        {key: value for key, value in line.items() if key not in dropped}
        for line in events(out)
        if line["event"] == event
    ]


def test_the_documented_example_learns(documented: dict) -> None:
    out = documented["folder"] / "runs" / "sharpen"
    losses = [line["loss"] for line in numbers(out, "train")]
    assert losses[-1] < 0.5 * losses[0]
    (last,) = numbers(out, "validation")
    assert last["val_loss"] < 0.9 * last["val_without"]
    assert (out / "weights.pt").is_file()


@pytest.mark.parametrize("stops", [(1,), (17, 9), (0, 39)])
def test_a_stopped_and_resumed_run_ends_with_the_same_bits(task: Task, tmp_path: Path, stops) -> None:
    trainer = Trainer(task, tmp_path / "whole")
    whole = trainer.train()
    assert whole == tmp_path / "whole" / "weights.pt"
    for number, stop in enumerate(stops):
        assert Trainer(task, tmp_path / "parts").train(resume=number > 0, stop_after=stop) is None
    continued = Trainer(task, tmp_path / "parts")
    assert continued.train(resume=True)
    one, other = (
        torch.load(tmp_path / run / "checkpoint.pt", weights_only=True) for run in ("whole", "parts")
    )
    for part in ("network", "average"):
        assert all(torch.equal(one[part][name], other[part][name]) for name in one[part])
    states = (run.optimiser.state_dict()["state"].values() for run in (trainer, continued))
    for state, same in zip(*states, strict=True):
        assert all(torch.equal(state[name], same[name]) for name in state)
    assert [line["step"] for line in numbers(tmp_path / "parts", "start")] == [
        0,
        *(sum(stops[: k + 1]) for k in range(len(stops))),
    ]
    last = [numbers(tmp_path / run, "validation")[-1] for run in ("whole", "parts")]
    assert last[0] == last[1]


def test_a_run_resumes_on_a_device_with_a_number(task: Task, tmp_path: Path) -> None:
    """Several processes on processors train on `cpu:0`."""
    group = Alone()
    group.device = torch.device("cpu", 0)
    assert Trainer(task, tmp_path, group).train(stop_after=3) is None
    assert Trainer(task, tmp_path, group).train(resume=True)


def test_a_run_is_not_overwritten(task: Task, tmp_path: Path) -> None:
    Trainer(task, tmp_path).train(stop_after=1)
    with pytest.raises(ValueError, match="holds a run already; go on with --resume or name another folder"):
        Trainer(task, tmp_path).train()


def test_the_log_holds_means_of_the_steps_since_its_last_line(task: Task, tmp_path: Path) -> None:
    told: list[tuple[int, int, float]] = []
    Trainer(task, tmp_path, progress=lambda done, of, last: told.append((done, of, last["loss"]))).train()
    assert [(done, of) for done, of, _ in told] == [(k + 1, 40) for k in range(40)]
    (line,) = numbers(tmp_path, "train")
    assert line["step"] == task.log_every == 25
    assert line["loss"] == pytest.approx(sum(loss for _, _, loss in told[:25]) / 25, abs=1e-6)


def test_weights_to_start_from_are_those_of_an_earlier_run(task: Task, tmp_path: Path) -> None:
    weights = Trainer(task, tmp_path / "one").train()
    second = Trainer(task, tmp_path / "two")
    second.train(init=weights, stop_after=0)
    for name, weight in torch.load(weights, weights_only=True).items():
        assert torch.equal(second.network.state_dict()[name], weight)
        assert torch.equal(second.average.state_dict()[name], weight)


def test_the_average_lies_between_its_past_and_the_network(task: Task, tmp_path: Path) -> None:
    trainer = Trainer(task, tmp_path)
    with torch.no_grad():
        for weight in trainer.network.parameters():
            weight.add_(1)
    before = [weight.clone() for weight in trainer.average.parameters()]
    trainer.step = 20  # keeps a half
    trainer.update_ema()
    for old, new in zip(before, trainer.average.parameters(), strict=True):
        assert torch.allclose(new - old, torch.full_like(old, 0.5), atol=1e-6)


def test_an_entry_in_the_table_makes_it_a_recipe(
    documented: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = (
        (lambda name, recipe, data, group: documented["Sharpen"](name, recipe)),
        replace(SHORT, iterations=2),
    )
    monkeypatch.setitem(RECIPES, "sharpen", entry)
    assert train("sharpen", TrainingData(), tmp_path, threads=1) == tmp_path / "weights.pt"


def test_batches_come_in_order_and_only_a_few_ahead() -> None:
    made: list[int] = []

    def make(step: int) -> int:
        made.append(step)
        return step

    given = []
    for batch in prefetched(make, 3, 20):
        given.append(batch)
        assert max(made) <= batch + BATCHES_AHEAD
    assert given == made == list(range(3, 20))
    assert list(prefetched(make, 5, 5)) == []


def test_an_error_in_the_thread_reaches_the_reader() -> None:
    def make(step: int) -> int:
        raise ValueError(f"no batch {step}")

    with pytest.raises(ValueError, match="no batch 7"):
        next(prefetched(make, 7, 9))


@dataclass(frozen=True)
class Numbered(TensorBatch):
    values: torch.Tensor
    scale: int
    known: torch.Tensor | None = None


def test_the_parts_of_a_batch_are_the_batch() -> None:
    whole = Numbered(torch.arange(5.0), 3, torch.arange(5) > 1)
    parts = [whole.part(rank, 2) for rank in range(2)]
    assert [len(part) for part in parts] == [3, 2]
    for name in ("values", "known"):
        together = torch.empty_like(getattr(whole, name))
        for rank, part in enumerate(parts):
            together[rank::2] = getattr(part, name)
        assert torch.equal(together, getattr(whole, name))
    assert parts[1].scale == 3
    assert Numbered(torch.ones(2), 1).to(torch.device("meta")).values.is_meta
    assert Numbered(torch.ones(2), 1).part(0, 2).known is None


def test_the_rate_rises_falls_and_ends_at_a_fiftieth() -> None:
    rates = [warm_cosine(1e-3, step, 100, 10) for step in range(101)]
    assert rates[0] == pytest.approx(1e-4)
    assert rates[10] == pytest.approx(max(rates)) == pytest.approx(1e-3)
    assert rates[100] == pytest.approx(2e-5)
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
