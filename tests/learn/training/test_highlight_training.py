"""Highlight training: its pictures, its loss, and resuming."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from deeplens_dof.highlights.clipping import KNEE
from deeplens_dof.learn.networks.export import export_blur
from deeplens_dof.learn.networks.highlights import MOST_GAIN, HighlightNetwork
from deeplens_dof.learn.scenes.clipped.lights import (
    KINDS,
    SUBPIXELS,
    draw_emitters,
    emitters_of,
    filtered,
    glare,
)
from deeplens_dof.learn.scenes.clipped.pictures import MOST_LIGHT, SHARES, Clipped, Sources, make_clipped
from deeplens_dof.learn.scenes.composites.materials import Materials
from deeplens_dof.learn.training import highlights
from deeplens_dof.learn.training.trainer import Trainer

SIDE = 64


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """Noise in the form of photos."""
    rng = np.random.default_rng(0)
    photos = [rng.integers(0, 256, (90, 120, 3), np.uint8) for _ in range(3)]
    pair = tmp_path_factory.mktemp("pairs") / "pair_000000.npz"
    np.savez(pair, rgb=np.exp(rng.normal(-1, 1, (SIDE, SIDE, 3))).astype(np.float16))
    panoramas = np.exp(rng.normal(0, 1, (2, 64, 128, 3))).astype(np.float16)
    return Sources(
        panoramas, Materials(photos, rng.integers(0, 256, (2, 64, 64, 3), np.uint8), []), [pair], (), [pair]
    )


def test_pictures_depend_on_seed_and_number_alone(sources: Sources):
    for index in range(6):
        one, other = (make_clipped(3, index, SIDE, sources) for _ in range(2))
        assert np.array_equal(one.photo, other.photo)
        assert np.array_equal(one.light, other.light)
    assert not np.array_equal(
        make_clipped(4, 0, SIDE, sources).photo, make_clipped(3, 0, SIDE, sources).photo
    )


def test_pictures_hold_light_above_white_of_which_the_camera_keeps_white(sources: Sources):
    brightest = []
    for index in range(40):
        picture = make_clipped(5, index, SIDE, sources, scale=1 + index % 2)
        assert picture.photo.shape == picture.light.shape == (SIDE, SIDE, 3)
        assert picture.photo.dtype == picture.light.dtype == np.float32
        assert np.isfinite(picture.light).all()
        assert picture.photo.min() >= 0
        assert picture.photo.max() <= 1
        assert picture.light.min() >= 0
        assert picture.light.max() <= MOST_LIGHT
        brightest.append(float(picture.light.max()))
    assert sum(value > 3 for value in brightest) > 8
    assert sum(SHARES.values()) == pytest.approx(1)


@pytest.mark.parametrize("kind", KINDS)
def test_lamps_of_every_kind_shine_where_they_hang(kind: str):
    changed = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        picture = np.full((SIDE, SIDE, 3), 0.1, np.float32)
        draw_emitters(picture, rng, kind=kind)
        assert np.isfinite(picture).all()
        assert picture.min() >= 0
        changed += picture.max() > 0.3
        assert all(lamp.half_width > 0 and lamp.half_height > 0 for lamp in emitters_of(kind, rng, SIDE, 1.0))
    assert changed >= 3


def test_pixel_filters_and_glare_keep_light():
    canvas = np.zeros((SIDE * SUBPIXELS, SIDE * SUBPIXELS, 4), np.float32)
    canvas[90:105, 80:101] = 7
    for seed in range(8):
        picture = filtered(canvas, np.random.default_rng(seed))
        assert picture.sum() * SUBPIXELS**2 == pytest.approx(canvas.sum(), rel=0.03)
    grey = np.full((SIDE, SIDE, 3), 0.2, np.float32)
    grey[20:24, 20:24] = 30
    scattered = glare(grey, np.random.default_rng(1))
    assert scattered[30, 30, 0] > 0.2
    assert scattered[22, 22, 0] < 30


def clipped_picture(light: float = 6.0) -> Clipped:
    rng = np.random.default_rng(2)
    true = 0.3 * rng.random((SIDE, SIDE, 3), np.float32)
    true[20:24, 30:34] = light
    known = np.ones((SIDE, SIDE), bool)
    known[:, :10] = False
    return Clipped(np.minimum(true, 1), true, known)


def test_the_target_is_the_photo_where_nothing_was_clipped():
    given = highlights.batch_of([clipped_picture()])
    assert torch.equal(given.target[given.photo <= KNEE], given.photo[given.photo <= KNEE])
    assert float(given.target.max()) == pytest.approx(6)
    assert int(given.mask.sum()) == 3 * 16
    assert not highlights.batch_of(
        [Clipped(*(np.ones((8, 8, 3), np.float32),) * 2, np.zeros((8, 8), bool))]
    ).mask.any()
    whole = highlights.batch_of([clipped_picture(), clipped_picture(3.0)])
    assert torch.equal(whole.part(1, 2).target, highlights.batch_of([clipped_picture(3.0)]).target)


def test_a_disc_spreads_light_evenly_over_its_area():
    light = torch.zeros(1, 1, SIDE, SIDE)
    light[..., 10, 50] = 40.0
    seen = highlights.blurred(light, 8.0)
    lit = seen > 1e-3
    assert lit.sum() == pytest.approx(math.pi * 8.5**2, rel=0.1)
    assert bool(lit[0, 0, 10, 43])
    assert not bool(lit[0, 0, 10, 40])
    expected = 1.055 * (40 / (math.pi * 8.0**2)) ** (1 / 2.4) - 0.055
    assert float(seen[0, 0, 10, 50]) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("factor", [1, 2])
def test_the_loss_is_least_at_the_truth_and_has_gradients(factor: int):
    given = highlights.batch_of([clipped_picture()], factor)
    losses = []
    for off in (-0.5, 0.0, 0.5):
        gains = torch.full((int(given.mask.sum()),), math.log(6) + off, requires_grad=True)
        light = given.photo.masked_scatter(given.mask, 1 + torch.expm1(gains))
        loss = highlights.highlight_loss(light, gains, given, [3.0, 12.0, 20.0])
        losses.append(float(loss.detach()))
        (slope,) = torch.autograd.grad(loss, gains)
        assert torch.isfinite(slope).all()
        if off:
            assert (slope * off > 0).all()
    assert losses[1] < 0.05 * min(losses[0], losses[2])


def test_gains_are_small_at_first_and_bounded():
    torch.manual_seed(0)
    network = HighlightNetwork()
    assert sum(each.numel() for each in network.parameters()) < 0.5e6
    given = highlights.batch_of([clipped_picture()], 2)
    light, gains = highlights.reconstructed(network, given)
    assert torch.equal(light[~given.mask], given.photo[~given.mask])
    assert (light[given.mask] > given.photo[given.mask]).all()
    assert float(gains.detach().max()) < 0.4
    torch.nn.init.constant_(network.leave.bias, 100.0)
    assert float(network(given.photo, given.clipped).detach().max()) == MOST_GAIN


def test_the_exported_network_answers_as_it_does_in_torch(tmp_path: Path):
    torch.manual_seed(1)
    network = HighlightNetwork((8, 16)).eval()
    for part in network.parameters():
        part.data = part.data.half().float()  # as it is stored
    export_blur(network, tmp_path / "light.onnx")
    srgb, clipped = torch.rand(2, 1, 3, 96, 64)
    with torch.no_grad():
        expected = network(srgb, clipped)
    session = onnxruntime.InferenceSession(str(tmp_path / "light.onnx"))
    (gain,) = session.run(["gain"], {"srgb": srgb.numpy(), "clipped": clipped.numpy()})
    assert gain == pytest.approx(expected.numpy(), abs=2e-4)


def train_on(sources: Sources, out: Path, **options) -> Path | None:
    task = highlights.HighlightTask(
        "light-toy", highlights.HIGHLIGHT_RECIPES["light-toy"], sources, held_out=sources
    )
    return Trainer(task, out).train(**options)


def test_a_training_that_was_stopped_ends_with_the_same_weights(sources: Sources, tmp_path: Path):
    assert train_on(sources, tmp_path / "whole") == tmp_path / "whole" / "light-toy.onnx"
    assert train_on(sources, tmp_path / "parts", stop_after=2) is None
    with pytest.raises(ValueError, match="holds a run already; go on with --resume"):
        train_on(sources, tmp_path / "parts")
    assert train_on(sources, tmp_path / "parts", resume=True)
    one, two = (torch.load(tmp_path / name / "weights.pt", weights_only=True) for name in ("whole", "parts"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    log = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["event"] == "validation"
    assert {"val_psnr", "val_without"} <= log[-1].keys()
