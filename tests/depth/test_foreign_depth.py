"""Depth files of other programs: arrays, portable float maps, bright-is-far pictures and colour maps."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deeplens_dof.depth import colormap
from deeplens_dof.depth.files import read_depth_file
from deeplens_dof.optics.inverse_depth import InverseDepth

METRES = np.linspace(1, 8, 12 * 16).reshape(12, 16).astype(np.float32)
NEARNESS = (1 / METRES).astype(np.float32)  # relative inverse depth, as networks give it
STRETCHED = (NEARNESS - NEARNESS.min()) / np.ptp(NEARNESS)


def pfm(values: np.ndarray, order: str) -> bytes:
    head = f"Pf\n{values.shape[1]} {values.shape[0]}\n{-1.0 if order == '<' else 1.0}\n"
    return head.encode() + values[::-1].astype(f"{order}f4").tobytes()


def picture(values: np.ndarray, name: str, quality: int | None = None) -> Image.Image:
    """Values 0..1 in a colour map, as OpenCV draws it where it can."""
    cv2 = pytest.importorskip("cv2")
    codes = np.rint(values * 255).astype(np.uint8)
    constant = getattr(cv2, f"COLORMAP_{name.upper()}", None)
    if constant is None:
        return Image.fromarray(colormap._colours(name, 256)[codes])
    return Image.fromarray(cv2.applyColorMap(codes, constant)[..., ::-1])


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_portable_float_map_is_upright_whatever_its_byte_order(order: str, tmp_path: Path) -> None:
    (tmp_path / "d.pfm").write_bytes(pfm(NEARNESS, order))
    back = read_depth_file(tmp_path / "d.pfm")
    assert back.is_relative
    np.testing.assert_allclose(back.values, STRETCHED, atol=1e-6)


@pytest.mark.parametrize("shape", [(12, 16), (1, 12, 16), (12, 16, 1), (1, 1, 12, 16)])
def test_an_array_is_inverse_depth_unless_told_otherwise(shape: tuple[int, ...], tmp_path: Path) -> None:
    np.save(tmp_path / "near.npy", NEARNESS.reshape(shape))
    np.testing.assert_allclose(read_depth_file(tmp_path / "near.npy").values, STRETCHED, atol=1e-6)
    np.save(tmp_path / "far.npy", METRES.astype(np.float64).reshape(shape))
    back = read_depth_file(tmp_path / "far.npy", far_is_bright=True)
    assert back.is_relative
    np.testing.assert_allclose(back.values, NEARNESS, rtol=1e-6)


def test_codes_of_far_is_bright_may_begin_at_0(tmp_path: Path) -> None:
    np.save(tmp_path / "far.npy", np.arange(256, dtype=np.uint8).reshape(16, 16))
    back = read_depth_file(tmp_path / "far.npy", far_is_bright=True).values.ravel()
    np.testing.assert_allclose(back, 1 - np.arange(256) / 255, atol=1e-6)


def test_depth_pro_is_metres_and_depth_anything_is_not(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "pro.npz", depth=METRES)
    pro = read_depth_file(tmp_path / "pro.npz")
    assert pro.unit == "1/m"
    np.testing.assert_allclose(pro.values, 1 / METRES, rtol=1e-6)
    anything = NEARNESS - NEARNESS.min()  # ends at 0, which no distance is
    np.savez_compressed(tmp_path / "anything.npz", depth=anything)
    found = read_depth_file(tmp_path / "anything.npz")
    assert found.is_relative
    np.testing.assert_allclose(found.values, STRETCHED, atol=1e-6)
    np.savez_compressed(tmp_path / "above.npz", depth=NEARNESS)
    told = read_depth_file(tmp_path / "above.npz", far_is_bright=False)
    np.testing.assert_allclose(told.values, STRETCHED, atol=1e-6)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_picture_in_which_far_is_bright(suffix: str, tmp_path: Path) -> None:
    codes = np.rint(STRETCHED * 255).astype(np.uint8)
    Image.fromarray(255 - codes).save(tmp_path / f"far{suffix}", quality=95)
    back = read_depth_file(tmp_path / f"far{suffix}", far_is_bright=True)
    np.testing.assert_allclose(back.values, STRETCHED, atol=0.01 if suffix == ".png" else 0.05)


def test_a_file_that_says_what_it_holds_is_believed(tmp_path: Path) -> None:
    from deeplens_dof.depth.files import write_depth_file

    for name in ("own.png", "own.npz", "own.exr"):
        write_depth_file(tmp_path / name, InverseDepth(STRETCHED, "relative"))
        told = read_depth_file(tmp_path / name, far_is_bright=True).values
        np.testing.assert_array_equal(told, read_depth_file(tmp_path / name).values)


@pytest.mark.parametrize("name", colormap.COLOUR_MAPS)
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_colour_maps_are_read_back(name: str, suffix: str, tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 1, 256, dtype=np.float32), (64, 1))
    picture(ramp, name).save(tmp_path / f"d{suffix}", quality=95, subsampling=0)
    with Image.open(tmp_path / f"d{suffix}") as image:
        found = colormap.from_colours(np.asarray(image.convert("RGB")))
    assert found is not None
    assert found[0] == name
    # maps that end in dark tones differ little there
    assert np.percentile(np.abs(found[1] - ramp), 95) < (0.012 if suffix == ".png" else 0.04)
    assert np.corrcoef(read_depth_file(tmp_path / f"d{suffix}").values.ravel(), ramp.ravel())[0, 1] > 0.995


def test_our_own_colours_are_read_back(tmp_path: Path) -> None:
    depth = InverseDepth(STRETCHED, "relative")
    Image.fromarray(colormap.coloured(depth)).save(tmp_path / "d.png")
    np.testing.assert_allclose(read_depth_file(tmp_path / "d.png").values, depth.normalised(), atol=0.005)


def test_a_photo_is_no_depth(tmp_path: Path) -> None:
    rows, columns = np.mgrid[0:48, 0:64] / 64
    photo = np.stack((rows, columns, 1 - rows * columns), axis=2)
    Image.fromarray(np.rint(photo * 255).astype(np.uint8)).save(tmp_path / "photo.png")
    with pytest.raises(
        ValueError, match=r"'photo.png' is a colour picture, expected grey .* or the colours of inferno"
    ):
        read_depth_file(tmp_path / "photo.png")


def bad_files(folder: Path) -> dict[str, str]:
    """name -> a part of the sentence it must be refused with."""
    (folder / "colour.pfm").write_bytes(b"PF\n2 2\n-1\n" + bytes(48))
    (folder / "short.pfm").write_bytes(b"Pf\n20 20\n-1\n" + bytes(48))
    (folder / "huge.pfm").write_bytes(b"Pf\n900000 900000\n-1\n" + bytes(48))
    (folder / "head.pfm").write_bytes(b"Pf\nnone")
    (folder / "words.pfm").write_bytes(b"Pf\na b\n-1\n" + bytes(48))
    (folder / "nan.pfm").write_bytes(pfm(np.full((2, 2), np.nan), "<"))
    np.save(folder / "pickle.npy", np.array([[{}]], object), allow_pickle=True)
    np.save(folder / "line.npy", np.ones(4))
    np.save(folder / "constant.npy", np.ones((4, 4)))
    np.save(folder / "rgb.npy", np.ones((4, 4, 3)))
    stream = io.BytesIO()
    np.save(stream, np.ones((4, 4)))
    (folder / "cut.npy").write_bytes(stream.getvalue()[:-20])
    return {
        "colour.pfm": "it is a colour map, expected one channel",
        "short.pfm": "it ends too early, expected 1,600 bytes",
        "huge.pfm": "expected at most",
        "head.pfm": "its header is cut off",
        "words.pfm": "cannot be read",
        "nan.pfm": "4 pixels with NaN",
        "pickle.npy": "expected numbers",
        "line.npy": r"float64 \(4,\), expected numbers",
        "constant.npy": "one and the same value",
        "rgb.npy": r"float64 \(4, 4, 3\), expected numbers",
        "cut.npy": "cannot be read",
    }


def test_what_is_no_depth_is_refused_in_one_sentence(tmp_path: Path) -> None:
    for name, sentence in bad_files(tmp_path).items():
        with pytest.raises(ValueError, match=sentence) as caught:
            read_depth_file(tmp_path / name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)
