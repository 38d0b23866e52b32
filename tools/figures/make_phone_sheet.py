"""Draws docs/img/phone_depth.jpg: photos of phones with their own depth and ours, blurred at the phone's f-number.

    python tools/figures/make_phone_sheet.py [PHOTO...] [--out FILE]
    python tools/figures/make_phone_sheet.py --limits

Photos: those named, or those with depth inside in the folder that tools/data/fetch_evaluation_data.py fills. --limits draws
nothing: it makes the phone's depth coarser, in size and in levels, and tells how far that is from the whole of it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from deeplens_dof.depth.files import fit_to
from deeplens_dof.evaluate.depth.measured_photos import CACHE
from deeplens_dof.optics.inverse_depth import InverseDepth
from deeplens_dof.photo import Photo, PhotoError, read
from deeplens_dof.pipeline import Scene, Settings, analyse, as_shot, preview, refocus

ROOT = Path(__file__).resolve().parents[2]
ENDINGS = (".heic", ".heif", ".hif", ".jpg", ".jpeg")
TILE_PX, LABEL_PX, CROP_PX = 380, 18, 900
WORK_PIXELS = 3_000_000
TITLES = ("photo", "depth of the phone", "our depth", "blurred with the phone's", "blurred with ours")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path, nargs="*", metavar="PHOTO")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "img" / "phone_depth.jpg")
    parser.add_argument("--limits", action="store_true", help="measure how coarse embedded depth may be")
    arguments = parser.parse_args()
    photos = with_depth(arguments.photos or sorted(CACHE.glob("*")))
    if not photos:
        raise SystemExit(
            f"no photo with depth inside is in {CACHE}: python tools/data/fetch_evaluation_data.py"
        )
    if arguments.limits:
        for name, photo in photos.items():
            limits(name, photo)
        return
    rows = [row for name, photo in photos.items() for row in compared(name, photo)]
    Image.fromarray(np.vstack(rows)).save(arguments.out, quality=82)
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e3:.0f} kB")


def with_depth(paths: list[Path]) -> dict[str, Photo]:
    found = {}
    for path in paths:
        if path.suffix.lower() not in ENDINGS:
            continue
        try:
            photo = read(path)
        except PhotoError as problem:
            print(problem)
            continue
        if photo.depth is not None:
            found[path.name] = photo
    return found


def compared(name: str, photo: Photo) -> list[np.ndarray]:
    """Two rows: the whole photo, and the middle of its subject."""
    phone, ours = (preview(analyse(photo, how), WORK_PIXELS) for how in ("embedded", "predict"))
    settings = as_shot(photo, Settings(focus=phone.subject))
    own = photo.depth
    size = "" if own is None else f"{own.inverse_depth.shape[1]} x {own.inverse_depth.shape[0]} px, "
    pictures = [
        phone.photo.srgb8(),
        grey(phone.inverse_depth),
        grey(ours.inverse_depth),
        refocus(phone, settings).photo.with_pixels(refocus(phone, settings).image).srgb8(),
        refocus(ours, settings).photo.with_pixels(refocus(ours, settings).image).srgb8(),
    ]
    titles = [
        f"{name}, f/{settings.f_number:g}",
        f"{TITLES[1]}, {size}{phone.inverse_depth.unit}",
        *TITLES[2:],
    ]
    x, y = crop_of(phone)
    return [
        row(pictures, titles),
        row([each[y : y + CROP_PX, x : x + CROP_PX] for each in pictures], [""] * len(pictures)),
    ]


def crop_of(scene: Scene) -> tuple[int, int]:
    """Left and top of the square with the most depth border in it."""
    values = scene.inverse_depth.values
    steps = np.abs(np.diff(values, axis=0))[:, :-1] + np.abs(np.diff(values, axis=1))[:-1]
    sums = np.pad(np.minimum(steps, 0.2).cumsum(0, np.float64).cumsum(1), ((1, 0), (1, 0)))
    side = min(CROP_PX, *steps.shape)
    inside = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    y, x = np.unravel_index(int(inside.argmax()), inside.shape)
    return int(x), int(y)


def grey(depth: InverseDepth) -> np.ndarray:
    return np.repeat(np.rint(depth.normalised() * 255).astype(np.uint8)[..., None], 3, 2)


def row(pictures: list[np.ndarray], titles: list[str]) -> np.ndarray:
    tiles = []
    for picture, title in zip(pictures, titles, strict=True):
        height, width = picture.shape[:2]
        scale = TILE_PX / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        label = LABEL_PX if title else 4
        tile = Image.new("RGB", (TILE_PX + 4, size[1] + label), (24, 24, 24))
        tile.paste(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS), (2, label))
        ImageDraw.Draw(tile).text((4, 2), title, fill=(220, 220, 220), font=ImageFont.load_default(12))
        tiles.append(np.asarray(tile))
    return np.hstack(tiles)


def limits(name: str, photo: Photo) -> None:
    """Mean difference of 0..1 inverse depth, refined to the photo, from the phone's whole depth: of all pixels, and of
    those at its borders.
    """
    own = photo.depth
    if own is None:
        return
    small = preview(analyse(photo, "embedded"), 1_000_000)
    rgb, truth = small.photo.srgb8(), small.inverse_depth.normalised()
    ours = analyse(small.photo, "predict").inverse_depth.values
    slope, offset = np.polyfit(ours.ravel(), truth.ravel(), 1)
    print(f"{name}: all pixels, borders")
    tell("our depth, fitted", slope * ours + offset, truth)
    rows, columns = own.inverse_depth.shape
    codes = own.inverse_depth.normalised()
    for long_side in (384, 256, 160, 96, 64, 32, 16):
        scale = long_side / max(rows, columns)
        coarse = InverseDepth(codes, "relative").sampled(round(rows * scale), round(columns * scale))
        tell(f"{long_side} px", fit_to(coarse, *truth.shape, rgb).normalised(), truth)
    for levels in (64, 32, 16, 8, 4, 2):
        few = InverseDepth(np.rint(codes * (levels - 1)) / (levels - 1), "relative")
        tell(f"{levels} levels", fit_to(few, *truth.shape, rgb).normalised(), truth)


def tell(what: str, found: np.ndarray, truth: np.ndarray) -> None:
    difference = np.abs(found - truth)
    print(f"  {what}: {difference.mean():.4f} {difference[borders(truth)].mean():.4f}")


def borders(depth: np.ndarray, reach_px: int = 4, least_step: float = 0.1) -> np.ndarray:
    """Where depth differs by so much within twice the reach. (H, W) bool."""
    found = np.zeros(depth.shape, bool)
    for axis in (0, 1):
        found |= np.abs(np.roll(depth, reach_px, axis) - np.roll(depth, -reach_px, axis)) > least_step
    found[:reach_px], found[-reach_px:], found[:, :reach_px], found[:, -reach_px:] = (False,) * 4
    return found


if __name__ == "__main__":
    main()
