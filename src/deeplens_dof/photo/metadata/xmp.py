"""XMP packets (ISO 16684-1), kept byte for byte except for our settings and properties that turning makes wrong.

A packet is never re-serialised: expat locates the edits and only those bytes change, so that prefixes, comments and
white space of other programs survive. Packets with a document type, and thus with entities, are rejected.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pyexpat import ExpatError, ParserCreate
from typing import Any
from xml.sax.saxutils import escape, quoteattr

NAMESPACE = "https://ns.deeplens-dof.org/1.0/"
_PREFIX = "deeplens"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
TIFF = "http://ns.adobe.com/tiff/1.0/"
NOTE = "http://ns.adobe.com/xmp/note/"

_MOST_ELEMENTS = 200_000
_MOST_DEPTH = 200
_OPENING = b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
_CLOSING = b'\n<?xpacket end="w"?>'
_ATTRIBUTE = re.compile(rb"\s+([^\s=]+)\s*=\s*(?:\"[^\"]*\"|'[^']*')")
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


class PacketError(ValueError):
    """An XMP packet that is not well-formed, has a document type, or is nested too deeply."""


def checked(packet: bytes | str | None) -> bytes | None:
    """A packet as UTF-8 with orientation 1; None when there is none, or it is not acceptable XML with RDF."""
    if not packet:
        return None
    try:
        plain = _utf8(packet)
        layout = scanned(plain)
    except PacketError:
        return None
    return edited(plain, layout.orientations) if layout.rdf_end is not None else None


def with_settings(packet: bytes | None, settings: Mapping[str, object]) -> bytes:
    """The packet with `settings` under our namespace, in place of earlier ones; None starts a new packet.

    Values that are None are left out, sequences are joined by commas. Raises ValueError for a name that is not a plain
    identifier.
    """
    base = packet if packet is not None else _empty_packet()
    layout = scanned(base)
    if layout.rdf_end is None:
        base = _empty_packet()
        layout = scanned(base)
    assert layout.rdf_end is not None
    addition = (layout.rdf_end, layout.rdf_end, _description(settings, layout.about))
    return edited(base, [*layout.ours, addition])


def without(packet: bytes, unwanted: Collection[str]) -> bytes:
    """The packet without these properties; unchanged when it is not acceptable XML.

    Each is named by its namespace, a space and its local name; a namespace alone stands for all its properties.
    """
    try:
        return edited(packet, scanned(packet, frozenset(unwanted)).unwanted)
    except PacketError:
        return packet


def with_properties(
    packet: bytes | None,
    groups: Sequence[Mapping[str, str]],
    namespaces: Mapping[str, str],
    about: str | None = None,
) -> bytes:
    """The packet with one more description for each group of "prefix:Name" -> text; None starts a new packet.

    namespaces: prefix -> namespace. about: the resource that the packet describes; None keeps the packet's own. Existing
    properties stay, so remove them first.
    """
    base = packet if packet is not None else _empty_packet()
    layout = scanned(base)
    if layout.rdf_end is None:
        base = _empty_packet()
        layout = scanned(base)
    assert layout.rdf_end is not None
    added = []
    for group in filter(None, groups):
        prefixes = dict.fromkeys(name.partition(":")[0] for name in group)
        declared = "".join(f" xmlns:{prefix}={quoteattr(namespaces[prefix])}" for prefix in prefixes)
        given = "".join(f" {name}={quoteattr(text)}" for name, text in group.items())
        subject = quoteattr(layout.about if about is None else about)
        added.append(f'<rdf:Description xmlns:rdf="{RDF}" rdf:about={subject}{declared}{given}/>'.encode())
    return edited(base, [(layout.rdf_end, layout.rdf_end, b"".join(added))])


def recorded_settings(packet: bytes | None) -> dict[str, str]:
    """The settings recorded by `with_settings`, as text; empty when there are none."""
    if packet is None:
        return {}
    try:
        return scanned(packet).settings
    except PacketError:
        return {}


@dataclass
class PacketLayout:
    """Positions in a packet: byte offsets, and edits as (start, end, replacement)."""

    rdf_start: int | None = None  # just behind <rdf:RDF ...>
    rdf_end: int | None = None  # at </rdf:RDF>
    about: str = ""
    ours: list[tuple[int, int, bytes]] = field(default_factory=list)
    orientations: list[tuple[int, int, bytes]] = field(default_factory=list)
    notes: list[tuple[int, int, bytes]] = field(default_factory=list)
    unwanted: list[tuple[int, int, bytes]] = field(default_factory=list)
    extended: str | None = None  # GUID of the extended packet that belongs to this one
    settings: dict[str, str] = field(default_factory=dict)
    outer_prefixes: dict[str, str] = field(default_factory=dict)  # declared on rdf:RDF and around it


def scanned(packet: bytes, unwanted: frozenset[str] = frozenset()) -> PacketLayout:
    """The layout of a UTF-8 packet. unwanted: as in `without`. Raises PacketError."""
    return _Scanner(packet, unwanted).layout


@dataclass
class _Open:
    """An open element. ours, foreign: whether it holds settings of ours, or anything else. unwanted, kept: whether it holds
    content to remove, or to keep.
    """

    name: str
    start: int
    foreign: bool
    kept: bool
    ours: bool = False
    unwanted: bool = False


class _Scanner:
    """One pass of expat. Every event gives the end of the previous token."""

    def __init__(self, packet: bytes, unwanted: frozenset[str] = frozenset()) -> None:
        self.packet, self.layout = packet, PacketLayout()
        self._unwanted = unwanted
        self._path: list[_Open] = []
        self._prefixes: list[tuple[str, str]] = []
        self._waiting: list[Any] = []  # told the position of the next event
        self._text: list[str] = []
        self._elements = 0
        self._in_rdf = False
        self._orientation_start = 0
        parser = ParserCreate("utf-8", " ")
        parser.buffer_text = False
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        parser.StartNamespaceDeclHandler = self._declare
        parser.StartElementHandler = self._open
        parser.EndElementHandler = self._close
        parser.CharacterDataHandler = self._characters
        parser.CommentHandler = parser.DefaultHandlerExpand = self._other
        parser.ProcessingInstructionHandler = self._other
        self._parser = parser
        try:
            parser.Parse(packet, True)
        except ExpatError as problem:
            raise PacketError(f"the XMP packet is not well-formed: {problem}") from problem
        self._tell(len(packet))

    def _refuse(self, *_: object) -> None:
        raise PacketError("the XMP packet has a document type or an entity")

    def _tell(self, position: int) -> None:
        waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback(position)

    def _other(self, *_: object) -> None:
        self._tell(self._parser.CurrentByteIndex)

    def _characters(self, text: str) -> None:
        self._tell(self._parser.CurrentByteIndex)
        self._text.append(text)

    def _declare(self, prefix: str | None, uri: str) -> None:
        self._prefixes.append((prefix or "", uri))
        if not self._in_rdf:
            self.layout.outer_prefixes[prefix or ""] = uri

    def _open(self, name: str, attributes: dict[str, str]) -> None:
        start = self._parser.CurrentByteIndex
        self._tell(start)
        self._elements += 1
        said = [name for name in attributes if name != f"{RDF} about"]
        if self._path:
            self._path[-1].foreign |= not name.startswith(f"{NAMESPACE} ")
            self._path[-1].kept |= not self._is_unwanted(name)
        kept = not all(map(self._is_unwanted, said))
        self._path.append(_Open(name, start, bool(said), kept, unwanted=bool(said) and not kept))
        if self._elements > _MOST_ELEMENTS or len(self._path) > _MOST_DEPTH:
            raise PacketError("the XMP packet has too many elements")
        self._text = []
        if name == f"{RDF} RDF" and not self._in_rdf:
            self._in_rdf = True
            self._waiting.append(lambda end: setattr(self.layout, "rdf_start", end))
        if name == f"{RDF} Description" and self._in_rdf and len(attributes):
            self.layout.about = self.layout.about or attributes.get(f"{RDF} about", "")
        watched = {
            name: value
            for name, value in attributes.items()
            if name.rpartition(" ")[0] in (NAMESPACE, TIFF, NOTE) or self._is_unwanted(name)
        }
        if watched:
            prefixes = self._prefixes.copy()  # before those of the next element
            self._waiting.append(lambda end: self._attributes(start, end, watched, prefixes))
        if name == f"{TIFF} Orientation":
            self._waiting.append(self._content_starts)

    def _content_starts(self, position: int) -> None:
        self._orientation_start = position

    def _close(self, name: str) -> None:
        here = self._parser.CurrentByteIndex
        self._tell(here)
        closed = self._path.pop()
        start, layout = closed.start, self.layout
        has_content = self.packet.startswith(b"</", here)  # expat tells the end of an empty element's tag
        if name == f"{RDF} RDF" and layout.rdf_end is None and has_content:
            layout.rdf_end = here
        elif name == f"{TIFF} Orientation" and has_content:
            layout.orientations.append((self._orientation_start, here, b"1"))
        elif name.startswith(f"{NAMESPACE} ") and self._path:
            layout.settings[name.split(" ")[1]] = "".join(self._text)
            self._path[-1].ours = True
            self._waiting.append(lambda end: layout.ours.append((start, end, b"")))
        elif name == f"{RDF} Description" and closed.ours and not closed.foreign:
            self._waiting.append(lambda end: layout.ours.append((start, end, b"")))
        elif name == f"{RDF} Description" and closed.unwanted and not closed.kept:
            self._waiting.append(lambda end: layout.unwanted.append((start, end, b"")))
        elif self._is_unwanted(name) and self._path:
            self._path[-1].unwanted = True
            self._waiting.append(lambda end: layout.unwanted.append((start, end, b"")))
        elif name == f"{NOTE} HasExtendedXMP":
            layout.extended = "".join(self._text).strip()
            self._waiting.append(lambda end: layout.notes.append((start, end, b"")))
        self._text = []

    def _attributes(
        self, start: int, end: int, watched: dict[str, str], prefixes: list[tuple[str, str]]
    ) -> None:
        """Finds the attributes that concern us in the start tag at packet[start:end]."""
        for match in _ATTRIBUTE.finditer(self.packet, start, end):
            head, (at, until) = match[1], match.span()
            prefix, _, local = head.decode("utf-8", "replace").partition(":")
            meant = (u for p, u in prefixes if p == prefix and local and f"{u} {local}" in watched)
            uri = next(meant, None)
            if uri is None:
                continue
            value = watched[f"{uri} {local}"]
            if uri == NAMESPACE:
                self.layout.settings[local] = value
                self.layout.ours.append((at, until, b""))
            elif uri == TIFF and local == "Orientation":
                self.layout.orientations.append((at, until, b" " + head + b'="1"'))
            elif uri == NOTE and local == "HasExtendedXMP":
                self.layout.extended = value
                self.layout.notes.append((at, until, b""))
            elif self._is_unwanted(f"{uri} {local}"):
                self.layout.unwanted.append((at, until, b""))

    def _is_unwanted(self, name: str) -> bool:
        return name in self._unwanted or name.rpartition(" ")[0] in self._unwanted


def edited(packet: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """The packet with edits applied; an edit inside another is dropped."""
    parts: list[bytes] = []
    at = 0
    for start, end, replacement in sorted(edits, key=lambda e: (e[0], -e[1])):
        if start < at:
            continue
        parts += (packet[at:start], replacement)
        at = end
    return b"".join((*parts, packet[at:]))


def _utf8(packet: bytes | str) -> bytes:
    """A UTF-8, UTF-16 or UTF-32 packet, identified by its first bytes, as UTF-8 without padding."""
    if isinstance(packet, str):
        return packet.strip("\0\ufeff").encode("utf-8", "replace")
    encoding = "utf-8-sig"
    if packet.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        encoding = "utf-32"
    elif packet.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif packet.startswith((b"<\0", b"\0<")):
        encoding = "utf-16-le" if packet[:1] == b"<" else "utf-16-be"
    try:
        return packet.decode(encoding).strip("\0").encode()
    except UnicodeError as problem:
        raise PacketError("the XMP packet is not Unicode text") from problem


def _empty_packet() -> bytes:
    body = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"></rdf:RDF></x:xmpmeta>'
    return _OPENING + body.encode() + _CLOSING


def _description(settings: Mapping[str, object], about: str) -> bytes:
    lines = [
        f'<rdf:Description xmlns:rdf="{RDF}" rdf:about={quoteattr(about)} xmlns:{_PREFIX}="{NAMESPACE}">'
    ]
    for name, value in settings.items():
        if not (name.isidentifier() and name.isascii()):
            raise ValueError(f"the setting is called {name!r}, expected a plain identifier")
        if value is not None:
            lines.append(f"<{_PREFIX}:{name}>{escape(_worded(value))}</{_PREFIX}:{name}>")
    lines.append("</rdf:Description>")
    return "".join(lines).encode()


def _worded(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(_worded(item) for item in value)
    return _ILLEGAL.sub("", str(value))
