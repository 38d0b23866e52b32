"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def table(header: tuple[str, ...], rows: Iterable[list[str]]) -> list[str]:
    """The lines of a Markdown table."""
    return [f"| {' | '.join(cells)} |" for cells in (list(header), ["---"] * len(header), *rows)]


def cell(row: dict[str, Any], name: str, form: str = ".3f") -> str:
    """A mean, with the median beside it if there are several samples; empty without any."""
    if name not in row:
        return ""
    mean = format(row[name], form)
    return mean if row["samples"] == 1 else f"{mean} / {row['median'][name]:{form}}"
