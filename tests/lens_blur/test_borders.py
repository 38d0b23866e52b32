"""Borders of near things: where they are, and the photo as two surfaces there."""

from __future__ import annotations

import numpy as np
import pytest

import deeplens_dof as dl
from deeplens_dof.lens_blur.layers.borders import REACH_PX, find_borders, first_guess, to_layers
from deeplens_dof.lens_blur.layers.inpaint import Occluded
from deeplens_dof.lens_blur.layers.layers import NOTHING
from deeplens_dof.lens_blur.optical import render_optical

HEIGHT, WIDTH = 80, 120


def board(near: float = 6.0, far: float = -3.0) -> np.ndarray:
    """A board at the right half."""
    coc = np.full((HEIGHT, WIDTH), far, np.float32)
    coc[:, WIDTH // 2 :] = near
    return coc


def test_both_surfaces_are_known_on_both_sides_of_a_step_and_nowhere_else():
    borders = find_borders(board())
    beside = np.abs(np.arange(WIDTH) - (WIDTH - 1) / 2)
    assert borders.within[40, beside < REACH_PX - 1].all()
    assert not borders.within[40, beside > REACH_PX + 1].any()
    here = borders.within
    assert (borders.near_px[here] == 6).all()
    assert (borders.far_px[here] == -3).all()
    assert borders.distance[40, WIDTH // 2 : WIDTH // 2 + 3].tolist() == [0.5, 1.5, 2.5]
    assert borders.distance[40, WIDTH // 2 - 3 : WIDTH // 2].tolist() == [-2.5, -1.5, -0.5]


def test_a_slope_has_no_border():
    slope = np.linspace(-20, 20, WIDTH, dtype=np.float32)[None].repeat(HEIGHT, 0)
    assert not find_borders(slope).within.any()


def test_a_soft_step_has_its_ends_for_surfaces():
    along = np.clip((np.arange(WIDTH) - 57) / 6, 0, 1).astype(np.float32)
    coc = np.repeat((-3 + 12 * along)[None], HEIGHT, 0)
    borders = find_borders(coc)
    assert borders.near_px[40, 57:64] == pytest.approx(9.0)
    assert borders.far_px[40, 57:64] == pytest.approx(-3.0)


def test_the_first_guess_is_what_is_seen_beside_the_border():
    light = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    light[:, WIDTH // 2 :, 0] = 1
    light[:, WIDTH // 2 - 1, 0] = 0.25  # a quarter of the last pixel of the wall is the board
    alpha, near, far = first_guess(light, board(), find_borders(board()))
    middle = WIDTH // 2
    assert alpha[40, middle - 3 : middle + 2] == pytest.approx([0, 0, 0.25, 1, 1], abs=0.03)
    assert near[40, middle - 5] == pytest.approx([1, 0, 0], abs=0.03)
    assert far[40, middle + 5] == pytest.approx([0, 0, 0], abs=0.12)
    assert near[40, 0].tolist() == [0, 0, 0]  # far from any border: its own
    assert alpha[40, 0] == 1


def test_the_borders_do_not_depend_on_what_is_beyond_them():
    """Turned upside down and mirrored, the picture has the same borders (distances to a rounding)."""
    rng = np.random.default_rng(2)
    coc = np.kron(rng.uniform(-8, 8, (5, 6)), np.ones((16, 20))).astype(np.float32)
    there, back = find_borders(coc), find_borders(coc[::-1, ::-1].copy())
    assert np.array_equal(there.within, back.within[::-1, ::-1])
    assert np.abs(there.distance) == pytest.approx(np.abs(back.distance[::-1, ::-1]), abs=1e-4)


def truth(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A veil that lets half of the light pass, before a wall: alpha, its colour and the wall's."""
    alpha = np.zeros((HEIGHT, WIDTH), np.float32)
    alpha[:, WIDTH // 2 :] = 0.5
    front = np.full((HEIGHT, WIDTH, 3), 0.8, np.float32)
    wall = np.kron(rng.random((HEIGHT // 4, WIDTH // 4, 3)), np.ones((4, 4, 1))).astype(np.float32)
    return alpha, front, wall


def test_what_is_known_of_a_border_comes_through_the_lens():
    """In focus at the wall the wall stays sharp behind a blurred veil; who takes the veil for opaque blurs it away."""
    alpha, front, wall = truth(np.random.default_rng(0))
    photo = alpha[..., None] * front + (1 - alpha[..., None]) * wall
    coc = board(10.0, 0.0)
    layers = to_layers(photo, coc, find_borders(coc), alpha, front, wall)
    known = render_optical(photo, coc, dl.Aperture.disc(), known=layers)
    guessed = dl.render(photo, coc)
    strip = (
        slice(20, 60),
        slice(WIDTH // 2 + 11, WIDTH // 2 + 20),
    )  # wholly behind the veil, still within reach
    expected = 0.4 + 0.5 * wall[strip]
    assert np.abs(known[strip] - expected).mean() < 0.02
    assert np.abs(guessed[strip] - expected).mean() > 0.05


def test_where_no_border_is_the_layers_are_the_photo():
    alpha, front, wall = truth(np.random.default_rng(1))
    coc = board()
    borders = find_borders(coc)
    layers = to_layers(wall, coc, borders, alpha, front, wall)
    away = ~borders.within
    assert np.array_equal(layers.front[away], wall[away])
    assert np.array_equal(layers.front_coc[away], coc[away])
    assert (layers.alpha[away] == 1).all()
    assert (layers.back_coc[away] == NOTHING).all()


def test_what_is_known_behind_a_front_is_put_into_what_is_occluded():
    alpha, front, wall = truth(np.random.default_rng(1))
    coc = board()
    layers = to_layers(wall, coc, find_borders(coc), 2 * alpha, front, np.full_like(wall, 0.25))
    empty = np.zeros((HEIGHT // 2, WIDTH // 2, 3), np.float32)
    nowhere = np.full((HEIGHT // 2, WIDTH // 2), NOTHING, np.float32)
    occluded = Occluded(2, empty, nowhere, empty, nowhere).with_known(layers)
    assert occluded.colour[20, WIDTH // 4 + 3] == pytest.approx(0.25)
    assert occluded.coc[20, WIDTH // 4 + 3] == pytest.approx(-3)
    assert occluded.coc[20, WIDTH // 4 - 3] == NOTHING
    whole = occluded.at_full_size(HEIGHT, WIDTH)
    assert whole.coc[41, WIDTH // 2 + 7] == pytest.approx(-3)
