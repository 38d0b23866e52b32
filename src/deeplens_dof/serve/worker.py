"""The jobs of a worker process: open a photo, estimate and repair its depth, render pictures.

A worker caches the photos it used last and reads others from their folder again, so nothing is lost when it is killed.
Each job takes the worker's state and `on_progress`, as `runtime.worker_pool` passes them; none of them reports progress.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from deeplens_dof.depth.files import Scale, fit_to, read_depth_file, write_grey
from deeplens_dof.imaging.resize import resize
from deeplens_dof.optics.inverse_depth import InverseDepth
from deeplens_dof.photo import Photo, read
from deeplens_dof.photo.remove_gps import without_gps
from deeplens_dof.pipeline import Scene, Settings, analyse, as_shot, focus_overlay, preview, refocus
from deeplens_dof.scene import NETWORKS
from deeplens_dof.serve.facts import described_faces, faces_from
from deeplens_dof.serve.limits import ServiceLimits
from deeplens_dof.serve.photo_files import PhotoFiles
from deeplens_dof.warmup import warm_up

Size = Literal["preview", "full"]
OnProgress = Callable[[str], None]
PREVIEW_QUALITY = 85  # of JPEG; that of full pictures matches the photo's
# Pixels, linear light, reconstructed light, depth, temporary arrays.
BYTES_PER_PIXEL = 3 + 12 + 12 + 4 + 12


@dataclass
class WorkerState:
    """The state of a worker process.

    limits: those of the service.
    scenes: cached scenes by id, version and size, the least recently used first.
    opened: id and pixels of a photo that has been opened, but not yet analysed.
    """

    limits: ServiceLimits
    scenes: OrderedDict[tuple[str, int, Size], Scene] = field(default_factory=OrderedDict)
    opened: tuple[str, Photo] | None = None

    def keep(self, files: PhotoFiles, size: Size, scene: Scene) -> Scene:
        """Caches a scene. Drops its old versions, and the least recently used scenes beyond `worker_cache_bytes`."""
        for key in [key for key in self.scenes if key[0] == files.id and key[2] == size]:
            del self.scenes[key]
        self.scenes[files.id, files.version, size] = scene
        held = {key: kept.photo.pixels.size // 3 * BYTES_PER_PIXEL for key, kept in self.scenes.items()}
        for key in list(self.scenes)[:-1]:
            if sum(held.values()) <= self.limits.worker_cache_bytes:
                break
            del self.scenes[key], held[key]
        return scene

    def scene(self, files: PhotoFiles, size: Size) -> Scene:
        """The scene of a stored photo, from the cache or its files."""
        key = files.id, files.version, size
        if key in self.scenes:
            self.scenes.move_to_end(key)
            return self.scenes[key]
        full = self.scenes.get((files.id, files.version, "full"))
        if full is None:
            facts = files.facts()
            subject = (float(facts["subject"][0]), float(facts["subject"][1]))
            source, confidence = facts["depth_source"], facts["subject_confidence"]
            faces = faces_from(facts["faces"])
            full = Scene(self.photo(files), files.depth(), subject, source, files.matte(), confidence, faces)
        scene = full if size == "full" else preview(full, self.limits.preview_pixels)
        return self.keep(files, size, scene)

    def photo(self, files: PhotoFiles) -> Photo:
        if self.opened and self.opened[0] == files.id:
            return self.opened[1]
        return read(files.photo.read_bytes(), limits=self.limits.for_photos())


def load_state(limits: ServiceLimits) -> WorkerState:
    """Loads the weights and compiles every kernel; errors propagate to the pool."""
    warm_up()
    return WorkerState(limits)


def open_photo(state: WorkerState, on_progress: OnProgress, files: PhotoFiles) -> tuple[int, int]:
    """Decodes an uploaded photo; returns (width, height) in px. Raises PhotoError."""
    state.opened = None
    photo = state.photo(files)
    state.opened = files.id, photo
    return photo.width, photo.height


def analyse_photo(
    state: WorkerState, on_progress: OnProgress, files: PhotoFiles, depth: str | Path
) -> dict[str, Any]:
    """Estimates and stores the depth and the subject of a photo.

    Args:
        state: of the worker.
        on_progress: unused.
        files: the photo.
        depth: a depth file, or "auto", "embedded", "predict".

    Returns:
        subject, subject_confidence, depth_source, faces, and f_number, at which the photo is blurred unless another is given.

    Raises:
        ValueError: for a depth file that cannot be read, and a photo without embedded depth if that was asked for.
    """
    photo = state.photo(files)
    state.opened = None
    found = analyse(photo, _read_depth(state, depth, photo) if isinstance(depth, Path) else depth)
    facts = {
        "subject": found.subject,
        "subject_confidence": round(found.subject_confidence, 3),
        "depth_source": found.depth_source,
        "f_number": as_shot(photo, Settings()).f_number,
        "faces": described_faces(found),
    }
    files.write_matte(found.matte)
    stored = files.write_depth(found.inverse_depth, facts)
    state.keep(files, "preview", preview(replace(found, inverse_depth=stored), state.limits.preview_pixels))
    return facts


def blur(
    state: WorkerState,
    on_progress: OnProgress,
    files: PhotoFiles,
    settings: Settings,
    rendering: dict[str, Any],
) -> tuple[bytes, dict[str, str]]:
    """The refocused picture as a file, and its headers.

    The headers give the focus: the point x,y in 0..1, and its inverse depth, 0 at black to 1 at white of the depth picture.
    """
    scene = state.scene(files, rendering["size"])
    result = refocus(scene, settings, lens_points=rendering["lens_points"])
    photo = result.as_photo()
    picture = _file(photo, settings.as_dict(), **rendering)
    _, black, white = files.scale()
    x, y = scene.focus_point(settings)
    near = (scene.focus_depth(settings) - black) / (white - black)
    return picture, {"DeepLens-Focus": f"{x:.6g},{y:.6g}", "DeepLens-Focus-Depth": f"{near:.5f}"}


def overlay(
    state: WorkerState, on_progress: OnProgress, files: PhotoFiles, settings: Settings, size: Size
) -> bytes:
    """The parts in focus under these settings, as a PNG: green sharp, blue nearer, red farther."""
    scene, stream = state.scene(files, size), io.BytesIO()
    shown = focus_overlay(scene.photo, scene.coc_px(settings))
    Image.fromarray(shown).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def original(state: WorkerState, on_progress: OnProgress, files: PhotoFiles, size: Size) -> bytes:
    """The uploaded photo, upright, as a JPEG without metadata."""
    photo = state.scene(files, size).photo
    return photo.to_bytes(strip_metadata=True, format="JPEG", quality=PREVIEW_QUALITY)


def depth_picture(state: WorkerState, on_progress: OnProgress, files: PhotoFiles, size: Size) -> bytes:
    """The inverse depth as a 16-bit grey PNG, near is bright."""
    scene, stream = state.scene(files, size), io.BytesIO()
    write_grey(stream, scene.inverse_depth, ".png", files.scale())
    return stream.getvalue()


def repair_depth(
    state: WorkerState, on_progress: OnProgress, files: PhotoFiles, file: Path
) -> dict[str, Any]:
    """Stores a repaired depth picture as version `files.version`.

    A picture of the photo's size replaces the depth. One of the preview's size is compared with the first depth at
    that size, and only the difference is applied at full size, so the rest keeps its detail. Any other size is
    resampled to the photo.

    Returns:
        The facts that change: depth_source is "repaired".

    Raises:
        ValueError: for a file that is not a depth picture of the photo's shape.
    """
    before = replace(files, version=files.version - 1)
    scene = state.scene(before, "preview")
    first = files.depth(first=True)
    limits = state.limits.for_photos()
    given = read_depth_file(file, first.values.size, limits=limits, untagged=files.scale())
    small, scale = scene.inverse_depth.shape, None
    if given.shape != first.shape and given.shape == small and given.unit == first.unit:
        scale = files.scale()
        given = _repaired(first, given, scale)
    elif given.shape != first.shape:
        given = fit_to(given, *first.shape, state.photo(files).srgb8())
    if scene.depth_source not in NETWORKS:  # the matte belongs to predicted depth only
        files.write_matte(None)
    facts = files.facts() | {"depth_source": "repaired"}
    stored = files.write_depth(given, facts, scale)
    matte = files.matte()
    repaired = replace(
        scene,
        inverse_depth=stored.sampled(*small),
        depth_source="repaired",
        matte=None if matte is None else resize(matte, *small),
    )
    state.keep(files, "preview", repaired)
    return {"depth_source": facts["depth_source"]}


def forget(state: WorkerState, on_progress: OnProgress, id: str) -> None:
    """Drops a deleted photo from the cache."""
    for key in [key for key in state.scenes if key[0] == id]:
        del state.scenes[key]
    if state.opened and state.opened[0] == id:
        state.opened = None


def _read_depth(state: WorkerState, file: Path, photo: Photo) -> InverseDepth:
    return read_depth_file(file, photo.width * photo.height, limits=state.limits.for_photos())


def _repaired(first: InverseDepth, given: InverseDepth, scale: Scale) -> InverseDepth:
    """The first depth with the changes that were made in a smaller copy of it."""
    _, black, white = scale
    change = given.values - first.sampled(*given.shape).values
    change[np.abs(change) < (white - black) / 65535] = 0  # rounding of the file
    values = first.values + resize(change, *first.shape)
    return InverseDepth(np.clip(values, black, white), first.unit)


def _file(
    photo: Photo,
    settings: dict[str, Any],
    size: Size,
    format: str,
    quality: int | None,
    keep_gps: bool,
    lens_points: int | None,
) -> bytes:
    """The picture as a file. All but photo and settings: the fields of `query.Rendering`."""
    if size == "preview":
        return photo.to_bytes(strip_metadata=True, format=format, quality=quality or PREVIEW_QUALITY)
    photo = photo if keep_gps else without_gps(photo)
    return photo.to_bytes(settings=settings, format=format, quality=quality)
