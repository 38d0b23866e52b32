"""Scenes: a seed determines them, and labels are exact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deeplens_dof.datasets.frames import Frame, frame_files, frame_path, read_frame, write_frame
from deeplens_dof.learn.scenes import generate
from deeplens_dof.learn.scenes.objects.library import Library
from deeplens_dof.learn.scenes.objects.vertices import placed, rotation
from deeplens_dof.learn.scenes.stages import nearby
from deeplens_dof.learn.scenes.stages.stage import Look, Stage, camera


def composed(library: Library, kind: str, seed: int) -> Stage:
    stage = Stage(library, np.random.default_rng([seed, 5]), portrait=seed % 2 == 0)
    generate.KINDS[kind][1](stage)
    nearby.near_occluder(stage)
    nearby.reaching_hand(stage)
    nearby.night(stage)
    return stage


@pytest.mark.parametrize("kind", sorted(generate.KINDS))
def test_every_kind_composes_and_the_seed_decides(tiny_library: Library, kind: str) -> None:
    for seed in range(6):
        one, same, other = (composed(tiny_library, kind, s) for s in (seed, seed, seed + 100))
        assert one.instances
        assert all(np.isfinite(instance.model).all() for instance in one.instances)
        assert [i.first for i in one.instances] == [i.first for i in same.instances]
        assert all((a.model == b.model).all() for a, b in zip(one.instances, same.instances, strict=True))
        assert (one.eye.forward != other.eye.forward).any() or (one.eye.position != other.eye.position).any()
        axes = np.stack([one.eye.right, one.eye.up, one.eye.forward])
        assert axes @ axes.T == pytest.approx(np.eye(3), abs=1e-9)


def test_shares_of_kinds_sum_to_one() -> None:
    assert sum(share for share, _ in generate.KINDS.values()) == pytest.approx(1)


def test_portraits_have_a_subject(tiny_library: Library) -> None:
    for seed in range(8):
        stage = Stage(tiny_library, np.random.default_rng(seed), portrait=False)
        generate.KINDS["portrait"][1](stage)
        assert any(instance.is_subject for instance in stage.instances)


def test_frames_survive_the_disk(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rgb = np.full((30, 40, 3), 90, np.uint8)
    inverse = rng.uniform(0, 2, (30, 40)).astype(np.float32)
    subject = rng.integers(0, 256, (30, 40)).astype(np.uint8)
    path = frame_path(tmp_path, 1234)
    write_frame(path, Frame(rgb, inverse, subject, {"index": 1234}))
    assert path.parent.name == "001"
    read = read_frame(path)
    top = read.facts["inverse_depth_scale"]
    assert np.abs(read.inverse_depth - np.minimum(inverse, top)).max() <= top / 65535
    assert (read.subject == subject).all()
    assert np.abs(read.rgb.astype(int) - rgb).max() <= 2
    assert frame_files(tmp_path) == [path]
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 broken"])
def test_a_broken_frame_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "frame_000001.zip"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"frame_000001\.zip is not a frame"):
        read_frame(path)


def test_a_truncated_frame_is_named(frames_folder: Path, tmp_path: Path) -> None:
    whole = frame_files(frames_folder)[0].read_bytes()
    for part in range(1, 10):
        path = tmp_path / "cut.zip"
        path.write_bytes(whole[: len(whole) * part // 10])
        with pytest.raises(ValueError, match=r"cut\.zip is not a frame"):
            read_frame(path)


def test_an_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="deeplens scenes"):
        frame_files(tmp_path)


def rasteriser(library: Library):
    pytest.importorskip("moderngl", reason="drawing needs moderngl: pip install '.[learn]'")
    from deeplens_dof.learn.scenes.render.raster import Rasteriser

    try:
        return Rasteriser(library)
    except RuntimeError as error:
        pytest.skip(str(error))


def test_inverse_depth_is_exact(tiny_library: Library) -> None:
    """A wall 2 m ahead and a nearer subject at 1 m; a plane below labels the background."""
    stage = Stage(tiny_library, np.random.default_rng(0), portrait=False)
    stage.eye = camera((0, 1.5, 0), 0, 0, 60, False)
    wall = tiny_library.shapes["wall"][0]
    stage.add(wall, placed([-5, -5, -2], rotation(0), [10, 20, 1]), stage.painted())
    stage.add(wall, placed([0.4, 1.2, -1], rotation(0), [0.4, 0.6, 1]), Look(-1.0), subject=True)
    stage.ground_m = 0.0
    drawing = rasteriser(tiny_library).draw(stage, (112, 84))
    subject, left = drawing.subject > 0.99, np.arange(112)[None] < 50
    assert subject.sum() > 300
    assert drawing.inverse_depth[subject] == pytest.approx(1.0, rel=1e-4)
    assert drawing.inverse_depth[np.broadcast_to(left, (84, 112))] == pytest.approx(0.5, rel=1e-4)
    free = (drawing.inverse_depth != 0.5) & (drawing.subject == 0) & (drawing.inverse_depth < 0.49)
    x_tangent = np.tan(np.radians(30))
    rows = ((np.arange(84) + 0.5) / 84 * 2 - 1) * x_tangent * 84 / 112
    expected = np.maximum(rows, 0)[:, None] / 1.5 + np.zeros((1, 112))
    assert free.sum() > 500
    assert drawing.inverse_depth[free] == pytest.approx(expected[free], abs=1e-3)


def test_the_same_dice_give_the_same_pixels(tiny_library: Library) -> None:
    draws = []
    paint = rasteriser(tiny_library)
    for _ in range(2):
        draws.append([paint.draw(composed(tiny_library, kind, 3), (112, 84)) for kind in ("room", "macro")])
    for one, same in zip(*draws, strict=True):
        assert (one.linear == same.linear).all()
        assert (one.inverse_depth == same.inverse_depth).all()


@pytest.mark.slow
def test_a_frame_depends_on_seed_and_index_alone(tmp_path: Path) -> None:
    pytest.importorskip("moderngl", reason="drawing needs moderngl: pip install '.[learn]'")
    from deeplens_dof.datasets.cache import assets_folder

    if not (assets_folder() / "sweethome3d-furniture" / "SOURCE.json").exists():
        pytest.skip("the assets are not there: python -m deeplens_dof.learn.scenes.assets")
    assert generate.make_scenes(tmp_path / "a", 4, 9) == {"made": 4, "kept": 0}
    frame_path(tmp_path / "a", 2).unlink()
    assert generate.make_scenes(tmp_path / "a", 4, 9) == {"made": 1, "kept": 3}
    generate.make_scenes(tmp_path / "b", 4, 9, workers=2)
    for index in range(4):
        assert (
            frame_path(tmp_path / "a", index).read_bytes() == frame_path(tmp_path / "b", index).read_bytes()
        )
