"""The product default of whichever `deeplens_dof` is on the path, photo after photo.

    PYTHONPATH=src python tools/blind_test/default_of.py < JOBS

A line of JOBS is JSON: photo (a file), settings (of dl.Settings) and result, an npz file to write: picture, uint8 sRGB
(H, W, 3), and coc_px, float32 (H, W). The first line of the answer is the package's folder, and each further one a result
that is there. versions.py talks to it, with the package of another commit, too: keep to what every commit has.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

import deeplens_dof as dl


def main() -> None:
    print(Path(dl.__file__).resolve().parent, flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        point = job["settings"].get("focus")
        if isinstance(point, list):
            job["settings"]["focus"] = tuple(point)
        result = dl.refocus(dl.analyse(dl.read(job["photo"])), dl.Settings(**job["settings"]))
        picture = result.photo.with_pixels(result.image).srgb8()
        np.savez(job["result"], picture=picture, coc_px=result.coc_px)
        print(job["result"], flush=True)


if __name__ == "__main__":
    main()
