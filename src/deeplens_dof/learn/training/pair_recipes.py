"""The recipes of the modules that learn from pairs: one literal table beside that of depth."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deeplens_dof.learn.networks.borders import NeuralLensBlur
from deeplens_dof.learn.networks.deeplens import DeepLens
from deeplens_dof.learn.networks.guided_upsample import GuidedUpsample, halved
from deeplens_dof.learn.networks.lens_blur import PAPER_LARGEST_PX, PaperLensBlur
from deeplens_dof.learn.tone import to_tone
from deeplens_dof.learn.training.border_examples import BorderExamples, load_borders, prepare_borders
from deeplens_dof.learn.training.pair_examples import Examples, load, prepare


def difference(seen: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute difference of toned light, up to a little above white."""
    return (seen.clamp(max=1.3) - wanted.clamp(max=1.3)).abs().mean()


def difference_and_outliers(seen: Tensor, wanted: Tensor) -> Tensor:
    """`difference`, with as much weight on the mean square: few large errors count as many small ones."""
    return difference(seen, wanted) + 30 * (seen.clamp(max=1.3) - wanted.clamp(max=1.3)).square().mean()


@dataclass(frozen=True)
class BlurRecipe:
    """network: makes the module. prepare, load: make and read its examples. predicted: what it makes of a batch, and what
    that should be, toned (B, C, H, W). baseline: what is there without it, toned. loss: of what was predicted and should
    be. iterations with a warm-up, then the cosine to 2 % of `rate`. largest_px: of the CoC of the pairs that are used.
    bfloat16: in convolutions while training, twice as fast where the processor has it.
    """

    network: Callable[[], nn.Module]
    predicted: Callable[[nn.Module, Any], tuple[Tensor, Tensor]]
    baseline: Callable[[Any], Tensor]
    iterations: int
    batch: int = 8
    crop: int = 192
    rate: float = 6e-4
    warm_up: int = 100
    ema: float = 0.995
    weight_decay: float = 1e-4
    pairs: int = 1_000_000
    largest_px: float = math.inf
    bfloat16: bool = False
    prepare: Callable[[list[Path]], None] = prepare
    load: Callable[..., Any] = load
    seed: int = 1
    loss: Callable[[Tensor, Tensor], Tensor] = difference


def _neural(network: nn.Module, given: BorderExamples) -> tuple[Tensor, Tensor]:
    sides = torch.cat([given.guessed, given.near_px, given.far_px, given.distance], 1)
    answer = network(given.light, given.near_light, given.far_light, sides)
    alpha, front, back = answer.split((1, 3, 3), 1)
    return _weighed(alpha, front, back, given), _weighed(given.alpha, given.front, given.back, given)


def _guessed(given: BorderExamples) -> Tensor:
    return _weighed(given.guessed, given.near_light, given.far_light, given)


def _weighed(alpha: Tensor, front: Tensor, back: Tensor, given: BorderExamples) -> Tensor:
    """Alpha and both colours, toned, each as much as it counts: the near one's by what is there of it, that behind it by the
    part of the lens that sees past the border."""
    gap = given.near_px - given.far_px
    within = ((gap > 0) & (given.alpha >= 0)).to(alpha.dtype)
    along = (given.distance / gap.clamp(min=1)).clamp(0, 1)
    seen = 0.05 + (torch.acos(along) - along * (1 - along * along).sqrt()) / (0.5 * math.pi)
    return within * torch.cat([alpha, given.alpha * to_tone(front), seen * to_tone(back)], 1)


def _upsampled(network: nn.Module, given: Examples) -> tuple[Tensor, Tensor]:
    """Beside each other: from half the size, and from a quarter in two steps."""
    light, coc_px = halved(given.light, given.coc_px)
    twice = network(given.light, network(light, given.quarter, coc_px), given.coc_px)
    seen = torch.cat([network(given.light, given.half, given.coc_px), twice], 3)
    return to_tone(seen), to_tone(given.optical).repeat(1, 1, 1, 2)


def _paper(network: nn.Module, given: Examples) -> tuple[Tensor, Tensor]:
    return network(to_tone(given.light).clamp(0, 1), given.coc_px), to_tone(given.truth).clamp(0, 1)


def _joint(network: nn.Module, given: Examples) -> tuple[Tensor, Tensor]:
    """The picture alone goes in, with the focus and the blur of the truth in units of each picture's depth range."""
    far, near = given.coc_px.amin((1, 2, 3)), given.coc_px.amax((1, 2, 3))
    spread = (near - far).clamp(min=1e-3)
    return to_tone(network(given.light, (-far / spread).clamp(0, 1), spread)), to_tone(given.truth)


def blurred_difference(seen: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared difference, also of means over 4 and 16 pixels: what is looked at through a lens is blurred, so that
    the mean of what may be is the best guess, and what is wrong in it by turns is not seen."""
    error = seen.clamp(max=1.3) - wanted.clamp(max=1.3)
    return error.square().mean() + 4 * sum(F.avg_pool2d(error, side).square().mean() for side in (4, 16))


BLUR_RECIPES: dict[str, BlurRecipe] = {
    # Borders taken apart. About 20 minutes of one core.
    "lens-blur": BlurRecipe(
        NeuralLensBlur,
        _neural,
        _guessed,
        2500,
        crop=160,
        loss=blurred_difference,
        rate=1e-3,
        bfloat16=True,
        prepare=prepare_borders,
        load=load_borders,
    ),
    # The network of 2018, for the tables.
    "paper": BlurRecipe(
        PaperLensBlur,
        _paper,
        lambda given: to_tone(given.light).clamp(0, 1),
        1200,
        batch=4,
        rate=5e-4,
        crop=96,
        largest_px=PAPER_LARGEST_PX,
        bfloat16=True,
    ),
    # From half size to full size.
    "upsample": BlurRecipe(
        GuidedUpsample,
        _upsampled,
        lambda given: to_tone(given.light).repeat(1, 1, 1, 2),
        1500,
        batch=4,
        crop=96,
        rate=3e-3,
        pairs=900,
        loss=difference_and_outliers,
    ),
    # Depth, lens blur and upsampling together, from what is shipped: image in, bokeh out.
    "joint": BlurRecipe(
        lambda: DeepLens(lens_points=12),
        _joint,
        lambda given: to_tone(given.light),
        240,
        batch=2,
        crop=112,
        rate=1e-5,
        warm_up=20,
        ema=0.98,
    ),
    # Seconds: shows that loop, resuming and export work.
    "lens-blur-toy": BlurRecipe(
        lambda: NeuralLensBlur((8, 8, 8, 8)),
        _neural,
        _guessed,
        6,
        batch=2,
        crop=64,
        warm_up=2,
        prepare=prepare_borders,
        load=load_borders,
    ),
}
