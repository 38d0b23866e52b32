"""HEIF files that the tests are made of: pictures encoded by pillow-heif, put into boxes that are written here."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field, replace

import numpy as np

from deeplens_dof.photo.codecs.isobmff import items_of

DEPTH = "urn:mpeg:hevc:2015:auxid:2"
PORTRAIT = "urn:com:apple:photo:2018:aux:portraiteffectsmatte"
SKIN = "urn:com:apple:photo:2019:aux:semanticskinmatte"
HAIR = "urn:com:apple:photo:2019:aux:semantichairmatte"
# irot (quarter turns against the clock) and imir (1: left and right change places) of every EXIF orientation.
TURNS = {1: (), 2: ("m1",), 3: ("r2",), 4: ("m0",), 5: ("r1", "m0"), 6: ("r3",), 7: ("r1", "m1"), 8: ("r1",)}


def box(kind: str, *bodies: bytes) -> bytes:
    body = b"".join(bodies)
    return struct.pack(">I", 8 + len(body)) + kind.encode() + body


def full_box(kind: str, version: int, *bodies: bytes) -> bytes:
    return box(kind, bytes([version, 0, 0, 0]), *bodies)


@dataclass(frozen=True)
class Part:
    """One item. properties: (kind, body). in_idat: its bytes stand inside `meta` (construction method 1)."""

    kind: str
    data: bytes
    properties: tuple[tuple[str, bytes], ...] = ()
    content_type: str = ""
    in_idat: bool = False

    def having(self, *properties: tuple[str, bytes]) -> Part:
        return replace(self, properties=(*self.properties, *properties))

    def turned(self, orientation: int) -> Part:
        names = {"r": "irot", "m": "imir"}
        return self.having(*((names[turn[0]], bytes([int(turn[1])])) for turn in TURNS[orientation]))


@dataclass
class File:
    """Parts and references between their numbers, which count from 1; the first is the primary one."""

    parts: list[Part] = field(default_factory=list)
    references: list[tuple[str, int, int]] = field(default_factory=list)

    def add(self, part: Part, *references: tuple[str, int]) -> int:
        self.parts.append(part)
        self.references += [(kind, len(self.parts), to) for kind, to in references]
        return len(self.parts)

    def to_bytes(self) -> bytes:
        ftyp = box("ftyp", b"heic", bytes(4), b"mif1heic")
        length = len(ftyp) + len(self._meta(0))
        data = b"".join(part.data for part in self.parts if not part.in_idat)
        return ftyp + self._meta(length + 8) + box("mdat", data)

    def _meta(self, data_at: int) -> bytes:
        infos, places, idat, table, owned = b"", b"", b"", [], b""
        for number, part in enumerate(self.parts, 1):
            info = struct.pack(">HH4s", number, 0, part.kind.encode()) + b"\0"
            infos += full_box(
                "infe", 2, info, part.content_type.encode() + b"\0" if part.content_type else b""
            )
            at = len(idat) if part.in_idat else data_at
            places += struct.pack(">HHHHII", number, int(part.in_idat), 0, 1, at, len(part.data))
            if part.in_idat:
                idat += part.data
            else:
                data_at += len(part.data)
            owned += struct.pack(">HB", number, len(part.properties))
            for each in part.properties:
                table.append(box(each[0], each[1]))
                owned += bytes([len(table)])
        count = struct.pack(">H", len(self.parts))
        references = b"".join(box(k, struct.pack(">HHH", source, 1, to)) for k, source, to in self.references)
        return full_box(
            "meta",
            0,
            full_box("hdlr", 0, bytes(4), b"pict", bytes(13)),
            full_box("pitm", 0, struct.pack(">H", 1)),
            full_box("iinf", 0, count, infos),
            full_box("iref", 0, references),
            full_box("iloc", 1, b"\x44\0", count, places),
            box("iprp", box("ipco", *table), full_box("ipma", 0, struct.pack(">I", len(self.parts)), owned)),
            box("idat", idat),
        )


def picture_part(samples: np.ndarray, **options: object) -> Part:
    """(H, W) or (H, W, 3) of uint8, or uint16 of which ten bits are kept, as one HEVC item."""
    import pillow_heif

    deep = samples.dtype == np.uint16
    mode = ("I;16" if samples.ndim == 2 else "RGB;16") if deep else ("L" if samples.ndim == 2 else "RGB")
    file = io.BytesIO()
    options = {"quality": 95, "chroma": 444, "enc_params": {"preset": "ultrafast"}} | options
    pillow_heif.encode(mode, samples.shape[1::-1], np.ascontiguousarray(samples).tobytes(), file, **options)
    found = items_of(file.getvalue(), "sample")
    item = found.items[found.primary]
    kept = [each for each in item.properties if each.kind in ("hvcC", "ispe", "pixi", "colr")]
    return Part("hvc1", found.bytes_of(item, 1 << 24), tuple((each.kind, each.body) for each in kept))


def auxiliary(part: Part, urn: str, message: bytes = b"") -> Part:
    return part.having(("auxC", bytes(4) + urn.encode() + b"\0" + message))


def xmp_part(packet: bytes) -> Part:
    return Part("mime", packet, content_type="application/rdf+xml")


def exif_part(exif: bytes) -> Part:
    return Part("Exif", struct.pack(">I", 6) + b"Exif\0\0" + exif)


def apple_xmp(**said: object) -> bytes:
    """The XMP of a depth picture. said: its properties, for example Accuracy="absolute", FloatMinValue=0.1."""
    spaces = {
        "depthData": ("http://ns.apple.com/depthData/1.0/", ("Accuracy", "Quality")),
        "depthBlurEffect": ("http://ns.apple.com/depthBlurEffect/1.0/", ("SimulatedAperture",)),
    }
    pixels = "http://ns.apple.com/pixeldatainfo/1.0/"
    lines = ""
    for name, value in said.items():
        prefix = next((p for p, (_, names) in spaces.items() if name in names), "apdi")
        lines += f"<{prefix}:{name}>{value}</{prefix}:{name}>"
    declared = f'xmlns:apdi="{pixels}" ' + " ".join(f'xmlns:{p}="{uri}"' for p, (uri, _) in spaces.items())
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {declared}>{lines}</rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()


def regions_xmp(kind: str, x: float, y: float) -> bytes:
    """The XMP of a photo with one region of the Metadata Working Group's."""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:r="http://www.metadataworkinggroup.com/schemas/regions/" '
        'xmlns:a="http://ns.adobe.com/xmp/sType/Area#"><r:Regions rdf:parseType="Resource"><r:RegionList><rdf:Bag>'
        f'<rdf:li><rdf:Description r:Type="{kind}"><r:Area a:x="{x}" a:y="{y}" a:w="0.1" a:h="0.1" '
        'a:unit="normalized"/></rdf:Description></rdf:li></rdf:Bag></r:RegionList></r:Regions>'
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def depth_message(representation: int, low: float, high: float) -> bytes:
    """An SEI message on depth (ISO/IEC 23008-2, F.14) as `auxC` holds it: with the bounds of Z, or of disparity."""
    of_z = representation in (0, 2)
    bits = "1100" if of_z else "0011"
    bits += _golomb(representation)
    if not of_z:
        bits += _golomb(0)
    bits += _element(low) + _element(high) + "1"
    bits += "0" * (-len(bits) % 8)
    payload = int(bits, 2).to_bytes(len(bits) // 8, "big")
    unit = bytes([39 << 1, 1, 177, len(payload)]) + payload + b"\x80"
    return struct.pack(">II", len(unit) + 4, len(unit)) + unit


def _golomb(value: int) -> str:
    digits = f"{value + 1:b}"
    return "0" * (len(digits) - 1) + digits


def _element(value: float) -> str:
    """Sign, exponent, length of the mantissa less one, mantissa of 8 bits."""
    mantissa, exponent = np.frexp(value)
    return f"0{exponent - 1 + 31:07b}{7:05b}{round((float(mantissa) * 2 - 1) * 256):08b}"


def portrait(
    pixels: np.ndarray,
    codes: np.ndarray | None,
    *,
    orientation: int = 1,
    depth_turned: bool = True,
    depth_xmp: bytes | None = None,
    mattes: dict[str, np.ndarray] | None = None,
    exif: bytes | None = None,
    xmp: bytes | None = None,
    message: tuple[int, float, float] | None = None,
) -> bytes:
    """A portrait photo as phones make them: stored pixels, depth codes and mattes, all turned by the same boxes."""
    file = File()
    file.add(picture_part(pixels).turned(orientation))
    if exif is not None:
        file.add(exif_part(exif), ("cdsc", 1))
    if xmp is not None:
        file.add(xmp_part(xmp), ("cdsc", 1))
    maps = ({} if codes is None else {DEPTH: codes}) | (mattes or {})
    for urn, samples in maps.items():
        part = picture_part(samples)
        part = auxiliary(part, urn, depth_message(*message) if urn == DEPTH and message else b"")
        number = file.add(part.turned(orientation) if depth_turned else part, ("auxl", 1))
        if urn == DEPTH and depth_xmp is not None:
            file.add(xmp_part(depth_xmp), ("cdsc", number))
    return file.to_bytes()
