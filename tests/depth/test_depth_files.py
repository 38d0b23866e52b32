"""Laws of depth files: what is written comes back, near is larger, nonsense is refused."""

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from deeplens_dof.depth.files import WRITTEN, fit_to, read_depth_file, write_depth_file
from deeplens_dof.optics.inverse_depth import InverseDepth
from deeplens_dof.photo.errors import TooLargeError
from deeplens_dof.photo.limits import COMMAND_LINE_LIMITS


@pytest.fixture
def values() -> np.ndarray:
    made = np.random.default_rng(3).random((31, 47), np.float32)
    made[0, 0], made[0, 1] = 0, 1
    return made


def write_exr(path: Path, planes: np.ndarray, names: tuple[str, ...]) -> None:
    spec = oiio.ImageSpec(planes.shape[1], planes.shape[0], planes.shape[2], oiio.FLOAT)
    spec.channelnames = names
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), spec)
    assert output.write_image(np.ascontiguousarray(planes, np.float32))
    assert output.close()


@pytest.mark.parametrize("kind", [kind for kind in WRITTEN if kind != ".exr"])
def test_relative_depth_comes_back(tmp_path, values, kind):
    path = tmp_path / f"depth{kind}"
    write_depth_file(path, InverseDepth(values, "relative"))
    back = read_depth_file(path)
    assert back.unit == "relative"
    np.testing.assert_allclose(back.values, values, atol=0.51 / 65535)


@pytest.mark.parametrize("kind", WRITTEN)
def test_metric_depth_comes_back_in_inverse_metres(tmp_path, values, kind):
    path = tmp_path / f"depth{kind}"
    write_depth_file(path, InverseDepth(values * 3, "1/m"))
    back = read_depth_file(path)
    assert back.unit == "1/m"
    np.testing.assert_allclose(back.values, values * 3, atol=3 * 0.51 / 65535)


def test_relative_depth_is_placed_in_metres_by_the_nearest_distance(tmp_path, values):
    write_depth_file(tmp_path / "depth.exr", InverseDepth(values, "relative"), nearest_m=2.0)
    back = read_depth_file(tmp_path / "depth.exr")
    assert back.unit == "1/m"
    np.testing.assert_allclose(back.values, values / 2, rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    arrays.arrays(np.float32, (3, 4), elements=st.floats(-50, 50, width=32)),
    st.sampled_from([".png", ".tiff", ".npz"]),
    st.sampled_from(["relative", "1/m"]),
)
def test_any_range_survives(tmp_path_factory, made, kind, unit):
    path = tmp_path_factory.mktemp("range") / f"depth{kind}"
    write_depth_file(path, InverseDepth(made, unit))
    span = max(float(made.max()), 1e-12) - min(float(made.min()), 0)
    np.testing.assert_allclose(read_depth_file(path).values, made, atol=span * 0.52 / 65535 + 1e-5)


@pytest.mark.parametrize("kind", WRITTEN)
@pytest.mark.parametrize("constant", [0.0, 0.5, 1.0])
def test_a_constant_map_of_our_own_comes_back(tmp_path, kind, constant):
    path = tmp_path / f"depth{kind}"
    write_depth_file(path, InverseDepth(np.full((4, 5), constant, np.float32), "relative"))
    np.testing.assert_allclose(read_depth_file(path).values, constant, atol=1e-5)


def test_near_is_bright_in_pictures_and_small_in_metres(tmp_path):
    ramp = InverseDepth(np.tile(np.linspace(0, 1, 9, dtype=np.float32), (3, 1)), "1/m")
    write_depth_file(tmp_path / "depth.png", ramp)
    write_depth_file(tmp_path / "depth.exr", ramp)
    with Image.open(tmp_path / "depth.png") as picture:
        assert picture.mode.startswith("I")
        assert (np.diff(np.asarray(picture).astype(int)[1]) > 0).all()
    metres = oiio.ImageBuf(str(tmp_path / "depth.exr")).get_pixels(oiio.FLOAT)[1, :, 0]
    assert metres[0] == np.inf
    np.testing.assert_allclose(metres[1:], 1 / ramp.values[1, 1:], rtol=1e-6)


@pytest.mark.parametrize("far", [0.0, np.inf, 65504.0, 1e9])
def test_every_way_to_write_infinity_in_metres_is_infinity(tmp_path, far):
    write_exr(tmp_path / "z.exr", np.array([[[2.0], [far]]]), ("Z",))
    np.testing.assert_array_equal(read_depth_file(tmp_path / "z.exr").values, [[0.5, 0.0]])


def test_depth_is_found_beside_colour_in_an_exr(tmp_path):
    write_exr(
        tmp_path / "all.exr", np.dstack([np.full((2, 3, 3), 9.0), np.full((2, 3), 4.0)]), ("R", "G", "B", "Z")
    )
    np.testing.assert_array_equal(read_depth_file(tmp_path / "all.exr").values, 0.25)


@pytest.mark.parametrize("name", ["grey.png", "grey.jpg", "grey.tif", "rgb.png"])
def test_grey_pictures_of_other_programs_are_relative_near_bright(tmp_path, name):
    grey = np.tile(np.arange(40, 200, 4, dtype=np.uint8), (30, 1))
    picture = Image.fromarray(grey)
    (picture.convert("RGB") if name == "rgb.png" else picture).save(tmp_path / name)
    back = read_depth_file(tmp_path / name)
    assert back.unit == "relative"
    assert back.values[:, 0].max() < 0.05
    assert back.values[:, -1].min() > 0.95
    assert (np.diff(back.values[15]) > -0.02).all()


def bad_files(folder: Path) -> dict[str, str]:
    """name -> a part of the sentence it must be refused with."""
    nan, depth = np.full((4, 4), np.nan, np.float32), np.ones((4, 4), np.float32)
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("this is no picture")
    Image.new("L", (8, 8), 90).save(folder / "constant.png")
    Image.new("L", (8, 8), 0).save(folder / "black.png")
    Image.effect_noise((8, 8), 90).convert("RGB").point(list(range(256)) * 2 + [0] * 256).save(
        folder / "colour.png"
    )
    Image.effect_noise((64, 64), 90).save(folder / "whole.png")
    (folder / "cut.png").write_bytes((folder / "whole.png").read_bytes()[:900])
    (folder / "photo.webp").write_bytes((folder / "whole.png").read_bytes())
    write_exr(folder / "nan.exr", nan[..., None], ("Z",))
    write_exr(folder / "negative.exr", -depth[..., None], ("Z",))
    write_exr(folder / "colour.exr", np.ones((4, 4, 3)), ("R", "G", "B"))
    np.savez(folder / "nan.npz", inverse_depth=nan, unit=np.array("1/m"))
    np.savez(folder / "names.npz", near=depth, far=depth)
    np.savez(folder / "unit.npz", inverse_depth=depth, unit=np.array("feet"))
    np.savez(folder / "flat.npz", inverse_depth=depth[0], unit=np.array("1/m"))
    np.savez(folder / "text.npz", inverse_depth=np.array([["a"]]), unit=np.array("1/m"))
    np.savez(folder / "pickle.npz", inverse_depth=np.array([[{}]], object), unit=np.array("1/m"))
    (folder / "cut.npz").write_bytes((folder / "unit.npz").read_bytes()[:200])
    return {
        "empty.png": "is not a PNG",
        "text.png": "is not a PNG",
        "constant.png": "one and the same value",
        "black.png": "one and the same value",
        "colour.png": "colour picture",
        "cut.png": "damaged|cannot be read",
        "photo.webp": "ends in '.webp', expected one of",
        "nan.exr": "16 pixels with NaN",
        "negative.exr": "16 pixels with NaN or negative",
        "colour.exr": "expected Z",
        "nan.npz": "16 pixels with NaN",
        "names.npz": "holds near, far, expected inverse_depth and unit, or depth",
        "unit.npz": "'feet', expected 1/m or relative",
        "flat.npz": r"float32 \(4,\), expected numbers",
        "text.npz": "expected numbers",
        "pickle.npz": "expected numbers",
        "cut.npz": "cannot be read",
    }


def test_what_is_no_depth_is_refused_in_one_sentence(tmp_path):
    for name, sentence in bad_files(tmp_path).items():
        with pytest.raises(ValueError, match=sentence) as caught:
            read_depth_file(tmp_path / name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(FileNotFoundError, match="there is no depth file"):
            read_depth_file(path)


def test_a_file_that_claims_to_be_huge_is_refused_before_it_is_unpacked(tmp_path, values):
    for kind in (".png", ".exr", ".npz"):
        write_depth_file(tmp_path / f"depth{kind}", InverseDepth(values, "relative"))
        with pytest.raises(ValueError, match="47 x 31 px, expected at most 1,000 pixels"):
            read_depth_file(tmp_path / f"depth{kind}", max_pixels=1000)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (200_000, 200_000)}
    )
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as archive:
        archive.writestr("inverse_depth.npy", header.getvalue())
        archive.writestr("unit.npy", b"")
    with pytest.raises(ValueError, match="200,000 x 200,000 px"):
        read_depth_file(tmp_path / "bomb.npz")


def test_a_depth_file_is_held_to_the_limits_of_a_photo(tmp_path, values):
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", "x" * 400)
    Image.fromarray(np.tile(np.arange(47, dtype=np.uint8), (31, 1))).save(
        tmp_path / "tagged.png", pnginfo=text
    )
    Image.fromarray(np.tile(np.arange(47, dtype=np.uint8), (31, 1))).save(
        tmp_path / "slow.jpg", progressive=True
    )
    for kind in WRITTEN:
        write_depth_file(tmp_path / f"depth{kind}", InverseDepth(values, "relative"))
    plain = {f"depth{kind}": {"max_side": 46} for kind in WRITTEN} | {"slow.jpg": {"max_side": 46}}
    small = {f"depth{kind}": {"max_bytes": 100} for kind in WRITTEN}
    special = {"tagged.png": {"max_xmp_bytes": 300}, "slow.jpg": {"max_progressive_jpeg_pixels": 1000}}
    for name, bounds in [*plain.items(), *small.items(), *special.items()]:
        assert read_depth_file(tmp_path / name).shape == (31, 47)
        with pytest.raises(TooLargeError, match=name.replace(".", r"\.")):
            read_depth_file(tmp_path / name, limits=replace(COMMAND_LINE_LIMITS, **bounds))


@pytest.mark.parametrize("kind", ["float32", "BigTIFF"])
def test_tiffs_that_no_photo_may_be_are_depth_all_the_same(tmp_path, values, kind):
    spec = oiio.ImageSpec(47, 31, 1, "float" if kind == "float32" else "uint16")
    output = oiio.ImageOutput.create(str(tmp_path / "depth.tif"))
    if kind == "BigTIFF":
        spec.attribute("tiff:bigtiff", 1)
    assert output.open(str(tmp_path / "depth.tif"), spec)
    assert output.write_image(values[..., None])
    assert output.close()
    assert ((tmp_path / "depth.tif").read_bytes()[2] == 43) == (kind == "BigTIFF")
    np.testing.assert_allclose(read_depth_file(tmp_path / "depth.tif").values, values, atol=0.51 / 65535)


def test_content_counts_for_more_than_the_name(tmp_path, values):
    for kind in WRITTEN:
        write_depth_file(tmp_path / f"depth{kind}", InverseDepth(values + 1, "1/m"))
        renamed = (tmp_path / f"depth{kind}").rename(tmp_path / ("as.png" if kind != ".png" else "as.exr"))
        np.testing.assert_allclose(read_depth_file(renamed).values, values + 1, rtol=1e-4)


def test_truncated_files_are_refused_or_read_but_never_crash(tmp_path, values):
    for kind in WRITTEN:
        whole = tmp_path / f"whole{kind}"
        write_depth_file(whole, InverseDepth(values, "relative"))
        data, cut = whole.read_bytes(), tmp_path / f"cut{kind}"
        for part in range(1, 10):
            cut.write_bytes(data[: len(data) * part // 10])
            with pytest.raises(ValueError, match=r"cut\."):
                read_depth_file(cut)


def test_an_unknown_ending_is_refused_and_writes_nothing(tmp_path, values):
    with pytest.raises(ValueError, match=r"ends in '\.jpg', expected one of"):
        write_depth_file(tmp_path / "depth.jpg", InverseDepth(values, "relative"))
    assert list(tmp_path.iterdir()) == []


def test_depth_takes_the_size_of_its_photo(values):
    depth = InverseDepth(values, "1/m")
    assert fit_to(depth, 31, 47) is depth
    larger = fit_to(depth, 310, 470)
    assert (larger.shape, larger.unit) == ((310, 470), "1/m")
    assert larger.values.min() >= values.min()
    assert larger.values.max() <= values.max()
    assert fit_to(depth, 62, 95).shape == (62, 95)  # 47/31 and 95/62 differ by 1 %
    guided = fit_to(depth, 124, 188, np.zeros((124, 188, 3), np.uint8))
    assert (guided.shape, guided.unit) == ((124, 188), "1/m")


def test_depth_of_another_frame_is_refused(values):
    with pytest.raises(ValueError, match=r"47 x 31 pixels and the photo 310 x 470.*crop"):
        fit_to(InverseDepth(values, "relative"), 470, 310)
    with pytest.raises(ValueError, match="expected uint8"):
        fit_to(InverseDepth(values, "relative"), 62, 94, np.zeros((31, 47, 3), np.uint8))


def test_a_damaged_archive_is_a_sentence_whatever_its_reader_raises(tmp_path, values):
    path = tmp_path / "depth.npz"
    write_depth_file(path, InverseDepth(values, "1/m"))
    whole = path.read_bytes()
    directory = whole.index(b"PK\x01\x02")
    header = io.BytesIO()
    np.save(header, values)
    damaged = {
        "of a later version": whole[: directory + 6] + b"\x99" + whole[directory + 7 :],
        "that starts before the file": whole[: directory + 42]
        + b"\xff\xff\xff\x7f"
        + whole[directory + 46 :],
        "with an open bracket": _archive(header.getvalue().replace(b"(31, 47)", b"(31, 47 ")),
        "of 16-byte numbers": _archive(header.getvalue().replace(b"<f4", b"<g ")),
    }
    for data in damaged.values():
        path.write_bytes(data)
        with pytest.raises(ValueError, match=r"the depth file 'depth\.npz' cannot be read: \S"):
            read_depth_file(path)


def _archive(array: bytes) -> bytes:
    unit, file = io.BytesIO(), io.BytesIO()
    np.save(unit, np.array("1/m"))
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("inverse_depth.npy", array)
        archive.writestr("unit.npy", unit.getvalue())
    return file.getvalue()
