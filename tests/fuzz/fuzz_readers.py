"""Every reader of files against damaged files: only what they declare may come out of them.

`one_input(data)` is the target. `python tests/fuzz/fuzz_readers.py [CORPUS] [options of libFuzzer]` runs it under atheris
where that is installed (pip install atheris); `--seed N` repeats one mutation of the deterministic runner, and
`--samples FOLDER` writes the samples as a corpus to start from. A new format gets a line in `EXTRA_SAMPLES`, a new parser
one in `READERS`.
"""

from __future__ import annotations

import base64
import io
import random
import struct
import sys
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "samples"))

Nested = Callable[[bytes], bytes]
_MOST_PIXELS_WRITTEN = 100_000


@dataclass(frozen=True)
class Sample:
    """A whole file, or the part of one that is damaged before `wrap` makes the file of it."""

    data: bytes
    wrap: Nested = bytes


def one_input(data: bytes, tell: Callable[[str], None] = lambda _: None) -> None:
    """Every reader on these bytes. tell: is told each reader's name before it starts. Raises what is not declared."""
    for name, (read, declared) in readers().items():
        tell(name)
        try:
            read(data)
        except declared:
            pass
        except Exception as problem:
            problem.add_note(f"in the reader of {name}")
            raise


@cache
def readers() -> dict[str, tuple[Callable[[bytes], object], tuple[type[Exception], ...]]]:
    """Name -> reader of bytes, and the exceptions that it declares."""
    from deeplens_dof.photo import PhotoError
    from deeplens_dof.photo.codecs import png
    from deeplens_dof.photo.codecs.header import webp_is_lossless
    from deeplens_dof.photo.gain_map import GainMapError
    from deeplens_dof.photo.metadata import annotations, exif, icc, xmp
    from deeplens_dof.photo.metadata.xmp_tree import parse_packet
    from deeplens_dof.photo.phone_depth.dynamic_depth import end_of_jpeg
    from deeplens_dof.photo.phone_depth.range_map import BrokenDepthError

    depth_files = {
        f"depth {kind}": (lambda data, kind=kind: _depth_file(data, kind), (ValueError,))
        for kind in (".png", ".tiff", ".exr", ".npz", ".jpg", ".npy", ".pfm")
    }
    return {
        "photos": (_photo, (PhotoError,)),
        **depth_files,
        "XMP": (_xmp, ()),
        "XMP as a tree": (parse_packet, (xmp.PacketError,)),
        "XMP in JPEG": (_extended_xmp, ()),
        "depth in XMP": (_depth_in_xmp, ()),
        "the end of a JPEG": (end_of_jpeg, (BrokenDepthError,)),
        "EXIF": (_exif, ()),
        "EXIF to be shortened": (
            lambda data: exif.block(data) and exif.within_bytes(data, 2000),
            (ValueError,),
        ),
        "ICC": (lambda data: (icc.profile(data), [icc.fitting(data, n) for n in (1, 3, 4)]), ()),
        "PNG chunks": (lambda data: (png.metadata(data), png.annotations_of(data), png.is_deep(data)), ()),
        "IPTC": (lambda data: (annotations.iptc_in(data), annotations.iptc_in_tiff(data)), ()),
        "resolution": (annotations.density_in, ()),
        "gain map by ISO 21496": (_gain_by_iso, (GainMapError,)),
        "gain map by XMP": (_gain_by_xmp, (GainMapError,)),
        "gain map behind a JPEG": (_gain_in_jpeg, (GainMapError,)),
        "WebP chunks": (webp_is_lossless, ()),
    }


def _photo(data: bytes) -> None:
    """Reads, and where that went well does what every photo goes through: colours, original, and writing."""
    from deeplens_dof.photo import SERVICE_LIMITS, read, untouched
    from deeplens_dof.photo.codecs import formats
    from deeplens_dof.photo.remove_gps import without_gps

    photo = read(data, limits=SERVICE_LIMITS)
    assert photo.depth is None or photo.depth_problem is None
    if photo.width * photo.height > _MOST_PIXELS_WRITTEN:
        return
    untouched(photo).srgb8()
    photo.encode(photo.linear())
    if photo.format in WRITTEN and photo.format in formats.FORMATS:
        written = without_gps(photo).to_bytes(settings={"f_number": 1.8})
        again = read(written)
        assert again.pixels.shape == photo.pixels.shape
        assert (again.depth is None) == (photo.depth is None) or photo.depth_problem is not None


def _depth_file(data: bytes, kind: str) -> None:
    from deeplens_dof.depth.files import read_depth_file

    with tempfile.TemporaryDirectory(prefix="deeplens-fuzz-") as folder:
        path = Path(folder) / f"depth{kind}"
        path.write_bytes(data)
        read_depth_file(path)


def _xmp(data: bytes) -> None:
    from deeplens_dof.photo.metadata import xmp

    packet = xmp.checked(data)
    xmp.recorded_settings(data)
    if packet is not None:
        assert xmp.checked(packet) == packet
        written = xmp.with_settings(packet, {"f_number": 1.8})
        assert xmp.recorded_settings(written)["f_number"] == "1.8"
        xmp.scanned(xmp.without(packet, {"http://ns.adobe.com/xap/1.0/"}))


def _gain_by_iso(data: bytes) -> None:
    import numpy as np

    from deeplens_dof.photo import gain_map

    gain_map.coding_in_iso(data).decoded(np.zeros((2, 3, 1), np.float32))


def _gain_by_xmp(data: bytes) -> None:
    import numpy as np

    from deeplens_dof.photo import gain_map

    codes = np.zeros((2, 3, 1), np.float32)
    coding = gain_map.coding_in_xmp(data)
    if coding is not None:
        coding.decoded(codes)
    gain_map.apple_map(codes, data, data)


def _gain_in_jpeg(data: bytes) -> None:
    from deeplens_dof.photo import SERVICE_LIMITS
    from deeplens_dof.photo.ultra_hdr import gain_map_in

    gain_map_in(data, (48, 32), 6, None, "the picture", SERVICE_LIMITS)


def _extended_xmp(data: bytes) -> None:
    """The bytes as a packet to split and join, and as both halves of one."""
    from deeplens_dof.photo.metadata import xmp, xmp_in_jpeg
    from deeplens_dof.photo.phone_depth import gdepth

    packet = xmp.checked(data)
    if packet is not None:
        main, segments = xmp_in_jpeg.split(packet, gdepth.HEAVY)
        xmp_in_jpeg.joined(main, [segments[4:]])
    xmp_in_jpeg.joined(data, [data, data[: len(data) // 2], data[len(data) // 2 :]])


def _depth_in_xmp(data: bytes) -> None:
    from deeplens_dof.photo.metadata import xmp
    from deeplens_dof.photo.phone_depth.find import depth_in

    found = depth_in(data, xmp.checked(data), (48, 32), 6)
    assert found.depth is None or found.problem is None


def _exif(data: bytes) -> None:
    from deeplens_dof.photo.metadata import exif

    block = exif.block(data)
    assert 1 <= exif.orientation(block) <= 8
    exif.camera_of(block)
    exif.from_tiff(data)
    if block is not None:
        upright = exif.made_upright(block, 48, 32)
        assert exif.orientation(upright) == 1
        exif.relaid(block)


WRITTEN = ("JPEG", "PNG", "WEBP", "TIFF")  # AVIF takes a tenth of a second to write


@cache
def samples() -> dict[str, Sample]:
    """Whole files of every kind that is read, and parts of files that are damaged before they are wrapped up."""
    import numpy as np
    import photo_samples
    from PIL import Image

    from deeplens_dof.photo import Photo, PhotoError
    from deeplens_dof.photo.codecs import formats

    rich = {"exif": photo_samples.exif_block(6), "xmp": photo_samples.XMP, "icc": photo_samples.display_p3()}
    small = Photo(photo_samples.picture(24, 36), **rich)
    deep = Photo(photo_samples.noise(12, 16, np.uint16), **rich)
    found: dict[str, Sample] = {}
    for name in formats.FORMATS:
        for kind, photo in ((name, small), (f"{name} from 16 bits", deep)):
            try:
                found[kind] = Sample(photo.to_bytes(format=name))
            except PhotoError:  # a format that is only read; EXTRA_SAMPLES may have one
                continue
    image = Image.fromarray(small.pixels)
    found["progressive JPEG"] = Sample(photo_samples.file_of(image, "JPEG", progressive=True))
    found["CMYK JPEG"] = Sample(photo_samples.file_of(image.convert("CMYK"), "JPEG"))
    found["LZW TIFF"] = Sample(photo_samples.file_of(image, "TIFF", compression="tiff_lzw"))
    found["palette PNG"] = Sample(photo_samples.file_of(image.convert("P"), "PNG", transparency=3))
    for make in (_parts_of_jpegs, _annotated, _gain_maps, _depth_in_jpegs, _depth_files, _foreign_files):
        found |= make()
    for name, extra in EXTRA_SAMPLES.items():
        if (data := extra()) is not None:
            found[name] = Sample(data)
    return found


def _parts_of_jpegs() -> dict[str, Sample]:
    import photo_samples
    from PIL import Image

    from deeplens_dof.photo.metadata import ifd

    image = Image.fromarray(photo_samples.picture(24, 36))

    def jpeg(**options: bytes) -> bytes:
        return photo_samples.file_of(image, "JPEG", **options)

    thumbnail = photo_samples.file_of(image.resize((9, 6)), "JPEG")
    return {
        "XMP": Sample(photo_samples.XMP, lambda data: jpeg(xmp=data[:60_000])),
        "bare XMP": Sample(photo_samples.XMP),
        "EXIF": Sample(photo_samples.exif_block(3), lambda data: jpeg(exif=b"Exif\0\0" + data[:60_000])),
        "bare EXIF": Sample(photo_samples.with_thumbnail(photo_samples.exif_block(8, ">"), thumbnail)),
        "ICC": Sample(photo_samples.display_p3(), lambda data: jpeg(icc_profile=data)),
        "grey ICC": Sample(photo_samples.grey_profile(photo_samples.gamma_curve(1.8))),
        "press ICC": Sample(photo_samples.cmyk_profile(), lambda data: _cmyk(data)),
        "directory": Sample(
            ifd.laid_out("<", ifd.Tags({1: ifd.packed("<", ifd.LONG, *range(99))}, {}, {}, {}))
        ),
    }


def _annotated() -> dict[str, Sample]:
    import photo_samples

    from deeplens_dof.photo import Photo
    from deeplens_dof.photo.metadata import annotations

    iptc = b"\x1c\x02\x78\0\x05hello"
    texts = ((b"tEXt", b"Title\0cat"), (b"zTXt", b"parameters\0\0" + zlib.compress(b"steps: 20")))
    own = annotations.Annotations((300.0, 72.0), iptc, b"by hand", texts)
    photo = Photo(photo_samples.picture(24, 36), annotations=own)
    found = {f"annotated {name}": Sample(photo.to_bytes(format=name)) for name in ("JPEG", "PNG", "TIFF")}
    return {**found, "IPTC": Sample(annotations.as_resources(iptc))}


def _gain_maps() -> dict[str, Sample]:
    import numpy as np
    import photo_samples

    from deeplens_dof.photo import Photo, gain_map

    stops = np.random.default_rng(3).random((12, 18, 1)).astype(np.float32) * 3
    gain = gain_map.GainMap(stops)
    file = Photo(photo_samples.picture(24, 36), gain_map=gain).to_bytes(format="JPEG")
    at = file.rindex(b"\xff\xd8\xff")
    iso = struct.pack(">HHB", 0, 0, 0) + struct.pack(
        ">14i", *(0, 64, 192, 64), *(0, 64, 192, 64), *(64, 64, 1, 64, 1, 64)
    )
    return {
        "Ultra HDR": Sample(file),
        "gain map of Ultra HDR": Sample(file[at:], lambda data: file[:at] + data),
        "ISO 21496": Sample(iso),
    }


def _cmyk(profile: bytes) -> bytes:
    import photo_samples
    from PIL import Image

    image = Image.fromarray(photo_samples.picture(8, 12)).convert("CMYK")
    return photo_samples.file_of(image, "JPEG", icc_profile=profile)


def _depth_in_jpegs() -> dict[str, Sample]:
    import depth_samples as made
    import photo_samples

    original = photo_samples.file_of(made.opened(made.gdepth_jpeg()), "JPEG")
    focus = {"GFocus_FocalPointX": "0.25", "GFocus_FocalPointY": "0.75"}
    untouched = base64.b64encode(original).decode()
    long = made.gdepth_packet(Confidence="A" * 70_000, GImage_Data=untouched, **focus)
    map_png = made.picture_of(made.codes(made.metres()))
    map_jpeg = made.picture_of(made.codes(made.metres()), "JPEG", 8)
    files = {"android/original": original, "android/depthmap": map_png}
    return {
        "GDepth": Sample(made.gdepth_jpeg(orientation=6, **focus)),
        "long GDepth": Sample(made.jpeg(long)),
        "GDepth packet": Sample(made.gdepth_packet(GImage_Data=untouched), lambda data: made.jpeg(data, 8)),
        "GDepth map": Sample(map_png, lambda data: made.jpeg(made.gdepth_packet(picture=data), 5)),
        "GDepth JPEG map": Sample(map_jpeg, lambda data: made.jpeg(made.gdepth_packet(picture=data))),
        "GImage original": Sample(
            original,
            lambda data: made.gdepth_jpeg(GImage_Data=base64.b64encode(data).decode()),
        ),
        "Dynamic Depth": Sample(made.dynamic_jpeg(files, original="android/original", padding=5)),
        "Dynamic Depth map": Sample(
            map_png, lambda data: made.dynamic_jpeg({"android/depthmap": data}, old=True)
        ),
    }


def _depth_files() -> dict[str, Sample]:
    import numpy as np
    import photo_samples
    from PIL import Image

    from deeplens_dof.depth.colormap import coloured
    from deeplens_dof.depth.files import write_depth_file
    from deeplens_dof.optics.inverse_depth import InverseDepth

    depth = InverseDepth(np.random.default_rng(2).random((18, 24)).astype(np.float32), "1/m")
    found = {}
    with tempfile.TemporaryDirectory(prefix="deeplens-fuzz-") as folder:
        for kind in (".png", ".tiff", ".exr", ".npz"):
            path = Path(folder) / f"depth{kind}"
            write_depth_file(path, depth)
            found[f"depth {kind}"] = Sample(path.read_bytes())
    array = io.BytesIO()
    np.save(array, depth.values)
    found["depth array"] = Sample(array.getvalue(), _npz)
    found["depth .npy"] = Sample(array.getvalue())
    found["depth .pfm"] = Sample(b"Pf\n24 18\n-1.0\n" + depth.values.astype("<f4").tobytes())
    colours = coloured(InverseDepth(np.linspace(0, 1, 18 * 24).reshape(18, 24), "relative"))
    found["depth in colours"] = Sample(photo_samples.file_of(Image.fromarray(colours), "PNG"))
    return found


def _npz(array: bytes) -> bytes:
    import zipfile

    import numpy as np

    unit = io.BytesIO()
    np.save(unit, np.array("1/m"))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inverse_depth.npy", array)
        archive.writestr("unit.npy", unit.getvalue())
    return file.getvalue()


def _foreign_files() -> dict[str, Sample]:
    return {
        "ISO media": Sample(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0\0\0\x20meta" + bytes(24)),
        "Canon RAW": Sample(b"II*\0\x10\0\0\0CR\2\0" + bytes(200)),
        "text": Sample(b"hello, this is no picture\n" * 4),
    }


def _heic() -> bytes | None:
    try:
        import photo_samples
        import pillow_heif
    except ImportError:
        return None
    file = io.BytesIO()
    height, width = 48, 64
    pixels = photo_samples.picture(height, width)
    pillow_heif.from_bytes("RGB", (width, height), pixels.tobytes()).save(file, quality=60)
    return file.getvalue()


def _portrait() -> bytes | None:
    """A HEIC photo with depth, where there is something to encode it with."""
    try:
        import pillow_heif  # noqa: F401
    except ImportError:
        return None
    import heif_files
    import photo_samples

    pixels = photo_samples.picture(24, 36)
    return heif_files.portrait(pixels, pixels[::2, ::2, 0], depth_xmp=heif_files.apple_xmp())


def _raw() -> bytes:
    import raw_samples

    return raw_samples.dng(raw_samples.four_patches(24, 32), xmp=b"<x:xmpmeta/>")


EXTRA_SAMPLES: dict[str, Callable[[], bytes | None]] = {
    "HEIC": _heic,
    "HEIC portrait": _portrait,
    "RAW": _raw,
}


def case(seed: int) -> tuple[str, bytes]:
    """The name of the sample and the damaged file of that seed: always the same."""
    kinds = list(samples())
    name = kinds[seed % len(kinds)]
    sample = samples()[name]
    chance = random.Random(seed)
    data = mutated(sample.data, chance)
    if data.startswith(b"\x89PNG") and chance.random() < 0.7:
        data = with_true_checksums(data)
    try:
        return name, sample.wrap(data)
    except (ValueError, OSError, SyntaxError):  # what is too long for its segment stands alone
        return name, data


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The bytes after one to four changes, every other one near their start."""
    found = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        if len(found) < 16:
            break
        near = min(len(found), 400) if chance.random() < 0.5 else len(found)
        chance.choice(_CHANGES)(found, chance.randrange(near - 8), chance)
    return bytes(found)


def _flip(data: bytearray, at: int, chance: random.Random) -> None:
    data[at] ^= 1 << chance.randrange(8)


def _overwrite(data: bytearray, at: int, chance: random.Random) -> None:
    data[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))


def _truncate(data: bytearray, at: int, chance: random.Random) -> None:
    del data[max(16, chance.randrange(len(data))) :]


def _copy(data: bytearray, at: int, chance: random.Random) -> None:
    start, length = chance.randrange(len(data)), chance.randint(1, 64)
    block = data[start : start + length]
    data[at : at + (len(block) if chance.random() < 0.5 else 0)] = block


def _cut(data: bytearray, at: int, chance: random.Random) -> None:
    del data[at : at + chance.randint(1, 32)]


def _length(data: bytearray, at: int, chance: random.Random) -> None:
    """Two, four or eight bytes taken for a count, a size or an offset."""
    code, order = chance.choice("HIQ"), chance.choice("<>")
    size = struct.calcsize(code)
    if at + size > len(data):
        return
    (value,) = struct.unpack_from(order + code, data, at)
    most = (1 << 8 * size) - 1
    new = chance.choice(
        (0, 1, 8, value + 1, value - 1, value * 2, value // 2, most, most // 2, len(data), most - 7)
    )
    struct.pack_into(order + code, data, at, new & most)


def _digits(data: bytearray, at: int, chance: random.Random) -> None:
    """The next number written in figures: larger, smaller, negative, or none."""
    start = next((i for i in range(at, min(len(data), at + 4000)) if 48 <= data[i] < 58), None)
    if start is None:
        return
    end = start
    while end < len(data) and 48 <= data[end] < 58:
        end += 1
    new = chance.choice((b"0", b"-1", b"4294967295", b"9" * 30, b"nan", b"1e999", b"", b"99999"))
    data[start:end] = new


_CHANGES = (_flip, _flip, _overwrite, _truncate, _copy, _cut, _length, _length, _length, _digits)


def with_true_checksums(data: bytes) -> bytes:
    """A PNG whose chunks' CRCs fit, so that damage gets past them."""
    parts, at = [data[:8]], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            break
        parts.append(data[at:end] + struct.pack(">I", zlib.crc32(data[at + 4 : end])))
        at = end + 4
    return b"".join(parts) + data[at:]


def prepare() -> bool:
    """What a worker has ready: every sample, and every import behind the readers."""
    for sample in samples().values():
        one_input(sample.wrap(sample.data))
    return True


def work(_: bool, tell: Callable[[str], None], seed: int) -> str:
    """One mutation through every reader, in a worker; gives the sample's name."""
    name, data = case(seed)
    one_input(data, tell)
    return name


def fuzz(
    seeds: range,
    workers: int = 1,
    seconds: float = 10.0,
    memory_bytes: int = 2 << 30,
    task: Callable[[bool, Callable[[str], None], int], str] = work,
    start: Callable[[], bool] = prepare,
) -> list[str]:
    """Runs these mutations in processes of their own; one entry for each that found something."""
    from deeplens_dof.runtime.worker_pool import Pool

    reading: dict[int, str] = {}
    failures = []
    limits = {"seconds": seconds, "memory_bytes": memory_bytes}
    with Pool(start, workers=workers, **limits) as pool:
        futures = {
            seed: pool.submit(
                task,
                seed,
                name=f"mutation {seed}",
                progress=lambda reader, seed=seed: reading.__setitem__(seed, reader),
            )
            for seed in seeds
        }
        for seed, future in futures.items():
            problem = future.exception()
            if problem is not None:
                failures.append(
                    f"seed {seed} ({case(seed)[0]}), reader of {reading.get(seed, 'nothing yet')}: "
                    f"{type(problem).__name__}: {problem}{problem.__cause__ or ''}\n"
                    f"repeat: python tests/fuzz/fuzz_readers.py --seed {seed}"
                )
    return failures


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--seed"]:
        name, data = case(int(arguments[1]))
        print(f"{name}: {len(data)} bytes")
        one_input(data, print)
        return
    if arguments[:1] == ["--samples"]:
        folder = Path(arguments[1])
        folder.mkdir(parents=True, exist_ok=True)
        for name, sample in samples().items():
            (folder / name.replace(" ", "-").replace("/", "-")).write_bytes(sample.wrap(sample.data))
        print(f"{len(samples())} samples in {folder}")
        return
    try:
        import atheris
    except ImportError:
        sys.exit(
            "fuzz_readers: atheris is not installed; run pip install atheris, or pytest -m slow tests/fuzz"
        )
    with atheris.instrument_imports(include=["deeplens_dof"]):
        prepare()
    atheris.Setup([sys.argv[0], *arguments], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
