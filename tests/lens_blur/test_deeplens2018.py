"""The renderer of the 2018 paper: the size at which its network works, pixels it must not change, invisible tiles."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import deeplens_dof as dl
from deeplens_dof.lens_blur.baselines import deeplens2018
from deeplens_dof.models import open_session
from deeplens_dof.optics.aperture import Aperture
from deeplens_dof.optics.inverse_depth import InverseDepth

HEIGHT, WIDTH = 96, 136


class Spied:
    """A session that keeps the CoC it was asked about."""

    def __init__(self, session) -> None:
        self.session, self.asked = session, []

    def run(self, names, feed):
        self.asked.append(feed["coc_px"][0, 0])
        return self.session.run(names, feed)


@pytest.fixture(scope="module")
def untaught(tmp_path_factory):
    """The network as it is before training, whose every weight counts."""
    torch = pytest.importorskip("torch", reason="the school needs torch: pip install '.[learn]'")
    import onnxruntime

    from deeplens_dof.learn.networks.deeplens2018 import PaperLensBlur
    from deeplens_dof.learn.networks.export import export_blur

    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("paper") / "deeplens2018.onnx"
    export_blur(PaperLensBlur(8), path)
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.fixture
def session(untaught, monkeypatch) -> Spied:
    spied = Spied(untaught)
    monkeypatch.setattr(
        deeplens2018,
        "open_session",
        lambda name, threads: spied if name == "paper" else open_session(name, threads),
    )
    monkeypatch.setattr(deeplens2018, "MODELS", {"paper": SimpleNamespace(multiple_px=8)})
    return spied


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(1).random((HEIGHT, WIDTH, 3), np.float32)


def step(shape, near: float, far: float) -> np.ndarray:
    coc = np.full(shape[:2], far, np.float32)
    coc[:, shape[1] // 2 :] = near
    return coc


def rendered(rgb, coc) -> np.ndarray:
    return deeplens2018.render_paper(rgb, coc, Aperture.disc())


def test_what_is_in_focus_comes_back_bit_for_bit(session, picture):
    picture[4, 5] = 3.0
    assert np.array_equal(rendered(picture, np.zeros((HEIGHT, WIDTH), np.float32)), picture)
    assert session.asked == []


def test_other_shapes_than_the_disc_are_refused_in_a_sentence(session, picture):
    with pytest.raises(ValueError, match="knows the disc alone, and the aperture is blades; take the shape"):
        deeplens2018.render_paper(picture, step(picture.shape, 3, 0), Aperture.parse("blades:6"))


def test_light_above_white_counts_as_white(session, picture):
    coc = step(picture.shape, 5.0, -2.0)
    bright = picture.copy()
    bright[20:30, 30:90] = 9.0
    blurred = rendered(bright, coc)
    assert np.array_equal(blurred, rendered(np.minimum(bright, 1), coc))
    assert blurred.max() <= 1


@pytest.mark.parametrize(
    ("near", "size"),
    [
        (7.5, (128, 168)),  # as it is, with 16 px more on all sides
        (7.6, (80, 104)),  # half the size, with that margin, padded to multiples of 8
        (15.0, (80, 104)),
        (30.0, (56, 72)),
        (500.0, (40, 40)),
    ],
)
def test_the_network_works_at_the_size_where_the_blur_fits(session, picture, near, size):
    blurred = rendered(picture, step(picture.shape, near, 0.0))
    (asked,) = session.asked
    assert asked.shape == size
    assert deeplens2018.NETWORK_LARGEST_PX / 2 < asked.max() <= deeplens2018.NETWORK_LARGEST_PX
    assert blurred.shape == picture.shape
    assert blurred.dtype == np.float32
    assert np.isfinite(blurred).all()


@pytest.mark.parametrize("size", [(96, 136), (101, 67), (7, 90), (1, 1)])
@pytest.mark.parametrize("near", [6.0, 15.0, 40.0])
def test_tiles_do_not_show(session, picture, monkeypatch, size, near):
    part = np.ascontiguousarray(np.tile(picture, (2, 1, 1))[: size[0], : size[1]])
    coc = step(part.shape, near, -3.0)
    whole = rendered(part, coc)
    monkeypatch.setattr(deeplens2018, "PAPER_TILE", 32)
    assert rendered(part, coc) == pytest.approx(whole, abs=2e-5)


def test_the_halo_is_as_wide_as_what_the_network_sees(session, picture):
    """A change far away changes nothing; one within the halo does."""
    wide = np.ascontiguousarray(np.tile(picture, (1, 2, 1)))
    coc = step(wide.shape, 6.0, -3.0)
    changed = wide.copy()
    changed[:, 160:168] = 0
    difference = np.abs(rendered(wide, coc) - rendered(changed, coc)).max((0, 2))
    reached = np.flatnonzero(difference)
    assert 20 < 160 - reached.min() <= deeplens2018.PAPER_HALO
    assert 20 < reached.max() - 167 <= deeplens2018.PAPER_HALO


@pytest.fixture
def meadow() -> np.ndarray:
    """Linear light with detail of many sizes, most of it dark."""
    rng = np.random.default_rng(4)
    layers = [
        np.kron(rng.random((128 // cell, 160 // cell, 3)), np.ones((cell, cell, 1))) for cell in (1, 2, 4, 16)
    ]
    return (np.mean(layers, 0) ** 2).astype(np.float32)


@pytest.mark.parametrize("coc_px", [2.0, 4.0, 6.5])
def test_the_shipped_weights_blur_a_plain_surface_as_the_optics_do(meadow, coc_px):
    coc = np.full(meadow.shape[:2], -coc_px, np.float32)
    exact = dl.render(meadow, coc)[16:-16, 16:-16]

    def error(picture: np.ndarray) -> float:
        shown = (dl.linear_to_srgb(each, np.float32) for each in (picture[16:-16, 16:-16], exact))
        return float(np.sqrt(np.square(np.subtract(*shown)).mean()))

    assert error(dl.render(meadow, coc, renderer="paper")) < 0.35 * error(meadow)


@pytest.mark.parametrize("near", [5.0, 24.0])
def test_an_even_picture_stays_even(near):
    even = np.full((HEIGHT, WIDTH, 3), (0.3, 0.2, 0.5), np.float32)
    blurred = dl.render(even, step(even.shape, near, -2.0), renderer="paper")
    difference = dl.linear_to_srgb(blurred, np.float32) - dl.linear_to_srgb(even, np.float32)
    assert np.abs(difference).mean() < 0.01


def test_the_sharp_near_half_gets_no_light_from_behind(meadow):
    """Beside the border, on both sides: nearer to the optical picture than the sharp one is."""
    coc = step(meadow.shape, 0.0, -6.0)
    meadow[:, 80:] *= 0.2
    exact, seen = (dl.render(meadow, coc, renderer=name) for name in ("optical", "paper"))
    beyond = (slice(16, -16), slice(84, 100))
    assert np.abs(seen[beyond] - meadow[beyond]).mean() < 0.01
    before = (slice(16, -16), slice(64, 78))
    assert np.abs(seen[before] - exact[before]).mean() < 0.5 * np.abs(meadow[before] - exact[before]).mean()


def test_the_number_of_threads_does_not_show(picture):
    coc = step(picture.shape, 13.0, -4.0)
    assert dl.render(picture, coc, renderer="paper", threads=1) == pytest.approx(
        dl.render(picture, coc, renderer="paper", threads=2), abs=1e-5
    )


def test_it_is_the_renderer_of_the_settings(picture):
    photo = dl.Photo(dl.linear_to_srgb(picture))
    depth = InverseDepth((step(picture.shape, 1.0, 0.0)), "relative")
    scene = dl.analyse(photo, depth)
    settings = dl.Settings(focus=(0.9, 0.5), f_number=1.0, highlights=0.0, renderer="paper")
    result = dl.refocus(scene, settings)
    assert np.abs(result.coc_px[:, :8]).min() > 1
    assert np.array_equal(result.linear, dl.render(scene.linear, result.coc_px, renderer="paper"))
