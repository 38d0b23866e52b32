"""Composed photos with known alpha, and the training of matte refinement on them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from data_samples import save

from deeplens_dof.depth.predict import Coarse
from deeplens_dof.imaging.color import srgb_to_linear
from deeplens_dof.learn.networks.matte_refinement import MatteRefinement
from deeplens_dof.learn.scenes.composites import subjects
from deeplens_dof.learn.training import matte_examples
from deeplens_dof.learn.training.matte_examples import border_band, find_sources, load_examples, make_examples
from deeplens_dof.learn.training.matte_refinement import losses, matte_task
from deeplens_dof.learn.training.recipes import train
from deeplens_dof.learn.training.trainer import TrainingData


def disc(size: int, radius: float) -> np.ndarray:
    y, x = np.mgrid[:size, :size]
    return np.hypot(x - size / 2, y - size / 2) < radius


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two photos, a mask and an alpha, as `datasets/real_photos.py` links them."""
    rng = np.random.default_rng(2)
    for k in range(2):
        save(tmp_path / "photos" / "train" / f"{k}.png", rng.integers(0, 255, (120, 160, 3), dtype=np.uint8))
    subject = np.where(disc(128, 40)[..., None], (200, 60, 40), (20, 90, 160)).astype(np.uint8)
    label = np.where(disc(128, 40), 255, 0).astype(np.uint8)
    for name, role in (("people", "mask"), ("alpha", "alpha")):
        save(tmp_path / name / "train" / "image" / "a.png", subject)
        save(tmp_path / name / "train" / role / "a.png", label)
    return tmp_path


def test_sources_are_the_training_parts_alone(data: Path) -> None:
    save(data / "people" / "held_out" / "image" / "b.png", np.zeros((8, 8, 3), np.uint8))
    save(data / "people" / "held_out" / "mask" / "b.png", np.zeros((8, 8), np.uint8))
    sources = find_sources(data)
    assert [photo.name for photo, _ in sources.masks] == ["a.png"]
    assert len(sources.alpha) == 1
    assert len(sources.photos) == 2
    with pytest.raises(ValueError, match="holds no photos/train"):
        find_sources(data / "people")


@pytest.mark.parametrize("index", range(6))
def test_a_composed_photo_is_the_mixture_of_its_colours(data: Path, index: int) -> None:
    made = subjects.compose(np.random.default_rng(index), find_sources(data))
    share = made.alpha[..., None]
    mixture = np.clip(share * made.front + (1 - share) * made.back, 0, 1)
    difference = np.abs(srgb_to_linear(made.rgb) - mixture)
    assert difference.mean() < 0.05  # noise, softness and JPEG
    again = subjects.compose(np.random.default_rng(index), find_sources(data))
    assert np.array_equal(made.rgb, again.rgb)


def test_the_subjects_own_colour_is_taken_out_of_the_mixture() -> None:
    alpha = np.clip((40 - np.hypot(*np.mgrid[-64:64, -64:64])) / 12, 0, 1).astype(np.float32)
    front, back = np.float32([0.6, 0.1, 0.05]), np.float32([0.05, 0.2, 0.5])
    light = alpha[..., None] * front + (1 - alpha[..., None]) * back
    found = subjects.own_colour(light.astype(np.float32), alpha)
    assert np.abs(found - front)[alpha > 0.1].max() < 0.1


def examples(data: Path, out: Path, monkeypatch: pytest.MonkeyPatch, count: int = 3) -> list[Path]:
    """Examples, with a network that sees nothing."""
    nothing = Coarse(np.zeros((40, 60), np.float32), np.zeros((40, 60), np.float32))
    monkeypatch.setattr(matte_examples, "predict_coarse", lambda *_, **__: nothing)
    make_examples(out, count, 1, find_sources(data))
    return sorted(out.glob("matte_*.npz"))


def test_examples_have_maps_with_errors_where_the_network_fails(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = examples(data, tmp_path / "out", monkeypatch)
    batch = load_examples(files, 96, np.random.default_rng(0))
    assert batch.rgb.shape == batch.front.shape == (3, 3, 96, 96)
    assert batch.sides.shape == (3, 2, 96, 96)
    for plane in vars(batch).values():
        assert 0 <= float(plane.min()) <= float(plane.max()) <= 1
    assert float((batch.sides[:, :1] - batch.alpha).abs().mean()) > 1e-3
    assert float(batch.sides[:, 0].max()) > 0.5


def test_the_band_is_as_wide_as_said() -> None:
    band = border_band(disc(128, 40).astype(np.float32), 10)
    distance = np.abs(np.hypot(*(np.mgrid[:128, :128] - 64)) - 40)
    assert band[distance < 8].all()
    assert not band[distance > 13].any()


def test_an_untrained_network_gives_the_coarse_matte_and_the_truth_costs_nothing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = load_examples(examples(data, tmp_path / "out", monkeypatch), 64, np.random.default_rng(0))
    found = MatteRefinement((8, 8, 8, 8)).refined(batch.rgb, batch.sides)
    assert torch.allclose(found.alpha, batch.sides[:, :1])
    truth = found._replace(alpha=batch.alpha, front=batch.front, back=batch.back)
    assert float(sum(losses(truth, batch).values())) < 1e-6
    assert float(sum(losses(found, batch).values())) > 1e-3


def test_colours_mix_to_the_photo_again() -> None:
    torch.manual_seed(1)
    network = MatteRefinement((8, 8, 8, 8))
    torch.nn.init.normal_(network.leave.weight, std=0.01)
    rgb, sides = torch.rand(1, 3, 32, 32) * 0.6 + 0.2, torch.rand(1, 2, 32, 32)
    alpha, front, back = network.refined(rgb, sides)
    mixture = alpha * front + (1 - alpha) * back
    inside = ((front > 0) & (front < 1) & (back > 0) & (back < 1)).all(1, keepdim=True)
    assert float(inside.float().mean()) > 0.5
    assert float(((mixture - rgb).abs() * inside).max()) < 1e-5


def test_training_runs_resumes_and_exports(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    files = examples(data, tmp_path / "out", monkeypatch)
    folders = TrainingData([tmp_path / "out"])
    run = tmp_path / "run"
    assert train("matte-refinement-toy", folders, run, stop_after=3) is None
    path = train("matte-refinement-toy", folders, run, resume=True)
    whole = train("matte-refinement-toy", folders, tmp_path / "whole")
    assert path is not None
    assert whole is not None
    session = onnxruntime.InferenceSession(str(path))
    batch = load_examples(files[:1], 64, np.random.default_rng(0))
    feed = {"rgb": batch.rgb.numpy(), "sides": batch.sides.numpy()}
    answers = [one.run(["refined"], feed)[0] for one in (session, onnxruntime.InferenceSession(str(whole)))]
    assert answers[0].shape == (1, 7, 64, 64)
    assert np.array_equal(*answers)
    log = (run / "log.jsonl").read_text()
    assert '"val_band"' in log
    assert math.isfinite(float(answers[0].sum()))


def test_a_folder_without_examples_is_refused(tmp_path: Path) -> None:
    from deeplens_dof.learn.training.distributed import Alone
    from deeplens_dof.learn.training.matte_refinement import MATTE_RECIPES

    with pytest.raises(ValueError, match="holds 0 examples, expected at least 2"):
        matte_task(
            "matte-refinement-toy", MATTE_RECIPES["matte-refinement-toy"], TrainingData([tmp_path]), Alone()
        )
