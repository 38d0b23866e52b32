"""The image a lens forms of a stack of tilted, textured, partly transparent planes: the integral over its aperture.

There is one exact view for each lens point. From lens point u, a point at x on a plane with the signed CoC
c(x) = c0 + g . x appears at x + c(x) u. Each view of a plane is therefore an affine map, and planes occlude each other in
each view exactly. This module shares no code with the renderers that learn from it.

Textures hold SUBPIXELS x SUBPIXELS samples per pixel. Each lens point samples one subpixel position in every pixel, and all
positions get equally many lens points, so that surfaces in focus come out as the mean of their samples.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
SUBPIXELS = 2
_SHUT = np.float32(1 / 512)  # transmittance below which a ray ends


@numba.njit(cache=True, nogil=True, fastmath=True)  # type: ignore[untyped-decorator]
def integrate(textures: Any, coc: Any, extent: Any, margin: int, points: Any, light: Any) -> None:
    """Adds to `light` the mean of the views from all lens points.

    Args:
        textures: (L, h, w, 4) linear light premultiplied by alpha, and alpha, nearest plane first. The samples cover the
            pixels of `light` and `margin` pixels around them; beyond, the outermost samples are repeated.
        coc: (L, 3) signed CoC radius in px at the centre of pixel (0, 0), and its change per pixel along x and y.
        extent: (L, 4) first and last row, first and last column of samples that are not empty.
        margin: px around `light`.
        points: (N, 2) lens points in the unit disc, N a multiple of SUBPIXELS^2.
        light: (H, W, 3) linear light, changed in place.
    """
    count, height, width = points.shape[0], light.shape[0], light.shape[1]
    high, wide = textures.shape[1], textures.shape[2]
    passes = np.empty(width, np.float32)
    for number in range(count):
        u, v = points[number, 0], points[number, 1]
        place = number % (SUBPIXELS * SUBPIXELS)
        dx = np.float32((place % SUBPIXELS + 0.5) / SUBPIXELS - 0.5)
        dy = np.float32((place // SUBPIXELS + 0.5) / SUBPIXELS - 0.5)
        for y in range(height):
            passes[:] = 1
            for layer in range(textures.shape[0]):
                c0, gx, gy = coc[layer, 0], coc[layer, 1], coc[layer, 2]
                stretch = 1 / (1 + gx * u + gy * v)
                # x_ref = x - u c(x) / (1 + g . u): the inverse of x + u c(x)
                c = (c0 + gx * dx + gy * (y + dy)) * stretch
                column = (dx - u * c + margin + 0.5) * SUBPIXELS
                row = (y + dy - v * c + margin + 0.5) * SUBPIXELS
                step_x, step_y = (1 - u * gx * stretch) * SUBPIXELS, -v * gx * stretch * SUBPIXELS
                last_row, last_column = row + step_y * (width - 1), column + step_x * (width - 1)
                if max(row, last_row) < extent[layer, 0] or min(row, last_row) > extent[layer, 1] + 1:
                    continue
                first, end = 0, width
                if extent[layer, 2] > 0:
                    first = max(first, int((extent[layer, 2] - column) / step_x))
                if extent[layer, 3] < wide - 1:
                    end = min(end, int((extent[layer, 3] + 1 - column) / step_x) + 2)
                if last_column < extent[layer, 2] and extent[layer, 2] > 0:
                    continue
                for x in range(first, end):
                    j = min(max(int(column + step_x * x), 0), wide - 1)
                    i = min(max(int(row + step_y * x), 0), high - 1)
                    alpha = textures[layer, i, j, 3]
                    still = passes[x]
                    if alpha > 0 and still > _SHUT:
                        light[y, x, 0] += still * textures[layer, i, j, 0]
                        light[y, x, 1] += still * textures[layer, i, j, 1]
                        light[y, x, 2] += still * textures[layer, i, j, 2]
                        passes[x] = still * (1 - alpha)
    share = np.float32(1 / count)
    for y in range(height):
        for x in range(width):
            for channel in range(3):
                light[y, x, channel] *= share
