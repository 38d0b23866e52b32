"""Folders of your own: `rgb/` with `depth/` or `depth_mm/`, and `image/` with `mask/` or with `matte/`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np

from deeplens_dof.datasets.diode import read_npy
from deeplens_dof.datasets.layout import FoundSamples, Layout, Role, paired
from deeplens_dof.datasets.sample import (
    PHOTO_SUFFIXES,
    DatasetError,
    DepthUnit,
    Map,
    Mask,
    Sample,
    SampleFiles,
    from_metres,
    nearest,
    read_codes,
    read_mask,
    read_rgb,
    sample,
)

RGBD, MASKS, MATTES = "rgbd", "masks", "mattes"
EXPECTED_RGBD = (
    "rgb/NAME.jpg and depth/NAME.(png|tiff|exr|npz: depth files, near is bright; npy: metres) or depth_mm/NAME.png "
    "(16-bit millimetres), with mask/NAME.png (subject) and valid/NAME.png (white where depth holds) if there are any"
)
EXPECTED_MASKS = "image/NAME.jpg and mask/NAME.png (white is the subject)"
EXPECTED_MATTES = "image/NAME.jpg and matte/NAME.png (white is the subject)"
_DEPTHS = (".png", ".tif", ".tiff", ".exr", ".npz", ".npy")
_MASK_ENDINGS = (".png", ".tif", ".tiff", ".jpg", ".jpeg")


def _depth_role(folder: Path) -> Role | None:
    """The role of `depth/` or `depth_mm/`; None if there is neither, or both."""
    there = [name for name in ("depth", "depth_mm") if (folder / name).is_dir()]
    return Role(there[0], _DEPTHS if there[0] == "depth" else (".png",)) if len(there) == 1 else None


def _find_rgbd(folder: Path) -> FoundSamples:
    depth = _depth_role(folder)
    assert depth is not None  # `marks` has seen it
    extra = (Role("mask", _MASK_ENDINGS, optional=True), Role("valid", _MASK_ENDINGS, optional=True))
    return paired(RGBD, folder, (Role("rgb", PHOTO_SUFFIXES), depth, *extra))


def _read_rgbd(entry: SampleFiles) -> Sample:
    photo, depth, mask, valid = entry.paths
    role = depth.parents[len(PurePosixPath(entry.name).parts) - 1].name
    inverse, known, unit = _depth(depth, in_millimetres=role == "depth_mm")
    if valid != photo:
        known = known & (nearest(read_mask(valid), *known.shape) > 0.5)
    subject = None if mask == photo else read_mask(mask)
    return sample(entry.name, read_rgb(photo), inverse, known, unit, subject)


def _depth(path: Path, in_millimetres: bool) -> tuple[Map, Mask, DepthUnit]:
    if in_millimetres:
        codes = read_codes(path)
        if codes.dtype != np.uint16:
            raise DatasetError(f"{path} holds 8 bits, expected 16 bits of millimetres")
        return *from_metres(codes.astype(np.float32) / 1000), "1/m"
    if path.suffix.lower() == ".npy":
        return *from_metres(read_npy(path)), "1/m"
    from deeplens_dof.depth.files import read_depth_file

    depth = read_depth_file(path)
    return depth.values, np.ones(depth.shape, np.bool_), depth.unit


def _find_masks(folder: Path) -> FoundSamples:
    return paired(MASKS, folder, (Role("image", PHOTO_SUFFIXES), Role("mask", _MASK_ENDINGS)))


def _find_mattes(folder: Path) -> FoundSamples:
    return paired(MATTES, folder, (Role("image", PHOTO_SUFFIXES), Role("matte", _MASK_ENDINGS)))


def _read_masks(entry: SampleFiles) -> Sample:
    photo, mask = entry.paths
    rgb, subject = read_rgb(photo), read_mask(mask)
    none = np.zeros(rgb.shape[:2], np.float32)
    return sample(entry.name, rgb, none, none > 0, "relative", subject)


def _has(*names: str) -> Callable[[Path], bool]:
    return lambda folder: all((folder / name).is_dir() for name in names)


RGBD_LAYOUT = Layout(
    RGBD,
    EXPECTED_RGBD,
    lambda folder: (folder / "rgb").is_dir() and _depth_role(folder) is not None,
    _find_rgbd,
    _read_rgbd,
)
MASKS_LAYOUT = Layout(MASKS, EXPECTED_MASKS, _has("image", "mask"), _find_masks, _read_masks)
MATTES_LAYOUT = Layout(MATTES, EXPECTED_MATTES, _has("image", "matte"), _find_mattes, _read_masks)
