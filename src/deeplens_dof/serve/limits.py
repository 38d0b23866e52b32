"""What the service takes and for how long, declared once: `/v1/limits` and `--limit NAME=VALUE` come from these fields."""

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
    """All are whole numbers of at least 1. Raises ValueError for others."""

    max_body_bytes: int = _limit(SERVICE_LIMITS.max_bytes, "bytes", "A request's body.")
    max_pixels: int = _limit(SERVICE_LIMITS.max_pixels, "px", "Width times height of a photo.")
    max_side_px: int = _limit(SERVICE_LIMITS.max_side, "px", "A side of a photo.")
    max_progressive_jpeg_pixels: int = _limit(
        SERVICE_LIMITS.max_progressive_jpeg_pixels, "px", "Width times height of a progressive JPEG."
    )
    preview_pixels: int = _limit(1_000_000, "px", "Width times height of a preview, about.")
    read_seconds: int = _limit(10, "s", "Until a request's head, and then its body, has come in.")
    decode_seconds: int = _limit(10, "s", "Opening a photo; then its worker is killed and replaced.")
    job_seconds: int = _limit(60, "s", "Any other job; then its worker is killed and replaced.")
    workers: int = _limit(lambda: os.cpu_count() or 1, "processes", "Jobs that run at a time.")
    queue: int = _limit(4, "jobs", "Jobs that wait; one more is answered with 429 and Retry-After.")
    worker_memory_bytes: int = _limit(4_000_000_000, "bytes", "What a worker may grow to in a job.")
    worker_cache_bytes: int = _limit(600_000_000, "bytes", "Opened photos that a worker keeps between jobs.")
    stored_photos: int = _limit(64, "photos", "Stored at a time; the one not used for longest goes first.")
    stored_bytes: int = _limit(1_000_000_000, "bytes", "All stored photos with their depth.")
    stored_seconds: int = _limit(900, "s", "A photo that nobody used for so long is deleted.")
    max_requests: int = _limit(512, "requests", "Being answered at a time.")

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"the limit {each.name} is {value!r}, expected a whole number of at least 1")

    def as_dict(self) -> dict[str, int]:
        return asdict(self)

    def for_photos(self) -> Limits:
        """The same bounds for those who read photos."""
        return Limits(
            max_pixels=self.max_pixels,
            max_side=self.max_side_px,
            max_bytes=self.max_body_bytes,
            max_progressive_jpeg_pixels=self.max_progressive_jpeg_pixels,
        )


def limits_from(texts: Sequence[str]) -> ServiceLimits:
    """The usual limits with those changed that are named, each as "name=value". Raises ValueError for others."""
    known = {each.name for each in fields(ServiceLimits)}
    changed: dict[str, int] = {}
    for text in texts:
        name, _, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if name not in known:
            raise ValueError(f"there is no limit {name!r}; there are: {', '.join(sorted(known))}")
        try:
            changed[name] = int(value.replace("_", ""))
        except ValueError:
            raise ValueError(
                f"the limit {name} is {value!r}, expected a whole number: {name}=NUMBER"
            ) from None
    return ServiceLimits(**changed)
