"""Laws of grain: the measured grain is added where the blur removed it, and nowhere else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import deeplens_dof as dl
from deeplens_dof.imaging.film_grain import measure_grain, with_grain

HEIGHT, WIDTH, STEPS = 320, 640, 8
LEVELS = np.linspace(0.1, 0.9, STEPS)  # sRGB of the steps, from left to right


def steps() -> np.ndarray:
    return np.repeat(LEVELS, WIDTH // STEPS)[None, :, None] * np.ones((HEIGHT, 1, 3))


def blurred(noise: np.ndarray, taps: list[float]) -> np.ndarray:
    """Noise that goes together over neighbours, of the same variance."""
    for axis in (0, 1):
        noise = sum(weight * np.roll(noise, k, axis) for k, weight in enumerate(taps))
    return noise / noise.std()


def photo(deviation, taps=(1.0,), colour: float = 1.0, seed: int = 0) -> np.ndarray:
    """Steps of grey with noise of that standard deviation (a function of sRGB), 8 bits, in linear light.

    colour: how strong the noise of the colours is against that of the light.
    """
    base = steps()
    noise = blurred(np.random.default_rng(seed).standard_normal(base.shape), list(taps))
    light = noise.mean(2, keepdims=True)
    noise = light + colour * (noise - light)
    codes = np.rint(np.clip(base + noise * deviation(base), 0, 1) * 255).astype(np.uint8)
    return dl.srgb_to_linear(codes)


def deviations(linear: np.ndarray) -> np.ndarray:
    """Of sRGB in the middle of every step, (STEPS, 3), in codes of 8 bits."""
    codes = dl.linear_to_srgb(linear).astype(float)
    step = WIDTH // STEPS
    return np.array([codes[30:-30, i * step + 25 : (i + 1) * step - 25].std((0, 1)) for i in range(STEPS)])


def neighbours(linear: np.ndarray) -> np.ndarray:
    """Correlation of pixels 1 and 2 px apart in one step."""
    codes = dl.linear_to_srgb(linear).astype(float)[30:-30, 345:375].mean(2)
    codes -= codes.mean()
    return np.array(
        [(codes[:, k:] * codes[:, : codes.shape[1] - k]).mean() / (codes**2).mean() for k in (1, 2)]
    )


GRAINY = {
    "even": {"deviation": lambda b: 0.02 + 0 * b},
    "stronger in the light": {"deviation": lambda b: 0.012 + 0.02 * b},
    "stronger in the dark": {"deviation": lambda b: 0.03 - 0.02 * b},
    "coarse": {"deviation": lambda b: 0.02 + 0 * b, "taps": (0.6, 1.0, 0.6)},
    "of light only": {"deviation": lambda b: 0.03 + 0 * b, "colour": 0.2},
    "faint": {"deviation": lambda b: 0.007 + 0 * b},
}


@pytest.mark.parametrize("grainy", GRAINY.values(), ids=GRAINY)
def test_a_blurred_photo_with_its_grain_is_as_noisy_as_it_was(grainy: dict) -> None:
    linear = photo(**grainy)
    coc = np.full((HEIGHT, WIDTH), 9.0, np.float32)
    blur = dl.render(linear, coc)
    again = with_grain(blur, measure_grain(linear), coc, 1.0)
    ratio = deviations(again) / deviations(linear)
    assert deviations(blur).max() < 0.35 * deviations(linear).max()
    assert np.abs(ratio - 1).max() < 0.15, ratio
    assert np.abs(neighbours(again) - neighbours(linear)).max() < 0.12


def test_grain_keeps_the_brightness() -> None:
    linear = photo(lambda b: 0.02 + 0 * b)
    coc = np.full((HEIGHT, WIDTH), 9.0, np.float32)
    blur = dl.render(linear, coc)
    codes = [
        dl.linear_to_srgb(each).astype(float)
        for each in (blur, with_grain(blur, measure_grain(linear), coc, 1.0))
    ]
    assert abs(codes[1].mean() - codes[0].mean()) < 0.1


def test_half_the_amount_is_half_the_grain() -> None:
    linear = photo(lambda b: 0.03 + 0 * b)
    grain, coc = measure_grain(linear), np.full((HEIGHT, WIDTH), 30.0, np.float32)
    plain = dl.srgb_to_linear(steps().astype(np.float32))
    half, whole = (deviations(with_grain(plain, grain, coc, amount)) for amount in (0.5, 1.0))
    assert np.allclose(half / whole, 0.5, atol=0.06)
    for amount in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match=r"grain is .*, expected a number from 0 to 1"):
            with_grain(plain, grain, coc, amount)


@pytest.mark.parametrize("radius", [0.25, 0.5, 1.0, 2.0, 4.0])
def test_as_much_is_put_back_as_a_blur_of_that_size_takes(radius: float) -> None:
    linear = photo(lambda b: 0.02 + 0 * b)
    coc = np.full((HEIGHT, WIDTH), radius, np.float32)
    again = with_grain(dl.render(linear, coc), measure_grain(linear), coc, 1.0)
    assert np.abs(deviations(again) / deviations(linear) - 1).max() < 0.15


def test_in_focus_the_picture_stays_bit_for_bit() -> None:
    linear = photo(lambda b: 0.02 + 0 * b)
    coc = np.zeros((HEIGHT, WIDTH), np.float32)
    coc[:, WIDTH // 2 :] = -5
    out = with_grain(linear, measure_grain(linear), coc, 1.0)
    assert np.array_equal(out[:, : WIDTH // 2], linear[:, : WIDTH // 2])
    assert (out[:, WIDTH // 2 :] != linear[:, WIDTH // 2 :]).mean() > 0.99
    assert with_grain(linear, measure_grain(linear), coc, 0.0) is linear


def clean_pictures() -> dict[str, np.ndarray]:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    ramp = (x + y) / (HEIGHT + WIDTH)
    waves = 0.5 + 0.3 * np.sin(x / 40) * np.cos(y / 30)
    objects = np.where((x // 90 + y // 70) % 2, 0.7, 0.2) + 0.1 * np.sin(x / 2) * (y > 150)
    pictures = {"ramp": ramp, "waves": waves, "objects": objects, "grey": 0 * ramp + 0.5, "black": 0 * ramp}
    return {name: dl.srgb_to_linear(np.rint(each * 255).astype(np.uint8)) for name, each in pictures.items()}


@pytest.mark.parametrize("values", clean_pictures().values(), ids=clean_pictures())
def test_a_clean_picture_gets_nothing(values: np.ndarray) -> None:
    linear = np.repeat(values[..., None], 3, 2)
    grain = measure_grain(linear)
    assert not grain.is_visible
    assert with_grain(linear, grain, np.full((HEIGHT, WIDTH), 9.0, np.float32), 1.0) is linear


def test_texture_is_not_taken_for_grain() -> None:
    """A photo half of which is coarse and fine texture has the grain of its other half."""
    base = steps()
    rng = np.random.default_rng(3)
    texture = 0.15 * blurred(rng.standard_normal((HEIGHT, WIDTH, 1)), [1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    base[: HEIGHT // 2] += texture[: HEIGHT // 2]
    noisy = base + 0.012 * rng.standard_normal(base.shape)
    linear = dl.srgb_to_linear(np.rint(np.clip(noisy, 0, 1) * 255).astype(np.uint8))
    plain, coc = dl.srgb_to_linear(steps().astype(np.float32)), np.full((HEIGHT, WIDTH), 30.0, np.float32)
    put_back = deviations(with_grain(plain, measure_grain(linear), coc, 1.0))
    assert np.abs(put_back / (0.012 * 255) - 1).max() < 0.2


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 3), (17, 17)], ids=str)
def test_tiny_pictures_come_through(shape: tuple[int, int]) -> None:
    linear = np.random.default_rng(0).random((*shape, 3), np.float32)
    out = with_grain(linear, measure_grain(linear), np.full(shape, 5.0, np.float32), 1.0)
    assert out.shape == linear.shape
    assert np.isfinite(out).all()


def test_grain_is_the_same_every_time_and_not_the_same_in_every_row() -> None:
    linear = photo(lambda b: 0.02 + 0 * b)
    grain, coc = measure_grain(linear), np.full((HEIGHT, WIDTH), 20.0, np.float32)
    plain = dl.srgb_to_linear(np.full((HEIGHT, WIDTH, 3), 0.5, np.float32))
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: with_grain(plain, grain, coc, 1.0), range(4)))
    assert all(np.array_equal(each, results[0]) for each in results)
    assert not np.array_equal(with_grain(plain, grain, coc, 1.0, seed=1), results[0])
    top = with_grain(plain[:100], grain, coc[:100], 1.0)
    assert np.array_equal(top, results[0][:100]), "grain belongs to the place, whatever the height"
    noise = results[0][..., 1] - results[0][..., 1].mean()
    for dy, dx in ((1, 0), (64, 0), (0, 1), (3, 0), (0, 64)):
        together = (noise * np.roll(noise, (dy, dx), (0, 1))).mean() / (noise**2).mean()
        assert abs(together) < 0.08
    channels = np.corrcoef((results[0] - plain).reshape(-1, 3).T)
    assert np.abs(channels - np.eye(3)).max() < 0.1


def test_a_photo_keeps_its_look_through_the_pipeline() -> None:
    linear = photo(lambda b: 0.02 + 0 * b)
    depth = np.zeros((HEIGHT, WIDTH), np.float32)
    depth[HEIGHT - 60 :] = 1
    scene = dl.analyse(dl.Photo(dl.linear_to_srgb(linear)), dl.InverseDepth(depth, "relative"))
    settings = {"focus": (0.5, 0.99), "f_number": 1.4, "lens_mm": 35.0}
    smooth, grainy = (dl.refocus(scene, dl.Settings(grain=amount, **settings)) for amount in (0.0, 1.0))
    before, bare, after = (
        each[20:200, 330:390].std((0, 1)) for each in (scene.photo.pixels, smooth.image, grainy.image)
    )
    assert (bare < 0.3 * before).all()
    assert np.abs(after / before - 1).max() < 0.15
    assert np.array_equal(grainy.image[-20:], scene.photo.pixels[-20:])
