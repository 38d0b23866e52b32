"""One law of `render`: a point of light out of focus takes exactly the shape of the aperture."""

from __future__ import annotations

import numpy as np
import pytest

import deeplens_dof as dl
from deeplens_dof.optics.aperture import Aperture

SIDE, FINE = 161, 5  # of the picture, and samples a side within a pixel
LIGHT = 1000.0


def arrow() -> np.ndarray:
    """A shape that looks the same from no two sides, in two levels."""
    image = np.zeros((64, 64))
    image[4:60, 26:38] = 1
    for row in range(26):
        image[4 + row, 32 - row : 32 + row] = 1
    image[46:60, 38:56] = 0.5
    return image


SHAPE = {
    "disc": Aperture.disc(),
    "five blades": Aperture.blades(5),
    "six round blades turned": Aperture.blades(6, 0.4, 20),
    "ring": Aperture.ring(0.5),
    "anamorphic": Aperture.anamorphic(2),
    "arrow": Aperture.kernel(arrow()),
}
TOLERANCE = {
    6.0: 0.24,
    12.0: 0.15,
    30.0: 0.11,
}  # of half the sum of absolute differences: a soft rim of a pixel


def expected(aperture: Aperture, coc_px: float, p: tuple[float, float] = (0, 0)) -> np.ndarray:
    """The share of the light that each pixel round the middle one gets, (SIDE, SIDE), by a sum over sub-pixels.

    p: position in the picture, for the cut of the barrel. The point of light is a pixel, so its square counts too.
    """
    at = (np.arange(SIDE * FINE) + 0.5) / FINE - SIDE / 2
    x, y = at[None, :] / coc_px, at[:, None] / coc_px
    density = aperture.density(x, y)
    for sign in (-1, 1):
        shift = sign * aperture.vignetting * np.array(p)
        density = density * ((x - shift[0]) ** 2 + (y - shift[1]) ** 2 <= 1 if aperture.vignetting else 1)
    half = FINE // 2
    for axis in (0, 1):
        density = np.mean([np.roll(density, k, axis) for k in range(-half, half + 1)], 0)
    pixels = density.reshape(SIDE, FINE, SIDE, FINE).mean((1, 3))
    return pixels / pixels.sum()


def rendered(aperture: Aperture, coc_px: float) -> np.ndarray:
    """A bright pixel in the middle of a plain surface, (SIDE, SIDE), as shares of its light."""
    rgb = np.full((SIDE, SIDE, 3), 0.2, np.float32)
    rgb[SIDE // 2, SIDE // 2] += LIGHT
    out = dl.render(rgb, np.full((SIDE, SIDE), coc_px, np.float32), aperture)
    assert np.abs(out - out[..., :1]).max() < 1e-3 * LIGHT, "grey stays grey"
    return (out[..., 1].astype(float) - 0.2) / LIGHT


def moments(image: np.ndarray) -> np.ndarray:
    """Mean and the three second moments about the middle, in px and px^2."""
    at = np.arange(SIDE) - SIDE // 2
    x, y = at[None, :], at[:, None]
    return np.array([(image * each).sum() for each in (x, y, x * x, y * y, x * y)]) / image.sum()


@pytest.mark.parametrize("sign", [1, -1], ids=["near", "far"])
@pytest.mark.parametrize("radius", TOLERANCE)
@pytest.mark.parametrize("aperture", SHAPE.values(), ids=SHAPE)
def test_a_point_of_light_takes_the_shape_of_the_aperture(
    aperture: Aperture, radius: float, sign: int
) -> None:
    """Upright when it is nearer than the focus, turned by 180 degrees when it is farther, and all of its light."""
    seen, truth = rendered(aperture, sign * radius), expected(aperture, sign * radius)
    assert seen.sum() == pytest.approx(1, abs=0.02)
    assert 0.5 * np.abs(seen / seen.sum() - truth).sum() < TOLERANCE[radius]
    off = np.abs(moments(seen)[:2]).max()
    assert off < 0.25 + 0.05 * radius, (
        "nothing is displaced, but for the middle of the cell that holds the pixel"
    )
    assert np.abs(moments(seen) - moments(truth))[2:].max() < 0.08 * radius**2 * 0.25 + 0.5


@pytest.mark.parametrize("sign", [1, -1], ids=["near", "far"])
@pytest.mark.parametrize("corner", [(1, 1), (1, 0), (0, 1), (0, 0)], ids=str)
def test_a_cat_s_eye_closes_towards_the_corners_and_is_a_disc_in_the_middle(
    corner: tuple[int, int], sign: int
) -> None:
    """Points of light a fifth and in the middle of the way from the corner, in a picture of 400 px."""
    size, radius, aperture = 400, 12.0, Aperture.cat_eye()
    for place in (0.2, 0.5):
        x, y = (int((place if c == 0 else 1 - place) * size) for c in corner)
        rgb = np.full((size, size, 3), 0.2, np.float32)
        rgb[y, x] += LIGHT
        out = dl.render(rgb, np.full((size, size), sign * radius, np.float32), aperture)[..., 1] - 0.2
        half = SIDE // 2
        padded = np.pad(out, half)
        seen = padded[y : y + SIDE, x : x + SIDE] / out.sum()
        p = (np.array([x, y]) + 0.5 - size / 2) / (size / np.sqrt(2))
        truth = expected(aperture, sign * radius, tuple(p))
        assert 0.5 * np.abs(seen - truth).sum() < 0.2
        assert np.abs(moments(seen)[:2]).max() < 0.85


@pytest.mark.parametrize("aperture", [*SHAPE.values(), Aperture.cat_eye()], ids=[*SHAPE, "cat's eye"])
@pytest.mark.parametrize("coc_px", [0.4, 5.0, -14.0, 40.0])
def test_a_plain_surface_stays_plain_behind_every_aperture(aperture: Aperture, coc_px: float) -> None:
    rgb = np.full((90, 120, 3), 0.6, np.float32)
    out = dl.render(rgb, np.full((90, 120), coc_px, np.float32), aperture)
    assert np.abs(out - 0.6).max() < 2e-3
