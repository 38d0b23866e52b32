"""Telemetry: a line of JSON for every request, and Prometheus metrics."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_UNLOGGED = ("/healthz", "/readyz", "/metrics")  # polled every few seconds
log = logging.getLogger("deeplens.serve")


class Metrics:
    """Prometheus metrics of one service, in their own registry."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route")
        self.requests = Counter(
            "deeplens_requests", "Answered requests.", (*labels, "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "deeplens_request_seconds",
            "Time of a request, from its head to the last byte of the response.",
            labels,
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.jobs = Histogram(
            "deeplens_job_seconds",
            "Time of a job, including the wait.",
            ("job",),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.failed = Counter(
            "deeplens_jobs_failed", "Failed jobs, by reason.", ("reason",), registry=self.registry
        )
        self.busy = self._gauge("deeplens_jobs_unfinished", "Jobs that run or wait.")
        self.open = self._gauge("deeplens_requests_open", "Requests being answered.")
        self.photos = self._gauge("deeplens_photos_stored", "Stored photos.")
        self.bytes = self._gauge("deeplens_stored_bytes", "Size of the stored photos and their depth.")
        self.ready = self._gauge("deeplens_ready", "1 once weights are loaded and kernels compiled.")

    def _gauge(self, name: str, help_: str) -> Gauge:
        return Gauge(name, help_, registry=self.registry)

    def as_text(self) -> bytes:
        """The metrics in the Prometheus text format."""
        return generate_latest(self.registry)

    def request(self, method: str, route: str, status: int, seconds: float, **facts: Any) -> None:
        """Counts and logs an answered request.

        Args:
            method: HTTP method.
            route: the route's pattern. Paths are not logged: an id in one gives access to a photo.
            status: HTTP status of the response; 499 when the client disconnected first.
            seconds: time from the request's head to the last byte of the response.
            facts: further fields of the log line.
        """
        self.requests.labels(method, route, str(status)).inc()
        self.seconds.labels(method, route).observe(seconds)
        facts |= {"method": method, "route": route, "status": status, "ms": round(seconds * 1000, 1)}
        if route not in _UNLOGGED or status == 500:
            log.log(logging.ERROR if status == 500 else logging.INFO, "request", extra={"facts": facts})


class JsonLines(logging.Formatter):
    """Formats a log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        facts = {"time": stamp, "level": record.levelname.lower(), "event": record.getMessage()}
        facts |= getattr(record, "facts", {})
        if record.exc_info:
            facts["traceback"] = self.formatException(record.exc_info)
        return json.dumps(facts, ensure_ascii=True)


def start_logging() -> None:
    """Logs as JSON lines to standard error, uvicorn's messages included."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("deeplens.serve", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)
