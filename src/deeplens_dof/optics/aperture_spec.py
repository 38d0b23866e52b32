"""Aperture shapes as text, `blades:7:0.5`: names and numbers declared once, parsed and written back."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any


@dataclass(frozen=True, slots=True)
class Number:
    """One number of a shape, low..high. Without a default it is required."""

    name: str
    low: float
    high: float
    default: float | None = None
    whole: bool = False


SHAPES: dict[str, tuple[Number, ...]] = {
    "disc": (),
    "blades": (
        Number("count", 3, 32, whole=True),
        Number("rounding", 0, 1, 0.0),
        Number("rotation_deg", -360, 360, 0.0),
    ),
    "ring": (Number("inner", 0, 0.95, 0.5),),
    "cat-eye": (Number("strength", 0, 1, 1.0),),
    "anamorphic": (Number("ratio", 0.25, 4),),
    "star": (Number("count", 3, 12, 5.0, whole=True), Number("inner", 0.2, 0.9, 0.5)),
    "heart": (),
}
# Everyday names of shapes.
ALSO = {
    "circle": "disc",
    "round": "disc",
    "triangle": "blades:3",
    "square": "blades:4:0:45",
    "diamond": "blades:4",
    "pentagon": "blades:5",
    "hexagon": "blades:6",
    "heptagon": "blades:7",
    "octagon": "blades:8",
    "oval": "anamorphic:1.33",
    "donut": "ring",
    "stars": "star",
    "hearts": "heart",
}
USAGE = (
    "disc|hexagon|star[:N[:INNER]]|heart|blades:N[:ROUND[:DEG]]|ring[:INNER]|cat-eye[:STRENGTH]|"
    "anamorphic:R|KERNEL.png"
)

Named = tuple[str, tuple[float, ...]]


def parse_shape(text: Any) -> Named | None:
    """The name and all numbers of a shape; None when the text names a picture file, which is not opened.

    Everyday names stand for shapes: a hexagon is six blades. A text with a dot or a slash that does not begin with a
    shape's name is a file.

    Raises:
        ValueError: for anything else.
    """
    if not isinstance(text, str):
        raise ValueError(f"shape is {text!r}, expected {USAGE}")
    text = ALSO.get(text.strip().lower(), text)
    name, *given = text.strip().split(":")
    if name.lower() in SHAPES:
        return name.lower(), numbers_of(name.lower(), given)
    if "\0" not in text and (os.path.splitext(text.strip())[1] or "/" in text or os.sep in text):
        return None
    likely = get_close_matches(text.strip().lower(), [*SHAPES, *ALSO], 1)
    meant = f"did you mean {likely[0]}? Or" if likely else "expected"
    raise ValueError(
        f"shape is {text!r}, {meant} disc, hexagon (or another polygon), star, heart, ring, cat-eye, oval, blades:N, "
        f"anamorphic:R, or the file of a picture, white where light passes"
    )


def numbers_of(name: str, given: list[Any]) -> tuple[float, ...]:
    """The numbers of the shape `name`, defaults filled in. Raises ValueError for wrong numbers, too few and too many."""
    numbers = SHAPES[name]
    if len(given) > len(numbers):
        raise ValueError(
            f"shape is {_text(name, given)!r}, expected at most {len(numbers)} numbers after {name}"
        )
    return tuple(
        _checked(name, number, given[index] if index < len(given) else number.default)
        for index, number in enumerate(numbers)
    )


def shape_text(name: str, values: tuple[float, ...]) -> str:
    """The shortest text that `parse_shape` takes for these values."""
    defaults = [number.default for number in SHAPES[name]]
    while values and values[-1] == defaults[len(values) - 1]:
        values = values[:-1]
    return _text(name, [f"{value:.12g}" for value in values])


def _text(name: str, given: list[Any]) -> str:
    return ":".join([name, *(str(number) for number in given)])


def _checked(shape: str, number: Number, given: Any) -> float:
    kind = "a whole number" if number.whole else "a number"
    expected = f"expected {kind} from {number.low:g} to {number.high:g}"
    if given is None:
        raise ValueError(
            f"shape is {shape!r} without its {number.name}, {expected}; say {shape}:{number.low:g}"
        )
    try:
        value = float(given)
    except (TypeError, ValueError):
        value = math.nan
    if (
        isinstance(given, bool)
        or not number.low <= value <= number.high
        or (number.whole and value != math.floor(value))
    ):
        raise ValueError(f"shape is {shape!r} with {number.name} {given!r}, {expected}")
    return value + 0.0
