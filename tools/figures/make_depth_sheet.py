"""Draws docs/img/depth_photos.jpg: photos that were never trained on, with their depth and the subject's matte.

    python tools/figures/make_depth_sheet.py [--model FILE] [--out FILE]

Which photos, and where they come from, is told in evaluate/depth/held_out_photos.py. Those that are not there are named and
left out.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from deeplens_dof.depth.predict import predict_scene
from deeplens_dof.depth.subject import subject_point
from deeplens_dof.evaluate.depth.held_out_photos import photos
from deeplens_dof.evaluate.depth.score import read_photo
from deeplens_dof.models import MODELS, candidate

ROOT = Path(__file__).resolve().parents[2]
ACROSS, TILE_PX, LABEL_PX = 3, 190, 16
OPENCV = [
    "basketball1",
    "rubberwhale1",
    "aero1",
    "graf1",
    "box_in_scene",
    "stuff",
    "board",
    "left01",
    "chicky_512",
    "text_defocus",
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="another network than the one that is shipped")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "img" / "depth_photos.jpg")
    arguments = parser.parse_args()
    model = candidate(arguments.model) if arguments.model else MODELS["depth"]
    strips = []
    for name, path in photos().items():
        if path is None:
            print(f"{name} is not here and is left out", file=sys.stderr)
            continue
        rgb = read_photo(path)
        depth, matte = predict_scene(rgb, model=model)
        strips.append(strip(name, rgb, depth.values, matte))
    blank = np.full_like(strips[0], 24)
    strips += [blank] * (-len(strips) % ACROSS)
    lines = [np.hstack(strips[k : k + ACROSS]) for k in range(0, len(strips), ACROSS)]
    Image.fromarray(np.vstack(lines)).save(arguments.out, quality=80)
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e3:.0f} kB")


def strip(name: str, rgb: np.ndarray, depth: np.ndarray, matte: np.ndarray | None) -> np.ndarray:
    """Photo with the default focus, depth, matte, with the name below; uint8 (TILE_PX + LABEL_PX, 3 TILE_PX, 3)."""
    height, width = rgb.shape[:2]
    scale = min(TILE_PX / width, TILE_PX / height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    out = Image.new("RGB", (3 * TILE_PX, TILE_PX + LABEL_PX), (24, 24, 24))
    grey = [depth] if matte is None else [depth, matte]
    pictures = [rgb, *(np.repeat(np.rint(np.clip(v, 0, 1) * 255)[..., None], 3, 2) for v in grey)]
    for number, picture in enumerate(pictures):
        small = Image.fromarray(picture.astype(np.uint8)).resize(size, Image.Resampling.BOX)
        if number == 0:
            x, y = subject_point(depth, matte)
            ImageDraw.Draw(small).circle((x * size[0], y * size[1]), 5, outline=(0, 255, 0), width=2)
        left, top = number * TILE_PX + (TILE_PX - size[0]) // 2, (TILE_PX - size[1]) // 2
        out.paste(small, (left, top))
    font = ImageFont.load_default(11)
    ImageDraw.Draw(out).text((4, TILE_PX + 1), name, fill=(200, 200, 200), font=font)
    return np.asarray(out)


if __name__ == "__main__":
    main()
