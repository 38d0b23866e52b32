"""Training from pairs: border unmixing for the lens blur, guided upsampling, the 2018 network, and DeepLens as a whole."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deeplens_dof.datasets.cache import cache_folder
from deeplens_dof.datasets.pairs import largest_coc_px, pair_files
from deeplens_dof.learn.networks.deeplens import DeepLens
from deeplens_dof.learn.networks.export import export_blur
from deeplens_dof.learn.training.distributed import Alone
from deeplens_dof.learn.training.pair_recipes import PairRecipe
from deeplens_dof.learn.training.tensor_batch import TensorBatch
from deeplens_dof.learn.training.trainer import LOSS_SCALE, Task, TrainingData

PAIR_SIDE_PX = 256
VALIDATION_BATCH = 8


def pair_task(name: str, recipe: PairRecipe, data: TrainingData, group: Alone) -> PairTask:
    """The training of a recipe on folders of pairs; missing examples are made.

    Raises ValueError for a folder without pairs, or when no pair has a CoC as small as the recipe asks for.
    """
    drawn = cache_folder() / "pairs"
    files = [file for folder in data.frames or [drawn / "train"] for file in pair_files(folder)]
    held_out = pair_files(data.held_out or drawn / "held_out")
    pairs, held_out = (within(paths, recipe.largest_px) for paths in (files[: recipe.pairs], held_out))
    with group.first_before_others():
        recipe.prepare(pairs + held_out)
    return PairTask(name, recipe, pairs, held_out)


def within(pairs: list[Path], largest_px: float) -> list[Path]:
    """The pairs with no CoC above `largest_px`. Raises ValueError when none is left."""
    if math.isinf(largest_px):
        return pairs
    kept = [path for path in pairs if largest_coc_px(path) <= largest_px]
    if not kept:
        raise ValueError(
            f"every pair has a CoC above {largest_px:g} px somewhere; make more with `deeplens scenes --pairs`"
        )
    return kept


@dataclass(frozen=True)
class PairTask(Task[nn.Module, TensorBatch]):
    """A network that learns from pairs, as its recipe defines. held_out: pairs of other assets."""

    name: str
    recipe: PairRecipe
    pairs: list[Path]
    held_out: list[Path]
    validate_at_start = True

    def network(self) -> nn.Module:
        return self.recipe.network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def batch(self, step: int) -> TensorBatch:
        """Crops of random pairs at one random place, mirrored or transposed at random."""
        recipe = self.recipe
        rng = np.random.default_rng((recipe.seed, step))
        chosen = [self.pairs[index] for index in rng.integers(len(self.pairs), size=recipe.batch)]
        places = (PAIR_SIDE_PX - recipe.crop) // 4 + 1
        top, left = (4 * int(start) for start in rng.integers(places, size=2))
        turns = rng.integers(2, size=(recipe.batch, 2))
        return recipe.load(chosen, (top, left, recipe.crop), turns)

    def loss(
        self, network: nn.Module, batch: TensorBatch, step: int, group: Alone
    ) -> tuple[Tensor, dict[str, Tensor | float]]:
        """The loss of the recipe, and `without`, that of the baseline, for comparison."""
        recipe, examples = self.recipe, group.part(batch)
        with torch.autocast(group.device.type, torch.bfloat16, enabled=recipe.bfloat16):
            prediction, target = recipe.predicted(network, examples)
        share = group.share(torch.ones(len(batch)))
        loss = recipe.loss(prediction, target) * share
        with torch.no_grad():
            without = float(recipe.loss(recipe.baseline(examples), target)) * share
        return LOSS_SCALE * loss, {"loss": loss, "without": without}

    def validate(self, network: nn.Module, step: int) -> dict[str, float]:
        """Mean PSNR in dB over the held-out pairs, with the network and without it."""
        device = next(network.parameters()).device
        totals = [0.0, 0.0]
        for start in range(0, len(self.held_out), VALIDATION_BATCH):
            examples = self.recipe.load(self.held_out[start : start + VALIDATION_BATCH]).to(device)
            prediction, target = self.recipe.predicted(network, examples)
            for number, image in enumerate((prediction, self.recipe.baseline(examples))):
                error = (image.clamp(0, 1) - target.clamp(0, 1)).square().mean((1, 2, 3)).clamp(min=1e-6)
                totals[number] += float((-10 * torch.log10(error)).sum())
        with_network, without = (round(total / len(self.held_out), 3) for total in totals)
        return {"val_psnr": with_network, "val_without": without}

    def facts(self, group: Alone) -> dict[str, Any]:
        return {"pairs": len(self.pairs), "held_out": len(self.held_out), "processes": group.count}

    @property
    def file_name(self) -> str:
        return self.recipe.file or f"{self.name}.onnx"

    def export(self, network: nn.Module, path: Path) -> None:
        """Writes `weights.pt` and the ONNX file; for DeepLens those of `save_pretrained`."""
        super().export(network, path.with_name("weights.pt"))
        note = f"DeepLens; recipe {self.name}, {len(self.pairs)} pairs. Apache-2.0"
        if isinstance(network, DeepLens):
            network.save_pretrained(path.parent, note, half=True)
        else:
            export_blur(network, path, note)
