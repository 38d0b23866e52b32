"""Photos of a blinded sheet with the names of the key: each version whole, and the subject's border at 100 %."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from contact_sheet import Tile, laid_out, save
from judged_photos import KEPT_BACK
from PIL import Image

PHOTOS, PHOTOS_ACROSS = 20, 2
TILE_PX, MOST_BYTES = 256, 1_200_000  # wide as a hard place


def write(path: Path, out: Path, key_file: Path) -> int:
    """The first PHOTOS photos of a folder that may be passed on, as a JPEG. Raises SystemExit for a key that does not fit."""
    try:
        facts = json.loads(key_file.read_text(encoding="utf-8"))["photos"]
        photos = [name for name in facts if name not in KEPT_BACK][:PHOTOS]
        tiles = [shown(out / name, name, facts[name]) for name in photos]
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise SystemExit(f"{key_file} is not the key of the pictures in {out} ({error})") from error
    rows = [
        list(chain(*tiles[start : start + PHOTOS_ACROSS])) for start in range(0, len(tiles), PHOTOS_ACROSS)
    ]
    save(laid_out(rows, TILE_PX), path, MOST_BYTES)
    print(f"{path}: {len(photos)} photos, {path.stat().st_size / 1e3:.0f} kB")
    return 0


def shown(folder: Path, name: str, facts: dict[str, Any]) -> list[Tile]:
    """Whole and close by: the other version or renderer first, the default last."""
    letters = sorted(facts["letters"], key=facts["letters"].get, reverse=True)
    pictures = {facts["letters"][letter]: picture(folder / f"{letter}.png") for letter in letters}
    left, top, right, bottom = next(iter(facts["places"].values()))
    whole = [(f"{name}, {which}", each) for which, each in pictures.items()]
    close = [(f"100 %, {which}", each[top:bottom, left:right]) for which, each in pictures.items()]
    return [*whole, *close]


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as file:
        return np.asarray(file)
