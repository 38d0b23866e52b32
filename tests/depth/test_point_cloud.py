"""Laws of point clouds and of depth in colours: the pinhole, metres, what is left out, and the command that writes them."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deeplens_dof.depth.colormap import coloured
from deeplens_dof.depth.files import EXPORTED, read_depth_file, write_depth_file
from deeplens_dof.depth.point_cloud import LARGEST_RANGE, write_point_cloud
from deeplens_dof.imaging.color import luminance, srgb_to_linear
from deeplens_dof.optics.inverse_depth import InverseDepth

POINT = np.dtype([("xyz", "<f4", 3), ("rgb", "u1", 3)])


def points_of(data: bytes) -> np.ndarray:
    """The points of a binary PLY, and that its header says what they are."""
    head, _, body = data.partition(b"end_header\n")
    lines = head.decode("ascii").splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    properties = [line.removeprefix("property ") for line in lines if line.startswith("property")]
    assert properties == ["float x", "float y", "float z", "uchar red", "uchar green", "uchar blue"]
    (count,) = [int(line.split()[-1]) for line in lines if line.startswith("element vertex")]
    assert len(body) == count * POINT.itemsize
    return np.frombuffer(body, POINT)


def cloud(values: np.ndarray, unit: str = "1/m", lens_mm: float = 50, nearest_m: float = 1) -> np.ndarray:
    rgb = np.random.default_rng(4).integers(0, 256, (*values.shape, 3)).astype(np.uint8)
    stream = io.BytesIO()
    count = write_point_cloud(stream, InverseDepth(values.astype(np.float32), unit), rgb, lens_mm, nearest_m)
    points = points_of(stream.getvalue())
    assert len(points) == count
    return points


@pytest.mark.parametrize("lens_mm", [24, 50, 135])
def test_a_wall_has_the_size_that_the_lens_sees(lens_mm: float) -> None:
    points = cloud(np.full((300, 400), 0.25), lens_mm=lens_mm)["xyz"]
    assert (points[:, 2] == -4).all()
    width_m = 4 * 36 / lens_mm  # similar triangles
    pixel_m = width_m / 400
    for axis, pixels in ((0, 400), (1, 300)):
        assert np.ptp(points[:, axis]) == pytest.approx((pixels - 1) * pixel_m, rel=1e-5)
        assert points[:, axis].mean() == pytest.approx(0, abs=1e-4)
    assert points[0, 0] < 0 < points[0, 1]  # the first pixel is top left: x is to the right and y up


def test_every_point_lies_on_the_ray_of_its_pixel_and_has_its_colour() -> None:
    values = np.random.default_rng(1).uniform(0.1, 1, (270, 31))  # more rows than one band
    rgb = np.random.default_rng(4).integers(0, 256, (270, 31, 3)).astype(np.uint8)
    points = cloud(values)
    x, y, z = points["xyz"].astype(float).T
    focal_px = 50 / 36 * 31
    row, column = np.mgrid[:270, :31].reshape(2, -1)
    np.testing.assert_allclose(-x / z * focal_px + 31 / 2, column + 0.5, atol=1e-4)
    np.testing.assert_allclose(y / z * focal_px + 270 / 2, row + 0.5, atol=1e-3)
    np.testing.assert_allclose(-1 / z, values.ravel(), rtol=1e-5)
    np.testing.assert_array_equal(points["rgb"], rgb.reshape(-1, 3))


def test_relative_depth_is_placed_by_the_nearest_distance_and_infinity_left_out() -> None:
    values = np.array([[1, 0.5, 0.02, 0.9 / LARGEST_RANGE, 0]])
    z = cloud(values, "relative", nearest_m=3)["xyz"][:, 2]
    np.testing.assert_allclose(z, [-3, -6, -150], rtol=1e-6)
    np.testing.assert_allclose(cloud(values * 7)["xyz"][:, 2], [-1 / 7, -2 / 7, -50 / 7], rtol=1e-6)


def test_what_makes_no_cloud_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="every point of this depth lies at infinity"):
        cloud(np.zeros((4, 4)))
    depth = InverseDepth(np.ones((4, 4), np.float32), "relative")
    with pytest.raises(ValueError, match=r"expected uint8 \(4, 4, 3\)"):
        write_point_cloud(io.BytesIO(), depth, np.zeros((4, 5, 3), np.uint8), 50, 1)
    with pytest.raises(ValueError, match="no photo was given"):
        write_depth_file(tmp_path / "x.ply", depth)
    black = InverseDepth(np.zeros((4, 4), np.float32), "relative")
    with pytest.raises(ValueError, match="lies at infinity"):
        write_depth_file(tmp_path / "x.ply", black, rgb=np.zeros((4, 4, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_colours_grow_lighter_with_nearness() -> None:
    depth = InverseDepth(np.linspace(0, 1, 2000, dtype=np.float32).reshape(1, -1).repeat(4, 0), "relative")
    picture = coloured(depth)
    assert (picture.shape, picture.dtype) == ((4, 2000, 3), np.uint8)
    light = luminance(srgb_to_linear(picture[0]))
    assert (np.diff(light[::20]) >= 0).all()
    assert light[-1] > 20 * light[0]
    np.testing.assert_array_equal(coloured(InverseDepth(depth.values * 5 + 1, "1/m")), picture)


def test_the_command_writes_every_kind(tmp_path: Path) -> None:
    photo = tmp_path / "in.png"
    rgb = np.random.default_rng(2).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    Image.fromarray(rgb).save(photo)

    def deeplens(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "deeplens_dof.cli", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    for kind in EXPORTED:
        out = tmp_path / f"depth{kind}"
        options = ["--picture", tmp_path / "colours.png"] if kind == ".ply" else []
        done = deeplens("depth", photo, "-o", out, "--nearest-m", 2, "--lens-mm", 36, *options)
        assert done.returncode == 0, done.stderr
        if kind != ".ply":
            assert read_depth_file(out).shape == (48, 64)
    metres = -points_of((tmp_path / "depth.ply").read_bytes())["xyz"][:, 2]
    assert metres.min() == pytest.approx(1 / read_depth_file(tmp_path / "depth.exr").values.max(), rel=1e-5)
    assert np.asarray(Image.open(tmp_path / "colours.png")).shape == (48, 64, 3)

    done = deeplens("blur", photo, "-o", tmp_path / "out.png", "--depth-out", tmp_path / "used.ply")
    assert done.returncode == 0, done.stderr
    assert len(points_of((tmp_path / "used.ply").read_bytes())) > 0
    assert deeplens("depth", photo, "-o", tmp_path / "d.png", "--nearest-m", 0).returncode == 2
    assert deeplens("depth", photo, "-o", tmp_path / "d.png", "--picture", photo).returncode == 2
    assert deeplens("depth", photo, "-o", tmp_path / "d.stl").returncode == 1
    assert not (tmp_path / "d.png").exists()
