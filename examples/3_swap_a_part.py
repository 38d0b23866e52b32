"""Parts of your own: first the depth, then the circles of confusion themselves.

python examples/3_swap_a_part.py [FOLDER]
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

import deeplens_dof as dl

out = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="deeplens-"))
out.mkdir(parents=True, exist_ok=True)

photo = dl.read("examples/photos/rocket.jpg")


def depth_of_flat_ground(height: int, width: int) -> dl.InverseDepth:
    """A camera 1.6 m above flat ground, the horizon at 60 % of the height: inverse metres, 0 is infinity."""
    row = (np.arange(height, dtype=np.float32) + 0.5) / height
    inverse_m = np.maximum(row - 0.6, 0) / 1.6
    return dl.InverseDepth(np.repeat(inverse_m[:, None], width, axis=1), "1/m")


# Your own depth in place of the network's: from a function, a sensor, another network.
scene = dl.analyse(photo, depth=depth_of_flat_ground(photo.height, photo.width))
dl.refocus(scene, dl.Settings(focus=(0.5, 0.95), f_number=0.7, lens_mm=200)).save(out / "ground.jpg")

# No depth at all: say for every pixel how large its circle of confusion is, and render that.
y = (np.arange(photo.height, dtype=np.float32) + 0.5) / photo.height
coc_px = np.repeat(-20 * np.abs(y - 0.45)[:, None], photo.width, axis=1)  # a tilted lens: a sharp band
tilted = dl.render(photo.linear(), coc_px, aperture=dl.Aperture.disc(), renderer="optical")
photo.with_pixels(photo.encode(tilted)).save(out / "tilted.jpg")

print(out)
