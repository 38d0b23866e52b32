"""A photo: pixels in their own colour space and the camera's metadata, both preserved when it is saved."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from deeplens_dof.photo.atomic import write_file
from deeplens_dof.photo.bit_depth import alpha_as, rounded_to_8_bits
from deeplens_dof.photo.codecs import formats
from deeplens_dof.photo.contents import Compression, Contents, Pixels
from deeplens_dof.photo.embedded_depth import EmbeddedDepth
from deeplens_dof.photo.errors import PhotoError
from deeplens_dof.photo.file_objects import Target, is_writable, name_of, write_bytes
from deeplens_dof.photo.gain_map import GainMap
from deeplens_dof.photo.limits import COMMAND_LINE_LIMITS
from deeplens_dof.photo.metadata import icc, xmp
from deeplens_dof.photo.metadata.annotations import Annotations
from deeplens_dof.photo.metadata.exif import Camera
from deeplens_dof.photo.phone_depth import gdepth
from deeplens_dof.photo.phone_depth.find import ORIGINS
from deeplens_dof.photo.tone import Curves, decoded, encoded
from deeplens_dof.photo.write import HDR_FORMATS, file_bytes
from deeplens_dof.runtime import notebook
from deeplens_dof.runtime.errors import shown

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """An upright picture with its colour profile, metadata and depth.

    pixels: (H, W, 3) uint8 or uint16, encoded in the colour space of `icc`, or in sRGB without; or float32, unbounded
    scene-linear light in sRGB primaries, without `icc`. alpha: (H, W) of the same type, or None; 0..1 for floats. Codes are
    unassociated, light is premultiplied. format: "JPEG", "PNG", ..., the default for saving: that of the file, "TIFF" for
    read-only formats. exif: TIFF-structured, orientation 1. xmp: a UTF-8 packet. source: name used in messages. depth: depth
    embedded in the file, or None. depth_problem: a sentence that says why embedded depth is not used, or None. file: the
    original JPEG file, byte for byte, or None. notes: sentences about what was mended or left out when it was read.
    annotations: resolution, IPTC, comment and PNG text. gain_map: how much brighter it is on HDR screens, or None.

    Raises PhotoError when the arrays do not fit together.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    format: str = "PNG"
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    camera: Camera = field(default_factory=Camera)
    source: str = "the picture"
    compression: Compression = field(default_factory=Compression)
    depth: EmbeddedDepth | None = None
    depth_problem: str | None = None
    file: bytes | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()
    annotations: Annotations = field(default_factory=Annotations, repr=False)
    gain_map: GainMap | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        pixels, alpha = self.pixels, self.alpha
        if (
            pixels.ndim != 3
            or pixels.shape[2] != 3
            or pixels.size == 0
            or pixels.dtype not in (np.uint8, np.uint16, np.float32)
        ):
            raise PhotoError(
                f"{self.source} has pixels of shape {pixels.shape} and type {pixels.dtype}, expected "
                "(height, width, 3) of uint8 or uint16, or of float32 linear light; convert them"
            )
        if self.is_float and self.icc is not None:
            raise PhotoError(
                f"{self.source} has float32 pixels and an ICC profile, expected light in sRGB's primaries without one; "
                "convert it or leave the profile out"
            )
        if alpha is not None and (alpha.shape != pixels.shape[:2] or alpha.dtype != pixels.dtype):
            raise PhotoError(
                f"{self.source} has alpha of shape {alpha.shape} and type {alpha.dtype}, expected "
                f"{pixels.shape[:2]} of {pixels.dtype}; convert it or leave it out"
            )

    @property
    def is_float(self) -> bool:
        """Whether pixels are linear light, which may exceed white."""
        return bool(self.pixels.dtype == np.float32)

    @property
    def height(self) -> int:
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        return int(self.pixels.shape[1])

    def linear(self) -> npt.NDArray[np.float32]:
        """Linear light in the picture's own primaries, float32 (H, W, 3), 0..1; float32 pixels as they are.

        Uses the tone curves of the profile. A profile without curves (LUT only) is treated as having sRGB's, which is an
        approximation.
        """
        return self.pixels if self.is_float else decoded(self.pixels, self._curves())

    def encode(self, linear: npt.NDArray[np.float32], dtype: npt.DTypeLike | None = None) -> Pixels:
        """The inverse of `linear`: float32 (H, W, 3) to pixels, clipped to 0..1 and rounded.

        dtype: uint8 or uint16; None is the photo's own, and the light itself for a float photo. `encode(linear())` returns
        the pixels exactly. Raises PhotoError for another type.
        """
        kind = self.pixels.dtype if dtype is None else np.dtype(dtype)
        if kind == np.float32 and self.is_float:
            return np.asarray(linear, np.float32)
        if kind not in (np.uint8, np.uint16):
            raise PhotoError(f"{self.source} cannot be encoded as {kind}; ask for uint8 or uint16")
        return encoded(linear, kind, self._curves())

    def srgb8(self) -> npt.NDArray[np.uint8]:
        """uint8 sRGB (H, W, 3) for networks, converted by littlecms when the photo is in another colour space.

        Pixels with a profile that littlecms rejects are treated as sRGB; light above white becomes white.
        """
        pixels: npt.NDArray[np.uint8] = rounded_to_8_bits(self.pixels)
        found = icc.profile(self.icc) if self.icc else None
        if self.icc is None or found is None or found.is_srgb:
            return pixels
        from PIL import Image

        from deeplens_dof.photo.codecs.decode import to_srgb

        converted = to_srgb(Image.fromarray(np.ascontiguousarray(pixels)), self.icc)
        return pixels if converted is None else np.array(converted, np.uint8)

    def cover(self) -> npt.NDArray[np.float32] | None:
        """Alpha as float32 (H, W) 0..1; None for a photo that is opaque everywhere."""
        if self.alpha is None:
            return None
        cover: npt.NDArray[np.float32] = alpha_as(self.alpha, np.float32)
        return cover if float(cover.min()) < 1 else None

    def thumbnail(self, longest_px: int) -> npt.NDArray[np.uint8]:
        """uint8 sRGB (h, w, 3) of at most that many px a side."""
        from deeplens_dof.imaging.resize import resize_picture

        scale = min(1.0, longest_px / max(self.height, self.width))
        size = (max(1, round(side * scale)) for side in (self.height, self.width))
        return resize_picture(self.srgb8(), *size)

    def _repr_png_(self) -> bytes:
        """For notebooks."""
        return notebook.png(self.thumbnail(notebook.LONGEST_PX))

    def seen_srgb8(self) -> npt.NDArray[np.uint8]:
        """`srgb8` with colours continued into what is transparent, so that hidden ones count for nothing."""
        from deeplens_dof.imaging.holes import filled

        rgb, cover = self.srgb8(), self.cover()
        if cover is None:
            return rgb
        seen: npt.NDArray[np.uint8] = np.rint(filled(rgb.astype(np.float32), cover)).astype(np.uint8)
        return seen

    def with_pixels(self, pixels: npt.NDArray[Any]) -> Photo:
        """This photo with other pixels in the same colour space. Alpha is kept if its size still fits."""
        alpha = self.alpha
        if alpha is not None and alpha.shape != pixels.shape[:2]:
            alpha = None
        if alpha is not None and alpha.dtype != pixels.dtype:
            alpha = alpha_as(alpha, pixels.dtype)
        return replace(self, pixels=pixels, alpha=alpha)

    def save(
        self,
        path: Target,
        *,
        strip_metadata: bool = False,
        settings: Mapping[str, object] | None = None,
        quality: int | None = None,
        format: str | None = None,
    ) -> None:
        """Write the photo to `path`, completely or not at all, or into an open file.

        Format capabilities are listed in docs/formats.md: 16 bits are rounded to 8 where necessary, light above white is kept
        only in EXR, alpha everywhere but in JPEG.

        Args:
            path: the file; its suffix determines the format unless `format` names one. Or a file opened as bytes (or another
                object with `write`), which gets the photo's own format unless another is named.
            strip_metadata: leave out EXIF (with GPS), XMP, IPTC and text. The ICC profile stays, because the colours depend
                on it, and so does the resolution.
            settings: recorded in XMP under https://ns.deeplens-dof.org/1.0/, beside existing properties.
            quality: 1..100; None is about the original's, at least 90 for JPEG.
            format: "JPEG", ".png", ...

        Raises:
            PhotoError: the photo cannot be written.
        """
        if is_writable(path):
            form = formats.by_name(self.format if format is None else format)
            write_bytes(
                path, file_bytes(self._contents(strip_metadata, settings), form, quality, name_of(path))
            )
            return
        assert isinstance(path, (str, os.PathLike))
        form = formats.by_suffix(path) if format is None else formats.by_name(format)
        data = file_bytes(self._contents(strip_metadata, settings), form, quality, shown(path))
        write_file(path, lambda file: _write_all(file, data))

    def to_bytes(
        self,
        *,
        strip_metadata: bool = False,
        settings: Mapping[str, object] | None = None,
        quality: int | None = None,
        format: str | None = None,
    ) -> bytes:
        """The file that `save` would write, in the photo's own format unless another is named."""
        form = formats.by_name(self.format if format is None else format)
        return file_bytes(self._contents(strip_metadata, settings), form, quality, self.source)

    def lost_in(self, path: str | os.PathLike[str]) -> tuple[str, ...]:
        """Sentences about what a file of that name cannot hold and is changed for it. Raises PhotoError as `save` does."""
        form, lost = formats.by_suffix(path), []
        hdr = self.compression.hdr is not None and self.is_float
        if hdr and not form.floats and form.name not in HDR_FORMATS:
            lost.append(
                f"{self.source} is an HDR picture, and {form.shown} is written without: light above white was compressed "
                "(tone mapped); choose HEIC, AVIF or PNG to keep it"
            )
        if self.gain_map is not None and form.name != "JPEG":
            lost.append(
                f"{self.source} has a gain map for HDR screens, and {form.shown} is written without: it will not glow there; "
                "choose JPEG to keep it"
            )
        return tuple(lost)

    def with_embedded_depth(
        self, depth: EmbeddedDepth, *, nearest_m: float = 1.0, blur_at_infinity: float | None = None
    ) -> Photo:
        """This photo with `depth` as GDepth in its XMP, so that other programs can refocus it (see `gdepth.with_depth`).

        Raises PhotoError when the packet would exceed the limit for reading.
        """
        packet = gdepth.with_depth(self.xmp, depth, nearest_m, blur_at_infinity)
        if len(packet) > COMMAND_LINE_LIMITS.max_xmp_bytes:
            raise PhotoError(
                f"{self.source} cannot be written with depth inside: with the untouched photo that is {len(packet):,} "
                f"bytes of XMP, expected at most {COMMAND_LINE_LIMITS.max_xmp_bytes:,}; write the depth to a file of its own"
            )
        return replace(self, xmp=packet, depth=depth)

    def to_pillow(self) -> Image.Image:
        """An 8-bit RGB or RGBA Pillow image; `info` holds the ICC profile, EXIF, XMP and resolution."""
        from PIL import Image

        pixels = rounded_to_8_bits(self.pixels)
        if self.alpha is not None:
            pixels = np.dstack((pixels, alpha_as(self.alpha, np.uint8)))
        image = Image.fromarray(np.ascontiguousarray(pixels))
        exif = None if self.exif is None else b"Exif\0\0" + self.exif
        blocks = {"icc_profile": self.icc, "exif": exif, "xmp": self.xmp}
        image.info.update({key: block for key, block in blocks.items() if block is not None})
        if self.annotations.density is not None:
            image.info["dpi"] = self.annotations.density
        return image

    def _curves(self) -> Curves:
        found = icc.profile(self.icc) if self.icc else None
        return None if found is None or found.curves is None else found.curves

    def _contents(self, strip_metadata: bool, settings: Mapping[str, object] | None) -> Contents:
        packet = self.xmp
        if self.depth is not None and self.depth.origin in ORIGINS and not gdepth.holds(packet):
            packet = gdepth.with_depth(packet, self.depth)
        if settings and not strip_metadata:
            packet = xmp.with_settings(packet, settings)
        return Contents(
            pixels=self.pixels,
            alpha=self.alpha,
            icc=self.icc,
            exif=None if strip_metadata else self.exif,
            xmp=None if strip_metadata else packet,
            compression=self.compression,
            annotations=self.annotations.impersonal() if strip_metadata else self.annotations,
            gain_map=self.gain_map,
        )


def _write_all(file: Any, data: bytes) -> None:
    file.write(data)
