"""A training's folder and state: network, moving average, optimiser, step; checkpoint and log."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deeplens_dof.atomic import write_atomically
from deeplens_dof.learn.training.distributed import Alone

LOSS_SCALE = (
    100.0  # of losses of light, which are small: their gradients are cut where those of other losses are
)
LONGEST_GRADIENT = 1.0


class Run:
    """What every training loop keeps: `checkpoint.pt` (everything needed to go on), `log.jsonl` (one object a line)."""

    recipe: Any
    out: Path
    progress: Callable[[int, int, dict[str, float]], None] | None
    group: Alone
    network: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer
    step: int
    saved: float  # when, on the monotonic clock
    recent: list[dict[str, float]]  # of the steps since the last line of the log

    def set_rate(self) -> None:
        """The rate of this step: a warm-up, then the cosine to 2 % of the recipe's."""
        warm, total = self.recipe.warm_up, self.recipe.iterations
        along = max(0.0, (self.step - warm) / max(1, total - warm))
        rate = self.recipe.rate * min(1.0, (self.step + 1) / warm) * (0.51 + 0.49 * math.cos(math.pi * along))
        for group in self.optimiser.param_groups:
            group["lr"] = rate

    def learn_from(self, loss: Tensor) -> None:
        """One step down the loss; counts it, and moves the average."""
        torch.autograd.backward(loss)
        length = nn.utils.clip_grad_norm_(self.network.parameters(), LONGEST_GRADIENT)
        if bool(torch.isfinite(length)):
            self.optimiser.step()
        else:  # one broken batch must not end a night's work
            self.log("skipped", loss=str(float(loss.detach())))
        self.optimiser.zero_grad(set_to_none=True)
        self.step += 1
        self.follow(self.recipe.ema)

    def tell(self, values: dict[str, float], every: int) -> None:
        """Tells the values of a step, and logs their means every so many."""
        self.recent.append(values)
        if self.progress is not None:
            self.progress(self.step, self.recipe.iterations, values)
        if self.step % every == 0:
            means = {key: sum(each[key] for each in self.recent) / len(self.recent) for key in values}
            self.log("train", **{key: round(value, 6) for key, value in self.group.mean(means).items()})
            self.recent.clear()

    @torch.no_grad()
    def follow(self, ema: float) -> None:
        """Moves the average towards the network; quickly at first."""
        keep = min(ema, self.step / (self.step + 20))
        for ours, theirs in zip(self.average.parameters(), self.network.parameters(), strict=True):
            ours.lerp_(theirs, 1 - keep)

    def save(self) -> None:
        """Writes the checkpoint so that it is there whole or not at all."""
        self.saved = time.monotonic()
        if not self.group.is_first:
            return
        state = {
            "step": self.step, "network": self.network.state_dict(), "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }  # fmt: skip
        write_atomically(self.out / "checkpoint.pt", lambda file: torch.save(state, file))

    def restore(self) -> None:
        """Reads the checkpoint."""
        state = torch.load(self.out / "checkpoint.pt", map_location=self.group.device, weights_only=True)
        self.step = int(state["step"])
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])

    def log(self, event: str, **values: Any) -> None:
        """One line of the log: what happened, at which step, with which numbers."""
        if not self.group.is_first:
            return
        entry = {"time": round(time.time(), 1), "event": event, "step": self.step, **values}
        with (self.out / "log.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")
