"""Guided upsampling: the lens blur of a large picture, rendered at a half or a quarter of its size and enlarged beside the
sharp photo.

Strongly blurred parts are enlarged. Slightly blurred parts get back the detail that a blur of that CoC leaves. Where
surfaces hide each other, a small network (`learn/networks/guided_upsample.py`, the same in torch) mixes the two. Pixels
in focus that no other light reaches come back bit for bit.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor

import numpy as np

from deeplens_dof.lens_blur.baselines import guided_kernels, guided_maps
from deeplens_dof.lens_blur.baselines.guided_kernels import (
    KERNEL_RADIUS,
    NODE_PX,
    Area,
)
from deeplens_dof.lens_blur.baselines.guided_maps import (
    GUIDED_BLOCK,
    GUIDED_TILE,
    UNTOUCHED_PX,
    GuidedPicture,
)
from deeplens_dof.lens_blur.baselines.halving import halved
from deeplens_dof.lens_blur.optical import render_optical
from deeplens_dof.lens_blur.tiles.coc_band import BAND_RATIO, CocBand, bands_for
from deeplens_dof.lens_blur.tiles.tile_renderer import POINTS_FOR_SPOTS
from deeplens_dof.models import Model, Session, open_session
from deeplens_dof.optics.aperture import Aperture
from deeplens_dof.runtime.threads import thread_count
from deeplens_dof.types import Array, Image, Marks, Plane, Planes

COARSE_PX = 32.0  # of the small picture: with a larger CoC its band is rendered at a quarter of its size
NETWORK_HALO = 2  # cells around a tile that the network sees
CHANNELS = 24
_WINDOW = GUIDED_TILE + 2 * KERNEL_RADIUS


def render_guided(
    rgb: Image,
    coc_px: Plane,
    aperture: Aperture,
    threads: int | None = None,
    lens_points: int | None = None,
    doublings: int = 1,
    model: str | Model = "upsample",
) -> Image:
    """As `render_optical`, rendered at 1 / 2^doublings of the size.

    Raises:
        ValueError: for less than one doubling.
    """
    if doublings < 1:
        raise ValueError(
            f"doublings is {doublings}, expected at least 1; render_optical renders at full size"
        )
    sizes = [(rgb, coc_px)]
    with ThreadPoolExecutor(threads or thread_count()) as pool:
        for _ in range(doublings):
            sizes.append(halved(*sizes[-1], pool))
        blurred = _render_small(*sizes[-1], aperture, threads, lens_points)
        for size in range(doublings - 1, -1, -1):
            blurred = doubled(*sizes[size], sizes[size + 1][0], blurred, pool, model)
    return blurred


def _render_small(
    rgb: Image, coc_px: Plane, aperture: Aperture, threads: int | None, lens_points: int | None
) -> Image:
    """`render_optical`, with a coarser blurred band and no block in a single pass where the CoC exceeds COARSE_PX: at the
    size of the result neither is visible."""
    largest_px = float(np.abs(coc_px).max())
    bands = bands_for(largest_px, aperture.is_disc)
    if len(bands) == 2 and largest_px > COARSE_PX:
        bands[1] = CocBand(BAND_RATIO, bands[1].inner, bands[1].outer)
        lens_points = lens_points or POINTS_FOR_SPOTS
    return render_optical(rgb, coc_px, aperture, threads, lens_points, bands)


def doubled(
    rgb: Image,
    coc_px: Plane,
    half: Image,
    blurred: Image,
    pool: Executor,
    model: str | Model = "upsample",
) -> Image:
    """The blur at twice the size. The result does not depend on the number of threads.

    Args:
        rgb: (H, W, 3) linear light of the photo.
        coc_px: (H, W) its signed CoC radii in px.
        half: the photo at half the size, of `halving.halved`.
        blurred: its blur, like `half`.
        pool: runs the tiles.
        model: the network.

    Returns:
        (H, W, 3) linear light.
    """
    picture = _surveyed(rgb, coc_px, half, blurred, pool)
    network = _Network(open_session(model, 1))
    kinds = _kinds(picture, network.detailed_px)
    out = np.empty_like(rgb)

    def strip(row: int) -> None:
        tiles, first = _Tiles(picture, network, out), 0
        for kind, run in itertools.groupby(kinds[row]):
            last = first + len(list(run))
            lefts = range(first * GUIDED_TILE, last * GUIDED_TILE, GUIDED_TILE)
            tiles.render(int(kind), row * GUIDED_TILE, lefts)
            first = last

    _all(pool, strip, range(len(kinds)))
    return out


def _surveyed(rgb: Image, coc_px: Plane, half: Image, blurred: Image, pool: Executor) -> GuidedPicture:
    """The photo and its blur with their maps."""
    blocks = -(-coc_px.shape[0] // GUIDED_BLOCK), -(-coc_px.shape[1] // GUIDED_BLOCK)
    smallest, largest, reached = (np.empty(blocks, np.float32) for _ in range(3))
    changed = np.empty(half.shape[:2], np.uint8)

    def band(row: int) -> None:
        last, cells = row + 4, GUIDED_BLOCK // 2
        guided_maps.survey(coc_px, row, min(last, blocks[0]), smallest, largest, reached)
        guided_maps.mark_changed(half, blurred, row * cells, min(last * cells, half.shape[0]), changed)

    _all(pool, band, range(0, blocks[0], 4))
    guided_maps.spread(reached)
    return GuidedPicture(rgb, coc_px, half, blurred, smallest, largest, reached, changed)


def _kinds(picture: GuidedPicture, detailed_px: float) -> Marks:
    """The kind of each tile, (rows, columns). detailed_px: CoC from which no detail is left."""
    kinds = np.empty([-(-side // GUIDED_TILE) for side in picture.coc_px.shape], np.uint8)
    guided_maps.classify(picture, detailed_px, kinds)
    return kinds


class _Network:
    """The trained part. table (nodes, classes): kernels of detail by CoC, NODE_PX apart, from all detail to none."""

    def __init__(self, session: Session) -> None:
        self._session = session
        least = np.zeros((1, CHANNELS, 1 + 2 * NETWORK_HALO, 1 + 2 * NETWORK_HALO), np.float32)
        (kernels,) = session.run(["kernels"], {"features": least})
        self.table = np.zeros((len(kernels) + 2, kernels.shape[1]), np.float32)
        self.table[0, 0], self.table[1:-1] = 1, kernels
        self.detailed_px = float(NODE_PX) * (len(self.table) - 1)

    def logits(self, features: Planes) -> Planes:
        """(4 * BASES, n, n) for features (CHANNELS, m, m)."""
        (answer,) = self._session.run(["logits"], {"features": features[None]})
        return np.asarray(answer[0])


class _Tiles:
    """Renders tiles into `out`. One for each thread."""

    def __init__(self, picture: GuidedPicture, network: _Network, out: Image) -> None:
        self.picture, self.network, self.out = picture, network, out
        self.enlarged = np.empty((3, _WINDOW, _WINDOW), np.float32)
        self.detail = np.empty_like(self.enlarged)
        self.coc = np.empty((_WINDOW, _WINDOW), np.float32)
        self.tile = np.empty((GUIDED_TILE, GUIDED_TILE, 3), np.float32)
        cells = GUIDED_TILE // 2 + 2 * NETWORK_HALO
        self.features = np.empty((CHANNELS, cells, cells), np.float32)

    def render(self, kind: int, top: int, lefts: range) -> None:
        """The tiles of one kind that begin at the pixels (top, lefts)."""
        height, width = self.out.shape[:2]
        area = Area(top, lefts.start, min(GUIDED_TILE, height - top), min(lefts.stop, width) - lefts.start)
        if kind == guided_maps.ENLARGED:
            guided_kernels.enlarge(_lines(self.picture.blurred), area, _lines(self.out))
        elif kind == guided_maps.COPIED:
            part = slice(top, top + area.rows), slice(lefts.start, lefts.stop)
            self.out[part] = self.picture.rgb[part]
        else:
            for left in lefts:
                self._detailed(kind, Area(top, left, area.rows, min(GUIDED_TILE, width - left)))

    def _detailed(self, kind: int, area: Area) -> None:
        picture, network, tile = self.picture, self.network, self.tile
        top, left, rows, columns = area
        corner = (top - KERNEL_RADIUS, left - KERNEL_RADIUS)
        guided_kernels.enlarge_planes(_lines(picture.blurred), *corner, self.enlarged)
        guided_kernels.enlarge_planes(_lines(picture.half), *corner, self.detail)
        guided_kernels.detail_window(picture.rgb, picture.coc_px, *corner, self.detail, self.coc)
        guided_kernels.add_detail(self.detail, self.coc, self.enlarged, network.table, rows, columns, tile)
        if kind == guided_maps.MIXED:
            cell = (top // 2 - NETWORK_HALO, left // 2 - NETWORK_HALO)
            guided_kernels.features(picture, *cell, self.features)
            guided_kernels.mix(picture, self.enlarged, network.logits(self.features), area, tile)
        blocks = [slice(at // GUIDED_BLOCK, (at + GUIDED_TILE) // GUIDED_BLOCK) for at in (top, left)]
        if picture.smallest[blocks[0], blocks[1]].min() < UNTOUCHED_PX:
            guided_kernels.put_untouched(picture, area, tile)
        self.out[top : top + rows, left : left + columns] = tile[:rows, :columns]


def _lines(picture: Array) -> Array:
    """(h, w, 3) as (h, 3 w)."""
    return picture.reshape(picture.shape[0], -1)


def _all(pool: Executor, work: Callable[[int], None], items: range) -> None:
    for done in [pool.submit(work, item) for item in items]:
        done.result()
