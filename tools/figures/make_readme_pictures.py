"""The pictures of the README: before, depth, after, side by side, into docs/img.

python tools/figures/make_readme_pictures.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

import deeplens_dof as dl

ROOT = Path(__file__).parents[2]
HEIGHT_PX, GAP_PX, MOST_BYTES = 400, 8, 300_000
STRIPS = {
    "astronaut": dl.Settings(),
    "coffee": dl.Settings(f_number=1.4, lens_mm=85),
}


def strip(name: str, settings: dl.Settings) -> Image.Image:
    """Photo, its inverse depth (near is bright) and the result, at one height on white."""
    result = dl.blur(ROOT / "examples" / "photos" / f"{name}.jpg", settings=settings)
    depth = np.rint(result.scene.inverse_depth.normalised() * 255).astype(np.uint8)
    panels = [result.photo.pixels, np.repeat(depth[..., None], 3, 2), result.image]
    width = round(result.photo.width * HEIGHT_PX / result.photo.height)
    sheet = Image.new("RGB", (3 * width + 2 * GAP_PX, HEIGHT_PX), "white")
    for number, panel in enumerate(panels):
        resized = Image.fromarray(panel).resize((width, HEIGHT_PX), Image.Resampling.LANCZOS)
        sheet.paste(resized, (number * (width + GAP_PX), 0))
    return sheet


def main() -> None:
    folder = ROOT / "docs" / "img"
    folder.mkdir(parents=True, exist_ok=True)
    for name, settings in STRIPS.items():
        path = folder / f"{name}_strip.jpg"
        strip(name, settings).save(path, quality=88, optimize=True)
        if path.stat().st_size > MOST_BYTES:
            raise SystemExit(f"{path.name} has {path.stat().st_size} bytes, expected at most {MOST_BYTES}")
        print(path.relative_to(ROOT), path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
