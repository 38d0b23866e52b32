"""The path-traced scenes of this folder; `deeplens_dof.evaluate.bokeh.traced` reads and scores them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from deeplens_dof.evaluate import metrics
from deeplens_dof.evaluate.bokeh import traced
from deeplens_dof.evaluate.bokeh.traced import Truth, score_traced
from deeplens_dof.evaluate.metrics import edge_band

SCENES = Path(__file__).parent / "scenes"


def truths(levels: set[int], folder: Path = SCENES, scenes: set[str] | None = None) -> Iterator[Truth]:
    """Every picture of these levels; of these scenes only, where they are named."""
    return traced.truths(levels, folder, scenes)


def psnr(a: np.ndarray, b: np.ndarray, where: np.ndarray | None = None) -> float:
    """Of two uint8 pictures, or of the pixels of them that are marked; NaN where none is."""
    return metrics.psnr(a, b, 255, where)


__all__ = ["SCENES", "Truth", "edge_band", "psnr", "score_traced", "truths"]
