"""A portrait of a phone through the product: its depth, matte, focus and aperture are used, unless told otherwise."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import photo_samples as samples
import pytest

import deeplens_dof as dl
from deeplens_dof import cli, pipeline
from deeplens_dof.depth import embedded_check
from deeplens_dof.photo.embedded_depth import EmbeddedDepth
from deeplens_dof.photo.metadata.xmp import recorded_settings

HEIGHT, WIDTH = 240, 320
ROWS, COLUMNS = HEIGHT // 2, WIDTH // 2


def codes(rows: int = ROWS, columns: int = COLUMNS) -> np.ndarray:
    """A slope, and a near thing in its middle. (rows, columns) uint8."""
    values = np.repeat(np.linspace(0, 120, columns)[None], rows, 0)
    values[rows // 4 : -rows // 4, columns // 4 : -columns // 4] = 250
    return np.rint(values).astype(np.uint8)


def phone_photo(rows: int = ROWS, columns: int = COLUMNS, **more: Any) -> dl.Photo:
    """The photo as the reader of HEIC gives it, without a file."""
    depth = dl.InverseDepth(codes(rows, columns).astype(np.float32) / 255, "relative")
    return dl.Photo(samples.picture(HEIGHT, WIDTH), depth=EmbeddedDepth(depth, "HEIC depth image", **more))


@pytest.mark.parametrize("asked", ["embedded", "auto"])
def test_embedded_depth_is_used_with_its_matte_and_focus(asked: str) -> None:
    matte = (codes() > 200).astype(np.float32)
    scene = dl.analyse(phone_photo(matte=matte, focus=(0.2, 0.9)), asked)
    assert scene.depth_source == "embedded"
    assert scene.inverse_depth.shape == (HEIGHT, WIDTH)
    assert scene.subject == (0.2, 0.9)
    assert scene.matte is not None
    assert scene.matte.shape == (HEIGHT, WIDTH)
    assert (scene.matte[HEIGHT // 2, WIDTH // 2], scene.matte[0, 0]) == (1, 0)
    values = scene.inverse_depth.values
    assert values[HEIGHT // 2, WIDTH // 2] == 1
    assert values[HEIGHT // 2, 4] < 0.1
    assert (values.min(), values.max()) == (0, 1)


def test_without_focus_the_subject_is_found_in_the_depth() -> None:
    x, y = dl.analyse(phone_photo(), "embedded").subject
    assert 0.25 < x < 0.75
    assert 0.25 < y < 0.75


def test_metres_stay_metres() -> None:
    photo = phone_photo()
    assert photo.depth is not None
    metric = dl.InverseDepth(photo.depth.inverse_depth.values * 2 + np.float32(0.25), "1/m")
    scene = dl.analyse(replace(photo, depth=replace(photo.depth, inverse_depth=metric)), "embedded")
    assert scene.inverse_depth.unit == "1/m"
    assert scene.inverse_depth.values.max() == pytest.approx(2.21, abs=0.01)


def test_predict_predicts_all_the_same() -> None:
    assert dl.analyse(phone_photo(), "predict").depth_source == "predicted"


def test_embedded_where_there_is_none_is_refused_with_the_reason() -> None:
    photo = dl.Photo(samples.picture(HEIGHT, WIDTH), source="a.heic")
    with pytest.raises(ValueError, match=r"^a\.heic holds no depth; say auto, predict or the name"):
        dl.analyse(photo, "embedded")
    with pytest.raises(ValueError, match="is damaged"):
        dl.analyse(replace(photo, depth_problem="a.heic holds depth that is damaged"), "embedded")
    with pytest.raises(ValueError, match="aspects differ"):
        dl.analyse(phone_photo(ROWS, ROWS), "embedded")


def test_auto_leaves_depth_that_is_too_coarse() -> None:
    long_side, levels = embedded_check.LEAST_LONG_SIDE_PX, embedded_check.LEAST_LEVELS
    fine = dl.InverseDepth(codes(long_side * 3 // 4, long_side).astype(np.float32), "relative")
    assert embedded_check.flaw(fine, 3000, 4000) is None
    few = np.rint(fine.values / 255 * (levels // 2 - 1))
    flaws = {
        "is only 64 x 48 px": fine.sampled(48, 64),
        "of another aspect": fine.sampled(long_side, long_side),
        "levels": dl.InverseDepth(few, "relative"),
        "the same nearly everywhere": dl.InverseDepth(np.full((120, long_side), 0.5, np.float32), "relative"),
    }
    for words, depth in flaws.items():
        assert words in (embedded_check.flaw(depth, 3000, 4000) or ""), words
    assert embedded_check.flaw(fine.sampled(48, 64), 48, 64) is None, "as fine as the photo itself"
    assert dl.analyse(phone_photo(12, 16), "auto").depth_source == "predicted"


def test_the_phones_aperture_is_the_default_and_the_users_wins() -> None:
    photo = phone_photo(f_number=4.5)
    assert dl.blur(photo).settings.f_number == 4.5
    assert dl.blur(photo, focus=(0.1, 0.1)).settings == dl.Settings(f_number=4.5, focus=(0.1, 0.1))
    assert dl.blur(photo, f_number=2.0).settings.f_number == 2.0
    assert dl.blur(photo, settings=dl.Settings()).settings.f_number == dl.Settings().f_number
    assert dl.blur(replace(photo, depth=None), depth=photo.depth.inverse_depth).settings == dl.Settings()  # type: ignore[union-attr]
    assert pipeline.as_shot(phone_photo(), dl.Settings(f_number=3)).f_number == 3
    for depth in ("embedded", "predict", photo.depth.inverse_depth):  # type: ignore[union-attr]
        scene = dl.analyse(photo, depth)
        assert (
            dl.refocus(scene).settings
            == dl.refocus(dl.preview(scene, 5000)).settings
            == dl.Settings(f_number=4.5)
        )
        assert dl.refocus(scene, dl.Settings()).settings == dl.Settings()


# --- files ---------------------------------------------------------------------------------------------------


@pytest.fixture
def phone_file(tmp_path: Path, monkeypatch: Any) -> Path:
    pytest.importorskip("pillow_heif", reason="HEIC needs pillow-heif: pip install '.[heif]'")
    import heif_files as heif

    monkeypatch.chdir(tmp_path)
    packet = heif.apple_xmp(SimulatedAperture=5.6, Accuracy="relative")
    data = heif.portrait(samples.picture(HEIGHT, WIDTH), codes(), depth_xmp=packet, exif=samples.exif_block())
    (tmp_path / "pug.heic").write_bytes(data)
    return tmp_path / "pug.heic"


def deeplens(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    return int(end.value.code or 0)


def recorded(path: Path) -> dict[str, str]:
    return recorded_settings(dl.read(path).xmp)


def test_the_command_uses_and_records_the_phones_aperture(phone_file: Path, capsys: Any) -> None:
    assert deeplens("blur", "pug.heic", "--json") == 0
    (entry,) = json.loads(capsys.readouterr().out)["photos"]
    assert entry["f_number"] == 5.6
    written = phone_file.with_name("pug-bokeh.heic")
    assert dl.read(written).format == "HEIF"
    assert recorded(written)["f_number"] == "5.6"
    assert dl.read(written).camera.make == "Contax"
    assert deeplens("blur", "pug.heic", "-o", "a.jpg", "--f-number", "1.8", "--depth", "embedded") == 0
    assert recorded(phone_file.with_name("a.jpg"))["f_number"] == "1.8"
    assert dl.blur("pug.heic").settings.f_number == 5.6


def test_the_command_says_why_there_is_no_embedded_depth(phone_file: Path, capsys: Any) -> None:
    dl.Photo(samples.picture()).save("plain.heic")
    assert deeplens("blur", "plain.heic", "-o", "a.heic", "--depth", "embedded") == 1
    said = capsys.readouterr().err
    assert said.count("deeplens: ") == 1
    assert "plain.heic holds no depth; say auto, predict" in said
    assert not Path("a.heic").exists()


def test_folders_of_heic_photos_are_done(phone_file: Path) -> None:
    phone_file.rename(phone_file.with_name("in.HEIC"))
    Path("photos").mkdir()
    Path("in.HEIC").rename("photos/a.HEIC")
    assert deeplens("blur", "photos", "-o", "out") == 0
    assert [path.name for path in Path("out").glob("[!.]*")] == ["a.HEIC"]


def test_the_training_reader_gives_the_same_depth(phone_file: Path) -> None:
    from deeplens_dof.datasets.phone import PHONE_LAYOUT
    from deeplens_dof.datasets.sample import DatasetError, SampleFiles

    one = PHONE_LAYOUT.read(SampleFiles("phone", "pug.heic", (phone_file,)))
    own = dl.read(phone_file).depth
    assert own is not None
    assert one.unit == "relative"
    assert np.array_equal(one.inverse_depth, own.inverse_depth.values)
    assert one.rgb.shape == (ROWS, COLUMNS, 3)
    dl.Photo(samples.picture()).save("plain.heic")
    with pytest.raises(DatasetError, match="holds no depth image"):
        PHONE_LAYOUT.read(SampleFiles("phone", "plain.heic", (Path("plain.heic"),)))


def test_the_service_says_where_the_depth_came_from(phone_file: Path, tmp_path: Path) -> None:
    from deeplens_dof.serve.limits import ServiceLimits
    from deeplens_dof.serve.photo_files import PhotoFiles
    from deeplens_dof.serve.worker import WorkerState, analyse_photo

    state, files = WorkerState(ServiceLimits()), PhotoFiles("a", tmp_path)
    files.photo.write_bytes(phone_file.read_bytes())
    for asked, said in {"auto": "embedded", "embedded": "embedded", "predict": "predicted"}.items():
        assert analyse_photo(state, lambda _: None, files, asked)["depth_source"] == said
    files.photo.write_bytes(dl.Photo(samples.picture()).to_bytes(format="HEIF"))
    with pytest.raises(ValueError, match="holds no depth"):
        analyse_photo(state, lambda _: None, files, "embedded")
