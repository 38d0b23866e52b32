"""The training loop of the light module, which learns from pictures that are drawn as it goes (`learn/scenes/clipped.py`).

What counts is the blurred picture: predicted and true light go through discs of several sizes and the camera's curve before
they are compared. A run is a folder as in `learn/blur_loop.py`; stopped at any moment and resumed, it ends with the same
weights, to the bit on the same machine.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deeplens_dof.highlights.clipping import clippedness
from deeplens_dof.learn.export import export_blur
from deeplens_dof.learn.networks.light import MOST_GAIN, LightNetwork
from deeplens_dof.learn.parallel import processes
from deeplens_dof.learn.run import LOSS_SCALE, Run
from deeplens_dof.learn.scenes.clipped import Clipped, Sources, load_sources, make_clipped
from deeplens_dof.runtime.atomic_write import write_atomically
from deeplens_dof.runtime.interrupt import deferred_interrupts

CHECKPOINT_EVERY_S = 120.0
LOG_EVERY, VALIDATE_EVERY = 25, 250
LEAST_RADIUS_PX, MOST_RADIUS_PX = 2.0, 30.0
GAIN_SHARE = (
    0.02  # of the difference of log gains in the loss, for gradients where the blurred picture is white too
)
SURE = 0.5  # clippedness from which on a gain is compared
FINE_PX = 7.0  # radius from which on a blur is compared at half the size
VALIDATED_RADII = (4.0, 10.0, 22.0)


@dataclass(frozen=True)
class LightRecipe:
    """iterations with a warm-up, then the cosine to 2 % of `rate`. side: of the pictures in px. reduced: of every how many
    batches one is drawn at twice the size, `reduced_side` / 2 px large for the network, as large photos are. radii: a step.
    held_out: pictures to validate with."""

    iterations: int
    batch: int = 6
    side: int = 192
    reduced: int = 3
    reduced_side: int = 320
    rate: float = 2e-3
    warm_up: int = 60
    radii: int = 2
    ema: float = 0.995
    weight_decay: float = 1e-4
    held_out: int = 64
    bfloat16: bool = True
    widths: tuple[int, ...] = (16, 32, 48, 64, 64)
    seed: int = 1


LIGHT_RECIPES: dict[str, LightRecipe] = {
    # Clipped light. About 20 minutes of one core.
    "light": LightRecipe(2400),
    # The same in pieces: goes on from earlier weights (--init).
    "light-piece": LightRecipe(500, rate=8e-4, seed=2),
    # Seconds: shows that loop, resuming and export work.
    "light-toy": LightRecipe(
        4, batch=2, side=64, reduced=2, reduced_side=64, warm_up=2, radii=1, held_out=2, widths=(8, 8)
    ),
}


@dataclass(frozen=True)
class LightBatch:
    """seen: what the camera kept; clipped: how surely each channel was; wanted: what was there; asked: where light was
    clipped and is known, elsewhere wanted is seen; all (B, 3, S, S), linear. factor: how many times smaller the network
    sees it."""

    seen: Tensor
    clipped: Tensor
    wanted: Tensor
    asked: Tensor
    factor: int

    def part(self, rank: int, count: int) -> LightBatch:
        """Every count-th sample from `rank` on."""
        seen, clipped, wanted, asked = (
            each[rank::count] for each in (self.seen, self.clipped, self.wanted, self.asked)
        )
        return LightBatch(seen, clipped, wanted, asked, self.factor)


def batch_of(pictures: Sequence[Clipped], factor: int = 1) -> LightBatch:
    """As tensors."""
    clipped = [clippedness(each.seen) for each in pictures]
    asked = [(share > 0) & each.known[..., None] for each, share in zip(pictures, clipped, strict=True)]
    wanted = [
        np.where(here, np.maximum(each.light, each.seen), each.seen)
        for each, here in zip(pictures, asked, strict=True)
    ]
    planes = ([each.seen for each in pictures], clipped, wanted, asked)
    seen, share, light, here = (
        torch.from_numpy(np.ascontiguousarray(np.stack(each).transpose(0, 3, 1, 2))) for each in planes
    )
    return LightBatch(seen, share, light, here, factor)


def recovered(network: nn.Module, given: LightBatch, bfloat16: bool = False) -> tuple[Tensor, Tensor]:
    """The light that the network sees in it (B, 3, S, S), and its log gains (N,) where they are asked."""
    seen, clipped = given.seen, given.clipped
    if given.factor > 1:
        seen, clipped = (F.avg_pool2d(each, given.factor) for each in (seen, clipped))
    with torch.autocast(seen.device.type, torch.bfloat16, enabled=bfloat16):
        gain = network(_srgb(seen), clipped)
    if given.factor > 1:
        gain = F.interpolate(
            gain.float(), scale_factor=float(given.factor), mode="bilinear", align_corners=False
        )
    gains = gain[given.asked].float()
    light = given.seen.masked_scatter(
        given.asked, given.seen[given.asked] + given.clipped[given.asked] * torch.expm1(gains)
    )
    return light, gains


def blurred(light: Tensor, radius_px: float) -> Tensor:
    """`light` (B, C, S, S), a torus, through a disc, as sRGB up to white."""
    side = light.shape[-1]
    at = torch.fft.fftfreq(side, 1 / side, device=light.device)
    disc = (radius_px + 0.5 - torch.hypot(at[:, None], at[None])).clamp(0, 1)
    seen = torch.fft.irfft2(torch.fft.rfft2(light) * torch.fft.rfft2(disc / disc.sum()), s=light.shape[-2:])
    return _srgb(seen.clamp(max=1))


def _srgb(light: Tensor) -> Tensor:
    """The sRGB curve (IEC 61966-2-1) of light up to 1."""
    curve = 1.055 * light.clamp(min=0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(light < 0.0031308, 12.92 * light, curve)


def light_loss(light: Tensor, gains: Tensor, given: LightBatch, radii_px: Sequence[float]) -> Tensor:
    """What a blur shows of the difference: root of the mean square of each picture and mean absolute, mean over radii; and
    a little of the difference of the log gains (N,)."""
    wanted, seen = given.wanted, light
    if given.factor > 1:
        wanted, seen = (F.avg_pool2d(each, given.factor) for each in (wanted, seen))
    total = torch.zeros((), device=light.device)
    for radius in radii_px:
        shrink = 1 if radius < FINE_PX else 2 if radius < 2 * FINE_PX else 4
        one, other = (blurred(F.avg_pool2d(each, shrink), radius / shrink) for each in (seen, wanted))
        difference = one - other
        total = total + (difference.square().mean((1, 2, 3)) + 1e-6).sqrt().mean() + difference.abs().mean()
    share = given.clipped[given.asked]
    excess = (given.wanted[given.asked] - given.seen[given.asked]) / share.clamp(min=SURE)
    apart = (gains - torch.log1p(excess).clamp(max=MOST_GAIN)).abs() * (share > SURE)
    return total / len(radii_px) + GAIN_SHARE * apart.sum() / (share > SURE).sum().clamp(min=1)


def train_light(
    recipe_name: str,
    folders: Sequence[Path],
    held_out: Path,
    out: Path,
    resume: bool = False,
    init: Path | None = None,
    stop_after: int | None = None,
    threads: int | None = None,
    progress: Callable[[int, int, dict[str, float]], None] | None = None,
    sources: tuple[Sources, Sources] | None = None,
) -> Path | None:
    """Runs a recipe; returns the exported file, or None when stopped by `stop_after`.

    folders: of composed pairs and of drawn frames; held_out: of pairs of other assets. init: a `weights.pt` to start
    from. sources: to learn and to validate from, instead of the assets. Raises ValueError for an unknown recipe, a folder
    that holds neither, or a run that is there already and not to be resumed; RuntimeError when the assets have not been
    fetched.
    """
    if recipe_name not in LIGHT_RECIPES:
        raise ValueError(f"there is no recipe {recipe_name!r}; the recipes are {', '.join(LIGHT_RECIPES)}")
    if threads is not None:
        torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    if (out / "checkpoint.pt").exists() and not resume:
        raise ValueError(f"{out} holds a run already; go on with --resume or name another folder with --out")
    learnt, kept = sources or (
        load_sources(folders),
        load_sources([held_out], held_out=True),
    )
    run = _LightRun(LIGHT_RECIPES[recipe_name], out, learnt, kept, progress)
    if (out / "checkpoint.pt").exists():
        run.restore()
    elif init is not None:
        state = torch.load(init, map_location=run.group.device, weights_only=True)
        run.network.load_state_dict(state)
        run.average.load_state_dict(state)
    run.log(
        "start",
        name=recipe_name,
        pairs=len(learnt.pairs),
        frames=len(learnt.frames),
        traced=len(learnt.traced),
        processes=run.group.count,
    )
    with deferred_interrupts() as interrupted:
        if not run.go(stop_after, interrupted):
            return None
    path = out / f"{recipe_name}.onnx"
    if run.group.is_first:
        state = run.average.state_dict()
        write_atomically(out / "weights.pt", lambda file: torch.save(state, file))
        export_blur(run.average, path, f"DeepLens; recipe {recipe_name}. Apache-2.0")
    run.group.wait()
    return path


class _LightRun(Run):
    """The state of a training: network, moving average, optimiser and step."""

    def __init__(self, recipe: LightRecipe, out: Path, learnt: Sources, kept: Sources, progress: Any) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.out, self.learnt, self.kept, self.progress = recipe, out, learnt, kept, progress
        self.group = processes(recipe.batch)
        network = LightNetwork(recipe.widths).to(self.group.device)
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).eval()
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=0.0, weight_decay=recipe.weight_decay, betas=(0.9, 0.99)
        )
        self.step = 0
        self.recent = []
        self.saved = time.monotonic()

    def go(self, stop_after: int | None, interrupted: Callable[[], bool]) -> bool:
        """Trains to the end; False when `stop_after` ended it before."""
        trained, first = self.group.shared(self.network), self.step
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(self._batch, self.step)
            while self.step < self.recipe.iterations:
                if stop_after is not None and self.step - first >= stop_after:
                    self.save()
                    return False
                given = coming.result()
                coming = ahead.submit(self._batch, self.step + 1)
                self._iterate(trained, given)
                if interrupted():
                    self.save()
                    raise KeyboardInterrupt
                if self.step % VALIDATE_EVERY == 0:
                    self.log("validation", **self.validate())
                if time.monotonic() - self.saved > CHECKPOINT_EVERY_S:
                    self.save()
        self.log("validation", **self.validate())
        self.save()
        return True

    def _batch(self, step: int) -> LightBatch:
        """Batch `step`: it depends on the seed, the step and the sources alone."""
        recipe = self.recipe
        factor = 2 if step % recipe.reduced == recipe.reduced - 1 else 1
        side = recipe.reduced_side if factor > 1 else recipe.side
        numbers = range(step * recipe.batch, (step + 1) * recipe.batch)
        return batch_of(
            [make_clipped(recipe.seed, k, side, self.learnt, float(factor)) for k in numbers], factor
        )

    def _iterate(self, trained: nn.Module, whole: LightBatch) -> None:
        began = time.monotonic()
        self.set_rate()
        given = whole.part(self.group.rank, self.group.count)
        rng = np.random.default_rng((self.recipe.seed, self.step, 5))
        ends = math.log(LEAST_RADIUS_PX), math.log(MOST_RADIUS_PX)
        radii = np.exp(rng.uniform(*ends, self.recipe.radii)).tolist()
        light, gains = recovered(trained, given, self.recipe.bfloat16)
        loss = light_loss(light, gains, given, radii) * (self.group.count * len(given.seen) / len(whole.seen))
        self.learn_from(LOSS_SCALE * loss)
        self.tell({"loss": float(loss.detach()), "s": time.monotonic() - began}, LOG_EVERY)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """PSNR in dB of blurred held-out pictures, mean of pictures and radii; and without the network."""
        totals, count = [0.0, 0.0], 0
        for start in range(0, self.recipe.held_out, self.recipe.batch):
            numbers = range(start, min(start + self.recipe.batch, self.recipe.held_out))
            given = batch_of([make_clipped(90001, k, self.recipe.side, self.kept) for k in numbers])
            light, _ = recovered(self.average, given)
            for radius in VALIDATED_RADII:
                wanted = blurred(given.wanted, radius)
                for number, each in enumerate((light, given.seen)):
                    error = (blurred(each, radius) - wanted).square().mean((1, 2, 3)).clamp(min=1e-5)
                    totals[number] += float((-10 * torch.log10(error)).sum()) / len(VALIDATED_RADII)
            count += len(given.seen)
        return {"val_psnr": round(totals[0] / count, 3), "val_without": round(totals[1] / count, 3)}
