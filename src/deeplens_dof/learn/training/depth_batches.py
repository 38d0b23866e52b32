"""Batches for depth training: synthetic frames with exact labels, photos with teacher mattes, and measured depth.

Batch k of a seed depends on (seed, k) and the list of frames alone, so that a resumed run continues as if it had never
stopped. Each time a picture is read, its crop, flip, colour, noise, blur and JPEG quality vary.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from deeplens_dof.datasets.cache import cache_folder
from deeplens_dof.datasets.folder import Folder
from deeplens_dof.datasets.frames import Frame, read_frame
from deeplens_dof.datasets.sample import DatasetError
from deeplens_dof.datasets.sample import Sample as Measured
from deeplens_dof.evaluate.depth.matte import is_one_clear_subject
from deeplens_dof.learn.scenes.teacher_mattes import read_matte
from deeplens_dof.learn.training import soft_labels
from deeplens_dof.learn.training.tensor_batch import TensorBatch

# Photos with one clear subject; the rest of the training list is landscapes, drawings and patterns.
DISTILLATION_PHOTOS = (
    "messi5", "squirrel_cls", "butterfly", "apple", "orange", "HappyFish", "fruits", "YellowFlower", "TwoWings",
    "FallenLeaf", "FlyingKonqui",
)  # fmt: skip
LEAST_KNOWN = 0.02  # of a crop's pixels; with fewer labels its depth is ignored
FloatImage = npt.NDArray[Any]
Bytes = npt.NDArray[Any]


@dataclass(frozen=True)
class Batch(TensorBatch):
    """Pictures and labels.

    rgb: (B, 3, H, W) sRGB 0..1. inverse_depth, matte: (B, H, W). has_depth, has_matte: (B,) 0 or 1. known: (B, H, W), 1 where
    inverse depth is labelled; None: in every pixel. firm: (B, H, W), 1 where gradients of the label are reliable;
    tolerance: (B, H, W), the possible error of the label (both of `soft_labels`). near: (B,), 1 where the matte is the
    mask of a near subject. The last three are None when the source has no such data.
    """

    rgb: Tensor
    inverse_depth: Tensor
    matte: Tensor
    has_depth: Tensor
    has_matte: Tensor
    known: Tensor | None = None
    firm: Tensor | None = None
    tolerance: Tensor | None = None
    near: Tensor | None = None

    @property
    def depth_weight(self) -> Tensor:
        """The weight of the depth losses: of pixels where some have no label, else of samples."""
        return self.has_depth if self.known is None else self.known


@dataclass(frozen=True)
class Photo:
    """A photo that may be trained on, with its teacher matte, 0..1, of the same size."""

    rgb: Bytes
    matte: FloatImage


@dataclass(frozen=True)
class Source:
    """The data of a training.

    Args:
        frames: files of synthetic frames.
        photos: real photos with teacher mattes.
        photo_share: the part of all samples that are photos, 0..1.
        measured: folders of measured depth or of masks; each counts equally.
        measured_share: the part of the other samples that come from them, 0..1.
        teacher_mattes: the label of a frame's matte is its teacher matte (`scenes/teacher_mattes.py`), which every frame has.
        soft_px: the distance from its steps up to which measured depth may be wrong, in px of the label; 0: it is exact.
    """

    frames: Sequence[Path]
    photos: Sequence[Photo] = ()
    photo_share: float = 0.0
    measured: Sequence[Folder] = ()
    measured_share: float = 0.0
    teacher_mattes: bool = False
    soft_px: int = 0


def batch(source: Source, seed: int, index: int, count: int, long_side: int, augment: bool = True) -> Batch:
    """Batch `index`: `count` samples of one orientation, 4:3, with a longer side of `long_side` px, a multiple of 28."""
    rng = np.random.default_rng([seed, index])
    short_side = round(long_side * 0.75 / 28) * 28
    upright = bool(rng.random() < 0.3)
    size = (short_side, long_side) if upright else (long_side, short_side)
    samples = [_sample(source, rng, size, augment) for _ in range(count)]
    rgb, depth, matte, has_depth, has_matte, known, *more = (
        np.stack(part) for part in zip(*samples, strict=True)
    )
    firm, tolerance, near = map(torch.from_numpy, more) if source.measured else (None, None, None)
    soft = source.soft_px > 0
    return Batch(
        torch.from_numpy(rgb.transpose(0, 3, 1, 2).copy()), torch.from_numpy(depth), torch.from_numpy(matte),
        torch.from_numpy(has_depth), torch.from_numpy(has_matte),
        torch.from_numpy(known) if source.measured else None,
        firm if soft else None, tolerance if soft else None, near,
    )  # fmt: skip


Sample = tuple[
    FloatImage, FloatImage, FloatImage, np.float32, np.float32, FloatImage, FloatImage, FloatImage, np.float32
]


def _sample(source: Source, rng: np.random.Generator, size: tuple[int, int], augment: bool) -> Sample:
    firm, tolerance, near = None, None, np.float32(0)
    if source.photos and rng.random() < source.photo_share:
        photo = source.photos[int(rng.integers(len(source.photos)))]
        rgb, depth, matte = photo.rgb, np.zeros(photo.rgb.shape[:2], np.float32), photo.matte
        has_depth, has_matte = np.float32(0), np.float32(1)
        known = np.zeros_like(depth)
    elif source.measured and rng.random() < source.measured_share:
        one, is_near = _measured(source.measured, rng)
        rgb, depth, known = one.rgb, one.inverse_depth, one.known.astype(np.float32)
        matte = np.zeros_like(depth) if one.subject is None else one.subject
        has_depth, has_matte = np.float32(one.has_depth), np.float32(one.subject is not None)
        near = np.float32(is_near)
        if source.soft_px and one.has_depth:
            firm, tolerance = soft_labels.firm(one, source.soft_px), soft_labels.tolerance(one)
    else:
        path = source.frames[int(rng.integers(len(source.frames)))]
        frame = read_frame(path)
        teacher = read_matte(path) if source.teacher_mattes else None
        rgb, depth, matte = frame.rgb, frame.inverse_depth, _mask(frame) if teacher is None else teacher
        has_depth = np.float32(1)
        has_matte = np.float32((teacher if source.teacher_mattes else frame.subject) is not None)
        known = np.ones_like(depth)
    rows, columns = _crop(rng, rgb.shape[:2], size, augment)
    firm = known if firm is None else firm
    tolerance = np.zeros_like(known) if tolerance is None else tolerance
    parts = [part[rows, columns] for part in (rgb, depth, matte, known, firm, tolerance)]
    if augment and rng.random() < 0.5:
        parts = [part[:, ::-1] for part in parts]
    rgb, depth, matte, known, firm, tolerance = parts
    shrinks = rgb.shape[1] >= size[0]
    resized = cv2.resize(
        np.ascontiguousarray(rgb), size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    depth = cv2.resize(np.ascontiguousarray(depth), size, interpolation=cv2.INTER_NEAREST)
    matte = cv2.resize(np.ascontiguousarray(matte), size, interpolation=cv2.INTER_AREA).clip(0, 1)
    known, firm, tolerance = (
        cv2.resize(np.ascontiguousarray(part), size, interpolation=cv2.INTER_NEAREST)
        for part in (known, firm, tolerance)
    )
    if has_depth and known.mean() < LEAST_KNOWN:
        known, firm, has_depth = np.zeros_like(known), np.zeros_like(firm), np.float32(0)
    picture = as_photographed(resized, rng) if augment else resized.astype(np.float32) / 255
    return picture, depth, matte, has_depth, has_matte, known, firm, tolerance, near


def _measured(folders: Sequence[Folder], rng: np.random.Generator) -> tuple[Measured, bool]:
    """A random sample, or the next readable one, and whether its mask is that of a near subject."""
    folder = folders[int(rng.integers(len(folders)))]
    first = int(rng.integers(len(folder.entries)))
    for further in range(len(folder.entries)):
        one = folder.read(folder.entries[(first + further) % len(folder.entries)])
        if one is not None:
            return one, folder.layout.kind == "masks"
    raise DatasetError(f"{folder.path} holds no sample that can be read, expected {folder.layout.expected}")


def _mask(frame: Frame) -> FloatImage:
    if frame.subject is None:
        return np.zeros(frame.rgb.shape[:2], np.float32)
    return frame.subject.astype(np.float32) / 255


def _crop(
    rng: np.random.Generator, shape: tuple[int, ...], size: tuple[int, int], augment: bool
) -> tuple[slice, slice]:
    """Rows and columns of the largest part with the given aspect or, half of the time, of a smaller one."""
    height, width = shape[:2]
    aspect = size[0] / size[1] * (rng.uniform(0.87, 1.15) if augment else 1)
    part = rng.uniform(0.6, 1) if augment and rng.random() < 0.5 else 1.0
    crop_height = int(min(height, width / aspect) * part)
    crop_width = int(min(width, height * aspect) * part)
    top, left = rng.integers(height - crop_height + 1), rng.integers(width - crop_width + 1)
    return slice(int(top), int(top) + crop_height), slice(int(left), int(left) + crop_width)


def as_photographed(rgb: Bytes, rng: np.random.Generator) -> FloatImage:
    """sRGB uint8 as float 0..1, with random JPEG quality, gamma, white balance, saturation, blur and noise."""
    if rng.random() < 0.3:
        buffer = io.BytesIO()
        Image.fromarray(rgb).save(buffer, "JPEG", quality=int(rng.integers(30, 95)))
        rgb = np.asarray(Image.open(buffer))
    picture = np.clip(rgb.astype(np.float32) / 255, 1e-3, 1) ** rng.uniform(0.65, 1.5) * rng.uniform(
        0.82, 1.18, 3
    )
    grey = picture.mean(2, keepdims=True)
    saturation = 0.0 if rng.random() < 0.12 else rng.uniform(0.3, 1.35)
    picture = grey + (picture - grey) * saturation
    if rng.random() < 0.2:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.4, 1.4))
    if rng.random() < 0.6:
        noise = rng.standard_normal(picture.shape, np.float32) * np.float32(rng.uniform(0, 0.035))
        if rng.random() < 0.4:  # coarse noise, as after a phone's denoising
            noise = cv2.GaussianBlur(noise, (0, 0), 1.0) * 2
        picture = picture + noise
    return np.clip(picture, 0, 1).astype(np.float32)


def distillation_photos() -> list[Photo]:
    """The training photos on which the teacher is sure of one subject; their mattes are kept below the cache folder."""
    from deeplens_dof.learn.scenes.objects.pictures import SubjectTeacher, training_photos

    folder = cache_folder() / "scenes" / "mattes-1"
    folder.mkdir(parents=True, exist_ok=True)
    teacher: SubjectTeacher | None = None
    photos = []
    found = training_photos()
    for name in sorted(set(DISTILLATION_PHOTOS) & set(found)):
        path, kept = found[name], folder / f"{name}.npz"
        if not kept.exists():
            teacher = teacher or SubjectTeacher()
            with Image.open(path) as opened:
                picture = opened.convert("RGB")
            picture.thumbnail((672, 672))
            rgb = np.asarray(picture)
            np.savez(kept, rgb=rgb, matte=teacher.matte(rgb).astype(np.float32))
        with np.load(kept) as arrays:
            photo = Photo(arrays["rgb"], arrays["matte"])
        if is_one_clear_subject(photo.matte):
            photos.append(photo)
    return photos
