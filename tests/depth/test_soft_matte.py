"""The matte at the photo's size: where the network has a say, and where the coarse matte stands."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest

from deeplens_dof.depth import soft_matte as module
from deeplens_dof.depth.soft_matte import soft_matte

ROWS, COLUMNS = np.mgrid[:120, :160]
DISTANCE = np.hypot(COLUMNS - 80, ROWS - 60)
COARSE = np.clip((40 - DISTANCE) / 2 + 0.5, 0, 1).astype(np.float32)
DEPTH = np.where(DISTANCE < 40, np.float32(0.8), np.float32(0.2))


class Fake(NamedTuple):
    """A session whose network answers with one value everywhere."""

    alpha: float
    asked: list[tuple[int, ...]]

    def run(self, names: list[str], feed: dict[str, Any]) -> list[np.ndarray]:
        self.asked.append(feed["rgb"].shape)
        assert feed["sides"].shape[1] == 2
        return [np.full((1, 7, *feed["rgb"].shape[2:]), self.alpha, np.float32)]


def answered(
    monkeypatch: pytest.MonkeyPatch, alpha: float, coarse: np.ndarray = COARSE, scale: int = 1
) -> np.ndarray:
    network = Fake(alpha, [])
    monkeypatch.setattr(module, "open_session", lambda *_: network)
    picture = np.full((120 * scale, 160 * scale, 3), 90, np.uint8)
    return soft_matte(coarse, DEPTH, picture)


def test_the_inside_stays_whole_whatever_the_network_says(monkeypatch):
    found = answered(monkeypatch, 0.0)
    assert (found[DISTANCE < 40 - 3 * module._IN_PX] == 1).all()
    assert (found[DISTANCE > 40] == 0).all()


def test_the_network_adds_as_far_as_hair_reaches(monkeypatch):
    found = answered(monkeypatch, 1.0)
    assert (found[DISTANCE < 40 + module._OUT_PX / 2] == 1).all()
    assert (found[DISTANCE > 40 + 2 * module._OUT_PX] == 0).all()


def test_its_answer_counts_on_the_border(monkeypatch):
    found = answered(monkeypatch, 0.3)
    assert np.abs(found[np.abs(DISTANCE - 40) < 1.5] - 0.3).max() < 0.01


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_without_a_border_the_network_is_not_asked(monkeypatch, value: float):
    monkeypatch.setattr(module, "open_session", lambda *_: pytest.fail("the network was asked"))
    found = soft_matte(np.full_like(COARSE, value), DEPTH, np.zeros((120, 160, 3), np.uint8))
    assert (found == value).all()


def test_a_larger_photo_has_a_larger_matte(monkeypatch):
    found = answered(monkeypatch, 0.0, scale=3)
    assert found.shape == (360, 480)
    assert 0.75 < found.mean() / (COARSE > 0.5).mean() < 1.01


def test_photos_beyond_the_networks_size_are_refined_small_and_enlarged(monkeypatch):
    smaller = replace(module.MODELS[module.MODEL], long_side_px=160)
    monkeypatch.setitem(module.MODELS, module.MODEL, smaller)
    assert answered(monkeypatch, 1.0, scale=2).shape == (240, 320)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (17, 16)])
def test_any_size_of_photo(size: tuple[int, int]):
    """With the network that ships."""
    found = soft_matte(COARSE, DEPTH, np.full((*size, 3), 120, np.uint8))
    assert found.shape == size
    assert np.isfinite(found).all()
    assert 0 <= found.min() <= found.max() <= 1
