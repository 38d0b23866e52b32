"""One photo from file to file, in whichever process: a job and what all jobs share go in, a record comes out."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from deeplens_dof import __version__
from deeplens_dof.batch.jobs import Job
from deeplens_dof.batch.manifest import Output, Record
from deeplens_dof.batch.outputs import check_outputs
from deeplens_dof.batch.storage import fetch, in_store, put
from deeplens_dof.optics.aperture_spec import parse_shape
from deeplens_dof.runtime.errors import describe_error
from deeplens_dof.settings import Settings
from deeplens_dof.warmup import first_use

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted of every photo of a run. depth: as `analyse` takes it, a file by its name. embed_depth: as
    `Result.save` takes it. f_number_as_shot: that of `pipeline.as_shot` counts.
    """

    settings: Settings
    depth: str = "auto"
    strip_metadata: bool = False
    embed_depth: bool = False
    f_number_as_shot: bool = False

    def sha256(self) -> str:
        """Of all that makes a result what it is, except the photo: settings, depth, the contents of the files that
        they name, the version, the weights and what runs them. Raises ValueError for a runtime that is not here.
        """
        from deeplens_dof.models import list_models, runtime

        named = {"shape": self.settings.shape, "depth": self.depth}
        if parse_shape(self.settings.shape) is not None:
            del named["shape"]
        order = {
            "settings": self.settings.as_dict(),
            "depth": self.depth,
            "strip_metadata": self.strip_metadata,
            "embed_depth": self.embed_depth,
            "f_number_as_shot": self.f_number_as_shot,
            "files": {option: _sha256(Path(name)) for option, name in named.items()},
            "version": __version__,
            "weights": {name: model.sha256 for name, model in list_models().items()},
            "runtime": runtime(),
        }
        return hashlib.sha256(json.dumps(order, sort_keys=True).encode("ascii")).hexdigest()


def do_job(job: Job, order: Order, tell: Tell = lambda _: None) -> Record:
    """Does one photo, and says what became of it; what goes wrong is in the record. tell: hears what is being done."""
    if any(in_store(path) for path in (job.source, *job.outputs)):
        return _by_way_of_here(job, order, tell)
    started = time.monotonic()
    facts: dict[str, Any] = {}
    try:
        version = _version(job.source)
        facts["input_sha256"] = _sha256(job.source)
        used = _from_file_to_file(job, order, version, tell)
        if used.f_number != order.settings.f_number:
            facts["f_number"] = used.f_number
        facts["outputs"] = tuple(Output.of(path) for path in job.outputs)
    except Exception as error:
        return failed(job, error, time.monotonic() - started, facts.get("input_sha256"))
    return _record(job, "done", seconds=round(time.monotonic() - started, 2), **facts)


def _by_way_of_here(job: Job, order: Order, tell: Tell) -> Record:
    """A photo of a store, or whose results go there: fetched before, and put there when all is done, the photo last."""
    with TemporaryDirectory(prefix="deeplens-") as folder:
        here = replace(
            job,
            source=_here(job.source, Path(folder) / "in"),
            out=_here(job.out, Path(folder) / "out"),
            depth_out=job.depth_out and _here(job.depth_out, Path(folder) / "depth"),
            overlay=job.overlay and _here(job.overlay, Path(folder) / "overlay"),
        )
        try:
            if here.source != job.source:
                tell("fetching")
                fetch(job.source, here.source)
            record = do_job(here, order, tell)
            if record.state == "done":
                tell("putting away")
                for local, there in reversed(list(zip(here.outputs, job.outputs, strict=True))):
                    if local != there:
                        put(local, there)
        except Exception as error:  # whatever a store's package raises
            return failed(job, error)
    outputs = tuple(
        replace(each, path=str(path)) for each, path in zip(record.outputs, job.outputs, strict=False)
    )
    said = record.error
    for local, there in ((here.source, job.source), (here.out, job.out)):
        said = said and said.replace(str(local), str(there))
    return replace(record, input=str(job.source), output=str(job.out), outputs=outputs, error=said)


def _here(path: Path, folder: Path) -> Path:
    if not in_store(path):
        return path
    folder.mkdir()
    return folder / path.name


def failed(job: Job, error: Exception, seconds: float = 0.0, input_sha256: str | None = None) -> Record:
    """The record of a job that was not done, with its sentence."""
    full = any(getattr(each, "errno", None) in (errno.ENOSPC, errno.EDQUOT) for each in _causes(error))
    return _record(
        job,
        "failed",
        error=describe_error(str(job.source), error),
        seconds=round(seconds, 2),
        input_sha256=input_sha256,
        full_disk=full,
        traceback="".join(traceback.format_exception(error)),
    )


def skipped(job: Job) -> Record:
    """The record of a job that an earlier run has done."""
    return _record(job, "skipped")


def _record(job: Job, state: Any, **facts: Any) -> Record:
    return Record(job.name, str(job.source), str(job.out), state, **facts)


def _causes(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__
    return found


def _version(path: Path) -> tuple[int, ...] | None:
    """What changes when somebody writes the file; None where there is none."""
    with suppress(OSError, ValueError):
        found = os.stat(path)
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
    return None


def _sha256(path: Path) -> str | None:
    """Of a plain file; None for what is none or cannot be read, of which reading it will say why."""
    with suppress(OSError, ValueError):
        if stat.S_ISREG(os.stat(path).st_mode):
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
    return None


def _from_file_to_file(job: Job, order: Order, version: tuple[int, ...] | None, tell: Tell) -> Settings:
    """Nothing is written before all is computed, the photo itself last. Returns the settings used: the order's, or with
    the f-number of `pipeline.as_shot`. Raises PhotoError, ValueError or OSError.
    """
    from deeplens_dof.depth.files import POINTS, write_depth_file
    from deeplens_dof.photo import Photo, check_embedding, read

    tell("reading")
    photo = read(job.source)
    if version is None or version != _version(job.source):
        raise ValueError(f"{job.source} was changed while it was read; try again when it stays as it is")
    check_outputs(job)
    if order.embed_depth:
        check_embedding(job.out, order.strip_metadata)
    from deeplens_dof.pipeline import analyse, as_shot, refocus

    settings = as_shot(photo, order.settings) if order.f_number_as_shot else order.settings
    once = "compiling the inner loops (once), then " if first_use() else ""
    tell(f"{once}depth")
    scene = analyse(photo, order.depth)
    tell(f"{once}blur")
    result = refocus(scene, settings)
    tell("writing")
    for output in job.outputs:
        output.parent.mkdir(parents=True, exist_ok=True)
    if job.depth_out:
        rgb = photo.srgb8() if job.depth_out.suffix.lower() == POINTS else None
        write_depth_file(job.depth_out, scene.inverse_depth, settings.nearest_m, rgb, settings.lens_mm)
    if job.overlay:
        Photo(result.overlay()).save(job.overlay)
    result.save(job.out, strip_metadata=order.strip_metadata, embed_depth=order.embed_depth)
    return settings
