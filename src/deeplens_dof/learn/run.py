"""A training's folder and state: network, moving average, optimiser, step; checkpoint and log."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from deeplens_dof.atomic import write_atomically
from deeplens_dof.learn.parallel import Alone


class Run:
    """What every training loop keeps: `checkpoint.pt` (everything needed to go on), `log.jsonl` (one object a line)."""

    out: Path
    group: Alone
    network: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer
    step: int
    saved: float  # when, on the monotonic clock

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
