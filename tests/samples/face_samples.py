"""Pictures with faces: a portrait of a NASA astronaut (public domain), groups made of it, a face drawn by code."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

PORTRAIT = Path(__file__).parents[2] / "examples" / "photos" / "astronaut.jpg"
# Of the portrait, as a person sees it: the face from brows to chin, and both eyes.
BOX, EYES = (0.345, 0.15, 0.54, 0.345), ((0.395, 0.199), (0.482, 0.2))
HEAD = (128, 30, 328, 230)  # a square about the head, in px; the face is half as wide


def portrait() -> np.ndarray:
    """sRGB uint8 (512, 512, 3)."""
    with Image.open(PORTRAIT) as picture:
        return np.array(picture.convert("RGB"))


def group(heads: list[tuple[int, int, int]], height: int = 480, width: int = 640) -> np.ndarray:
    """Heads (left, top, side in px) of the astronaut before an even wall; sRGB uint8 (height, width, 3)."""
    picture = Image.new("RGB", (width, height), (96, 104, 112))
    head = Image.fromarray(portrait()).crop(HEAD)
    for left, top, side in heads:
        picture.paste(head.resize((side, side), Image.Resampling.LANCZOS), (left, top))
    return np.array(picture)


def drawn_face(height: int = 300, width: int = 400) -> np.ndarray:
    """A flat face in the middle, as a poster shows it; sRGB uint8 (height, width, 3)."""
    picture = Image.new("RGB", (400, 300), (90, 120, 160))
    pen = ImageDraw.Draw(picture)
    pen.ellipse((130, 60, 270, 240), fill=(224, 180, 150))
    for x in (170, 230):
        pen.ellipse((x - 12, 120, x + 12, 136), fill="white")
        pen.ellipse((x - 6, 122, x + 6, 134), fill="black")
    pen.ellipse((192, 150, 208, 175), fill=(200, 150, 120))
    pen.arc((165, 170, 235, 215), 20, 160, fill=(150, 40, 40), width=6)
    pen.pieslice((125, 50, 275, 170), 180, 360, fill=(60, 40, 20))
    return np.array(picture.resize((width, height)))
