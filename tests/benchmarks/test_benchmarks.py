"""The lens blur's benchmarks: their scores, the other methods and the timed picture, on small things."""

from __future__ import annotations

import mmap
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch) -> None:
    for folder in ("tools/blind_test", "tools/figures", "benchmarks"):
        monkeypatch.syspath_prepend(str(ROOT / folder))


@pytest.fixture
def picture() -> tuple[np.ndarray, np.ndarray]:
    """Linear light and CoC: a ball 6 px out of focus before a slanted wall."""
    y, x = np.mgrid[:60, :80].astype(np.float32)
    ball = np.hypot(x - 40, y - 30) < 15
    rgb = np.random.default_rng(1).random((60, 80, 3), np.float32)
    return np.where(ball[..., None], rgb * 0.3, rgb), np.where(ball, 6, y / 20).astype(np.float32)


def methods() -> list[str]:
    return ["none", "scatter", "discs", "gegl"]


@pytest.mark.parametrize("name", methods())
def test_other_methods_keep_what_is_even_and_leave_their_input_alone(name: str, picture) -> None:
    from others import OTHERS, why_absent

    if why_absent(name):
        pytest.skip(why_absent(name))
    even, coc = np.full((60, 80, 3), np.float32(0.4)), picture[1]
    before = even.copy(), coc.copy()
    blurred = OTHERS[name](even, coc, 2)
    assert blurred.shape == even.shape
    np.testing.assert_allclose(blurred, 0.4, atol=2e-3)
    np.testing.assert_array_equal(before[0], even)
    np.testing.assert_array_equal(before[1], coc)


@pytest.mark.parametrize("name", ["scatter", "discs"])
def test_threads_do_not_change_the_other_methods(name: str, picture) -> None:
    from others import OTHERS

    pytest.importorskip("cv2")
    np.testing.assert_allclose(OTHERS[name](*picture, 1), OTHERS[name](*picture, 3), atol=1e-6)


@pytest.mark.parametrize("name", ["scatter", "discs", "gegl"])
def test_a_point_of_light_becomes_a_disc_of_its_radius(name: str) -> None:
    """The spread of the light, root of the mean squared distance from its centre, is the radius / sqrt 2."""
    from others import OTHERS, why_absent

    if why_absent(name):
        pytest.skip(why_absent(name))
    rgb, radius = np.zeros((61, 61, 3), np.float32), 12.0
    rgb[30, 30] = 100
    spot = OTHERS[name](rgb, np.full((61, 61), np.float32(radius)), 2)[..., 1]
    y, x = np.mgrid[-30:31, -30:31]
    spread = np.sqrt((spot * (x**2 + y**2)).sum() / spot.sum())
    assert spot.sum() == pytest.approx(100, rel=0.01)
    assert spread == pytest.approx(radius / 2**0.5, rel=0.04)


@pytest.mark.parametrize("radius", [0.0, 0.3, 0.99, 1.0, 1.5, 2.5, 20.0])
def test_disc_kernels_have_the_variance_of_a_disc_and_sum_one(radius: float) -> None:
    from others import disc_kernel

    kernel = disc_kernel(radius)
    along = np.arange(len(kernel)) - len(kernel) // 2
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert (kernel.sum(0) * along**2).sum() == pytest.approx(radius**2 / 4, rel=0.1)


def test_scores_of_a_perfect_and_of_a_grey_picture(picture) -> None:
    from truths import Truth, edge_band
    from truths import score_traced as score

    shown = (picture[0] * 255).astype(np.uint8)
    each = Truth("made", 1, 1, *picture, shown, edge_band(picture[1]))
    perfect, grey = score(shown, each), score(np.full_like(shown, 128), each)
    assert perfect == {"psnr": 100.0, "edge": 100.0, "ssim": 1.0, "edge_ssim": 1.0}
    assert all(grey[key] < perfect[key] for key in perfect)


def test_the_band_reaches_as_far_from_a_step_as_the_blur() -> None:
    from truths import edge_band

    coc = np.zeros((9, 60), np.float32)
    coc[:, 30:] = 8
    columns = np.flatnonzero(edge_band(coc)[4])
    assert (columns.min(), columns.max()) == (29 - 8, 30 + 8)
    assert not edge_band(coc / 6).any()


def test_scenes_can_be_chosen() -> None:
    from truths import truths

    chosen = list(truths({2}, scenes={"room"}))
    assert {(each.scene, each.level) for each in chosen} == {("room", 2)}
    assert [each.focus for each in chosen] == [1, 2, 3]
    assert list(truths({9})) == []


@pytest.fixture
def truth(picture):
    from truths import Truth, edge_band

    shown = (picture[0] * 255).astype(np.uint8)
    return Truth("made", 1, 1, *picture, shown, edge_band(picture[1]))


def test_wrong_depth_is_wrong_at_its_borders_alone(truth) -> None:
    pytest.importorskip("cv2")
    from depths import DEPTHS

    coc, far = truth.coc_px, ~truth.band
    made = {name: DEPTHS[name](truth) for name in ("true", "eroded", "dilated", "blurred", "coarse")}
    assert made["true"] is coc
    assert {each.shape for each in made.values()} == {coc.shape}
    assert (made["eroded"] <= coc).all()
    assert (made["dilated"] >= coc).all()
    for name in ("eroded", "dilated", "blurred", "coarse"):
        difference = np.abs(made[name] - coc)
        assert difference.max() > 1, name
        assert difference[far].max() < 0.2, name


def test_predicted_depth_takes_the_scale_and_shift_of_the_truth(truth, monkeypatch) -> None:
    pytest.importorskip("cv2")
    import depths

    monkeypatch.setattr(depths, "_prediction", lambda *_: 0.03 * truth.coc_px + 0.4)
    assert depths.predicted(truth) == pytest.approx(truth.coc_px, abs=1e-4)
    noise = np.random.default_rng(1).random(truth.coc_px.shape, np.float32)
    monkeypatch.setattr(depths, "_prediction", lambda *_: noise)
    wrong = depths.predicted(truth)
    assert wrong.mean() == pytest.approx(truth.coc_px.mean(), abs=1e-3)
    assert ((wrong - truth.coc_px) * noise).mean() == pytest.approx(
        (wrong - truth.coc_px).mean() * noise.mean(), abs=1e-3
    ), "what is left has nothing in common with the prediction"


def test_what_wrong_depth_costs_is_told_for_every_method() -> None:
    pytest.importorskip("cv2")
    from quality import losses

    rows = [
        {"method": method, "depth": depth, "psnr": psnr, "edge": psnr - 5}
        for method, depth, psnr in (
            ("a", "true", 40.0),
            ("a", "coarse", 36.5),
            ("b", "true", 30.0),
            ("b", "coarse", 29.0),
        )
    ]
    assert losses(rows, ["a", "b"], ["true", "coarse"]).splitlines()[2:] == [
        "| a: 40.00 / 35.00 | -3.50 / -3.50 |",
        "| b: 30.00 / 25.00 | -1.00 / -1.00 |",
    ]


def test_the_renderers_there_are_can_be_asked_for_together() -> None:
    pytest.importorskip("cv2")
    from quality import METHODS, chosen

    from deeplens_dof.lens_blur.render import RENDERERS

    assert chosen("none,renderers") == ["none", *RENDERERS]
    assert set(RENDERERS) < set(METHODS)
    with pytest.raises(SystemExit, match="no method 'magic'"):
        chosen("magic")


@pytest.mark.parametrize("megapixels", [0.1, 0.5])
def test_the_timed_picture_is_the_same_at_every_size(megapixels: float) -> None:
    pytest.importorskip("cv2")
    import speed_scene

    rgb, coc = speed_scene.large(megapixels)
    assert coc.size == pytest.approx(megapixels * 1e6, rel=0.01)
    assert rgb.shape == (*coc.shape, 3)
    assert rgb.min() >= 0
    assert np.abs(coc).max() == pytest.approx(1)
    assert (coc > 0.3).mean() == pytest.approx(0.12, abs=0.02), "the share of near things"


def test_the_time_of_gegl_is_read_from_what_it_says() -> None:
    from gegl_command import seconds_of_operation

    said = "Total time: 8.000s\ngegl   100.0% ##\n  process    50.0% ##\n    gegl:lens-blur   25.0% #\n"
    assert seconds_of_operation(said) == pytest.approx(1.0)
    with pytest.raises(RuntimeError, match="did not say"):
        seconds_of_operation("nothing")


def test_what_would_take_too_long_is_left_out() -> None:
    from speed import cell, least_seconds

    small = {"method": "a", "megapixels": 1.0, "radius_percent": 2.0, "median_s": 3.0}
    assert least_seconds([small], {"method": "a", "megapixels": 4.0, "radius_percent": 4.0}) == 12.0
    assert least_seconds([small], {"method": "a", "megapixels": 4.0, "radius_percent": 1.0}) == 0.0
    assert least_seconds([small | {"method": "optical"}], {"method": "optical", "megapixels": 4.0}) == 0.0
    stopped = small | {"skipped": "took too long"}
    del stopped["median_s"]
    assert least_seconds([stopped], {"method": "a", "megapixels": 1.0, "radius_percent": 2.0}) == float("inf")
    assert cell(stopped, None) == "too long"


def test_a_case_that_takes_too_long_is_ended_with_what_it_started(tmp_path) -> None:
    from speed import output_within

    started = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    begun = time.monotonic()
    assert output_within([sys.executable, "-c", started], 0.5) is None
    assert time.monotonic() - begun < 30
    assert output_within([sys.executable, "-c", "print(2)"], 60) == "2\n"
    with pytest.raises(SystemExit, match="sad"):
        output_within([sys.executable, "-c", "raise ValueError('sad')"], 60)


def test_memory_is_that_of_the_case_alone() -> None:
    import speed_case

    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("peaks cannot be forgotten on this system")
    big = np.ones(20_000_000)
    del big
    before = speed_case.resident_mb()
    speed_case.forget_peak()
    held = mmap.mmap(-1, 40 << 20)  # new memory: numpy may be given what the process has held all along
    for page in range(0, len(held), mmap.PAGESIZE):
        held[page] = 1
    assert speed_case.peak_mb() - before == pytest.approx(40, abs=12)


def test_a_sheet_fits_its_limit(tmp_path) -> None:
    import contact_sheet

    noise = np.random.default_rng(2).integers(0, 255, (120, 180, 3), np.uint8)
    sheet = contact_sheet.laid_out([[("a", noise), ("b", noise)], [("c", noise)]], 90)
    contact_sheet.save(sheet, tmp_path / "new" / "sheet.jpg")
    assert 0 < (tmp_path / "new" / "sheet.jpg").stat().st_size <= contact_sheet.MOST_BYTES
    coc = np.array([[-2.0, 0.0, 2.0]], np.float32)
    red, white, blue = contact_sheet.signed(coc)[0].astype(int)
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    assert white.tolist() == [255, 255, 255]


def test_python_finds_no_other_module_of_these_names() -> None:
    import others

    assert Path(sys.modules[others.__name__].__file__).parent == ROOT / "benchmarks"


def test_what_a_cluster_needs_is_computed_from_core_seconds() -> None:
    from sizing import table

    found = {
        "megapixels": 12.0,
        "core_seconds_a_photo": [3.5, 3.6, 9.0],
        "largest_memory_mb": 1500,
        "mean_mb_in_and_out": [4.0, 3.0],
    }
    values = [line.split("|")[2].strip() for line in table(found, 0.05, 1_000_000, 20).splitlines()[2:]]
    assert values == [
        "3.60 core-seconds",
        "1,000",
        "1.50 GB",
        "30 GB",
        "1,000 core-hours",
        "3",
        "50",
        "4.0 and 3.0 TB",
    ]
