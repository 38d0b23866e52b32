"""focus.csv: manually labelled focus points. Columns name, x, y; x and y are 0..1 of the upright picture."""

from __future__ import annotations

import csv
from pathlib import Path

FILE = "focus.csv"
_HEADER = ["name", "x", "y"]


def read_focus_labels(path: Path) -> dict[str, tuple[float, float]]:
    """(x, y) by the picture's name without its suffix. Raises ValueError, one sentence, for another kind of file."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            header, *lines = list(csv.reader(stream)) or [[]]
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text ({error}); write it again") from error
    if [cell.strip() for cell in header] != _HEADER:
        raise ValueError(f"{path} begins with {','.join(header)!r}, expected {','.join(_HEADER)!r}")
    found = {}
    for number, cells in enumerate(lines, start=2):
        if not cells:
            continue
        try:
            name, x, y = cells[0].strip(), float(cells[1]), float(cells[2])
        except (IndexError, ValueError):
            name, x, y = "", -1.0, -1.0
        if not name or not (0 <= x <= 1 and 0 <= y <= 1):
            raise ValueError(
                f"line {number} of {path} is {','.join(cells)!r}, expected a name and x, y within 0..1"
            )
        found[Path(name).stem] = (x, y)
    return found
