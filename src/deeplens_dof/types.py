"""Names of the arrays that modules pass to each other, and of functions of them. Shapes stand beside each parameter."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]  # any shape
Image = npt.NDArray[np.float32]  # (H, W, 3), linear light unless said otherwise
Plane = npt.NDArray[np.float32]  # (H, W)
Planes = npt.NDArray[np.float32]  # (N, H, W)
Mask = npt.NDArray[np.bool_]  # (H, W)
Marks = npt.NDArray[np.uint8]  # (H, W), 0 or 1: a mask that kernels write
Index = npt.NDArray[np.int32]
Array64 = npt.NDArray[np.float64]

# A picture in linear light and its signed circles of confusion in px -> the blurred picture in linear light.
Renderer = Callable[[Image, Plane], Image]
