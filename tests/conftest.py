"""What tests of several packages share: small frames made without graphics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deeplens_dof.datasets.frames import Frame, frame_path, write_frame


@pytest.fixture(scope="session")
def frames_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty frames: brightness is inverse depth, so that a network could learn them; the nearest part is the
    subject.
    """
    folder = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(3)
    for index in range(20):
        upright = index % 3 == 0
        height, width = (112, 84) if upright else (84, 112)
        rows, columns = np.mgrid[0:height, 0:width]
        waves = np.sin(rows / rng.uniform(8, 25) + rng.uniform(0, 6)) + np.cos(
            columns / rng.uniform(8, 25) + rng.uniform(0, 6)
        )
        inverse = (waves - waves.min() + 0.1).astype(np.float32)
        rgb = np.repeat(np.rint(inverse / inverse.max() * 255).astype(np.uint8)[..., None], 3, 2)
        subject = ((inverse > np.percentile(inverse, 80)) * 255).astype(np.uint8) if index % 2 else None
        write_frame(
            frame_path(folder, index),
            Frame(rgb, inverse, subject, {"seed": 3, "index": index, "kind": "test"}),
        )
    return folder
