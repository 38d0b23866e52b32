"""HDR gain maps: read as phones and editors write them, blurred by the photo's lens, and written as Ultra HDR."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import photo_samples as samples
import pytest
from PIL import Image
from PIL.MpoImagePlugin import MpoImageFile

import deeplens_dof as dl
from deeplens_dof import photo
from deeplens_dof.imaging.color import srgb_to_linear
from deeplens_dof.photo import Photo, gain_map
from deeplens_dof.photo.gain_map import ADOBE, APPLE, APPLE_TYPE, ISO_NAME, GainMap
from deeplens_dof.photo.metadata import ifd
from deeplens_dof.photo.metadata.orientation import upright

SIZE = (32, 48)
SMALL = (16, 24)
CODES = np.rint(samples.picture(*SMALL)[..., 0] * 0.9).astype(np.uint8)
PRIMARY = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    f'<rdf:Description rdf:about="" xmlns:hdrgm="{ADOBE}" hdrgm:Version="1.0"/></rdf:RDF></x:xmpmeta>'
).encode()

APPLES = PRIMARY.replace(ADOBE.encode(), APPLE.encode())


def xmp_of(**said: str) -> bytes:
    given = "".join(f' hdrgm:{name}="{text}"' for name, text in said.items() if not text.startswith("<"))
    inside = "".join(
        f"<hdrgm:{name}>{text}</hdrgm:{name}>" for name, text in said.items() if text.startswith("<")
    )
    return PRIMARY.replace(
        b'hdrgm:Version="1.0"/>', f'hdrgm:Version="1.0"{given}>{inside}</rdf:Description>'.encode()
    )


def jpeg(pixels: np.ndarray, xmp: bytes | None = None, extra: bytes = b"", **options: object) -> bytes:
    if xmp is not None:
        options["xmp"] = xmp
    return samples.file_of(Image.fromarray(pixels), "JPEG", quality=98, subsampling=0, extra=extra, **options)


def ultra_hdr(codes: np.ndarray = CODES, orientation: int = 1, **said: str) -> bytes:
    exif = b"Exif\0\0" + samples.exif_block(orientation)
    said = {"GainMapMax": "3", "HDRCapacityMax": "3", **said}
    return jpeg(samples.picture(*SIZE), PRIMARY, exif=exif) + jpeg(codes, xmp_of(**said))


def iso_segment(common: bool, channels: int = 1) -> bytes:
    """Minimum 0, maximum 3 stops, gamma 1, offsets 1/64."""
    flags = (128 if channels == 3 else 0) | (8 if common else 0)
    values = [(0, 64), (192, 64)] + [(0, 64), (192, 64), (64, 64), (1, 64), (1, 64)] * channels
    body = struct.pack(">HHB", 0, 0, flags)
    if common:
        body += struct.pack(">I", 64) + b"".join(struct.pack(">i", above) for above, _ in values)
    else:
        body += b"".join(struct.pack(">iI", *value) for value in values)
    payload = ISO_NAME + body
    return b"\xff\xe2" + struct.pack(">H", 2 + len(payload)) + payload


def stops_of(codes: np.ndarray, low: float = 0, high: float = 3, gamma: float = 1) -> np.ndarray:
    return low + (high - low) * (codes / 255) ** (1 / gamma)


def test_ultra_hdr_is_read() -> None:
    found = photo.read(ultra_hdr(GainMapMin="-1", Gamma="2", OffsetSDR="0.01", OffsetHDR="0.02")).gain_map
    assert found is not None
    np.testing.assert_allclose(found.stops[..., 0], stops_of(CODES, -1, 3, 2), atol=0.12)
    assert (found.offset_sdr, found.offset_hdr, found.capacity) == (0.01, 0.02, (0.0, 3.0))


def test_a_map_of_three_colours_with_a_list_of_numbers() -> None:
    numbers = "<rdf:Seq>" + "".join(f"<rdf:li>{value}</rdf:li>" for value in (1, 2, 3)) + "</rdf:Seq>"
    found = photo.read(ultra_hdr(np.dstack([CODES] * 3), GainMapMax=numbers)).gain_map
    assert found is not None
    assert found.stops.shape == (*SMALL, 3)
    np.testing.assert_allclose(
        found.stops.max(axis=(0, 1)), np.array((1, 2, 3)) * CODES.max() / 255, rtol=0.03
    )


def test_a_map_with_two_numbers_for_its_channels_is_left_out() -> None:
    numbers = "<rdf:Seq><rdf:li>1</rdf:li><rdf:li>2</rdf:li></rdf:Seq>"
    found = photo.read(ultra_hdr(GainMapMax=numbers))
    assert found.gain_map is None
    assert any("gain map" in note for note in found.notes)


@pytest.mark.parametrize("common", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
def test_iso_21496_is_read(common: bool, channels: int) -> None:
    codes = CODES if channels == 1 else np.dstack([CODES] * 3)
    data = jpeg(samples.picture(*SIZE)) + jpeg(codes, extra=iso_segment(common, channels))
    found = photo.read(data).gain_map
    assert found is not None
    np.testing.assert_allclose(found.stops[..., 0], stops_of(CODES), atol=0.06)
    assert found.capacity == (0.0, 3.0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_map_turns_with_the_photo(orientation: int) -> None:
    found = photo.read(ultra_hdr(orientation=orientation)).gain_map
    assert found is not None
    np.testing.assert_allclose(found.stops[..., 0], stops_of(upright(CODES, orientation)), atol=0.06)


def test_what_is_written_is_read_back_and_by_pillow() -> None:
    first = photo.read(ultra_hdr())
    data = first.to_bytes(settings={"f_number": 1.8})
    back = photo.read(data)
    assert first.gain_map is not None
    assert back.gain_map is not None
    np.testing.assert_allclose(back.gain_map.stops, first.gain_map.stops, atol=0.06)
    assert back.gain_map.capacity == first.gain_map.capacity
    image = MpoImageFile(io.BytesIO(data))  # by the index of pictures
    assert image.n_frames == 2
    assert image.size == (SIZE[1], SIZE[0])
    image.seek(1)
    assert image.size == (SMALL[1], SMALL[0])
    assert back.xmp is not None
    assert b"f_number" in back.xmp
    assert b"hdrgm" not in back.xmp  # of the file, not of the photo


def test_the_list_of_files_names_the_length_of_the_map() -> None:
    data = photo.read(ultra_hdr()).to_bytes()
    length = int(data.partition(b'Item:Length="')[2].partition(b'"')[0])
    assert data[-length:][:3] == b"\xff\xd8\xff"
    assert Image.open(io.BytesIO(data[-length:])).size == (SMALL[1], SMALL[0])


@pytest.mark.parametrize("form", ["PNG", "WEBP", "AVIF", "TIFF"])
def test_other_formats_are_written_without_and_say_so(form: str) -> None:
    first = photo.read(ultra_hdr())
    data = first.to_bytes(format=form)
    assert b"hdrgm" not in data
    assert photo.read(data).gain_map is None
    (sentence,) = first.lost_in(f"x{samples.SUFFIX[form]}")
    assert "has a gain map for HDR screens" in sentence
    assert first.lost_in("x.jpg") == ()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (lambda: ultra_hdr(BaseRenditionIsHDR="True"), "makes an HDR picture darker"),
        (lambda: ultra_hdr(GainMapMax="1e9"), "beyond all measure"),
        (lambda: ultra_hdr(Gamma="0"), "beyond all measure"),
        (lambda: ultra_hdr(samples.picture(64, 96)[..., 0]), "larger than the photo itself"),
        (lambda: ultra_hdr()[:-300], "cannot be read: its picture is a damaged"),
        (lambda: jpeg(samples.picture(*SIZE)) + jpeg(CODES, extra=iso_segment(False)[:-14] + bytes(14)), "is cut off"),
        (lambda: jpeg(samples.picture(*SIZE), PRIMARY) + jpeg(CODES, APPLES), "headroom"),
    ],
)  # fmt: skip
def test_a_map_that_cannot_be_used_is_left_out_with_a_note(data: Callable[[], bytes], why: str) -> None:
    found = photo.read(data())
    assert found.gain_map is None
    (note,) = found.notes
    assert why in note
    assert note.endswith("; it is left out")
    assert b"hdrgm" not in found.to_bytes()


def test_another_jpeg_behind_the_photo_is_no_map() -> None:
    found = photo.read(jpeg(samples.picture(*SIZE), PRIMARY) + jpeg(CODES))
    assert (found.gain_map, found.notes) == (None, ())


def test_a_map_that_is_listed_and_says_nothing_is_named() -> None:
    listed = b'<rdf:li xmlns:Item="http://ns.google.com/photos/1.0/container/item/" Item:Semantic="GainMap"/>'
    packet = PRIMARY.replace(
        b'hdrgm:Version="1.0"/>', b'hdrgm:Version="1.0">' + listed + b"</rdf:Description>"
    )
    for behind in (jpeg(CODES), b""):
        found = photo.read(jpeg(samples.picture(*SIZE), packet) + behind)
        assert found.gain_map is None
        assert "does not say how bright it is" in found.notes[0]


def test_cut_and_changed_files_never_raise() -> None:
    whole = ultra_hdr()
    start = whole.rindex(b"\xff\xd8\xff")
    random = np.random.default_rng(2)
    for cut in range(start, len(whole), 7):
        photo.read(whole[:cut])
    for _ in range(100):
        broken = bytearray(whole)
        broken[int(random.integers(start, len(whole)))] = int(random.integers(0, 256))
        photo.read(bytes(broken))


@pytest.mark.parametrize(
    ("level", "gain", "stops"),
    [(0.5, 0.005, 1.7), (0.5, 0.5, 1.5505), (1.0, 0.005, 2.65), (1.0, 0.5, 2.1515)],
)
def test_the_headroom_of_apples_maker_note(level: float, gain: float, stops: float) -> None:
    def rational(value: float) -> ifd.Field:
        return ifd.Field(10, 1, struct.pack(">ii", round(value * 10_000), 10_000))

    block = ifd.laid_out(">", ifd.Tags({0x21: rational(level), 0x30: rational(gain)}, {}, {}, {}))
    # the note counts its offsets from its own start, 14 bytes before its directory
    count = struct.pack(">H", 2)
    tail = struct.pack(">HHII", 0x21, 10, 1, 14 + 2 + 24 + 4) + struct.pack(
        ">HHII", 0x30, 10, 1, 14 + 2 + 24 + 12
    )
    note = b"Apple iOS\0\0\x01MM" + count + tail + bytes(4) + rational(level).value + rational(gain).value
    assert block
    exif = ifd.laid_out(">", ifd.Tags({}, {0x927C: ifd.bytes_field(ifd.UNDEFINED, note)}, {}, {}))
    found = gain_map.apple_map(np.ones((1, 1, 1), np.float32), None, exif)
    assert found.stops[0, 0, 0] == pytest.approx(stops, abs=1e-3)


@pytest.mark.skipif("HEIF" not in samples.FORMATS, reason="pillow-heif is an extra: pip install '.[heif]'")
@pytest.mark.parametrize("orientation", [1, 6])
def test_the_map_of_an_iphones_heic_is_read_and_kept_in_a_jpeg(orientation: int) -> None:
    import heif_files

    said = f'<rdf:Description rdf:about="" xmlns:HDRGainMap="{APPLE}" HDRGainMap:HDRGainMapHeadroom="8"/>'
    packet = PRIMARY.partition(b"<rdf:Description")[0] + said.encode() + b"</rdf:RDF></x:xmpmeta>"
    codes = np.rint(samples.picture(64, 96)[..., 0] * 0.9).astype(np.uint8)
    file = heif_files.File()
    main = file.add(heif_files.picture_part(samples.picture(128, 192)).turned(orientation))
    part = heif_files.auxiliary(heif_files.picture_part(codes), APPLE_TYPE).turned(orientation)
    extra = file.add(part, ("auxl", main))
    file.add(heif_files.xmp_part(packet), ("cdsc", extra))
    found = photo.read(file.to_bytes())
    assert found.notes == ()
    assert found.gain_map is not None
    expected = np.log2(1 + 7 * srgb_to_linear(upright(codes, orientation)))
    np.testing.assert_allclose(found.gain_map.stops[..., 0], expected, atol=0.12)
    back = photo.read(found.to_bytes(format="JPEG")).gain_map
    assert back is not None
    np.testing.assert_allclose(back.stops, found.gain_map.stops, atol=0.06)
    assert "HEIC is written without" in found.lost_in("x.heic")[0]


def lamp(height: int = 64, width: int = 96) -> Photo:
    """A clipped lamp of 6 x 6 px, eight times as bright as white on an HDR screen, before a dark wall."""
    pixels = np.full((height, width, 3), 60, np.uint8)
    pixels[30:36, 46:52] = 255
    stops = np.zeros((height // 2, width // 2, 1), np.float32)
    stops[15:18, 23:26] = 3
    return Photo(pixels, gain_map=GainMap(stops, capacity=(0.0, 3.0)))


def refocused(picture: Photo, coc_px: float) -> dl.Result:
    """Everything out of focus by the same circle of confusion."""
    flat = np.full((picture.height, picture.width), 0.5, np.float32)
    flat[0, 0] = 1
    scene = dl.analyse(picture, depth=dl.InverseDepth(flat, "relative"))
    per_depth = scene.blur_px(dl.Settings(), subject_found=False)
    settings = dl.Settings(focus=(0.0, 0.0), subject_sharp=0.0, highlights=0.0)
    return dl.refocus(scene, settings, focus_depth=0.5 + coc_px / per_depth)


def test_the_glow_of_a_lamp_spreads_with_its_disc() -> None:
    result = refocused(lamp(), 8.0)
    assert float(np.abs(result.coc_px[30:36, 46:52]).mean()) == pytest.approx(8.0, abs=0.8)
    gain = result.as_photo().gain_map
    assert gain is not None
    small = np.clip(result.linear[::2, ::2], 0, 1)
    glow = gain.hdr(small)[..., 1]
    base = small[..., 1]
    disc = np.hypot(*(np.mgrid[0:32, 0:48] - np.array((16, 24)).reshape(2, 1, 1))) < 3
    outside = np.hypot(*(np.mgrid[0:32, 0:48] - np.array((16, 24)).reshape(2, 1, 1))) > 8
    assert glow[disc].mean() > 3 * base[disc].mean()  # it glows over the whole disc
    assert np.abs(glow - base)[outside].max() < 0.05  # and nowhere else
    wall = srgb_to_linear(np.uint8(60).reshape(1, 1))[0, 0]
    light = (glow - wall).clip(0).sum()
    assert light == pytest.approx(9 * (8 - wall), rel=0.15)  # none of it is lost


def test_where_nothing_is_blurred_the_map_stays() -> None:
    result = dl.refocus(refocused(lamp(), 8.0).scene, dl.Settings(f_number=64.0, lens_mm=8.0, highlights=0.0))
    gain, first = result.as_photo().gain_map, lamp().gain_map
    assert gain is not None
    assert first is not None
    np.testing.assert_allclose(gain.stops, first.stops, atol=0.02)


def test_previews_and_light_have_no_map() -> None:
    scene = refocused(lamp(640, 960), 8.0).scene
    assert dl.preview(scene, 10_000).photo.gain_map is None
    assert (
        refocused(replace(lamp(), pixels=np.zeros((64, 96, 3), np.float32)), 8.0).as_photo().gain_map is None
    )
