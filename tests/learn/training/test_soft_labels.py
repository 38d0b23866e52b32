"""Laws of measured depth with soft steps and coarse codes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from data_samples import save

from deeplens_dof.datasets.folder import open_folder
from deeplens_dof.datasets.frames import frame_files
from deeplens_dof.datasets.sample import Sample, from_metres
from deeplens_dof.learn.training import losses, soft_labels
from deeplens_dof.learn.training.depth_batches import Source, batch


def measured(metres: np.ndarray) -> Sample:
    inverse, known = from_metres(metres)
    return Sample("one", np.zeros((*metres.shape, 3), np.uint8), inverse, known, "1/m")


def two_walls(step_m: float, size: int = 60) -> np.ndarray:
    metres = np.full((size, size), 2.0, np.float32)
    metres[:, size // 2 :] += step_m
    return metres


def test_gradients_count_everywhere_but_near_a_step() -> None:
    firm = soft_labels.firm(measured(two_walls(1.0)), 6)
    apart = np.abs(np.arange(60) - 29.5)
    assert (firm[:, apart < 6] == 0).all()
    assert (firm[:, apart > 10] == 1).all()


def test_a_slope_is_no_step_and_a_hole_is_not_firm() -> None:
    slope = np.linspace(1, 3, 100, dtype=np.float32)[:, None].repeat(40, 1)
    slope[50, 20] = np.nan
    firm = soft_labels.firm(measured(slope), 6)
    assert firm.sum() == firm.size - 1
    assert firm[50, 20] == 0


def test_steps_of_relative_depth_do_not_depend_on_its_scale() -> None:
    inverse, known = from_metres(two_walls(1.0))
    found = [
        soft_labels.firm(Sample("one", np.zeros((60, 60, 3), np.uint8), values, known, "relative"), 6)
        for values in (inverse, inverse * 1000)
    ]
    np.testing.assert_array_equal(found[0], found[1])
    assert found[0].min() == 0 < found[0].max()


@pytest.mark.parametrize("step_mm", [1, 40])
def test_the_tolerance_is_half_a_code(step_mm: int) -> None:
    exact = np.linspace(1, 4, 4000, dtype=np.float64).reshape(50, 80)
    stored = (np.rint(exact * 1000 / step_mm) * step_mm / 1000).astype(np.float32)
    one = measured(stored)
    wrong = np.abs(one.inverse_depth - 1 / exact)
    allowed = soft_labels.tolerance(one)
    assert (wrong <= allowed * 1.05).all()
    assert wrong.max() > allowed.max() / 2


def test_what_is_within_the_tolerance_costs_nothing_and_what_is_beyond_costs_the_rest() -> None:
    generator = torch.Generator().manual_seed(3)
    target = torch.rand(2, 24, 24, generator=generator, dtype=torch.float64)
    tolerance = torch.full_like(target, 0.1)
    noise = torch.rand(2, 24, 24, generator=generator, dtype=torch.float64) * 0.2 - 0.1
    everywhere = torch.ones(2)
    nearest = soft_labels.tolerant(target + noise, target, tolerance)
    assert losses.absolute(target + noise, nearest, everywhere) == pytest.approx(0, abs=1e-12)
    assert losses.gradient(target + noise, nearest, everywhere, 2.0) == pytest.approx(0, abs=1e-12)
    nearest = soft_labels.tolerant(target + 0.3, target, tolerance)
    assert float(losses.absolute(target + 0.3, nearest, everywhere)) == pytest.approx(0.2)
    exact = soft_labels.tolerant(target + noise, target, torch.zeros_like(target))
    assert (exact == target).all()


def test_the_spread_is_what_normalising_divides_by() -> None:
    values = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(4))
    known = torch.ones_like(values)
    known[2] = 0
    spread = soft_labels.spread(values, known)
    first, last = values[0, 0, 0], values[0, -1, -1]
    normal = losses.normalised(values, known)[0]
    assert float((first - last) / spread[0]) == pytest.approx(float(normal[0, 0] - normal[-1, -1]), rel=1e-4)
    assert float(spread[2]) == 1


def test_batches_carry_what_is_firm_of_measured_depth(frames_folder: Path, tmp_path: Path) -> None:
    save(tmp_path / "rgb" / "a.png", np.zeros((60, 60, 3), np.uint8))
    save(tmp_path / "depth_mm" / "a.png", (two_walls(1.0) * 1000).astype(np.uint16))
    folder = open_folder(f"rgbd:{tmp_path}", for_training=True)
    frames = frame_files(frames_folder)
    one = batch(Source(frames, measured=(folder,), measured_share=1.0, soft_px=6), 1, 0, 4, 56)
    assert one.firm is not None
    assert one.tolerance is not None
    assert one.known is not None
    assert 0 < float(one.firm.mean()) < float(one.known.mean()) == 1
    assert (one.tolerance > 0).all()
    drawn = batch(Source(frames, measured=(folder,), measured_share=0.0, soft_px=6), 1, 0, 4, 56)
    assert drawn.firm is not None
    assert drawn.tolerance is not None
    assert float(drawn.firm.min()) == 1
    assert float(drawn.tolerance.max()) == 0
    assert batch(Source(frames, measured=(folder,), measured_share=1.0), 1, 0, 4, 56).firm is None


def test_masks_are_of_near_subjects_and_mattes_are_not(frames_folder: Path, tmp_path: Path) -> None:
    for kind, role in (("masks", "mask"), ("mattes", "matte")):
        save(tmp_path / kind / "image" / "a.png", np.zeros((60, 60, 3), np.uint8))
        save(tmp_path / kind / role / "a.png", np.full((60, 60), 255, np.uint8))
    for kind, near in (("masks", 1), ("mattes", 0)):
        folder = open_folder(str(tmp_path / kind), for_training=True)
        assert folder.layout.kind == kind
        one = batch(Source(frame_files(frames_folder), measured=(folder,), measured_share=1.0), 1, 0, 3, 56)
        assert one.near is not None
        assert (one.near == near).all()
        assert (one.has_matte == 1).all()
        assert (one.has_depth == 0).all()
