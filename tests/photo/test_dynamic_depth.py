"""Dynamic Depth: files behind the photo in one JPEG, believed only as far as the file bears them out."""

from __future__ import annotations

import base64

import depth_samples as made
import numpy as np
import photo_samples as samples
import pytest
from PIL import Image

from deeplens_dof import photo
from deeplens_dof.photo.metadata.orientation import upright
from deeplens_dof.photo.phone_depth.dynamic_depth import end_of_jpeg
from deeplens_dof.photo.phone_depth.range_map import BrokenDepthError

DEPTH = made.picture_of(made.codes(made.metres()))
ORIGINAL = samples.file_of(Image.fromarray(samples.picture()), "JPEG", quality=97)
PRIMARY = made.item("primary_image", 0, "image/jpeg")


def problem(data: bytes) -> str:
    found = photo.read(data)
    assert found.depth is None
    assert found.depth_problem is not None
    assert "\n" not in found.depth_problem
    assert found.pixels.shape == (made.HEIGHT, made.WIDTH, 3)
    return found.depth_problem


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("padding", [0, 37])
def test_the_map_behind_the_photo_is_read(old: bool, padding: int) -> None:
    found = photo.read(made.dynamic_jpeg(old=old, padding=padding))
    assert found.depth is not None, found.depth_problem
    assert (found.depth.origin, found.depth.inverse_depth.unit) == ("Dynamic Depth", "1/m")
    assert found.depth.inverse_depth.values == pytest.approx(1 / made.metres(), abs=1e-4)


def test_it_is_found_among_others_with_the_original() -> None:
    files = {"android/original": ORIGINAL, "android/video": b"ftyp" * 9, "android/depthmap": DEPTH}
    found = photo.read(made.dynamic_jpeg(files, original="android/original"))
    assert found.depth is not None
    assert found.depth.inverse_depth.values == pytest.approx(1 / made.metres(), abs=1e-4)
    assert found.depth.original == ORIGINAL
    assert np.array_equal(photo.untouched(found).pixels, photo.read(ORIGINAL).pixels)


def test_it_may_be_named_by_its_meaning_and_shared() -> None:
    listed = [PRIMARY, made.item("x", len(DEPTH)), made.item("y", 0, semantic="Depth")]
    found = photo.read(made.dynamic_jpeg(items=listed, DepthURI=""))
    assert found.depth is not None, found.depth_problem


def test_units_formats_and_bounds() -> None:
    found = photo.read(made.dynamic_jpeg(Units="None", Format="rangeinverse")).depth
    assert found is not None
    assert found.inverse_depth.unit == "relative"
    assert "0 < Near < Far" in problem(made.dynamic_jpeg(Near="9"))
    assert "0 < Near < Far" in problem(made.dynamic_jpeg(Near="NaN"))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_turns_with_the_photo_and_is_kept_when_saved(orientation: int) -> None:
    found = photo.read(made.dynamic_jpeg(orientation=orientation))
    assert found.depth is not None
    turned = upright(1 / made.metres(), orientation)
    assert found.depth.inverse_depth.values == pytest.approx(turned, abs=1e-4)
    assert b"Container" not in found.xmp.replace(
        b"xmlns:Container", b""
    )  # what it lists is not written again
    assert b'xmp:Rating="4"' in found.xmp
    again = photo.read(found.to_bytes())
    assert again.depth is not None
    assert again.depth.inverse_depth.values == pytest.approx(turned, abs=1e-4)


LIES = {
    "beyond the end": [PRIMARY, made.item("android/depthmap", len(DEPTH) + 1)],
    "far beyond the end": [PRIMARY, made.item("android/depthmap", 9_999_999_999)],
    "more digits than bytes": [PRIMARY, made.item("android/depthmap", "9" * 5000)],
    "a negative length": [PRIMARY, made.item("android/depthmap", -5)],
    "a length in words": [PRIMARY, made.item("android/depthmap", "long")],
    "no length": [PRIMARY, made.item("android/depthmap", "")],
    "a large padding": [
        made.item("primary_image", 0, padding=10**9),
        made.item("android/depthmap", len(DEPTH)),
    ],
    "only the photo": [PRIMARY],
    "nothing": [],
    "too many": [PRIMARY, *[made.item(str(i), 1) for i in range(32)]],
    "another name": [PRIMARY, made.item("android/other", len(DEPTH))],
    "too short": [PRIMARY, made.item("android/depthmap", 50)],
    "beside it": [PRIMARY, made.item("x", 3), made.item("android/depthmap", len(DEPTH) - 3)],
}


@pytest.mark.parametrize("lie", LIES)
def test_a_list_that_does_not_fit_the_file_is_refused(lie: str) -> None:
    assert "Dynamic Depth" in problem(made.dynamic_jpeg(items=LIES[lie]))


def test_bombs_and_other_frames_are_refused() -> None:
    huge = made.png_header(40_000, 40_000)
    assert "40,000 x 40,000 px" in problem(made.dynamic_jpeg({"android/depthmap": huge}))
    square = made.picture_of(made.codes(made.metres(20, 20)))
    assert "aspects differ" in problem(made.dynamic_jpeg({"android/depthmap": square}))


def test_every_truncation_gives_a_photo_or_a_sentence() -> None:
    data = made.dynamic_jpeg()
    for length in range(0, len(data), 97):
        try:
            found = photo.read(data[:length])
        except photo.PhotoError:
            continue
        assert found.depth is None
        assert found.depth_problem is not None
        assert length > len(data) - len(DEPTH) - 200


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"optimize": True}]
)
def test_the_end_of_a_jpeg_is_found_whatever_follows(options: dict[str, object]) -> None:
    noise = Image.fromarray(samples.noise(64, 96, np.uint8))
    data = samples.file_of(
        noise, "JPEG", quality=100, exif=samples.with_thumbnail(samples.exif_block(), ORIGINAL), **options
    )
    assert end_of_jpeg(data) == len(data)
    assert end_of_jpeg(data + ORIGINAL) == len(data)
    with pytest.raises(BrokenDepthError, match="end is not marked"):
        end_of_jpeg(data[:-2])


def test_gdepth_counts_where_both_are_there() -> None:
    data = made.dynamic_jpeg()
    flat = base64.b64encode(made.picture_of(np.zeros((16, 24)))).decode()
    both = data.replace(
        b'xmp:Rating="4"',
        f'xmlns:GDepth="{made.OLD}depthmap/" GDepth:Near="2" GDepth:Far="3" GDepth:Units="m" GDepth:Data="{flat}"'.encode(),
    )
    at = both.index(b"http://ns.adobe.com/xap/1.0/\0") - 2
    length = int.from_bytes(data[at : at + 2], "big") + len(both) - len(data)
    both = both[:at] + length.to_bytes(2, "big") + both[at + 2 :]
    found = photo.read(both)
    assert found.depth is not None
    assert found.depth.origin == "GDepth"
    assert found.depth.inverse_depth.values == pytest.approx(0.5)
