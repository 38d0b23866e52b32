"""Boxes of files laid out like ISO base media (ISO/IEC 14496-12, section 4.2): JPEG XL and Canon's CR3."""

from __future__ import annotations

from collections.abc import Iterator

_MOST_BOXES = 10_000


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start of the content, end of the content) of each box in `data[start:end]`.

    Stops at the first box that does not fit.
    """
    end = len(data) if end is None else min(end, len(data))
    at = start
    for _ in range(_MOST_BOXES):
        if at + 8 > end:
            return
        size, kind, body = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], at + 8
        if size == 1:
            size, body = int.from_bytes(data[at + 8 : at + 16], "big"), at + 16
        elif size == 0:  # to the end
            size = end - at
        if size < body - at or at + size > end:
            return
        yield kind, body, at + size
        at += size


def box(kind: bytes, content: bytes) -> bytes:
    """The bytes of one box. Raises ValueError beyond 4 GiB."""
    if len(content) > 0xFFFF_FFF0:
        raise ValueError(f"{len(content):,} bytes do not fit into a box of 4 GiB")
    return (8 + len(content)).to_bytes(4, "big") + kind + content
