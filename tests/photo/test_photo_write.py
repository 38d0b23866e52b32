"""A file is written whole or not at all, and nothing is left beside it."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

import numpy as np
import photo_samples as samples
import pytest

from deeplens_dof import photo
from deeplens_dof.photo import Photo, PhotoError, write_file

PICTURE = Photo(samples.picture())


def test_the_file_is_there_and_nothing_beside_it(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "out.png")
    assert os.listdir(tmp_path) == ["out.png"]


def test_refused_places_get_a_sentence_and_stay_clean(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "file").write_bytes(b"")
    cases = {
        tmp_path / "folder.png": "it is a folder",
        tmp_path / "pipe.png": "device or a pipe",
        tmp_path / "missing" / "out.png": "no such file or folder",
        tmp_path / "file" / "out.png": "not a folder",
        tmp_path / ("x" * 300 + ".png"): "too long",
        tmp_path / "a\0.png": "NUL",
        tmp_path / "out.xyz": "expected one of .jpg",
        tmp_path / "out": "has no suffix",
    }
    before = sorted(os.listdir(tmp_path))
    for path, words in cases.items():
        with pytest.raises(PhotoError, match=words) as caught:
            PICTURE.save(path)
        assert "\n" not in str(caught.value)
        assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_devices_are_not_replaced_by_files() -> None:
    with pytest.raises(PhotoError, match="not a plain file"):
        PICTURE.save("/dev/full", format="PNG")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="this system has no /proc")
def test_a_place_where_nobody_may_write() -> None:
    with pytest.raises(PhotoError, match=r"^/proc/out.png cannot be written: "):
        PICTURE.save("/proc/out.png")


def test_a_read_only_folder(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(0o500)
    if os.access(folder, os.W_OK):
        pytest.skip("this user may write everywhere")
    with pytest.raises(PhotoError, match="permission is denied"):
        PICTURE.save(folder / "out.png")
    assert os.listdir(folder) == []


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (OSError(errno.EROFS, "Read-only file system"), "read-only"),
        (OSError(errno.EACCES, "Permission denied"), "permission is denied"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
    ],
)
def test_a_failure_in_the_middle_leaves_the_old_file(problem: OSError, words: str, tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    path.write_bytes(b"old")

    def fails(file: BinaryIO) -> None:
        file.write(b"half a pic")
        raise problem

    with pytest.raises(PhotoError, match=words):
        write_file(path, fails)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.png"]


def test_errors_of_the_writer_pass_through_and_leave_nothing(tmp_path: Path) -> None:
    def fails(file: BinaryIO) -> None:
        file.write(b"half")
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        write_file(tmp_path / "out.bin", fails)
    assert os.listdir(tmp_path) == []


def test_permissions_links_and_fresh_files(tmp_path: Path) -> None:
    path, link = tmp_path / "out.png", tmp_path / "link.png"
    path.write_bytes(b"old")
    path.chmod(0o640)
    link.symlink_to(path)
    PICTURE.save(link)
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    np.testing.assert_array_equal(photo.read(path).pixels, PICTURE.pixels)
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    PICTURE.save(tmp_path / "fresh.png")
    assert (tmp_path / "fresh.png").stat().st_mode == plain.stat().st_mode


def test_the_format_follows_the_suffix_unless_named(tmp_path: Path) -> None:
    for suffix, form in ((".JPG", "JPEG"), (".jpeg", "JPEG"), (".tiff", "TIFF"), (".webp", "WEBP")):
        PICTURE.save(tmp_path / f"out{suffix}")
        assert photo.read(tmp_path / f"out{suffix}").format == form
    PICTURE.save(tmp_path / "out.dat", format="png")
    assert photo.read(tmp_path / "out.dat").format == "PNG"
    with pytest.raises(PhotoError, match="not a picture format"):
        PICTURE.to_bytes(format="EPS")


def test_quality_and_size_out_of_range_are_sentences(tmp_path: Path) -> None:
    for quality in (0, 101, -1):
        with pytest.raises(PhotoError, match="from 1 to 100"):
            PICTURE.save(tmp_path / "out.jpg", quality=quality)
    wide = Photo(np.zeros((1, 20_000, 3), np.uint8))
    with pytest.raises(PhotoError, match="16,383"):
        wide.save(tmp_path / "out.webp")
    assert os.listdir(tmp_path) == []


def test_saving_twice_gives_the_same_bytes() -> None:
    for form in samples.FORMATS:
        assert PICTURE.to_bytes(format=form) == PICTURE.to_bytes(format=form)


def test_with_pixels_keeps_everything_else() -> None:
    original = Photo(
        samples.picture(), samples.picture()[..., 0].copy(), icc=samples.display_p3(), xmp=samples.XMP
    )
    deep = original.with_pixels(samples.picture(dtype=np.uint16))
    assert deep.icc == original.icc
    assert deep.alpha is not None
    np.testing.assert_array_equal(deep.alpha, 257 * samples.picture()[..., 0].astype(int))
    np.testing.assert_array_equal(deep.with_pixels(original.pixels).alpha, original.alpha)
    assert original.with_pixels(samples.picture(8, 8)).alpha is None
