"""Readers of measured data: depth of every layout comes out alike; what is broken or foreign is never silent."""

from __future__ import annotations

from pathlib import Path

import data_samples
import numpy as np
import pytest
from data_samples import HEIGHT, HOLE, METRES, WIDTH

from deeplens_dof.datasets.folder import LAYOUTS, open_folder
from deeplens_dof.datasets.sample import DatasetError, sample

NEEDS = {"nyuv2 labelled": "h5py", "megadepth": "h5py"}
DEPTHS = [name for name in data_samples.ALL if name != "masks"]


def made(name: str, folder: Path) -> str:
    """A folder of that layout; its name as KIND:DIR."""
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"{name} needs {NEEDS[name]}: pip install '.[hdf5]'")
    data_samples.ALL[name](folder)
    return f"{name.split()[0]}:{folder}"


@pytest.mark.parametrize("name", DEPTHS)
def test_depth_of_every_layout_is_the_same_plane(name: str, tmp_path: Path) -> None:
    samples = list(open_folder(made(name, tmp_path / "data")).samples())
    assert samples
    for one in samples:
        assert one.rgb.shape == (HEIGHT, WIDTH, 3)
        assert one.inverse_depth.dtype == np.float32
        expected = np.ones((HEIGHT, WIDTH), bool)
        if name != "phone":
            expected[HOLE] = False
        assert (one.known == expected).all()
        assert (one.inverse_depth[~one.known] == 0).all()
        ours, truth = one.inverse_depth[one.known], 1 / METRES[one.known]
        if one.unit == "1/m":
            assert ours == pytest.approx(truth, rel=2e-3)
        else:
            assert ours / ours.max() == pytest.approx(truth, abs=4e-3)


def test_units_are_what_the_sets_measure(tmp_path: Path) -> None:
    units = {"nyuv2": "1/m", "diode": "1/m", "hrwsi": "relative", "rgbd": "1/m", "phone": "1/m"}
    for name, unit in units.items():
        assert next(open_folder(made(name, tmp_path / name)).samples()).unit == unit


@pytest.mark.parametrize("name", data_samples.ALL)
def test_a_folder_tells_its_kind_itself(name: str, tmp_path: Path) -> None:
    kind, _, folder = made(name, tmp_path / "data").partition(":")
    assert open_folder(folder).layout.kind == kind


def test_the_subject_comes_along(tmp_path: Path) -> None:
    for name in ("rgbd", "masks"):
        for one in open_folder(made(name, tmp_path / name)).samples():
            assert one.subject is not None
            assert (one.subject[HOLE] == 1).all()
            assert one.subject.sum() == 6
    assert not one.has_depth


@pytest.mark.parametrize("kind", LAYOUTS)
def test_another_layout_says_what_was_expected_and_found(kind: str, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "README.txt").write_text("nothing of the kind")
    with pytest.raises(
        DatasetError, match=rf"is not laid out as {kind}: expected .*found README.txt, notes/"
    ):
        open_folder(f"{kind}:{tmp_path}")
    with pytest.raises(DatasetError, match="expected a folder"):
        open_folder(f"{kind}:{tmp_path / 'missing'}")


def test_unknown_kinds_and_unknown_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no kind of data 'kitti', expected one of diode"):
        open_folder(f"kitti:{tmp_path}")
    with pytest.raises(DatasetError, match="of no known kind: it holds nothing"):
        open_folder(str(tmp_path))


def break_one(folder: Path, name: str) -> Path:
    """Damages one file of the depth."""
    pattern = {"hrwsi": "gts/*", "rgbd": "depth/*/*.exr", "phone": "two.jpg", "masks": "mask/1.png"}
    pattern |= {
        "diode": "*_depth.npy",
        "nyuv2": "00002_depth.png",
        "megadepth": "1.h5",
        "rgbd in millimetres": "1.png",
    }
    path = next(path for path in sorted(folder.rglob(pattern[name])) if path.is_file())
    path.write_bytes(path.read_bytes()[:60])
    return path


@pytest.mark.parametrize("name", [name for name in data_samples.ALL if name != "nyuv2 labelled"])
def test_a_broken_file_is_named_and_skipped_or_refused(name: str, tmp_path: Path) -> None:
    named = made(name, tmp_path / "data")
    whole = len(open_folder(named).entries)
    broken = break_one(tmp_path / "data", name)
    with pytest.raises(DatasetError, match=broken.name):
        list(open_folder(named).samples())
    told: list[str] = []
    folder = open_folder(named, on_error="skip", tell=told.append)
    assert len(list(folder.samples())) == whole - 1
    assert len(list(folder.samples())) == whole - 1
    assert len(told) == 1, "told once, however often it is read"
    assert told[0].startswith("skipped: ")
    assert broken.name in told[0]


@pytest.mark.parametrize("name", ["diode", "hrwsi", "rgbd", "masks", "nyuv2", "phone"])
def test_a_foreign_file_is_named_and_skipped_or_refused(name: str, tmp_path: Path) -> None:
    named = made(name, tmp_path / "data")
    home = {"hrwsi": "train/imgs", "rgbd": "rgb", "masks": "image"}.get(name, "")
    (tmp_path / "data" / home / "notes.txt").write_text("foreign")
    (tmp_path / "data" / home / ".hidden").write_text("left out")
    with pytest.raises(DatasetError, match=r"notes\.txt"):
        open_folder(named)
    told: list[str] = []
    assert len(list(open_folder(named, on_error="skip", tell=told.append).samples())) > 0
    assert len(told) == 1


def test_a_photo_without_its_depth_is_named(tmp_path: Path) -> None:
    named = made("hrwsi", tmp_path)
    (tmp_path / "train" / "gts" / "1.png").unlink()
    with pytest.raises(DatasetError, match=r"1\.jpg has no partner of its name in gts/;"):
        open_folder(named)


def test_maps_of_another_size_are_fitted_and_of_another_aspect_refused() -> None:
    rgb, depth = data_samples.rgb(size=(40, 60)), np.ones((20, 30), np.float32)
    depth[:, :15] = 2
    one = sample("a", rgb, depth, depth > 1, "1/m")
    assert one.rgb.shape == (20, 30, 3)
    assert set(np.unique(one.inverse_depth)) == {0, 2}
    larger = sample("b", rgb, depth.repeat(4, 0).repeat(4, 1), np.ones((80, 120), bool), "1/m")
    assert larger.inverse_depth.shape == (40, 60)
    with pytest.raises(DatasetError, match="aspects differ"):
        sample("c", rgb, np.ones((30, 30), np.float32), np.ones((30, 30), bool), "1/m")
    with pytest.raises(DatasetError, match="NaN"):
        sample("d", rgb, np.full((20, 30), np.nan, np.float32), depth > 0, "1/m")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_depth_in_a_jpeg_turns_with_its_photo(orientation: int, tmp_path: Path) -> None:
    data_samples.gdepth_jpeg(tmp_path / "a.jpg", orientation=orientation)
    (one,) = open_folder(f"phone:{tmp_path}").samples()
    from deeplens_dof.photo.metadata.orientation import upright

    assert one.inverse_depth == pytest.approx(upright(1 / METRES, orientation), abs=1e-4)
    assert one.rgb.shape[:2] == one.inverse_depth.shape


def test_gdepth_without_bounds_and_photos_without_depth_are_named(tmp_path: Path) -> None:
    data_samples.gdepth_jpeg(tmp_path / "bounds.jpg", near="0")
    data_samples.save(tmp_path / "plain.jpg", data_samples.rgb())
    told: list[str] = []
    assert not list(open_folder(f"phone:{tmp_path}", on_error="skip", tell=told.append).samples())
    assert "bounds.jpg has GDepth of format 'RangeInverse' from 0 to 4.0, expected" in told[0]
    assert "plain.jpg holds no depth map" in told[1]


def test_long_gdepth_in_an_extended_packet_is_joined(tmp_path: Path) -> None:
    from deeplens_dof.photo.metadata import xmp_in_jpeg

    path = data_samples.gdepth_jpeg(tmp_path / "a.jpg")
    whole = path.read_bytes()
    start = whole.index(b"<x:xmpmeta")
    end = whole.index(b"</x:xmpmeta>") + len(b"</x:xmpmeta>")
    padded = whole[start:end].replace(
        b"<rdf:Description", b"<!--" + b" " * 70_000 + b"--><rdf:Description", 1
    )
    main, extended = xmp_in_jpeg.split(padded)
    payload = b"http://ns.adobe.com/xap/1.0/\0" + main
    segment = b"\xff\xe1" + (len(payload) + 2).to_bytes(2, "big") + payload
    before = whole.rindex(b"\xff\xe1", 0, start)
    path.write_bytes(whole[:before] + segment + extended + whole[end:])
    (one,) = open_folder(f"phone:{tmp_path}").samples()
    assert one.inverse_depth == pytest.approx(1 / METRES, abs=1e-4)


def test_an_iphone_photo_gives_its_disparity() -> None:
    pytest.importorskip("pillow_heif", reason="HEIC needs pillow-heif: pip install '.[heif]'")
    from deeplens_dof.datasets.phone import PHONE_LAYOUT
    from deeplens_dof.datasets.sample import SampleFiles
    from deeplens_dof.evaluate.depth.measured_photos import CACHE

    if not (CACHE / "pug.heic").is_file():
        pytest.skip("pug.heic is not there: python tools/data/fetch_evaluation_data.py")
    one = PHONE_LAYOUT.read(SampleFiles("phone", "pug.heic", (CACHE / "pug.heic",)))
    assert one.rgb.shape == (576, 768, 3)
    assert one.unit == "relative"
    assert one.inverse_depth.max() > 0.5


def test_the_white_frame_of_nyu_has_no_label(tmp_path: Path) -> None:
    data_samples.save(tmp_path / "rgb_1.png", data_samples.rgb(size=(480, 640)))
    data_samples.save(tmp_path / "depth_1.png", np.full((480, 640), 2000, np.uint16))
    (one,) = open_folder(f"nyuv2:{tmp_path}").samples()
    assert not one.known[0].any()
    assert one.known[45:471, 41:601].all()
    assert one.known.sum() == 426 * 560


def test_evaluation_pictures_are_refused_for_training_by_name_link_and_folder(tmp_path: Path) -> None:
    named = made("hrwsi", tmp_path / "data")
    for part in ("imgs", "gts", "valid_masks"):
        folder = tmp_path / "data" / "train" / part
        (one,) = folder.glob("1.*")
        one.rename(folder / f"motorcycle_7{one.suffix}")
    assert len(open_folder(named).entries) == 2
    with pytest.raises(DatasetError, match=r"motorcycle_7\.jpg has the name of an evaluation picture"):
        open_folder(named, for_training=True)
    told: list[str] = []
    assert len(open_folder(named, "skip", told.append, for_training=True).entries) == 1
    assert "never trained on" in told[0]
    (tmp_path / "data" / "train").rename(tmp_path / "data" / "val")
    with pytest.raises(DatasetError, match="lies in val/, which is for evaluation"):
        open_folder(named, "skip", for_training=True)
    made("masks", tmp_path / "own")
    (tmp_path / "own" / "image" / "1.jpg").rename(tmp_path / "pug.jpg")
    (tmp_path / "own" / "image" / "1.jpg").symlink_to(tmp_path / "pug.jpg")
    with pytest.raises(DatasetError, match="evaluation picture"):
        open_folder(f"masks:{tmp_path / 'own'}", for_training=True)


def test_a_missing_reader_is_named_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = {name: made(name, tmp_path / name) for name in ("nyuv2 labelled", "megadepth")}
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    for one in named.values():
        with pytest.raises(DatasetError, match=r"pip install 'deeplens-dof\[hdf5\]'"):
            open_folder(one, on_error="skip")
