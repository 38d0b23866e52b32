"""BlazeFace (Bazarevsky et al. 2019): what its two networks answer, as boxes and points in pixels of the picture given.

Both answer for anchors on two grids over the picture, two in a cell of the fine one, six in a cell of the coarse one. They
take pictures of any size, so that one pass over a picture looks everywhere in it for faces of the sizes they know.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from deeplens_dof.models import MODELS, open_session

Scores = npt.NDArray[np.float32]
Places = npt.NDArray[np.float32]

# Cells of the grids, in px, and the anchors in each.
GRIDS = {"faces": ((16, 2), (32, 6)), "face_check": ((8, 2), (16, 6))}
# Rows of a place: the box's middle and its sides, then points of the face; left and right are the person's own.
MIDDLE, SIDES, RIGHT_EYE, LEFT_EYE = range(4)


class Answers(NamedTuple):
    """scores: (N, anchors), 0..1. places: (N, anchors, 8, 2), x and y in px, rows as named above."""

    scores: Scores
    places: Places


def answers(name: str, pictures: npt.NDArray[np.uint8], threads: int | None = None) -> Answers:
    """What a network says about pictures.

    Args:
        name: "faces", which knows faces from 9 px wide, or "face_check", which knows those from 18 px.
        pictures: sRGB (N, H, W, 3), H and W multiples of the network's.
        threads: None is one per core.
    """
    model = MODELS[name]
    planes = np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), np.float32) / np.float32(255)
    (found,) = open_session(name, threads).run([model.output_name], {model.input_name: planes})
    scores = 1 / (1 + np.exp(-np.clip(found[..., 0], -50, 50)))
    places = found[..., 1:].reshape(*scores.shape, 8, 2).copy()
    middles = _middles(name, pictures.shape[1], pictures.shape[2])
    places[:, :, MIDDLE] += middles
    places[:, :, RIGHT_EYE:] += middles[:, None]
    return Answers(scores, places)


def _middles(name: str, height: int, width: int) -> npt.NDArray[np.float32]:
    """(anchors, 2): x and y of the middles of the cells, one for each anchor, in the order of the network's answers."""
    middles = []
    for cell, anchors in GRIDS[name]:
        y, x = np.mgrid[: height // cell, : width // cell]
        middles.append(np.repeat(np.stack([x, y], -1).reshape(-1, 2) * cell + cell / 2, anchors, axis=0))
    return np.concatenate(middles).astype(np.float32)
