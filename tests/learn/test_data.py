"""Batches: determined by seed and index, labels stay on their pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from deeplens_dof.learn.data import Photo, Source, as_photographed, batch, batches
from deeplens_dof.learn.scenes.frames import frame_files


def test_a_batch_depends_on_seed_and_index_alone(frames_folder: Path) -> None:
    source = Source(frame_files(frames_folder))
    one, same, other = batch(source, 1, 5, 3, 84), batch(source, 1, 5, 3, 84), batch(source, 1, 6, 3, 84)
    assert (one.rgb == same.rgb).all()
    assert (one.inverse_depth == same.inverse_depth).all()
    assert one.rgb.shape != other.rgb.shape or (one.rgb != other.rgb).any()


def test_batches_made_ahead_are_the_same(frames_folder: Path) -> None:
    source = Source(frame_files(frames_folder))
    for index, made in enumerate(batches(source, 2, 3, 7, 2, 56), start=3):
        assert (made.rgb == batch(source, 2, index, 2, 56).rgb).all()


def test_labels_stay_on_their_pixels(frames_folder: Path) -> None:
    """In these frames brightness is inverse depth: after crop, flip and resizing it must still be."""
    source = Source(frame_files(frames_folder))
    for index in range(6):
        one = batch(source, 4, index, 4, 112)
        grey = torch.nn.functional.avg_pool2d(one.rgb.mean(1, keepdim=True), 2)[:, 0]
        for picture, depth in zip(grey, one.inverse_depth, strict=True):
            ranks = [x.flatten().argsort().argsort().double() for x in (picture, depth)]
            assert float(torch.corrcoef(torch.stack(ranks))[0, 1]) > 0.95
        assert one.rgb.shape[-2] % 28 == 0
        assert one.rgb.shape[-1] % 28 == 0


def test_photos_have_a_matte_and_no_depth(frames_folder: Path) -> None:
    photo = Photo(np.zeros((60, 80, 3), np.uint8), np.ones((60, 80), np.float32))
    one = batch(Source(frame_files(frames_folder), (photo,), 1.0), 1, 0, 2, 56)
    assert one.has_depth.sum() == 0
    assert one.has_matte.sum() == 2
    assert one.matte.min() == pytest.approx(1)


def test_photographing_keeps_range_and_shape() -> None:
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (40, 30, 3), np.uint8)
    for _ in range(30):
        picture = as_photographed(rgb, rng)
        assert picture.shape == rgb.shape
        assert picture.dtype == np.float32
        assert 0 <= picture.min() <= picture.max() <= 1


def test_an_error_in_the_thread_reaches_the_reader(tmp_path: Path) -> None:
    missing = Source([tmp_path / "frame_000000.zip"])
    with pytest.raises(ValueError, match="is not a frame"):
        next(batches(missing, 1, 0, 2, 1, 56))
