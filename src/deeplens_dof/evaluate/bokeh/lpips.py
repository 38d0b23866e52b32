"""LPIPS with a network supplied by the user; none comes with the package.

The file is ONNX with two inputs, pictures float32 (1, 3, H, W) from -1 to 1, and one output, their distance.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.models import Model, Session, open_session


class Lpips:
    """A perceptual distance. Raises FileNotFoundError for a missing file, ValueError for another kind of network."""

    def __init__(self, path: Path, threads: int | None = None) -> None:
        if not path.is_file():
            raise FileNotFoundError(f"there is no network at {str(path)!r}, expected LPIPS as an ONNX file")
        self.name = path.name
        with path.open("rb") as stream:
            self.sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        model = Model(str(path.resolve()), self.sha256, "the user's", "LPIPS", "", "", 1, 1)
        try:
            self._session: Session = open_session(model, threads)
        except Exception as error:  # the runtimes raise kinds of their own
            reason = " ".join(str(error).split())
            raise ValueError(f"{path.name} is not a network that can be opened ({reason})") from error
        inputs = self._session.get_inputs()
        if len(inputs) != 2:
            raise ValueError(f"{path.name} takes {len(inputs)} inputs, expected two pictures")
        self._inputs = [found.name for found in inputs]

    def distance(self, a: npt.NDArray[Any], b: npt.NDArray[Any], peak: float) -> float:
        """Distance of two displayed pictures (H, W, 3), 0..peak. Raises ValueError when the network rejects them."""
        feed = {
            name: np.ascontiguousarray((picture.astype(np.float32) * (2 / peak) - 1).transpose(2, 0, 1)[None])
            for name, picture in zip(self._inputs, (a, b), strict=True)
        }
        try:
            found = self._session.run(None, feed)[0]
        except Exception as error:  # the runtimes raise kinds of their own
            reason = " ".join(str(error).split())
            raise ValueError(f"{self.name} cannot compare pictures of shape {a.shape} ({reason})") from error
        value = np.asarray(found, np.float64)
        if value.size != 1:
            raise ValueError(
                f"{self.name} gives {value.size} numbers for two pictures, expected one distance"
            )
        return float(value.ravel()[0])
