"""RealBokeh (Seizinger et al. 2025): photos of one scene at several real f-numbers.

    metadata/*.json    id, source_image, and lists target_images and target_avs: the f-numbers
    in/ and gt/        the photos, at the paths in the metadata

The folder is that of one split (test), or its parent. A renderer gets the product's input: predicted depth, and the thin
lens of the real f-number and the focal length in EXIF (50 mm without), focused on the point in focus.csv (name,x,y;
optional), or on the subject.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.evaluate.bokeh.ebb import score_displayed
from deeplens_dof.evaluate.bokeh.focus_labels import FILE, read_focus_labels
from deeplens_dof.evaluate.bokeh.measure import Benchmark, BenchmarkEntry, Case, Listing
from deeplens_dof.evaluate.bokeh.pictures import read_json, read_srgb
from deeplens_dof.imaging.color import linear_to_srgb, srgb_to_linear
from deeplens_dof.photo import read
from deeplens_dof.pipeline import Scene, Settings, analyse

DEFAULT_LENS_MM = 50.0


@dataclass(frozen=True, slots=True)
class Shots:
    """One scene: the sharp photo, and ground truth with f-numbers; paths as in the metadata."""

    source: str
    targets: tuple[tuple[str, float], ...]


def read_shots(path: Path) -> Shots:
    """The metadata of a scene. Raises ValueError for anything else."""
    facts = read_json(path)
    if not isinstance(facts, dict):
        facts = {}
    source, images, numbers = (facts.get(key) for key in ("source_image", "target_images", "target_avs"))
    if not (
        isinstance(source, str)
        and isinstance(images, list)
        and isinstance(numbers, list)
        and len(images) == len(numbers) > 0
        and all(isinstance(image, str) for image in images)
    ):
        raise ValueError(
            f"{path} names no source_image and target_images with as many target_avs; copy it again"
        )
    return Shots(source, tuple(zip(images, (_f_number(path, number) for number in numbers), strict=True)))


def _listing(folder: Path) -> Listing:
    """All ground truth of all scenes. Raises ValueError or OSError for a bad focus.csv."""
    home = folder if (folder / "metadata").is_dir() else folder / "test"
    focus = read_focus_labels(home / FILE) if (home / FILE).is_file() else {}
    entries, problems = [], []
    for path in sorted((home / "metadata").glob("*.json")):
        try:
            shots = read_shots(path)
            source = _inside(home, shots.source)
            targets = [(_inside(home, name), f_number) for name, f_number in shots.targets]
        except ValueError as error:
            problems.append(str(error))
            continue
        if not source.is_file():
            problems.append(f"{source} is missing, which {path} names")
            continue
        for target, f_number in targets:
            if target.is_file():
                entries.append(_entry(source, target, f_number, focus.get(source.stem)))
            else:
                problems.append(f"{target} is missing, which {path} names")
    return Listing(entries, problems)


def _entry(source: Path, target: Path, f_number: float, focus: tuple[float, float] | None) -> BenchmarkEntry:
    def read_case() -> Case:
        scene, lens_mm = _scene(source)
        truth = read_srgb(target)
        sharp = scene.photo.srgb8()
        if sharp.shape != truth.shape:
            raise ValueError(
                f"{source} is {sharp.shape[1]} x {sharp.shape[0]} and {target} {truth.shape[1]} x {truth.shape[0]} "
                "pixels, expected one size"
            )
        settings = Settings(focus=focus or "subject", f_number=f_number, lens_mm=lens_mm)
        return Case(srgb_to_linear(sharp), scene.coc_px(settings), truth)

    return BenchmarkEntry(target.stem, f"f/{f_number:.1f}", read_case)


@lru_cache(maxsize=1)
def _scene(source: Path) -> tuple[Scene, float]:
    """The sharp photo with predicted depth, and its full-frame focal length."""
    photo = read(source)
    camera = photo.camera
    lens_mm = camera.focal_length_35mm_mm or camera.focal_length_mm or DEFAULT_LENS_MM
    return analyse(photo, "predict"), lens_mm


def _inside(folder: Path, name: str) -> Path:
    """A path from the metadata, which may not lead out of the folder."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"the metadata of {folder} names {name!r}, expected a path inside that folder")
    return path


def _f_number(path: Path, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = 0.0
    if not 0.5 <= number <= 100:
        raise ValueError(f"{path} names the f-number {value!r}, expected one within 0.5..100; copy it again")
    return number


def _shown(linear: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    return np.asarray(linear_to_srgb(linear), np.uint8)


REALBOKEH = Benchmark(
    name="realbokeh",
    layout="metadata/*.json and the photos that it names",
    measures=("psnr", "ssim"),
    protocol="8-bit sRGB; PSNR, and SSIM with a Gaussian window of 11, sigma 1.5, as torchmetrics has them; predicted "
    "depth, the real f-number",
    listing=_listing,
    show=_shown,
    score=score_displayed,
    peak=255,
    overall=True,
)
