"""GDepth, GFocus and GImage: depth, focus and original in an XMP packet.

Google's depth map metadata, developers.google.com/depthmap-metadata. They refer to the stored pixels, so they turn with the
photo.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Collection

import numpy as np
import numpy.typing as npt

from deeplens_dof.optics.inverse_depth import InverseDepth
from deeplens_dof.photo.codecs.formats import by_content
from deeplens_dof.photo.codecs.samples import grey_bytes
from deeplens_dof.photo.embedded_depth import EmbeddedDepth
from deeplens_dof.photo.errors import PhotoError
from deeplens_dof.photo.metadata import xmp
from deeplens_dof.photo.metadata.orientation import upright_point
from deeplens_dof.photo.metadata.xmp_facts import finite_number
from deeplens_dof.photo.metadata.xmp_tree import Node
from deeplens_dof.photo.phone_depth.range_map import (
    BrokenDepthError,
    RangeMap,
    from_base64,
    range_map,
)

GDEPTH = "GDepth"
DEPTH_NAMESPACE = "http://ns.google.com/photos/1.0/depthmap/"
FOCUS_NAMESPACE = "http://ns.google.com/photos/1.0/focus/"
IMAGE_NAMESPACE = "http://ns.google.com/photos/1.0/image/"
HEAVY = {  # properties that fill many segments of a JPEG
    f"{DEPTH_NAMESPACE} Data": "GDepth:Data",
    f"{DEPTH_NAMESPACE} Confidence": "GDepth:Confidence",
    f"{IMAGE_NAMESPACE} Data": "GImage:Data",
}

_DECLARED = re.compile(rb"xmlns:([^\s=]+)\s*=\s*[\"']" + re.escape(DEPTH_NAMESPACE.encode()) + rb"[\"']")
_FARTHEST_NEARS = 100.0  # Far of relative depth, as a multiple of Near
_LARGEST_RANGE = 1e6  # Far of metric depth, as a multiple of Near: beyond that is infinity
_FARTHEST_NEAR_M = 1e5


def holds(packet: bytes | None) -> bool:
    """Whether the packet has properties of GDepth, not just a declaration of its namespace."""
    prefixes = set() if packet is None else set(_DECLARED.findall(packet))
    return any(re.search(rb"[\s<]" + re.escape(prefix) + b":", packet or b"") for prefix in prefixes)


def read_gdepth_map(root: Node, size: tuple[int, int], orientation: int) -> RangeMap | None:
    """The depth map of a packet, upright; None when there is none. size: (width, height) of the photo as stored, in px.

    Raises BrokenDepthError.
    """
    facts = _scattered(root, DEPTH_NAMESPACE)
    if not facts.keys() & {"Data", "Near", "Far"}:
        return None
    if "Data" not in facts:
        raise BrokenDepthError("GDepth without its Data, of which a part of the file's XMP is missing")
    return range_map("GDepth", facts, from_base64("GDepth:Data", facts["Data"]), size, orientation)


def read_focus(root: Node, orientation: int) -> tuple[float, float] | None:
    """The focus point of GFocus, (x, y) 0..1 of the upright picture, or None."""
    facts = _scattered(root, FOCUS_NAMESPACE)
    x, y = finite_number(facts.get("FocalPointX")), finite_number(facts.get("FocalPointY"))
    if x is None or y is None or not (0 <= x <= 1 and 0 <= y <= 1):
        return None
    return upright_point((x, y), orientation)


def read_gdepth_original(root: Node) -> bytes | None:
    """The original photo in GImage; None when there is none, or it is no JPEG or PNG."""
    text = _scattered(root, IMAGE_NAMESPACE).get("Data")
    if text is None:
        return None
    try:
        return original_or_none(from_base64("GImage:Data", text))
    except BrokenDepthError:
        return None


def with_depth(
    packet: bytes | None, depth: EmbeddedDepth, nearest: float = 1.0, blur_at_infinity: float | None = None
) -> bytes:
    """The packet with this depth as 16-bit RangeInverse, its focus and original, in place of earlier ones.

    Metric depth is written in metres, infinity as a million times the nearest distance. Relative depth is written without a
    unit: 1 is at `nearest`, and 0 at _FARTHEST_NEARS times that. blur_at_infinity: radius of the blur there, as a fraction of
    the longer side; None writes no property of GFocus but the point.
    """
    base = without_depth(packet)
    codes, near, far = _coded(depth.inverse_depth, nearest)
    facts = {
        "GDepth:Format": "RangeInverse",
        "GDepth:Near": repr(near),
        "GDepth:Far": repr(far),
        "GDepth:Mime": "image/png",
    }
    if not depth.inverse_depth.is_relative:
        facts["GDepth:Units"] = "m"
    if depth.focus is not None:
        x, y = depth.focus
        facts |= {"GFocus:FocalPointX": repr(float(x)), "GFocus:FocalPointY": repr(float(y))}
        if blur_at_infinity is not None:
            distance = 1 / (1 / near - _at(codes, x, y) * (1 / near - 1 / far))
            facts["GFocus:FocalDistance"] = repr(float(distance))
            facts["GFocus:BlurAtInfinity"] = repr(float(blur_at_infinity))
    data = {"GDepth:Data": _base64(grey_bytes(codes))}
    if depth.original is not None:
        kind = by_content(depth.original, "the untouched photo").media_type
        facts["GImage:Mime"] = kind
        data["GImage:Data"] = _base64(depth.original)
    return xmp.with_properties(
        base, [facts, data], {"GDepth": DEPTH_NAMESPACE, "GFocus": FOCUS_NAMESPACE, "GImage": IMAGE_NAMESPACE}
    )


def without_depth(packet: bytes | None, also: Collection[str] = ()) -> bytes | None:
    """The packet without GDepth, GFocus and GImage, and without the namespaces in `also`."""
    return (
        None
        if packet is None
        else xmp.without(packet, {DEPTH_NAMESPACE, FOCUS_NAMESPACE, IMAGE_NAMESPACE, *also})
    )


def original_or_none(data: bytes) -> bytes | None:
    """The bytes if they are a JPEG or PNG, else None."""
    try:
        return data if by_content(data, "the untouched photo").name in ("JPEG", "PNG") else None
    except PhotoError:
        return None


def _scattered(root: Node, namespace: str) -> dict[str, str]:
    """Local name -> text of every property in this namespace, anywhere; the first of each name counts."""
    found: dict[str, str] = {}
    for node in root.all():
        for name, value in ((node.name, node.text), *node.attributes.items()):
            where, _, local = name.rpartition(" ")
            if where == namespace:
                found.setdefault(local, value)
    return found


def _coded(depth: InverseDepth, nearest: float) -> tuple[npt.NDArray[np.uint16], float, float]:
    """RangeInverse codes 0..65535 (far is bright), and near and far."""
    values = depth.values.astype(np.float64)
    if depth.is_relative:
        spread = 1 - np.clip(values, 0, 1)
        near, far = float(nearest), float(nearest) * _FARTHEST_NEARS
    else:
        most = max(float(values.max()), 1 / _FARTHEST_NEAR_M)
        least = max(float(values.min()), most / _LARGEST_RANGE)
        least = least if least < most * (1 - 1e-6) else most / 2  # a flat map
        spread = np.clip((most - values) / (most - least), 0, 1)
        near, far = 1 / most, 1 / least
    return np.rint(spread * 65535).astype(np.uint16), near, far


def _at(codes: npt.NDArray[np.uint16], x: float, y: float) -> float:
    """The code 0..1 at a point of the picture."""
    height, width = codes.shape
    return float(codes[min(int(y * height), height - 1), min(int(x * width), width - 1)]) / 65535


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
