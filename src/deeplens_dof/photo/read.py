"""Reading a photo: content determines the format, limits are checked from the header, and the result is upright."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from deeplens_dof.photo.codecs import exr, formats, heif, jpeg, png, raw
from deeplens_dof.photo.codecs.decode import from_deep_file, from_jxl, from_pillow
from deeplens_dof.photo.codecs.header import Header, damaged, header, quiet
from deeplens_dof.photo.codecs.isobmff import items_of
from deeplens_dof.photo.codecs.tiff_decode import decode_page
from deeplens_dof.photo.codecs.tiff_page import as_first_page
from deeplens_dof.photo.contents import Compression, Decoded
from deeplens_dof.photo.errors import PhotoError
from deeplens_dof.photo.file_objects import Readable, is_readable, name_of, read_bytes
from deeplens_dof.photo.gain_map import GainMapError
from deeplens_dof.photo.hdr import light_of
from deeplens_dof.photo.limits import COMMAND_LINE_LIMITS, Limits
from deeplens_dof.photo.metadata import exif, xmp, xmp_in_jpeg
from deeplens_dof.photo.metadata.annotations import Annotations, checked_density, density_in, iptc_in_tiff
from deeplens_dof.photo.metadata.named_colors import NamedColors, of_dcf, of_nclx
from deeplens_dof.photo.metadata.xmp_stale import without_stale
from deeplens_dof.photo.phone_depth.find import depth_in
from deeplens_dof.photo.phone_depth.range_map import RangeMap
from deeplens_dof.photo.photo import Photo
from deeplens_dof.photo.source import bytes_of
from deeplens_dof.photo.ultra_hdr import gain_map_in
from deeplens_dof.runtime.errors import shown

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFile import ImageFile

    Source = str | os.PathLike[str] | bytes | bytearray | memoryview | Readable | Image.Image


def read(source: Source, *, limits: Limits = COMMAND_LINE_LIMITS, allow_truncated: bool = False) -> Photo:
    """Read a photo from a path, an open file, the bytes of a file, or a Pillow image (which is left unchanged).

    Reads the first frame of every format in docs/formats.md, recognised by content. Orientation is applied; palette, grey
    and CMYK become RGB. Depth in HEIC and in Google's formats becomes `Photo.depth`; when it is damaged, `Photo.depth` is
    None and `Photo.depth_problem` says why.

    Args:
        source: path, file opened as bytes (or another object with `read`), bytes or Pillow image.
        limits: bounds on file, picture and metadata.
        allow_truncated: read a JPEG that ends too early, its missing rows grey; `Photo.notes` says so.

    Raises:
        PhotoError: one sentence, for anything but a complete picture within the limits.
    """
    if "PIL" in sys.modules:
        from PIL import Image

        if isinstance(source, Image.Image):
            return _from_image(source, limits)
    options: dict[str, Any] = {"limits": limits, "allow_truncated": allow_truncated}
    if is_readable(source):
        return read_with_map(read_bytes(source, limits), name=name_of(source), **options)[0]
    if not isinstance(source, (str, os.PathLike, bytes, bytearray, memoryview)):
        raise PhotoError(
            f"a {type(source).__name__} is not a photo, expected a path, an open file, the bytes of a picture file or a "
            "Pillow image"
        )
    return read_with_map(source, **options)[0]


def read_with_map(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview,
    *,
    limits: Limits = COMMAND_LINE_LIMITS,
    allow_truncated: bool = False,
    name: str | None = None,
) -> tuple[Photo, RangeMap | None]:
    """As `read`, and the range map of depth in Google's formats, on its own scale.

    name: of the source in messages; None is its own.
    """
    name = name or shown(source)
    data = bytes_of(source, limits)
    form = formats.by_content(data, name)
    whole, notes = data, list[str]()
    if form.name == "TIFF":
        data = as_first_page(data)
    elif form.name == "PNG":
        data, broken = png.intact(data)
        if broken:
            notes.append(f"{name} has a damaged part {' and '.join(broken)}, which is left out")
    head = header(data, form, name)
    limits.check_picture(name, *head.size, progressive_jpeg=head.progressive_jpeg)
    try:
        photo, range_map = _decoded(data, head, name, limits, whole, allow_truncated)
        photo = replace(photo, xmp=without_stale(photo.xmp), notes=(*notes, *photo.notes))
        return photo, range_map
    except PhotoError:
        raise
    except Exception as problem:  # decoders of damaged files raise anything
        raise damaged(name, form, problem) from problem


# Formats whose headers are read by us, and the metadata with them.
_DECODERS: Mapping[str, Callable[[bytes, str], Decoded]] = {
    "EXR": exr.decode_exr,
    "JXL": from_jxl,
    "RAW": raw.decode_raw,
}


def _decoded(
    data: bytes, head: Header, name: str, limits: Limits, whole: bytes, allow_truncated: bool
) -> tuple[Photo, RangeMap | None]:
    """whole: a TIFF as it came; `data` may begin with another of its pages."""
    if head.format.name == "HEIF":
        return _from_heif(data, head, name, limits)
    if head.format.name in _DECODERS:
        return _by_own_header(data, head, name, limits)
    image, notes = _loaded(head, data, name, allow_truncated)
    packet = head.info.get("xmp")
    if head.format.name == "TIFF":
        raw_exif = exif.from_tiff(data, whole)
        orientation = exif.orientation(data) if image is None else 1  # Pillow turns TIFF itself
        packet = packet or exif.tiff_xmp(whole)
    else:
        raw_exif = head.info.get("exif")
        if head.format.name == "PNG":
            raw_exif, packet = png.metadata(data)
        raw_exif = exif.block(raw_exif)
        orientation = exif.orientation(raw_exif)
    if head.format.name == "JPEG":
        segments = [body for marker, body in getattr(image, "applist", ()) if marker == "APP1"]
        packet = xmp_in_jpeg.joined(packet, segments)
    profile, colors = head.info.get("icc_profile"), None
    limits.check_metadata(name, raw_exif, profile, _as_bytes(packet))
    if head.format.name == "PNG":
        colors, named = png.colors(data)
        profile = named or (profile if colors is None else None)
    elif profile is None and head.format.name == "AVIF":
        items = items_of(data, name)
        colors = of_nclx([(each.kind, each.body) for each in items.item(items.primary).properties])
    if colors is not None:
        profile = colors.profile()
    elif profile is None:
        profile = of_dcf(raw_exif)
    if head.page is not None:
        decoded = decode_page(data, head.page, orientation, name)
    elif image is None:
        decoded = from_deep_file(data, head, orientation, profile)
    else:
        decoded = from_pillow(image, orientation, profile, name)
    found = _annotations(data, head, image).upright(orientation)
    limits.check_texts(name, found.size_bytes)
    photo = _photo(decoded, head.format.name, raw_exif, packet, name, head.compression, colors, found)
    turned = exif.orientation(data) if head.format.name == "TIFF" else orientation
    stored_size = (photo.width, photo.height) if turned < 5 else (photo.height, photo.width)
    inside = depth_in(data, photo.xmp, stored_size, turned)
    gain, as_it_came = None, data if head.format.name == "JPEG" and not notes else None
    if head.format.name == "JPEG":
        try:
            gain = gain_map_in(data, stored_size, turned, raw_exif, name, limits)
        except GainMapError as why:
            notes = (*notes, f"{name} holds {why}; it is left out")
    photo = replace(
        photo,
        gain_map=gain,
        xmp=inside.packet,
        depth=inside.depth,
        depth_problem=inside.problem,
        file=as_it_came,
        notes=notes,
    )
    return photo, inside.range_map


def _annotations(data: bytes, head: Header, image: Image.Image | None) -> Annotations:
    """Those of the file's own; the resolution in EXIF stands in where there is none."""
    if head.format.name == "JPEG":
        return jpeg.annotations_of(image)
    if head.format.name == "PNG":
        return png.annotations_of(data)
    return Annotations(iptc=iptc_in_tiff(data)) if head.format.name == "TIFF" else Annotations()


def _from_heif(data: bytes, head: Header, name: str, limits: Limits) -> tuple[Photo, RangeMap | None]:
    """The depth image of the HEIF file takes precedence over GDepth, which our own HEIC files may hold."""
    found = heif.read_heif(data, head.info["items"], limits)
    photo = _photo(
        found.decoded, head.format.name, found.exif, found.xmp, name, head.compression, found.colors
    )
    notes = () if found.gain_problem is None else (found.gain_problem,)
    photo = replace(photo, gain_map=found.gain, notes=notes)
    if found.depth is not None or found.depth_problem is not None:
        return replace(photo, depth=found.depth, depth_problem=found.depth_problem), None
    named = depth_in(data, photo.xmp, (photo.width, photo.height), 1)
    return replace(photo, depth=named.depth, depth_problem=named.problem), named.range_map


def _by_own_header(data: bytes, head: Header, name: str, limits: Limits) -> tuple[Photo, RangeMap | None]:
    raw_exif, packet = exif.block(head.info.get("exif")), head.info.get("xmp")
    limits.check_metadata(name, raw_exif, None, _as_bytes(packet))
    decoded = _DECODERS[head.format.name](data, name)
    limits.check_metadata(name, None, decoded.icc, None)
    form = head.format.name if head.format.written else "TIFF"
    own = Annotations(head.info.get("density"))
    photo = _photo(decoded, form, raw_exif, packet, name, head.compression, annotations=own)
    found = depth_in(data, photo.xmp, (photo.width, photo.height), 1)
    return replace(photo, xmp=found.packet, depth=found.depth, depth_problem=found.problem), found.range_map


def _loaded(
    head: Header, data: bytes, name: str, allow_truncated: bool
) -> tuple[Image.Image | None, tuple[str, ...]]:
    """Pillow's image with its pixels decoded, and notes; None for a deep one, which Pillow would reduce to 8 bits.

    The canvas of a TIFF is created here, because Pillow warns about large ones and refuses huge ones. Its XMP is hidden from
    Pillow, which would otherwise turn the picture by it when there is no orientation tag.
    """
    from PIL import Image

    image = head.image
    if image is None or head.deep:
        return None, ()
    if head.format.name == "JPEG":
        return _loaded_jpeg(image, data, name, allow_truncated)
    if head.format.name != "TIFF":
        image.load()
        return image, ()
    with quiet():
        packet = image.info.pop("xmp", None)
        image.im = Image.new(image.mode, getattr(image, "_tile_size", image.size), None).im
        image.load()
        image.info["xmp"] = packet
    return image, ()


def _loaded_jpeg(
    image: ImageFile, data: bytes, name: str, allow_truncated: bool
) -> tuple[Image.Image, tuple[str, ...]]:
    """The picture, whole but perhaps for its end marker; with `allow_truncated` also one that lacks rows."""
    try:
        image.load()
        return image, ()
    except OSError:
        found = jpeg.decoded_to_its_end(data)
        if found is None:
            raise
    if found.missing == 0:
        return found.image, (
            f"{name} lacks its end marker, and nothing else; it was read as if it were there",
        )
    whole, left = f"{name} lacks some of its scans", "which make it finer"
    if found.missing is not None:
        whole = f"{name} lacks {found.missing:,} of its {found.image.height:,} rows"
        left = "which are grey in the result"
    if not allow_truncated:
        raise PhotoError(
            f"{whole}, so it is a damaged or incomplete JPEG file; copy or export it again, or allow truncated files"
        )
    return found.image, (f"{whole}, {left}",)


def _from_image(image: Image.Image, limits: Limits) -> Photo:
    """A Pillow image of the caller, which is not modified."""
    name = shown(getattr(image, "filename", "") or "the picture")
    limits.check_picture(name, *image.size)
    is_tiff = image.format == "TIFF"  # which Pillow turns upright itself, and whose EXIF is not in `info`
    try:
        with quiet():
            image.load()
            raw_exif = image.getexif().tobytes() if is_tiff else image.info.get("exif")
    except Exception as problem:
        raise PhotoError(
            f"{name} cannot be decoded by Pillow ({problem}); copy or export it again"
        ) from problem
    raw_exif = exif.block(raw_exif)
    if raw_exif is not None and is_tiff:
        raw_exif = exif.from_tiff(raw_exif)
    packet, profile = image.info.get("xmp"), image.info.get("icc_profile")
    limits.check_metadata(name, raw_exif, profile, _as_bytes(packet))
    decoded = from_pillow(image, 1 if is_tiff else exif.orientation(raw_exif), profile, name)
    form = image.format if image.format in formats.FORMATS else "PNG"
    across, down = image.info.get("dpi", (0, 0))
    own = Annotations(checked_density(float(across), float(down)))
    return _photo(decoded, form, raw_exif, packet, name, Compression(), annotations=own)


def _photo(
    decoded: Decoded,
    form: str,
    raw_exif: bytes | None,
    packet: Any,
    name: str,
    compression: Compression,
    colors: NamedColors | None = None,
    annotations: Annotations | None = None,
) -> Photo:
    """colors: those of HDR codes, which become light here."""
    if colors is not None and colors.is_hdr:
        decoded, compression = (
            light_of(decoded, colors),
            replace(compression, hdr=(colors.primaries, colors.transfer)),
        )
    height, width = decoded.pixels.shape[:2]
    own = annotations or Annotations()
    return Photo(
        pixels=decoded.pixels,
        alpha=decoded.alpha,
        format=form,
        icc=decoded.icc,
        exif=exif.made_upright(raw_exif, width, height),
        xmp=xmp.checked(packet),
        camera=exif.camera_of(raw_exif),
        source=name,
        compression=compression,
        annotations=replace(own, density=own.density or density_in(raw_exif)),
    )


def _as_bytes(packet: bytes | str | None) -> bytes | None:
    return packet.encode("utf-8", "replace") if isinstance(packet, str) else packet
