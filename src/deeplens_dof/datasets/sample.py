"""Output of every reader of measured data: a photo with its depth, a mask of known depth, and its subject."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from deeplens_dof.imaging.aspect import aspects_differ
from deeplens_dof.imaging.resize import resize_picture

Picture = npt.NDArray[np.uint8]
Map = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
DepthUnit = Literal["1/m", "1/unit", "relative"]
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff")


class DatasetError(ValueError):
    """A folder or a file in it does not match its layout. The message is one sentence that names it."""


@dataclass(frozen=True, slots=True)
class SampleFiles:
    """The files of one sample. name: unique in its folder. paths: the photo first. index: in a file that holds many."""

    kind: str
    name: str
    paths: tuple[Path, ...]
    index: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """rgb: sRGB uint8 (H, W, 3). inverse_depth: float32 (H, W), larger = nearer, 0 where not `known`. known: bool (H, W).

    unit: "1/m"; "1/unit" (proportional to 1/m); "relative" (unknown scale and shift, so that only order and affine-invariant
    measures are meaningful). subject: matte 0..1 (H, W), or None. Raises DatasetError when the arrays do not fit together.
    """

    name: str
    rgb: Picture
    inverse_depth: Map
    known: Mask
    unit: DepthUnit
    subject: Map | None = None

    def __post_init__(self) -> None:
        size = self.rgb.shape[:2]
        parts = {"depth": self.inverse_depth, "validity mask": self.known, "subject mask": self.subject}
        if self.rgb.ndim != 3 or self.rgb.shape[2] != 3 or self.rgb.dtype != np.uint8 or 0 in size:
            raise DatasetError(
                f"{self.name} has a photo of {self.rgb.dtype} {self.rgb.shape}, expected RGB uint8"
            )
        for what, part in parts.items():
            if part is not None and part.shape != size:
                raise DatasetError(
                    f"{self.name} has a {what} of {part.shape}, expected {size} as its photo has"
                )
        values = self.inverse_depth[self.known]
        if not np.isfinite(values).all():
            raise DatasetError(f"{self.name} has NaN or infinity where its depth is marked as known")

    @property
    def has_depth(self) -> bool:
        """Whether any pixel has known depth."""
        return bool(self.known.any())


def sample(
    name: str,
    rgb: Picture,
    inverse_depth: Map,
    known: Mask,
    unit: DepthUnit,
    subject: Map | None = None,
) -> Sample:
    """A sample of one size, the smaller of photo and depth map.

    The photo is averaged; depth takes the nearest pixel, because a mean of two depths is the depth of neither. Raises
    DatasetError when the aspect ratios differ by more than 2 %, so that they cannot show the same frame.
    """
    parts = [inverse_depth.shape[:2], *([] if subject is None else [subject.shape[:2]])]
    for height, width in parts:
        check_aspect(name, rgb.shape[:2], (height, width))
    height, width = min((rgb.shape[:2], inverse_depth.shape[:2]), key=lambda size: size[0] * size[1])
    if rgb.shape[:2] != (height, width):
        rgb = resize_picture(rgb, height, width)
    known = nearest(known, height, width)
    values = np.where(known, nearest(inverse_depth, height, width), np.float32(0)).astype(np.float32)
    subject = None if subject is None else nearest(subject, height, width).astype(np.float32)
    return Sample(name, rgb, values, known, unit, subject)


def check_aspect(name: str, photo: tuple[int, int], other: tuple[int, int]) -> None:
    """Raises DatasetError when two sizes (height, width) cannot show the same frame."""
    if aspects_differ(photo, other):
        (height, width), (rows, columns) = photo, other
        raise DatasetError(
            f"{name} has a photo of {width} x {height} px and a map of {columns} x {rows} px: their aspects differ "
            "by more than 2 %, so they do not show the same frame"
        )


def nearest(values: npt.NDArray[Any], height: int, width: int) -> npt.NDArray[Any]:
    """(h, w) at another size, by nearest neighbour."""
    rows, columns = values.shape[:2]
    if (rows, columns) == (height, width):
        return values
    down = ((np.arange(height) + 0.5) * rows / height).astype(np.int64)
    across = ((np.arange(width) + 0.5) * columns / width).astype(np.int64)
    return np.ascontiguousarray(values[down[:, None], across])


def from_metres(depth: npt.NDArray[Any], valid: Mask | None = None) -> tuple[Map, Mask]:
    """Inverse depth and mask of depths along the optical axis; NaN, infinity and values of 0 or less are unknown."""
    depth = np.asarray(depth, np.float32)
    known = np.isfinite(depth) & (depth > 0)
    if valid is not None:
        known = known & valid
    inverse = np.where(known, np.float32(1) / np.where(known, depth, np.float32(1)), np.float32(0))
    return inverse.astype(np.float32), known


def read_rgb(path: Path) -> Picture:
    """A photo, upright, sRGB uint8 (H, W, 3). Raises PhotoError."""
    from deeplens_dof.photo import read

    return np.ascontiguousarray(read(path).srgb8())


def read_codes(path: Path) -> npt.NDArray[Any]:
    """The stored codes of a grey picture, uint8 or uint16 (H, W); of a colour picture its first channel.

    Raises DatasetError for a file without such codes.
    """
    from deeplens_dof.photo.codecs.samples import read_samples

    try:
        codes = read_samples(path).values[..., 0]
    except ValueError as error:
        raise DatasetError(f"{path} cannot be read as a picture ({error}); export it again") from error
    if codes.dtype == np.int32 and codes.size and 0 <= codes.min() <= codes.max() <= 65535:
        codes = codes.astype(np.uint16)
    if codes.dtype not in (np.uint8, np.uint16):
        raise DatasetError(f"{path} holds {codes.dtype} numbers, expected grey of 8 or 16 bits")
    return np.ascontiguousarray(codes)


def read_mask(path: Path) -> Map:
    """A grey picture as 0..1, float32 (H, W)."""
    codes = read_codes(path)
    return codes.astype(np.float32) / np.float32(np.iinfo(codes.dtype).max)
