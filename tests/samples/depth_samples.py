"""Photos with depth in Google's formats, made here: GDepth in XMP, Dynamic Depth behind the JPEG."""

from __future__ import annotations

import base64
import io

import numpy as np
import photo_samples as samples
from PIL import Image

NEAR, FAR = 1.0, 4.0
HEIGHT, WIDTH = 32, 48
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
OLD, NEW = "http://ns.google.com/photos/1.0/", "http://ns.google.com/photos/dd/1.0/"


def metres(height: int = HEIGHT // 2, width: int = WIDTH // 2) -> np.ndarray:
    """Distances NEAR..FAR whose four corners differ, (height, width)."""
    y, x = np.mgrid[0:height, 0:width]
    share = (x / (width - 1) + 2 * y / (height - 1)) / 3
    return NEAR + share * (FAR - NEAR)


def codes(distances: np.ndarray, kind: str = "RangeInverse") -> np.ndarray:
    """0..1, far is bright."""
    if kind == "RangeLinear":
        return (distances - NEAR) / (FAR - NEAR)
    return (1 / NEAR - 1 / distances) / (1 / NEAR - 1 / FAR)


def picture_of(values: np.ndarray, form: str = "PNG", bits: int = 16) -> bytes:
    """Codes 0..1 as a grey picture."""
    top, dtype = (65535, np.uint16) if bits == 16 else (255, np.uint8)
    options = {"quality": 100} if form == "JPEG" else {}
    return samples.file_of(Image.fromarray(np.rint(values * top).astype(dtype)), form, **options)


def packet(body: str = "", **attributes: str) -> bytes:
    """XMP with one description; attributes are GDepth's unless they say whose they are (GFocus_, GImage_)."""
    given = ""
    for name, text in attributes.items():
        prefix, _, local = name.rpartition("_")
        given += f' {prefix or "GDepth"}:{local}="{text}"'
    return (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"><rdf:Description rdf:about="" '
        f'xmlns:GDepth="{OLD}depthmap/" xmlns:GFocus="{OLD}focus/" xmlns:GImage="{OLD}image/" '
        f'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"{given}>{body}</rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()


def gdepth_packet(kind: str = "RangeInverse", picture: bytes | None = None, **changes: str) -> bytes:
    """A whole GDepth packet; `changes` replaces or adds attributes, and "" takes one out."""
    data = picture_of(codes(metres(), kind)) if picture is None else picture
    facts = {"Format": kind, "Near": str(NEAR), "Far": str(FAR), "Units": "m", "Mime": "image/png"}
    facts |= {"Data": base64.b64encode(data).decode()} | changes
    return packet(**{name: text for name, text in facts.items() if text})


def jpeg(
    xmp: bytes, orientation: int = 1, height: int = HEIGHT, width: int = WIDTH, extra: bytes = b""
) -> bytes:
    """A JPEG with that packet, in segments of its own where it is long."""
    from deeplens_dof.photo.metadata import xmp_in_jpeg
    from deeplens_dof.photo.phone_depth import gdepth

    main, segments = xmp_in_jpeg.split(xmp, gdepth.HEAVY)
    image = Image.fromarray(samples.picture(height, width))
    exif = b"Exif\0\0" + samples.exif_block(orientation)
    return samples.file_of(image, "JPEG", quality=95, exif=exif, xmp=main, extra=extra + segments)


def gdepth_jpeg(kind: str = "RangeInverse", orientation: int = 1, **changes: str) -> bytes:
    return jpeg(gdepth_packet(kind, **changes), orientation)


def item(uri: str, length: object, mime: str = "image/png", padding: object = 0, semantic: str = "") -> str:
    named = f' Item:Semantic="{semantic}"' if semantic else ""
    return (
        f'<rdf:li rdf:parseType="Resource"><Container:Item Item:Mime="{mime}" Item:Length="{length}" '
        f'Item:Padding="{padding}" Item:DataURI="{uri}"{named}/></rdf:li>'
    )


def dynamic_jpeg(
    files: dict[str, bytes] | None = None,
    items: list[str] | None = None,
    orientation: int = 1,
    padding: int = 0,
    old: bool = False,
    original: str = "",
    **changes: str,
) -> bytes:
    """A JPEG with files behind it. items: the list of them, when it is not to tell the truth. old: Google's older
    namespaces of the list.
    """
    files = {"android/depthmap": picture_of(codes(metres()))} if files is None else files
    honest = [item("primary_image", 0, "image/jpeg", padding), *(item(n, len(d)) for n, d in files.items())]
    listed = "".join(honest if items is None else items)
    facts = {"Format": "RangeInverse", "Near": str(NEAR), "Far": str(FAR), "Units": "Meters"}
    facts |= {"ItemSemantic": "Depth", "DepthURI": "android/depthmap"} | changes
    given = "".join(f' DepthMap:{name}="{text}"' for name, text in facts.items() if text)
    image = f'<Camera:Image Image:ItemSemantic="Original" Image:ItemURI="{original}"/>' if original else ""
    where, what = (
        (f"{OLD}container/", f"{OLD}container/item/") if old else (f"{NEW}container/", f"{NEW}item/")
    )
    xmp = (
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}"><rdf:Description rdf:about="" '
        f'xmlns:Device="{NEW}device/" xmlns:Camera="{NEW}camera/" xmlns:DepthMap="{NEW}depthmap/" '
        f'xmlns:Image="{NEW}image/" xmlns:Profile="{NEW}profile/" xmlns:Container="{where}" xmlns:Item="{what}" '
        'xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4">'
        f"<Device:Container><Container:Directory><rdf:Seq>{listed}</rdf:Seq></Container:Directory></Device:Container>"
        '<Device:Profiles><rdf:Seq><rdf:li rdf:parseType="Resource"><Device:Profile Profile:Type="DepthPhoto"/></rdf:li>'
        "</rdf:Seq></Device:Profiles>"
        f'<Device:Cameras><rdf:Seq><rdf:li rdf:parseType="Resource"><Device:Camera>{image}<Camera:DepthMap{given}/>'
        "</Device:Camera></rdf:li></rdf:Seq></Device:Cameras></rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()
    return jpeg(xmp, orientation) + bytes(padding) + b"".join(files.values())


def png_header(width: int, height: int) -> bytes:
    """A PNG that only claims its size."""
    import struct
    import zlib

    head = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
    )


def opened(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image
