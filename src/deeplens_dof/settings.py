"""The settings of focus and lens, each declared once; command line, HTTP API and page are generated from them."""

from __future__ import annotations

import math
from dataclasses import Field, dataclass, field, fields
from numbers import Real
from pathlib import Path
from typing import Any, Literal, TypedDict, get_args

from deeplens_dof.optics.aperture_spec import USAGE, parse_shape, shape_text
from deeplens_dof.types import Renderer

NamedFocus = Literal["subject", "face", "faces"]
Focus = tuple[float, float] | NamedFocus
NAMED_FOCUS: tuple[NamedFocus, ...] = get_args(NamedFocus)


def _setting(
    default: Any,
    help_: str,
    metavar: str,
    group: str,
    unit: str = "",
    limits: tuple[float, float] | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A field with its metadata.

    Args:
        default: value if it is not given.
        help_: sentence for help texts.
        metavar: placeholder of its value in a usage line.
        group: heading under which help texts list it.
        unit: of its value.
        limits: smallest and largest value, both allowed.
        choices: the values it may have.
    """
    low, high = limits or (None, None)
    metadata = {"help": help_, "metavar": metavar, "group": group, "unit": unit}
    return field(default=default, metadata={**metadata, "low": low, "high": high, "choices": choices})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Focus and lens. The metadata of each field holds its help, unit, limits and choices.

    Raises:
        ValueError: a value is outside its limits, or not one of its choices.

    Example:
        >>> Settings(focus="0.4,0.6", shape="Blades:6:0").as_dict()["shape"]
        'blades:6'
    """

    focus: tuple[float, float] | Literal["subject", "face", "faces"] = _setting(
        "subject",
        "Focus point X,Y in the upright picture, 0..1 from the top left; or subject, face (one), faces (all).",
        "X,Y|subject|face|faces",
        "Focus",
    )
    focus_range: float = _setting(
        0.1,
        "Width of the sharp band around the focus, as a share of the depth range.",
        "R",
        "Focus",
        limits=(0.0, 1.0),
    )
    subject_sharp: float = _setting(
        1.0,
        "How much of the subject in focus stays sharp as a whole: 1 all of it, 0 only its part within the focus range.",
        "0..1",
        "Focus",
        limits=(0.0, 1.0),
    )
    f_number: float = _setting(
        1.8,
        "Aperture; a smaller number gives more blur. A phone's photo has the one that the phone simulated.",
        "N",
        "Aperture",
        unit="f/",
        limits=(0.7, 64.0),
    )
    lens_mm: float = _setting(
        50.0, "Full-frame focal length.", "MM", "Aperture", unit="mm", limits=(8.0, 1200.0)
    )
    foreground_blur: float = _setting(
        1.0,
        "Amount of blur before the focus: 1 as the lens gives it, 0 none.",
        "0..2",
        "Aperture",
        limits=(0.0, 2.0),
    )
    background_blur: float = _setting(
        1.0,
        "Amount of blur behind the focus: 1 as the lens gives it, 0 none.",
        "0..2",
        "Aperture",
        limits=(0.0, 2.0),
    )
    shape: str = _setting(
        "disc",
        "Bokeh shape, which out-of-focus points of light take on; or a picture of one.",
        USAGE,
        "Look",
    )
    highlights: float = _setting(
        0.5,
        "Strength of highlight reconstruction before the blur.",
        "0..1",
        "Look",
        limits=(0.0, 1.0),
    )
    grain: float = _setting(
        0.0,
        "Share of the photo's own grain to restore in blurred areas.",
        "0..1",
        "Look",
        limits=(0.0, 1.0),
    )
    renderer: str | Renderer = _setting(  # noqa: RUF009
        "optical",
        "Renderer: optical, matte (hair by a soft matte), neural (borders from a network), paper (the network of 2018).",
        "NAME",
        "Look",
        choices=("optical", "matte", "neural", "paper"),
    )
    nearest_m: float = _setting(
        1.0,
        "Distance of the nearest object; used when depth is relative.",
        "M",
        "Depth",
        unit="m",
        limits=(0.05, 1000.0),
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "focus", parse_focus(self.focus))
        named = parse_shape(self.shape)
        object.__setattr__(self, "shape", shape_text(*named) if named else self.shape)
        for setting in fields(self):
            value, choices = getattr(self, setting.name), setting.metadata["choices"]
            if setting.metadata["low"] is not None:
                object.__setattr__(self, setting.name, _number(setting, value))
            elif choices and value not in choices and not callable(value):
                raise ValueError(f"{setting.name} is {value!r}, expected one of: {', '.join(choices)}")

    @property
    def shape_file(self) -> Path | None:
        """The picture of the aperture if `shape` names a file; None for a built-in shape."""
        return None if parse_shape(self.shape) else Path(self.shape)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for reports and metadata, from which `Settings(**values)` restores the settings.

        Returns:
            Values by field name; the focus is "X,Y", "subject", "face" or "faces". Of a renderer of one's own it is the
            name, which restores nothing.
        """
        values = {setting.name: getattr(self, setting.name) for setting in fields(self)}
        if callable(self.renderer):
            values["renderer"] = getattr(self.renderer, "__qualname__", type(self.renderer).__qualname__)
        if not isinstance(self.focus, str):
            values["focus"] = "{!r},{!r}".format(*self.focus)
        return values


class Changes(TypedDict, total=False):
    """The fields of `Settings` as keyword arguments, for type checkers; a test holds both to each other."""

    focus: Focus
    focus_range: float
    subject_sharp: float
    f_number: float
    lens_mm: float
    foreground_blur: float
    background_blur: float
    shape: str
    highlights: float
    grain: float
    renderer: str | Renderer
    nearest_m: float


def parse_focus(value: Any) -> Focus:
    """The focus given as "subject", "face" or "faces", as "X,Y" or as a pair of numbers 0..1.

    Raises ValueError for anything else.
    """
    if isinstance(value, str):
        for name in NAMED_FOCUS:
            if value.strip().lower() == name:
                return name
    parts = value.split(",") if isinstance(value, str) else value
    try:
        x, y = (float(part) for part in parts)
    except (TypeError, ValueError):
        raise ValueError(
            f"focus is {value!r}, expected 'subject', 'face', 'faces' or X,Y with both from 0 to 1"
        ) from None
    if not (math.isfinite(x) and math.isfinite(y) and 0 <= x <= 1 and 0 <= y <= 1):
        raise ValueError(f"focus is {value!r}, expected X,Y with both from 0 to 1 of the upright picture")
    return x, y


def setting_fields() -> tuple[Field[Any], ...]:
    """The fields of Settings in order, from which options and parameters are generated."""
    return fields(Settings)


def _number(setting: Field[Any], value: Any) -> float:
    """The value as a float. Raises ValueError for NaN, text, bool and values outside the limits."""
    low, high = setting.metadata["low"], setting.metadata["high"]
    if isinstance(value, bool) or not isinstance(value, Real) or not low <= value <= high:
        raise ValueError(f"{setting.name} is {value!r}, expected a number from {low:g} to {high:g}")
    return float(value)
