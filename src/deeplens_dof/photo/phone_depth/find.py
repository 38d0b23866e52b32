"""Depth that phones and editors store in the XMP of a photo or after its JPEG: GDepth, else Dynamic Depth."""

from __future__ import annotations

from typing import NamedTuple

from deeplens_dof.photo.embedded_depth import EmbeddedDepth
from deeplens_dof.photo.metadata import xmp
from deeplens_dof.photo.metadata.xmp_tree import Node, parse_packet
from deeplens_dof.photo.phone_depth import dynamic_depth, gdepth
from deeplens_dof.photo.phone_depth.range_map import BrokenDepthError, RangeMap

ORIGINS = (gdepth.GDEPTH, dynamic_depth.DYNAMIC_DEPTH)
_MARKS = (gdepth.DEPTH_NAMESPACE.encode(), b"http://ns.google.com/photos/dd/1.0/depthmap/")


class FoundDepth(NamedTuple):
    """range_map: the depth on its own scale. problem: why existing depth is not used, or None. packet: the XMP without the
    properties that would be wrong after turning, or after saving without the data appended to the JPEG.
    """

    packet: bytes | None
    depth: EmbeddedDepth | None = None
    range_map: RangeMap | None = None
    problem: str | None = None


def depth_in(data: bytes, packet: bytes | None, size: tuple[int, int], orientation: int) -> FoundDepth:
    """The depth in a photo's file, upright. Never raises for damaged depth.

    packet: XMP as returned by `xmp.checked`, with the extended packet. size: (width, height) of the photo as stored, in px.
    """
    root = _marked(packet)
    if root is None:
        return FoundDepth(packet)
    try:
        origin, found = gdepth.GDEPTH, gdepth.read_gdepth_map(root, size, orientation)
        original = None if found is None else gdepth.read_gdepth_original(root)
        if found is None:
            origin, found = (
                dynamic_depth.DYNAMIC_DEPTH,
                dynamic_depth.read_dynamic_map(root, data, size, orientation),
            )
            original = None if found is None else dynamic_depth.read_dynamic_original(root, data)
    except BrokenDepthError as problem:
        return FoundDepth(packet, problem=str(problem))
    if found is None:
        return FoundDepth(packet)
    focus = gdepth.read_focus(root, orientation)
    depth = EmbeddedDepth(found.inverse_depth(), origin, focus=focus, original=original)
    if origin == dynamic_depth.DYNAMIC_DEPTH or orientation != 1:
        packet = gdepth.without_depth(packet, dynamic_depth.NAMESPACES)
    return FoundDepth(packet, depth, found)


def _marked(packet: bytes | None) -> Node | None:
    """The tree of the packet, if it may hold depth."""
    if packet is None or not any(mark in packet for mark in _MARKS):
        return None
    try:
        return parse_packet(packet)
    except xmp.PacketError:  # more elements than metadata has
        return None
