"""XMP properties that name data beside the picture, a film or a gain map, which no result of ours holds."""

from __future__ import annotations

import re

from deeplens_dof.photo.metadata import xmp

_CAMERA = "http://ns.google.com/photos/1.0/camera/"
_FILM = ("MotionPhoto", "MotionPhotoVersion", "MotionPhotoPresentationTimestampUs")
_OLD_FILM = ("MicroVideo", "MicroVideoVersion", "MicroVideoOffset", "MicroVideoPresentationTimestampUs")
_LISTS = ("http://ns.google.com/photos/1.0/container/", "http://ns.google.com/photos/dd/1.0/container/")
_LISTED = tuple(f"{namespace}item/" for namespace in _LISTS)
_GAIN_MAPS = ("http://ns.adobe.com/hdr-gain-map/1.0/", "http://ns.apple.com/HDRGainMap/1.0/")
_STALE = frozenset((*_LISTS, *_LISTED, *_GAIN_MAPS, *(f"{_CAMERA} {name}" for name in (*_FILM, *_OLD_FILM))))
_MARKS = tuple(mark.encode() for mark in (_CAMERA, *_LISTS, *_GAIN_MAPS))


def without_stale(packet: bytes | None) -> bytes | None:
    """The packet without lists of appended files, motion photos and gain maps, whose prefixes go with them."""
    if packet is None or not any(mark in packet for mark in _MARKS):
        return packet
    found = xmp.without(packet, _STALE)
    if found == packet:
        return packet
    for namespace in (_CAMERA, *_LISTS, *_LISTED, *_GAIN_MAPS):
        declared = re.compile(rb"\s+xmlns:([\w.-]+)\s*=\s*[\"']" + re.escape(namespace.encode()) + rb"[\"']")
        for prefix in set(declared.findall(found)):
            if re.search(rb"[\s</]" + re.escape(prefix) + b":", found) is None:
                found = re.sub(
                    rb"\s+xmlns:" + re.escape(prefix) + rb"\s*=\s*(\"[^\"]*\"|'[^']*')", b"", found
                )
    return found if b"Description" in found else None
