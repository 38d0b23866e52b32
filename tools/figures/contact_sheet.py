"""Contact sheets: tiles below their captions, in rows, and as good a JPEG as fits into so many bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

MOST_BYTES, FIRST_QUALITY, LAST_QUALITY = 200_000, 88, 48
TILE_PX, GAP_PX, CAPTION_PX = 240, 4, 16
FONT_SHARE = 0.75  # of a caption's height
Tile = tuple[str, np.ndarray]


def signed(coc_px: np.ndarray) -> np.ndarray:
    """White at 0, blue nearer, red farther; full colour at the largest radius."""
    share = (coc_px / max(float(np.abs(coc_px).max()), 1e-6))[..., None]
    blue, red = np.array((40, 80, 200), np.float32), np.array((200, 50, 30), np.float32)
    colour = 255 + np.abs(share) * (np.where(share > 0, blue, red) - 255)
    return np.rint(colour).astype(np.uint8)


def grey(values: np.ndarray) -> np.ndarray:
    return np.repeat(np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)[..., None], 3, 2)


def laid_out(
    rows: Sequence[Sequence[Tile]], width: int, gap_px: int = GAP_PX, caption_px: int = CAPTION_PX
) -> Image.Image:
    """Tiles of that width below their captions; what is larger is averaged down."""
    font = ImageFont.load_default(FONT_SHARE * caption_px)
    heights = [max(round(width * tile.shape[0] / tile.shape[1]) for _, tile in row) for row in rows]
    across = max(len(row) for row in rows) * (width + gap_px) - gap_px
    sheet = Image.new("RGB", (across, sum(heights) + len(rows) * (caption_px + gap_px)), "white")
    draw, top = ImageDraw.Draw(sheet), 0
    for row, height in zip(rows, heights, strict=True):
        for number, (caption, tile) in enumerate(row):
            left = number * (width + gap_px)
            draw.text((left + 1, top), caption, fill="black", font=font)
            sheet.paste(fitted(tile, width), (left, top + caption_px))
        top += height + caption_px + gap_px
    return sheet


def fitted(tile: np.ndarray, width: int) -> Image.Image:
    picture = Image.fromarray(np.ascontiguousarray(tile))
    if picture.width == width:
        return picture
    size = width, round(width * picture.height / picture.width)
    return picture.resize(size, Image.Resampling.LANCZOS)


def save(sheet: Image.Image, path: Path, most_bytes: int = MOST_BYTES) -> None:
    """As good a JPEG as fits. Raises SystemExit when none does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for quality in range(FIRST_QUALITY, LAST_QUALITY - 1, -4):
        file = io.BytesIO()
        sheet.save(file, "JPEG", quality=quality, optimize=True)
        if file.tell() <= most_bytes:
            path.write_bytes(file.getvalue())
            return
    raise SystemExit(f"{path.name} is larger than {most_bytes} bytes at quality {LAST_QUALITY}")
