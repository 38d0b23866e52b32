"""The materials of composed scenes: photos, surface textures and cut-out subjects, for training or held out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from deeplens_dof.datasets.cache import assets_folder
from deeplens_dof.imaging.color import srgb_to_linear
from deeplens_dof.learn.scenes.objects.pictures import TextureStack, cutouts, surfaces, training_photos
from deeplens_dof.runtime.atomic_write import write_atomically

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
PHOTO_SIDE = 1600  # px of the long side, at most
HELD_OUT_SHARE = 0.15
LAMPS_CHANCE = 0.2  # of lamps in a texture
_VERSION = 1  # of the collected files


@dataclass(frozen=True)
class Materials:
    """photos: sRGB (h, w, 3) of any size. surfaces: (N, s, s, 3) sRGB tiles. cutouts: (h, w, 4) sRGB and matte."""

    photos: list[Bytes]
    surfaces: Bytes
    cutouts: list[Bytes]

    def texture(self, rng: np.random.Generator, size: int) -> Floats:
        """Part of a photo or a surface under random illumination, (size, size, 3) linear light."""
        if rng.random() < 0.65:
            picture = self._piece(self.photos[rng.integers(len(self.photos))], rng, size)
        else:
            picture = self._covering(self.surfaces[rng.integers(len(self.surfaces))], rng, size)
        picture = np.rot90(picture, int(rng.integers(4))) if rng.random() < 0.4 else picture
        picture = picture[:, ::-1] if rng.random() < 0.5 else picture
        return _lit(srgb_to_linear(np.ascontiguousarray(picture)), rng)

    def subject(self, rng: np.random.Generator, size: int) -> tuple[Floats, Floats]:
        """A cut-out subject at a random place: linear light (size, size, 3) and matte (size, size)."""
        cut = self.cutouts[rng.integers(len(self.cutouts))]
        scale = rng.uniform(0.35, 1.0) * size / max(cut.shape[:2])
        left, top = rng.uniform(-0.1, 0.6, 2) * size
        angle = rng.normal(0, 0.15)
        move = np.array(
            [
                [scale * np.cos(angle), -scale * np.sin(angle), left],
                [scale * np.sin(angle), scale * np.cos(angle), top],
            ]
        )
        placed = cv2.warpAffine(
            cut, move, (size, size), flags=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
        )  # fmt: skip
        colour = _lit(srgb_to_linear(np.ascontiguousarray(placed[..., :3])), rng)
        return colour, placed[..., 3].astype(np.float32) / 255

    @staticmethod
    def _piece(photo: Bytes, rng: np.random.Generator, size: int) -> Bytes:
        shortest = min(photo.shape[:2])
        side = int(np.clip(size * np.exp(rng.uniform(-0.7, 0.9)), 64, shortest))
        top, left = (int(rng.integers(length - side + 1)) for length in photo.shape[:2])
        way = cv2.INTER_AREA if side > size else cv2.INTER_CUBIC
        return np.asarray(
            cv2.resize(photo[top : top + side, left : left + side], (size, size), interpolation=way)
        )

    @staticmethod
    def _covering(surface: Bytes, rng: np.random.Generator, size: int) -> Bytes:
        side = int(np.clip(surface.shape[0] * np.exp(rng.uniform(-1.0, 1.0)), 48, 2 * size))
        tile = cv2.resize(surface, (side, side), interpolation=cv2.INTER_AREA)
        offset = rng.integers(side, size=2)
        rows, columns = ((np.arange(size) + start) % side for start in offset)
        return np.asarray(tile[rows[:, None], columns[None]])


@cache
def load_materials(held_out: bool = False) -> Materials:
    """The materials of one side of the split, collected once. Raises RuntimeError without assets."""
    path = assets_folder() / f"materials-{'held-out' if held_out else 'training'}-{_VERSION}.npz"
    if not path.is_file():
        _collect(path, held_out)
    with np.load(path) as kept:
        of = {
            kind: [kept[name] for name in kept.files if name.startswith(kind)] for kind in ("photo", "cutout")
        }
        return Materials(of["photo"], kept["surfaces"], of["cutout"])


def _collect(path: Path, held_out: bool) -> None:
    photos = [_photo(file) for name, file in training_photos().items() if is_held_out(name) == held_out]
    stack = TextureStack()
    chosen = [layer for layer, name in surfaces(stack) if is_held_out(name) == held_out]
    if not photos or not chosen:
        raise RuntimeError(
            f"{assets_folder()} does not hold the assets; fetch them with python -m deeplens_dof.learn.scenes.assets"
        )
    subjects = cutouts()
    kept = [
        cv2.resize(rgba, (int(512 * min(aspect, 1)), int(512 / max(aspect, 1))), interpolation=cv2.INTER_AREA)
        for rgba, aspect, name in zip(subjects.rgba, subjects.aspect, subjects.names, strict=True)
        if is_held_out(name) == held_out
    ]
    named: dict[str, Any] = {f"photo{k:03d}": photo for k, photo in enumerate(photos)}
    named |= {f"cutout{k:03d}": cut for k, cut in enumerate(kept)}
    surface = np.stack([stack.layers[layer][..., :3] for layer in chosen])
    write_atomically(path, lambda file: np.savez(file, surfaces=surface, **named))


def is_held_out(name: str) -> bool:
    """Whether the asset of that name is held out for validation; the same on every machine."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") < HELD_OUT_SHARE * 2**32


def _photo(path: Path) -> Bytes:
    with Image.open(path) as picture:
        rgb = picture.convert("RGB")
    rgb.thumbnail((PHOTO_SIDE, PHOTO_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(rgb)


def _lit(colour: Floats, rng: np.random.Generator) -> Floats:
    """The colour under illumination of random strength and tint, sometimes with lamps."""
    tint = np.exp(rng.normal(0, 0.35) + rng.normal(0, 0.08, 3)).astype(np.float32)
    colour = colour * tint
    if rng.random() < LAMPS_CHANCE:
        _draw_lamps(colour, rng)
    return np.asarray(colour, np.float32)


def _draw_lamps(colour: Floats, rng: np.random.Generator) -> None:
    """Draws white or coloured lamps, most of them small, into `colour`, far brighter than the surfaces they light."""
    size, largest = colour.shape[0], float(np.exp(rng.uniform(0.7, 2.5)))
    hue = rng.uniform(0, 0.9)
    for _ in range(int(np.exp(rng.uniform(0, 3.4)))):
        at, radius = rng.integers(0, size, 2), max(1, round(largest * rng.uniform(0.5, 1)))
        lamp = np.exp(rng.uniform(0.3, 3.4)) * (1 - hue * rng.random(3))
        cv2.circle(colour, (int(at[0]), int(at[1])), radius, tuple(map(float, lamp)), -1, cv2.LINE_8)
