"""Folders of assets, frames, pairs and training runs."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """$DEEPLENS_CACHE, or ~/.cache/deeplens."""
    return Path(os.environ.get("DEEPLENS_CACHE", "~/.cache/deeplens")).expanduser()


def assets_folder() -> Path:
    """The folder that `learn.scenes.assets.fetch` fills."""
    return cache_folder() / "assets"
