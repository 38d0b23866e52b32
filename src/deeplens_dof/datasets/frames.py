"""Synthetic frames: one zip file each, complete or absent.

`<out>/000/frame_000123.zip` contains
    rgb.jpg             sRGB, quality 95
    inverse_depth.png   16-bit grey, larger = nearer: value / 65535 * `inverse_depth_scale` [1/m]; 0 is infinity
    subject.png         8-bit grey, mask of the foreground subject (only if `has_subject`)
    facts.json          seed, index, kind, has_subject, inverse_depth_scale, library version
Frame i of a seed depends on (seed, i) and the library version alone, so any number of workers and machines can fill a
folder, in any order, and resume.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from deeplens_dof.photo.codecs.samples import read_samples
from deeplens_dof.runtime.atomic_write import write_atomically


@dataclass(frozen=True)
class Frame:
    """rgb: sRGB uint8 (H, W, 3). inverse_depth: float32 (H, W), 1/m. subject: uint8 (H, W) or None. facts: see above."""

    rgb: npt.NDArray[np.uint8]
    inverse_depth: npt.NDArray[np.float32]
    subject: npt.NDArray[np.uint8] | None
    facts: dict[str, Any]


def frame_path(folder: Path, index: int) -> Path:
    """Path of frame `index`: a thousand frames per folder."""
    return folder / f"{index // 1000:03d}" / f"frame_{index:06d}.zip"


def write_frame(path: Path, frame: Frame) -> None:
    """Writes a frame, completely or not at all."""
    near = float(np.percentile(frame.inverse_depth, 99.8)) * 1.15 or 1.0
    codes = np.rint(np.clip(frame.inverse_depth / near, 0, 1) * 65535).astype(np.uint16)
    facts = {**frame.facts, "inverse_depth_scale": near, "has_subject": frame.subject is not None}
    path.parent.mkdir(parents=True, exist_ok=True)

    def write(file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            _put(archive, "rgb.jpg", frame.rgb, quality=95)
            _put(archive, "inverse_depth.png", codes, compress_level=2)
            if frame.subject is not None:
                _put(archive, "subject.png", frame.subject, compress_level=2)
            archive.writestr(zipfile.ZipInfo("facts.json"), json.dumps(facts))

    write_atomically(path, write)


def read_frame(path: Path) -> Frame:
    """Reads a frame. Raises ValueError, one sentence, when the file is not one."""
    try:
        with zipfile.ZipFile(path) as archive:
            facts = json.loads(archive.read("facts.json"))
            rgb = read_samples(archive.read("rgb.jpg")).values
            codes = read_samples(archive.read("inverse_depth.png")).values[..., 0]
            subject = None
            if facts["has_subject"]:
                subject = read_samples(archive.read("subject.png")).values[..., 0]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is not a frame ({error}); expected a zip file with rgb.jpg, inverse_depth.png and "
            "facts.json as "
            "`deeplens scenes` writes it; delete it and run `deeplens scenes` again"
        ) from error
    if codes.dtype != np.uint16 or codes.shape != rgb.shape[:2]:
        raise ValueError(
            f"{path} holds depth of shape {codes.shape} and type {codes.dtype}, expected 16 bits of "
            f"{rgb.shape[:2]}"
        )
    inverse = codes.astype(np.float32) * np.float32(facts["inverse_depth_scale"] / 65535)
    return Frame(rgb, inverse, subject, facts)


def frame_files(folder: Path) -> list[Path]:
    """All complete frames of a folder, in order. Raises ValueError when there are none."""
    found = sorted(folder.glob("*/frame_*.zip"))
    if not found:
        raise ValueError(
            f"{folder} holds no frames; make some with `deeplens scenes {folder} --count 1000 --seed 1`"
        )
    return found


def _put(archive: zipfile.ZipFile, name: str, samples: npt.NDArray[Any], **options: Any) -> None:
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(samples).save(data, "JPEG" if name.endswith("jpg") else "PNG", **options)
    archive.writestr(zipfile.ZipInfo(name), data.getvalue())
