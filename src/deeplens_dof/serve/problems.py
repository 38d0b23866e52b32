"""Every error as RFC 9457 `application/problem+json`: what came, what was expected, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

MEDIA_TYPE = "application/problem+json"
_LONGEST_DETAIL = 600


class Problem(Exception):
    """A request that is not answered. detail: one sentence for the caller. more: further members, such as `errors`."""

    def __init__(
        self, status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers, self.more = status, detail, dict(headers or {}), more


class ClientDisconnectedError(Exception):
    """Whoever asked has hung up."""


def problem_body(status: int, detail: str, **more: Any) -> dict[str, Any]:
    """The members of a problem."""
    title = HTTPStatus(status).phrase
    return {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail[:_LONGEST_DETAIL],
        **more,
    }


def response(problem: Problem) -> Response:
    """The problem as an answer."""
    content = problem_body(problem.status, problem.detail, **problem.more)
    return JSONResponse(content, problem.status, problem.headers, MEDIA_TYPE)


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of these errors."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "RFC 9457. `errors`, where there is one, names the parameters that are wrong.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"parameter": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}


def install(app: FastAPI) -> None:
    """Turns what the framework raises into problems, too."""

    async def own(_: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return response(error)

    async def of_framework(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return response(Problem(error.status_code, _sentence(error), error.headers))

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return response(invalid_parameters(error.errors()))

    app.add_exception_handler(Problem, own)
    app.add_exception_handler(HTTPException, of_framework)
    app.add_exception_handler(RequestValidationError, invalid)


def invalid_parameters(errors: Any) -> Problem:
    """A 422 that names every wrong parameter. errors: as pydantic lists them."""
    found = [
        {
            "parameter": ".".join(str(part) for part in each["loc"] if part not in ("query", "body", "path")),
            "detail": each["msg"],
        }
        for each in errors
    ]
    first = found[0]
    name = first["parameter"] or "the request"
    return Problem(422, f"{name}: {first['detail']}; see /openapi.json", errors=found)


def _sentence(error: HTTPException) -> str:
    if error.status_code == 404:
        return "there is nothing at this address; see /openapi.json"
    if error.status_code == 405:
        return "this address does not take that method; see /openapi.json"
    return str(error.detail)
