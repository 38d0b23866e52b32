"""DIODE (Vasiljevic et al. 2019): indoors and outdoors, laser scanner, metres."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.datasets.layout import FoundSamples, Layout, any_below, below
from deeplens_dof.datasets.sample import DatasetError, Sample, SampleFiles, from_metres, read_rgb, sample

_KIND = "diode"
_EXPECTED = (
    "NAME.png, NAME_depth.npy (metres) and NAME_depth_mask.npy (1 where measured) side by side, at any depth"
)


def _marks(folder: Path) -> bool:
    return any_below(folder, "*_depth.npy")


def _find(folder: Path) -> FoundSamples:
    found, used = FoundSamples(), set()
    for depth in below(folder, "*_depth.npy"):
        stem = depth.name.removesuffix("_depth.npy")
        photo, mask = depth.with_name(f"{stem}.png"), depth.with_name(f"{stem}_depth_mask.npy")
        missing = [path.name for path in (photo, mask) if not path.is_file()]
        used |= {depth, photo, mask}
        if missing:
            found.problems.append(f"{depth} has no {' and no '.join(missing)} beside it")
            continue
        name = photo.relative_to(folder).with_suffix("").as_posix()
        found.entries.append(SampleFiles(_KIND, name, (photo, depth, mask)))
    for path in below(folder):
        if path not in used:
            found.problems.append(f"{path} belongs to no sample, expected {_EXPECTED}")
    return found


def _read(entry: SampleFiles) -> Sample:
    photo, depth, mask = entry.paths
    metres, valid = read_npy(depth), read_npy(mask)
    if metres.shape != valid.shape:
        raise DatasetError(f"{mask} has the shape {valid.shape}, expected {metres.shape} as the depth has")
    inverse, known = from_metres(metres, valid > 0.5)
    return sample(entry.name, read_rgb(photo), inverse, known, "1/m")


def read_npy(path: Path) -> npt.NDArray[Any]:
    """The array in a .npy file, (H, W) or (H, W, 1) numbers, as (H, W). Pickles are not loaded. Raises DatasetError."""
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError(f"{path} cannot be read as a numpy array ({error}); fetch it again") from error
    if not isinstance(values, np.ndarray):
        values.close()
        raise DatasetError(f"{path} is an archive of arrays, expected one array")
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.ndim != 2 or values.dtype.kind not in "fiub" or values.size == 0:
        raise DatasetError(f"{path} holds {values.dtype} {values.shape}, expected numbers (height, width)")
    return np.asarray(values)


DIODE_LAYOUT = Layout(_KIND, _EXPECTED, _marks, _find, _read)
