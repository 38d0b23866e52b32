"""The HDR gain map of an iPhone's HEIC photo, an auxiliary picture."""

from __future__ import annotations

from typing import Any

import numpy as np

from deeplens_dof.photo.codecs.heif_samples import samples_of
from deeplens_dof.photo.codecs.isobmff import Items
from deeplens_dof.photo.gain_map import APPLE_TYPE, GainMap, GainMapError, apple_map
from deeplens_dof.photo.metadata.orientation import upright

_MOST_XMP_BYTES = 1 << 20


def gain_map_of(
    items: Items, image: Any, orientation: int, shape: tuple[int, ...], exif: bytes | None
) -> GainMap | None:
    """The gain map of the primary picture, upright; None when there is none. Raises GainMapError.

    image: pillow-heif's primary picture. orientation: 1..8, of the photo as stored. shape: (height, width) of the photo.
    """
    found = [each for each in items.referring("auxl", items.primary) if each.auxiliary_type == APPLE_TYPE]
    if not found:
        return None
    item = found[0]
    if item.size is not None and item.size[0] * item.size[1] > shape[0] * shape[1]:
        raise GainMapError("a gain map larger than the photo itself")
    try:
        samples, _, _ = samples_of(image.get_aux_image(item.id))
        packet = items.xmp_of(item, _MOST_XMP_BYTES)
    except Exception as problem:  # decoders of damaged files raise anything
        why = str(problem).strip() or type(problem).__name__
        raise GainMapError(f"a gain map that is damaged ({why})") from problem
    codes = samples[..., :1].astype(np.float32) / np.float32(np.iinfo(samples.dtype).max)
    return apple_map(codes if item.says_orientation else upright(codes, orientation), packet, exif)
