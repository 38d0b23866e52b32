"""What a person at a terminal is told: progress on one line, errors as one sentence each, on standard error."""

from __future__ import annotations

import shutil
import sys
import time
import traceback
from collections import Counter
from typing import TYPE_CHECKING, Any

from deeplens_dof.batch.jobs import Job
from deeplens_dof.batch.manifest import Record
from deeplens_dof.runtime.errors import PlanError, describe_error

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Terminal:
    """Progress on a terminal, errors as sentences on standard error."""

    def __init__(self, debug: bool) -> None:
        self.debug = debug
        self.on_terminal = sys.stderr.isatty()
        self.has_bar = False  # which then has the last line to itself

    def stage(self, text: str) -> None:
        """What is being done now, on one line that is overwritten; nothing in a pipe."""
        if self.on_terminal and not self.has_bar:
            room = shutil.get_terminal_size().columns - 1
            sys.stderr.write(f"\r\x1b[K{on_one_line(text)[:room]}")
            sys.stderr.flush()

    def done(self, text: str) -> None:
        self.stage("")
        print(on_one_line(text), file=sys.stderr)

    def guard(self, name: str, work: Any) -> str | None:
        """Does the work; what went wrong is said in one sentence and returned, None when all is well."""
        try:
            work()
        except KeyboardInterrupt:
            self.stage("")
            raise
        except PlanError:
            raise
        except Exception as error:
            said = describe_error(name, error)
            self.failed(said, traceback.format_exc())
            return said
        return None

    def failed(self, said: str, trace: str | None) -> None:
        """A sentence about what went wrong, and with --debug where."""
        self.stage("")
        if self.debug and trace:
            print(trace, file=sys.stderr)
        self.say(said)

    def say(self, said: str) -> None:
        print(f"deeplens: {said}", file=sys.stderr)


class BatchProgress:
    """How far a batch is: what became of each photo; on a terminal a bar with rate and time left; the failed ones again
    at the end. Used as a context.
    """

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.counts: Counter[str] = Counter()
        self.failures: list[Record] = []
        self.total = 0
        self._began = 0.0
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def begin(self, total: int) -> None:
        """So many photos more."""
        self._began = self._began or time.monotonic()
        self.total += total
        if self.terminal.on_terminal and self.total > 1 and self._bar is None:
            self._bar, self._task = _bar()
            self._bar.start()
            self.terminal.has_bar = True
        self._show("")

    def stage(self, job: Job, text: str) -> None:
        if self._bar is None:
            self.terminal.stage(f"{job.source.name}: {text}")
        else:
            self._show(f"{job.source.name}: {text}")

    def settled(self, record: Record) -> None:
        self.counts[record.state] += 1
        if record.state == "failed":
            self.failures.append(record)
            self.terminal.failed(record.error or "", record.traceback)
        elif record.state == "done":
            settled = self.counts.total()
            prefix = f"[{settled}/{self.total}] " if self.total > 1 else ""
            self.terminal.done(f"{prefix}{record.output} ({record.seconds:.1f} s)")
        self._show("")

    def close(self) -> None:
        """Takes the bar away and sums up."""
        if self._bar is not None:
            self._bar.stop()
            self._bar, self.terminal.has_bar = None, False
        self.terminal.stage("")

    def sum_up(self) -> None:
        """After a batch: how many were done, skipped and failed, and which failed."""
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
            settled, what = self.counts.total(), on_one_line(text)
            self._bar.update(self._task, completed=settled, total=self.total, pace=self._pace(), what=what)

    def _pace(self) -> str:
        """ "12.3 a minute, 4 min left, 5 skipped, 1 failed", as far as there is anything to say."""
        worked = self.counts["done"] + self.counts["failed"]
        left = self.total - self.counts.total()
        words = [f"{self.counts[state]} {state}" for state in ("skipped", "failed") if self.counts[state]]
        if worked:
            rate = worked / max(time.monotonic() - self._began, 1e-3)
            words = [f"{60 * rate:.3g} a minute", f"{_duration(left / rate)} left", *words]
        return ", ".join(words)


def _bar() -> tuple[Progress, TaskID]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        BarColumn(20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[pace]}", markup=False),
        TextColumn("{task.fields[what]}", markup=False),
    )
    bar = Progress(*columns, console=Console(file=sys.stderr, force_terminal=True), transient=True)
    return bar, bar.add_task("", pace="", what="")


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def on_one_line(text: str) -> str:
    """Names of files may hold line breaks and what moves a terminal's cursor."""
    return "".join(each if each.isprintable() else "?" for each in text)
