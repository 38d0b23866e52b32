"""Training of highlight reconstruction, on pictures that are drawn during training (`learn/scenes/clipped`).

The loss compares blurred pictures: predicted and true light go through discs of several sizes and the camera's curve first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deeplens_dof.datasets.cache import cache_folder
from deeplens_dof.highlights.clipping import clipping_confidence
from deeplens_dof.learn.networks.export import export_blur
from deeplens_dof.learn.networks.highlights import MOST_GAIN, HighlightNetwork
from deeplens_dof.learn.scenes.clipped.pictures import Clipped, Sources, load_sources, make_clipped
from deeplens_dof.learn.training.distributed import Alone
from deeplens_dof.learn.training.tensor_batch import TensorBatch
from deeplens_dof.learn.training.trainer import LOSS_SCALE, Recipe, Task, TrainingData

LEAST_RADIUS_PX, MOST_RADIUS_PX = 2.0, 30.0
# Weight of the log gains in the loss: they have gradients where the blurred picture is white in any case.
GAIN_SHARE = 0.02
SURE = 0.5  # clipping_confidence above which gains are compared
FINE_PX = 7.0  # radius above which blurred pictures are compared at half the size
VALIDATION_RADII_PX = (4.0, 10.0, 22.0)
VALIDATION_SEED = 90001


@dataclass(frozen=True, kw_only=True)
class HighlightRecipe(Recipe):
    """A training on drawn pictures.

    side: of the pictures in px. reduced: every `reduced`-th batch has pictures of `reduced_side` px that the network sees at
    half the size, like large photos. radii: blur radii compared per step. held_out: pictures to validate with. widths: of the
    network.
    """

    batch: int = 6
    rate: float = 2e-3
    warm_up: int = 60
    side: int = 192
    reduced: int = 3
    reduced_side: int = 320
    radii: int = 2
    held_out: int = 64
    bfloat16: bool = True
    widths: tuple[int, ...] = (16, 32, 48, 64, 64)


HIGHLIGHT_RECIPES: dict[str, HighlightRecipe] = {
    # Highlight reconstruction. About 20 minutes of one core.
    "light": HighlightRecipe(iterations=2400),
    # A piece of a longer training, from earlier weights (--init).
    "light-piece": HighlightRecipe(iterations=500, rate=8e-4, seed=2),
    # Seconds: shows that training, resuming and export work.
    "light-toy": HighlightRecipe(
        iterations=4,
        batch=2,
        side=64,
        reduced=2,
        reduced_side=64,
        warm_up=2,
        radii=1,
        held_out=2,
        widths=(8, 8),
    ),
}


@dataclass(frozen=True)
class HighlightBatch(TensorBatch):
    """Pictures, each (B, 3, S, S) and linear.

    photo: the clipped photo. clipped: the confidence that a channel is clipped, 0..1. target: the true light in `mask`,
    elsewhere `photo`. mask: True where light was clipped and is known. factor: the network sees the pictures this many times
    smaller.
    """

    photo: Tensor
    clipped: Tensor
    target: Tensor
    mask: Tensor
    factor: int


def batch_of(pictures: Sequence[Clipped], factor: int = 1) -> HighlightBatch:
    """The pictures as a batch. factor: see HighlightBatch."""
    photos = [picture.photo for picture in pictures]
    clipped = [clipping_confidence(photo) for photo in photos]
    masks = [(share > 0) & picture.known[..., None] for picture, share in zip(pictures, clipped, strict=True)]
    targets = [
        np.where(mask, np.maximum(picture.light, picture.photo), picture.photo)
        for picture, mask in zip(pictures, masks, strict=True)
    ]
    photo, share, target, mask = (
        torch.from_numpy(np.ascontiguousarray(np.stack(planes).transpose(0, 3, 1, 2)))
        for planes in (photos, clipped, targets, masks)
    )
    return HighlightBatch(photo, share, target, mask, factor)


def reconstructed(network: nn.Module, batch: HighlightBatch, bfloat16: bool = False) -> tuple[Tensor, Tensor]:
    """The predicted light (B, 3, S, S), and the network's log gains (N,) in the mask."""
    photo, clipped = batch.photo, batch.clipped
    if batch.factor > 1:
        photo, clipped = (F.avg_pool2d(planes, batch.factor) for planes in (photo, clipped))
    with torch.autocast(photo.device.type, torch.bfloat16, enabled=bfloat16):
        gain = network(_srgb(photo), clipped)
    if batch.factor > 1:
        scale = float(batch.factor)
        gain = F.interpolate(gain.float(), scale_factor=scale, mode="bilinear", align_corners=False)
    gains = gain[batch.mask].float()
    excess = batch.clipped[batch.mask] * torch.expm1(gains)
    return batch.photo.masked_scatter(batch.mask, batch.photo[batch.mask] + excess), gains


def blurred(light: Tensor, radius_px: float) -> Tensor:
    """`light` (B, C, S, S), with wrapped borders, blurred by a disc, as sRGB clipped at white."""
    side = light.shape[-1]
    at = torch.fft.fftfreq(side, 1 / side, device=light.device)
    disc = (radius_px + 0.5 - torch.hypot(at[:, None], at[None])).clamp(0, 1)
    through = torch.fft.irfft2(
        torch.fft.rfft2(light) * torch.fft.rfft2(disc / disc.sum()), s=light.shape[-2:]
    )
    return _srgb(through.clamp(max=1))


def _srgb(light: Tensor) -> Tensor:
    """The sRGB curve (IEC 61966-2-1) of light up to 1."""
    curve = 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(light < 0.0031308, 12.92 * light, curve)


def highlight_loss(light: Tensor, gains: Tensor, batch: HighlightBatch, radii_px: Sequence[float]) -> Tensor:
    """The visible difference of the blurred pictures, plus GAIN_SHARE of the difference of the log gains (N,).

    The former is the root mean square of each picture plus the mean absolute difference, averaged over the radii.
    """
    target, prediction = batch.target, light
    if batch.factor > 1:
        target, prediction = (F.avg_pool2d(planes, batch.factor) for planes in (target, prediction))
    total = torch.zeros((), device=light.device)
    for radius in radii_px:
        shrink = 1 if radius < FINE_PX else 2 if radius < 2 * FINE_PX else 4
        one, other = (
            blurred(F.avg_pool2d(planes, shrink), radius / shrink) for planes in (prediction, target)
        )
        difference = one - other
        total = total + (difference.square().mean((1, 2, 3)) + 1e-6).sqrt().mean() + difference.abs().mean()
    share = batch.clipped[batch.mask]
    excess = (batch.target[batch.mask] - batch.photo[batch.mask]) / share.clamp(min=SURE)
    apart = (gains - torch.log1p(excess).clamp(max=MOST_GAIN)).abs() * (share > SURE)
    return total / len(radii_px) + GAIN_SHARE * apart.sum() / (share > SURE).sum().clamp(min=1)


def highlight_task(name: str, recipe: HighlightRecipe, data: TrainingData, group: Alone) -> HighlightTask:
    """The training of a recipe on folders of pairs, frames and path-traced sets.

    Raises ValueError for a folder without any of them, RuntimeError when the assets have not been fetched.
    """
    pairs = cache_folder() / "pairs"
    folders = data.frames or [pairs / "train", cache_folder() / "scenes" / "train"]
    held_out = load_sources([data.held_out or pairs / "held_out"], held_out=True)
    return HighlightTask(name, recipe, load_sources(folders), held_out)


@dataclass(frozen=True)
class HighlightTask(Task[nn.Module, HighlightBatch]):
    """Log gains of clipped light. sources: of the batches; held_out: of the validation."""

    name: str
    recipe: HighlightRecipe
    sources: Sources
    held_out: Sources
    validate_every = 250

    def network(self) -> nn.Module:
        return HighlightNetwork(self.recipe.widths).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def batch(self, step: int) -> HighlightBatch:
        recipe = self.recipe
        factor = 2 if step % recipe.reduced == recipe.reduced - 1 else 1
        side = recipe.reduced_side if factor > 1 else recipe.side
        numbers = range(step * recipe.batch, (step + 1) * recipe.batch)
        pictures = [make_clipped(recipe.seed, k, side, self.sources, float(factor)) for k in numbers]
        return batch_of(pictures, factor)

    def loss(
        self, network: nn.Module, batch: HighlightBatch, step: int, group: Alone
    ) -> tuple[Tensor, dict[str, Tensor | float]]:
        rng = np.random.default_rng((self.recipe.seed, step, 5))
        ends = math.log(LEAST_RADIUS_PX), math.log(MOST_RADIUS_PX)
        radii = np.exp(rng.uniform(*ends, self.recipe.radii)).tolist()
        part = group.part(batch)
        light, gains = reconstructed(network, part, self.recipe.bfloat16)
        loss = highlight_loss(light, gains, part, radii) * group.share(torch.ones(len(batch)))
        return LOSS_SCALE * loss, {"loss": loss}

    def validate(self, network: nn.Module, step: int) -> dict[str, float]:
        """PSNR in dB of blurred held-out pictures, mean over pictures and radii, with the network and without it."""
        device = next(network.parameters()).device
        totals, count = [0.0, 0.0], self.recipe.held_out
        for start in range(0, count, self.recipe.batch):
            numbers = range(start, min(start + self.recipe.batch, count))
            pictures = [make_clipped(VALIDATION_SEED, k, self.recipe.side, self.held_out) for k in numbers]
            batch = batch_of(pictures).to(device)
            light, _ = reconstructed(network, batch)
            for radius in VALIDATION_RADII_PX:
                target = blurred(batch.target, radius)
                for number, image in enumerate((light, batch.photo)):
                    error = (blurred(image, radius) - target).square().mean((1, 2, 3)).clamp(min=1e-5)
                    totals[number] += float((-10 * torch.log10(error)).sum()) / len(VALIDATION_RADII_PX)
        return {"val_psnr": round(totals[0] / count, 3), "val_without": round(totals[1] / count, 3)}

    def facts(self, group: Alone) -> dict[str, Any]:
        counts = {
            "pairs": len(self.sources.pairs),
            "frames": len(self.sources.frames),
            "traced": len(self.sources.traced),
        }
        return counts | {"processes": group.count}

    @property
    def file_name(self) -> str:
        return f"{self.name}.onnx"

    def export(self, network: nn.Module, path: Path) -> None:
        """Writes `weights.pt` and the ONNX file."""
        super().export(network, path.with_name("weights.pt"))
        export_blur(network, path, f"DeepLens; recipe {self.name}. Apache-2.0")
