"""The original of a photo before a phone, an editor or DeepLens blurred it: used if present, stored with the result."""

from __future__ import annotations

import os
from dataclasses import replace

from deeplens_dof.photo.codecs import formats
from deeplens_dof.photo.errors import PhotoError
from deeplens_dof.photo.file_objects import Target, name_of
from deeplens_dof.photo.limits import COMMAND_LINE_LIMITS
from deeplens_dof.photo.photo import Photo
from deeplens_dof.photo.read import read
from deeplens_dof.runtime.errors import shown


def untouched(photo: Photo) -> Photo:
    """The photo with the pixels of the original stored in its file, because blurring a blurred picture would be wrong.

    Metadata, name and depth stay; `file` becomes the original. The photo is returned unchanged when its file holds no
    original, or one that is damaged or of another size.
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


def check_embedding(path: Target, strip_metadata: bool, format_name: str | None = None) -> None:
    """Raises PhotoError when a file of that name, or of the format that is named, cannot hold depth and the original."""
    if isinstance(path, (str, os.PathLike)):
        name = shown(path)
        form = formats.by_suffix(path) if format_name is None else formats.by_name(format_name)
    else:
        name, form = name_of(path), formats.by_name(format_name or "")
    if form.name != "JPEG":
        raise PhotoError(
            f"{name} cannot be written with depth inside, which only a JPEG holds; end its name in .jpg"
        )
    if strip_metadata:
        raise PhotoError(
            f"{name} cannot be written with the untouched photo inside and without metadata, as that photo has "
            "its own; leave one of the two out"
        )
