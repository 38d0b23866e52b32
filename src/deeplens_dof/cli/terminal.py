"""Output on the terminal: progress on one line and errors as one sentence each, on standard error."""

from __future__ import annotations

import shutil
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from deeplens_dof.batch.jobs import Job
from deeplens_dof.batch.manifest import Record
from deeplens_dof.runtime.errors import PlanError, describe_error

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Terminal:
    """Shows progress, on a terminal only, and error messages, on standard error.

    Args:
        debug: also print the tracebacks of errors.
        names: what files are called in messages, by their paths.
    """

    def __init__(self, debug: bool, names: Mapping[str, str] | None = None) -> None:
        self.debug, self.names = debug, names or {}
        self.on_terminal = sys.stderr.isatty()
        self.has_bar = False  # a progress bar owns the last line

    def stage(self, text: str) -> None:
        """Show the current step on a line that is overwritten; prints nothing into a pipe."""
        if self.on_terminal and not self.has_bar:
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"\r\x1b[K{on_one_line(self._named(text))[:width]}")
            sys.stderr.flush()

    def done(self, text: str) -> None:
        """Print a line about a completed step."""
        self.stage("")
        print(on_one_line(self._named(text)), file=sys.stderr)

    def guard(self, name: str, work: Callable[[], object]) -> str | None:
        """Call `work` and print its error, if any, as one sentence that names `name`.

        Returns:
            That sentence, or None. PlanError and KeyboardInterrupt pass through.
        """
        try:
            work()
        except KeyboardInterrupt:
            self.stage("")
            raise
        except PlanError:
            raise
        except Exception as error:
            message = describe_error(name, error)
            self.failed(message, traceback.format_exc())
            return message
        return None

    def failed(self, message: str, trace: str | None) -> None:
        """Print an error message, and its traceback with --debug."""
        self.stage("")
        if self.debug and trace:
            print(trace, file=sys.stderr)
        self.say(message)

    def say(self, message: str) -> None:
        """Print a message of the program."""
        print(f"deeplens: {self._named(message)}", file=sys.stderr)

    def _named(self, text: str) -> str:
        for path, name in self.names.items():
            text = text.replace(path, name)
        return text


class BatchProgress:
    """The reporter of a batch. Use as a context manager.

    Prints the outcome of each photo, a bar with rate and time left on a terminal, and a summary that repeats the failures.
    """

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.counts: Counter[str] = Counter()
        self.failures: list[Record] = []
        self.total = 0
        self._started = 0.0
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def begin(self, total: int) -> None:
        """Add `total` photos to the batch."""
        self._started = self._started or time.monotonic()
        self.total += total
        if self.terminal.on_terminal and self.total > 1 and self._bar is None:
            self._bar, self._task = _bar()
            self._bar.start()
            self.terminal.has_bar = True
        self._show("")

    def stage(self, job: Job, text: str) -> None:
        """Show a photo's current step."""
        if self._bar is None:
            self.terminal.stage(f"{job.source.name}: {text}")
        else:
            self._show(f"{job.source.name}: {text}")

    def settled(self, record: Record) -> None:
        """Count a photo and print its outcome."""
        self.counts[record.state] += 1
        if record.state == "failed":
            self.failures.append(record)
            self.terminal.failed(record.error or "", record.traceback)
        elif record.state == "done":
            settled = self.counts.total()
            prefix = f"[{settled}/{self.total}] " if self.total > 1 else ""
            self.terminal.done(f"{prefix}{record.output} ({record.seconds:.1f} s)")
            for note in record.notes:
                self.terminal.say(on_one_line(note))
        self._show("")

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar, self.terminal.has_bar = None, False
        self.terminal.stage("")

    def sum_up(self) -> None:
        """Print the numbers of photos done, skipped and failed, and the names of those that failed."""
        if self.total > 1 or self.counts["skipped"]:
            counts = [f"{self.counts[state]} {state}" for state in ("done", "skipped", "failed")]
            print(", ".join(counts) + (":" if self.failures else ""), file=sys.stderr)
            for record in self.failures:
                print(f"  {on_one_line(record.input)}", file=sys.stderr)

    def __enter__(self) -> BatchProgress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _show(self, text: str) -> None:
        if self._bar is not None and self._task is not None:
            settled, step = self.counts.total(), on_one_line(text)
            self._bar.update(self._task, completed=settled, total=self.total, pace=self._pace(), step=step)

    def _pace(self) -> str:
        """Rate, time left and counts, as in "12.3 a minute, 4 min left, 5 skipped, 1 failed"; zero counts are left out."""
        worked = self.counts["done"] + self.counts["failed"]
        left = self.total - self.counts.total()
        words = [f"{self.counts[state]} {state}" for state in ("skipped", "failed") if self.counts[state]]
        if worked:
            rate = worked / max(time.monotonic() - self._started, 1e-3)
            words = [f"{60 * rate:.3g} a minute", f"{format_duration(left / rate)} left", *words]
        return ", ".join(words)


def _bar() -> tuple[Progress, TaskID]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        BarColumn(20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}", markup=False),
        TextColumn("{task.fields[step]}", markup=False),
    )
    bar = Progress(*columns, console=Console(file=sys.stderr, force_terminal=True), transient=True)
    return bar, bar.add_task("", pace="", step="")


def format_duration(seconds: float) -> str:
    """A duration as "45 s", "12 min" or "3.4 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def on_one_line(text: str) -> str:
    """The text with line breaks and control characters, which file names may hold, replaced by "?"."""
    return "".join(character if character.isprintable() else "?" for character in text)
