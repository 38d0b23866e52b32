"""Every cell of the format table is true: what it says is kept survives, and what it says is lost is lost as documented.

A new format gets a row by its entry in FORMATS; one that is only read, and one with depth inside, also a sample here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import depth_samples
import heif_files
import numpy as np
import photo_samples as samples
import pytest
import raw_samples

from deeplens_dof import photo
from deeplens_dof.photo import Compression, Photo, PhotoError
from deeplens_dof.photo.codecs.formats import FORMATS, Format
from deeplens_dof.photo.metadata import ifd

LOSSLESS = Compression(lossless=True)  # where a format can be
SIZE = (24, 32)
# Files of formats without a writer.
READ_ONLY: dict[str, Callable[[], bytes]] = {
    "RAW": lambda: raw_samples.dng(raw_samples.four_patches(*SIZE), xmp=samples.XMP)
}
# Files with depth in a way of the format's own.
WITH_DEPTH: dict[str, Callable[[], bytes]] = {
    "HEIF": lambda: heif_files.portrait(samples.picture(*SIZE), samples.picture(*SIZE)[..., 0])
}


def file_of(form: Format, picture: Photo | None = None) -> bytes:
    """A file of that format: of this photo, or the sample where there is no writer."""
    if not form.written:
        return READ_ONLY[form.name]()
    picture = picture or Photo(samples.picture(*SIZE), exif=samples.exif_block(), xmp=samples.XMP)
    return replace(picture, compression=LOSSLESS).to_bytes(format=form.name)


def lossy(form: Format) -> bool:
    return form.name in ("JPEG", "AVIF", "HEIF")


def check_read(form: Format, folder: Path) -> None:
    back = photo.read(file_of(form))
    assert (back.height, back.width) == SIZE
    assert back.format == (form.name if form.written else "TIFF")


def check_write(form: Format, folder: Path) -> None:
    for suffix in form.suffixes:
        path = folder / f"x{suffix}"
        if form.written:
            Photo(samples.picture(*SIZE)).save(path)
            assert photo.read(path).format == form.name
        else:
            with pytest.raises(PhotoError, match="which is only read"):
                Photo(samples.picture(*SIZE)).save(path)


def check_16_bit(form: Format, folder: Path) -> None:
    if not form.written:
        assert (photo.read(file_of(form)).pixels.dtype == np.uint16) == form.deep
        return
    pixels = samples.noise(*SIZE, np.uint16)
    back = photo.read(file_of(form, Photo(pixels)))
    if form.deep:
        np.testing.assert_array_equal(back.encode(back.linear(), np.uint16), pixels)
    elif form.name == "HEIF":  # ten of them
        assert back.pixels.dtype == np.uint16
        assert len(np.unique(back.pixels)) <= 1024
    else:
        assert back.pixels.dtype == np.uint8
        if not lossy(form):
            np.testing.assert_array_equal(back.pixels, np.rint(pixels / 257).astype(np.uint8))


def check_float(form: Format, folder: Path) -> None:
    light = np.full((*SIZE, 3), 0.25, np.float32)
    light[:, 16:] = 50
    light[:, :8] = -0.5
    if not form.written:
        assert photo.read(file_of(form)).is_float == form.floats
        return
    back = photo.read(file_of(form, Photo(light)))
    assert back.is_float == form.floats
    if form.floats:
        np.testing.assert_array_equal(back.linear(), light)
    else:
        np.testing.assert_allclose(back.linear(), np.clip(light, 0, 1), atol=0.1 if lossy(form) else 0.005)


def check_icc(form: Format, folder: Path) -> None:
    if not form.written:
        assert (photo.read(file_of(form)).icc is not None) == form.icc
        return
    first = Photo(samples.picture(*SIZE), icc=samples.display_p3())
    back = photo.read(file_of(form, first))
    assert back.icc == (samples.display_p3() if form.icc else None)
    assert samples.close(back.srgb8(), first.srgb8(), 2.5)  # the same colours in any case


def check_exif(form: Format, folder: Path) -> None:
    back = photo.read(file_of(form))
    assert (back.exif is not None) == form.exif
    assert (back.camera.make == "Contax") == form.exif
    assert (back.camera.f_number == 2.8) == form.exif
    if back.exif is not None:
        order = ifd.byte_order(back.exif)
        assert order is not None
        assert 2 in ifd.tags_of(back.exif, order).gps


def check_xmp(form: Format, folder: Path) -> None:
    back = photo.read(file_of(form))
    assert (back.xmp is not None and "Zürich ☀".encode() in back.xmp) == form.xmp
    assert (back.xmp is not None) == form.xmp


def check_alpha(form: Format, folder: Path) -> None:
    if not form.written:
        assert (photo.read(file_of(form)).alpha is not None) == form.alpha
        return
    cover = samples.picture(*SIZE)[..., 0].copy()
    back = photo.read(file_of(form, Photo(samples.picture(*SIZE), cover)))
    assert (back.alpha is not None) == form.alpha
    if back.alpha is not None:
        top = 1.0 if back.is_float else float(np.iinfo(back.alpha.dtype).max)
        np.testing.assert_allclose(back.alpha / top, cover / 255, atol=2 / 255 if lossy(form) else 1e-6)


def check_depth(form: Format, folder: Path) -> None:
    inside = photo.read(depth_samples.gdepth_jpeg())
    found = photo.read(READ_ONLY["RAW"]() if not form.written else inside.to_bytes(format=form.name))
    assert (found.depth is not None) == (form.depth == "yes")
    if form.name in WITH_DEPTH:  # of the format's own, which is read and not written
        own = photo.read(WITH_DEPTH[form.name]())
        assert own.depth is not None
        assert photo.read(own.to_bytes(format=form.name)).depth is None


CHECKS = {
    "read": check_read,
    "write": check_write,
    "depth": check_depth,
    "16 bit": check_16_bit,
    "float": check_float,
    "ICC": check_icc,
    "EXIF": check_exif,
    "XMP": check_xmp,
    "alpha": check_alpha,
}


@pytest.mark.parametrize("column", CHECKS)
@pytest.mark.parametrize("name", FORMATS)
def test_every_cell_is_true(name: str, column: str, tmp_path: Path) -> None:
    form = FORMATS[name]
    if form.extra:
        pytest.importorskip({"raw": "rawpy", "heif": "pillow_heif"}[form.extra])
    CHECKS[column](form, tmp_path)


def test_the_page_is_the_table_and_every_column_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "tools" / "figures"))
    from make_formats_table import COLUMNS, PAGE, cells, page

    assert tuple(CHECKS) == COLUMNS
    assert PAGE.read_text(encoding="utf-8") == page(), "run python tools/figures/make_formats_table.py"
    assert all(set(cells(form)) == set(COLUMNS) for form in FORMATS.values())
