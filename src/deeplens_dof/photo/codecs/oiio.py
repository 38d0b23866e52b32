"""Stored samples of a file, read and written through OpenImageIO.

Its Python interface accepts file names only, hence the private temporary files.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class DecodedFile(NamedTuple):
    """Samples of a file and what OpenImageIO reports about them.

    samples: (H, W, channels). alpha_channel: its index, -1 for none. kind: the file's own type, "uint8", "uint16", "half",
    "float", ... icc: its profile. attributes: other metadata, numbers and text.
    """

    samples: npt.NDArray[Any]
    channels: tuple[str, ...]
    alpha_channel: int
    kind: str
    icc: bytes | None
    attributes: dict[str, Any]


def stored_samples(
    data: bytes,
    suffix: str,
    kind: str | None = None,
    chosen: Callable[[tuple[str, ...]], tuple[int, int]] | None = None,
    check: Callable[[int, int, int], None] | None = None,
    raw: bool = False,
) -> DecodedFile:
    """The samples of the first picture of a file. Unassociated alpha is not multiplied in.

    Args:
        data: the file.
        suffix: suffix of the file's format, such as ".png".
        kind: type to convert samples to ("uint16", "float", ...); "float" maps integers to 0..1. None keeps the file's own.
        chosen: takes the channel names; returns the first channel to read and the one after the last. None reads all.
        check: takes width, height and number of channels before anything is decoded; raises if they are too large.
        raw: leave other colours than RGB as they are.

    Raises:
        ValueError: the file is damaged.
    """
    import OpenImageIO

    config = OpenImageIO.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)
    config.attribute("oiio:RawColor", int(raw))
    with tempfile.TemporaryDirectory(prefix="deeplens-") as folder:
        path = Path(folder) / f"picture{suffix}"
        path.write_bytes(data)
        file: Any = OpenImageIO.ImageInput.open(str(path), config)
        if file is None:
            raise ValueError(_without_path(OpenImageIO.geterror(), path))
        try:
            spec = file.spec()
            if check is not None:
                check(spec.width, spec.height, spec.nchannels)
            if spec.depth > 1:
                raise ValueError(f"it is a volume of {spec.depth} slices, expected a picture")
            own = str(spec.format)
            names = tuple(spec.channelnames)
            first, end = chosen(names) if chosen else (0, len(names))
            samples = file.read_image(0, 0, first, end, kind or own)
            problem = file.geterror()
        finally:
            file.close()
    if samples is None or problem:
        raise ValueError(_without_path(problem or "it ends too early", path))
    if samples.ndim == 2:
        samples = samples[..., None]
    attributes = {entry.name: entry.value for entry in spec.extra_attribs}
    profile = attributes.pop("ICCProfile", None)
    return DecodedFile(
        samples,
        names[first:end],
        int(spec.alpha_channel) - first if first <= spec.alpha_channel < end else -1,
        own,
        None if profile is None else np.asarray(profile, np.uint8).tobytes(),
        attributes,
    )


def stored_bytes(
    samples: npt.NDArray[Any],
    suffix: str,
    kind: str,
    channels: tuple[str, ...],
    attributes: Mapping[str, Any],
    icc: bytes | None = None,
) -> bytes:
    """A file with these samples.

    Args:
        samples: (H, W, channels).
        suffix: suffix of the format, such as ".exr".
        kind: OpenImageIO's name of the type to write.
        channels: their names.
        attributes: name -> value, or (OpenImageIO's type name, value).
        icc: a colour profile, or None.

    Raises:
        OSError: OpenImageIO cannot write it.
    """
    import OpenImageIO

    height, width, count = samples.shape
    spec = OpenImageIO.ImageSpec(width, height, count, kind)
    spec.channelnames = channels
    if "A" in channels:
        spec.alpha_channel = channels.index("A")
    for name, value in attributes.items():
        if isinstance(value, tuple):
            spec.attribute(name, OpenImageIO.TypeDesc(value[0]), value[1])
        else:
            spec.attribute(name, value)
    if icc is not None:
        profile = np.frombuffer(icc, np.uint8)
        spec.attribute("ICCProfile", OpenImageIO.TypeDesc(f"uint8[{len(icc)}]"), profile)
    with tempfile.TemporaryDirectory(prefix="deeplens-") as folder:
        path = Path(folder) / f"picture{suffix}"
        file: Any = OpenImageIO.ImageOutput.create(str(path))
        if file is None:
            raise OSError(f"this OpenImageIO does not write {suffix} files; install another one")
        written = file.open(str(path), spec) and file.write_image(np.ascontiguousarray(samples))
        problem = file.geterror()
        if not (file.close() and written):
            raise OSError(_without_path(problem or OpenImageIO.geterror() or "no reason given", path))
        return path.read_bytes()


def _without_path(message: str, path: Path) -> str:
    return message.replace(str(path), "the file")
