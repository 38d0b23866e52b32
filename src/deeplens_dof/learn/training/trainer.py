"""The training loop. A `Task` defines how a network is trained; `Trainer` runs it in a folder.

The folder holds `checkpoint.pt` (everything needed to resume), `log.jsonl` (one JSON object per line) and, at the end, the
exported network. A run that is stopped at any moment and resumed ends with the same weights, to the bit on the same machine.
"""

from __future__ import annotations

import copy
import json
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Collection, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from deeplens_dof.datasets.folder import Folder
from deeplens_dof.learn.training.distributed import Alone
from deeplens_dof.learn.training.schedule import warm_cosine
from deeplens_dof.runtime.atomic_write import write_atomically
from deeplens_dof.runtime.interrupt import deferred_interrupts

LONGEST_GRADIENT = 1.0
LOSS_SCALE = 100.0  # of the small losses of light, so that LONGEST_GRADIENT clips them like those of depth
BATCHES_AHEAD = 4

Network = TypeVar("Network", bound=nn.Module)
Samples = TypeVar("Samples")
# Called with the number of finished iterations, their total, and the losses and seconds of the last one.
Progress = Callable[[int, int, dict[str, float]], None]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The numbers of a training.

    rate: of AdamW after `warm_up` iterations; it falls along a cosine to 2 %. ema: the share of the moving average that is
    kept in each iteration.
    """

    iterations: int
    batch: int = 8
    rate: float = 1e-3
    warm_up: int = 100
    ema: float = 0.995
    weight_decay: float = 1e-4
    seed: int = 1


@dataclass(frozen=True)
class TrainingData:
    """The folders that a task opens.

    Args:
        frames: frames or pairs of `deeplens scenes`; empty: the task's own below the cache folder; None: no frames, measured
            data alone.
        held_out: pairs to validate with, of other assets; None: the task's own.
        measured: folders of measured depth or of masks.
        measured_share: the part of the samples that comes from them, 0..1.
    """

    frames: Sequence[Path] | None = ()
    held_out: Path | None = None
    measured: Sequence[Folder] = ()
    measured_share: float = 0.3


class Task(ABC, Generic[Network, Samples]):
    """One training: its network, batches, loss, validation and export.

    A subclass gives `name`, `recipe` and the three abstract methods. The other methods have defaults: one rate for all
    weights, no validation, the weights as the exported file.
    """

    name: str
    recipe: Any  # a Recipe, or the task's own with `iterations`, `ema` and `seed`
    log_every = 25  # iterations
    validate_every = 500
    checkpoint_every_s = 120.0
    validate_at_start = False

    @property
    def batch_threads(self) -> int:
        """The number of threads that make batches."""
        return 1

    @abstractmethod
    def network(self) -> Network:
        """A new network. torch is seeded with the recipe's seed before."""

    @abstractmethod
    def batch(self, step: int) -> Samples:
        """Batch `step`: a tensor or a TensorBatch that depends on the seed and the step alone. Called in other threads."""

    @abstractmethod
    def loss(
        self, network: nn.Module, batch: Samples, step: int, group: Alone
    ) -> tuple[Tensor, dict[str, Tensor | float]]:
        """The loss to descend, and the values to log.

        With several processes, each computes it for `group.part(batch)`, scaled by `group.share`, so that the mean over the
        processes is the loss of the batch. A task that ignores `group` computes the whole batch in every process.
        """

    def validate(self, network: Network, step: int) -> dict[str, float]:
        """Scores of the averaged network after `step` iterations, on held-out samples."""
        return {}

    def facts(self, group: Alone) -> dict[str, Any]:
        """Facts about the data, for the first line of the log."""
        return {}

    def start_from(self, network: Network, init: Path | None) -> None:
        """Loads the weights to start from; by default the `weights.pt` at `init`."""
        if init is not None:
            network.load_state_dict(torch.load(init, map_location="cpu", weights_only=True))

    def optimiser(self, network: Network) -> torch.optim.Optimizer:
        """The optimiser; by default AdamW over all weights."""
        return torch.optim.AdamW(
            network.parameters(), lr=0.0, weight_decay=self.recipe.weight_decay, betas=(0.9, 0.99)
        )

    def set_rates(self, optimiser: torch.optim.Optimizer, step: int) -> None:
        """Sets the rates of iteration `step`; by default one rate for all weights."""
        rate = warm_cosine(self.recipe.rate, step, self.recipe.iterations, self.recipe.warm_up)
        for group in optimiser.param_groups:
            group["lr"] = rate

    @property
    def phase_starts(self) -> Collection[int]:
        """The iterations at which `set_trainable` is called again."""
        return ()

    def set_trainable(self, network: Network, step: int) -> None:
        """Freezes the weights that are not trained from iteration `step` on; by default none."""

    @property
    def file_name(self) -> str:
        """Name of the exported file in the run's folder."""
        return "weights.pt"

    def export(self, network: Network, path: Path) -> None:
        """Writes the averaged network; by default its weights alone."""
        state = network.state_dict()
        write_atomically(path, lambda file: torch.save(state, file))


class Trainer:
    """Trains a task in a folder: network, moving average, optimiser and step, with checkpoints and a log.

    Args:
        task: the training.
        out: the run's folder; made if it is not there.
        group: this process, or this one of several that share each batch.
        progress: called after each iteration.
    """

    def __init__(
        self, task: Task[Any, Any], out: Path, group: Alone | None = None, progress: Progress | None = None
    ) -> None:
        self.task, self.out, self.group, self.progress = task, out, group or Alone(), progress
        torch.manual_seed(task.recipe.seed)
        self.network = task.network().to(self.group.device)
        self.shared: nn.Module = self.network  # wrapped where several processes share gradients
        self.average = copy.deepcopy(self.network).eval()
        self.optimiser = task.optimiser(self.network)
        self.step = 0
        self.saved = time.monotonic()
        self.recent: list[dict[str, float]] = []  # values since the last line of the log

    def train(
        self, resume: bool = False, init: Path | None = None, stop_after: int | None = None
    ) -> Path | None:
        """Trains to the end of the recipe.

        Args:
            resume: go on from the folder's checkpoint, if there is one.
            init: weights for a new run to start from.
            stop_after: iterations after which this call ends; the run can be resumed.

        Returns:
            The exported file, or None when `stop_after` ended the call before.

        Raises:
            ValueError: the folder holds a run and `resume` is False.
            KeyboardInterrupt: after the iteration in which Ctrl-C came, with the checkpoint written.
        """
        task, iterations = self.task, self.task.recipe.iterations

        # Start or resume.
        claim_folder(self.out, resume)
        if (self.out / "checkpoint.pt").exists():
            self.restore()
        else:
            task.start_from(self.network, init)
            self.average.load_state_dict(self.network.state_dict())
        self.log("start", name=task.name, **task.facts(self.group))
        first = self.step
        last = iterations if stop_after is None else min(iterations, first + stop_after)

        with deferred_interrupts() as interrupted:
            if first == 0 and task.validate_at_start:
                self.validate()

            # Iterate.
            with closing(prefetched(task.batch, first, last, task.batch_threads)) as batches:
                for batch in batches:
                    if self.step == first or self.step in task.phase_starts:
                        self.begin_phase()
                    self.iterate(batch.to(self.group.device))

                    # Interrupted by Ctrl-C, validate, checkpoint.
                    if interrupted():
                        self.save()
                        raise KeyboardInterrupt
                    if self.step % task.validate_every == 0:
                        self.validate()
                    if time.monotonic() - self.saved > task.checkpoint_every_s:
                        self.save()

            # Stop early, or finish.
            if self.step < iterations:
                self.save()
                return None
            self.validate()
            self.save(is_over=True)

        # Export.
        path = self.out / task.file_name
        if self.group.is_first:
            task.export(self.average, path)
        self.group.wait()
        return path

    def begin_phase(self) -> None:
        """Freezes the weights that this phase does not train, and shares the others between the processes."""
        self.task.set_trainable(self.network, self.step)
        self.shared = self.group.shared(self.network)

    def iterate(self, batch: Any) -> None:
        """One iteration: rates, loss, optimiser step, moving average, log."""
        began = time.monotonic()
        self.task.set_rates(self.optimiser, self.step)
        loss, values = self.task.loss(self.shared, batch, self.step, self.group)
        self.optimiser_step(loss)
        self.step += 1
        self.update_ema()
        numbers = {
            name: value.item() if isinstance(value, Tensor) else value for name, value in values.items()
        }
        self.log_step(numbers | {"s": time.monotonic() - began})

    def optimiser_step(self, loss: Tensor) -> None:
        """A step of the optimiser, skipped when the gradient is not finite."""
        torch.autograd.backward(loss)
        length = nn.utils.clip_grad_norm_(self.network.parameters(), LONGEST_GRADIENT)
        if bool(torch.isfinite(length)):
            self.optimiser.step()
        else:  # one bad batch must not end a long run
            self.log("skipped", loss=str(loss.item()))
        self.optimiser.zero_grad(set_to_none=True)

    @torch.no_grad()
    def update_ema(self) -> None:
        """Moves the average towards the network, faster at first."""
        keep = min(self.task.recipe.ema, self.step / (self.step + 20))
        for ours, theirs in zip(self.average.parameters(), self.network.parameters(), strict=True):
            ours.lerp_(theirs, 1 - keep)

    @torch.no_grad()
    def validate(self) -> None:
        """Logs the scores of the average."""
        self.log("validation", **self.task.validate(self.average, self.step))

    def log_step(self, values: dict[str, float]) -> None:
        """Reports the values of a step, and logs their means every `log_every` steps."""
        self.recent.append(values)
        if self.progress is not None:
            self.progress(self.step, self.task.recipe.iterations, values)
        if self.step % self.task.log_every == 0:
            means = {key: sum(step[key] for step in self.recent) / len(self.recent) for key in values}
            self.log("train", **{key: round(value, 6) for key, value in self.group.mean(means).items()})
            self.recent.clear()

    def log(self, event: str, **values: Any) -> None:
        """Appends a line to the log."""
        if not self.group.is_first:
            return
        entry = {"time": round(time.time(), 1), "event": event, "step": self.step, **values}
        with (self.out / "log.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def save(self, is_over: bool = False) -> None:
        """Writes the checkpoint, complete or not at all.

        It holds what resuming needs: averages that equal the network's weights (frozen ones) are stored once, and the
        optimiser, half of the file, is left out when the run is over.
        """
        self.saved = time.monotonic()
        if not self.group.is_first:
            return
        network, average = self.network.state_dict(), self.average.state_dict()
        average = {
            name: network[name] if torch.equal(value, network[name]) else value
            for name, value in average.items()
        }
        state = {"step": self.step, "network": network, "average": average}
        if not is_over:
            state["optimiser"] = self.optimiser.state_dict()
        write_atomically(self.out / "checkpoint.pt", lambda file: torch.save(state, file))

    def restore(self) -> None:
        """Reads the checkpoint."""
        state = torch.load(self.out / "checkpoint.pt", map_location="cpu", weights_only=True)
        self.step = int(state["step"])
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        if "optimiser" in state:
            self.optimiser.load_state_dict(state["optimiser"])


def claim_folder(out: Path, resume: bool) -> None:
    """Makes the run's folder. Raises ValueError when it holds a run and `resume` is False."""
    out.mkdir(parents=True, exist_ok=True)
    if (out / "checkpoint.pt").exists() and not resume:
        raise ValueError(f"{out} holds a run already; go on with --resume or name another folder with --out")


def prefetched(
    make: Callable[[int], Any], first: int, last: int, threads: int = 1
) -> Generator[Any, None, None]:
    """make(first) .. make(last - 1) in order, computed ahead in other threads, up to BATCHES_AHEAD per thread."""
    ahead = BATCHES_AHEAD * threads
    pool = ThreadPoolExecutor(threads)
    ready = deque(pool.submit(make, step) for step in range(first, min(first + ahead, last)))
    try:
        for step in range(first, last):
            batch = ready.popleft().result()
            if step + ahead < last:
                ready.append(pool.submit(make, step + ahead))
            yield batch
    finally:
        pool.shutdown(cancel_futures=True)
