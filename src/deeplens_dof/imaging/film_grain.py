"""Photo grain: the noise of a photo as it looks, and the same noise put back where the blur averaged it away.

Measured and added in the sRGB curve, where photos are developed and looked at. The measure: flat blocks, freed of their
mean and slope; of each brightness the quietest ones, because texture only adds; their covariance of one light and two
colour channels, and how neighbours go together (grain that was denoised, enlarged or saved as JPEG is coarse). Grain is
made from numbers that depend on the pixel's place alone, so that no tile and no thread changes it.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
from numba import njit

from deeplens_dof.imaging.color import linear_to_srgb, srgb_to_linear
from deeplens_dof.runtime.threads import thread_count

FloatImage = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

BLOCK = 16  # px a side
BINS = 12  # of brightness
LAG = 2  # px over which neighbours go together
FEWEST_BLOCKS = 12  # in a bin, for its own measure
QUIETEST = 0.1  # share of the blocks of a bin that count as flat
STEEPEST = 1.25  # how much more grain the next brightness may have
COARSEST = 0.25  # correlation of pixels 4 px apart; what is more alike is no grain
_STEP_VARIANCE = 1 / 12 / 255**2  # of the rounding to 8 bits, which is no grain
_LEAST = 0.9 / 255  # a standard deviation of the light (of three channels) that nobody sees
_MOST_BLOCKS = 6000
_BAND_ROWS = 64
_LEAST_WEIGHT = 0.03  # in a kernel; what is less was measured by chance
_TABLE = 4096
_BASIS = np.array(  # orthonormal: light, red against blue, green against both; equal noise stays equal
    [[3**-0.5] * 3, [2**-0.5, 0, -(2**-0.5)], [-(6**-0.5), 2 * 6**-0.5, -(6**-0.5)]], np.float64
)


@dataclass(frozen=True, eq=False)
class Grain:
    """mixing (BINS, 3, 3): sRGB noise of each brightness from three unit noises, of light and of two colours.

    kernels (2, 2 LAG + 1, 2 LAG + 1): makes white noise look like that of the light and of the colours, sum of squares
    1. coarseness: how many pixels of white noise one independent piece of the light's grain takes, at least 1.
    """

    mixing: npt.NDArray[np.float32]
    kernels: npt.NDArray[np.float32]
    coarseness: float

    @property
    def is_visible(self) -> bool:
        return bool(self.mixing.any())


def measure_grain(linear: FloatImage) -> Grain:
    """The grain of a photo in linear light, (H, W, 3); none for a clean picture and one too small to tell."""
    blocks = _flat_blocks(linear)
    bins = [] if blocks is None else [_of_bin(index, *blocks) for index in range(BINS)]
    measured = {index: each for index, each in enumerate(bins) if each is not None}
    deviation = _lower_envelope({index: math.sqrt(each[0][0, 0]) for index, each in measured.items()})
    colours = _lower_envelope({index: _colour_deviation(each[0]) for index, each in measured.items()})
    if not deviation.any():
        return _no_grain()
    clean = {  # of the others, which hold texture too, only the amount was of use
        index: each
        for index, each in measured.items()
        if 0 < math.sqrt(each[0][0, 0]) <= 1.2 * deviation[index]
    }
    mixing, lags = np.zeros((BINS, 3, 3)), np.zeros((2, 2 * LAG + 1, 2 * LAG + 1))
    for index in range(BINS):
        covariance = clean[min(clean, key=lambda each: abs(each - index))][0]
        colour = colours[index] / max(_colour_deviation(covariance), 1e-9)
        scale = np.diag([deviation[index] / math.sqrt(covariance[0, 0]), colour, colour])
        mixing[index] = _BASIS.T @ scale @ _root(covariance)
    for covariance, correlation, count in clean.values():
        lags += correlation * count / covariance[0, 0]
    shapes = [each / max(float(each[LAG, LAG]), 1e-12) for each in lags]
    kernels = np.stack([_kernel(shape) for shape in shapes]).astype(np.float32)
    return Grain(mixing.astype(np.float32), kernels, max(1.0, float(kernels[0].sum()) ** 2))


def with_grain(
    linear: FloatImage, grain: Grain, coc_px: FloatImage, amount: float, area: float = 1.0, seed: int = 0
) -> FloatImage:
    """The blurred picture with the grain that the blur took from it; in focus it stays as it is, bit for bit.

    linear: (H, W, 3) linear light. coc_px: (H, W). amount: 0 none .. 1 as much as the photo has. area: of the aperture,
    as a share of the disc's. A disc of radius r averages pi r^2 pixels, and what noise is left of that stays.
    """
    if not (0 <= amount <= 1):
        raise ValueError(f"grain is {amount!r}, expected a number from 0 to 1")
    if amount == 0 or not grain.is_visible:
        return linear
    out = linear.copy()
    height, width = coc_px.shape
    per_square = math.pi * area / grain.coarseness

    def band(first: int) -> None:
        last = min(first + _BAND_ROWS, height)
        noise = np.empty((3, last - first, width), np.float32)
        _unit_noise(noise, first, np.uint64(seed), grain.kernels)
        _add(
            out,
            first,
            last,
            noise,
            coc_px,
            grain.mixing,
            np.float32(amount),
            np.float32(per_square),
            *_curves(),
        )

    with ThreadPoolExecutor(thread_count()) as pool:
        for done in [pool.submit(band, first) for first in range(0, height, _BAND_ROWS)]:
            done.result()
    return out


def _no_grain() -> Grain:
    point = np.zeros((2, 2 * LAG + 1, 2 * LAG + 1), np.float32)
    point[:, LAG, LAG] = 1
    return Grain(np.zeros((BINS, 3, 3), np.float32), point, 1.0)


def _of_bin(
    index: int, brightness: Floats, covariance: Floats, correlation: Floats
) -> tuple[Floats, Floats, int] | None:
    """Covariance and lagged products of the flat blocks of one brightness, and how many they are; None for too few."""
    inside = np.flatnonzero(np.minimum((brightness * BINS).astype(int), BINS - 1) == index)
    if len(inside) < FEWEST_BLOCKS:
        return None
    order = np.argsort(np.trace(covariance[inside], axis1=1, axis2=2), kind="stable")
    quiet = inside[order[: max(FEWEST_BLOCKS // 2, int(QUIETEST * len(inside)))]]
    own = correlation[quiet].mean(0)
    mean = covariance[quiet].mean(0)
    mean[np.diag_indices(3)] /= _selection_bias(np.diag(mean), len(quiet) / len(inside), _pieces(own))
    mean -= _STEP_VARIANCE * np.eye(3)
    return (mean if mean[0, 0] >= _LEAST**2 else np.zeros((3, 3))), own, len(quiet)


def _lower_envelope(measured: dict[int, float]) -> Floats:
    """Standard deviation of the light's grain at each brightness, (BINS,), from those measured.

    Texture that is taken for grain stands out of its neighbours, as grain changes little from one brightness to the
    next; so no bin may exceed another by more than a factor of STEEPEST for each bin between them. Black and white are
    often clipped and quiet, and say nothing of the others. All 0 where a brightness between them is clean.
    """
    inner = {index: value for index, value in measured.items() if 0 < index < BINS - 1} or measured
    if not inner or min(inner.values()) == 0:
        return np.zeros(BINS)
    known = sorted(measured)
    held = [
        min(measured[index], *(value * STEEPEST ** abs(index - each) for each, value in inner.items()))
        for index in known
    ]
    return np.interp(np.arange(BINS), known, held)


def _colour_deviation(covariance: Floats) -> float:
    return math.sqrt(max(float(covariance[1, 1] + covariance[2, 2]), 0.0) / 2)


def _root(covariance: Floats) -> Floats:
    """A lower triangular square root, of what the subtraction may have made slightly negative too."""
    values, vectors = np.linalg.eigh(covariance)
    root: Floats = np.linalg.cholesky(vectors @ np.diag(np.maximum(values, 1e-12)) @ vectors.T)
    return root


def _flat_blocks(linear: FloatImage) -> tuple[Floats, Floats, Floats] | None:
    """Of blocks spread over the photo: brightness (n,), covariance (n, 3, 3) and lagged products (n, 2, 5, 5)."""
    rows, columns = linear.shape[0] // BLOCK, linear.shape[1] // BLOCK
    if rows * columns < FEWEST_BLOCKS:
        return None
    every = max(1, math.ceil(rows * columns / _MOST_BLOCKS))
    chosen = np.arange(0, rows * columns, every)
    brightness, covariance = np.empty(len(chosen)), np.empty((len(chosen), 3, 3))
    correlation, coarse = np.empty((len(chosen), 2, 2 * LAG + 1, 2 * LAG + 1)), np.empty(len(chosen))
    for n, index in enumerate(chosen):
        top, left = index // columns * BLOCK, index % columns * BLOCK
        block = linear_to_srgb(linear[top : top + BLOCK, left : left + BLOCK], np.float32)
        brightness[n] = np.clip(block.mean(), 0, 1)
        coarse[n] = _measure_block((block @ _BASIS.T).astype(np.float64), covariance[n], correlation[n])
    plain = coarse < COARSEST
    return brightness[plain], covariance[plain], correlation[plain]


@njit(nogil=True, cache=True)
def _measure_block(block: Floats, covariance: Floats, correlation: Floats) -> float:
    """block (BLOCK, BLOCK, 3): its mean and slope are taken away, in place. Returns how alike pixels 4 px apart are."""
    size = block.shape[0]
    middle = (size - 1) / 2
    spread = size * size * (size * size - 1) / 12
    for c in range(3):
        mean, slope_x, slope_y = 0.0, 0.0, 0.0
        for y in range(size):
            for x in range(size):
                mean += block[y, x, c]
                slope_x += (x - middle) * block[y, x, c]
                slope_y += (y - middle) * block[y, x, c]
        mean, slope_x, slope_y = mean / size**2, slope_x / spread, slope_y / spread
        for y in range(size):
            for x in range(size):
                block[y, x, c] -= mean + slope_x * (x - middle) + slope_y * (y - middle)
    for c in range(3):
        for d in range(3):
            total = 0.0
            for y in range(size):
                for x in range(size):
                    total += block[y, x, c] * block[y, x, d]
            covariance[c, d] = total / (size * size - 3)
    lag = correlation.shape[1] // 2
    for dy in range(-lag, lag + 1):
        for dx in range(-lag, lag + 1):
            light, colour, pairs = 0.0, 0.0, 0
            for y in range(max(0, -dy), min(size, size - dy)):
                for x in range(max(0, -dx), min(size, size - dx)):
                    light += block[y, x, 0] * block[y + dy, x + dx, 0]
                    colour += block[y, x, 1] * block[y + dy, x + dx, 1]
                    colour += block[y, x, 2] * block[y + dy, x + dx, 2]
                    pairs += 1
            correlation[0, dy + lag, dx + lag] = light / pairs
            correlation[1, dy + lag, dx + lag] = colour / pairs
    apart = 0.0
    for y in range(size):
        for x in range(size - 4):
            apart += block[y, x, 0] * block[y, x + 4, 0] + block[x, y, 0] * block[x + 4, y, 0]
    return float(apart / (2 * size * (size - 4)) / max(correlation[0, lag, lag], 1e-12))


def _pieces(lags: Floats) -> Floats:
    """How many pixels of the three channels go together (3,): the sum of the squared correlations."""
    pieces = [max(1.0, float(((each / max(float(each[LAG, LAG]), 1e-12)) ** 2).sum())) for each in lags]
    return np.array([pieces[0], pieces[1], pieces[1]])


def _selection_bias(variance: Floats, share: float, pieces: Floats) -> Floats:
    """How much lower than the true ones the mean variances (3,) of the quietest `share` of blocks of pure noise are.

    The variance of a block is nearly normal about the true one, and the blocks were chosen by the sum of three.
    """
    if share >= 1:
        return np.ones(3)
    normal = NormalDist()
    below = normal.pdf(normal.inv_cdf(share)) / share
    spread = 2 * variance**2 * pieces / BLOCK**2  # the variance of the variances
    deviation = math.sqrt(max(float(spread.sum()), 1e-30))
    return np.maximum(0.3, 1 - below * spread / (np.maximum(variance, 1e-12) * deviation))


def _kernel(shape: Floats) -> Floats:
    """A filter that gives white noise these correlations (5, 5), as near as a filter of that size can."""
    side = 32
    padded = np.zeros((side, side))
    padded[: 2 * LAG + 1, : 2 * LAG + 1] = shape
    spectrum = np.fft.fft2(np.roll(padded, (-LAG, -LAG), (0, 1))).real
    filter_ = np.fft.ifft2(np.sqrt(np.maximum(spectrum, 0))).real
    kernel: Floats = np.roll(filter_, (LAG, LAG), (0, 1))[: 2 * LAG + 1, : 2 * LAG + 1]
    kernel = np.where(np.abs(kernel) > _LEAST_WEIGHT * kernel.max(), kernel, 0)
    return kernel / math.sqrt(float((kernel**2).sum()))


@cache
def _curves() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """sRGB at even square roots of linear light, and linear light at even sRGB; both over 0..1."""
    even = np.linspace(0, 1, _TABLE + 1)
    return linear_to_srgb((even**2).astype(np.float32), np.float32), srgb_to_linear(even.astype(np.float32))


@njit(nogil=True, cache=True)
def _at(table: npt.NDArray[np.float32], value: float) -> float:
    place = min(max(value, 0.0), 1.0) * (table.shape[0] - 1)
    index = min(int(place), table.shape[0] - 2)
    return float(table[index] + (table[index + 1] - table[index]) * (place - index))


@njit(nogil=True, cache=True)
def _hash(a: np.uint64) -> np.uint64:
    """splitmix64 (Steele, Lea and Flood 2014)."""
    a = a + np.uint64(0x9E3779B97F4A7C15)
    a = (a ^ (a >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    a = (a ^ (a >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return a ^ (a >> np.uint64(31))


@njit(nogil=True, cache=True)
def _bell(a: np.uint64) -> np.float32:
    """Nearly normal, mean 0, variance 1: four 16-bit numbers added up."""
    mask = np.uint64(0xFFFF)
    total = (a & mask) + ((a >> np.uint64(16)) & mask) + ((a >> np.uint64(32)) & mask) + (a >> np.uint64(48))
    return np.float32((np.float64(total) / 65536 - 2.0) * 1.7320508)


@njit(nogil=True, cache=True)
def _unit_noise(out: FloatImage, first: int, seed: np.uint64, kernels: npt.NDArray[np.float32]) -> None:
    """Three noises (3, rows, W) of variance 1 for the rows from `first` on."""
    _, rows, width = out.shape
    lag = kernels.shape[1] // 2
    white = np.empty((rows + 2 * lag, width + 2 * lag), np.float32)
    for c in range(3):
        kernel = kernels[min(c, 1)]
        for y in range(white.shape[0]):
            line = _hash(seed + np.uint64((first + y) * 3 + c))
            for x in range(white.shape[1]):
                white[y, x] = _bell(_hash(line + np.uint64(x)))
        plane = out[c]
        plane[:] = 0
        for y in range(rows):
            for dy in range(kernel.shape[0]):
                for dx in range(kernel.shape[1]):
                    weight = kernel[dy, dx]
                    if weight != 0:
                        for x in range(width):
                            plane[y, x] += weight * white[y + dy, x + dx]


@njit(nogil=True, cache=True)
def _add(
    linear: FloatImage, first: int, last: int, noise: FloatImage, coc_px: FloatImage, mixing: FloatImage,
    amount: np.float32, per_square: np.float32, to_srgb: FloatImage, to_linear: FloatImage,
) -> None:  # fmt: skip
    """Adds to the rows first..last what the blur there took, in place."""
    bins = mixing.shape[0]
    for y in range(first, last):
        for x in range(linear.shape[1]):
            pixels = per_square * coc_px[y, x] * coc_px[y, x]
            if pixels < 1e-3:
                continue
            taken = pixels * min(1.0, 0.25 + 0.72 * coc_px[y, x] * coc_px[y, x])  # below 1 px it takes less
            scale = amount * math.sqrt(taken / (1 + taken))
            r = _at(to_srgb, math.sqrt(max(linear[y, x, 0], np.float32(0))))
            g = _at(to_srgb, math.sqrt(max(linear[y, x, 1], np.float32(0))))
            b = _at(to_srgb, math.sqrt(max(linear[y, x, 2], np.float32(0))))
            place = min(max((r + g + b) / 3 * bins - 0.5, 0.0), bins - 1.0)
            low = min(int(place), bins - 2)
            up = place - low
            n0, n1, n2 = noise[0, y - first, x], noise[1, y - first, x], noise[2, y - first, x]
            for k in range(3):
                here = (r, g, b)[k]
                below = mixing[low, k, 0] * n0 + mixing[low, k, 1] * n1 + mixing[low, k, 2] * n2
                above = mixing[low + 1, k, 0] * n0 + mixing[low + 1, k, 1] * n1 + mixing[low + 1, k, 2] * n2
                noisy = _at(to_linear, here + scale * ((1 - up) * below + up * above))
                linear[y, x, k] = noisy + max(linear[y, x, k] - np.float32(1), np.float32(0))
