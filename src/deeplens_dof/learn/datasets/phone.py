"""Photos of phones that hold depth: HEIC with a depth image, JPEG with GDepth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from deeplens_dof.learn.datasets.gdepth import depth_of_jpeg
from deeplens_dof.learn.datasets.layout import Found, Layout, below
from deeplens_dof.learn.datasets.sample import DatasetError, DepthUnit, Entry, Map, Sample, sample

KIND = "phone"
EXPECTED = "photos with depth inside: .heic (portrait mode) or .jpg with GDepth metadata, at any depth"
HEIC, JPEG = (".heic", ".heif", ".hif"), (".jpg", ".jpeg")
_INVERSE_Z, _DISPARITY, _LINEAR_Z = 0, 1, 2  # representation types of a depth image, ISO/IEC 23008-12


def _marks(folder: Path) -> bool:
    return any(path.suffix.lower() in (*HEIC, *JPEG) for path in below(folder))


def _find(folder: Path) -> Found:
    found = Found()
    for path in below(folder):
        if path.suffix.lower() in (*HEIC, *JPEG):
            found.entries.append(Entry(KIND, path.relative_to(folder).as_posix(), (path,)))
        else:
            found.problems.append(f"{path} is foreign here, expected {EXPECTED}")
    if any(entry.paths[0].suffix.lower() in HEIC for entry in found.entries):
        _pillow_heif(folder)
    return found


def _pillow_heif(folder: Path) -> Any:
    try:
        import pillow_heif
    except ImportError as error:
        raise DatasetError(
            f"{folder} holds HEIC photos, and pillow-heif is not installed; run pip install 'deeplens-dof[heif]'"
        ) from error
    return pillow_heif


def _read(entry: Entry) -> Sample:
    path = entry.paths[0]
    if path.suffix.lower() in HEIC:
        return _read_heic(entry.name, path)
    rgb, inverse, unit = depth_of_jpeg(path)
    return sample(entry.name, rgb, inverse, np.ones(inverse.shape, np.bool_), unit)


def _read_heic(name: str, path: Path) -> Sample:
    try:
        opened = _pillow_heif(path).open_heif(path)
        depths = opened.info.get("depth_images") or []
        rgb = np.ascontiguousarray(opened.to_pillow().convert("RGB"))
        codes = np.asarray(depths[0].to_pillow().convert("L"), np.float32) if depths else None
    except DatasetError:
        raise
    except Exception as error:  # decoders of damaged files raise anything
        raise DatasetError(f"{path} cannot be read as HEIC ({error}); copy it again") from error
    if codes is None:
        raise DatasetError(f"{path} holds no depth image, expected a photo of the portrait mode")
    inverse, unit = _inverse(path, codes / np.float32(255), depths[0].info.get("metadata") or {})
    return sample(name, rgb, inverse, np.ones(inverse.shape, np.bool_), unit)


def _inverse(path: Path, codes: Map, facts: dict[str, Any]) -> tuple[Map, DepthUnit]:
    """Inverse depth of codes 0..1. A phone's disparity is measured up to scale and shift."""
    kind = facts.get("representation_type", _DISPARITY)
    if kind in (_INVERSE_Z, _DISPARITY):
        return codes, "relative"
    near, far = facts.get("z_near"), facts.get("z_far")
    if kind != _LINEAR_Z or near is None or far is None or not 0 < near < far:
        raise DatasetError(
            f"{path} holds depth of representation {kind} from {near} to {far}, expected disparity, inverse depth, "
            "or depth with both bounds"
        )
    return (1 / (np.float32(near) + codes * np.float32(far - near))).astype(np.float32), "1/unit"


LAYOUT = Layout(KIND, EXPECTED, _marks, _find, _read)
