"""Every cell of the format table is true: what it says is kept survives, and what it says is lost is lost as documented.

A new format gets a row by its entry in FORMATS; one that is only read, and one with depth inside, also a sample here.
"""

from __future__ import annotations

import struct
import zlib
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
from deeplens_dof.photo.codecs.isobmff import with_named_colors
from deeplens_dof.photo.gain_map import APPLE, APPLE_TYPE, GainMap
from deeplens_dof.photo.metadata import icc, ifd
from deeplens_dof.photo.metadata.annotations import Annotations

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


def check_gain_map(form: Format, folder: Path) -> None:
    """A map of stops from 0 to 3."""
    stops = np.linspace(0, 3, 12 * 16, dtype=np.float32).reshape(12, 16, 1)
    if not form.written:
        assert photo.read(file_of(form)).gain_map is None
        return
    back = photo.read(file_of(form, Photo(samples.picture(*SIZE), gain_map=GainMap(stops)))).gain_map
    assert (back is not None) == (form.gain_map == "yes")
    if back is not None:
        np.testing.assert_allclose(back.stops, stops, atol=0.1)
    if form.name == "HEIF":  # Apple's, which is read and not written
        file = heif_files.File()
        main = file.add(heif_files.picture_part(samples.picture(128, 192)))
        codes = heif_files.picture_part(samples.picture(64, 96)[..., 0])
        part = file.add(heif_files.auxiliary(codes, APPLE_TYPE), ("auxl", main))
        said = f'<rdf:Description xmlns:h="{APPLE}" h:HDRGainMapHeadroom="8"/>'
        head = '<x xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        file.add(heif_files.xmp_part(f"{head}{said}</rdf:RDF></x>".encode()), ("cdsc", part))
        assert photo.read(file.to_bytes()).gain_map is not None


def check_named_colors(form: Format, folder: Path) -> None:
    """Colours of Display-P3 by their number, where the format has such, are read as a profile."""
    plain = file_of(form, Photo(samples.picture(*SIZE)))
    if not form.named_colors:
        assert b"nclx" not in plain
        assert b"cICP" not in plain
        return
    if form.name == "PNG":
        body = b"cICP" + bytes((12, 13, 0, 1))
        chunk = struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body))
        named = plain[:33] + chunk + plain[33:]
    else:
        named = with_named_colors(plain, 12, 13)
    found = icc.profile(photo.read(named).icc or b"")
    assert found is not None
    assert found.colorants is not None
    wanted = icc.profile(samples.display_p3())
    assert wanted is not None
    np.testing.assert_allclose(found.colorants, wanted.colorants, atol=2e-3)


def check_date(form: Format, folder: Path) -> None:
    if not form.written:
        back = photo.read(file_of(form))
        assert (b"2024:05:06" in (back.exif or b"")) == form.date
        return
    assert (b"2024:05:06 07:08:09" in file_of(form)) == form.date


def check_iptc(form: Format, folder: Path) -> None:
    record = b"\x1c\x02\x78\0\x05hello"
    annotated = Photo(samples.picture(*SIZE), annotations=Annotations(iptc=record))
    assert photo.read(file_of(form, annotated)).annotations.iptc == (record if form.iptc else None)


def check_text(form: Format, folder: Path) -> None:
    texts = ((b"tEXt", b"Title\0cat"),)
    annotated = Photo(samples.picture(*SIZE), annotations=Annotations(texts=texts))
    assert photo.read(file_of(form, annotated)).annotations.texts == (texts if form.text else ())


def check_density(form: Format, folder: Path) -> None:
    annotated = Photo(samples.picture(*SIZE), annotations=Annotations((300.0, 300.0)))
    found = photo.read(file_of(form, annotated)).annotations.density
    assert found == (pytest.approx((300, 300), rel=0.002) if form.density else None)


def check_motion_photo(form: Format, folder: Path) -> None:
    """No format keeps a film, nor XMP that names one."""
    said = (
        b'<rdf:Description xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" GCamera:MotionPhoto="1"/>'
    )
    packet = samples.XMP.replace(b"</rdf:RDF>", said + b"</rdf:RDF>")
    film = b"\0\0\0\x18ftypmp42" + bytes(16)
    if not form.written:
        return
    data = file_of(form, Photo(samples.picture(*SIZE), xmp=packet))
    again = photo.read(data + film if form.name == "JPEG" else data)
    assert b"MotionPhoto" not in (again.xmp or b"")
    assert b"MotionPhoto" not in again.to_bytes()
    assert film not in again.to_bytes()


CHECKS = {
    "read": check_read,
    "write": check_write,
    "depth": check_depth,
    "gain map": check_gain_map,
    "16 bit": check_16_bit,
    "float": check_float,
    "ICC": check_icc,
    "nclx, cICP": check_named_colors,
    "EXIF": check_exif,
    "date": check_date,
    "XMP": check_xmp,
    "IPTC": check_iptc,
    "text": check_text,
    "dpi": check_density,
    "motion photo": check_motion_photo,
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
