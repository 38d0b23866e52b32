"""The files of a stored photo, as workers use them: the upload, its depth, its matte, and facts about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.depth.files import Scale, grey_codes, scale_of
from deeplens_dof.optics.inverse_depth import InverseDepth
from deeplens_dof.runtime.atomic_write import write_atomically

# Of 65,535 codes. Depth that differs by more was painted by the user.
_REPAIRED = 650


@dataclass(frozen=True, slots=True)
class PhotoFiles:
    """The folder of a stored photo.

    version: the number of depth changes so far, so that no worker uses outdated depth.
    """

    id: str
    folder: Path
    version: int = 0

    @property
    def photo(self) -> Path:
        return self.folder / "photo"

    def write_depth(
        self, depth: InverseDepth, facts: Mapping[str, Any], scale: Scale | None = None
    ) -> InverseDepth:
        """Stores depth at 16 bits.

        Args:
            depth: inverse depth (H, W).
            facts: subject, subject_confidence, depth_source, f_number and faces.
            scale: the scale of the depth that this one repairs; None stores it as the first depth, which
                later repairs are compared with.

        Returns:
            The depth as it will be read back, rounded to 16 bits.
        """
        unit, black, white = scale or scale_of(depth)
        codes = grey_codes(depth.values, black, white)
        for name in ("depth.npy", *([] if scale else ["first.npy"])):
            write_atomically(self.folder / name, lambda file: np.save(file, codes, allow_pickle=False))
        text = json.dumps({**facts, "scale": [unit, black, white]})
        write_atomically(self.folder / "facts.json", lambda file: file.write(text.encode()))
        return self.depth()

    def write_matte(self, matte: npt.NDArray[np.float32] | None) -> None:
        """Stores the subject's matte, 0..1 (H, W), at 8 bits; None removes it."""
        file = self.folder / "matte.npy"
        if matte is None:
            file.unlink(missing_ok=True)
            return
        codes = np.rint(np.clip(np.nan_to_num(matte, nan=0.0), 0, 1) * 255).astype(np.uint8)
        write_atomically(file, lambda stream: np.save(stream, codes, allow_pickle=False))

    def matte(self) -> npt.NDArray[np.float32] | None:
        """The subject's matte, 0..1 (H, W), or None. It is 0 where the depth was repaired: there the painted depth counts."""
        file = self.folder / "matte.npy"
        if not file.exists():
            return None
        matte: npt.NDArray[np.float32] = np.load(file, allow_pickle=False) * np.float32(1 / 255)
        now, first = (np.load(self.folder / name, allow_pickle=False) for name in ("depth.npy", "first.npy"))
        matte[np.abs(now.astype(np.int32) - first) > _REPAIRED] = 0
        return matte

    def facts(self) -> dict[str, Any]:
        """subject, subject_confidence, depth_source, f_number, faces and scale."""
        found: dict[str, Any] = json.loads((self.folder / "facts.json").read_text())
        return found

    def scale(self) -> Scale:
        unit, black, white = self.facts()["scale"]
        return unit, black, white

    def depth(self, first: bool = False) -> InverseDepth:
        """The current inverse depth (H, W). first: the depth before all repairs."""
        unit, black, white = self.scale()
        codes = np.load(self.folder / ("first.npy" if first else "depth.npy"), allow_pickle=False)
        values = codes.astype(np.float32) * np.float32((white - black) / 65535) + np.float32(black)
        return InverseDepth(values, unit)
