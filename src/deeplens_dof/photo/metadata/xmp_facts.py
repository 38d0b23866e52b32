"""Simple properties of an XMP packet as text by name: depth, aperture and focus as the camera recorded them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pyexpat import ExpatError, ParserCreate

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_MOST_ELEMENTS = 20_000
_MOST_DEPTH = 100

Texts = dict[str, str]  # "namespace name" -> text


@dataclass(frozen=True, slots=True)
class XmpFacts:
    """texts: the first value of every name. entries: the same for each list entry (rdf:li) alone, in order."""

    texts: Texts = field(default_factory=dict)
    entries: list[Texts] = field(default_factory=list)

    def number(self, namespace: str, name: str) -> float | None:
        """A property as a number; None when it is absent or not a finite number."""
        return finite_number(self.texts.get(f"{namespace} {name}"))


class _Stop(Exception):
    """The packet has a document type, or more elements than are read."""


def xmp_facts(packet: bytes | None) -> XmpFacts:
    """The simple properties of a packet, whether attributes or elements.

    Empty for a packet that is damaged, has a document type, or is too large.
    """
    found = XmpFacts()
    if not packet:
        return found
    open_entries: list[Texts] = []
    path: list[list[str]] = []  # the text of every open element
    count = 0

    def tell(name: str, text: str) -> None:
        for texts in (found.texts, *open_entries):
            texts.setdefault(name, text)

    def opened(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        path.append([])
        if count > _MOST_ELEMENTS or len(path) > _MOST_DEPTH:
            raise _Stop
        if name == f"{_RDF} li":
            open_entries.append({})
            found.entries.append(open_entries[-1])
        for attribute, value in attributes.items():
            tell(attribute, value)

    def closed(name: str) -> None:
        text = "".join(path.pop()).strip()
        if name == f"{_RDF} li":
            open_entries.pop()
        elif text:
            tell(name, text)

    def characters(text: str) -> None:
        if path:
            path[-1].append(text)

    def refuse(*_: object) -> None:
        raise _Stop

    parser = ParserCreate("utf-8", " ")
    parser.StartElementHandler, parser.EndElementHandler = opened, closed
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        parser.Parse(packet.strip(b"\0\r\n\t "), True)
    except (ExpatError, _Stop):
        return XmpFacts()
    return found


def finite_number(text: str | None) -> float | None:
    """The number in a text; None when it is not a finite number."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None
