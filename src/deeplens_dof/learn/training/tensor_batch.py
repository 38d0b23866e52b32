"""A batch of samples: a dataclass of tensors that can be shared out and moved to a device as one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor


@dataclass(frozen=True)
class TensorBatch:
    """Base of the batches. The first axis of each tensor counts the samples; a field that is no tensor belongs to all."""

    def __len__(self) -> int:
        """The number of samples."""
        return next(len(value) for value in vars(self).values() if isinstance(value, Tensor))

    def part(self, first: int, step: int) -> Self:
        """Samples first, first + step, and so on."""
        return self._map(lambda tensor: tensor[first::step])

    def to(self, device: torch.device) -> Self:
        """The same batch on another device."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=True))

    def _map(self, change: Callable[[Tensor], Tensor]) -> Self:
        tensors = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **{name: change(tensor) for name, tensor in tensors.items()})
