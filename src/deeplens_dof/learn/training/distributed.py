"""One process, or several that share each batch (`accelerate launch -m deeplens_dof.cli train ...`).

Every process makes the whole batch from the seed and takes its own samples of it. Data, rates and batch size are therefore
the same for any number of processes, and a run may be resumed with another number. Losses are scaled so that their mean
over the processes is the loss of the whole batch.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from deeplens_dof.learn.training.losses import Rows
from deeplens_dof.learn.training.tensor_batch import TensorBatch
from deeplens_dof.runtime.errors import install_extra
from deeplens_dof.runtime.telemetry import without_telemetry

Batch = TypeVar("Batch", bound=TensorBatch)


class Alone:
    """One process: the whole batch, nothing to wait for."""

    rank, count, is_first = 0, 1, True

    def __init__(self) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def shared(self, network: nn.Module) -> nn.Module:
        """The network, wrapped so that its gradients are the mean over the processes."""
        return network

    def part(self, whole: Batch) -> Batch:
        """This process's samples."""
        return whole

    def rows(self, whole: TensorBatch) -> Rows | None:
        """The rows of this process's samples in the whole batch; None: all."""
        return None

    def share(self, weight: Tensor) -> float:
        """The factor for a mean over this process's samples, so that the mean over the processes is that of the batch.

        weight: (B,), of each sample of the whole batch.
        """
        return 1.0

    def mean(self, values: dict[str, float]) -> dict[str, float]:
        """The mean over the processes."""
        return values

    def first_before_others(self) -> AbstractContextManager[Any]:
        """Lets the first process run the body alone, so that the others find its files."""
        return nullcontext()

    def wait(self) -> None:
        """Waits for all processes."""


class Together(Alone):
    """One of several processes, started by `accelerate launch` or torchrun."""

    def __init__(self) -> None:
        try:
            with without_telemetry():
                from accelerate import Accelerator
        except ImportError as error:
            raise ValueError(
                "training in several processes needs accelerate, which is not installed; run "
                f"{install_extra('learn')}"
            ) from error
        self._accelerator = Accelerator(cpu=not torch.cuda.is_available(), mixed_precision="no")
        self.device = self._accelerator.device
        self.rank, self.count = self._accelerator.process_index, self._accelerator.num_processes
        self.is_first = self._accelerator.is_main_process

    def shared(self, network: nn.Module) -> nn.Module:
        self._accelerator.free_memory()  # drops the previous phase's wrapper and its hooks
        return self._accelerator.prepare_model(network)

    def part(self, whole: Batch) -> Batch:
        return whole.part(self.rank, self.count)

    def rows(self, whole: TensorBatch) -> Rows | None:
        return Rows(self.rank, self.count, len(whole))

    def share(self, weight: Tensor) -> float:
        total = float(weight.sum())
        return self.count * float(weight[self.rank :: self.count].sum()) / total if total > 0 else 1.0

    def mean(self, values: dict[str, float]) -> dict[str, float]:
        numbers = torch.tensor(list(values.values()), dtype=torch.float32, device=self.device)
        mean: Tensor = self._accelerator.reduce(numbers, reduction="mean")
        return dict(zip(values, mean.tolist(), strict=True))

    def first_before_others(self) -> AbstractContextManager[Any]:
        return self._accelerator.main_process_first()

    def wait(self) -> None:
        self._accelerator.wait_for_everyone()


def processes(batch: int) -> Alone | Together:
    """This process, alone or as one of several. Raises ValueError when there are more processes than samples in a batch."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count > batch:
        raise ValueError(f"there are {count} processes for batches of {batch}; start at most {batch}")
    return Together() if count > 1 else Alone()
