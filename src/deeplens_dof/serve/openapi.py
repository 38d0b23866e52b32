"""The OpenAPI description for generators of clients: named operations, typed answers, pictures by content type."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field

from deeplens_dof.serve.problems import SCHEMA, problem_responses

EVERYWHERE = (400, 401, 403, 421, 422, 429, 503)
Responses = dict[int | str, dict[str, Any]]
_BINARY = {"type": "string", "format": "binary"}


# Of the upright picture, from the top left; the limits are told, not checked.
Place = Annotated[float, Field(json_schema_extra={"minimum": 0, "maximum": 1})]


class SentFace(BaseModel):
    """A face in a photo."""

    box: tuple[Place, Place, Place, Place] = Field(description="left, top, right, bottom")
    eyes: tuple[tuple[Place, Place], tuple[Place, Place]] = Field(
        description="x, y of both eyes, the left one in the picture first"
    )
    focus: tuple[Place, Place] = Field(description="x, y of the nearer eye, to focus on")
    score: Place = Field(description="how sure it is a face")


class SentPhoto(BaseModel):
    """A stored photo and what was found out about it."""

    model_config = ConfigDict(extra="allow")

    id: str = Field(description="Its address is /v1/photos/{id}.")
    width: int = Field(ge=1, description="Of the upright picture, px.")
    height: int = Field(ge=1, description="Of the upright picture, px.")
    subject: tuple[Place, Place] = Field(description="x,y of the default focus, 0..1 from the top left.")
    subject_confidence: Place = Field(description="How clearly something stands out as the subject.")
    depth_source: str = Field(
        description="predicted, embedded, given, repaired, or the name of the depth file."
    )
    f_number: float = Field(
        description="At which it is blurred unless the query has one: a phone's own, or the default."
    )
    faces: list[SentFace] = Field(description="The most prominent first.")


class Setting(BaseModel):
    """One setting, as the page builds its controls from it."""

    model_config = ConfigDict(extra="allow")

    name: str
    help: str
    unit: str
    default: float | str
    low: float | None
    high: float | None
    choices: list[str]


def operation_id(route: APIRoute) -> str:
    """The name of the route's function."""
    return route.name


def pictures(description: str, *media_types: str) -> Responses:
    """The OpenAPI description of a picture in one of these types."""
    content = {media_type: {"schema": _BINARY} for media_type in media_types}
    return {200: {"description": description, "content": content}}


def picture_responses(description: str, *media_types: str, also: tuple[int, ...] = ()) -> Responses:
    """`pictures`, and the problems that any request may meet, those of `also` too."""
    return pictures(description, *media_types) | problem_responses(*EVERYWHERE, *also)


def _form(fields: dict[str, Any]) -> dict[str, Any]:
    return {"schema": {"type": "object", "required": ["file"], "properties": fields}}


def _body(content: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": content}}


PHOTO_FORM = _body(
    {
        "multipart/form-data": _form(
            {
                "file": {**_BINARY, "description": "The photo."},
                "depth": {**_BINARY, "description": "A depth file, or the text auto, embedded or predict."},
            }
        )
    }
)
PNG_BODY = _body(
    {
        "image/png": {"schema": _BINARY},
        "multipart/form-data": _form({"file": {**_BINARY, "description": "The PNG."}}),
    }
)


def describe(app: FastAPI) -> dict[str, Any]:
    """The description of all routes, with the Problem schema and the bearer token added; made once."""
    if not app.openapi_schema:
        made = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        made.setdefault("components", {}).setdefault("schemas", {})["Problem"] = SCHEMA
        made["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        app.openapi_schema = made
    return app.openapi_schema
