"""Bokeh evaluation: every layout is read, every protocol gives the number worked out by hand, runs go on."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import bokeh_samples as samples
import numpy as np
import pytest

from deeplens_dof import cli
from deeplens_dof.evaluate.bokeh import blb, ebb, realbokeh, traced
from deeplens_dof.evaluate.bokeh import measure as bokeh
from deeplens_dof.evaluate.bokeh.measure import BenchmarkRun, Case, measure
from deeplens_dof.evaluate.bokeh.report import bokeh_markdown, bokeh_report
from deeplens_dof.evaluate.bokeh.score import BENCHMARKS, BokehOptions, score_bokeh
from deeplens_dof.evaluate.metrics import edge_band, maximum_filter, psnr, rmse, ssim, ssim_map
from deeplens_dof.lens_blur.render import RENDERERS
from deeplens_dof.optics.inverse_depth import InverseDepth

ROOT = Path(__file__).parents[2]


@pytest.fixture
def renderings(monkeypatch) -> list[np.ndarray]:
    """A renderer `by_coc`, input * (1 + coc_px / 100), and the CoC of each time that it was asked."""
    asked: list[np.ndarray] = []

    def by_coc(rgb, coc_px, aperture, threads, lens_points):
        asked.append(coc_px)
        return rgb * (1 + coc_px[..., None] / 100)

    monkeypatch.setitem(RENDERERS, "by_coc", by_coc)
    return asked


@pytest.fixture
def known_depth(monkeypatch) -> np.ndarray:
    """What the network would say: near on the left, far on the right."""
    values = np.where(np.arange(samples.WIDTH) < 12, 1.0, 0.0).astype(np.float32)[None]
    depth = InverseDepth(values.repeat(samples.HEIGHT, 0), "relative")
    monkeypatch.setattr(ebb, "predict_depth", lambda rgb: depth)
    monkeypatch.setattr("deeplens_dof.depth.predict.predict_scene", lambda rgb: (depth, None))
    return depth.values


@pytest.fixture
def deeplens(capfd, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEEPLENS_CACHE", str(tmp_path / "cache"))

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            cli.main([str(each) for each in arguments])
        said = capfd.readouterr()
        assert "Traceback" not in said.err
        return int(end.value.code or 0), said.out, said.err

    return run


def forget_scenes() -> None:
    for cached in (blb._scene, realbokeh._scene, traced._scene):
        cached.cache_clear()


@pytest.fixture(autouse=True)
def _no_scene_of_another_test():
    forget_scenes()


def rows_of(name: str, folder: Path, *renderers: str, **options) -> list[bokeh.Row]:
    return measure(BenchmarkRun(BENCHMARKS[name], folder, renderers, **options))


def test_a_picture_is_as_near_to_itself_as_can_be() -> None:
    picture = samples.shades()
    assert psnr(picture, picture, 1) == 100
    assert rmse(picture, picture, 1) == 0
    assert ssim(picture, picture, 1) == pytest.approx(1)


def test_known_errors_have_their_known_scores() -> None:
    truth = np.full((12, 12, 3), 100, np.uint8)
    wrong = truth.copy()
    wrong[:6] += 51  # 0.2 of the peak in half of the picture: a mean square of 0.02
    half = np.arange(12)[:, None].repeat(12, 1) < 6
    assert psnr(wrong, truth, 255) == pytest.approx(-10 * np.log10(0.02))
    assert psnr(wrong, truth, 255, half) == pytest.approx(-20 * np.log10(0.2))
    assert psnr(wrong, truth, 255, ~half) == 100
    assert np.isnan(psnr(wrong, truth, 255, half & ~half))
    assert rmse(wrong, truth, 255) == pytest.approx(0.02**0.5)
    flat = ssim(truth, truth + np.uint8(51), 255)  # of flat pictures only the first factor is left
    c1 = (0.01 * 255) ** 2
    assert flat == pytest.approx((2 * 100 * 151 + c1) / (100**2 + 151**2 + c1))
    with pytest.raises(ValueError, match="expected one shape"):
        psnr(wrong, truth[1:], 255)
    with pytest.raises(ValueError, match="at least 11 a side for SSIM"):
        ssim(truth[:10], truth[:10], 255)


def test_ssim_is_that_of_scikit_image() -> None:
    structural_similarity = pytest.importorskip("skimage.metrics").structural_similarity
    rng = np.random.default_rng(1)
    a = rng.integers(0, 256, (23, 31, 3), np.uint8)
    b = np.clip(a + rng.normal(0, 30, a.shape), 0, 255).astype(np.uint8)
    shared = {"channel_axis": 2, "data_range": 255, "full": True}
    mean, per_pixel = structural_similarity(a, b, **shared)
    assert ssim(a, b, 255, "uniform") == pytest.approx(mean, abs=1e-12)
    np.testing.assert_allclose(ssim_map(a, b, 255, "uniform"), per_pixel, atol=1e-12)
    wang = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    mean, per_pixel = structural_similarity(a, b, **shared, **wang)
    assert ssim(a, b, 255) == pytest.approx(mean, abs=1e-12)
    np.testing.assert_allclose(ssim_map(a, b, 255), per_pixel, atol=1e-12)


@pytest.mark.parametrize("radius", [0, 1, 2, 3, 7, 40])
def test_the_largest_value_nearby_is_found_at_borders_too(radius: int) -> None:
    values = np.random.default_rng(2).random((9, 14)).astype(np.float32)
    found = maximum_filter(values, radius)
    for y, x in ((0, 0), (4, 7), (8, 13), (8, 0)):
        window = values[max(0, y - radius) : y + radius + 1, max(0, x - radius) : x + radius + 1]
        assert found[y, x] == window.max()
    np.testing.assert_array_equal(maximum_filter(values > 0.9, radius), maximum_filter(values, radius) > 0.9)


def test_the_circle_of_confusion_of_blb_is_worked_out_from_its_info(tmp_path) -> None:
    samples.blb(tmp_path)
    info = blb.read_info(tmp_path / "cups" / "info.json")
    on_far, on_near = (blb.coc_px(samples.DEPTH_M, info, 1, focus) for focus in (0, 1))
    assert on_far[0, [0, -1]].tolist() == [2, 0]  # 8 px m * (1/2 - 1/4)
    assert on_near[0, [0, -1]].tolist() == [0, -2]


def test_blb_is_scored_as_gamma_pictures_level_by_level(tmp_path, renderings) -> None:
    folder = samples.blb(tmp_path, error=0.1)
    rows = rows_of("blb", folder, "none", "by_coc")
    assert [row.renderer for row in rows] == ["none", "by_coc"] * 6
    assert {row.group for row in rows} == {"L1", "L2", "L3"}
    for row in rows[::2]:
        assert row.scores["psnr"] == pytest.approx(20, abs=1e-3)  # 0.1 everywhere
        assert row.scores["ssim"] < 1
        assert row.scores["lpips"] is None
    assert [float(np.abs(coc).max()) for coc in renderings] == [1, 1, 2, 2, 4, 4]
    forget_scenes()
    perfect = rows_of("blb", samples.blb(tmp_path / "exact"), "none")
    assert {row.scores["psnr"] for row in perfect} == {100}


def test_what_is_wrong_in_a_folder_of_blb_is_named_and_skipped_or_refused(tmp_path) -> None:
    folder = samples.blb(tmp_path, scenes=("cups", "lamps", "trees"))
    (folder / "cups" / "bokeh_01_00.exr").unlink()
    (folder / "cups" / "bokeh_07_00.exr").write_bytes(b"")
    (folder / "cups" / "preview.jpg").write_bytes(b"any")
    whole = (folder / "cups" / "bokeh_02_01.exr").read_bytes()
    (folder / "cups" / "bokeh_02_01.exr").write_bytes(whole[: len(whole) // 2])
    (folder / "cups" / "bokeh_00_00.exr").write_text("no picture")
    (folder / "lamps" / "info.json").write_text('{"resolution_x": 24}')
    (folder / "trees" / "depth.exr").unlink()
    told: list[str] = []
    rows = rows_of("blb", folder, "none", tell=told.append)
    skipped = [text for text in told if text.startswith("skipped")]
    assert {row.picture for row in rows} == {"cups/bokeh_00_01", "cups/bokeh_01_01", "cups/bokeh_02_00"}
    assert len(skipped) == 6
    for part in (
        "bokeh_01_00.exr is missing",
        "bokeh_07_00.exr does not belong here",
        "bokeh_02_01.exr is a damaged",
        "bokeh_00_00.exr is no EXR file",
        "lacks resolution_y, focus_distances, blur_parameters",
        "trees holds 1 EXR pictures that are all in focus and 0 of depth",
    ):
        assert any(part in text for text in skipped), part
    with pytest.raises(ValueError, match="bokeh_07_00"):
        rows_of("blb", folder, "none", on_error="refuse")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"focus_distances": [4.0, 0.0]}, "numbers above 0"),
        ({"blur_parameters": "4"}, "numbers above 0"),
        ({"resolution_x": 999}, "expected 999 x 20 as info.json says"),
    ],
)
def test_an_info_that_does_not_fit_is_said(tmp_path, change, said) -> None:
    folder = samples.blb(tmp_path)
    (folder / "cups" / "info.json").write_text(json.dumps(samples.INFO | change))
    with pytest.raises(ValueError, match=said):
        rows_of("blb", folder, "none", on_error="refuse")


def test_the_best_blur_is_found_between_those_tried() -> None:
    asked: list[float] = []

    def likeness(blur: float) -> float:
        asked.append(blur)
        return -abs(blur - 17.0)

    assert bokeh.best_blur(likeness, 0.5, 80.0) == pytest.approx(17, rel=0.06)
    assert len(asked) == len(set(asked)) <= 1 + bokeh.TRIED + 2 * bokeh.REFINED
    assert bokeh.best_blur(lambda blur: -blur, 0.5, 80.0) == 0
    assert bokeh.best_blur(lambda blur: blur, 0.5, 80.0) == pytest.approx(80, rel=0.1)


def test_ebb_searches_the_blur_that_fits_its_truth_best(tmp_path, renderings, known_depth) -> None:
    from deeplens_dof.imaging.color import linear_to_srgb, srgb_to_linear

    sharp = srgb_to_linear((samples.shades() * 255).astype(np.uint8))
    true_blur = 2.0  # the focus lies on the far half, so that the near half has this CoC
    truth = linear_to_srgb(sharp * (1 + true_blur * known_depth[..., None] / 100))
    folder = samples.ebb(tmp_path, ("1", "2"), truth)
    rows = rows_of("ebb400", folder, "none", "by_coc")
    assert len(rows) == 4
    for none, found in zip(rows[::2], rows[1::2], strict=True):
        assert none.scores["blur_px"] is None
        assert found.scores["blur_px"] == pytest.approx(true_blur, rel=0.25)
        assert found.scores["psnr"] > none.scores["psnr"] + 6
        assert found.scores["ssim"] > none.scores["ssim"]


def test_what_is_wrong_in_a_folder_of_ebb_is_named(tmp_path, renderings, known_depth) -> None:
    rgb = (samples.shades() * 255).astype(np.uint8)
    folder = samples.ebb(tmp_path, ("1", "2", "3", "4"), rgb)
    (folder / "bokeh" / "1.png").unlink()
    (folder / "bokeh" / "notes.txt").write_text("any")
    samples.save(folder / "bokeh" / "2.png", rgb[1:])
    (folder / "focus.csv").write_text("name,x,y\n1,0.5,0.5\n2,0.5,0.5\n3,0,1\n")
    told: list[str] = []
    rows = rows_of("ebb400", folder, "none", tell=told.append)
    assert [row.picture for row in rows] == ["3"]
    said = " ".join(text for text in told if text.startswith("skipped"))
    for part in (
        "1.png has no other half",
        "4.png has no focus",
        "notes.txt does not belong here",
        "24 x 19 pixels",
    ):
        assert part in said
    (folder / "focus.csv").write_text("name,x,y\n1,0.5,1.5\n")
    with pytest.raises(ValueError, match=r"line 2 of .*focus\.csv is '1,0.5,1.5', expected a name and x, y"):
        rows_of("ebb400", folder, "none")
    (folder / "focus.csv").write_text("photo;x;y\n")
    with pytest.raises(ValueError, match="expected 'name,x,y'"):
        rows_of("ebb400", folder, "none")
    (folder / "focus.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no .*focus\.csv"):
        rows_of("ebb400", folder, "none")


def test_realbokeh_gives_the_real_f_number_to_the_renderer(tmp_path, renderings, known_depth) -> None:
    folder = samples.realbokeh(tmp_path, (2.0, 4.0))
    rows = rows_of("realbokeh", folder, "none", "by_coc")
    assert [row.group for row in rows[::2]] == ["f/2.0", "f/4.0"]
    assert rows[0].scores["psnr"] == pytest.approx(20 * np.log10(255 / 10))
    strong, weak = renderings
    np.testing.assert_allclose(strong, 2 * weak, rtol=1e-5)
    assert np.abs(strong).max() > 0
    report = bokeh_report(BenchmarkRun(BENCHMARKS["realbokeh"], folder, ("none",)), rows)
    assert [(row["set"], row["samples"]) for row in report["bokeh"]] == [
        ("f/2.0", 1), ("f/4.0", 1), ("all", 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"target_avs": [2.0]}, "target_images with as many target_avs"),
        ({"target_avs": [2.0, "wide"]}, "names the f-number 'wide'"),
        ({"source_image": "../../secret.png"}, "expected a path inside that folder"),
        ({"source_image": "in/8.png"}, "8.png is missing"),
        ({"target_images": ["gt/7_f2.0.png", "gt/7_f9.png"]}, "7_f9.png is missing"),
    ],
)
def test_metadata_of_realbokeh_that_is_wrong_is_said(tmp_path, facts, said, known_depth) -> None:
    folder = samples.realbokeh(tmp_path, (2.0, 4.0))
    path = folder / "test" / "metadata" / "7.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))
    with pytest.raises(ValueError, match=said):
        rows_of("realbokeh", folder, "none", on_error="refuse")


def test_traced_scenes_are_scored_as_the_benchmark_scores_them(tmp_path) -> None:
    rows = rows_of("traced", samples.traced(tmp_path), "none")
    assert [(row.picture, row.group) for row in rows] == [("shelf/L1_F1", "L1"), ("shelf/L2_F1", "L2")]
    assert rows[1].scores["psnr"] == rows[1].scores["edge"] == 100
    assert rows[0].scores["edge"] is None, "a step of 1 px is no occlusion edge"
    published = json.loads((ROOT / "benchmarks" / "results" / "quality.json").read_text())["rows"]
    stored = next(
        row
        for row in published
        if (row["method"], row["scene"], row["level"], row["focus"]) == ("none", "desk", 1, 1)
    )
    first = rows_of("traced", ROOT / "benchmarks" / "scenes", "none", limit=1)[0]
    assert first.picture == "desk/L1_F1"
    for name in ("psnr", "edge", "ssim", "edge_ssim"):
        assert first.scores[name] == pytest.approx(stored[name], abs=2e-3)


def test_traced_scenes_with_broken_files_are_named(tmp_path) -> None:
    folder = samples.traced(tmp_path)
    (folder / "shelf" / "L1_F1.png").unlink()
    (folder / "shelf" / "disp.npz").write_bytes(b"PK\x03\x04 no archive")
    (folder / "other").mkdir()
    (folder / "other" / "meta.json").write_text('{"images": [{"name": "a.png"}]}')
    told: list[str] = []
    with pytest.raises(ValueError, match="no picture of"):
        rows_of("traced", folder, "none", tell=told.append)
    said = " ".join(told)
    for part in (
        "L1_F1.png is missing",
        "disp.npz is not an .npz file with disp",
        "names no images with name",
    ):
        assert part in said


def pair(seed: int = 2, held_out: bool = True, error: float = 0.0, shape: str = "disc", near_px: float = 6.0):
    """A pair whose truth is its input, brighter by `error` in sRGB; its near half stands `near_px` out of focus."""
    from deeplens_dof.datasets.pairs import Pair
    from deeplens_dof.imaging.color import srgb_to_linear

    coc = (
        np.where(np.arange(samples.WIDTH) < 12, near_px, 0.0)
        .astype(np.float32)[None]
        .repeat(samples.HEIGHT, 0)
    )
    codes = np.rint(samples.shades() * 255) / 255
    facts = {"seed": seed, "index": 0, "held_out": held_out, "shape": shape, "focus": 0.0, "blur_px": near_px}
    light, truth = (srgb_to_linear(each.astype(np.float32)) for each in (codes, codes + error))
    return Pair(light, truth, coc, (coc == 0).astype(np.uint8), facts)


def test_composed_pairs_are_scored_in_srgb_with_both_inputs(deeplens, tmp_path) -> None:
    made = pair(error=0.1)
    from deeplens_dof.datasets.pairs import pair_path, write_pair

    write_pair(pair_path(tmp_path / "p", 0), made)
    (tmp_path / "p" / "000" / "pair_000001.npz").write_bytes(b"nothing")
    code, out, err = deeplens("evaluate", "pairs", "p", "--renderer", "none", "--json", "e.json")
    assert code == 0
    assert err.count("pair_000001.npz is not a pair") == 2
    rows = json.loads((tmp_path / "e.json").read_text())["bokeh"]
    assert [row["set"] for row in rows] == ["8-bit input", "linear input"]
    for row in rows:
        assert row["rmse"] == pytest.approx(0.1, rel=2e-3)  # float16 on disk
        assert row["psnr"] == pytest.approx(20, abs=0.02)
        assert row["edge"] == pytest.approx(20, abs=0.02)
    assert "| linear input | 1 | none | 20.0" in out
    perfect = pair()
    (tmp_path / "p" / "000" / "pair_000001.npz").unlink()
    write_pair(pair_path(tmp_path / "p", 0), perfect)
    assert deeplens("evaluate", "pairs", "p", "--renderer", "none", "--json", "e.json")[0] == 0
    assert json.loads((tmp_path / "e.json").read_text())["bokeh"][1]["rmse"] < 1e-3


def test_slight_blur_is_scored_apart(deeplens, tmp_path) -> None:
    slight, strong = pair(error=0.1, near_px=7.0), pair(error=0.2, near_px=7.5)
    from deeplens_dof.datasets.pairs import pair_path, write_pair

    for index, made in enumerate((slight, strong)):
        write_pair(pair_path(tmp_path / "p", index), made)
    assert deeplens("evaluate", "pairs", "p", "--renderer", "none", "--json", "e.json")[0] == 0
    for row in json.loads((tmp_path / "e.json").read_text())["bokeh"]:
        assert row["rmse"] == pytest.approx(0.15, rel=2e-3)
        assert row["rmse_slight"] == pytest.approx(0.1, rel=2e-3)
        assert row["psnr_slight"] == pytest.approx(20, abs=0.02)


def test_a_renderer_that_knows_discs_alone_is_scored_with_them(deeplens, tmp_path, monkeypatch) -> None:
    made = pair(shape="blades:6")
    from deeplens_dof.datasets.pairs import pair_path, write_pair

    write_pair(pair_path(tmp_path / "p", 0), made)
    asked = {}
    for name in ("paper", "optical"):

        def spy(rgb, coc_px, aperture, threads, lens_points, name=name):
            asked[name] = aperture.kind
            return rgb

        monkeypatch.setitem(RENDERERS, name, spy)
    assert deeplens("evaluate", "pairs", "p", "--renderer", "paper", "--renderer", "optical")[0] == 0
    assert asked == {"paper": "disc", "optical": "blades"}


def test_with_light_every_renderer_gets_reconstructed_highlights(monkeypatch, renderings) -> None:
    monkeypatch.setattr(bokeh, "reconstruct_highlights", lambda rgb, amount, threads: rgb * 3)
    rgb = np.full((4, 6, 3), 1.0, np.float32)
    case = Case(rgb, np.full((4, 6), 5.0, np.float32), rgb)
    run = BenchmarkRun(BENCHMARKS["pairs"], Path(), ())
    plain, lit = (bokeh._rendered(run, case, name)[1] for name in ("by_coc", "by_coc+light"))
    assert plain == pytest.approx(1.05)
    assert lit == pytest.approx(3 * 1.05)
    brighter = Case(2 * rgb, case.coc_px, rgb)  # light above white is there already
    assert bokeh._rendered(run, brighter, "by_coc+light")[1] == pytest.approx(2.1)


def test_the_synthetic_benchmark_takes_its_own_split_alone(deeplens, tmp_path) -> None:
    made = pair()
    from deeplens_dof.datasets.pairs import pair_path, write_pair

    write_pair(pair_path(tmp_path / "p", 0), made)
    write_pair(pair_path(tmp_path / "p", 1), pair(seed=1))
    write_pair(pair_path(tmp_path / "p", 2), pair(held_out=False))
    code, out, err = deeplens("evaluate", "synthetic", "p", "--renderer", "none")
    assert code == 0
    assert "| linear input | 1 | none |" in out
    assert "pairs 0 to 199 of seed 2, held_out True, version" in out
    assert err.count("pair_000001.npz is of seed 1, not 2; expected pairs of this release's") == 2
    assert err.count("pair_000002.npz is of held_out False, not True") == 2
    code, out, err = deeplens("evaluate", "synthetic", "--renderer", "none")
    assert (code, out) == (1, "")
    assert "assets" in err.splitlines()[-1]


def test_a_run_goes_on_where_it_was_stopped(tmp_path, renderings) -> None:
    folder = samples.blb(tmp_path / "blb")
    table = tmp_path / "scores.csv"

    def run(resume: bool, limit: int | None = None) -> dict:
        wanted = BokehOptions(("none", "by_coc"), table, resume, limit=limit)
        return score_bokeh(BENCHMARKS["blb"], folder, wanted)

    whole = run(False)
    assert len(renderings) == 6
    lines = table.read_text().splitlines(keepends=True)
    assert len(lines) == 13
    table.write_text("".join(lines[:8]) + lines[8][:20])  # killed while a row was written
    again = run(True)
    assert len(renderings) == 6 + 3
    names = ("set", "method", "samples", "psnr", "ssim")
    assert [[row[name] for name in names] for row in again["bokeh"]] == [
        [row[name] for name in names] for row in whole["bokeh"]
    ]
    assert sorted(row[:3] for row in csv.reader(table.open())) == sorted(row[:3] for row in csv.reader(lines))
    with pytest.raises(ValueError, match=r"scores\.csv already exists; continue it with --resume"):
        run(False)
    with pytest.raises(ValueError, match="has the columns"):
        score_bokeh(BENCHMARKS["traced"], folder, BokehOptions(("none",), table, True))
    table.write_text("".join(lines[:3]) + "blb,none,x,L1,good,,,\n")
    with pytest.raises(ValueError, match=r"line 4 of .*scores\.csv is not a row of blb"):
        run(True)


def test_a_table_that_cannot_be_written_ends_the_run(tmp_path, monkeypatch) -> None:
    folder = samples.blb(tmp_path / "blb")

    def full(self, row) -> None:
        raise OSError("no space left on the disk")

    monkeypatch.setattr("deeplens_dof.evaluate.bokeh.score_table.ScoreTable.add", full)
    told: list[str] = []
    wanted = BokehOptions(("none",), tmp_path / "s.csv", tell=told.append)
    with pytest.raises(OSError, match="no space left"):
        score_bokeh(BENCHMARKS["blb"], folder, wanted)
    assert not [text for text in told if text.startswith("skipped")]


def test_lpips_is_measured_with_a_network_of_the_user_alone(tmp_path, deeplens) -> None:
    onnx = pytest.importorskip("onnx", reason="making a network needs onnx: pip install '.[learn]'")
    from onnx import TensorProto, helper

    size = ["n", 3, "h", "w"]
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, size) for name in ("a", "b")]
    distance = helper.make_tensor_value_info("distance", TensorProto.FLOAT, [1, 1, 1, 1])
    nodes = [
        helper.make_node("Sub", ["a", "b"], ["difference"]),
        helper.make_node("Abs", ["difference"], ["size"]),
        helper.make_node("ReduceMean", ["size"], ["distance"], keepdims=1),
    ]
    graph = helper.make_graph(nodes, "mean difference", values, [distance])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8),
        str(tmp_path / "lpips.onnx"),
    )
    samples.blb(tmp_path / "blb", error=0.1)
    asked = ("evaluate", "blb", "blb", "--renderer", "none", "--csv", "s.csv", "--limit", 2)
    code, out, _ = deeplens(*asked)
    assert code == 0
    assert "not measured" in out
    code, out, _ = deeplens(*asked, "--resume", "--lpips", "lpips.onnx")
    assert code == 0
    assert "not measured" not in out
    assert "| 0.2000 |" in out  # 0.1 of 0..1 is 0.2 of -1..1
    assert "LPIPS by lpips.onnx, SHA-256" in out
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    code, out, err = deeplens("evaluate", "blb", "blb", "--lpips", "broken.onnx")
    assert (code, out) == (1, "")
    assert "broken.onnx is not a network that can be opened" in err


def test_the_command_prints_what_it_writes(deeplens, tmp_path) -> None:
    samples.blb(tmp_path / "blb", error=0.1)
    code, out, err = deeplens(
        "evaluate", "blb", "blb", "--renderer", "none", "--json", "e.json", "--report", "e.md", "--csv", "e.csv",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert (tmp_path / "e.md").read_text() == out
    assert "| L3 | 2 | none | 20.00 |" in out
    report = json.loads((tmp_path / "e.json").read_text())
    assert report["machine"]["cores"] >= 1
    assert report["versions"]["numpy"] == np.__version__
    assert bokeh_markdown(report) == out
    with (tmp_path / "e.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["picture"] for row in table][:2] == ["cups/bokeh_00_00", "cups/bokeh_00_01"]
    assert {row["lpips"] for row in table} == {""}
    assert float(table[0]["psnr"]) == pytest.approx(20, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["blb", "here", "--renderer", "magic"], 2, "there is no renderer 'magic'; there are: none, optical"),
        (["blb"], 2, "evaluate blb takes one folder, 0 were given"),
        (["blb", "here", "there"], 2, "takes one folder, 2 were given"),
        (["blb", "here", "--resume"], 2, "--resume continues the file of --csv; name it"),
        (["blb", "here", "--stages"], 2, "--stages does not go with blb"),
        (["depth", "here", "--renderer", "none"], 2, "--renderer does not go with depth"),
        (["bokeh"], 2, "the benchmarks are: depth, blb, ebb400, realbokeh, synthetic, pairs, traced"),
        (["blb", "missing"], 1, "there is no folder 'missing', expected one of blb: SCENE/info.json"),
        (["blb", "here"], 1, "here holds no pictures of blb, expected SCENE/info.json"),
        (["ebb400", "here"], 1, "here holds no pictures of ebb400, expected original/NAME.jpg"),
        (["realbokeh", "here"], 1, "here holds no pictures of realbokeh, expected metadata"),
        (["traced", "here"], 1, "here holds no pictures of traced, expected SCENE/meta.json"),
        (["blb", "here", "--lpips", "no.onnx"], 1, "there is no network at 'no.onnx'"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_what_cannot_be_done_is_one_sentence(deeplens, tmp_path, arguments, code, said) -> None:
    (tmp_path / "here").mkdir()
    ended = deeplens("evaluate", *arguments)
    assert ended[:2] == (code, "")
    assert len(ended[2].splitlines()) == 1
    assert said in ended[2]


@pytest.fixture
def make_blb_like(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools" / "data"))
    import make_blb_like

    return make_blb_like


def test_a_set_made_like_blb_follows_its_formulas(make_blb_like, tmp_path) -> None:
    from deeplens_dof.optics.thin_lens import Lens

    depth = np.linspace(1.5, 12, 1920 * 2, dtype=np.float32).reshape(2, 1920)
    facts = make_blb_like.info(depth, 0.035, 0.036, 5, 10)
    path = tmp_path / "info.json"
    path.write_text(json.dumps(facts))
    info = blb.read_info(path)
    assert (info.width, info.height) == (1920, 2)
    assert info.focus_distances[0] == pytest.approx(12)
    assert info.focus_distances[9] == pytest.approx(1.5)
    steps = np.diff(1 / np.array(info.focus_distances))
    np.testing.assert_allclose(steps, (1 / 1.5 - 1 / 12) / 9, rtol=1e-5)
    for level, radius in enumerate((10, 20, 30, 40, 50)):
        assert np.abs(blb.coc_px(depth, info, level, 0)).max() == pytest.approx(radius, rel=1e-5)
        assert np.abs(blb.coc_px(depth, info, level, 9)).max() == pytest.approx(radius, rel=1e-5)
        lens = Lens(35, facts["f_stops"][level])
        assert lens.blur_px(1920) == pytest.approx(info.blur_parameters[level])
    half = make_blb_like.info(depth[:, ::2], 0.035, 0.036, 5, 10)
    assert half["blur_parameters"][0] == pytest.approx(info.blur_parameters[0] / 2, rel=1e-3)
    assert half["f_stops"][0] == pytest.approx(facts["f_stops"][0], rel=1e-3), "of the same lens"
    with pytest.raises(SystemExit, match="one and the same depth"):
        make_blb_like.blur_parameters(np.ones((2, 2), np.float32), (10,))


def test_without_blender_one_sentence_says_what_to_do(make_blb_like, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "bpy", None)
    with pytest.raises(SystemExit, match=r"needs Blender's Python module .* run pip install bpy"):
        make_blb_like.blender()


def test_the_band_is_empty_without_a_step() -> None:
    assert not edge_band(np.zeros((5, 5), np.float32)).any()
