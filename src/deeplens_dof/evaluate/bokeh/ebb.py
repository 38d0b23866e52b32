"""EBB! and its subset EBB400: photos of a real camera at f/16 and f/1.8, with manually labelled focus.

    original/NAME.jpg    all in focus
    bokeh/NAME.jpg       ground truth
    focus.csv            name,x,y: the focus point of each

Depth is predicted. The strength of the blur is unknown and therefore searched for.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from deeplens_dof.datasets.sample import PHOTO_SUFFIXES
from deeplens_dof.depth.predict import predict_depth
from deeplens_dof.depth.subject import depth_at
from deeplens_dof.evaluate.bokeh.focus_labels import FILE, read_focus_labels
from deeplens_dof.evaluate.bokeh.measure import Benchmark, BenchmarkEntry, Case, Listing
from deeplens_dof.evaluate.bokeh.pictures import read_srgb
from deeplens_dof.evaluate.metrics import psnr, ssim
from deeplens_dof.imaging.color import linear_to_srgb, srgb_to_linear

MOST_SEARCHED = 1 / 10  # of the picture's width: CoC radius over the whole depth


def _listing(folder: Path) -> Listing:
    """All pairs. Problems are photos without a partner or a focus point. Raises ValueError or OSError for a bad focus.csv."""
    originals, truths = (_photos(folder / part) for part in ("original", "bokeh"))
    if not originals:
        return Listing([], [])
    if not (folder / FILE).is_file():
        raise FileNotFoundError(
            f"there is no {folder / FILE}, expected lines of name,x,y with where each photo is in focus, 0..1"
        )
    focus = read_focus_labels(folder / FILE)
    entries, problems = [], []
    for name in sorted(originals | truths):
        if name not in originals or name not in truths:
            there, other = (originals, "bokeh") if name in originals else (truths, "original")
            problems.append(f"{there[name]} has no other half in {folder / other}")
        elif name not in focus:
            problems.append(f"{originals[name]} has no focus in {FILE}")
        else:
            entries.append(_entry(name, originals[name], truths[name], focus[name]))
    for part in ("original", "bokeh"):
        foreign = [path for path in _files(folder / part) if path.suffix.lower() not in PHOTO_SUFFIXES]
        problems.extend(f"{path} does not belong here, expected photos" for path in foreign)
    return Listing(entries, problems)


def score_displayed(picture: npt.NDArray[np.uint8], case: Case) -> dict[str, float]:
    """PSNR and SSIM of two uint8 sRGB pictures."""
    return {"psnr": psnr(picture, case.truth, 255), "ssim": ssim(picture, case.truth, 255)}


def _entry(name: str, original: Path, truth: Path, focus: tuple[float, float]) -> BenchmarkEntry:
    def read() -> Case:
        sharp, wanted = read_srgb(original), read_srgb(truth)
        if sharp.shape != wanted.shape:
            raise ValueError(
                f"{original} is {sharp.shape[1]} x {sharp.shape[0]} and {truth} {wanted.shape[1]} x {wanted.shape[0]} "
                "pixels, expected one size"
            )
        values = predict_depth(sharp).values
        offset = values - np.float32(depth_at(values, focus))
        return Case(srgb_to_linear(sharp), offset, wanted, most_blur=MOST_SEARCHED * sharp.shape[1])

    return BenchmarkEntry(name, "all", read)


def _photos(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in _files(folder) if path.suffix.lower() in PHOTO_SUFFIXES}


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


EBB = Benchmark(
    name="ebb400",
    layout="original/NAME.jpg, bokeh/NAME.jpg and focus.csv",
    measures=("psnr", "ssim", "blur_px"),
    protocol="8-bit sRGB; predicted depth, focus labelled by hand, blur searched per picture and renderer for the best "
    "SSIM (Gaussian window of 11, sigma 1.5)",
    listing=_listing,
    show=linear_to_srgb,
    score=score_displayed,
    peak=255,
)
