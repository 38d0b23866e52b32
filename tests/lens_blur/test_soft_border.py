"""The border of a subject whose soft matte is known: strands over a background, truth by composition."""

import cv2
import numpy as np
import pytest

from deeplens_dof.lens_blur.layers.layers import NOTHING
from deeplens_dof.lens_blur.layers.soft_border import soft_borders
from deeplens_dof.lens_blur.render import render, render_subject
from deeplens_dof.optics.aperture import Aperture

DISC = Aperture.disc()
BLUR_PX = 8.0


def strands(size: int = 192) -> np.ndarray:
    """A head with hair: a disc with lines that stick out of it, alpha (size, size)."""
    canvas = np.zeros((4 * size, 4 * size), np.uint8)
    rng = np.random.default_rng(3)
    middle = np.array([2 * size, 2 * size])
    cv2.circle(canvas, (2 * size, 2 * size), size, 255, -1)
    for angle in rng.uniform(0, 2 * np.pi, 90):
        way = middle + np.outer(np.linspace(0.9, 1.35, 8) * size, [np.cos(angle), np.sin(angle)])
        way[:, 0] += np.linspace(0, rng.normal(0, 12), 8)
        cv2.polylines(canvas, [np.rint(way).astype(np.int32)], False, 255, 5, cv2.LINE_AA)
    return cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def composed(alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The photo, and the colours of the subject and of its background, (H, W, 3) linear light."""
    y, x = np.mgrid[: alpha.shape[0], : alpha.shape[1]].astype(np.float32)
    front = np.dstack([0.25 + 0.05 * np.sin(x / 9), 0.12 + 0 * x, 0.05 + 0 * x]).astype(np.float32)
    back = np.dstack([0.3 + 0.2 * np.sin(y / 7), 0.55 + 0.2 * np.sin(x / 5), 0.7 + 0 * x]).astype(np.float32)
    return alpha[..., None] * front + (1 - alpha[..., None]) * back, front, back


def shifted_coc(alpha: np.ndarray, near_px: float, far_px: float) -> np.ndarray:
    """The CoC of a depth map whose step lies three pixels off the matte's border, without strands."""
    body = cv2.morphologyEx((alpha > 0.5).astype(np.uint8), cv2.MORPH_OPEN, np.ones((9, 9), np.uint8))
    body = np.roll(body, (2, -2), (0, 1))
    return np.where(body > 0, np.float32(near_px), np.float32(far_px))


@pytest.mark.parametrize(("near_px", "far_px"), [(0.0, -BLUR_PX), (BLUR_PX, 0.0), (-4.0, -12.0)])
def test_a_soft_border_comes_out_as_the_composition(near_px: float, far_px: float) -> None:
    """The two surfaces blurred on their own, one over the other, are the truth; the error falls to less than half."""
    alpha = strands()
    photo, front, back = composed(alpha)
    coc = shifted_coc(alpha, near_px, far_px)

    def blurred(picture: np.ndarray, px: float) -> np.ndarray:
        return render(np.ascontiguousarray(picture, np.float32), np.full(alpha.shape, np.float32(px)))

    share = blurred(np.repeat(alpha[..., None], 3, 2), near_px)
    truth = blurred(alpha[..., None] * front, near_px) + (1 - share) * blurred(back, far_px)
    found, _ = render_subject(photo, coc, alpha, DISC)
    without = render(photo, coc)
    band = cv2.dilate(((alpha > 0.02) & (alpha < 0.98)).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    errors = [float(np.abs(picture - truth)[band].mean()) for picture in (found, without)]
    assert errors[0] < 0.5 * errors[1], errors


def test_the_layers_mix_to_the_photo() -> None:
    alpha = strands()
    photo, _, _ = composed(alpha)
    layers = soft_borders(photo, shifted_coc(alpha, 0.0, -BLUR_PX), alpha).layers
    mixed = layers.alpha[..., None] * layers.front + (1 - layers.alpha[..., None]) * layers.back
    assert np.abs(np.where(layers.back_coc[..., None] == NOTHING, layers.front, mixed) - photo).max() < 0.02


def test_a_subject_behind_something_is_the_surface_behind() -> None:
    """Where the surroundings are nearer than the subject, they are in front, with the rest of the matte."""
    alpha = strands()
    photo, _, _ = composed(alpha)
    layers = soft_borders(photo, shifted_coc(alpha, 0.0, 9.0), alpha).layers
    both = layers.back_coc != NOTHING
    assert both.any()
    assert (layers.front_coc[both] > layers.back_coc[both]).all()
    near_middle = both & (np.abs(alpha - 0.5) < 0.2)
    assert np.abs(layers.alpha[near_middle] - (1 - alpha[near_middle])).max() < 1e-5


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_a_matte_without_a_border_changes_nothing(value: float) -> None:
    photo, _, _ = composed(strands())
    coc = shifted_coc(strands(), 0.0, -BLUR_PX)
    found, seen = render_subject(photo, coc, np.full(coc.shape, np.float32(value)), DISC)
    assert np.array_equal(found, render(photo, coc))
    assert np.array_equal(seen, coc)


def test_a_matte_without_a_step_in_depth_changes_nothing_in_focus() -> None:
    """A subject on ground as near as itself: both sides have one CoC, and the picture stays, to the bit."""
    alpha = strands()
    photo, _, _ = composed(alpha)
    coc = np.zeros(alpha.shape, np.float32)
    coc[:8] = -6
    found, _ = render_subject(photo, coc, alpha, DISC)
    assert np.array_equal(found[16:], render(photo, coc)[16:])


def test_the_number_of_threads_does_not_matter() -> None:
    alpha = strands()
    photo, _, _ = composed(alpha)
    coc = shifted_coc(alpha, 0.0, -BLUR_PX)
    one, three = (render_subject(photo, coc, alpha, DISC, threads=count)[0] for count in (1, 3))
    assert np.array_equal(one, three)
