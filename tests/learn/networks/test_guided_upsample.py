"""Guided upsampling: the torch module and the numba renderer agree, and both keep their laws."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from deeplens_dof import Aperture
from deeplens_dof.learn.networks import guided_upsample
from deeplens_dof.learn.networks.export import export_blur
from deeplens_dof.learn.networks.guided_upsample import GuidedUpsample
from deeplens_dof.learn.networks.pretrained import load_blur
from deeplens_dof.lens_blur.baselines import guided_upsample as guided
from deeplens_dof.lens_blur.baselines import halving
from deeplens_dof.lens_blur.optical import render_optical
from deeplens_dof.models import MODELS, Model

SIZES = [(150, 211), (64, 128), (33, 34), (5, 3)]


def tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture if picture.ndim == 3 else picture[..., None]).permute(2, 0, 1)[None]


def scene(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise and lamps, with overlapping waves of CoC: strongly blurred, slightly blurred and sharp."""
    rng = np.random.default_rng(height)
    rgb = rng.random((height, width, 3), np.float32) ** 3 * 2
    y, x = np.mgrid[:height, :width]
    coc = (np.sin(y / 17) * 3 + np.where((x // 23 + y // 31) % 2, 6, 0) - 3).astype(np.float32)
    coc[:, : width // 3] = 0
    coc[:40, 40:80] = 30
    return rgb, coc


def blurred_half(half: np.ndarray, coc_px: np.ndarray) -> np.ndarray:
    """A stand-in for a blur at half the size; that of the photo where everything is in focus."""
    rng = np.random.default_rng(9)
    other = 0.5 * half + 0.2 * rng.random(half.shape, np.float32)
    return np.where(coc_px[..., None] == 0, half, other).astype(np.float32)


@pytest.fixture(scope="module")
def taught() -> GuidedUpsample:
    """Random weights, rounded to half precision as in a file."""
    torch.manual_seed(2)
    network = GuidedUpsample().eval()
    torch.nn.init.normal_(network.leave.weight, std=0.5)
    torch.nn.init.normal_(network.leave.bias)
    torch.nn.init.normal_(network.kernels, mean=0.02, std=0.02)
    for part in network.parameters():
        part.data = part.data.half().float()
    return network


@pytest.fixture(scope="module")
def exported(taught: GuidedUpsample, tmp_path_factory: pytest.TempPathFactory) -> Model:
    path = tmp_path_factory.mktemp("model") / "upsample.onnx"
    export_blur(taught, path)
    return replace(MODELS["upsample"], file=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest())


def by_camera(rgb, coc, half, blurred, model: str | Model = "upsample", threads: int = 1) -> np.ndarray:
    with ThreadPoolExecutor(threads) as pool:
        return guided.doubled(rgb, coc, half, blurred, pool, model)


@pytest.mark.parametrize("size", SIZES)
def test_the_camera_answers_as_torch_does(size, taught: GuidedUpsample, exported: Model):
    rgb, coc = scene(*size)
    half, half_coc = halving.halved(rgb, coc)
    light, circles = guided_upsample.halved(tensor(rgb), tensor(coc))
    assert half == pytest.approx(light[0].permute(1, 2, 0).numpy(), abs=1e-6)
    assert half_coc == pytest.approx(circles[0, 0].numpy(), abs=1e-5)
    blurred = blurred_half(half, half_coc)
    with torch.no_grad():
        expected = taught(tensor(rgb), tensor(blurred), tensor(coc))[0].permute(1, 2, 0).numpy()
    assert by_camera(rgb, coc, half, blurred, exported) == pytest.approx(expected, abs=2e-5)


def test_exported_weights_come_back(taught: GuidedUpsample, exported: Model):
    again = GuidedUpsample()
    load_blur(again, Path(exported.file))
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), taught.parameters(), strict=True))


def test_threads_and_tiles_do_not_show(exported: Model):
    rgb, coc = scene(200, 333)
    half, half_coc = halving.halved(rgb, coc)
    blurred = blurred_half(half, half_coc)
    whole = by_camera(rgb, coc, half, blurred, exported, threads=3)
    assert np.array_equal(whole, by_camera(rgb, coc, half, blurred, exported))
    rows = slice(48, 200)  # whole blocks, other tiles; what lies above reaches 30 px and what is beside it
    part = by_camera(
        *(np.ascontiguousarray(plane[rows]) for plane in (rgb, coc)), half[24:], blurred[24:], exported
    )
    assert part[64:] == pytest.approx(whole[rows][64:], abs=1e-5)


def test_what_is_in_focus_comes_out_to_the_bit():
    rgb, coc = scene(128, 192)
    coc[:] = 0
    coc[:, 100:] = -6  # behind: it spills over nothing
    for doublings in (1, 2):
        result = guided.render_guided(rgb, coc, Aperture.disc(), doublings=doublings)
        assert np.array_equal(result[:, :80], rgb[:, :80])
        assert not np.array_equal(result[:, 110:], rgb[:, 110:])


def test_steps_of_16_bits_stay_apart():
    """A blurred ramp finer than 8 bits stays strictly monotonic."""
    ramp = np.broadcast_to(np.linspace(0.2, 0.21, 256, dtype=np.float32)[None, :, None], (64, 256, 3))
    for coc_px in (0.0, 1.5, 6.0):
        coc = np.full((64, 256), -coc_px, np.float32)
        result = guided.render_guided(np.ascontiguousarray(ramp), coc, Aperture.disc())
        inner = result[:, 16:-16]
        assert (np.diff(inner, axis=1) > 0).all()
        assert inner == pytest.approx(ramp[:, 16:-16], abs=4e-5)


def test_nothing_rings_and_nothing_is_made_up(exported: Model):
    """Blurred white discs on black: no value beyond the input's, whatever the network predicts."""
    rgb = np.zeros((128, 128, 3), np.float32)
    rgb[40:60, 30:80] = 1
    for coc_px in (0.0, 9.0):
        coc = np.full((128, 128), coc_px, np.float32)
        half, half_coc = halving.halved(rgb, coc)
        blurred = render_optical(half, half_coc, Aperture.disc())
        result = by_camera(rgb, coc, half, blurred, exported)
        assert result.min() >= 0
        assert result.max() <= 1 + 1e-6


def test_a_constant_picture_stays_constant():
    rgb, (_, coc) = np.full((90, 131, 3), 0.3, np.float32), scene(90, 131)
    for doublings in (1, 2):
        result = guided.render_guided(rgb, coc, Aperture.disc(), doublings=doublings)
        assert result == pytest.approx(rgb, abs=2e-3)


def test_mirrored_input_gives_mirrored_output_away_from_steps():
    rgb, _ = scene(96, 128)
    coc = np.broadcast_to(np.linspace(-4, 4, 128, dtype=np.float32), (96, 128)).copy()
    half, half_coc = halving.halved(rgb, coc)
    blurred = blurred_half(half, half_coc)
    whole = by_camera(rgb, coc, half, blurred)
    turned = [np.ascontiguousarray(plane[:, ::-1]) for plane in (rgb, coc, half, blurred)]
    assert by_camera(*turned)[:, ::-1] == pytest.approx(whole, abs=1e-5)


def test_gradients_are_those_of_the_function(taught: GuidedUpsample):
    """In double precision: weights, light, blur and CoC."""
    torch.manual_seed(4)
    network = GuidedUpsample(4).double()
    torch.nn.init.normal_(network.leave.weight, std=0.5)
    sharp = torch.rand(1, 3, 12, 10, dtype=torch.float64).add(0.1).requires_grad_()
    blurred = torch.rand(1, 3, 6, 5, dtype=torch.float64).add(0.1).requires_grad_()
    coc = (4 * torch.rand(1, 1, 12, 10, dtype=torch.float64) - 1).requires_grad_()
    weights = [network.kernels, network.leave.weight]
    for given in (sharp, blurred, coc, *weights):
        (slope,) = torch.autograd.grad(network(sharp, blurred, coc).sin().sum(), given)
        direction = torch.randn_like(given)
        with torch.no_grad():
            ends = []
            for sign in (-1, 1):
                given.add_(direction, alpha=sign * 1e-7)
                ends.append(float(network(sharp, blurred, coc).sin().sum()))
                given.add_(direction, alpha=-sign * 1e-7)
        expected = (ends[1] - ends[0]) / 2e-7
        assert float((slope * direction).sum()) == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_a_small_blur_comes_near_one_of_full_size():
    """A sharp square with fine lines before blurred waves: much closer than plain enlargement."""
    y, x = np.mgrid[:192, :256]
    waves = (0.4 + 0.3 * np.sin(x / 5) * np.sin(y / 7)).astype(np.float32)
    rgb = np.stack([waves, 0.8 * waves, 1 - waves], 2)
    coc = np.full((192, 256), -5, np.float32)
    rgb[60:130, 90:170], coc[60:130, 90:170] = [0.8, 0.3, 0.1], 0
    rgb[62:128:4, 92:168] *= 0.5
    whole = render_optical(rgb, coc, Aperture.disc())
    size = rgb, coc
    for doublings in (1, 2):
        size = halving.halved(*size)
        enlarged = render_optical(*size, Aperture.disc()).repeat(2**doublings, 0).repeat(2**doublings, 1)
        result = guided.render_guided(rgb, coc, Aperture.disc(), doublings=doublings)
        assert np.std(result - whole) < 0.4 * np.std(enlarged - whole)
