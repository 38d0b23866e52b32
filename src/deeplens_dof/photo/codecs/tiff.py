"""TIFF 6.0, encoded here: one page of 8 or 16 bits with EXIF, GPS, ICC and XMP, deflated after a predictor."""

from __future__ import annotations

import zlib

import numpy as np

from deeplens_dof.photo.contents import Contents, Pixels
from deeplens_dof.photo.metadata import exif, ifd
from deeplens_dof.photo.metadata.annotations import density_in, density_tags, iptc_tags

_STRIP_BYTES = 1 << 18  # before compression
_LARGEST_BYTES = (1 << 32) - 1


def tiff_bytes(contents: Contents) -> bytes:
    """RGB, or RGBA with unassociated alpha. Raises ValueError when it would exceed TIFF's 4 GiB."""
    order, tags = exif.descriptive_tags(contents.exif)
    samples = contents.pixels
    if contents.alpha is not None:
        samples = np.concatenate((samples, contents.alpha[..., None]), axis=2)
    height, width, channels = samples.shape
    rows = max(1, _STRIP_BYTES // (width * channels * samples.itemsize))
    strips = [_strip(samples[top : top + rows], order) for top in range(0, height, rows)]
    bits = 8 * samples.itemsize
    page: ifd.Directory = {
        0x0100: ifd.packed(order, ifd.LONG, width),
        0x0101: ifd.packed(order, ifd.LONG, height),
        0x0102: ifd.packed(order, ifd.SHORT, *[bits] * channels),
        0x0103: ifd.packed(order, ifd.SHORT, 8),  # deflate
        0x0106: ifd.packed(order, ifd.SHORT, 2),  # RGB
        0x0111: ifd.packed(order, ifd.LONG, *[0] * len(strips)),
        0x0112: ifd.packed(order, ifd.SHORT, 1),  # upright
        0x0115: ifd.packed(order, ifd.SHORT, channels),
        0x0116: ifd.packed(order, ifd.LONG, rows),
        0x0117: ifd.packed(order, ifd.LONG, *map(len, strips)),
        0x011C: ifd.packed(order, ifd.SHORT, 1),  # interleaved
        0x013D: ifd.packed(order, ifd.SHORT, 2),  # horizontal differences
    }
    if channels == 4:
        page[0x0152] = ifd.packed(order, ifd.SHORT, 2)  # unassociated alpha
    if contents.icc is not None:
        page[0x8773] = ifd.bytes_field(ifd.UNDEFINED, contents.icc)
    if contents.xmp is not None:
        page[0x02BC] = ifd.bytes_field(ifd.BYTE, contents.xmp)
    page |= _annotation_tags(order, contents)
    return _assembled(order, tags._replace(ifd0={**tags.ifd0, **page}), strips)


def _annotation_tags(order: str, contents: Contents) -> ifd.Directory:
    """IPTC, and the resolution where EXIF does not tell it already."""
    found = contents.annotations
    tags: ifd.Directory = {} if found.iptc is None else iptc_tags(found.iptc)
    known = density_in(contents.exif)
    if found.density is not None and (known is None or not np.allclose(known, found.density, rtol=0.005)):
        tags |= density_tags(order, found.density)
    return tags


def _assembled(order: str, tags: ifd.Tags, strips: list[bytes]) -> bytes:
    """Directories, then strips. Offsets have a fixed size, so the length of the directories is known in advance."""
    at = len(ifd.laid_out(order, tags))
    if at + sum(map(len, strips)) > _LARGEST_BYTES:
        raise ValueError("a TIFF holds at most 4 GiB; save as PNG")
    offsets = []
    for strip in strips:
        offsets.append(at)
        at += len(strip)
    page = {**tags.ifd0, 0x0111: ifd.packed(order, ifd.LONG, *offsets)}
    return b"".join((ifd.laid_out(order, tags._replace(ifd0=page)), *strips))


def _strip(rows: Pixels, order: str) -> bytes:
    """Section 14: each sample minus its left neighbour, modulo the type; then deflated."""
    differences = rows.copy()
    np.subtract(rows[:, 1:], rows[:, :-1], out=differences[:, 1:])
    packer = zlib.compressobj(6, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    return (
        packer.compress(differences.astype(rows.dtype.newbyteorder("<" if order == "<" else ">")).tobytes())
        + packer.flush()
    )
