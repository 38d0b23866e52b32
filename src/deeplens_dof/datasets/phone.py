"""Phone photos with embedded depth: HEIC with a depth image, JPEG with GDepth."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from deeplens_dof.datasets.gdepth import depth_of_jpeg
from deeplens_dof.datasets.layout import FoundSamples, Layout, below
from deeplens_dof.datasets.sample import DatasetError, Sample, SampleFiles, sample
from deeplens_dof.photo import PhotoError
from deeplens_dof.runtime.errors import install_extra

_KIND = "phone"
_EXPECTED = "photos with depth inside: .heic (portrait mode) or .jpg with GDepth metadata, at any depth"
HEIC, JPEG = (".heic", ".heif", ".hif"), (".jpg", ".jpeg")


def _marks(folder: Path) -> bool:
    return any(path.suffix.lower() in (*HEIC, *JPEG) for path in below(folder))


def _find(folder: Path) -> FoundSamples:
    found = FoundSamples()
    for path in below(folder):
        if path.suffix.lower() in (*HEIC, *JPEG):
            found.entries.append(SampleFiles(_KIND, path.relative_to(folder).as_posix(), (path,)))
        else:
            found.problems.append(f"{path} does not belong here, expected {_EXPECTED}")
    if any(entry.paths[0].suffix.lower() in HEIC for entry in found.entries):
        _check_pillow_heif(folder)
    return found


def _check_pillow_heif(folder: Path) -> None:
    from deeplens_dof.photo.codecs.heif import pillow_heif

    try:
        pillow_heif(str(folder))
    except PhotoError as error:
        raise DatasetError(
            f"{folder} holds HEIC photos, and pillow-heif is not installed; run {install_extra('heif')}"
        ) from error


def _read(entry: SampleFiles) -> Sample:
    path = entry.paths[0]
    if path.suffix.lower() in HEIC:
        return _read_heic(entry.name, path)
    rgb, inverse, unit = depth_of_jpeg(path)
    return sample(entry.name, rgb, inverse, np.ones(inverse.shape, np.bool_), unit)


def _read_heic(name: str, path: Path) -> Sample:
    from deeplens_dof.photo import read

    photo = read(path)
    if photo.depth is None:
        nothing = f"{path} holds no depth image, expected a photo of the portrait mode"
        raise DatasetError(photo.depth_problem or nothing)
    inverse = photo.depth.inverse_depth
    known = np.ones(inverse.shape, np.bool_)
    return sample(name, np.ascontiguousarray(photo.srgb8()), inverse.values, known, inverse.unit)


PHONE_LAYOUT = Layout(_KIND, _EXPECTED, _marks, _find, _read)
