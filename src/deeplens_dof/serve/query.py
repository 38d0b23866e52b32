"""The query parameters of a blurred picture, derived from `Settings`, which declares names, help, ranges and defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, create_model
from pydantic import Field as Parameter

from deeplens_dof.optics.aperture_spec import SHAPES
from deeplens_dof.serve.problems import Problem
from deeplens_dof.settings import Settings, setting_fields

_EXAMPLES = {
    "focus": ["subject", "face", "faces", "0.4,0.6"],
    "shape": ["disc", "blades:7:0.3"],
    "f_number": [1.8],
}
_SHARE = r"(0(\.\d+)?|1(\.0+)?)"
# What clients should send; the service takes a little more, such as spaces.
_PATTERNS = {
    "focus": f"^(subject|faces?|{_SHARE},{_SHARE})$",
    "shape": f"^({'|'.join(SHAPES)})(:-?\\d+(\\.\\d+)?)*$",
}


class Rendering(BaseModel):
    """Size and format of the response."""

    model_config = ConfigDict(extra="forbid")

    size: Annotated[
        Literal["preview", "full"],
        Parameter(description="preview: about 1 MP, or the photo's size if smaller; no metadata."),
    ] = "full"
    format: Annotated[
        Literal["jpeg", "png"], Parameter(description="png keeps 16 bits of a 16-bit photo.")
    ] = "jpeg"
    lens_points: Annotated[
        int | None,
        Parameter(
            ge=1, le=4096, description="Maximum number of lens samples; 32 suits previews while dragging."
        ),
    ] = None
    quality: Annotated[
        int | None, Parameter(ge=1, le=100, description="JPEG quality; about that of the photo unless given.")
    ] = None
    keep_gps: Annotated[bool, Parameter(description="Keep the GPS location in the metadata.")] = False


def _parameter(setting: Field[Any]) -> Any:
    facts = setting.metadata
    described = {"description": facts["help"], "examples": _EXAMPLES.get(setting.name)}
    if facts["low"] is not None:
        number = Parameter(ge=facts["low"], le=facts["high"], allow_inf_nan=False, **described)
        return Annotated[float, number], setting.default
    if facts["choices"]:
        return Annotated[Literal[facts["choices"]], Parameter(**described)], setting.default
    pattern: dict[str, Any] = {"pattern": _PATTERNS[setting.name]}
    return Annotated[str, Parameter(max_length=200, json_schema_extra=pattern, **described)], setting.default


BlurQuery: Any = create_model(
    "BlurQuery", __base__=Rendering, **{setting.name: _parameter(setting) for setting in setting_fields()}
)


def settings_as_shot(query: Any, settings: Settings, f_number: float) -> Settings:
    """The settings of a query; where it names no f-number, with that of the photo (`pipeline.as_shot`)."""
    return settings if "f_number" in query.model_fields_set else replace(settings, f_number=f_number)


def settings_from(query: Any) -> Settings:
    """The settings in a validated query. Raises Problem 422 for a point outside the picture or an unknown shape."""
    values = {setting.name: getattr(query, setting.name) for setting in setting_fields()}
    try:
        settings = Settings(**values)
        if settings.shape_file:
            raise ValueError(
                f"shape is {values['shape']!r}, a file name; the service reads no files, so name a shape"
            )
    except ValueError as error:
        name = str(error).split(" ", 1)[0]
        raise Problem(422, str(error), errors=[{"parameter": name, "detail": str(error)}]) from None
    return settings


def describe_settings() -> list[dict[str, Any]]:
    """Name, help, unit, range, choices and default of every setting; the page builds its controls from them."""
    return [_describe(setting) for setting in setting_fields()]


def _describe(setting: Field[Any]) -> dict[str, Any]:
    facts: Mapping[str, Any] = setting.metadata
    names = ("help", "unit", "low", "high", "choices")
    return {"name": setting.name, "default": setting.default} | {name: facts[name] for name in names}
