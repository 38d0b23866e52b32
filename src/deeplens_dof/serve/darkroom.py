"""What is done in a worker process: photos are opened, their depth found and repaired, pictures made.

A worker keeps the photos that it worked on last; what it does not have, it reads from the photo's folder again, so that
nothing is lost when it is killed.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from deeplens_dof.depth.files import Scale, fit_to, read_depth_file, write_grey
from deeplens_dof.doctor import warm_up
from deeplens_dof.imaging.resize import resize
from deeplens_dof.optics.inverse_depth import InverseDepth
from deeplens_dof.photo import Photo, read
from deeplens_dof.photo.remove_gps import without_gps
from deeplens_dof.pipeline import Scene, Settings, analyse, preview, refocus
from deeplens_dof.serve.limits import ServiceLimits
from deeplens_dof.serve.place import Place

Size = Literal["preview", "full"]
Tell = Callable[[str], None]
PREVIEW_QUALITY, FULL_QUALITY = 85, None  # of JPEG; None is about the photo's own
BYTES_PER_PIXEL = 3 + 12 + 12 + 4 + 12  # pixels, linear and recovered light, depth, and what comes and goes


@dataclass
class Darkroom:
    """A worker's state: its limits, and the scenes it keeps by photo, version and size, the oldest first."""

    limits: ServiceLimits
    scenes: OrderedDict[tuple[str, int, Size], Scene] = field(default_factory=OrderedDict)
    opened: tuple[str, Photo] | None = None  # between opening and analysing it

    def keep(self, place: Place, size: Size, scene: Scene) -> Scene:
        """Keeps a scene, and lets go of old versions and of the oldest scenes where they are too many."""
        for key in [key for key in self.scenes if key[0] == place.id and key[2] == size]:
            del self.scenes[key]
        self.scenes[place.id, place.version, size] = scene
        held = {key: each.photo.pixels.size // 3 * BYTES_PER_PIXEL for key, each in self.scenes.items()}
        for key in list(self.scenes)[:-1]:
            if sum(held.values()) <= self.limits.worker_cache_bytes:
                break
            del self.scenes[key], held[key]
        return scene

    def scene(self, place: Place, size: Size) -> Scene:
        """The scene of a stored photo, kept or read again."""
        key = place.id, place.version, size
        if key in self.scenes:
            self.scenes.move_to_end(key)
            return self.scenes[key]
        full = self.scenes.get((place.id, place.version, "full"))
        if full is None:
            facts = place.facts()
            subject = (float(facts["subject"][0]), float(facts["subject"][1]))
            full = Scene(self.photo(place), place.depth(), subject, facts["depth_source"])
        scene = full if size == "full" else preview(full, self.limits.preview_pixels)
        return self.keep(place, size, scene)

    def photo(self, place: Place) -> Photo:
        if self.opened and self.opened[0] == place.id:
            return self.opened[1]
        return read(place.photo.read_bytes(), limits=self.limits.for_photos())


def open_darkroom(limits: ServiceLimits) -> Darkroom:
    """Loads the weights and compiles every inner loop; raises what the failing part raises."""
    warm_up()
    return Darkroom(limits)


def open_photo(room: Darkroom, tell: Tell, place: Place) -> tuple[int, int]:
    """Decodes a photo that has come in: (width, height). Raises PhotoError."""
    room.opened = None
    photo = room.photo(place)
    room.opened = place.id, photo
    return photo.width, photo.height


def analyse_photo(room: Darkroom, tell: Tell, place: Place, depth: str | Path) -> dict[str, Any]:
    """Depth and subject of a photo, stored beside it. depth: as `analyse` takes it."""
    photo = room.photo(place)
    room.opened = None
    found = analyse(photo, _read_depth(room, depth, photo) if isinstance(depth, Path) else depth)
    facts = {"subject": found.subject, "depth_source": found.depth_source}
    stored = place.write_depth(found.inverse_depth, facts)
    room.keep(place, "preview", preview(replace(found, inverse_depth=stored), room.limits.preview_pixels))
    return facts


def blur(
    room: Darkroom, tell: Tell, place: Place, settings: Settings, rendering: dict[str, Any]
) -> tuple[bytes, dict[str, str]]:
    """The picture's file, and as headers where the focus lies: the point, and its depth as a share of white."""
    scene = room.scene(place, rendering["size"])
    result = refocus(scene, settings, lens_points=rendering["lens_points"])
    photo = result.photo.with_pixels(result.image)
    picture = _file(photo, rendering["size"], rendering["format"], settings.as_dict(), rendering["keep_gps"])
    _, black, white = place.scale()
    x, y = scene.focus_point(settings)
    near = (scene.focus_depth(settings) - black) / (white - black)
    return picture, {"DeepLens-Focus": f"{x:.6g},{y:.6g}", "DeepLens-Focus-Depth": f"{near:.5f}"}


def original(room: Darkroom, tell: Tell, place: Place, size: Size) -> bytes:
    """The photo as it came, upright, as a JPEG without metadata."""
    photo = room.scene(place, size).photo
    return photo.to_bytes(strip_metadata=True, format="JPEG", quality=PREVIEW_QUALITY)


def depth_picture(room: Darkroom, tell: Tell, place: Place, size: Size) -> bytes:
    """Inverse depth as a 16-bit grey PNG, near is bright."""
    scene, stream = room.scene(place, size), io.BytesIO()
    write_grey(stream, scene.inverse_depth, ".png", place.scale())
    return stream.getvalue()


def repair_depth(room: Darkroom, tell: Tell, place: Place, file: Path) -> dict[str, Any]:
    """Takes a repaired depth picture, and stores it under the place's new version.

    Of the photo's size, it replaces the depth. Of the preview's size, what differs from the first depth there is
    changed in full size too, and the rest stays as fine as it was. Any other size is fitted to the photo.
    """
    before = replace(place, version=place.version - 1)
    scene = room.scene(before, "preview")
    first = place.depth(first=True)
    limits = room.limits.for_photos()
    given = read_depth_file(file, first.values.size, untagged=place.scale(), limits=limits)
    small, scale = scene.inverse_depth.shape, None
    if given.shape != first.shape and given.shape == small and given.unit == first.unit:
        scale = place.scale()
        given = _repaired(first, given, scale)
    elif given.shape != first.shape:
        given = fit_to(given, *first.shape, room.photo(place).srgb8())
    facts = place.facts() | {"depth_source": "repaired"}
    stored = place.write_depth(given, facts, scale)
    room.keep(place, "preview", Scene(scene.photo, stored.sampled(*small), scene.subject, "repaired"))
    return facts


def forget(room: Darkroom, tell: Tell, id: str) -> None:
    """Lets go of all that is kept of a deleted photo."""
    for key in [key for key in room.scenes if key[0] == id]:
        del room.scenes[key]
    if room.opened and room.opened[0] == id:
        room.opened = None


def _read_depth(room: Darkroom, file: Path, photo: Photo) -> InverseDepth:
    return read_depth_file(file, photo.width * photo.height, limits=room.limits.for_photos())


def _repaired(first: InverseDepth, given: InverseDepth, scale: Scale) -> InverseDepth:
    """The first depth with what was changed in a smaller copy of it."""
    _, black, white = scale
    change = given.values - first.sampled(*given.shape).values
    change[np.abs(change) < (white - black) / 65535] = 0  # no more than the rounding of the file
    values = first.values + resize(change, *first.shape)
    return InverseDepth(np.clip(values, black, white), first.unit)


def _file(photo: Photo, size: Size, form: str, settings: dict[str, Any], keep_gps: bool) -> bytes:
    if size == "preview":
        return photo.to_bytes(strip_metadata=True, format=form, quality=PREVIEW_QUALITY)
    photo = photo if keep_gps else without_gps(photo)
    return photo.to_bytes(settings=settings, format=form, quality=FULL_QUALITY)
