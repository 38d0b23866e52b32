"""The photo as it was before a phone, an editor or we blurred it: used when it is there, and put beside the result."""

from __future__ import annotations

import os
from dataclasses import replace

from deeplens_dof.photo.codecs import formats
from deeplens_dof.photo.errors import PhotoError
from deeplens_dof.photo.limits import COMMAND_LINE_LIMITS
from deeplens_dof.photo.photo import Photo
from deeplens_dof.photo.read import read
from deeplens_dof.runtime.errors import shown


def untouched(photo: Photo) -> Photo:
    """The photo with the pixels of the original that its file holds, to be refocused: blur upon blur would be wrong.

    Its metadata, its name and its depth stay; its file is then the original. It is returned as it is when its file
    holds no original, or one that is broken or of another size.
    """
    depth = photo.depth
    if depth is None or depth.original is None:
        return photo
    limits = replace(
        COMMAND_LINE_LIMITS,
        max_pixels=photo.width * photo.height,
        max_side=max(photo.width, photo.height),
    )
    try:
        original = read(depth.original, limits=limits)
    except PhotoError:
        return photo
    if (original.width, original.height) != (photo.width, photo.height):
        return photo
    return replace(photo, pixels=original.pixels, alpha=original.alpha, icc=original.icc, file=depth.original)


def check_embedding(path: str | os.PathLike[str], strip_metadata: bool) -> None:
    """Raises PhotoError when a file of that name cannot take depth and the untouched photo in."""
    if formats.by_suffix(path).name != "JPEG":
        raise PhotoError(
            f"{shown(path)} cannot be written with depth inside, which only a JPEG holds; end its name in .jpg"
        )
    if strip_metadata:
        raise PhotoError(
            f"{shown(path)} cannot be written with the untouched photo inside and without metadata, as that photo has "
            "its own; leave one of the two out"
        )
