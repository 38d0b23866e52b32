"""Access control for every request: host, origin and token; size and time of bodies; security headers; the log."""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deeplens_dof.serve.limits import ServiceLimits
from deeplens_dof.serve.problems import ClientDisconnectedError, Problem, response
from deeplens_dof.serve.telemetry import Metrics, log

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}
_CROSS_SITE = "the request comes from a page of another site, which may not use this service"
_METHODS = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Access:
    """Who may use the service.

    hosts: names under which it is reached, without the port.
    token: the bearer token that the API requires; None requires none.
    """

    hosts: Sequence[str] = LOOPBACK
    token: str | None = None

    def check(self, scope: Scope, headers: Headers) -> None:
        """Raises Problem 400 (Host), 401 (token), 403 (another site) or 421 (unknown host)."""
        if len(headers.getlist("host")) != 1:
            raise Problem(400, "the request has no Host header, or several; send one")
        host = headers["host"]
        if _without_port(host) not in {name.lower() for name in self.hosts}:
            raise Problem(
                421, "this service does not answer to that host name; allow it with --allow-host NAME"
            )
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            raise Problem(403, _CROSS_SITE)
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and scope["path"] != "/":
            raise Problem(403, _CROSS_SITE)
        guarded = scope["path"].startswith("/v1/") or scope["path"] in ("/metrics", "/openapi.json")
        if self.token is not None and guarded and not self._has_token(headers.get("authorization", "")):
            raise Problem(
                401,
                "this service requires a token; send the header Authorization: Bearer TOKEN",
                {"WWW-Authenticate": "Bearer"},
            )

    def _has_token(self, authorization: str) -> bool:
        kind, _, given = authorization.partition(" ")
        same = hmac.compare_digest(given.strip().encode(), (self.token or "").encode())
        return kind.lower() == "bearer" and same


class Guard:
    """ASGI middleware: access checks, bounded bodies, request ids, security headers, metrics."""

    def __init__(self, app: ASGIApp, access: Access, limits: ServiceLimits, metrics: Metrics) -> None:
        self.app, self.access, self.limits, self.metrics = app, access, limits, metrics
        self.open = self.bodies = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(self, scope, receive, send)
        self.open += 1
        self.metrics.open.set(self.open)
        try:
            await exchange.run()
        finally:
            self.open -= 1
            self.metrics.open.set(self.open)


class _Exchange:
    """One request and its response."""

    def __init__(self, guard: Guard, scope: Scope, receive: Receive, send: Send) -> None:
        self.guard, self.scope, self._receive, self._send = guard, scope, receive, send
        self.headers = Headers(scope=scope)
        given = self.headers.get("x-request-id", "")
        self.id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        self.started = time.monotonic()
        self.status, self.sent_bytes, self.received_bytes = 0, 0, 0
        self.method = str(scope["method"])
        if self.method == "HEAD":  # answered as GET is, without the body
            self.scope = scope = {**scope, "method": "GET"}
        self.body_complete = False

    async def run(self) -> None:
        guard, counted = self.guard, False
        try:
            if guard.open > guard.limits.max_requests:
                raise Problem(503, "too many requests are being answered; try again", {"Retry-After": "2"})
            guard.access.check(self.scope, self.headers)
            if self.scope["method"] in ("POST", "PUT", "PATCH"):
                self._check_length()
                if guard.bodies >= guard.limits.queue + guard.limits.workers:
                    raise Problem(429, "too many photos are being sent; try again", {"Retry-After": "2"})
                guard.bodies += 1
                counted = True
            await guard.app(self.scope, self.receive, self.send)
        except Exception as error:
            await self._answer(error)
        finally:
            if counted:
                guard.bodies -= 1
            self._record()

    def _check_length(self) -> None:
        length = self.headers.get("content-length", "0")
        if not length.isdigit():
            raise Problem(400, "Content-Length is not a number; send the size of the body in bytes")
        if int(length) > self.guard.limits.max_body_bytes:
            raise self._too_large()

    def _too_large(self) -> Problem:
        most = self.guard.limits.max_body_bytes
        return Problem(
            413, f"the body is larger than {most:,} bytes; send a smaller photo", {"Connection": "close"}
        )

    async def receive(self) -> Message:
        """The next part of the body. Raises Problem 408 (too slow) or 413 (too large)."""
        if self.body_complete:
            return await self._receive()
        left = self.started + self.guard.limits.read_seconds - time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), max(left, 0.001))
        except TimeoutError:
            raise Problem(
                408,
                f"the request was not complete after {self.guard.limits.read_seconds} s; send it faster",
                {"Connection": "close"},
            ) from None
        self.received_bytes += len(message.get("body", b""))
        if self.received_bytes > self.guard.limits.max_body_bytes:
            raise self._too_large()
        self.body_complete = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers.update(SECURITY_HEADERS | {"X-Request-ID": self.id})
            headers.setdefault("Cache-Control", "no-store")
        elif self.method == "HEAD":
            if message.get("more_body"):
                return
            message = {"type": "http.response.body", "body": b""}
        self.sent_bytes += len(message.get("body", b""))
        await self._send(message)

    async def _answer(self, error: Exception) -> None:
        """Sends the problem, or 500 for an internal error, unless a response has already begun."""
        if isinstance(error, ClientDisconnectedError):
            return
        problem = error if isinstance(error, Problem) else _cause(error)
        if problem is None:
            log.error("failed", exc_info=error, extra={"facts": {"request": self.id}})
            problem = Problem(
                500, "an internal error; the server log has it under the X-Request-ID of this response"
            )
        if not self.status:
            await response(problem)(self.scope, self._receive, self.send)

    def _record(self) -> None:
        route: Any = self.scope.get("route")
        path = getattr(route, "path", None) or "none"
        seconds = time.monotonic() - self.started
        facts = {"request": self.id, "in": self.received_bytes, "out": self.sent_bytes}
        method = self.method if self.method in _METHODS else "OTHER"
        self.guard.metrics.request(method, path, self.status or 499, seconds, **facts)


def _cause(error: BaseException | None) -> Problem | None:
    """The Problem inside an error of the framework, if one was raised while a body was read."""
    while error is not None and not isinstance(error, Problem):
        error = error.__cause__ or error.__context__
    return error


def _without_port(host: str) -> str:
    return re.sub(r":\d*$", "", host).lower().removesuffix(".")
