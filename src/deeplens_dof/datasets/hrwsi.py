"""HR-WSI (Xian et al., CVPR 2020): web photos with stereo disparity, up to scale and shift."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deeplens_dof.datasets.layout import FoundSamples, Layout, Role, paired
from deeplens_dof.datasets.sample import (
    PHOTO_SUFFIXES,
    Sample,
    SampleFiles,
    nearest,
    read_codes,
    read_mask,
    read_rgb,
    sample,
)

_KIND = "hrwsi"
_EXPECTED = (
    "imgs/NAME.jpg, gts/NAME.png (disparity, near is bright) and valid_masks/NAME.png (white where it holds), in the "
    "folder itself or in train/ and val/"
)
_ROLES = (Role("imgs", PHOTO_SUFFIXES), Role("gts", (".png",)), Role("valid_masks", (".png",)))


def _roots(folder: Path) -> list[Path]:
    below = sorted(path for path in folder.iterdir() if path.is_dir())
    return [root for root in (folder, *below) if all((root / role.folder).is_dir() for role in _ROLES[:2])]


def _find(folder: Path) -> FoundSamples:
    found = FoundSamples()
    for root in _roots(folder):
        part = paired(_KIND, root, _ROLES, "" if root == folder else f"{root.name}/")
        found.entries.extend(part.entries)
        found.problems.extend(part.problems)
    return found


def _read(entry: SampleFiles) -> Sample:
    photo, truth, valid = entry.paths
    codes = read_codes(truth)
    mask = nearest(read_mask(valid), *codes.shape) > 0.5
    values = codes.astype(np.float32) / np.float32(np.iinfo(codes.dtype).max)
    return sample(entry.name, read_rgb(photo), values, mask, "relative")


HRWSI_LAYOUT = Layout(_KIND, _EXPECTED, lambda folder: bool(_roots(folder)), _find, _read)
