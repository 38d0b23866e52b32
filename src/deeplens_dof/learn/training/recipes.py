"""Every recipe of `deeplens train`: one table of tasks and their numbers. A new training is entered here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from deeplens_dof.learn.training.depth import depth_task
from deeplens_dof.learn.training.depth_recipes import DEPTH_RECIPES
from deeplens_dof.learn.training.distributed import Alone, processes
from deeplens_dof.learn.training.highlights import HIGHLIGHT_RECIPES, highlight_task
from deeplens_dof.learn.training.matte_refinement import MATTE_RECIPES, matte_task
from deeplens_dof.learn.training.pair_recipes import PAIR_RECIPES
from deeplens_dof.learn.training.pairs import pair_task
from deeplens_dof.learn.training.trainer import Progress, Task, Trainer, TrainingData, claim_folder

# Opens a task on folders: name, recipe, data, processes.
OpenTask = Callable[[str, Any, TrainingData, Alone], Task[Any, Any]]

RECIPES: dict[str, tuple[OpenTask, Any]] = {
    **{name: (depth_task, recipe) for name, recipe in DEPTH_RECIPES.items()},
    **{name: (pair_task, recipe) for name, recipe in PAIR_RECIPES.items()},
    **{name: (highlight_task, recipe) for name, recipe in HIGHLIGHT_RECIPES.items()},
    **{name: (matte_task, recipe) for name, recipe in MATTE_RECIPES.items()},
}


def train(
    name: str,
    data: TrainingData,
    out: Path,
    resume: bool = False,
    init: Path | None = None,
    stop_after: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Path | None:
    """Runs a recipe in the folder `out`.

    Args:
        name: of the recipe.
        data: the folders to learn from.
        out: the run's folder.
        resume: go on with the run in it.
        init: weights for a new run to start from: an ONNX file of depth, a `weights.pt` of the others.
        stop_after: iterations after which this call ends; the run can be resumed.
        threads: of torch; None: as torch is set.
        progress: called after each iteration.

    Returns:
        The exported file, or None when `stop_after` ended the call before.

    Raises:
        ValueError: an unknown recipe, unfit folders, or a run that is there already and not to be resumed.
        RuntimeError: assets have not been fetched.
        KeyboardInterrupt: after the iteration in which Ctrl-C came, with the checkpoint written.
    """
    if name not in RECIPES:
        raise ValueError(f"there is no recipe {name!r}; the recipes are {', '.join(RECIPES)}")
    open_task, recipe = RECIPES[name]
    if threads is not None:
        torch.set_num_threads(threads)
    group = processes(recipe.batch)
    claim_folder(out, resume)
    task = open_task(name, recipe, data, group)
    return Trainer(task, out, group, progress).train(resume, init, stop_after)
