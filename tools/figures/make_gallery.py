"""Draws the pictures of docs/gallery.md and docs/troubles.md (docs/img/gallery), and writes docs/gallery.md itself.

    python tools/figures/make_gallery.py [NAME...] [--out DIR]

Each picture is a photo before and after, or a trouble and its remedy. NAME: only these.
"""

from __future__ import annotations

import argparse
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import deeplens_dof as dl

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "docs" / "img" / "gallery"
SIDE_PX, GAP_PX, QUALITY = 440, 8, 80


@dataclass(frozen=True)
class Pair:
    """Two pictures of one photo.

    after: settings of the right one. before: of the left one; None for the photo as it is. crop: x0, y0, x1, y1, 0..1.
    """

    title: str
    photo: str
    after: dict[str, Any]
    why: str = ""
    before: dict[str, Any] | None = None
    crop: tuple[float, float, float, float] = (0, 0, 1, 1)


GALLERY = {
    "portrait": Pair("Portrait", "examples/photos/astronaut.jpg", {}, "the defaults"),
    "cat": Pair("Cat", "examples/photos/chelsea.jpg", {"f_number": 1.4}, "wide open"),
    "dog": Pair(
        "Dog",
        "docs/gallery/dog.jpg",
        {"f_number": 2.8, "focus_range": 0.3},
        "the cars become calm; the thin end of the stick is lost to the depth, too",
    ),
    "osprey": Pair("Bird", "docs/gallery/osprey.jpg", {"f_number": 1.2}, "a busy background"),
    "otter": Pair(
        "Animal at the water", "docs/gallery/otter.jpg", {"f_number": 1.4}, "the second animal steps back"
    ),
    "cup": Pair(
        "Product", "examples/photos/coffee.jpg", {"f_number": 2.8, "focus_range": 0.25}, "the whole cup sharp"
    ),
    "scooter": Pair(
        "Street", "docs/gallery/scooter.jpg", {"f_number": 2.0, "focus_range": 0.2}, "the wall behind, softly"
    ),
    "phone-box": Pair(
        "Architecture", "docs/gallery/phone-box.jpg", {"f_number": 2.0}, "apart from the houses"
    ),
    "cairn": Pair("Landscape", "docs/gallery/cairn.jpg", {"f_number": 1.6}, "near stones before far hills"),
    "rose": Pair("Flower", "docs/gallery/rose.jpg", {"f_number": 1.8, "shape": "hexagon"}, "six blades"),
    "candle": Pair(
        "Evening",
        "docs/gallery/candle.jpg",
        {"focus": (0.74, 0.4), "f_number": 1.4, "highlights": 1.0},
        "a focus of one's own, and highlights",
    ),
    "spices": Pair(
        "Market",
        "docs/gallery/spices.jpg",
        {"focus": (0.73, 0.6), "f_number": 1.4, "focus_range": 0.05},
        "a thin plane of focus",
    ),
}
TROUBLES = {
    "trouble-focus": Pair(
        "The wrong thing is sharp",
        "docs/gallery/candle.jpg",
        {"focus": (0.74, 0.4), "f_number": 1.4},
        before={"focus": (0.3, 0.4), "f_number": 1.4},
    ),
    "trouble-half": Pair(
        "Half of it is blurred",
        "docs/gallery/scooter.jpg",
        {"focus": (0.38, 0.35), "focus_range": 0.35},
        before={"focus": (0.38, 0.35), "focus_range": 0.0, "subject_sharp": 0.0},
    ),
    "trouble-halo": Pair(
        "A halo at the edge",
        "examples/photos/astronaut.jpg",
        {"f_number": 1.0, "renderer": "matte"},
        before={"f_number": 1.0},
        crop=(0.2, 0.0, 0.7, 0.4),
    ),
    "trouble-strong": Pair(
        "Too strong",
        "examples/photos/astronaut.jpg",
        {"f_number": 4.0},
        before={"f_number": 0.8},
    ),
    "trouble-lamps": Pair(
        "Lamps are dull spots",
        "docs/gallery/candle.jpg",
        {"focus": (0.74, 0.4), "f_number": 0.8, "highlights": 1.0},
        before={"focus": (0.74, 0.4), "f_number": 0.8, "highlights": 0.0},
        crop=(0.25, 0.35, 0.8, 0.95),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    pairs = GALLERY | TROUBLES
    if unknown := set(arguments.names) - set(pairs):
        parser.error(f"there is no picture {sorted(unknown)[0]!r}, expected some of: {', '.join(pairs)}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.names or pairs:
        file = arguments.out / f"{name}.jpg"
        Image.fromarray(drawn(pairs[name])).save(file, quality=QUALITY, optimize=True)
        print(f"{file.name}: {file.stat().st_size / 1e3:.0f} kB")
    (ROOT / "docs" / "gallery.md").write_text(page(), encoding="utf-8")


def drawn(pair: Pair) -> np.ndarray:
    """Both pictures beside each other, uint8 (H, W, 3)."""
    scene = dl.analyse(dl.read(ROOT / pair.photo))
    after = dl.refocus(scene, dl.Settings(**pair.after)).image
    before = (
        scene.photo.pixels if pair.before is None else dl.refocus(scene, dl.Settings(**pair.before)).image
    )
    height, width = after.shape[:2]
    x0, y0, x1, y1 = (round(part * side) for part, side in zip(pair.crop, (width, height) * 2, strict=True))
    sides = []
    for picture in (before, after):
        image = Image.fromarray(picture[y0:y1, x0:x1])
        scale = SIDE_PX / max(image.size)
        size = (round(image.width * scale), round(image.height * scale))
        sides.append(np.asarray(image.resize(size, Image.Resampling.LANCZOS)))
    return np.hstack([sides[0], np.full((sides[0].shape[0], GAP_PX, 3), 255, np.uint8), sides[1]])


def command(pair: Pair) -> str:
    """What makes the right picture on the command line."""
    values = {
        name: ",".join(map(str, value)) if name == "focus" else value for name, value in pair.after.items()
    }
    options = [f"--{name.replace('_', '-')} {value}" for name, value in values.items()]
    return " ".join(["deeplens blur", shlex.quote(pair.photo), *options])


def page() -> str:
    """docs/gallery.md."""
    parts = [_HEAD]
    for name, pair in GALLERY.items():
        parts += [f"## {pair.title}", f"![{pair.title}, before and after](img/gallery/{name}.jpg)", ""]
        parts += [f"{pair.why.capitalize()}: `{command(pair)}`", ""]
    return "\n".join(parts)


_HEAD = """# Gallery

A dozen photos before (left) and after (right), by subject, all from one still photo without any measured depth.
`python tools/figures/make_gallery.py` makes them and this page; the command below each picture makes that one.
When yours does not come out like these: [it went wrong, what to do](troubles.md).
"""

if __name__ == "__main__":
    main()
