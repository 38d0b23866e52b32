"""The recipes of the modules that learn from pairs: one literal table, with the losses that it names."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deeplens_dof.learn.networks.border_unmixing import BorderUnmixing
from deeplens_dof.learn.networks.deeplens import DeepLens
from deeplens_dof.learn.networks.deeplens2018 import PAPER_LARGEST_PX, PaperLensBlur
from deeplens_dof.learn.networks.guided_upsample import GuidedUpsample, halved
from deeplens_dof.learn.tone import to_tone
from deeplens_dof.learn.training.border_examples import BorderExamples, load_borders, prepare_borders
from deeplens_dof.learn.training.pair_examples import Examples, load, prepare
from deeplens_dof.learn.training.trainer import Recipe

# The brightest toned value that losses compare: a little above white.
BRIGHTEST = 1.3


def difference(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of toned light."""
    return _error(prediction, target).abs().mean()


def difference_and_outliers(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference and 30 times the mean square: a few large errors count as much as many small ones."""
    return difference(prediction, target) + 30 * _error(prediction, target).square().mean()


def blurred_difference(prediction: Tensor, target: Tensor) -> Tensor:
    """Squared error at full, 1/4 and 1/16 resolution.

    The lens averages neighbouring pixels, so zero-mean error matters little and the conditional mean is the right target.
    """
    error = _error(prediction, target)
    return error.square().mean() + 4 * sum(F.avg_pool2d(error, side).square().mean() for side in (4, 16))


def _error(prediction: Tensor, target: Tensor) -> Tensor:
    return prediction.clamp(max=BRIGHTEST) - target.clamp(max=BRIGHTEST)


@dataclass(frozen=True, kw_only=True)
class PairRecipe(Recipe):
    """A training from pairs.

    network: makes the module. prepare, load: make and read the examples of pairs. predicted: prediction and target of a
    batch, toned (B, C, H, W). baseline: the prediction without the network, toned. loss: of prediction and target.
    crop: side of the examples' crops in px. pairs: the largest number of pairs used. largest_px: pairs with a larger CoC
    are left out. bfloat16: in convolutions while training, twice as fast where the processor has it. file: name of the
    exported network; None: after the recipe.
    """

    network: Callable[[], nn.Module]
    predicted: Callable[[nn.Module, Any], tuple[Tensor, Tensor]]
    baseline: Callable[[Any], Tensor]
    loss: Callable[[Tensor, Tensor], Tensor] = difference
    prepare: Callable[[list[Path]], None] = prepare
    load: Callable[..., Any] = load
    rate: float = 6e-4
    crop: int = 192
    pairs: int = 1_000_000
    largest_px: float = math.inf
    bfloat16: bool = False
    file: str | None = None


def _neural(network: nn.Module, examples: BorderExamples) -> tuple[Tensor, Tensor]:
    sides = torch.cat([examples.guessed, examples.near_px, examples.far_px, examples.distance], 1)
    answer = network(examples.light, examples.near_light, examples.far_light, sides)
    alpha, front, back = answer.split((1, 3, 3), 1)
    return _weighed(alpha, front, back, examples), _weighed(
        examples.alpha, examples.front, examples.back, examples
    )


def _guessed(examples: BorderExamples) -> Tensor:
    return _weighed(examples.guessed, examples.near_light, examples.far_light, examples)


def _weighed(alpha: Tensor, front: Tensor, back: Tensor, examples: BorderExamples) -> Tensor:
    """Alpha and both colours, toned, each weighted by its share of the picture: the near colour by its coverage, the
    colour behind it by the part of the lens that sees past the border.
    """
    gap = examples.near_px - examples.far_px
    within = ((gap > 0) & (examples.alpha >= 0)).to(alpha.dtype)
    along = (examples.distance / gap.clamp(min=1)).clamp(0, 1)
    visible = 0.05 + (torch.acos(along) - along * (1 - along * along).sqrt()) / (0.5 * math.pi)
    return within * torch.cat([alpha, examples.alpha * to_tone(front), visible * to_tone(back)], 1)


def _upsampled(network: nn.Module, examples: Examples) -> tuple[Tensor, Tensor]:
    """Two predictions side by side: from half the size, and from a quarter in two steps."""
    light, coc_px = halved(examples.light, examples.coc_px)
    twice = network(examples.light, network(light, examples.quarter, coc_px), examples.coc_px)
    prediction = torch.cat([network(examples.light, examples.half, examples.coc_px), twice], 3)
    return to_tone(prediction), to_tone(examples.optical).repeat(1, 1, 1, 2)


def _paper(network: nn.Module, examples: Examples) -> tuple[Tensor, Tensor]:
    return network(to_tone(examples.light).clamp(0, 1), examples.coc_px), to_tone(examples.truth).clamp(0, 1)


def _joint(network: nn.Module, examples: Examples) -> tuple[Tensor, Tensor]:
    """From the picture alone, with the true focus and blur in units of its depth range."""
    far, near = examples.coc_px.amin((1, 2, 3)), examples.coc_px.amax((1, 2, 3))
    spread = (near - far).clamp(min=1e-3)
    return to_tone(network(examples.light, (-far / spread).clamp(0, 1), spread)), to_tone(examples.truth)


PAIR_RECIPES: dict[str, PairRecipe] = {
    # Border unmixing. About 20 minutes of one core.
    "lens-blur": PairRecipe(
        network=BorderUnmixing,
        predicted=_neural,
        baseline=_guessed,
        loss=blurred_difference,
        prepare=prepare_borders,
        load=load_borders,
        iterations=2500,
        crop=160,
        rate=1e-3,
        bfloat16=True,
    ),
    # The network of 2018, for the tables.
    "paper": PairRecipe(
        network=PaperLensBlur,
        predicted=_paper,
        baseline=lambda examples: to_tone(examples.light).clamp(0, 1),
        iterations=1200,
        batch=4,
        crop=96,
        rate=5e-4,
        largest_px=PAPER_LARGEST_PX,
        bfloat16=True,
    ),
    # From half size to full size.
    "upsample": PairRecipe(
        network=GuidedUpsample,
        predicted=_upsampled,
        baseline=lambda examples: to_tone(examples.light).repeat(1, 1, 1, 2),
        loss=difference_and_outliers,
        iterations=1500,
        batch=4,
        crop=96,
        rate=3e-3,
        pairs=900,
    ),
    # Depth, lens blur and upsampling together, from the shipped weights: image in, bokeh out.
    "joint": PairRecipe(
        network=lambda: DeepLens.from_pretrained(lens_points=12),
        predicted=_joint,
        file="depth.onnx",
        baseline=lambda examples: to_tone(examples.light),
        iterations=240,
        batch=2,
        crop=112,
        rate=1e-5,
        warm_up=20,
        ema=0.98,
    ),
    # Seconds: shows that training, resuming and export work.
    "lens-blur-toy": PairRecipe(
        network=lambda: BorderUnmixing((8, 8, 8, 8)),
        predicted=_neural,
        baseline=_guessed,
        prepare=prepare_borders,
        load=load_borders,
        iterations=6,
        batch=2,
        crop=64,
        warm_up=2,
    ),
}
