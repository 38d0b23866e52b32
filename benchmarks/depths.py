"""Circles of confusion as a lens blur may get them: of the true depth, of predicted depth, or of depth that is wrong at its
borders. All in px of the picture, (H, W).

CoC is an affine function of inverse depth, so that what follows is the same on either. The damage is the same for every
picture of a scene:

    eroded   near things lose 2 px all round
    dilated  they grow by 2 px
    blurred  Gaussian, sigma 2 px
    coarse   averaged to a quarter of the size and enlarged
    predicted  by the shipped network from the picture in focus; of relative depth scale and shift are fitted to the truth by
             least squares, as is usual. Fitted is the truth's whole range; where the focus lies is not corrected
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from truths import Truth

import deeplens_dof as dl

BORDER = np.ones((5, 5), np.uint8)
SIGMA_PX = 2.0
COARSE = 4


def predicted(each: Truth) -> np.ndarray:
    values = _prediction(each.scene, dl.linear_to_srgb(each.rgb).tobytes(), each.rgb.shape).astype(np.float64)
    offset, true = values - values.mean(), each.coc_px.astype(np.float64)
    scale = (offset * true).sum() / max((offset * offset).sum(), 1e-12)
    return (scale * offset + true.mean()).astype(np.float32)


@lru_cache(maxsize=8)
def _prediction(scene: str, rgb: bytes, shape: tuple[int, ...]) -> np.ndarray:
    return dl.predict_depth(np.frombuffer(rgb, np.uint8).reshape(shape)).values


def coarse(each: Truth) -> np.ndarray:
    height, width = each.coc_px.shape
    small = cv2.resize(each.coc_px, (width // COARSE, height // COARSE), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


DEPTHS: dict[str, Callable[[Truth], np.ndarray]] = {
    "true": lambda each: each.coc_px,
    "predicted": predicted,
    "eroded": lambda each: cv2.erode(each.coc_px, BORDER),
    "dilated": lambda each: cv2.dilate(each.coc_px, BORDER),
    "blurred": lambda each: cv2.GaussianBlur(each.coc_px, (0, 0), SIGMA_PX),
    "coarse": coarse,
}
