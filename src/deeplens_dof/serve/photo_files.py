"""Where a stored photo lies, as workers see it: its file as it came, its depth, and what was found out about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.depth.files import Scale, codes_of, scale_of
from deeplens_dof.optics.inverse_depth import InverseDepth
from deeplens_dof.runtime.atomic_write import write_atomically

_REPAIRED = 650  # of 65,535 codes: depth that was changed by more was painted on purpose


@dataclass(frozen=True, slots=True)
class PhotoFiles:
    """A photo's folder. version: counts the changes of its depth, so that no worker uses an old one."""

    id: str
    folder: Path
    version: int = 0

    @property
    def photo(self) -> Path:
        return self.folder / "photo"

    def write_depth(
        self, depth: InverseDepth, facts: Mapping[str, Any], scale: Scale | None = None
    ) -> InverseDepth:
        """Stores depth at 16 bits, and gives back what will be read.

        scale: that of the depth which this one is a repair of; None makes it what repairs start from.
        """
        unit, black, white = scale or scale_of(depth)
        codes = codes_of(depth.values, black, white)
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
        """The subject's matte, 0 where the depth was repaired, whose relief is meant; None where there is none."""
        file = self.folder / "matte.npy"
        if not file.exists():
            return None
        matte: npt.NDArray[np.float32] = np.load(file, allow_pickle=False) * np.float32(1 / 255)
        now, first = (np.load(self.folder / name, allow_pickle=False) for name in ("depth.npy", "first.npy"))
        matte[np.abs(now.astype(np.int32) - first) > _REPAIRED] = 0
        return matte

    def facts(self) -> dict[str, Any]:
        """subject, subject_confidence, depth_source and scale."""
        found: dict[str, Any] = json.loads((self.folder / "facts.json").read_text())
        return found

    def scale(self) -> Scale:
        unit, black, white = self.facts()["scale"]
        return unit, black, white

    def depth(self, first: bool = False) -> InverseDepth:
        """Inverse depth as it is now, or as it was before all repairs."""
        unit, black, white = self.scale()
        codes = np.load(self.folder / ("first.npy" if first else "depth.npy"), allow_pickle=False)
        values = codes.astype(np.float32) * np.float32((white - black) / 65535) + np.float32(black)
        return InverseDepth(values, unit)
