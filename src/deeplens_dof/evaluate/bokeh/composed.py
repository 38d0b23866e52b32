"""Composed pairs (`deeplens scenes DIR --pairs`): any folder of them, or the split that a seed reproduces.

Each pair is rendered twice: as from a photo (8-bit sRGB, clipped at white) and from its linear light, where only the optics
differ. The depth is exact.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.datasets.pairs import VERSION, pair_files, read_pair
from deeplens_dof.evaluate.bokeh.measure import Benchmark, BenchmarkEntry, Case, Listing
from deeplens_dof.evaluate.metrics import edge_band, psnr, rmse
from deeplens_dof.imaging.color import linear_to_srgb, srgb_to_linear
from deeplens_dof.optics.aperture import Aperture

Floats = npt.NDArray[np.float32]
SEED, COUNT = 2, 200  # of the synthetic benchmark: held-out pairs 0 .. COUNT - 1 of that seed
MADE = {
    "seed": SEED,
    "held_out": True,
}  # required facts of its pairs, besides the version of the generator
_CLIPPED, _LINEAR = "8-bit input", "linear input"
SLIGHT_PX = 7.0  # blur up to which `paper` was trained; scored apart, too
PROTOCOL = (
    "sRGB 0..1, not rounded; edge: within the circle of confusion of an occlusion edge; true depth; slight: of the pictures "
    f"without a CoC above {SLIGHT_PX:g} px alone"
)


def composed(name: str, made: dict[str, Any] | None = None) -> Benchmark:
    """The benchmark of that name. made: use the first COUNT files, whose facts must be these."""

    def listing(folder: Path) -> Listing:
        files = pair_files(folder)[: None if made is None else COUNT]
        return Listing([_entry(path, kind, made or {}) for kind in (_CLIPPED, _LINEAR) for path in files], [])

    facts = ", ".join(f"{key} {value}" for key, value in (made or {}).items())
    split = f"; pairs 0 to {COUNT - 1} of {facts}" if made else ""
    return Benchmark(
        name=name,
        layout="000/pair_000000.npz and so on, of `deeplens scenes DIR --pairs`",
        measures=("psnr", "edge", "rmse", "psnr_slight", "rmse_slight"),
        protocol=PROTOCOL + split,
        listing=listing,
        show=as_srgb,
        score=_score,
        peak=1,
    )


def as_srgb(linear: Floats) -> Floats:
    """sRGB, 0..1."""
    encoded = linear_to_srgb(np.maximum(linear, 0), np.float32)
    return np.asarray(np.clip(encoded, 0, 1), np.float32)


def _entry(path: Path, kind: str, made: dict[str, Any]) -> BenchmarkEntry:
    def read() -> Case:
        pair = read_pair(path)
        facts = pair.facts
        other = [
            f"{key} {facts.get(key)}, not {value}" for key, value in made.items() if facts.get(key) != value
        ]
        if other:
            raise ValueError(
                f"{path} is of {' and of '.join(other)}; expected pairs of this release's `deeplens scenes DIR --pairs "
                f"--held-out --seed {SEED} --count {COUNT}`"
            )
        rgb = pair.rgb if kind == _LINEAR else srgb_to_linear(linear_to_srgb(pair.rgb))
        aperture = Aperture.parse(str(facts.get("shape", "disc")))
        return Case(rgb, pair.coc_px, as_srgb(pair.bokeh), aperture, edge_band(pair.coc_px))

    return BenchmarkEntry(f"{path.stem}, {kind}", kind, read)


def _score(picture: Floats, case: Case) -> dict[str, float]:
    truth = case.truth
    whole, error = psnr(picture, truth, 1), rmse(picture, truth, 1)
    slight = float(np.abs(case.coc_px).max()) <= SLIGHT_PX
    return {
        "psnr": whole,
        "edge": psnr(picture, truth, 1, case.band),
        "rmse": error,
        "psnr_slight": whole if slight else math.nan,
        "rmse_slight": error if slight else math.nan,
    }


PAIRS = composed("pairs")  # of any folder
SYNTHETIC = composed("synthetic", MADE | {"version": VERSION})  # the split that a seed makes anywhere
