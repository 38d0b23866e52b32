"""The contents of a picture file: pixels, alpha, metadata, and compression settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy.typing as npt

from deeplens_dof.photo.metadata.annotations import Annotations

if TYPE_CHECKING:
    from deeplens_dof.photo.gain_map import GainMap

Pixels = npt.NDArray[Any]  # uint8 or uint16 codes, or float32 linear light


@dataclass(frozen=True, slots=True)
class Compression:
    """Compression of the original file, so that saving it again takes about as many bytes.

    quality: estimated JPEG quality 1..100, None if unknown. subsampling: of the chroma, "4:4:4", "4:2:2" or "4:2:0".
    lossless: of a WebP or JPEG XL. half: an EXR or TIFF of 16-bit floats. hdr: primaries and transfer (H.273) of a picture
    in PQ or HLG, whose pixels are linear light here; else None.
    """

    quality: int | None = None
    subsampling: str = "4:4:4"
    lossless: bool = False
    half: bool = False
    hdr: tuple[int, int] | None = None


class Decoded(NamedTuple):
    """The output of a decoder: upright pixels, unassociated alpha, and the profile that describes them."""

    pixels: Pixels  # (H, W, 3)
    alpha: Pixels | None  # (H, W), of the same type
    icc: bytes | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """pixels (H, W, 3) and alpha (H, W) or None, both of one type (see Photo). exif: TIFF-structured, without `Exif`."""

    pixels: Pixels
    alpha: Pixels | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    compression: Compression = field(default_factory=Compression)
    annotations: Annotations = field(default_factory=Annotations)
    gain_map: GainMap | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in px."""
        height, width = self.pixels.shape[:2]
        return width, height
