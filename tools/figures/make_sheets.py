"""Contact sheets of the lens blur: what goes in, what comes out, and where it is wrong.

    python tools/figures/make_sheets.py [--out FOLDER] [--only desk,coffee,hair]

hair.jpg, leaves.jpg, night_highlights.jpg, foreground_blur.jpg, by topic, with every renderer there is: see topic_sheets.py.
blur_SCENE.jpg, of a scene of benchmarks/scenes: input, inverse depth, CoC, result, path-traced truth, 4 x the difference
(grey is none); one row a picture and, pixel for pixel, the place of the last one where the result is most wrong.
photo_NAME.jpg, of a photo with predicted depth and the default lens: input, depth, CoC, result; then an edge and a
highlight from close by, before and after. CoC: blue is nearer than the focus, red farther, white sharp.

Some of the photos come from tools/data/fetch_evaluation_data.py and tools/data/fetch_stereo_sets.py; authors and licences are
in NOTICE.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from contact_sheet import MOST_BYTES, TILE_PX, Tile, grey, laid_out, save, signed
from hard_places import edges, highlights, window
from PIL import Image
from scipy.ndimage import gaussian_filter

import deeplens_dof as dl
from deeplens_dof.evaluate.depth.measured_photos import CACHE

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tools" / "blind_test")]

from topic_sheets import TOPIC_BYTES, TOPICS, topic_sheet  # noqa: E402
from truths import Truth, psnr, truths  # noqa: E402

SCENES = ("desk", "garden", "night", "room")
SHOWN = ((5, 1), (3, 2), (5, 3))  # level, focus
PHOTOS = ("astronaut.jpg", "coffee.jpg", "chelsea.jpg", "rocket.jpg", "flower.jpg", "china.jpg")
SMALL_PHOTO_PX = 800  # narrower photos are shown at 200 % in the details


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "img")
    parser.add_argument("--only", default="", help="scenes and photos, by name; all by default")
    arguments = parser.parse_args()
    only = {name for name in arguments.only.split(",") if name}
    sheets: dict[str, tuple[str, Callable[[], Image.Image], int]] = {}
    for name in SCENES:
        sheets[name] = f"blur_{name}", partial(scene_sheet, name), MOST_BYTES
    for name in PHOTOS:
        sheets[Path(name).stem] = f"photo_{Path(name).stem}", partial(photo_sheet, name), MOST_BYTES
    for name in TOPICS:
        sheets[name] = name, partial(topic_sheet, name, tell), TOPIC_BYTES
    if unknown := only - set(sheets):
        raise SystemExit(f"there is no sheet {min(unknown)!r}; there are: {', '.join(sheets)}")
    for name, (file, make, most_bytes) in sheets.items():
        if not only or name in only:
            path = arguments.out / f"{file}.jpg"
            save(make(), path, most_bytes)
            print(f"{path}: {path.stat().st_size / 1e3:.0f} kB", flush=True)


def tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def scene_sheet(name: str) -> Image.Image:
    levels = {level for level, _ in SHOWN}
    found = {(each.level, each.focus): each for each in truths(levels, scenes={name})}
    rows = [compared(found[which]) for which in SHOWN]
    error = np.abs(rows[-1][5][1].astype(np.float32) - 128).mean(2)
    height = round(TILE_PX * error.shape[0] / error.shape[1])
    place = window(gaussian_filter(error, 8), TILE_PX, height)
    rows.append([("from close by: " + caption, tile[place]) for caption, tile in rows[-1]])
    return laid_out(rows, TILE_PX)


def compared(each: Truth) -> list[Tile]:
    """Input, inverse depth, CoC, result, truth and 4 x their difference."""
    result = dl.linear_to_srgb(dl.render(each.rgb, each.coc_px))
    difference = (result.astype(np.float32) - each.truth) * 4 + 128
    depth = each.coc_px - each.coc_px.min()
    decibels, edge = psnr(result, each.truth), psnr(result, each.truth, each.band)
    return [
        (f"{each.scene}, level {each.level}, focus {each.focus}", dl.linear_to_srgb(each.rgb)),
        ("inverse depth", grey(depth / max(float(depth.max()), 1e-6))),
        (f"CoC, up to {np.abs(each.coc_px).max():.0f} px", signed(each.coc_px)),
        (f"result, {decibels:.1f} dB, edges {edge:.1f}", result),
        ("truth", each.truth),
        ("4 x the difference", np.clip(difference, 0, 255).astype(np.uint8)),
    ]


def photo_sheet(name: str) -> Image.Image:
    path = next((p for p in (ROOT / "examples" / "photos" / name, CACHE / name) if p.is_file()), None)
    if path is None:
        raise SystemExit(f"{name} is not in {CACHE}; run tools/data/fetch_evaluation_data.py first")
    scene = dl.analyse(dl.read(path))
    settings = dl.Settings()
    result = dl.refocus(scene, settings)
    before, after = scene.photo.srgb8(), dl.linear_to_srgb(result.linear)
    wide = round(TILE_PX * 6 / 4)
    zoom = 2 if scene.photo.width < SMALL_PHOTO_PX else 1
    rows = [
        [
            (f"{path.stem}, {scene.photo.width} x {scene.photo.height}", before),
            ("predicted inverse depth", grey(scene.inverse_depth.normalised())),
            (f"CoC, up to {np.abs(result.coc_px).max():.0f} px", signed(result.coc_px)),
            (f"result, {settings.lens_mm:g} mm f/{settings.f_number:g}", after),
        ]
    ]
    details: list[Tile] = []
    spots = highlights(before, result.coc_px)
    for what, interest in (("edge", edges(result.coc_px)), ("highlight", spots)):
        place = window(interest, wide // zoom, wide * 2 // 3 // zoom)
        spots[place] = 0  # the second place is another one
        for when, picture in (("before", before), ("after", after)):
            crop = picture[place].repeat(zoom, 0).repeat(zoom, 1)
            details.append((f"{what}, {when}, {100 * zoom} %", crop))
    return laid_out([*rows, details], wide)


if __name__ == "__main__":
    main()
