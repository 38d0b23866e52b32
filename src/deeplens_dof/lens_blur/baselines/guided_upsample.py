"""Guided upsampling: the lens blur of a large picture, rendered at a half or a quarter of its size and brought to full size
beside the sharp photo.

What is much blurred is enlarged; what is little blurred gets the photo's detail back, as far as a blur of that CoC leaves it;
where surfaces hide each other a small network (`learn/networks/guided_upsample.py`, the same in torch) mixes the two. What is
in focus and reached by no other light comes out as it went in, bit for bit.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from deeplens_dof.lens_blur.baselines import guided_kernels
from deeplens_dof.lens_blur.baselines.guided_kernels import KERNEL_RADIUS, TAPS
from deeplens_dof.lens_blur.baselines.halving import halved
from deeplens_dof.lens_blur.optical import render_optical
from deeplens_dof.lens_blur.tiles.block_plan import SHELL_RATIO, shells_for
from deeplens_dof.lens_blur.tiles.pyramid import Shell
from deeplens_dof.lens_blur.tiles.tile_renderer import POINTS_FOR_LAMPS
from deeplens_dof.models import Model, Session, open_session
from deeplens_dof.optics.aperture import Aperture
from deeplens_dof.runtime.threads import thread_count

FloatArray = npt.NDArray[np.float32]
SHARP_PX = 0.2  # CoC below which a pixel that no other light reaches is the photo's own
SAME_LIGHT = (
    np.float32(1e-5),
    np.float32(1e-3),
)  # absolute and relative difference of light that counts as none
COARSE_PX = 32.0  # of the small picture: with a larger CoC its shell is rendered at a quarter of its size
STEP_PX, MARGIN_PX = np.float32(1), np.float32(8)
DETAILED_PX = (
    np.float32(6),
    np.float32(8),
)  # of the smallest CoC near a cell: below, the network is asked; softly
NODE_PX = np.float32(0.25)
BLOCK = 16  # px
TILE = 64  # px, whole blocks
HALO = 2  # cells that the network sees round its own
CHANNELS = 24
_WINDOW = TILE + 2 * KERNEL_RADIUS


def render_guided(
    rgb: FloatArray,
    coc_px: FloatArray,
    aperture: Aperture,
    threads: int | None = None,
    lens_points: int | None = None,
    doublings: int = 1,
    model: str | Model = "upsample",
) -> FloatArray:
    """As `render_optical`, rendered at 1 / 2^doublings of the size. Raises ValueError for less than one doubling."""
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
    rgb: FloatArray, coc_px: FloatArray, aperture: Aperture, threads: int | None, lens_points: int | None
) -> FloatArray:
    """`render_optical`; what is blurred beyond COARSE_PX lets all of its shell be rendered at a quarter of this size, and
    no block whole: at the size of the result both are invisible."""
    largest_px = float(np.abs(coc_px).max())
    shells = shells_for(largest_px, aperture.is_disc)
    if len(shells) == 2 and largest_px > COARSE_PX:
        shells[1] = Shell(SHELL_RATIO, shells[1].inner, shells[1].outer)
        lens_points = lens_points or POINTS_FOR_LAMPS
    return render_optical(rgb, coc_px, aperture, threads, lens_points, shells)


def doubled(
    rgb: FloatArray,
    coc_px: FloatArray,
    half: FloatArray,
    blurred: FloatArray,
    pool: Executor,
    model: str | Model = "upsample",
) -> FloatArray:
    """The blur of twice the size: (H, W, 3) linear light of the photo rgb (H, W, 3), its CoC (H, W) in px, and of the photo
    (`halving.halved`) and its blur at half the size. The same for any number of threads."""
    picture = _Picture.of(rgb, coc_px, half, blurred, pool)
    network = _Network(open_session(model, 1))
    kinds = picture.kinds(network.detailed_px)
    out = np.empty_like(rgb)

    def strip(row: int) -> None:
        tiles, first = _Tiles(picture, network, out), 0
        for kind, run in itertools.groupby(kinds[row]):
            last = first + len(list(run))
            tiles.render(int(kind), row * TILE, range(first * TILE, last * TILE, TILE))
            first = last

    _all(pool, strip, range(len(kinds)))
    return out


@dataclass(frozen=True, slots=True)
class _Picture:
    """What goes in, and maps of it. smallest, largest: |CoC| by blocks; reached: 1 where light passes a step nearby.
    changed: cells whose blur is not the photo's own half."""

    rgb: FloatArray
    coc_px: FloatArray
    half: FloatArray
    blurred: FloatArray
    smallest: FloatArray
    largest: FloatArray
    reached: FloatArray
    changed: npt.NDArray[np.uint8]

    @classmethod
    def of(
        cls, rgb: FloatArray, coc_px: FloatArray, half: FloatArray, blurred: FloatArray, pool: Executor
    ) -> _Picture:
        blocks = -(-coc_px.shape[0] // BLOCK), -(-coc_px.shape[1] // BLOCK)
        smallest, largest, reached = (np.empty(blocks, np.float32) for _ in range(3))
        changed = np.empty(half.shape[:2], np.uint8)

        def band(row: int) -> None:
            last = row + 4
            guided_kernels.survey(
                coc_px, BLOCK, STEP_PX, MARGIN_PX, row, min(last, blocks[0]), smallest, largest, reached
            )
            cells = BLOCK // 2
            guided_kernels.mark_changed(
                half, blurred, *SAME_LIGHT, row * cells, min(last * cells, half.shape[0]), changed
            )

        _all(pool, band, range(0, blocks[0], 4))
        guided_kernels.spread(reached)
        return cls(rgb, coc_px, half, blurred, smallest, largest, reached, changed)

    def kinds(self, detailed_px: float) -> npt.NDArray[np.uint8]:
        """What is done with each tile, (rows, columns). detailed_px: CoC from which on no detail is left."""
        kinds = np.empty([-(-side // TILE) for side in self.coc_px.shape], np.uint8)
        guided_kernels.classify(
            self.smallest, self.largest, self.reached, self.changed, BLOCK, TILE, detailed_px, DETAILED_PX[1],
            SHARP_PX, kinds,
        )  # fmt: skip
        return kinds


class _Network:
    """The learnt part: kernels of detail, and what the cells of a tile say. table: kernels by CoC, NODE_PX apart, from what
    changes nothing to what leaves nothing."""

    def __init__(self, session: Session) -> None:
        self._session = session
        least = np.zeros((1, CHANNELS, 1 + 2 * HALO, 1 + 2 * HALO), np.float32)
        (kernels,) = session.run(["kernels"], {"features": least})
        self.table = np.zeros((len(kernels) + 2, kernels.shape[1]), np.float32)
        self.table[0, 0], self.table[1:-1] = 1, kernels
        self.detailed_px = float(NODE_PX) * (len(self.table) - 1)

    def logits(self, features: FloatArray) -> FloatArray:
        (answer,) = self._session.run(["logits"], {"features": features[None]})
        return np.asarray(answer[0])


class _Tiles:
    """Renders tiles into `out`, with room for their windows. One for each thread."""

    def __init__(self, picture: _Picture, network: _Network, out: FloatArray) -> None:
        self.picture, self.network, self.out = picture, network, out
        self.enlarged = np.empty((3, _WINDOW, _WINDOW), np.float32)
        self.detail = np.empty_like(self.enlarged)
        self.coc = np.empty((_WINDOW, _WINDOW), np.float32)
        self.tile = np.empty((TILE, TILE, 3), np.float32)
        cells = TILE // 2 + 2 * HALO
        self.features = np.empty((CHANNELS, cells, cells), np.float32)

    def render(self, kind: int, top: int, lefts: range) -> None:
        """The tiles of one kind at the pixels (top, lefts)."""
        height, width = self.out.shape[:2]
        rows, columns = min(TILE, height - top), min(lefts.stop, width) - lefts.start
        if kind == guided_kernels.ENLARGED:
            flat = (height, 3 * width)
            guided_kernels.enlarge(
                _lines(self.picture.blurred), top, lefts.start, rows, columns, self.out.reshape(flat)
            )
        elif kind == guided_kernels.COPIED:
            part = slice(top, top + rows), slice(lefts.start, lefts.stop)
            self.out[part] = self.picture.rgb[part]
        else:
            for left in lefts:
                self._detailed(kind, top, left, min(TILE, height - top), min(TILE, width - left))

    def _detailed(self, kind: int, top: int, left: int, rows: int, columns: int) -> None:
        picture, network = self.picture, self.network
        corner, tile = (top - KERNEL_RADIUS, left - KERNEL_RADIUS), self.tile
        guided_kernels.enlarge_planes(_lines(picture.blurred), *corner, self.enlarged)
        guided_kernels.enlarge_planes(_lines(picture.half), *corner, self.detail)
        guided_kernels.windows(picture.rgb, picture.coc_px, *corner, self.detail, self.coc)
        guided_kernels.add_detail(
            self.detail, self.coc, network.table, NODE_PX, TAPS, self.enlarged, rows, columns, tile
        )
        if kind == guided_kernels.MIXED:
            guided_kernels.features(
                picture.rgb, picture.coc_px, picture.half, picture.blurred, top // 2 - HALO, left // 2 - HALO,
                self.features,
            )  # fmt: skip
            guided_kernels.mix(
                picture.rgb, picture.coc_px, self.enlarged, picture.reached, BLOCK, DETAILED_PX,
                network.logits(self.features), top, left, rows, columns, tile,
            )  # fmt: skip
        blocks = [slice(at // BLOCK, (at + TILE) // BLOCK) for at in (top, left)]
        if picture.smallest[blocks[0], blocks[1]].min() < SHARP_PX:
            guided_kernels.put_untouched(
                picture.rgb, picture.coc_px, picture.changed, SHARP_PX, top, left, rows, columns, tile
            )
        self.out[top : top + rows, left : left + columns] = tile[:rows, :columns]


def _lines(picture: FloatArray) -> FloatArray:
    """(h, w, 3) as (h, 3 w)."""
    return picture.reshape(picture.shape[0], -1)


def _all(pool: Executor, work: Callable[[int], None], items: range) -> None:
    for done in [pool.submit(work, item) for item in items]:
        done.result()
