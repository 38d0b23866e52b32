"""GDepth inside photos: read whatever its shape, refused when it is broken, written so that it comes back."""

from __future__ import annotations

import base64
import hashlib
import time
import tracemalloc
from pathlib import Path

import depth_samples as made
import numpy as np
import photo_samples as samples
import pytest

import deeplens_dof as dl
from deeplens_dof import photo
from deeplens_dof.photo import EmbeddedDepth, PhotoError, untouched
from deeplens_dof.photo.metadata import xmp, xmp_in_jpeg
from deeplens_dof.photo.metadata.orientation import upright
from deeplens_dof.photo.phone_depth import gdepth

ORIGINAL = samples.file_of(made.opened(made.gdepth_jpeg()), "JPEG", quality=97)


def values(data: bytes) -> np.ndarray:
    found = photo.read(data)
    assert found.depth is not None, found.depth_problem
    return found.depth.inverse_depth.values


def problem(data: bytes) -> str:
    """Why the depth was not used; the photo itself is whole."""
    found = photo.read(data)
    assert found.depth is None
    assert found.depth_problem is not None
    assert "\n" not in found.depth_problem
    assert not found.depth_problem.endswith(".")
    assert found.pixels.shape == (made.HEIGHT, made.WIDTH, 3)
    return found.depth_problem


@pytest.mark.parametrize("kind", ["RangeInverse", "RangeLinear"])
@pytest.mark.parametrize(("form", "bits", "levels"), [("PNG", 16, 65535), ("PNG", 8, 255), ("JPEG", 8, 100)])
def test_metres_come_back_from_every_kind_of_picture(kind: str, form: str, bits: int, levels: int) -> None:
    picture = made.picture_of(made.codes(made.metres(), kind), form, bits)
    data = made.jpeg(made.gdepth_packet(kind, picture, Mime=f"image/{form.lower()}"))
    found = photo.read(data)
    assert found.depth is not None
    assert found.depth_problem is None
    assert (found.depth.origin, found.depth.inverse_depth.unit) == ("GDepth", "1/m")
    assert found.depth.inverse_depth.values == pytest.approx(1 / made.metres(), abs=3.5 / levels)


def test_distances_are_metres_only_where_the_photo_says_so() -> None:
    relative = photo.read(made.gdepth_jpeg(Units="")).depth
    assert relative is not None
    assert relative.inverse_depth.unit == "relative"
    assert relative.inverse_depth.values == pytest.approx(1 - made.codes(made.metres()), abs=1e-4)
    linear = photo.read(made.gdepth_jpeg("RangeLinear", Units="")).depth
    assert linear is not None
    assert linear.inverse_depth.values == pytest.approx(relative.inverse_depth.values, abs=2e-4)
    millimetres = made.gdepth_jpeg(Units="mm", Near="1000", Far="4000")
    assert values(millimetres) == pytest.approx(1 / made.metres(), abs=1e-4)


def test_properties_may_be_elements_and_prefixes_anything() -> None:
    data = base64.b64encode(made.picture_of(made.codes(made.metres()))).decode()
    body = "".join(
        f'<q:{name} xmlns:q="{gdepth.DEPTH_NAMESPACE}">{text}</q:{name}>'
        for name, text in {
            "Format": "RangeInverse",
            "Near": "1",
            "Far": "4",
            "Units": "m",
            "Data": data,
        }.items()
    )
    assert values(made.jpeg(made.packet(body))) == pytest.approx(1 / made.metres(), abs=1e-4)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_depth_and_focus_turn_with_the_photo(orientation: int) -> None:
    focus = {"GFocus_FocalPointX": "0.25", "GFocus_FocalPointY": "0.0625", "GFocus_BlurAtInfinity": "0.03"}
    found = photo.read(made.gdepth_jpeg(orientation=orientation, **focus))
    assert found.depth is not None
    turned = upright(1 / made.metres(), orientation)
    assert found.depth.inverse_depth.values == pytest.approx(turned, abs=1e-4)
    marked = np.zeros((16, 24))
    marked[1, 6] = 1
    ((row, column),) = np.argwhere(upright(marked, orientation))
    x, y = found.depth.focus
    rows, columns = found.depth.inverse_depth.shape
    assert abs(x * columns - column - 0.5) <= 0.51
    assert abs(y * rows - row - 0.5) <= 0.51
    again = photo.read(found.to_bytes())  # which is upright, and so must its depth be
    assert again.depth is not None
    assert again.depth.inverse_depth.values == pytest.approx(turned, abs=1e-4)
    assert again.depth.focus == pytest.approx(found.depth.focus)
    assert b'xmp:Rating="4"' in again.xmp


def test_an_upright_photo_keeps_its_packet_to_the_byte() -> None:
    packet = made.gdepth_packet(Confidence="AAAA", GFocus_BlurAtInfinity="0.03", Manufacturer="X")
    found = photo.read(made.jpeg(packet))
    assert found.xmp == packet
    assert photo.read(found.to_bytes()).xmp == packet
    assert photo.read(found.to_bytes(strip_metadata=True)).depth is None


@pytest.mark.parametrize("form", samples.FORMATS)
def test_depth_and_original_stay_in_every_format(form: str) -> None:
    inside = base64.b64encode(ORIGINAL).decode()
    for orientation in (1, 8):
        found = photo.read(made.gdepth_jpeg(orientation=orientation, GImage_Data=inside))
        again = photo.read(found.to_bytes(format=form))
        assert again.depth is not None, again.depth_problem
        assert again.depth.inverse_depth.values == pytest.approx(found.depth.inverse_depth.values, abs=1e-4)
        assert again.depth.original == ORIGINAL


def test_the_original_and_what_is_none() -> None:
    def original(data: bytes) -> bytes | None:
        depth = photo.read(made.gdepth_jpeg(GImage_Data=base64.b64encode(data).decode())).depth
        assert depth is not None
        return depth.original

    assert original(ORIGINAL) == ORIGINAL
    assert original(b"GIF89a what is this") is None
    depth = photo.read(made.gdepth_jpeg(GImage_Data="!!!")).depth
    assert depth is not None
    assert depth.original is None


BROKEN = {
    "no data": ({"Data": ""}, "without its Data"),
    "wrong base64": ({"Data": "AAA$%!"}, "not whole base64"),
    "cut base64": ({"Data": "AAAAA"}, "not whole base64"),
    "text": ({"Data": base64.b64encode(b"plain words here").decode()}, "a text file"),
    "WebP": ({"Data": base64.b64encode(b"RIFF\1\0\0\0WEBPVP8 ").decode()}, "WEBP, expected JPEG or PNG"),
    "near at far": ({"Near": "4"}, "from 4 to 4.0, expected"),
    "near beyond far": ({"Near": "5"}, "0 < Near < Far"),
    "near at the lens": ({"Near": "0"}, "0 < Near < Far"),
    "negative": ({"Near": "-1"}, "0 < Near < Far"),
    "NaN": ({"Near": "nan"}, "'nan'"),
    "infinity": ({"Far": "inf"}, "'inf'"),
    "no far": ({"Far": ""}, "nothing"),
    "words": ({"Far": "far away, " * 10}, "…'"),
    "another format": ({"Format": "RangeCubic"}, "'RangeCubic'"),
    "indistinct": ({"Near": "1", "Far": "1.000000000001"}, "told apart"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_depth_leaves_the_photo_and_says_why(kind: str) -> None:
    changes, words = BROKEN[kind]
    assert words in problem(made.gdepth_jpeg(**changes))


def test_a_map_larger_than_the_photo_is_refused_before_it_is_decoded() -> None:
    photo.read(made.gdepth_jpeg())  # imports what is needed
    for width, height in ((40_000, 40_000), (60_000, 40_000), (49, 32), (2**31 - 1, 2**31 - 1), (0, 5)):
        data = made.jpeg(made.gdepth_packet(picture=made.png_header(width, height)))
        tracemalloc.start()
        start = time.monotonic()
        assert problem(data)
        assert time.monotonic() - start < 1
        assert tracemalloc.get_traced_memory()[1] < 20e6
        tracemalloc.stop()


def test_a_map_of_another_frame_is_refused() -> None:
    square = made.picture_of(made.codes(made.metres(24, 24)))
    assert "aspects differ" in problem(made.jpeg(made.gdepth_packet(picture=square)))
    rounded = made.picture_of(made.codes(made.metres(5, 7)))  # 7.5 x 5
    assert values(made.jpeg(made.gdepth_packet(picture=rounded))).shape == (5, 7)


def test_a_cut_picture_and_a_cut_packet() -> None:
    whole = made.picture_of(np.random.default_rng(3).random((32, 48)))
    assert "damaged or incomplete PNG" in problem(made.jpeg(made.gdepth_packet(picture=whole[:-1500])))
    long = made.gdepth_packet(Confidence="A" * 150_000)
    data = made.jpeg(long)
    assert values(data).shape == (16, 24)
    last = data.rindex(b"http://ns.adobe.com/xmp/extension/\0")
    length = int.from_bytes(data[last - 2 : last], "big")
    assert "without its Data" in problem(data[: last - 4] + data[last - 2 + length :])


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE x SYSTEM "http://localhost/x.dtd">',
    ],
)
def test_packets_with_entities_are_not_read(doctype: str) -> None:
    packet = made.gdepth_packet(Data="&a;" if "ENTITY" in doctype else "AAAA")
    found = photo.read(made.jpeg(doctype.encode() + packet))
    assert (found.depth, found.xmp) == (None, None)
    from deeplens_dof.photo.metadata.xmp_tree import parse_packet

    with pytest.raises(xmp.PacketError, match="document type or an entity"):
        parse_packet(doctype.encode() + packet)


def test_a_packet_of_many_elements_or_levels_is_not_walked() -> None:
    from deeplens_dof.photo.metadata.xmp_tree import parse_packet

    for body in ("<rdf:li/>" * 20_001, "<rdf:li>" * 65 + "</rdf:li>" * 65):
        packet = made.packet(body, Data="AAAA", Near="1", Far="2")
        with pytest.raises(xmp.PacketError, match="too many elements"):
            parse_packet(packet)
        assert photo.read(made.jpeg(packet)).depth is None


def depth_of(shape: tuple[int, int], unit: str, seed: int = 1) -> dl.InverseDepth:
    return dl.InverseDepth(np.random.default_rng(seed).random(shape).astype(np.float32), unit)


@pytest.mark.parametrize("unit", ["1/m", "relative"])
@pytest.mark.parametrize("shape", [(32, 48), (16, 24), (300, 450)])
def test_what_is_written_comes_back(unit: str, shape: tuple[int, int], tmp_path: Path) -> None:
    height, width = max(shape[0], 32), max(shape[1], 48)
    source = photo.Photo(samples.noise(height, width, np.uint8), exif=samples.exif_block(), xmp=samples.XMP)
    source = photo.read(source.to_bytes(format="JPEG"))
    depth = EmbeddedDepth(depth_of(shape, unit), "GDepth", focus=(0.25, 0.75), original=source.file)
    source.with_embedded_depth(depth, nearest_m=0.8, blur_at_infinity=0.01).save(tmp_path / "a.jpg")
    again = photo.read(tmp_path / "a.jpg")
    assert again.depth is not None
    assert again.depth.inverse_depth.unit == unit
    assert again.depth.inverse_depth.values == pytest.approx(depth.inverse_depth.values, abs=1 / 65535)
    assert again.depth.focus == (0.25, 0.75)
    assert again.depth.original == source.file
    assert again.exif == source.exif
    assert "Zürich ☀".encode() in again.xmp
    facts = again.xmp.split(b"GDepth:Near=")[1][:40]
    assert unit == "1/m" or facts.startswith(b'"0.8" GDepth:Far="80.0"')
    once_more = photo.read(again.to_bytes())
    assert once_more.xmp == again.xmp


@pytest.mark.parametrize("values", [[[0.0, 0.0]], [[2.0, 2.0]], [[0.0, 3.0]], [[1e-9, 1e3]]])
def test_flat_and_infinitely_far_maps_are_written_too(values: list[list[float]]) -> None:
    metric = dl.InverseDepth(np.float32(values).repeat(4, 0).repeat(3, 1), "1/m")
    packet = gdepth.with_depth(None, EmbeddedDepth(metric, "GDepth"))
    again = photo.read(made.jpeg(packet)).depth
    assert again is not None
    largest = max(values[0][-1], 1.0)
    assert again.inverse_depth.values == pytest.approx(metric.values, abs=1.01 * largest / 65535)


def test_long_packets_are_split_as_the_specification_says() -> None:
    depth = EmbeddedDepth(depth_of((300, 450), "relative"), "GDepth", original=ORIGINAL)
    packet = gdepth.with_depth(samples.XMP, depth)
    main, segments = xmp_in_jpeg.split(packet, gdepth.HEAVY)
    assert len(main) < 65_502
    assert b"GDepth:Near=" in main
    assert b"GDepth:Data=" not in main
    assert "Zürich ☀".encode() in main  # what is light stays where every program looks
    name = main.split(b'HasExtendedXMP="')[1][:32]
    parts, at = [], 0
    while at < len(segments):
        length = int.from_bytes(segments[at + 2 : at + 4], "big")
        assert segments[at : at + 2] == b"\xff\xe1"
        assert segments[at + 4 :].startswith(b"http://ns.adobe.com/xmp/extension/\0" + name)
        assert int.from_bytes(segments[at + 75 : at + 79], "big") == sum(map(len, parts))
        parts.append(segments[at + 79 : at + 2 + length])
        at += 2 + length
    assert len(parts) > 3
    assert hashlib.md5(b"".join(parts)).hexdigest().upper().encode() == name


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A photo on its side, with all that a camera writes."""
    path = tmp_path / "in.jpg"
    image = made.opened(made.gdepth_jpeg())
    exif, icc = b"Exif\0\0" + samples.exif_block(6), samples.display_p3()
    path.write_bytes(samples.file_of(image, "JPEG", quality=92, exif=exif, xmp=samples.XMP, icc_profile=icc))
    return path


def test_a_result_holds_depth_focus_and_the_untouched_file(source: Path, tmp_path: Path) -> None:
    before = photo.read(source)
    depth = depth_of((before.height, before.width), "relative")
    result = dl.blur(source, depth=depth, focus=(0.25, 0.5), f_number=0.7, lens_mm=200)
    result.save(tmp_path / "out.jpg", embed_depth=True)
    after = photo.read(tmp_path / "out.jpg")
    assert after.depth is not None
    assert after.depth.original == source.read_bytes()
    assert after.depth.inverse_depth.values == pytest.approx(depth.values, abs=1 / 65535)
    assert after.depth.focus == (0.25, 0.5)
    assert (after.exif, after.icc) == (before.exif, before.icc)
    assert xmp.recorded_settings(after.xmp)["f_number"] == "0.7"
    image = made.opened((tmp_path / "out.jpg").read_bytes())
    assert image.size == (before.width, before.height)
    assert image.getexif()[0x0110] == "T2"
    assert image.info["icc_profile"] == before.icc
    focus = after.xmp.split(b'GFocus:FocalDistance="')[1].split(b'"')[0]
    assert 1 <= float(focus) <= 100


def test_what_is_blurred_again_is_the_original(source: Path, tmp_path: Path) -> None:
    before = photo.read(source)
    depth = depth_of((before.height, before.width), "relative")
    dl.blur(source, depth=depth, f_number=0.7, lens_mm=400).save(tmp_path / "once.jpg", embed_depth=True)
    once = photo.read(tmp_path / "once.jpg")
    assert not np.array_equal(once.pixels, before.pixels)
    assert np.array_equal(untouched(once).pixels, before.pixels)
    scene = dl.analyse(once, depth)
    assert np.array_equal(scene.photo.pixels, before.pixels)
    dl.blur(once, depth=depth, f_number=8).save(tmp_path / "twice.jpg", embed_depth=True)
    twice = photo.read(tmp_path / "twice.jpg")
    assert twice.depth is not None
    assert twice.depth.original == source.read_bytes()  # not the result of the first time


def test_an_original_that_is_none_of_this_photo_is_not_used() -> None:
    def with_original(data: bytes) -> photo.Photo:
        return photo.read(made.gdepth_jpeg(GImage_Data=base64.b64encode(data).decode()))

    small = samples.file_of(made.opened(ORIGINAL).resize((24, 16)), "JPEG")
    large = made.png_header(30_000, 30_000)
    for data in (small, large, ORIGINAL[:-200][:300]):
        found = with_original(data)
        assert untouched(found) is found
    assert untouched(with_original(ORIGINAL)).file == ORIGINAL
    plain = photo.read(ORIGINAL)
    assert untouched(plain) is plain


def test_a_photo_without_its_place_has_no_original_that_knows_it() -> None:
    from deeplens_dof.photo.remove_gps import without_gps

    placed = samples.file_of(made.opened(ORIGINAL), "JPEG", exif=b"Exif\0\0" + samples.exif_block())
    inside = base64.b64encode(placed)
    for orientation in (1, 6):
        found = photo.read(made.gdepth_jpeg(orientation=orientation, GImage_Data=inside.decode()))
        assert inside in found.to_bytes().replace(b"\n", b"")
        stripped = without_gps(found)
        assert stripped.file is None
        assert stripped.depth.original is None
        written = stripped.to_bytes()
        assert inside[:400] not in written
        again = photo.read(written)
        assert again.depth.original is None
        assert np.array_equal(again.depth.inverse_depth.values, found.depth.inverse_depth.values)


def test_photos_of_other_formats_go_in_as_jpeg(tmp_path: Path) -> None:
    pixels = samples.picture(dtype=np.uint16)
    photo.Photo(pixels).save(tmp_path / "in.png")
    result = dl.blur(tmp_path / "in.png", depth=depth_of((32, 48), "1/m"), f_number=0.7)
    result.save(tmp_path / "out.jpg", embed_depth=True)
    after = photo.read(tmp_path / "out.jpg")
    assert after.depth is not None
    assert photo.read(after.depth.original).format == "JPEG"
    assert samples.close(untouched(after).pixels, photo.read(tmp_path / "in.png").srgb8(), 1)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".avif"])
def test_other_formats_refuse_depth_in_one_sentence(suffix: str, source: Path, tmp_path: Path) -> None:
    result = dl.blur(source, depth=depth_of((48, 32), "relative"))
    with pytest.raises(PhotoError, match=r"only a JPEG holds; end its name in \.jpg$"):
        result.save(tmp_path / f"out{suffix}", embed_depth=True)
    with pytest.raises(PhotoError, match="leave one of the two out"):
        result.save(tmp_path / "out.jpg", embed_depth=True, strip_metadata=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jpg"]


def test_an_untouched_photo_too_long_for_xmp_is_refused(source: Path) -> None:
    found = photo.read(source)
    long = found.file + bytes(49 << 20)
    with pytest.raises(
        PhotoError, match=r"bytes of XMP, expected at most 67,108,864; write the depth to a file"
    ):
        found.with_embedded_depth(EmbeddedDepth(depth_of((48, 32), "relative"), "GDepth", original=long))


def test_the_command_embeds_and_refuses(source: Path, tmp_path: Path, capfd) -> None:
    from deeplens_dof import cli

    dl.write_depth_file(tmp_path / "d.png", depth_of((48, 32), "relative"))

    def run(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as end:
            cli.main(["blur", str(source), "--depth", str(tmp_path / "d.png"), "--embed-depth", *arguments])
        return int(end.value.code or 0), capfd.readouterr().err

    assert run("-o", str(tmp_path / "out.jpg"))[0] == 0
    found = photo.read(tmp_path / "out.jpg")
    assert found.depth is not None
    assert found.depth.original == source.read_bytes()
    code, said = run("-o", str(tmp_path / "out.png"))
    assert (code, "only a JPEG holds" in said, "Traceback" in said) == (1, True, False)
    assert not (tmp_path / "out.png").exists()
