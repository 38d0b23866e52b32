"""The walk over the boxes of a HEIF file: what it finds, and that no file keeps it busy or leads it astray."""

from __future__ import annotations

import struct
import time
from contextlib import suppress

import numpy as np
import pytest
from heif_files import TURNS, File, Part, box, full_box
from hypothesis import given, settings
from hypothesis import strategies as st
from test_photo_orientation import stored

from deeplens_dof.photo.codecs.isobmff import MOST_BOXES, MOST_NESTING, items_of
from deeplens_dof.photo.errors import BoxError
from deeplens_dof.photo.metadata.orientation import upright_point

SIZE = ("ispe", struct.pack(">III", 0, 40, 30))
PHOTO = Part("hvc1", b"picture", (SIZE,))


def refused(data: bytes, words: str) -> None:
    start = time.monotonic()
    with pytest.raises(BoxError, match=words) as caught:
        items_of(data, "a.heic")
    assert time.monotonic() - start < 1
    assert str(caught.value).startswith("a.heic ")


def test_items_properties_references_and_bytes() -> None:
    file = File([PHOTO])
    depth = file.add(Part("hvc1", b"depth", (SIZE, ("auxC", bytes(4) + b"urn:depth\0more"))), ("auxl", 1))
    packet = file.add(
        Part("mime", b"<x/>", content_type="application/rdf+xml", in_idat=True), ("cdsc", depth)
    )
    other = file.add(Part("mime", b"{}", content_type="application/json"), ("cdsc", 1))
    found = items_of(file.to_bytes(), "a.heic")
    assert found.primary == 1
    assert found.size == (40, 30)
    assert [found.bytes_of(found.items[n], 100) for n in (1, depth, packet)] == [
        b"picture",
        b"depth",
        b"<x/>",
    ]
    assert found.items[depth].auxiliary_type == "urn:depth"
    assert found.items[1].auxiliary_type == ""
    assert [each.id for each in found.referring("auxl", 1)] == [depth]
    assert [each.id for each in found.referring("cdsc", 1)] == [other]
    assert found.xmp_of(found.items[depth], 100) == b"<x/>"
    assert found.xmp_of(found.items[1], 100) is None, "JSON is no XMP"
    assert found.items[packet].size is None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_boxes_are_the_orientations_of_exif(orientation: int) -> None:
    found = items_of(File([PHOTO.turned(orientation)]).to_bytes(), "a.heic")
    assert found.items[1].orientation == orientation
    assert found.size == ((40, 30) if orientation < 5 else (30, 40))
    assert len(TURNS[orientation]) == sum(p.kind in ("irot", "imir") for p in found.items[1].properties)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_points_turn_as_pixels_do(orientation: int) -> None:
    picture = np.zeros((10, 20))
    picture[3, 14] = 1
    lying = stored(picture, orientation)
    (y, x), (height, width) = np.argwhere(lying)[0], lying.shape
    point = upright_point(((x + 0.5) / width, (y + 0.5) / height), orientation)
    assert point == pytest.approx((14.5 / 20, 3.5 / 10))


def test_many_boxes_are_refused() -> None:
    data = File([PHOTO]).to_bytes()
    refused(data + box("free") * 20_000, f"more than {MOST_BOXES:,} boxes")
    refused(
        box("moov", box("trak", *(box("mdia", box("free") * 100) for _ in range(200)))), "more than 10,000"
    )
    assert items_of(data + box("free") * 5_000, "a.heic").primary == 1


@pytest.mark.parametrize("kind", ["moov", "iprp", "trak"])
def test_deep_nesting_is_refused(kind: str) -> None:
    def nested(depth: int) -> bytes:
        inside = b""
        for _ in range(depth):
            inside = box(kind, inside)
        return inside

    data = File([PHOTO]).to_bytes()
    assert items_of(data + nested(MOST_NESTING), "a.heic").primary == 1
    refused(data + nested(MOST_NESTING + 1), "nested more than 16 deep")
    refused(nested(5_000), "nested more than 16 deep")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no still picture"),
        (box("ftyp", b"heic"), "no still picture"),
        (full_box("meta", 0), "'pitm' is missing"),
        (full_box("meta", 0, full_box("pitm", 0)), "'iinf' is missing"),
        (b"\0\0\0\7meta", "7 bytes long"),
        (b"\0\0\0\1meta" + struct.pack(">Q", 2**63), "bytes long"),
        (b"\0\0\x10\0meta" + bytes(40), "4,096 bytes long in 48"),
    ],
    ids=["empty", "no meta", "empty meta", "half a meta", "too short a box", "64 bits", "past the end"],
)
def test_boxes_that_do_not_fit_are_named(data: bytes, words: str) -> None:
    refused(data, words)


def edited(old: bytes, new: bytes, file: File | None = None) -> bytes:
    data = (file or File([PHOTO])).to_bytes()
    assert data.count(old) == 1
    return data.replace(old, new)


def test_tables_that_lie_are_refused() -> None:
    refused(edited(b"pitm" + bytes(5) + b"\1", b"pitm" + bytes(5) + b"\7"), "names an item 7")
    refused(edited(b"\x44\0\0\1", b"\x44\0\xff\xff"), "ends too early")
    refused(edited(b"\x44\0\0\1", b"\x33\0\0\1"), "odd lengths")
    found = items_of(edited(b"ispe", b"free"), "a.heic")
    with pytest.raises(BoxError, match="does not tell the size"):
        _ = found.size


def test_bytes_outside_of_the_file_are_refused() -> None:
    data = File([PHOTO]).to_bytes()
    found = items_of(data, "a.heic")
    with pytest.raises(BoxError, match="more than 3 bytes"):
        found.bytes_of(found.items[1], 3)
    for extents in ([(len(data) - 3, 7)], [(2**60, 1)], [(0, 2**62)], [(len(data) + 1, 0)]):
        found.items[1].extents = extents
        with pytest.raises(BoxError, match="item 1"):
            found.bytes_of(found.items[1], 100)
    found.items[1].extents = [(len(data) - 2, 0)]
    assert found.bytes_of(found.items[1], 100) == b"re", "no length is up to the end"
    found.items[1].method = 2
    with pytest.raises(BoxError, match="other items"):
        found.bytes_of(found.items[1], 100)


def test_many_references_are_refused() -> None:
    file = File([PHOTO])
    file.references = [("cdsc", 1, 1)] * 9_000
    assert len(items_of(file.to_bytes(), "a.heic").references) == 9_000
    counted = box("cdsc", struct.pack(">HH", 1, 65_535), bytes(2 * 65_535))
    data = full_box("iref", 0, counted, counted)
    whole = File([PHOTO]).to_bytes()
    start = whole.index(b"meta") - 4
    (length,) = struct.unpack_from(">I", whole, start)
    meta = (
        struct.pack(">I", length + len(data))
        + whole[start + 4 : start + length].replace(b"iref", b"skip")
        + data
    )
    refused(whole[:start] + meta + whole[start + length :], "tables of more than 100,000")


def test_what_follows_the_pictures_is_left() -> None:
    """Some phones write notes of their own behind the last box."""
    assert items_of(File([PHOTO]).to_bytes() + b"\xff\xff\xff\xffnotes of a phone", "a.heic").primary == 1


WHOLE = File([PHOTO.turned(6), Part("mime", b"<x/>", content_type="application/rdf+xml", in_idat=True)])
WHOLE.references.append(("cdsc", 2, 1))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(WHOLE.to_bytes()) - 1), st.integers(0, 255)), max_size=6),
    st.integers(0, 900),
)
def test_damaged_boxes_raise_nothing_but_box_errors(changes: list[tuple[int, int]], end: int) -> None:
    data = bytearray(WHOLE.to_bytes())
    for place, value in changes:
        data[place] = value
    with suppress(BoxError):  # and nothing else
        found = items_of(bytes(data[:end] if end < 400 else data), "a.heic")
        _ = found.size
        for item in found.items.values():
            assert 1 <= item.orientation <= 8
            assert item.auxiliary_type is not None
            assert len(found.bytes_of(item, 1_000)) <= 1_000
            found.xmp_of(item, 1_000)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_noise_raises_nothing_but_box_errors(noise: bytes) -> None:
    for data in (noise, full_box("meta", 0, noise), full_box("meta", 0, full_box("pitm", 0, b"\0\1"), noise)):
        with pytest.raises(BoxError):
            items_of(data, "a.heic")
