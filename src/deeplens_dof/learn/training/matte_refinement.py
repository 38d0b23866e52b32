"""Training of matte refinement, on composed photos whose alpha and colours are known (`matte_examples.py`).

The loss compares what the lens makes of them: the sharp subject over a background that is blurred, and both alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deeplens_dof.datasets.cache import cache_folder
from deeplens_dof.learn.networks.export import export_blur
from deeplens_dof.learn.networks.matte_refinement import MatteRefinement, Refined
from deeplens_dof.learn.training.distributed import Alone
from deeplens_dof.learn.training.matte_examples import MatteExamples, load_examples
from deeplens_dof.learn.training.trainer import LOSS_SCALE, Recipe, Task, TrainingData

HELD_OUT_EVERY = 16  # one of so many examples is held out
VALIDATION_SEED = 90002
VALIDATION_SIDE = 256
IN_THE_BAND = 6.0  # weight of errors of alpha near the border; elsewhere it is 1
BLURS_PX = (4, 16)  # windows through which backgrounds are compared


@dataclass(frozen=True, kw_only=True)
class MatteRecipe(Recipe):
    """A training on composed photos. crop: side of the examples' crops in px. widths: of the network."""

    crop: int = 192
    bfloat16: bool = True
    widths: tuple[int, ...] = (32, 48, 64, 96)


MATTE_RECIPES: dict[str, MatteRecipe] = {
    # The soft matte of a subject at the photo's size. An hour of one core.
    "matte-refinement": MatteRecipe(iterations=4200, rate=5e-4),
    # Seconds: shows that training, resuming and export work.
    "matte-refinement-toy": MatteRecipe(iterations=6, batch=2, crop=64, warm_up=2, widths=(8, 8, 8, 8)),
}


def matte_task(name: str, recipe: MatteRecipe, data: TrainingData, group: Alone) -> MatteTask:
    """The training of a recipe on folders of examples. Raises ValueError when they hold none."""
    folders = data.frames or [cache_folder() / "mattes"]
    files = [file for folder in folders for file in sorted(folder.glob("matte_*.npz"))]
    training = [file for index, file in enumerate(files) if index % HELD_OUT_EVERY]
    if not training:
        raise ValueError(
            f"{', '.join(map(str, folders))} holds {len(files)} examples, expected at least 2; make them with "
            "python -m deeplens_dof.learn.training.matte_examples"
        )
    return MatteTask(name, recipe, training, files[::HELD_OUT_EVERY])


@dataclass(frozen=True)
class MatteTask(Task[MatteRefinement, MatteExamples]):
    """Alpha and both colours round the border of a subject. files, held_out: examples."""

    name: str
    recipe: MatteRecipe
    files: list[Path]
    held_out: list[Path]
    validate_at_start = True

    def network(self) -> MatteRefinement:
        return MatteRefinement(self.recipe.widths).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]

    def batch(self, step: int) -> MatteExamples:
        rng = np.random.default_rng((self.recipe.seed, step))
        chosen = [self.files[index] for index in rng.integers(len(self.files), size=self.recipe.batch)]
        return load_examples(chosen, self.recipe.crop, rng)

    def loss(
        self, network: nn.Module, batch: MatteExamples, step: int, group: Alone
    ) -> tuple[Tensor, dict[str, Tensor | float]]:
        """The loss, its parts, and `without`, the error of the coarse matte in the band."""
        examples = group.part(batch)
        with torch.autocast(group.device.type, torch.bfloat16, enabled=self.recipe.bfloat16):
            answer = network(examples.rgb, examples.sides)
        parts = losses(Refined(*answer.split((1, 3, 3), 1)), examples)
        share = group.share(torch.ones(len(batch)))
        loss = share * torch.stack(list(parts.values())).sum()
        without = float(band_error(examples.sides[:, :1], examples))
        return LOSS_SCALE * loss, {"loss": loss, **parts, "without": without}

    def validate(self, network: MatteRefinement, step: int) -> dict[str, float]:
        """Mean error of alpha in the band on held-out examples, and that of the coarse matte."""
        device, totals = next(network.parameters()).device, [0.0, 0.0]
        for index, file in enumerate(self.held_out):
            rng = np.random.default_rng((VALIDATION_SEED, index))
            examples = load_examples([file], VALIDATION_SIDE, rng).to(device)
            found = network.refined(examples.rgb, examples.sides)
            for number, alpha in enumerate((found.alpha, examples.sides[:, :1])):
                totals[number] += float(band_error(alpha, examples)) / len(self.held_out)
        return {"val_band": round(totals[0], 5), "val_without": round(totals[1], 5)}

    def facts(self, group: Alone) -> dict[str, Any]:
        return {"examples": len(self.files), "held_out": len(self.held_out), "processes": group.count}

    @property
    def file_name(self) -> str:
        return f"{self.name}.onnx"

    def export(self, network: MatteRefinement, path: Path) -> None:
        """Writes `weights.pt` and the ONNX file."""
        super().export(network, path.with_name("weights.pt"))
        export_blur(network, path, f"DeepLens; recipe {self.name}, {len(self.files)} examples. Apache-2.0")


def losses(found: Refined, examples: MatteExamples) -> dict[str, Tensor]:
    """The parts of the loss, weighted: alpha, its gradients, and both colours as far as they are seen."""
    weight = 1 + (IN_THE_BAND - 1) * examples.band
    error = found.alpha - examples.alpha
    steps = [error[..., 1:, :] - error[..., :-1, :], error[..., 1:] - error[..., :-1]]
    front = examples.alpha * (found.front - examples.front)
    back = (found.back - examples.back) * (1 - examples.alpha)
    band = examples.band
    behind = (found.back - examples.back) * band  # the lens sees past the border
    return {
        "alpha": (weight * error.abs()).sum() / weight.sum(),
        "gradient": sum(((step.abs()).mean() for step in steps), error.new_zeros(())),
        "front": (weight * front.abs()).mean(),
        "back": sum((F.avg_pool2d(back, px).abs().mean() for px in BLURS_PX), error.new_zeros(())),
        "behind": 0.3 * sum((F.avg_pool2d(behind, px).abs().mean() for px in BLURS_PX), error.new_zeros(())),
    }


def band_error(alpha: Tensor, examples: MatteExamples) -> Tensor:
    """The mean absolute error of alpha in the band round the border."""
    return ((alpha - examples.alpha).abs() * examples.band).sum() / examples.band.sum().clamp(min=1)
