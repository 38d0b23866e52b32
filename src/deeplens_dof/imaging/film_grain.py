"""Film grain: the visible noise of a photo, measured, and added again where the blur averaged it away.

It is measured and added on sRGB values, because photos are developed and viewed that way. The measure takes flat blocks,
removes their mean and slope, and keeps the quietest ones of each brightness, because texture only adds. Of these it takes
the covariance of one light and two colour channels, and the correlation of neighbours (grain that was denoised, enlarged
or saved as JPEG is coarse). Grain is made from numbers that depend on the pixel's position alone, so that neither tiles nor
threads change it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import numpy as np

from deeplens_dof.imaging.color import linear_to_srgb, srgb_to_linear
from deeplens_dof.runtime.compiled import compiled
from deeplens_dof.runtime.threads import for_bands
from deeplens_dof.types import Array, Array64, Image, Plane, Planes

BLOCK_PX = 16  # a side
BRIGHTNESSES = 12  # bins
LAG = 2  # px over which neighbours are correlated
FEWEST_BLOCKS = 12  # in a bin, for a measure of its own
QUIETEST = 0.1  # share of the blocks of a bin that count as flat
STEEPEST = 1.25  # ratio of grain by which one brightness may exceed the next
COARSEST = 0.25  # correlation of pixels 4 px apart, above which a block holds texture
_STEP_VARIANCE = 1 / 12 / 255**2  # of the rounding to 8 bits, which is no grain
_LEAST = 0.9 / 255  # standard deviation of the light (of three channels) that is invisible
_MOST_BLOCKS = 6000
_LEAST_WEIGHT = 0.03  # in a kernel; smaller weights are noise of the measure
_TABLE = 4096
_BASIS = np.array(  # orthonormal: light, red against blue, green against both; equal noise stays equal
    [[3**-0.5] * 3, [2**-0.5, 0, -(2**-0.5)], [-(6**-0.5), 2 * 6**-0.5, -(6**-0.5)]], np.float64
)


@dataclass(frozen=True, eq=False)
class Grain:
    """The grain of a photo."""

    mixing: Array  # (BRIGHTNESSES, 3, 3): sRGB noise from three unit noises, of light and of two colours
    kernels: Array  # (2, 2 LAG + 1, 2 LAG + 1): colour white noise like the light and the colours; sum of squares 1
    coarseness: float  # pixels in an independent piece of the light's grain, 1 or more

    @property
    def is_visible(self) -> bool:
        """Whether there is any grain to add."""
        return bool(self.mixing.any())


def measure_grain(linear: Image) -> Grain:
    """The grain of a photo in linear light, (H, W, 3); none for a clean picture or one that is too small to measure."""
    blocks = _flat_blocks(linear)
    bins = [] if blocks is None else [_of_bin(index, *blocks) for index in range(BRIGHTNESSES)]
    measured = {index: found for index, found in enumerate(bins) if found is not None}
    deviation = _lower_envelope({index: math.sqrt(found[0][0, 0]) for index, found in measured.items()})
    colours = _lower_envelope({index: _colour_deviation(found[0]) for index, found in measured.items()})
    if not deviation.any():
        return _no_grain()
    clean = {  # the others hold texture too: only their amount is used
        index: found
        for index, found in measured.items()
        if 0 < math.sqrt(found[0][0, 0]) <= 1.2 * deviation[index]
    }
    mixing, lags = np.zeros((BRIGHTNESSES, 3, 3)), np.zeros((2, 2 * LAG + 1, 2 * LAG + 1))
    for index in range(BRIGHTNESSES):
        covariance = clean[min(clean, key=lambda other: abs(other - index))][0]
        colour = colours[index] / max(_colour_deviation(covariance), 1e-9)
        scale = np.diag([deviation[index] / math.sqrt(covariance[0, 0]), colour, colour])
        mixing[index] = _BASIS.T @ scale @ _root(covariance)
    for covariance, correlation, count in clean.values():
        lags += correlation * count / covariance[0, 0]
    shapes = [products / max(float(products[LAG, LAG]), 1e-12) for products in lags]
    kernels = np.stack([_kernel(shape) for shape in shapes]).astype(np.float32)
    return Grain(mixing.astype(np.float32), kernels, max(1.0, float(kernels[0].sum()) ** 2))


def with_grain(
    linear: Image, grain: Grain, coc_px: Plane, amount: float, area: float = 1.0, seed: int = 0
) -> Image:
    """The blurred picture with the grain that the blur removed; pixels in focus stay bit for bit.

    A disc of radius r averages pi r^2 pixels; the noise that is left after that is accounted for.

    Args:
        linear: (H, W, 3) linear light after the blur.
        grain: of the photo, see `measure_grain`.
        coc_px: (H, W) signed CoC radii in px.
        amount: 0 (none) .. 1 (as much as the photo has).
        area: of the aperture, as a share of the disc's.
        seed: of the noise.

    Returns:
        (H, W, 3) linear light; `linear` itself where there is nothing to add.

    Raises:
        ValueError: for an amount outside 0..1.
    """
    if not (0 <= amount <= 1):
        raise ValueError(f"grain is {amount!r}, expected a number from 0 to 1")
    if amount == 0 or not grain.is_visible:
        return linear
    out = linear.copy()
    height, width = coc_px.shape
    per_square = np.float32(math.pi * area / grain.coarseness)
    curves = _curves()

    def band(first: int, last: int) -> None:
        noise = np.empty((3, last - first, width), np.float32)
        _unit_noise(noise, first, np.uint64(seed), grain.kernels)
        rows = slice(first, last)
        _add(out[rows], noise, coc_px[rows], grain.mixing, np.float32(amount), per_square, curves)

    for_bands(band, height)
    return out


def _no_grain() -> Grain:
    point = np.zeros((2, 2 * LAG + 1, 2 * LAG + 1), np.float32)
    point[:, LAG, LAG] = 1
    return Grain(np.zeros((BRIGHTNESSES, 3, 3), np.float32), point, 1.0)


def _of_bin(
    index: int, brightness: Array64, covariance: Array64, correlation: Array64
) -> tuple[Array64, Array64, int] | None:
    """Covariance, lagged products and number of the flat blocks of one brightness; None for too few."""
    inside = np.flatnonzero(np.minimum((brightness * BRIGHTNESSES).astype(int), BRIGHTNESSES - 1) == index)
    if len(inside) < FEWEST_BLOCKS:
        return None
    order = np.argsort(np.trace(covariance[inside], axis1=1, axis2=2), kind="stable")
    quiet = inside[order[: max(FEWEST_BLOCKS // 2, int(QUIETEST * len(inside)))]]
    own = correlation[quiet].mean(0)
    mean = covariance[quiet].mean(0)
    mean[np.diag_indices(3)] /= _selection_bias(np.diag(mean), len(quiet) / len(inside), _pieces(own))
    mean -= _STEP_VARIANCE * np.eye(3)
    return (mean if mean[0, 0] >= _LEAST**2 else np.zeros((3, 3))), own, len(quiet)


def _lower_envelope(measured: dict[int, float]) -> Array64:
    """Standard deviation of the light's grain at each brightness, (BRIGHTNESSES,), from the measured ones.

    Grain changes little from one brightness to the next, so texture mistaken for grain stands out; no bin may exceed
    another by more than a factor of STEEPEST for each bin between them. Black and white are often clipped, hence quiet,
    and limit no other bin. All 0 where a brightness between them is clean.
    """
    inner = {index: value for index, value in measured.items() if 0 < index < BRIGHTNESSES - 1} or measured
    if not inner or min(inner.values()) == 0:
        return np.zeros(BRIGHTNESSES)
    known = sorted(measured)
    held = [
        min(measured[index], *(value * STEEPEST ** abs(index - other) for other, value in inner.items()))
        for index in known
    ]
    return np.interp(np.arange(BRIGHTNESSES), known, held)


def _colour_deviation(covariance: Array64) -> float:
    """Standard deviation of the two colour channels."""
    return math.sqrt(max(float(covariance[1, 1] + covariance[2, 2]), 0.0) / 2)


def _root(covariance: Array64) -> Array64:
    """A lower triangular square root; eigenvalues that the subtraction made slightly negative count as 0."""
    values, vectors = np.linalg.eigh(covariance)
    root: Array64 = np.linalg.cholesky(vectors @ np.diag(np.maximum(values, 1e-12)) @ vectors.T)
    return root


def _flat_blocks(linear: Image) -> tuple[Array64, Array64, Array64] | None:
    """Blocks spread over the photo: brightness (n,), covariance (n, 3, 3), lagged products (n, 2, 5, 5)."""
    rows, columns = linear.shape[0] // BLOCK_PX, linear.shape[1] // BLOCK_PX
    if rows * columns < FEWEST_BLOCKS:
        return None
    every = max(1, math.ceil(rows * columns / _MOST_BLOCKS))
    chosen = np.arange(0, rows * columns, every)
    brightness, covariance = np.empty(len(chosen)), np.empty((len(chosen), 3, 3))
    correlation, coarse = np.empty((len(chosen), 2, 2 * LAG + 1, 2 * LAG + 1)), np.empty(len(chosen))
    for n, index in enumerate(chosen):
        top, left = index // columns * BLOCK_PX, index % columns * BLOCK_PX
        block = linear_to_srgb(linear[top : top + BLOCK_PX, left : left + BLOCK_PX], np.float32)
        brightness[n] = np.clip(block.mean(), 0, 1)
        coarse[n] = _measure_block((block @ _BASIS.T).astype(np.float64), covariance[n], correlation[n])
    plain = coarse < COARSEST
    return brightness[plain], covariance[plain], correlation[plain]


@compiled()
def _measure_block(block: Array64, covariance: Array64, correlation: Array64) -> float:
    """Removes mean and slope of a block (BLOCK_PX, BLOCK_PX, 3), in place, and writes covariance (3, 3) and lagged products
    (2, 5, 5). Returns the correlation of pixels 4 px apart."""
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


def _pieces(lags: Array64) -> Array64:
    """Pixels in an independent piece of each of the three channels, (3,): the sum of the squared correlations."""
    pieces = [
        max(1.0, float(((products / max(float(products[LAG, LAG]), 1e-12)) ** 2).sum())) for products in lags
    ]
    return np.array([pieces[0], pieces[1], pieces[1]])


def _selection_bias(variance: Array64, share: float, pieces: Array64) -> Array64:
    """Ratio (3,) of the mean variance of the quietest `share` of blocks of pure noise to the true variance.

    The variance of a block is nearly normal about the true one, and blocks were chosen by the sum of three.
    """
    if share >= 1:
        return np.ones(3)
    normal = NormalDist()
    below = normal.pdf(normal.inv_cdf(share)) / share
    spread = 2 * variance**2 * pieces / BLOCK_PX**2  # the variance of the variances
    deviation = math.sqrt(max(float(spread.sum()), 1e-30))
    return np.maximum(0.3, 1 - below * spread / (np.maximum(variance, 1e-12) * deviation))


def _kernel(shape: Array64) -> Array64:
    """The filter that gives white noise these correlations (5, 5), as closely as its size allows."""
    side = 32
    padded = np.zeros((side, side))
    padded[: 2 * LAG + 1, : 2 * LAG + 1] = shape
    spectrum = np.fft.fft2(np.roll(padded, (-LAG, -LAG), (0, 1))).real
    filter_ = np.fft.ifft2(np.sqrt(np.maximum(spectrum, 0))).real
    kernel: Array64 = np.roll(filter_, (LAG, LAG), (0, 1))[: 2 * LAG + 1, : 2 * LAG + 1]
    kernel = np.where(np.abs(kernel) > _LEAST_WEIGHT * kernel.max(), kernel, 0)
    return kernel / math.sqrt(float((kernel**2).sum()))


@cache
def _curves() -> tuple[Array, Array]:
    """sRGB at even square roots of linear light, and linear light at even sRGB; both over 0..1."""
    even = np.linspace(0, 1, _TABLE + 1)
    return linear_to_srgb((even**2).astype(np.float32), np.float32), srgb_to_linear(even.astype(np.float32))


@compiled()
def _at(table: Array, value: float) -> float:
    """A table over 0..1, interpolated."""
    place = min(max(value, 0.0), 1.0) * (table.shape[0] - 1)
    index = min(int(place), table.shape[0] - 2)
    return float(table[index] + (table[index + 1] - table[index]) * (place - index))


@compiled()
def _hash(a: np.uint64) -> np.uint64:
    """splitmix64 (Steele, Lea and Flood 2014)."""
    a = a + np.uint64(0x9E3779B97F4A7C15)
    a = (a ^ (a >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    a = (a ^ (a >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return a ^ (a >> np.uint64(31))


@compiled()
def _bell(a: np.uint64) -> np.float32:
    """Nearly normal, mean 0, variance 1: four 16-bit numbers added up."""
    mask = np.uint64(0xFFFF)
    total = (a & mask) + ((a >> np.uint64(16)) & mask) + ((a >> np.uint64(32)) & mask) + (a >> np.uint64(48))
    return np.float32((np.float64(total) / 65536 - 2.0) * 1.7320508)


@compiled()
def _unit_noise(out: Planes, first: int, seed: np.uint64, kernels: Array) -> None:
    """Writes three noises of variance 1 into out (3, rows, W), for the picture's rows from `first` on."""
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


@compiled()
def _add(
    linear: Image,  # (rows, W, 3), changed in place
    noise: Planes,  # (3, rows, W), of `_unit_noise`
    coc_px: Plane,  # (rows, W)
    mixing: Array,  # (bins, 3, 3), of `Grain`
    amount: np.float32,
    per_square: np.float32,  # pixels that a CoC of 1 px averages
    curves: tuple[Array, Array],  # of `_curves`
) -> None:
    """Adds the grain that the blur removed."""
    to_srgb, to_linear = curves
    bins = mixing.shape[0]
    for y in range(linear.shape[0]):
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
            n0, n1, n2 = noise[0, y, x], noise[1, y, x], noise[2, y, x]
            for k in range(3):
                here = (r, g, b)[k]
                below = mixing[low, k, 0] * n0 + mixing[low, k, 1] * n1 + mixing[low, k, 2] * n2
                above = mixing[low + 1, k, 0] * n0 + mixing[low + 1, k, 1] * n1 + mixing[low + 1, k, 2] * n2
                noisy = _at(to_linear, here + scale * ((1 - up) * below + up * above))
                linear[y, x, k] = noisy + max(linear[y, x, k] - np.float32(1), np.float32(0))
