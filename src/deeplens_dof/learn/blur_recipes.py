"""The recipes of the modules that learn from pairs: one literal table beside that of depth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from deeplens_dof.learn.examples import Examples
from deeplens_dof.learn.networks.deeplens import DeepLens
from deeplens_dof.learn.networks.guided_upsample import GuidedUpsample, halved
from deeplens_dof.learn.networks.lens_blur import PAPER_LARGEST_PX, NeuralLensBlur, PaperLensBlur
from deeplens_dof.learn.tone import to_tone


def difference(seen: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute difference of toned light, up to a little above white."""
    return (seen.clamp(max=1.3) - wanted.clamp(max=1.3)).abs().mean()


def difference_and_outliers(seen: Tensor, wanted: Tensor) -> Tensor:
    """`difference`, with as much weight on the mean square: few large errors count as many small ones."""
    return difference(seen, wanted) + 30 * (seen.clamp(max=1.3) - wanted.clamp(max=1.3)).square().mean()


@dataclass(frozen=True)
class BlurRecipe:
    """network: makes the module. predicted: what it makes of a batch, and what that should be, toned (B, 3, H, W).
    baseline: what is there without it, toned. iterations with a warm-up, then the cosine to 2 % of `rate`. loss: of what
    was predicted and should be.
    """

    network: Callable[[], nn.Module]
    predicted: Callable[[nn.Module, Examples], tuple[Tensor, Tensor]]
    baseline: Callable[[Examples], Tensor]
    iterations: int
    batch: int = 8
    crop: int = 192
    rate: float = 6e-4
    warm_up: int = 100
    ema: float = 0.995
    weight_decay: float = 1e-4
    pairs: int = 1_000_000
    seed: int = 1
    loss: Callable[[Tensor, Tensor], Tensor] = difference


def _neural(network: nn.Module, given: Examples) -> tuple[Tensor, Tensor]:
    assert isinstance(network, NeuralLensBlur) or hasattr(network, "module")
    change = network(given.light, given.optical, given.coc_px)
    return to_tone(change), to_tone(given.truth)


def _upsampled(network: nn.Module, given: Examples) -> tuple[Tensor, Tensor]:
    """Beside each other: from half the size, and from a quarter in two steps."""
    light, coc_px = halved(given.light, given.coc_px)
    twice = network(given.light, network(light, given.quarter, coc_px), given.coc_px)
    seen = torch.cat([network(given.light, given.half, given.coc_px), twice], 3)
    return to_tone(seen), to_tone(given.optical).repeat(1, 1, 1, 2)


def _paper(network: nn.Module, given: Examples) -> tuple[Tensor, Tensor]:
    """On what the network can blur: CoC within its receptive field."""
    fits = (given.coc_px.abs().amax((1, 2, 3), keepdim=True) <= PAPER_LARGEST_PX).to(given.light.dtype)
    seen = network(to_tone(given.light).clamp(0, 1), given.coc_px)
    return seen * fits, to_tone(given.truth).clamp(0, 1) * fits


def _joint(network: nn.Module, given: Examples) -> tuple[Tensor, Tensor]:
    """The picture alone goes in, with the focus and the blur of the truth in units of each picture's depth range."""
    far, near = given.coc_px.amin((1, 2, 3)), given.coc_px.amax((1, 2, 3))
    spread = (near - far).clamp(min=1e-3)
    return to_tone(network(given.light, (-far / spread).clamp(0, 1), spread)), to_tone(given.truth)


BLUR_RECIPES: dict[str, BlurRecipe] = {
    # The correction of the optical renderer. About 40 minutes of one core.
    "lens-blur": BlurRecipe(NeuralLensBlur, _neural, lambda given: to_tone(given.optical), 2500, crop=160),
    # The network of 2018, for the tables.
    "paper": BlurRecipe(
        PaperLensBlur, _paper, lambda given: to_tone(given.light).clamp(0, 1), 2000, rate=6e-4, crop=160
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
        lambda given: to_tone(given.optical),
        6,
        batch=2,
        crop=64,
        warm_up=2,
    ),
}
