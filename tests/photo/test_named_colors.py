"""Colours named by numbers: AVIF and HEIC nclx, PNG cICP, gAMA and cHRM, DCF; SDR gets a profile, PQ and HLG become light."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import photo_samples as samples
import pytest
from PIL import Image, ImageCms

import deeplens_dof as dl
from deeplens_dof import photo
from deeplens_dof.photo.codecs.isobmff import with_named_colors
from deeplens_dof.photo.hdr import tone_mapped
from deeplens_dof.photo.metadata import icc, ifd
from deeplens_dof.photo.metadata.named_colors import HLG, PQ, PRIMARIES
from deeplens_dof.photo.metadata.primaries import colorants_of

SIZE = (64, 96)
TRANSFERS = {  # the definitions, written out: code 0..1 to light
    1: lambda v: np.where(v < 0.081, v / 4.5, ((v + 0.0993) / 1.0993) ** (1 / 0.45)),
    4: lambda v: v**2.2,
    5: lambda v: v**2.8,
    8: lambda v: v,
    13: lambda v: np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4),
}


def png(codes: np.ndarray, *chunks: tuple[bytes, bytes]) -> bytes:
    data = photo.Photo(codes).to_bytes(format="PNG")
    added = b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return data[:33] + added + data[33:]


def named(form: str, codes: np.ndarray, primaries: int, transfer: int) -> bytes:
    """A file of these codes, 8 bits, whose colours are named so."""
    if form == "PNG":
        return png(codes, (b"cICP", bytes((primaries, transfer, 0, 1))))
    file = io.BytesIO()
    if form == "AVIF":
        Image.fromarray(codes).save(file, "AVIF", quality=100, subsampling="4:4:4", speed=8)
    else:
        pillow_heif = pytest.importorskip("pillow_heif")
        deep = codes.dtype == np.uint16
        stored = ((codes.astype(np.uint32) * 1023 + 32767) // 65535).astype(np.uint16) if deep else codes
        mode = "RGB;10" if deep else "RGB"
        options = {"quality": 100, "chroma": 444, "enc_params": {"preset": "ultrafast"}}
        pillow_heif.encode(mode, codes.shape[1::-1], stored.tobytes(), file, **options)
    return with_named_colors(file.getvalue(), primaries, transfer)


@pytest.mark.parametrize("transfer", TRANSFERS)
@pytest.mark.parametrize("primaries", [1, 5, 6, 9, 12])
@pytest.mark.parametrize("form", ["PNG", "AVIF", "HEIF"])
def test_named_colours_become_a_profile(form: str, primaries: int, transfer: int) -> None:
    codes = samples.picture(*SIZE)
    back = photo.read(named(form, codes, primaries, transfer))
    assert samples.close(back.pixels, codes, 0 if form == "PNG" else 2)  # the codes are left as they are
    light = TRANSFERS[transfer](back.pixels / 255)
    np.testing.assert_allclose(back.linear(), light, atol=1e-3)
    if (primaries, transfer) == (1, 13):
        assert back.icc is None
        return
    assert back.icc is not None
    colorants = icc.profile(back.icc).colorants
    np.testing.assert_allclose(colorants, colorants_of(PRIMARIES[primaries]), atol=1e-4)
    own, sink = ImageCms.ImageCmsProfile(io.BytesIO(back.icc)), ImageCms.createProfile("XYZ")
    assert own.profile.xcolor_space.strip() == "RGB"
    assert sink is not None
    again = photo.read(back.to_bytes(format="PNG"))
    assert again.icc == back.icc
    np.testing.assert_array_equal(again.pixels, back.pixels)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_display_p3_by_number_is_display_p3_by_profile(dtype: type) -> None:
    codes = samples.picture(*SIZE, dtype)
    number = photo.read(png(codes, (b"cICP", bytes((12, 13, 0, 1)))))
    profile = photo.Photo(codes, icc=samples.display_p3())
    assert samples.close(number.srgb8(), profile.srgb8(), 0.6)
    assert not samples.close(number.srgb8(), photo.Photo(codes).srgb8(), 3)


CHRM_P3 = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
CHRM_SRGB = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)


@pytest.mark.parametrize("points", [None, CHRM_SRGB, CHRM_P3])
@pytest.mark.parametrize("gamma", [1.0, 0.55556, 0.45455, None])
def test_gamma_and_chromaticities_of_a_png(gamma: float | None, points: bytes | None) -> None:
    codes = samples.picture(*SIZE)
    chunks = [] if gamma is None else [(b"gAMA", struct.pack(">I", round(gamma * 1e5)))]
    chunks += [] if points is None else [(b"cHRM", points)]
    back = photo.read(png(codes, *chunks))
    if gamma in (None, 0.45455) and points in (None, CHRM_SRGB):
        assert back.icc is None
        return
    np.testing.assert_allclose(back.linear(), (codes / 255) ** (1 / (gamma or 0.45455)), atol=2e-3)
    wanted = colorants_of(PRIMARIES[12 if points == CHRM_P3 else 1])
    np.testing.assert_allclose(icc.profile(back.icc).colorants, wanted, atol=1e-4)


def test_a_grey_png_keeps_its_gamma() -> None:
    codes = samples.picture(*SIZE)[..., 0]
    data = samples.file_of(Image.fromarray(codes), "PNG")
    chunk = b"gAMA" + struct.pack(">I", 100_000)
    data = data[:33] + struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]
    np.testing.assert_allclose(photo.read(data).linear()[..., 1], codes / 255, atol=1e-4)


@pytest.mark.parametrize(
    ("chunks", "profile"),
    [
        (((b"sRGB", b"\0"), (b"gAMA", struct.pack(">I", 100_000))), None),
        (
            (
                (b"iCCP", b"x\0\0" + zlib.compress(samples.display_p3())),
                (b"gAMA", struct.pack(">I", 100_000)),
            ),
            "own",
        ),
        (((b"cICP", bytes((9, 8, 0, 1))), (b"iCCP", b"x\0\0" + zlib.compress(samples.display_p3()))), "cICP"),
        (((b"cICP", bytes((2, 2, 0, 1))),), None),
        (((b"cICP", bytes((99, 77, 0, 1))),), None),
        (((b"cHRM", bytes(32)),), None),
        (((b"gAMA", bytes(4)),), None),
    ],
)
def test_which_name_counts(chunks: tuple[tuple[bytes, bytes], ...], profile: str | None) -> None:
    back = photo.read(png(samples.picture(*SIZE), *chunks))
    if profile is None:
        assert back.icc is None
    else:
        assert (back.icc == samples.display_p3()) == (profile == "own")


def test_adobe_rgb_by_the_index_of_dcf() -> None:
    interop = {1: ifd.bytes_field(ifd.ASCII, b"R03\0")}
    block = ifd.laid_out("<", ifd.Tags({}, {0xA001: ifd.packed("<", ifd.SHORT, 65535)}, {}, interop))
    data = samples.file_of(Image.fromarray(samples.picture()), "JPEG", exif=b"Exif\0\0" + block)
    found = icc.profile(photo.read(data).icc)
    np.testing.assert_allclose(found.colorants, samples.ADOBE_COLORANTS, atol=5e-4)
    plain = block.replace(b"R03", b"R98")
    data = samples.file_of(Image.fromarray(samples.picture()), "JPEG", exif=b"Exif\0\0" + plain)
    assert photo.read(data).icc is None


@pytest.mark.parametrize("transfer", [PQ, HLG])
@pytest.mark.parametrize("primaries", [1, 9, 12])
@pytest.mark.parametrize("form", ["PNG", "AVIF", "HEIF"])
def test_hdr_becomes_light_and_hdr_again(form: str, primaries: int, transfer: int) -> None:
    deep = form != "AVIF"
    codes = samples.picture(*SIZE, np.uint16 if deep else np.uint8)
    back = photo.read(named(form, codes, primaries, transfer))
    assert back.is_float
    assert back.compression.hdr == (primaries, transfer)
    assert float(back.pixels.max()) > 2  # brighter than white
    again = photo.read(back.to_bytes())
    assert again.compression.hdr == (primaries, transfer)
    first, second = (np.cbrt(each.pixels) for each in (back, again))
    assert np.abs(first - second).mean() < {"PNG": 2e-3, "HEIF": 0.03, "AVIF": 0.05}[form]


@pytest.mark.parametrize(("transfer", "white"), [(PQ, 0.58069), (HLG, 0.75)])
def test_diffuse_white_is_one(transfer: int, white: float) -> None:
    """BT.2408: 203 cd/m2 is 58 % of PQ and 75 % of HLG."""
    codes = np.full((*SIZE, 3), round(white * 65535), np.uint16)
    light = photo.read(png(codes, (b"cICP", bytes((9, transfer, 0, 1))))).linear()
    np.testing.assert_allclose(light, 1, atol=5e-3)


def test_hdr_in_another_format_is_tone_mapped_with_a_sentence(tmp_path: Path) -> None:
    codes = samples.picture(*SIZE, np.uint16)
    picture = photo.read(png(codes, (b"cICP", bytes((9, PQ, 0, 1)))))
    for suffix in (".png", ".avif", ".heic", ".exr"):
        assert picture.lost_in(f"x{suffix}") == ()
    for suffix in (".jpg", ".webp", ".tif"):
        assert "tone mapped" in picture.lost_in(f"x{suffix}")[0]
    picture.save(tmp_path / "x.jpg")
    shown = photo.read(tmp_path / "x.jpg").linear()
    assert np.ptp(shown[light_above(picture, 2)]) > 0.05  # not all of it clipped
    assert photo.Photo(codes).lost_in("x.jpg") == ()


def light_above(picture: photo.Photo, least: float) -> np.ndarray:
    return np.asarray(picture.linear().max(axis=2) > least)


def test_tone_mapping_keeps_order_and_what_is_dark() -> None:
    light = np.linspace(0, 40, 3000, dtype=np.float32).reshape(10, 100, 3)
    mapped = tone_mapped(light)
    brightest = light.max(axis=2) <= 0.75
    np.testing.assert_array_equal(mapped[brightest], light[brightest])
    assert (np.diff(mapped.max(axis=2).ravel()) > 0).all()
    assert mapped.max() == pytest.approx(1, abs=1e-5)


def test_a_blurred_hdr_picture_keeps_its_light() -> None:
    """A lamp of many times white spreads as light does: the disc is brighter than that of a lamp clipped at white."""
    codes = np.full((64, 64, 3), 20_000, np.uint16)
    codes[30:34, 30:34] = 60_000
    data = png(codes, (b"cICP", bytes((9, PQ, 0, 1))))
    depth = dl.InverseDepth(np.tile(np.linspace(0, 1, 64, dtype=np.float32), (64, 1)), "relative")
    settings = dl.Settings(focus=(0.98, 0.5), f_number=0.7, lens_mm=100)
    back = photo.read(dl.blur(data, depth=depth, settings=settings))
    first = photo.read(data)
    assert back.compression.hdr == first.compression.hdr
    assert back.pixels.max() < 0.8 * first.pixels.max()
    np.testing.assert_allclose(back.pixels.mean(), first.pixels.mean(), rtol=0.2)
