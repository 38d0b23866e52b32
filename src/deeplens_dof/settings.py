"""What a photographer sets, declared once: command line, HTTP and page are generated from these fields."""

from __future__ import annotations

import math
from dataclasses import Field, dataclass, field, fields
from numbers import Real
from typing import Any, Literal

from deeplens_dof.optics.aperture_spec import USAGE, parse_shape, shape_text

Focus = tuple[float, float] | Literal["subject"]


def _setting(
    default: Any,
    help_: str,
    metavar: str,
    unit: str = "",
    limits: tuple[float, float] | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A field with help, unit, limits (both included), choices, and the name of its value in a usage line."""
    low, high = limits or (None, None)
    metadata = {"help": help_, "metavar": metavar, "unit": unit, "low": low, "high": high, "choices": choices}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Focus and lens. Each field's metadata holds its help, unit and limits; ValueError outside of them."""

    focus: tuple[float, float] | Literal["subject"] = _setting(
        "subject",
        "What is sharp: a point X,Y of the upright picture (0..1 from the top left), or 'subject'.",
        "X,Y|subject",
    )
    focus_range: float = _setting(
        0.1,
        "Width of the band that stays sharp, as a share of the depth range, centred on the focus.",
        "R",
        limits=(0.0, 1.0),
    )
    subject_sharp: float = _setting(
        1.0,
        "How much of the subject in focus is kept sharp as a whole: 1 all of it, 0 only its part within the focus range.",
        "0..1",
        "",
        (0.0, 1.0),
    )
    f_number: float = _setting(1.8, "Aperture: the smaller, the more blur.", "N", "f/", (0.7, 64.0))
    lens_mm: float = _setting(50.0, "Focal length, as on a full-frame camera.", "MM", "mm", (8.0, 1200.0))
    nearest_m: float = _setting(
        1.0, "How far the nearest thing is, when depth is only relative.", "M", "m", (0.05, 1000.0)
    )
    shape: str = _setting(
        "disc",
        "What a point of light becomes out of focus: the shape of the aperture, or a picture of it.",
        USAGE,
    )
    highlights: float = _setting(
        0.5,
        "How much of the light that was clipped at white is recovered before the blur.",
        "0..1",
        "",
        (0.0, 1.0),
    )
    grain: float = _setting(
        0.0,
        "How much of the photo's own grain is put back where it was blurred away.",
        "0..1",
        "",
        (0.0, 1.0),
    )
    renderer: str = _setting(
        "optical",
        "What renders the blur: optical (no network), neural (borders by a network), paper (the network of 2018).",
        "NAME",
        choices=("optical", "neural", "paper"),
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "focus", parse_focus(self.focus))
        named = parse_shape(self.shape)
        object.__setattr__(self, "shape", shape_text(*named) if named else self.shape)
        for each in fields(self):
            value, choices = getattr(self, each.name), each.metadata["choices"]
            if each.metadata["low"] is not None:
                object.__setattr__(self, each.name, _number(each, value))
            elif choices and value not in choices:
                raise ValueError(f"{each.name} is {value!r}, expected one of: {', '.join(choices)}")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for reports and metadata; the focus as "X,Y" or "subject".

        `Settings(**them)` is this again.
        """
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        if self.focus != "subject":
            values["focus"] = "{!r},{!r}".format(*self.focus)
        return values


def parse_focus(value: Any) -> Focus:
    """ "subject", "X,Y" or a pair of numbers to a focus. Raises ValueError for anything else."""
    if isinstance(value, str) and value.strip().lower() == "subject":
        return "subject"
    parts = value.split(",") if isinstance(value, str) else value
    try:
        x, y = (float(part) for part in parts)
    except (TypeError, ValueError):
        raise ValueError(f"focus is {value!r}, expected 'subject' or X,Y with both from 0 to 1") from None
    if not (math.isfinite(x) and math.isfinite(y) and 0 <= x <= 1 and 0 <= y <= 1):
        raise ValueError(f"focus is {value!r}, expected X,Y with both from 0 to 1 of the upright picture")
    return x, y


def setting_fields() -> tuple[Field[Any], ...]:
    """The fields of Settings in order, for those who generate options from them."""
    return fields(Settings)


def _number(setting: Field[Any], value: Any) -> float:
    """The value as a float. Raises ValueError for NaN, text, True and what is beyond the field's limits."""
    low, high = setting.metadata["low"], setting.metadata["high"]
    if isinstance(value, bool) or not isinstance(value, Real) or not low <= value <= high:
        raise ValueError(f"{setting.name} is {value!r}, expected a number from {low:g} to {high:g}")
    return float(value)
