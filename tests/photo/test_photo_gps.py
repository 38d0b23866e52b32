"""The place is taken out of a photo, and nothing else."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import IFD

import deeplens_dof as dl
from deeplens_dof.photo.remove_gps import without_gps

PACKET = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 exif:GPSLatitude="48,12.5N" dc:format="image/jpeg"><exif:GPSAltitude>12/1</exif:GPSAltitude><dc:source>mine</dc:source>
</rdf:Description></rdf:RDF></x:xmpmeta>"""


@pytest.fixture(params=["<", ">"])
def exif(request) -> bytes:
    made = Image.Exif()
    made.endian = request.param
    made[0x010F], made[0x0110] = "Maker", "Model"
    made.get_ifd(IFD.GPSInfo).update({1: "N", 2: (48.0, 12.0, 30.5), 29: "2026:01:02"})
    made.get_ifd(IFD.Exif)[0x829D] = 2.8
    return made.tobytes().removeprefix(b"Exif\0\0")


def test_exif_keeps_all_but_the_place(exif) -> None:
    stripped = without_gps(dl.Photo(np.zeros((4, 4, 3), np.uint8), exif=exif)).exif
    assert len(stripped) == len(exif)
    assert b"2026:01:02" in exif
    assert b"2026:01:02" not in stripped
    stream = io.BytesIO()
    Image.new("RGB", (4, 4)).save(stream, "JPEG", exif=b"Exif\0\0" + stripped)
    read = Image.open(stream).getexif()
    assert (read[0x010F], read[0x0110]) == ("Maker", "Model")
    assert float(read.get_ifd(IFD.Exif)[0x829D]) == pytest.approx(2.8)
    assert 0x8825 not in read


def test_xmp_keeps_all_but_the_place() -> None:
    photo = dl.Photo(np.zeros((4, 4, 3), np.uint8), xmp=PACKET)
    stripped = without_gps(photo).xmp
    assert b"GPS" not in stripped
    assert b"mine" in stripped
    assert b'dc:format="image/jpeg"' in stripped
    odd = replace(photo, xmp=PACKET.replace(b"</exif:GPSAltitude>", b""))
    assert without_gps(odd).xmp is None  # what cannot be cut out goes with all the rest


@pytest.mark.parametrize("exif", [None, b"II*\0\x08\0\0\0\0\0", b"garbage"])
def test_without_a_place_nothing_changes(exif) -> None:
    assert without_gps(dl.Photo(np.zeros((4, 4, 3), np.uint8), exif=exif)).exif == exif
