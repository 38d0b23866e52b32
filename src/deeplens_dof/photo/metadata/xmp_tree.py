"""XMP packets as a small read-only tree, for nested properties.

Packets with a document type (and thus with entities), too many elements or too deep nesting are rejected.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pyexpat import ExpatError, ParserCreate

from deeplens_dof.photo.metadata.xmp import RDF, PacketError

_MOST_ELEMENTS = 20_000
_MOST_DEPTH = 64
_STRUCTURES = (f"{RDF} Description", f"{RDF} value")  # RDF's ways to write a structure inside a property


@dataclass(slots=True)
class Node:
    """An element. Its name and those of its attributes are "namespace local-name". text: its own, without its children's."""

    name: str
    attributes: dict[str, str]
    children: list[Node] = field(default_factory=list)
    text: str = ""

    def all(self) -> Iterator[Node]:
        """This element and all its descendants, in document order."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))


def parse_packet(packet: bytes) -> Node:
    """The root element of a UTF-8 packet. Raises PacketError."""
    return _Builder(packet).root


def properties(node: Node, namespaces: Collection[str]) -> dict[str, str]:
    """Local name -> text of the node's own properties in these namespaces, whether attributes or elements.

    The first of two equal names counts.
    """
    found: dict[str, str] = {}
    for name, value in node.attributes.items():
        namespace, _, local = name.rpartition(" ")
        if namespace in namespaces:
            found.setdefault(local, value)
    for child in node.children:
        namespace, _, local = child.name.rpartition(" ")
        if child.name in _STRUCTURES:
            found = {**properties(child, namespaces), **found}
        elif namespace in namespaces:
            found.setdefault(local, child.text)
    return found


class _Builder:
    def __init__(self, packet: bytes) -> None:
        self.root = Node("", {})
        self._open = [self.root]
        self._texts: list[list[str]] = [[]]
        self._elements = 0
        parser = ParserCreate("utf-8", " ")
        parser.StartElementHandler, parser.EndElementHandler = self._opened, self._closed
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = self._refuse
        try:
            parser.Parse(packet, True)
        except ExpatError as problem:
            raise PacketError(f"the XMP packet is not well-formed: {problem}") from problem
        self.root = self.root.children[0]

    def _refuse(self, *_: object) -> None:
        raise PacketError("the XMP packet has a document type or an entity")

    def _opened(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > _MOST_ELEMENTS or len(self._open) > _MOST_DEPTH:
            raise PacketError("the XMP packet has too many elements")
        node = Node(name, attributes)
        self._open[-1].children.append(node)
        self._open.append(node)
        self._texts.append([])

    def _closed(self, _: str) -> None:
        self._open.pop().text = "".join(self._texts.pop())

    def _characters(self, text: str) -> None:
        self._texts[-1].append(text)
