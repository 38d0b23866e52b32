"""Depth of a film's frames that does not flicker.

A network sees each frame for itself, so the scale, the shift and the details of its answers tremble. Each answer is
brought to the scale of the frames before it (a line is fitted, outliers left out), and then averaged over time where
the picture stands still; where it has changed the new answer counts alone, so that nothing that moves leaves a trail.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from deeplens_dof.depth.video.camera_motion import camera_motion, largest_px, moved
from deeplens_dof.optics.inverse_depth import InverseDepth

Map = npt.NDArray[np.float32]
Samples = npt.NDArray[np.float64]

MEMORY = 8.0  # frames
_BLUR_PX = 2  # of the pictures that are compared: noise of single pixels is no change
_SAME_COLOUR = 10.0  # sRGB codes: a change of so many leaves 1/e of the past
_SAMPLES = 128  # a side, for fits and histograms
_FEWEST = 0.05  # of the samples have to stand still for the fit to be theirs alone
_ROUNDS, _FIRST_ROUNDS = 20, 4  # of the fit, and how many of them take x for exact, which no outlier tilts
_OUTLIER = 2.5  # standard deviations
_MOVED = 0.5  # share of the picture that changes at a cut
_UNLIKE, _ALIKE = 0.3, 0.9  # correlation of the depths: surely another shot, surely the same
_COLOURS_KEPT = 0.6  # of the histogram, within a shot


class SteadyDepth:
    """The depths of one film so far, one frame after the other.

    memory: how many frames are averaged where nothing changes, at least 1 (1: only the scale is kept). cut: whether
    the last frame began a new shot, as the first one does. matte: of the subject in the last frame, averaged as its depth is.
    """

    def __init__(self, memory: float = MEMORY) -> None:
        if not memory >= 1:
            raise ValueError(f"memory is {memory!r} frames, expected at least 1")
        self.memory = memory
        self.cut = False
        self._depth: InverseDepth | None = None
        self._picture: Map = np.zeros((0, 0, 3), np.float32)  # blurred, averaged as the depth is
        self._frames: Map = np.zeros((0, 0), np.float32)  # how many each pixel's depth is the mean of
        self._colours: Samples = np.zeros(0)
        self.matte: Map | None = None

    def update(
        self, rgb: npt.NDArray[np.uint8], depth: InverseDepth, matte: Map | None = None
    ) -> InverseDepth:
        """The depth of the next frame, in the scale of the shot's first one; `matte` of the subject is averaged alike.

        rgb: sRGB uint8 (H, W, 3). depth: of the same size. Relative depth may leave 0..1 when nearer or farther things
        come into the shot; metric depth keeps its scale and is only averaged. A cut, another size and another unit
        begin anew. Raises ValueError when the sizes differ.
        """
        if rgb.shape != (*depth.shape, 3):
            raise ValueError(
                f"the frame has shape {rgb.shape} and its depth {depth.shape}, expected (H, W, 3) and (H, W) of one size"
            )
        picture, colours = _blurred(rgb), _histogram(rgb)
        before = self._depth
        if before is None or (before.shape, before.unit) != (depth.shape, depth.unit):
            return self._begin(picture, colours, depth, matte)
        before = self._moved_along(picture, before)
        kept = _kept(picture, self._picture)
        now, then, still, frames = (
            _sampled(each) for each in (depth.values, before.values, kept * (self._frames > 0), self._frames)
        )
        if _is_cut(now, then, still, float(np.minimum(colours, self._colours).sum())):
            return self._begin(picture, colours, depth, matte)
        values = depth.values
        if depth.is_relative:
            use = still > 0.5 if (still > 0.5).mean() >= _FEWEST else np.ones(still.shape, bool)
            scale, shift = fit_line(
                now[use], then[use], float((1 / (2 * np.maximum(frames[use], 1) - 1)).mean())
            )
            values = np.float32(scale) * values + np.float32(shift)
        self._frames = np.minimum(kept * self._frames, np.float32(self.memory - 1)) + 1
        share = np.float32(1) / self._frames
        self._picture += (picture - self._picture) * share[..., None]
        self._depth = InverseDepth(before.values + (values - before.values) * share, depth.unit)
        if matte is not None and self.matte is not None:
            matte = self.matte + (matte - self.matte) * share
        self._colours, self.cut, self.matte = colours, False, matte
        return self._depth

    def _moved_along(self, picture: Map, before: InverseDepth) -> InverseDepth:
        """Brings what is kept of the frames before to where it is in this one, if the whole picture has moved; returns
        their depth there. What comes into the picture is new."""
        motion = camera_motion(picture.mean(2), self._picture.mean(2))
        if largest_px(motion, before.shape) < 0.5:
            return before
        index, inside = moved(motion, before.shape)
        self._picture = self._picture.reshape(-1, 3)[index]
        self._frames = self._frames.ravel()[index] * inside
        if self.matte is not None:
            self.matte = self.matte.ravel()[index]
        return InverseDepth(before.values.ravel()[index], before.unit)

    def _begin(self, picture: Map, colours: Samples, depth: InverseDepth, matte: Map | None) -> InverseDepth:
        self._picture, self._colours, self._depth, self.matte = picture, colours, depth, matte
        self._frames = np.ones(depth.shape, np.float32)
        self.cut = True
        return depth


def fit_line(x: Samples, y: Samples, noise: float = 1.0) -> tuple[float, float]:
    """Scale and shift with `scale * x + shift` nearest to y, outliers left out; scale is above 0.

    noise: variance of the noise of y over that of x (Deming's regression): a fit that takes x for exact makes the scale
    a little too small each time, and a film would become flat. Without a common slope the scale is 1.
    """
    use = np.ones(x.shape, bool)
    scale, shift = 1.0, float(np.mean(y) - np.mean(x))
    for number in range(_ROUNDS):
        mean_x, mean_y = float(x[use].mean()), float(y[use].mean())
        dx, dy = x[use] - mean_x, y[use] - mean_y
        xx, yy, xy = float(dx @ dx), float(dy @ dy), float(dx @ dy)
        if not xy > 1e-9 * max(xx, yy, 1e-30):
            return 1.0, mean_y - mean_x
        excess = yy - noise * xx
        exact = number < _FIRST_ROUNDS
        scale = xy / xx if exact else (excess + float(np.hypot(excess, 2 * np.sqrt(noise) * xy))) / (2 * xy)
        shift = mean_y - scale * mean_x
        off = np.abs(scale * x + shift - y)
        within = off <= _OUTLIER * 1.4826 * float(np.median(off)) + 1e-9
        if not exact and np.array_equal(within, use):
            break
        use = within
    return scale, shift


def _is_cut(now: Samples, then: Samples, still: Samples, colours_kept: float) -> bool:
    """Whether most of the picture has changed, and the depth or the colours are those of something else. A flash
    changes the colours alone, a pan leaves them."""
    if (still < 0.5).mean() <= _MOVED:
        return False
    spread = float(now.std() * then.std())
    alike = float(((now - now.mean()) * (then - then.mean())).mean()) / spread if spread > 1e-12 else 0.0
    return alike < _UNLIKE or (colours_kept < _COLOURS_KEPT and alike < _ALIKE)


def _kept(picture: Map, before: Map) -> Map:
    """How much of the past counts at each pixel, (H, W) 0..1, by the largest change of a channel round it."""
    from deeplens_dof.depth.refine_kernels import extremes

    change = np.abs(picture - before).max(2)
    kept: Map = np.exp(-((extremes(change, _BLUR_PX)[1] / np.float32(_SAME_COLOUR)) ** 2))
    return kept


def _blurred(rgb: npt.NDArray[np.uint8]) -> Map:
    from PIL import Image, ImageFilter

    blurred = Image.fromarray(np.ascontiguousarray(rgb)).filter(ImageFilter.BoxBlur(_BLUR_PX))
    return np.asarray(blurred, np.float32)


def _histogram(rgb: npt.NDArray[np.uint8]) -> Samples:
    """Shares of 8 x 8 x 8 colours, of the picture made small."""
    from deeplens_dof.imaging.resize import resize_picture

    height, width = (min(side, _SAMPLES) for side in rgb.shape[:2])
    red, green, blue = (resize_picture(rgb, height, width) >> 5).astype(np.intp).reshape(-1, 3).T
    return np.bincount(red * 64 + green * 8 + blue, minlength=512) / red.size


def _sampled(values: Map) -> Samples:
    """Every n-th pixel, about `_SAMPLES` a side, as a row."""
    down, right = (max(1, side // _SAMPLES) for side in values.shape)
    return values[down // 2 :: down, right // 2 :: right].astype(np.float64).ravel()
