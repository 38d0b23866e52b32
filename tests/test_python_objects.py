"""Open files, arrays of other libraries and notebooks: what Python programs hand in and look at."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import deeplens_dof as dl

PICTURE = (np.arange(40 * 60 * 3) % 251).astype(np.uint8).reshape(40, 60, 3)
DEPTH = np.linspace(0, 1, 40 * 60, dtype=np.float32).reshape(40, 60)
FAST = {"depth": DEPTH, "f_number": 22.0, "highlights": 0.0}


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.fromarray(PICTURE).save(file, "JPEG", quality=95)
    return file.getvalue()


class Tensor:
    """Gives itself as an array, as those of other libraries do."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        return self.values


class Capsule:
    """Gives itself by DLPack alone."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __dlpack__(self, **more: object) -> object:
        return self.values.__dlpack__(**more)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.values.__dlpack_device__()


class OnADevice:
    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


def sizes(html: str) -> list[tuple[int, int]]:
    found = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    return [Image.open(io.BytesIO(base64.b64decode(data))).size for data in found]


def test_open_files_are_read_from_where_they_stand(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"before" + jpeg())
    with (tmp_path / "a.jpg").open("rb") as file:
        file.seek(6)
        photo = dl.read(file)
    assert photo.source.endswith("a.jpg")
    np.testing.assert_array_equal(photo.pixels, dl.read(io.BytesIO(jpeg())).pixels)
    np.testing.assert_array_equal(photo.pixels, dl.read(jpeg()).pixels)


def test_an_open_file_gives_a_result_as_its_path_does(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg())
    result = dl.blur(io.BytesIO(jpeg()), **FAST)
    assert isinstance(result, dl.Result)
    np.testing.assert_array_equal(result.image, dl.blur(tmp_path / "a.jpg", **FAST).image)


@pytest.mark.parametrize(("format", "expected"), [(None, "JPEG"), ("png", "PNG"), (".webp", "WEBP")])
def test_results_go_into_open_files(format: str | None, expected: str) -> None:
    result = dl.blur(io.BytesIO(jpeg()), **FAST)
    out = io.BytesIO()
    out.write(b"before")
    result.save(out, format=format)
    assert out.getvalue().startswith(b"before")
    assert not out.closed
    assert Image.open(io.BytesIO(out.getvalue()[6:])).format == expected


def test_a_result_saved_into_a_file_is_that_of_its_path(tmp_path: Path) -> None:
    result = dl.blur(io.BytesIO(jpeg()), **FAST)
    result.save(tmp_path / "a.jpg", embed_depth=True)
    out = io.BytesIO()
    result.save(out, embed_depth=True)
    assert out.getvalue() == (tmp_path / "a.jpg").read_bytes()
    with pytest.raises(dl.PhotoError, match="which only a JPEG holds"):
        result.save(io.BytesIO(), embed_depth=True, format="png")


def test_what_is_no_open_file_of_bytes_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg())
    with (
        (tmp_path / "a.jpg").open(encoding="latin-1") as file,
        pytest.raises(dl.PhotoError, match="open it with 'rb'"),
    ):
        dl.read(file)
    with pytest.raises(dl.PhotoError, match="the file is empty"):
        dl.read(io.BytesIO())
    with pytest.raises(dl.PhotoError, match="a int is not a photo, expected a path, an open file"):
        dl.read(3)  # type: ignore[arg-type]
    result = dl.blur(io.BytesIO(jpeg()), **FAST)
    with pytest.raises(dl.PhotoError, match="open it as bytes, with 'wb'"):
        result.save(io.StringIO())
    closed = io.BytesIO()
    closed.close()
    with pytest.raises(dl.PhotoError, match="cannot be written"):
        result.save(closed)


@pytest.mark.parametrize("wrap", [Tensor, Capsule])
def test_arrays_of_other_libraries_are_arrays(wrap: type) -> None:
    expected = dl.blur(PICTURE, **FAST)
    given = dl.blur(wrap(PICTURE), **{**FAST, "depth": wrap(DEPTH)})
    assert isinstance(given, np.ndarray)
    np.testing.assert_array_equal(given, expected)


def test_torch_tensors_are_arrays() -> None:
    torch = pytest.importorskip("torch")
    given = dl.blur(torch.from_numpy(PICTURE), **{**FAST, "depth": torch.from_numpy(DEPTH)})
    np.testing.assert_array_equal(given, dl.blur(PICTURE, **FAST))
    with pytest.raises(ValueError, match=r"the Tensor does not give itself as an array .* without gradients"):
        dl.blur(torch.zeros((4, 4, 3), requires_grad=True), **FAST)


def test_arrays_that_cannot_be_had_are_a_sentence() -> None:
    with pytest.raises(
        ValueError, match=r"the OnADevice does not give itself as an array .* copy it to the CPU"
    ):
        dl.blur(OnADevice(), **FAST)


def test_depth_is_an_array_an_inverse_depth_or_a_file(tmp_path: Path) -> None:
    depth = dl.InverseDepth(DEPTH, "relative")
    dl.write_depth_file(tmp_path / "d.npz", depth)
    expected = dl.blur(PICTURE, **FAST)
    for given in (
        depth,
        DEPTH[..., None],
        str(tmp_path / "d.npz"),
        tmp_path / "d.npz",
        DEPTH.astype(np.float64),
    ):
        np.testing.assert_array_equal(dl.blur(PICTURE, **{**FAST, "depth": given}), expected)
    codes = np.rint(DEPTH * 255).astype(np.uint8)  # beyond 0..1, so stretched
    near = dl.analyse(dl.read(jpeg()), depth=codes).inverse_depth
    assert np.abs(near.values - DEPTH).max() < 0.02
    for wrong, sentence in (
        (np.zeros((4, 4), complex), "of type complex128, expected numbers"),
        ([[0.0]], "depth is of type list"),
        (DEPTH[:, :20], "aspects differ"),
        (np.full((40, 60), np.nan, np.float32), "NaN"),
    ):
        with pytest.raises(ValueError, match=sentence):
            dl.blur(PICTURE, **{**FAST, "depth": wrong})


def test_a_result_as_a_pillow_image() -> None:
    result = dl.blur(io.BytesIO(jpeg()), **FAST)
    image = result.to_pil()
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.asarray(image), result.image)


def test_notebooks_show_pictures_and_colours() -> None:
    result = dl.blur(io.BytesIO(jpeg()), **FAST)
    assert sizes(result._repr_html_()) == [(60, 40)] * 3
    assert sizes(result.scene._repr_html_()) == [(60, 40)] * 2
    shown = np.asarray(Image.open(io.BytesIO(result._repr_png_())))
    np.testing.assert_array_equal(shown, result.image)
    for shown in (result.scene.photo, result.scene.inverse_depth):
        assert Image.open(io.BytesIO(shown._repr_png_())).size == (60, 40)


def test_the_colours_of_depth_and_blur_mean_what_they_say() -> None:
    depth = np.asarray(Image.open(io.BytesIO(dl.InverseDepth(DEPTH, "relative")._repr_png_())))
    assert depth[0, 0].max() < 60
    assert depth[-1, -1].min() > 180
    from deeplens_dof.optics.false_colours import coc_colours

    red, white, blue = coc_colours(np.array([[-3.0, 0.0, 3.0]], np.float32))[0].astype(int)
    assert white.min() > 220
    assert red[0] > red[2] + 100
    assert blue[2] > blue[0] + 100


def test_large_pictures_are_shown_small() -> None:
    photo = dl.Photo(np.zeros((300, 3000, 3), np.uint8))
    assert Image.open(io.BytesIO(photo._repr_png_())).size == (640, 64)
    depth = dl.InverseDepth(np.zeros((1300, 2000), np.float32), "relative")
    assert max(Image.open(io.BytesIO(depth._repr_png_())).size) <= 1280


class _Full(io.RawIOBase):
    """A file that takes nothing more: `answer` says so in its way."""

    def __init__(self, answer: int | None) -> None:
        self.answer = answer

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int | None:
        return self.answer


@pytest.mark.parametrize("answer", [0, None])
def test_a_file_that_takes_no_more_is_a_sentence(answer: int | None) -> None:
    from deeplens_dof.photo.file_objects import write_bytes

    with pytest.raises(dl.PhotoError, match="takes no more bytes, 9 are left"):
        write_bytes(_Full(answer), b"a picture")
