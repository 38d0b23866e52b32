"""The training loop of the modules that learn from pairs: lens blur, guided upsampling, the 2018 network.

A run is a folder: `checkpoint.pt` (everything needed to go on), `log.jsonl` (one object a line) and, at the end,
`weights.pt` and `RECIPE.onnx`. Stopped at any moment and resumed, it ends with the same weights, to the bit on the same
machine. Several processes share each batch (`learn/parallel.py`).
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from deeplens_dof.datasets.pairs import largest_coc_px, pair_files
from deeplens_dof.learn.blur_recipes import BLUR_RECIPES, BlurRecipe
from deeplens_dof.learn.export import export_blur, export_depth
from deeplens_dof.learn.networks.deeplens import DeepLens
from deeplens_dof.learn.parallel import processes
from deeplens_dof.learn.run import LOSS_SCALE, Run
from deeplens_dof.runtime.atomic_write import write_atomically
from deeplens_dof.runtime.interrupt import deferred_interrupts

CHECKPOINT_EVERY_S = 120.0
LOG_EVERY = 25
VALIDATE_EVERY = 500
HELD_OUT_BATCH = 8


def train_blur(
    recipe_name: str,
    pairs: Sequence[Path],
    held_out: Path,
    out: Path,
    resume: bool = False,
    init: Path | None = None,
    stop_after: int | None = None,
    threads: int | None = None,
    progress: Callable[[int, int, dict[str, float]], None] | None = None,
) -> Path | None:
    """Runs a recipe on folders of pairs; returns the exported file, or None when stopped by `stop_after`.

    held_out: pairs of other assets, for validation. init: a `weights.pt` of an earlier run to start from. Raises
    ValueError for an unknown recipe, a folder without pairs, or a run that is there already and not to be resumed.
    """
    if recipe_name not in BLUR_RECIPES:
        raise ValueError(f"there is no recipe {recipe_name!r}; the recipes are {', '.join(BLUR_RECIPES)}")
    recipe = BLUR_RECIPES[recipe_name]
    if threads is not None:
        torch.set_num_threads(threads)
    out.mkdir(parents=True, exist_ok=True)
    if (out / "checkpoint.pt").exists() and not resume:
        raise ValueError(f"{out} holds a run already; go on with --resume or name another folder with --out")
    files = [file for folder in pairs for file in pair_files(folder)][: recipe.pairs]
    files, kept = (within(each, recipe.largest_px) for each in (files, pair_files(held_out)))
    run = _Run(recipe, out, progress)
    with run.group.first_before_others():
        recipe.prepare(files + kept)
    if resume and (out / "checkpoint.pt").exists():
        run.restore()
    elif init is not None:
        state = torch.load(init, map_location=run.group.device, weights_only=True)
        run.network.load_state_dict(state)
        run.average.load_state_dict(state)
    run.log("start", name=recipe_name, pairs=len(files), held_out=len(kept), processes=run.group.count)
    with deferred_interrupts() as interrupted:
        ended = run.go(files, kept, stop_after, interrupted)
    if not ended:
        return None
    path = out / f"{recipe_name}.onnx"
    if run.group.is_first:
        state = run.average.state_dict()
        write_atomically(out / "weights.pt", lambda file: torch.save(state, file))
        _export(run.average, path, f"DeepLens; recipe {recipe_name}, {len(files)} pairs. Apache-2.0")
    run.group.wait()
    return path


def within(pairs: list[Path], largest_px: float) -> list[Path]:
    """Those of the pairs whose CoC is nowhere larger. Raises ValueError when none is left."""
    if math.isinf(largest_px):
        return pairs
    kept = [path for path in pairs if largest_coc_px(path) <= largest_px]
    if not kept:
        raise ValueError(
            f"every pair has a CoC above {largest_px:g} px somewhere; make more with `deeplens scenes --pairs`"
        )
    return kept


def _export(network: nn.Module, path: Path, note: str) -> None:
    """The module's file; of the whole DeepLens that of its depth, beside those of the lens blur and the upsampling."""
    if not isinstance(network, DeepLens):
        export_blur(network, path, note)
        return
    export_depth(network.depth, path, note=note)
    export_blur(network.lens_blur, path.with_name("lens-blur.onnx"), note)
    export_blur(network.upsample, path.with_name("upsample.onnx"), note)


class _Run(Run):
    """The state of a training: network, moving average, optimiser and step."""

    def __init__(self, recipe: BlurRecipe, out: Path, progress: Any) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.out, self.progress = recipe, out, progress
        self.group = processes(recipe.batch)
        self.network: nn.Module = recipe.network().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network.to(self.group.device)
        self.average = copy.deepcopy(self.network).eval()
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=0.0, weight_decay=recipe.weight_decay, betas=(0.9, 0.99)
        )
        self.step = 0
        self.recent = []
        self.saved = time.monotonic()

    def go(
        self, files: list[Path], kept: list[Path], stop_after: int | None, interrupted: Callable[[], bool]
    ) -> bool:
        """Trains to the end; False when `stop_after` ended it before."""
        trained, first = self.group.shared(self.network), self.step
        if self.step == 0:
            self.log("validation", **self.validate(kept))
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(self._batch, files, self.step)
            while self.step < self.recipe.iterations:
                if stop_after is not None and self.step - first >= stop_after:
                    self.save()
                    return False
                given = coming.result()
                coming = ahead.submit(self._batch, files, self.step + 1)
                self._iterate(trained, given)
                if interrupted():
                    self.save()
                    raise KeyboardInterrupt
                if self.step % VALIDATE_EVERY == 0:
                    self.log("validation", **self.validate(kept))
                if time.monotonic() - self.saved > CHECKPOINT_EVERY_S:
                    self.save()
        self.log("validation", **self.validate(kept))
        self.save()
        return True

    def _batch(self, files: list[Path], step: int) -> Any:
        """Batch `step`: it depends on the seed, the step and the list of files alone."""
        rng = np.random.default_rng((self.recipe.seed, step))
        chosen = [files[index] for index in rng.integers(len(files), size=self.recipe.batch)]
        top, left = (4 * int(start) for start in rng.integers((256 - self.recipe.crop) // 4 + 1, size=2))
        turns = rng.integers(2, size=(self.recipe.batch, 2))
        return self.recipe.load(chosen, (top, left, self.recipe.crop), turns)

    def _iterate(self, trained: nn.Module, whole: Any) -> None:
        began = time.monotonic()
        self.set_rate()
        given = whole.part(self.group.rank, self.group.count)
        with torch.autocast(self.group.device.type, torch.bfloat16, enabled=self.recipe.bfloat16):
            seen, wanted = self.recipe.predicted(trained, given)
        share = self.group.count * len(given.light) / len(whole.light)
        loss = self.recipe.loss(seen, wanted) * share
        self.learn_from(LOSS_SCALE * loss)
        with torch.no_grad():
            without = float(self.recipe.loss(self.recipe.baseline(given), wanted)) * share
        self.tell(
            {"loss": float(loss.detach()), "without": without, "s": time.monotonic() - began}, LOG_EVERY
        )

    @torch.no_grad()
    def validate(self, kept: list[Path]) -> dict[str, float]:
        """PSNR in dB of the average on held-out pairs, mean of pictures, and without the network."""
        totals, count = [0.0, 0.0], 0
        for start in range(0, len(kept), HELD_OUT_BATCH):
            given = self.recipe.load(kept[start : start + HELD_OUT_BATCH])
            seen, wanted = self.recipe.predicted(self.average, given)
            for number, each in enumerate((seen, self.recipe.baseline(given))):
                error = (each.clamp(0, 1) - wanted.clamp(0, 1)).square().mean((1, 2, 3)).clamp(min=1e-6)
                totals[number] += float((-10 * torch.log10(error)).sum())
            count += len(given.light)
        return {"val_psnr": round(totals[0] / count, 3), "val_without": round(totals[1] / count, 3)}
