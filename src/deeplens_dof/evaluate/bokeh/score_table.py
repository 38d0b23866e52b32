"""Scores per picture in a CSV file that is appended row by row, so that an interrupted run can resume."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deeplens_dof.runtime.atomic_write import write_atomically

FIRST = ("benchmark", "renderer", "picture", "group")


@dataclass(frozen=True, slots=True)
class Row:
    """Scores of one renderer on one picture; None is not measured."""

    renderer: str
    picture: str
    group: str
    scores: dict[str, float | None]


class ScoreTable:
    """The file and its rows.

    Args:
        benchmark: its name.
        measures: columns.
        needed: columns without which a row is measured again.
        resume: continue an existing file.

    Raises:
        ValueError: the file exists and is not to be resumed, or has other columns or another benchmark.
    """

    def __init__(
        self, path: Path, benchmark: str, measures: Sequence[str], needed: Sequence[str], resume: bool
    ) -> None:
        self.path, self.benchmark, self.measures = path, benchmark, tuple(measures)
        self._rows: dict[str, dict[str, Row]] = {}  # by picture and renderer
        if path.exists():
            if not resume:
                raise ValueError(
                    f"{path} already exists; continue it with --resume, or name another file with --csv"
                )
            for row in self._read():
                if all(row.scores[name] is not None for name in needed):
                    self._rows.setdefault(row.picture, {})[row.renderer] = row
        text = _lines([(*FIRST, *self.measures), *map(self._cells, self.rows())])
        write_atomically(path, lambda file: file.write(text.encode()))

    def rows(self) -> list[Row]:
        return [row for rows in self._rows.values() for row in rows.values()]

    def rows_of(self, picture: str) -> dict[str, Row]:
        """The rows of a picture, by renderer."""
        return dict(self._rows.get(picture, {}))

    def add(self, row: Row) -> None:
        """Appends the row to the file at once."""
        self._rows.setdefault(row.picture, {})[row.renderer] = row
        with self.path.open("a", encoding="utf-8", newline="") as file:
            file.write(_lines([self._cells(row)]))

    def _read(self) -> list[Row]:
        try:
            text = self.path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ValueError(f"{self.path} is not a table of scores ({error}); name another file") from error
        whole = text[: text.rfind("\n") + 1]  # a run that was killed may leave half a row
        header, *lines = list(csv.reader(io.StringIO(whole))) or [[]]
        wanted = [*FIRST, *self.measures]
        if header != wanted:
            raise ValueError(
                f"{self.path} has the columns {', '.join(header) or 'none'}, expected {', '.join(wanted)}; name another "
                "file with --csv"
            )
        rows = []
        for number, cells in enumerate(lines, start=2):
            rows.append(self._row(number, cells))
        return rows

    def _row(self, number: int, cells: list[str]) -> Row:
        first, scores = cells[: len(FIRST)], cells[len(FIRST) :]
        try:
            values = [float(cell) if cell else None for cell in scores]
        except ValueError:
            values = []
        if len(values) != len(self.measures) or first[0] != self.benchmark:
            raise ValueError(
                f"line {number} of {self.path} is not a row of {self.benchmark}; name another file with --csv"
            )
        return Row(first[1], first[2], first[3], dict(zip(self.measures, values, strict=True)))

    def _cells(self, row: Row) -> list[str]:
        scores = (row.scores.get(name) for name in self.measures)
        return [
            self.benchmark,
            row.renderer,
            row.picture,
            row.group,
            *("" if value is None else repr(float(value)) for value in scores),
        ]


def _lines(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
