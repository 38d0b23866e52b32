"""Depth predictors by stage, of the shipped network or a candidate."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from deeplens_dof.depth.predict import predict_coarse, predict_scene
from deeplens_dof.evaluate.depth.measured_photos import Picture, Predictor, vertical_position
from deeplens_dof.evaluate.depth.report import Subject
from deeplens_dof.faces.focus import subject_and_faces
from deeplens_dof.imaging.guided_filter import guided_upsample
from deeplens_dof.models import Model

POSITION, WHOLE = "vertical position only", "... and refined: predict_depth"


def predictors(model: Model, every_stage: bool = False, threads: int | None = None) -> dict[str, Predictor]:
    """Predictors by name, in the order of a table. Vertical position is always included, as a baseline."""

    def coarse(rgb: Picture, mirrored_too: bool = True) -> npt.NDArray[np.float32]:
        return predict_coarse(rgb, mirrored_too, threads, model).inverse_depth

    stages: dict[str, Predictor] = {
        POSITION: vertical_position,
        "network": lambda rgb: coarse(rgb, mirrored_too=False),
        "network, mirrored too": coarse,
        "... and guided filter": lambda rgb: guided_upsample(coarse(rgb), rgb, threads=threads),
        WHOLE: lambda rgb: predict_scene(rgb, threads=threads, model=model)[0].values,
    }
    return stages if every_stage else {name: stages[name] for name in (POSITION, WHOLE)}


def predicted_subject(rgb: Picture, model: Model, threads: int | None = None) -> Subject:
    """The matte at the picture's size and the default focus, as in the product. The network must have a matte."""
    depth, matte = predict_scene(rgb, threads=threads, model=model)
    if matte is None:
        raise ValueError(f"{model.file} gives no matte, so that none can be scored")
    return Subject(matte, subject_and_faces(rgb, depth.values, matte, threads)[0].point)
