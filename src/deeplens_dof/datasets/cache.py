"""Where assets, frames, pairs and runs lie."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Where assets, frames and runs lie: $DEEPLENS_CACHE, or ~/.cache/deeplens."""
    return Path(os.environ.get("DEEPLENS_CACHE", "~/.cache/deeplens")).expanduser()


def assets_folder() -> Path:
    """The folder that `fetch` fills."""
    return cache_folder() / "assets"
