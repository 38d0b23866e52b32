"""The frames of a film: which they are, in which order, and doing them with depth that does not flicker."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from deeplens_dof.batch.jobs import PICTURES, Input, Job, plan
from deeplens_dof.batch.manifest import Output, Record
from deeplens_dof.batch.outputs import check_outputs
from deeplens_dof.batch.process import Order, failed
from deeplens_dof.batch.storage import in_store
from deeplens_dof.runtime.errors import PlanError
from deeplens_dof.settings import Focus, parse_focus

if TYPE_CHECKING:
    from deeplens_dof.pipeline import Scene

DEPTHS = (".png", ".tif", ".tiff", ".exr", ".npz")
FROM_PHOTOS = ("auto", "predict", "embedded")  # what --depth may say beside the names of files
_HOLE = re.compile(r"#+|%(0(\d+))?d")
_NUMBER = re.compile(r"\d+(?=\D*$)")  # the last one of a name without its ending


@dataclass(frozen=True, slots=True)
class FocusPull:
    """The focus goes from one thing to the next: keys are (frame, focus), frames rising.

    Between two keys it is the inverse depth that goes, slow at both ends; before the first and after the last it rests.
    """

    keys: tuple[tuple[int, Focus], ...]

    @classmethod
    def parse(cls, text: str) -> FocusPull:
        """Of "FRAME:X,Y FRAME:X,Y ...", where X,Y may be "subject". Raises ValueError for anything else."""
        keys = []
        for part in text.split():
            frame, colon, focus = part.partition(":")
            if not (colon and re.fullmatch(r"\d+", frame)):
                raise ValueError(
                    f"the focus pull holds {part!r}, expected FRAME:X,Y, as in '1:0.3,0.5 48:0.7,0.4'"
                )
            keys.append((int(frame), parse_focus(focus)))
        if len(keys) < 2 or any(a[0] >= b[0] for a, b in pairwise(keys)):
            raise ValueError(
                f"the focus pull is {text!r}, expected at least two keys with rising frames, as in "
                "'1:0.3,0.5 48:0.7,0.4'"
            )
        return cls(tuple(keys))

    def at(self, frame: float, depths: Sequence[float]) -> float:
        """Inverse depth of the focus in that frame; depths: of the keys, in their order."""
        index, way = self._way(frame)
        return depths[index] + (depths[min(index + 1, len(depths) - 1)] - depths[index]) * way

    def held(self, frame: float) -> tuple[Focus, float]:
        """The key whose subject is held whole in that frame, and how much, 0..1: not at all half-way between two keys."""
        index, way = self._way(frame)
        nearest = index if way < 0.5 else index + 1
        return self.keys[nearest][1], abs(1 - 2 * way)

    def _way(self, frame: float) -> tuple[int, float]:
        """The key before the frame, and how far the focus is on its way to the next one, 0..1."""
        numbers = [number for number, _ in self.keys]
        for index in range(1, len(numbers)):
            if frame < numbers[index]:
                before, after = numbers[index - 1], numbers[index]
                way = max(0.0, (frame - before) / (after - before))
                return index - 1, way * way * (3 - 2 * way)
        return len(numbers) - 1, 0.0


@dataclass(frozen=True, slots=True)
class Film:
    """Frames by number, rising; what each becomes; and the files of their depth where there are such.

    missing: numbers between the first and the last that have no frame, as (first, last) of each gap.
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
    """The frames named by a folder, a pattern or their files, and where they go.

    depth: as `--depth` takes it; of files, the folder or the pattern. also_read: as `jobs.plan` takes it. Raises
    PlanError when these do not make one film, or the outputs do not go together.
    """
    if not out:
        raise PlanError("--sequence writes many frames; name a folder for them with -o")
    if in_store(out) or any(in_store(each.path) for each in inputs):
        raise PlanError(
            "--sequence does frames that lie on this machine; fetch them first, and name a folder here"
        )
    if problem := next((each.problem for each in inputs if each.problem), None):
        raise PlanError(problem)
    frames = numbered([each.path for each in inputs], PICTURES)
    depths = None if depth in FROM_PHOTOS else _depth_files(Path(depth))
    if pull and (absent := [number for number, _ in pull.keys if number not in frames]):
        raise PlanError(
            f"--focus-pull names frame {absent[0]}, which is not there; the frames are {min(frames)} to {max(frames)}"
        )
    reads = [*also_read, *(str(path) for path in (depths or {}).values())]
    each_input = [Input(path, path.name) for path in frames.values()]
    jobs = plan(each_input, os.path.join(out, ""), also_read=reads).jobs
    numbers = list(frames)
    missing = [(a + 1, b - 1) for a, b in pairwise(numbers) if b > a + 1]
    return Film(dict(zip(numbers, jobs, strict=True)), depths, missing)


def numbered(inputs: Sequence[Path], endings: Sequence[str]) -> dict[int, Path]:
    """The frames of one film by number, rising.

    inputs: one folder, one pattern (`shot.####.png`, `shot.%04d.png`: so many digits or more), or the files themselves.
    The number is the last one in the name. Raises PlanError when there are none or their names are not those of one film.
    """
    films: dict[tuple[str, str], dict[int, Path]] = {}
    for path in _candidates(inputs, endings):
        found = _NUMBER.search(path.stem)
        if not found:
            raise PlanError(
                f"{path.name!r} has no number, expected frames such as shot.0001.png; name a pattern"
            )
        name = path.stem[: found.start()], path.stem[found.end() :] + path.suffix
        frames = films.setdefault(name, {})
        number = int(found[0])
        if number in frames:
            raise PlanError(
                f"{frames[number].name!r} and {path.name!r} are both frame {number}; name a pattern"
            )
        frames[number] = path
    if len(films) > 1:
        names = " and ".join(f"{before}#{after}" for before, after in sorted(films)[:2])
        raise PlanError(f"there are frames of {len(films)} films, {names}; name one of them as a pattern")
    return dict(sorted(next(iter(films.values())).items()))


def _candidates(inputs: Sequence[Path], endings: Sequence[str]) -> list[Path]:
    if len(inputs) > 1:
        return list(inputs)
    (path,) = inputs
    if path.is_dir():
        found = [each for each in _inside(path) if each.suffix.lower() in endings]
        if not found:
            raise PlanError(f"{path} holds no frames, expected files ending in {', '.join(endings)}")
        return found
    holes = list(_HOLE.finditer(path.name))
    if len(holes) != 1:
        raise PlanError(
            f"{str(path)!r} is no sequence, expected a folder or a pattern such as shot.####.png or shot.%04d.png"
        )
    hole = holes[0]
    digits = hole[0].count("#") or int(hole[2] or 1)
    before, after = re.escape(path.name[: hole.start()]), re.escape(path.name[hole.end() :])
    name = re.compile(rf"{before}\d{{{digits},}}{after}")
    found = [each for each in _inside(path.parent) if name.fullmatch(each.name)]
    if not found:
        raise PlanError(f"no file in {path.parent} is named like {path.name!r}; check the number of digits")
    return found


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(each for each in folder.iterdir() if each.is_file() and not each.name.startswith("."))
    except OSError as error:
        raise PlanError(
            f"{folder} cannot be read ({error.strerror}); check its name and permissions"
        ) from None


def _depth_files(path: Path) -> dict[int, Path]:
    if path.is_file():
        raise PlanError(
            f"{str(path)!r} is the depth of one frame, expected a folder or a pattern such as depth.####.exr"
        )
    return numbered([path], DEPTHS)


class InOrder:
    """An engine for the frames of one film: one after the other, each with the depth of those before it.

    say: hears of missing frames and of new shots. A frame that fails is named, and the film goes on without it.
    """

    def __init__(
        self, film: Film, pull: FocusPull | None = None, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self.film, self.pull, self.say = film, pull, say

    def do(self, jobs: Iterator[Job], order: Order, tell: Callable[[Job, str], None]) -> Iterator[Record]:
        for first, last in self.film.missing:
            which = f"frame {first} is" if first == last else f"frames {first} to {last} are"
            self.say(f"{which} missing; the sequence goes on")
        maker = _Maker(self.film, order)
        key_depths = maker.depths_of(self.pull, tell) if self.pull else []
        maker.begin()
        numbers = {job: number for number, job in self.film.jobs.items()}
        for job in jobs:
            started = time.monotonic()
            try:
                self._frame(job, numbers[job], maker, key_depths, tell)
                outputs = tuple(Output.of(path) for path in job.outputs)
            except Exception as error:  # what breaks one frame is in its record
                yield failed(job, error, time.monotonic() - started)
                continue
            seconds = round(time.monotonic() - started, 2)
            yield Record(job.name, str(job.source), str(job.out), "done", outputs=outputs, seconds=seconds)

    def stop(self) -> None:
        """Nothing is left running."""

    def _frame(
        self,
        job: Job,
        number: int,
        maker: _Maker,
        key_depths: Sequence[float],
        tell: Callable[[Job, str], None],
    ) -> None:
        from deeplens_dof.pipeline import refocus

        check_outputs(job)
        tell(job, "depth")
        scene, focus = maker.scene(number)
        if maker.steady.cut and number > min(self.film.jobs):
            self.say(f"a new shot begins at {job.source.name}")
        settings, point = maker.order.settings, maker.focus.point
        if self.pull and key_depths:
            focus = self.pull.at(number, key_depths)
            key, share = self.pull.held(number)
            point = scene.focus_point(replace(settings, focus=key))
            settings = replace(settings, subject_sharp=settings.subject_sharp * share)
        tell(job, "blur")
        result = refocus(scene, settings, focus_depth=focus, focus_point=point)
        tell(job, "writing")
        job.out.parent.mkdir(parents=True, exist_ok=True)
        result.save(job.out, strip_metadata=maker.order.strip_metadata)


class _Maker:
    """Scenes of the film's frames, one after the other, and where their focus is."""

    def __init__(self, film: Film, order: Order) -> None:
        self.film, self.order = film, order
        self.begin()

    def begin(self) -> None:
        """The next frame is the first one."""
        from deeplens_dof.depth.video.focus_tracking import FollowedFocus
        from deeplens_dof.depth.video.stabilise import SteadyDepth

        self.steady, self.focus = SteadyDepth(), FollowedFocus()

    def scene(self, number: int) -> tuple[Scene, float]:
        """The frame with steady depth, and the inverse depth of its focus. Raises PhotoError, ValueError or OSError."""
        from deeplens_dof.photo import read
        from deeplens_dof.pipeline import analyse

        photo = read(self.film.jobs[number].source)
        scene = analyse(photo, self._depth_source(number))
        steady = self.steady.update(photo.srgb8(), scene.inverse_depth, scene.matte)
        scene = replace(scene, matte=self.steady.matte)
        if self.film.depths is None:  # files are taken as they are
            scene = replace(scene, inverse_depth=steady)
        if self.steady.cut:
            point = scene.focus_point(self.order.settings)
            return scene, self.focus.begin(scene.inverse_depth, scene.matte, point)
        return scene, self.focus.update(scene.inverse_depth, scene.matte)

    def depths_of(self, pull: FocusPull, tell: Callable[[Job, str], None]) -> list[float]:
        """Inverse depth of each key, found by going through the frames up to the last key. Where a key's own frame
        cannot be read the next one that can stands for it, or else the last."""
        from deeplens_dof.depth.subject import depth_at

        found: list[float] = []
        scene: Scene | None = None

        def look(scene: Scene) -> None:
            point = scene.focus_point(replace(self.order.settings, focus=pull.keys[len(found)][1]))
            found.append(depth_at(scene.inverse_depth.values, point))

        for number in self._up_to(pull.keys[-1][0]):
            tell(self.film.jobs[number], "depth, for the focus pull")
            try:
                scene, _ = self.scene(number)
            except (ValueError, OSError):  # its record will say why
                continue
            while len(found) < len(pull.keys) and pull.keys[len(found)][0] <= number:
                look(scene)
        while scene and len(found) < len(pull.keys):
            look(scene)
        return found

    def _up_to(self, last: int) -> Iterator[int]:
        return (number for number in self.film.jobs if number <= last)

    def _depth_source(self, number: int) -> str:
        if self.film.depths is None:
            return self.order.depth
        if number not in self.film.depths:
            raise ValueError(f"frame {number} has no depth file; add it, or leave --depth out")
        return str(self.film.depths[number])
