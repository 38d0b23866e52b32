"""Runs the service: uvicorn with bounded request heads, a time limit for slow clients, and graceful shutdown."""

from __future__ import annotations

import ipaddress
import json
import socket
import sys
from asyncio import TimerHandle, Transport
from collections.abc import Sequence
from pathlib import Path

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from deeplens_dof.serve.access import LOOPBACK, Access
from deeplens_dof.serve.app import create_app
from deeplens_dof.serve.limits import ServiceLimits, limits_from
from deeplens_dof.serve.problems import MEDIA_TYPE, problem_body
from deeplens_dof.serve.telemetry import start_logging

_LONGEST_HEAD = 32 * 1024
_SHORTEST_TOKEN = 16


def serve(
    host: str, port: int, token_file: Path | None, allow_hosts: Sequence[str], changed_limits: Sequence[str]
) -> None:
    """Serves until stopped by SIGINT or SIGTERM.

    Args:
        host: address to listen on; 0.0.0.0 or :: for every address.
        port: port to listen on; 0 for any free one.
        token_file: file with the bearer token to require; None requires none.
        allow_hosts: further host names that the service answers to.
        changed_limits: "name=value" each, see `limits_from`.

    Raises:
        ValueError: for an unknown limit and a weak token.
        OSError: when the port cannot be opened or the token file cannot be read.
    """
    limits = limits_from(changed_limits)
    access = Access((*LOOPBACK, *_names_of(host), *allow_hosts), _token(token_file))
    start_logging()
    if not _is_loopback(host) and access.token is None:
        print(
            f"deeplens: {host} accepts connections from other machines without a token; set --token-file",
            file=sys.stderr,
        )
    listening = _listening(host, port)
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    print(
        f"DeepLens is running at http://{_bracketed(shown)}:{listening.getsockname()[1]} (press Ctrl-C to stop)",
        file=sys.stderr,
    )
    config = uvicorn.Config(
        create_app(limits, access),
        http=timed_protocol(limits),
        ws="none",
        loop="asyncio",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=_LONGEST_HEAD,
        timeout_keep_alive=min(limits.read_seconds, 15),
        timeout_graceful_shutdown=limits.job_seconds,
    )
    uvicorn.Server(config).run(sockets=[listening])


def timed_protocol(limits: ServiceLimits) -> type[H11Protocol]:
    """HTTP/1.1 with a time limit for request heads (`read_seconds`), whose own errors are problems."""

    class TimedProtocol(H11Protocol):
        head_timer: TimerHandle | None = None

        def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.head_timer = self.loop.call_later(limits.read_seconds, self._too_slow)

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_timer()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            """Times a request's head from its first byte; `scope` changes once the head is complete."""
            if self.head_timer is None and (self.cycle is None or self.cycle.response_complete):
                self.head_timer = self.loop.call_later(limits.read_seconds, self._too_slow)
            before = self.scope
            super().data_received(data)
            if self.scope is not before:
                self._stop_timer()

        def send_400_response(self, msg: str) -> None:
            body = json.dumps(
                problem_body(400, f"this is not an HTTP request ({msg.rstrip('.')}); check the client")
            )
            head = (
                f"HTTP/1.1 400 Bad Request\r\nContent-Type: {MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\n"
            )
            self.transport.write(f"{head}Connection: close\r\n\r\n{body}".encode())
            self.transport.close()

        def _stop_timer(self) -> None:
            if self.head_timer:
                self.head_timer.cancel()
                self.head_timer = None

        def _too_slow(self) -> None:
            self.head_timer = None
            if not self.transport.is_closing():
                self.transport.close()

    return TimedProtocol


def _token(file: Path | None) -> str | None:
    if file is None:
        return None
    token = file.read_text(encoding="utf-8").strip()
    if len(token) < _SHORTEST_TOKEN or not token.isascii() or any(c.isspace() for c in token):
        raise ValueError(
            f"the token in {file} is not one word of at least {_SHORTEST_TOKEN} plain characters; "
            'make one: python -c "import secrets; print(secrets.token_urlsafe())"'
        )
    return token


def _listening(host: str, port: int) -> socket.socket:
    """A bound socket. Raises OSError with the address, the reason and the remedy."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(
            f"cannot serve at {host}, port {port}: {reason}; choose another --port or --host"
        ) from error
    return listening


def _names_of(host: str) -> list[str]:
    """The host as a browser names it; empty for the wildcard addresses."""
    return [] if host in ("0.0.0.0", "::") else [_bracketed(host)]


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
