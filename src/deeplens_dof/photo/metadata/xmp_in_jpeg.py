"""XMP longer than one JPEG segment (XMP specification part 3, section 1.1.3.1): splitting and joining.

The main packet names the MD5 of the extended one, which is cut into APP1 segments, each with that name, the total length
and its offset.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from deeplens_dof.photo.metadata import xmp
from deeplens_dof.photo.metadata.xmp_tree import parse_packet

LONGEST_MAIN_BYTES = 65_502
_HEADER = b"http://ns.adobe.com/xmp/extension/\0"
_LONGEST_CHUNK_BYTES = 65_000
_LONGEST_NOTE_BYTES = 400
_LONGEST_JOINED_BYTES = 1 << 27


def joined(main: bytes | None, segments: Iterable[bytes]) -> bytes | None:
    """The main packet of a JPEG with its extended packet merged in.

    segments: payloads of the APP1 segments. The extended packet is ignored when it is incomplete or cannot be merged.
    """
    if main is None:
        return None
    try:
        layout = xmp.scanned(main, frozenset({f"{xmp.NOTE} HasExtendedXMP"}))
    except xmp.PacketError:
        return main
    edits = [*layout.notes, *layout.unwanted]
    if layout.extended and layout.rdf_end is not None:
        extension = _assembled(layout.extended.encode("latin-1", "replace"), segments)
        inside = _inside(extension, layout) if extension is not None else None
        if inside is not None:
            edits.append((layout.rdf_end, layout.rdf_end, inside))
    return xmp.edited(main, edits)


def split(
    packet: bytes, heavy: Mapping[str, str] = MappingProxyType({}), spare: int = 0
) -> tuple[bytes, bytes]:
    """A main packet that fits into one segment, and complete APP1 segments with the rest, which may be empty.

    spare: bytes of the segment that are left free.

    heavy: properties to split off first, as "namespace local-name" -> prefixed name in the extended packet. If that is not
    enough, everything but our own settings is split off.
    """
    longest = LONGEST_MAIN_BYTES - spare
    if len(packet) <= longest:
        return packet, b""
    layout = xmp.scanned(packet, frozenset(heavy))
    main, extension = xmp.edited(packet, layout.unwanted), None
    if len(main) < longest - _LONGEST_NOTE_BYTES - 6 * len(layout.about):
        extension = _alone(packet, heavy, layout.about)
    if extension is None:
        main, extension = xmp.with_settings(None, layout.settings), xmp.edited(packet, layout.ours)
    name = hashlib.md5(extension, usedforsecurity=False).hexdigest().upper().encode()
    place = xmp.scanned(main).rdf_end
    assert place is not None
    about = layout.about.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    note = (
        f'<rdf:Description xmlns:rdf="{xmp.RDF}" rdf:about="{about}" xmlns:xmpNote="{xmp.NOTE}" '
        'xmpNote:HasExtendedXMP="'
    ).encode()
    main = xmp.edited(main, [(place, place, note + name + b'"/>')])
    segments = []
    for offset in range(0, len(extension), _LONGEST_CHUNK_BYTES):
        chunk = extension[offset : offset + _LONGEST_CHUNK_BYTES]
        payload = _HEADER + name + struct.pack(">II", len(extension), offset) + chunk
        segments.append(b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload)
    return main, b"".join(segments)


def _alone(packet: bytes, heavy: Mapping[str, str], about: str) -> bytes | None:
    """A packet of the heavy properties only; None when there are none, or the packet is too complex."""
    try:
        nodes = list(parse_packet(packet).all())
    except xmp.PacketError:
        return None
    found: dict[str, str] = {}
    namespaces: dict[str, str] = {}
    for name, text in (
        (n, t) for node in nodes for n, t in ((node.name, node.text), *node.attributes.items())
    ):
        if name in heavy:
            found.setdefault(heavy[name], text)
            namespaces[heavy[name].partition(":")[0]] = name.rpartition(" ")[0]
    return xmp.with_properties(None, [found], namespaces, about) if found else None


def _assembled(name: bytes, segments: Iterable[bytes]) -> bytes | None:
    """The extended packet of that name; None unless all its bytes are present."""
    chunks: dict[int, bytes] = {}
    length = 0
    for segment in segments:
        head = len(_HEADER) + 32
        if segment.startswith(_HEADER + name) and len(segment) >= head + 8:
            length, offset = struct.unpack_from(">II", segment, head)
            chunks[offset] = segment[head + 8 :]
    if not 0 < length <= _LONGEST_JOINED_BYTES:
        return None
    parts = []
    at = 0
    for offset, chunk in sorted(chunks.items()):
        if offset != at:
            return None
        parts.append(chunk)
        at += len(chunk)
    whole = b"".join(parts)
    return whole if len(whole) == length else None


def _inside(extension: bytes, main: xmp.PacketLayout) -> bytes | None:
    """The content of the extended packet's rdf:RDF; None when an outer prefix means another namespace."""
    try:
        layout = xmp.scanned(extension)
    except xmp.PacketError:
        return None
    if layout.rdf_start is None or layout.rdf_end is None:
        return None
    if any(
        main.outer_prefixes.get(prefix, "") != uri
        for prefix, uri in layout.outer_prefixes.items()
        if prefix != "x"
    ):
        return None
    return extension[layout.rdf_start : layout.rdf_end]
