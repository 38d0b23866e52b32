"""Draws photos of a folder with depth and matte of two networks beside each other.

    python tools/figures/make_before_after_sheet.py PHOTOS BEFORE.onnx AFTER.onnx OUT.jpg [--count 24]

Each strip: the photo with the default focus, depth and matte before, depth and matte after. Photos are spread evenly over
the folder. To judge training, take the part of the photos that is kept aside (`datasets/real_photos.py`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from make_depth_sheet import LABEL_PX, TILE_PX, strip
from PIL import Image

from deeplens_dof.datasets.sample import PICTURES
from deeplens_dof.depth.predict import predict_scene
from deeplens_dof.evaluate.bokeh.measure import thinned
from deeplens_dof.evaluate.depth.score import read_photo
from deeplens_dof.models import candidate

ACROSS = 3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=24)
    arguments = parser.parse_args()
    found = [path for path in sorted(arguments.photos.iterdir()) if path.suffix.lower() in PICTURES]
    models = [candidate(path) for path in (arguments.before, arguments.after)]
    strips = []
    for path in thinned(found, arguments.count):
        rgb = read_photo(path)
        before, after = (
            strip(path.stem, rgb, depth.values, matte)
            for depth, matte in (predict_scene(rgb, model=model) for model in models)
        )
        strips.append(np.hstack([after[:, :TILE_PX], before[:, TILE_PX:], after[:, TILE_PX:]]))
    blank = np.full((TILE_PX + LABEL_PX, 5 * TILE_PX, 3), 24, np.uint8)
    strips += [blank] * (-len(strips) % ACROSS)
    lines = [np.hstack(strips[k : k + ACROSS]) for k in range(0, len(strips), ACROSS)]
    Image.fromarray(np.vstack(lines)).save(arguments.out, quality=80)
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
