"""Size limits of pictures and metadata, checked from the header before anything is decoded."""

from __future__ import annotations

from dataclasses import dataclass

from deeplens_dof.photo.errors import PhotoError, TooLargeError

_MEGA = 1_000_000
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Upper bounds for a file. Pixels are width times height, sides are in px, everything else is in bytes.

    max_text_bytes: IPTC, comment and PNG text together. max_progressive_jpeg_pixels: a tighter bound for progressive JPEG,
    which takes many passes over all coefficients; None
    is no separate bound.
    """

    max_pixels: int
    max_side: int
    max_bytes: int
    max_exif_bytes: int = 8 * _MIB
    max_icc_bytes: int = 4 * _MIB
    max_xmp_bytes: int = 16 * _MIB
    max_text_bytes: int = 8 * _MIB
    max_progressive_jpeg_pixels: int | None = None

    def check_file(self, name: str, size_bytes: int) -> None:
        if size_bytes > self.max_bytes:
            raise TooLargeError(
                f"{name} has {size_bytes:,} bytes, expected at most {self.max_bytes:,}; give a smaller file"
            )

    def check_picture(self, name: str, width: int, height: int, progressive_jpeg: bool = False) -> None:
        """Raises PhotoError when the picture has no pixels, or more than the limits allow."""
        if width < 1 or height < 1:
            raise PhotoError(f"{name} is {width} x {height} px, expected at least one pixel; export it again")
        if max(width, height) > self.max_side:
            raise TooLargeError(
                f"{name} is {width:,} x {height:,} px, expected at most "
                f"{self.max_side:,} px a side; make it smaller"
            )
        most, kind = self.max_pixels, "a picture"
        if progressive_jpeg and self.max_progressive_jpeg_pixels is not None:
            most, kind = min(most, self.max_progressive_jpeg_pixels), "a progressive JPEG"
        if width * height > most:
            size, bound = f"{width:,} x {height:,} px", f"{most:,} pixels"
            if most % _MEGA == 0:
                size += f", which is {width * height / _MEGA:,.1f} megapixels"
                bound = f"{most // _MEGA:,}"
            raise TooLargeError(f"{name} is {size}, expected at most {bound} for {kind}; make it smaller")

    def check_metadata(self, name: str, exif: bytes | None, icc: bytes | None, xmp: bytes | None) -> None:
        self._check_block(name, "EXIF", len(exif or b""), self.max_exif_bytes)
        self._check_block(name, "ICC", len(icc or b""), self.max_icc_bytes)
        self._check_block(name, "XMP", len(xmp or b""), self.max_xmp_bytes)

    def check_texts(self, name: str, size_bytes: int) -> None:
        self._check_block(name, "IPTC and text", size_bytes, self.max_text_bytes)

    def _check_block(self, name: str, kind: str, size_bytes: int, most: int) -> None:
        if size_bytes > most:
            raise TooLargeError(
                f"{name} holds {size_bytes:,} bytes of {kind}, expected at most {most:,}; remove that metadata"
            )


COMMAND_LINE_LIMITS = Limits(
    max_pixels=200 * _MEGA,
    max_side=65_500,
    max_bytes=2048 * _MIB,
    max_xmp_bytes=64 * _MIB,  # an untouched photo may be in it
)
SERVICE_LIMITS = Limits(
    max_pixels=50 * _MEGA,
    max_side=16_384,
    max_bytes=50 * _MEGA,
    max_progressive_jpeg_pixels=25 * _MEGA,
)
