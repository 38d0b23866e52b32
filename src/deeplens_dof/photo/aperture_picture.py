"""The aperture that the settings name; a picture of one is read as a photo is."""

from __future__ import annotations

import os
from functools import lru_cache

import numpy as np

from deeplens_dof.optics.aperture import Aperture
from deeplens_dof.photo.read import read
from deeplens_dof.settings import Settings


def aperture_of(settings: Settings) -> Aperture:
    """The aperture of the settings. A picture of one is cached until its file changes.

    Raises:
        PhotoError: the picture cannot be read.
        ValueError: the picture is not an aperture.
    """
    file = settings.shape_file
    if file is None:
        return Aperture.parse(settings.shape)
    version: tuple[int, ...]
    try:
        facts = os.stat(file)
        version = (facts.st_dev, facts.st_ino, facts.st_mtime_ns, facts.st_size)
    except (OSError, ValueError):
        version = ()  # reading it reports the error
    return _aperture_of_file(settings.shape, version)


@lru_cache(maxsize=8)
def _aperture_of_file(path: str, version: tuple[int, ...]) -> Aperture:
    photo = read(path)
    weights = photo.pixels if photo.alpha is None else np.dstack((photo.pixels, photo.alpha))
    try:
        return Aperture.kernel(weights)
    except ValueError as error:
        raise ValueError(f"{path} is no aperture: {error}") from None
