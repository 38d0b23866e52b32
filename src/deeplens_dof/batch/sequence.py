"""Sequences: finds the frames of a film and processes them in order, with temporally stable depth."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from deeplens_dof.batch.depths import FROM_PHOTOS
from deeplens_dof.batch.engines import OnJobProgress
from deeplens_dof.batch.jobs import PICTURES, Input, Job, plan
from deeplens_dof.batch.manifest import Output, Record
from deeplens_dof.batch.outputs import check_outputs
from deeplens_dof.batch.process import JobOptions, depth_source, failed, keep_time
from deeplens_dof.batch.storage import is_remote
from deeplens_dof.runtime.errors import PlanError
from deeplens_dof.settings import Focus, parse_focus

if TYPE_CHECKING:
    from deeplens_dof.pipeline import Scene

_PLACEHOLDER = re.compile(r"#+|%(0(\d+))?d")
# The last number of a name without its extension.
_NUMBER = re.compile(r"\d+(?=\D*$)")


@dataclass(frozen=True, slots=True)
class FocusPull:
    """A focus pull through keys (frame, focus), with rising frame numbers.

    Between two keys the inverse depth of the focus is eased in and out; before the first key and after the last it is
    constant.
    """

    keys: tuple[tuple[int, Focus], ...]

    @classmethod
    def parse(cls, text: str) -> FocusPull:
        """Parse "FRAME:X,Y FRAME:X,Y ...", where X,Y may be "subject". Raises ValueError for anything else."""
        keys = []
        for part in text.split():
            frame, colon, focus = part.partition(":")
            if not (colon and re.fullmatch(r"\d+", frame)):
                raise ValueError(
                    f"the focus pull holds {part!r}, expected FRAME:X,Y, as in '1:0.3,0.5 48:0.7,0.4'"
                )
            keys.append((int(frame), _key_focus(focus)))
        if len(keys) < 2 or any(a[0] >= b[0] for a, b in pairwise(keys)):
            raise ValueError(
                f"the focus pull is {text!r}, expected at least two keys with rising frames, as in "
                "'1:0.3,0.5 48:0.7,0.4'"
            )
        return cls(tuple(keys))

    def at(self, frame: float, depths: Sequence[float]) -> float:
        """Inverse depth of the focus in a frame.

        Args:
            frame: number of the frame.
            depths: inverse depth of each key's focus, in order.
        """
        index, progress = self._position(frame)
        return depths[index] + (depths[min(index + 1, len(depths) - 1)] - depths[index]) * progress

    def held(self, frame: float) -> tuple[Focus, float]:
        """The focus whose subject is kept sharp as a whole in a frame, and how strongly, 0..1 (0 half-way between keys)."""
        index, progress = self._position(frame)
        nearest = index if progress < 0.5 else index + 1
        return self.keys[nearest][1], abs(1 - 2 * progress)

    def _position(self, frame: float) -> tuple[int, float]:
        """The index of the key before the frame, and the eased progress towards the next one, 0..1."""
        numbers = [number for number, _ in self.keys]
        for index in range(1, len(numbers)):
            if frame < numbers[index]:
                before, after = numbers[index - 1], numbers[index]
                progress = max(0.0, (frame - before) / (after - before))
                return index - 1, progress * progress * (3 - 2 * progress)
        return len(numbers) - 1, 0.0


def _key_focus(text: str) -> Focus:
    """A point or the subject. Raises ValueError for anything else, a focus on faces too."""
    focus = parse_focus(text)
    if focus in ("face", "faces"):
        raise ValueError(
            f"the focus pull goes to {focus!r}, expected X,Y or 'subject'; give the face as a point"
        )
    return focus


@dataclass(frozen=True, slots=True)
class Film:
    """The frames of a film.

    Attributes:
        jobs: by frame number, rising.
        depths: depth files by frame number; None if depth is predicted or embedded.
        missing: gaps in the frame numbers, as (first, last).
    """

    jobs: dict[int, Job]
    depths: dict[int, Path] | None
    missing: list[tuple[int, int]]


def plan_film(
    inputs: Sequence[Input],
    out: str | None,
    depth: str,
    pull: FocusPull | None,
    also_read: Sequence[str] = (),
) -> Film:
    """The frames of one film, and where their results go.

    Args:
        inputs: a folder, a pattern, or the frames themselves.
        out: output folder.
        depth: "auto", "predict" or "embedded", or the folder or pattern of depth files.
        pull: its keys must exist as frames.
        also_read: other files that must not be overwritten.

    Raises:
        PlanError: the inputs are not the frames of one film, or outputs clash.
    """
    if not out:
        raise PlanError("--sequence writes many frames; name a folder for them with -o")
    if is_remote(out) or any(is_remote(item.path) for item in inputs):
        raise PlanError(
            "--sequence needs frames on this machine; download them first, and name local folders"
        )
    if problem := next((item.problem for item in inputs if item.problem), None):
        raise PlanError(problem)
    frames = numbered([item.path for item in inputs], PICTURES)
    depths = None if depth in FROM_PHOTOS else _depth_files(Path(depth))
    if pull and (absent := [number for number, _ in pull.keys if number not in frames]):
        raise PlanError(
            f"--focus-pull names frame {absent[0]}, which is not there; the frames are {min(frames)} to {max(frames)}"
        )
    reads = [*also_read, *(str(path) for path in (depths or {}).values())]
    files = [Input(path, path.name) for path in frames.values()]
    jobs = plan(files, os.path.join(out, ""), also_read=reads).jobs
    numbers = list(frames)
    missing = [(a + 1, b - 1) for a, b in pairwise(numbers) if b > a + 1]
    return Film(dict(zip(numbers, jobs, strict=True)), depths, missing)


def numbered(inputs: Sequence[Path], suffixes: Sequence[str]) -> dict[int, Path]:
    """The frames of one film by number, rising. The number is the last one in the name.

    Args:
        inputs: a folder, a pattern (`shot.####.png` or `shot.%04d.png`: four digits or more), or the frames themselves.
        suffixes: of the files that count as frames in a folder.

    Raises:
        PlanError: there are no frames, or their names are not those of one film.
    """
    films: dict[tuple[str, str], dict[int, Path]] = {}
    for path in _candidates(inputs, suffixes):
        digits = _NUMBER.search(path.stem)
        if not digits:
            raise PlanError(
                f"{path.name!r} has no number, expected frames such as shot.0001.png; name a pattern"
            )
        name = path.stem[: digits.start()], path.stem[digits.end() :] + path.suffix
        frames = films.setdefault(name, {})
        number = int(digits[0])
        if number in frames:
            raise PlanError(
                f"{frames[number].name!r} and {path.name!r} are both frame {number}; name a pattern"
            )
        frames[number] = path
    if len(films) > 1:
        names = " and ".join(f"{before}#{after}" for before, after in sorted(films)[:2])
        raise PlanError(f"there are frames of {len(films)} films, {names}; name one of them as a pattern")
    return dict(sorted(next(iter(films.values())).items()))


def _candidates(inputs: Sequence[Path], suffixes: Sequence[str]) -> list[Path]:
    if len(inputs) > 1:
        return list(inputs)
    (path,) = inputs
    if path.is_dir():
        frames = [file for file in _inside(path) if file.suffix.lower() in suffixes]
        if not frames:
            raise PlanError(f"{path} holds no frames, expected files ending in {', '.join(suffixes)}")
        return frames
    placeholders = list(_PLACEHOLDER.finditer(path.name))
    if len(placeholders) != 1:
        raise PlanError(
            f"{str(path)!r} is not a sequence, expected a folder or a pattern such as shot.####.png or shot.%04d.png"
        )
    (placeholder,) = placeholders
    digits = placeholder[0].count("#") or int(placeholder[2] or 1)
    before, after = re.escape(path.name[: placeholder.start()]), re.escape(path.name[placeholder.end() :])
    name = re.compile(rf"{before}\d{{{digits},}}{after}")
    frames = [file for file in _inside(path.parent) if name.fullmatch(file.name)]
    if not frames:
        raise PlanError(f"no file in {path.parent} matches {path.name!r}; check the number of digits")
    return frames


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
    except OSError as error:
        raise PlanError(
            f"{folder} cannot be read ({error.strerror}); check its name and permissions"
        ) from None


def _depth_files(path: Path) -> dict[int, Path]:
    from deeplens_dof.depth.files import READ

    if path.is_file():
        raise PlanError(
            f"{str(path)!r} is the depth of one frame, expected a folder or a pattern such as depth.####.exr"
        )
    return numbered([path], READ)


class InOrder:
    """An engine for one film: processes the frames in order, each with the depth of the frames before it.

    A frame that fails is reported and left out.

    Args:
        film: the frames.
        pull: moves the focus; None follows the focus of each shot's first frame.
        say: receives notes on missing frames and new shots.
    """

    def __init__(
        self, film: Film, pull: FocusPull | None = None, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self.film, self.pull, self.say = film, pull, say

    def process(
        self, jobs: Iterator[Job], options: JobOptions, on_progress: OnJobProgress
    ) -> Iterator[Record]:
        for first, last in self.film.missing:
            which = f"frame {first} is" if first == last else f"frames {first} to {last} are"
            self.say(f"{which} missing; the sequence goes on")
        scenes = _Scenes(self.film, options)
        key_depths = scenes.depths_of(self.pull, on_progress) if self.pull else []
        scenes.begin()
        numbers = {job: number for number, job in self.film.jobs.items()}
        for job in jobs:
            started = time.monotonic()
            try:
                self._frame(job, numbers[job], scenes, key_depths, on_progress)
                outputs = tuple(Output.of(path) for path in job.outputs)
            except Exception as error:
                yield failed(job, error, time.monotonic() - started)
                continue
            seconds = round(time.monotonic() - started, 2)
            yield Record(job.name, str(job.source), str(job.out), "done", outputs=outputs, seconds=seconds)

    def stop(self) -> None:
        """Do nothing: no process is left running."""

    def _frame(
        self,
        job: Job,
        number: int,
        scenes: _Scenes,
        key_depths: Sequence[float],
        on_progress: OnJobProgress,
    ) -> None:
        from deeplens_dof.pipeline import refocus

        check_outputs(job)
        on_progress(job, "depth")
        scene, focus = scenes.scene(number)
        if scenes.steady.cut and number > min(self.film.jobs):
            self.say(f"a new shot begins at {job.source.name}")
        if scenes.steady.cut and scenes.options.settings.focus == "face" and not scene.faces:
            self.say(f"no face was found in {job.source.name}; the subject of this shot is followed")
        settings, point = scenes.options.settings, scenes.focus.point
        if self.pull and key_depths:
            focus = self.pull.at(number, key_depths)
            key, strength = self.pull.held(number)
            point = scene.focus_point(replace(settings, focus=key))
            settings = replace(settings, subject_sharp=settings.subject_sharp * strength)
        on_progress(job, "blur")
        result = refocus(scene, settings, focus_depth=focus, focus_point=point)
        on_progress(job, "writing")
        job.out.parent.mkdir(parents=True, exist_ok=True)
        options = scenes.options
        result.save(job.out, strip_metadata=options.strip_metadata, quality=options.quality)
        if options.keep_time:
            keep_time(job.source, job.out)


class _Scenes:
    """Analyses the frames one after another, with stable depth and a tracked focus."""

    def __init__(self, film: Film, options: JobOptions) -> None:
        self.film, self.options = film, options
        self.begin()

    def begin(self) -> None:
        """Forget all frames; the next one begins a shot."""
        from deeplens_dof.depth.video.focus_tracking import FollowedFocus
        from deeplens_dof.depth.video.stabilise import SteadyDepth

        self.steady, self.focus = SteadyDepth(), FollowedFocus()

    def scene(self, number: int) -> tuple[Scene, float]:
        """Analyse the frame that follows the previous one. Raises PhotoError, ValueError or OSError.

        Returns:
            The scene with stabilised depth (depth files are used unchanged), and the inverse depth of its focus.
        """
        from deeplens_dof.photo import read
        from deeplens_dof.pipeline import analyse

        photo = read(self.film.jobs[number].source)
        scene = analyse(photo, depth_source(self._depth_source(number), self.options.far_is_bright))
        steady = self.steady.update(photo.srgb8(), scene.inverse_depth, scene.matte)
        scene = replace(scene, matte=self.steady.matte)
        if self.film.depths is None:
            scene = replace(scene, inverse_depth=steady)
        if self.steady.cut:
            settings = self.options.settings
            if settings.focus == "face" and not scene.faces:
                settings = replace(settings, focus="subject")
            point = scene.focus_point(settings)
            return scene, self.focus.begin(scene.inverse_depth, scene.matte, point)
        return scene, self.focus.update(scene.inverse_depth, scene.matte)

    def depths_of(self, pull: FocusPull, on_progress: OnJobProgress) -> list[float]:
        """Inverse depth of each key's focus, from the frames up to the last key.

        If a key's own frame cannot be read, the next readable one replaces it, or else the last one.
        """
        from deeplens_dof.depth.subject import depth_at

        depths: list[float] = []
        scene: Scene | None = None

        def measure(scene: Scene) -> None:
            point = scene.focus_point(replace(self.options.settings, focus=pull.keys[len(depths)][1]))
            depths.append(depth_at(scene.inverse_depth.values, point))

        for number in (number for number in self.film.jobs if number <= pull.keys[-1][0]):
            on_progress(self.film.jobs[number], "depth, for the focus pull")
            try:
                scene, _ = self.scene(number)
            except (ValueError, OSError):  # reported when the frame is processed
                continue
            while len(depths) < len(pull.keys) and pull.keys[len(depths)][0] <= number:
                measure(scene)
        while scene and len(depths) < len(pull.keys):
            measure(scene)
        return depths

    def _depth_source(self, number: int) -> str:
        if self.film.depths is None:
            return self.options.depth
        if number not in self.film.depths:
            raise ValueError(f"frame {number} has no depth file; add one, or omit --depth")
        return str(self.film.depths[number])
