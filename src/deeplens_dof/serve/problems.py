"""Errors as RFC 9457 `application/problem+json`: the cause, the expectation and the remedy in one sentence."""

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
    """A refused request.

    status: the HTTP status. detail: one sentence for the caller. headers: further response headers.
    more: further members of the problem, such as `errors`.
    """

    def __init__(
        self, status: int, detail: str, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers, self.more = status, detail, dict(headers or {}), more


class ClientDisconnectedError(Exception):
    """The client has closed its connection."""


def problem_body(status: int, detail: str, **more: Any) -> dict[str, Any]:
    """The members of a problem document."""
    title = HTTPStatus(status).phrase
    return {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail[:_LONGEST_DETAIL],
        **more,
    }


def response(problem: Problem) -> Response:
    """The problem as an HTTP response."""
    content = problem_body(problem.status, problem.detail, **problem.more)
    return JSONResponse(content, problem.status, problem.headers, MEDIA_TYPE)


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI descriptions of the responses with these statuses."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "RFC 9457. `errors`, if present, names the wrong parameters.",
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
    """Makes the application answer every error, the framework's included, with a problem."""

    async def own_problem(_: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return response(error)

    async def framework_error(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return response(Problem(error.status_code, _sentence(error), error.headers))

    async def validation_error(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return response(invalid_parameters(error.errors()))

    app.add_exception_handler(Problem, own_problem)
    app.add_exception_handler(HTTPException, framework_error)
    app.add_exception_handler(RequestValidationError, validation_error)


def invalid_parameters(errors: Any) -> Problem:
    """A 422 that names every wrong parameter. errors: as pydantic lists them."""
    found = [
        {
            "parameter": ".".join(
                str(part) for part in error["loc"] if part not in ("query", "body", "path")
            ),
            "detail": error["msg"],
        }
        for error in errors
    ]
    first = found[0]
    name = first["parameter"] or "the request"
    return Problem(422, f"{name}: {first['detail']}; see /openapi.json", errors=found)


def _sentence(error: HTTPException) -> str:
    if error.status_code == 404:
        return "there is nothing at this address; see /openapi.json"
    if error.status_code == 405:
        return "this address does not support that method; see /openapi.json"
    return str(error.detail)
