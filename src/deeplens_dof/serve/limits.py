"""The limits of the service, declared once: `/v1/limits` and `--limit NAME=VALUE` are derived from these fields."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from deeplens_dof.photo import SERVICE_LIMITS, Limits


def _limit(default: Any, unit: str, help_: str) -> Any:
    facts = {"unit": unit, "help": help_}
    if callable(default):
        return field(default_factory=default, metadata=facts)
    return field(default=default, metadata=facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceLimits:
    """Sizes, times and counts, all whole numbers of at least 1. Raises ValueError for others."""

    max_body_bytes: int = _limit(SERVICE_LIMITS.max_bytes, "bytes", "Maximum size of a request body.")
    max_pixels: int = _limit(SERVICE_LIMITS.max_pixels, "px", "Maximum pixel count of a photo.")
    max_side_px: int = _limit(SERVICE_LIMITS.max_side, "px", "Maximum side of a photo.")
    max_progressive_jpeg_pixels: int = _limit(
        SERVICE_LIMITS.max_progressive_jpeg_pixels, "px", "Maximum pixel count of a progressive JPEG."
    )
    preview_pixels: int = _limit(1_000_000, "px", "Approximate pixels of a preview.")
    read_seconds: int = _limit(10, "s", "Time to receive a request's head, and again for its body.")
    decode_seconds: int = _limit(10, "s", "Time to open a photo; then its worker is killed and replaced.")
    job_seconds: int = _limit(60, "s", "Time for any other job; then its worker is killed and replaced.")
    workers: int = _limit(lambda: os.cpu_count() or 1, "processes", "Jobs that run in parallel.")
    queue: int = _limit(4, "jobs", "Jobs that may wait; one more is refused with 429 and Retry-After.")
    worker_memory_bytes: int = _limit(4_000_000_000, "bytes", "Maximum memory of a worker.")
    worker_cache_bytes: int = _limit(600_000_000, "bytes", "Opened photos that a worker caches between jobs.")
    stored_photos: int = _limit(
        64, "photos", "Maximum number of stored photos; the least recently used is deleted first."
    )
    stored_bytes: int = _limit(1_000_000_000, "bytes", "Maximum size of all stored photos and their depth.")
    stored_seconds: int = _limit(900, "s", "Time after which an unused photo is deleted.")
    max_requests: int = _limit(512, "requests", "Requests answered in parallel.")

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"the limit {limit.name} is {value!r}, expected a whole number of at least 1"
                )

    def as_dict(self) -> dict[str, int]:
        return asdict(self)

    def for_photos(self) -> Limits:
        """The limits that apply to reading a photo."""
        return Limits(
            max_pixels=self.max_pixels,
            max_side=self.max_side_px,
            max_bytes=self.max_body_bytes,
            max_progressive_jpeg_pixels=self.max_progressive_jpeg_pixels,
        )


def limits_from(texts: Sequence[str]) -> ServiceLimits:
    """The default limits with some changed.

    Args:
        texts: "name=value" each; "-" may stand for "_" in a name.

    Raises:
        ValueError: for an unknown name, and a value that is not a whole number of at least 1.
    """
    known = {limit.name for limit in fields(ServiceLimits)}
    changed: dict[str, int] = {}
    for text in texts:
        name, _, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if name not in known:
            raise ValueError(f"there is no limit {name!r}; the limits are: {', '.join(sorted(known))}")
        try:
            changed[name] = int(value.replace("_", ""))
        except ValueError:
            raise ValueError(
                f"the limit {name} is {value!r}, expected a whole number: {name}=NUMBER"
            ) from None
    return ServiceLimits(**changed)
