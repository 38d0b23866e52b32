"""The renderer of the DeepLens paper (Wang et al., SIGGRAPH Asia 2018), trained by this repository: a baseline.

Its network sees 15 px of sRGB and blurs by at most NETWORK_LARGEST_PX. For a larger blur the photo is halved until that
suffices, and the result is doubled by guided upsampling, each time with the sharp photo of that size beside it. So it knows
no light above white and no shape but the disc, and wide blurs are coarse.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from deeplens_dof.imaging.color import linear_to_srgb, srgb_to_linear
from deeplens_dof.imaging.network_tiles import padded_batch, tile_window
from deeplens_dof.lens_blur.baselines.guided_upsample import doubled
from deeplens_dof.lens_blur.baselines.halving import halved
from deeplens_dof.lens_blur.optical import SHARP_PX
from deeplens_dof.models import MODELS, open_session
from deeplens_dof.optics.aperture import Aperture
from deeplens_dof.runtime.threads import thread_count
from deeplens_dof.types import Image, Plane

NETWORK_LARGEST_PX = 7.5  # CoC that the network can blur by; it was trained up to 7
PAPER_TILE, PAPER_HALO = 512, 48  # px; the halo is as wide as the network sees
# By which the picture's border is repeated, because the network takes pixels beyond it for black.
PAPER_MARGIN = 16


def render_paper(
    rgb: Image,
    coc_px: Plane,
    aperture: Aperture,
    threads: int | None = None,
    lens_points: int | None = None,
) -> Image:
    """As `render_optical`: (H, W, 3) linear light and (H, W) signed radii in px to (H, W, 3) linear light.

    Light above white is clipped at 1, unless the whole picture is in focus: then it comes back bit for bit. `lens_points`
    has no effect.

    Raises:
        ValueError: for an aperture other than the disc.
    """
    if not aperture.is_disc:
        raise ValueError(
            f"the renderer 'paper' knows the disc alone, and the aperture is {aperture.kind}; take the shape 'disc' or "
            "another renderer"
        )
    largest_px = float(np.abs(coc_px).max())
    if largest_px <= SHARP_PX:
        return rgb.copy()
    height, width = coc_px.shape
    doublings = max(0, math.ceil(math.log2(largest_px / NETWORK_LARGEST_PX)))
    sizes = [_padded(np.clip(rgb, 0, 1), coc_px, 2**doublings)]
    with ThreadPoolExecutor(threads or thread_count()) as pool:
        for _ in range(doublings):
            sizes.append(halved(*sizes[-1], pool))
        blurred = _by_network(*sizes[-1], threads)
        for size in range(doublings - 1, -1, -1):
            blurred = doubled(*sizes[size], sizes[size + 1][0], blurred, pool)
    return np.ascontiguousarray(blurred[:height, :width])


def _by_network(light: Image, coc_px: Plane, threads: int | None) -> Image:
    """The network's blur of a photo in which no CoC exceeds NETWORK_LARGEST_PX."""
    session, multiple = open_session("paper", threads), MODELS["paper"].multiple_px
    srgb = np.asarray(linear_to_srgb(light, np.float32), np.float32)
    srgb = np.pad(srgb, ((PAPER_MARGIN, PAPER_MARGIN), (PAPER_MARGIN, PAPER_MARGIN), (0, 0)), mode="edge")
    coc_px = np.pad(coc_px, PAPER_MARGIN, mode="edge")
    height, width = coc_px.shape
    blurred = np.empty((height, width, 3), np.float32)
    for top in range(0, height, PAPER_TILE):
        for left in range(0, width, PAPER_TILE):
            rows = tile_window(top, height, PAPER_TILE, PAPER_HALO)
            columns = tile_window(left, width, PAPER_TILE, PAPER_HALO)
            feed = {
                "srgb": padded_batch(srgb[rows, columns], multiple),
                "coc_px": padded_batch(coc_px[rows, columns, None], multiple),
            }
            (answer,) = session.run(["blurred"], feed)
            target = blurred[top : top + PAPER_TILE, left : left + PAPER_TILE]
            y, x = top - rows.start, left - columns.start
            target[:] = answer[0, :, y : y + target.shape[0], x : x + target.shape[1]].transpose(1, 2, 0)
    inside = blurred[PAPER_MARGIN:-PAPER_MARGIN, PAPER_MARGIN:-PAPER_MARGIN]
    return srgb_to_linear(np.clip(inside, 0, 1))


def _padded(light: Image, coc_px: Plane, multiple: int) -> tuple[Image, Plane]:
    """Both with sides that are multiples, the last row and column repeated."""
    rows, columns = ((0, -side % multiple) for side in coc_px.shape)
    return np.pad(light, (rows, columns, (0, 0)), mode="edge"), np.pad(coc_px, (rows, columns), mode="edge")
