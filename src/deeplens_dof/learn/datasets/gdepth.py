"""GDepth: depth inside the XMP of a JPEG (Google's depth map metadata, developers.google.com/depthmap-metadata).

A code c of 0..1 is *depth*, far is bright: RangeLinear has d = near + c (far - near), RangeInverse has
1/d = 1/near - c (1/near - 1/far). The map lies on the stored pixels, so that it turns with the photo.
"""

from __future__ import annotations

import base64
import binascii
import io
from pathlib import Path
from pyexpat import ExpatError, ParserCreate

import numpy as np

from deeplens_dof.learn.datasets.sample import DatasetError, DepthUnit, Map, Picture

NAMESPACE = "http://ns.google.com/photos/1.0/depthmap/"
LARGEST_PIXELS = 200_000_000
_UPRIGHT_TAG = 0x0112


def depth_of_jpeg(path: Path) -> tuple[Picture, Map, DepthUnit]:
    """The upright photo sRGB uint8, its inverse depth at the map's own size, and the unit.

    Raises DatasetError for a photo without whole GDepth metadata, PhotoError for one that cannot be read.
    """
    from deeplens_dof.photo import read
    from deeplens_dof.photo.orientation import upright

    photo = read(path)
    facts = _facts(path, photo.xmp)
    if "Data" not in facts:
        raise DatasetError(f"{path} holds no depth map, expected a JPEG with GDepth:Data in its XMP")
    inverse = _inverse(path, facts)
    unit: DepthUnit = "1/m" if facts.get("Units", "").lower() in ("m", "meters", "metres") else "1/unit"
    return np.ascontiguousarray(photo.srgb8()), upright(inverse, _orientation(path)), unit


def _facts(path: Path, packet: bytes | None) -> dict[str, str]:
    """What stands in the packet under GDepth, as attributes or as elements, by name."""
    facts: dict[str, str] = {}
    text: list[str] = []
    parser = ParserCreate("utf-8", " ")

    def opened(_: str, attributes: dict[str, str]) -> None:
        text.clear()
        for name, value in attributes.items():
            if name.startswith(f"{NAMESPACE} "):
                facts[name.split(" ")[1]] = value

    def closed(name: str) -> None:
        if name.startswith(f"{NAMESPACE} "):
            facts[name.split(" ")[1]] = "".join(text)
        text.clear()

    parser.StartElementHandler, parser.EndElementHandler = opened, closed
    parser.CharacterDataHandler = text.append
    try:
        if packet:
            parser.Parse(packet, True)
    except ExpatError as error:
        raise DatasetError(
            f"{path} has XMP that is not well-formed ({error}); copy the photo again"
        ) from error
    return facts


def _inverse(path: Path, facts: dict[str, str]) -> Map:
    try:
        near, far = float(facts["Near"]), float(facts["Far"])
    except (KeyError, ValueError):
        near = far = float("nan")
    kind = facts.get("Format", "")
    if kind not in ("RangeInverse", "RangeLinear") or not 0 < near < far < float("inf"):
        raise DatasetError(
            f"{path} has GDepth of format {kind!r} from {facts.get('Near')} to {facts.get('Far')}, expected "
            "RangeInverse or RangeLinear with 0 < Near < Far"
        )
    codes = _codes(path, facts["Data"])
    if kind == "RangeInverse":
        return (1 / near - codes * (1 / near - 1 / far)).astype(np.float32)
    return (1 / (near + codes * (far - near))).astype(np.float32)


def _codes(path: Path, data: str) -> Map:
    """The picture in GDepth:Data as 0..1, float32 (H, W)."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(base64.b64decode("".join(data.split()), validate=True))) as picture:
            if picture.width * picture.height > LARGEST_PIXELS:
                raise DatasetError(
                    f"{path} has a depth map of {picture.width} x {picture.height} px: too large"
                )
            deep = picture.mode.startswith("I")
            codes = np.asarray(picture if deep else picture.convert("L"), np.float32)
    except DatasetError:
        raise
    except (binascii.Error, OSError, ValueError, SyntaxError) as error:
        raise DatasetError(
            f"{path} has a depth map that cannot be read ({error}); copy the photo again"
        ) from error
    return codes / np.float32(65535 if deep else 255)


def _orientation(path: Path) -> int:
    from PIL import Image

    with Image.open(path) as picture:
        stored = picture.getexif().get(_UPRIGHT_TAG, 1)
    return stored if stored in range(1, 9) else 1
