"""Whether a map can show the same frame as its photo."""

from __future__ import annotations

LARGEST_ASPECT_DIFFERENCE = 0.02


def aspects_differ(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes (height, width) in px cannot show the same frame.

    Their aspect ratios then differ by more than 2 %, and by more than one pixel of `other`, which may come from rounding.
    """
    (height, width), (rows, columns) = size, other
    ideal = rows * width / max(height, 1)
    if abs(columns - ideal) <= max(1.0, LARGEST_ASPECT_DIFFERENCE * ideal):
        return False
    return abs(rows - columns * height / max(width, 1)) > 1.0
