"""What predicts depth, stage by stage, of the shipped network or of a candidate."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from deeplens_dof.depth.predict import full_matte, predict_coarse
from deeplens_dof.depth.refine import refine
from deeplens_dof.evaluate.depth import Picture, Predictor, vertical_position
from deeplens_dof.models import Model, open_session
from deeplens_dof.upsample import guided_upsample

POSITION, WHOLE = "vertical position only", "... and refined: predict_depth"


def predictors(model: Model, every_stage: bool = False, threads: int | None = None) -> dict[str, Predictor]:
    """By name, in the order of a table. Position alone is always there: what a score is worth shows beside it."""

    def coarse(rgb: Picture, mirrored_too: bool = True) -> npt.NDArray[np.float32]:
        return predict_coarse(rgb, mirrored_too, threads, model).inverse_depth

    stages: dict[str, Predictor] = {
        POSITION: vertical_position,
        "network": lambda rgb: coarse(rgb, mirrored_too=False),
        "network, mirrored too": coarse,
        "... and guided filter": lambda rgb: guided_upsample(coarse(rgb), rgb, threads=threads),
        WHOLE: lambda rgb: refine(coarse(rgb), rgb, threads=threads),
    }
    return stages if every_stage else {name: stages[name] for name in (POSITION, WHOLE)}


def gives_a_matte(model: Model) -> bool:
    """Whether the network has an output for the subject."""
    return model.matte_name in {each.name for each in open_session(model).get_outputs()}


def predicted_matte(rgb: Picture, model: Model, threads: int | None = None) -> npt.NDArray[np.float32]:
    """The subject's matte 0..1 at the picture's size, as the product uses it. The network has to give one."""
    matte = predict_coarse(rgb, threads=threads, model=model).matte
    assert matte is not None
    return full_matte(matte, rgb, threads)
