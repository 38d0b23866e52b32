"""Dynamic Depth 1.0: files appended to the photo in one JPEG and listed in its XMP, one of them a depth picture.

The list (Container:Directory, in Google's two namespaces) starts with the photo, followed by the appended files in order.
Every length and offset is checked against the file before it is used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from deeplens_dof.photo.metadata.xmp_tree import Node, properties
from deeplens_dof.photo.phone_depth import gdepth
from deeplens_dof.photo.phone_depth.range_map import BrokenDepthError, RangeMap, as_property, range_map

DYNAMIC_DEPTH = "Dynamic Depth"
_OLD = "http://ns.google.com/photos/1.0/"
_NEW = "http://ns.google.com/photos/dd/1.0/"
CONTAINERS = (f"{_OLD}container/", f"{_NEW}container/")
_ITEMS = (f"{_OLD}container/item/", f"{_NEW}item/")
_MAP, _IMAGE = f"{_NEW}depthmap/", f"{_NEW}image/"
NAMESPACES = (
    *CONTAINERS,
    *_ITEMS,
    *(f"{_NEW}{part}/" for part in ("device", "profile", "camera", "depthmap", "image")),
)
_MOST_ITEMS = 32
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # in coded light: no stuffed zero, restart or fill byte
_END, _SCAN = 0xD9, 0xDA
_BARE = (0x01, *range(0xD0, 0xD8))  # markers without a length


@dataclass(frozen=True, slots=True)
class ContainerItem:
    """An appended file; start and length in bytes of the whole file."""

    uri: str
    semantic: str
    start: int
    length: int


def read_dynamic_map(root: Node, data: bytes, size: tuple[int, int], orientation: int) -> RangeMap | None:
    """The depth map appended to a JPEG, upright; None when its XMP lists none.

    size: (width, height) of the photo as stored, in px. Raises BrokenDepthError.
    """
    facts = _first(root, _MAP)
    if not facts:
        return None
    wanted, semantic = facts.get("DepthURI", ""), facts.get("ItemSemantic", "Depth")
    for item in items(root, data):
        if item.uri == wanted if wanted else item.semantic == semantic:
            picture = data[item.start : item.start + item.length]
            return range_map(DYNAMIC_DEPTH, facts, picture, size, orientation)
    raise BrokenDepthError(
        f"{DYNAMIC_DEPTH} whose picture {as_property(wanted or semantic)} is not in the file's list; copy the photo again"
    )


def read_dynamic_original(root: Node, data: bytes) -> bytes | None:
    """The file listed as the original of the camera's image; None when there is none, or it is no JPEG or PNG.

    Raises BrokenDepthError for a list that does not fit the file.
    """
    facts = _first(root, _IMAGE)
    uri = facts.get("ItemURI")
    if not uri or facts.get("ItemSemantic", "").lower() != "original":
        return None
    for item in items(root, data):
        if item.uri == uri:
            return gdepth.original_or_none(data[item.start : item.start + item.length])
    return None


def items(root: Node, data: bytes) -> list[ContainerItem]:
    """The files listed after the photo. Raises BrokenDepthError for a list that does not fit the file."""
    listed = [
        facts
        for node in root.all()
        if node.name.rpartition(" ")[2] in ("Item", "li") and (facts := properties(node, _ITEMS))
    ]
    if not 2 <= len(listed) <= _MOST_ITEMS:
        raise BrokenDepthError(
            f"{DYNAMIC_DEPTH} with a list of {len(listed)} files, expected 2 to {_MOST_ITEMS}"
        )
    found: list[ContainerItem] = []
    at = end_of_jpeg(data) + _bytes_of(listed[0], "Padding", "0")
    start = length = 0
    for facts in listed[1:]:
        own = _bytes_of(facts, "Length", "")
        if own or not found:  # a file without a length is the one before it
            start, length = at, own
            at += own + _bytes_of(facts, "Padding", "0")
        if not length or start + length > len(data):
            raise BrokenDepthError(
                f"{DYNAMIC_DEPTH} with a file of {length:,} bytes at {start:,}, expected it within the {len(data):,} bytes "
                "that there are; copy the photo again"
            )
        found.append(ContainerItem(facts.get("DataURI", ""), facts.get("Semantic", ""), start, length))
    return found


def end_of_jpeg(data: bytes) -> int:
    """Where the first picture of a JPEG file ends, in bytes. Raises BrokenDepthError when its end is not marked."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == _END:
            return at + 2
        if marker == 0xFF:  # a fill byte
            at += 1
        elif marker in _BARE:
            at += 2
        else:
            at += 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
            if marker == _SCAN:
                found = _MARKER.search(data, at)
                at = found.start() if found else len(data)
    if data[at : at + 2] == b"\xff\xd9":
        return at + 2
    raise BrokenDepthError(f"{DYNAMIC_DEPTH} behind a photo whose end is not marked; copy the photo again")


def _first(root: Node, namespace: str) -> dict[str, str]:
    """The properties of the first element with any in this namespace."""
    found = (properties(node, (namespace,)) for node in root.all())
    return next((facts for facts in found if facts), {})


def _bytes_of(facts: dict[str, str], name: str, otherwise: str) -> int:
    """A number of bytes; 0 when the text is not one."""
    text = facts.get(name, otherwise).strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else 0
