"""What is installed, whether it is whole, and whether it works: for people who ask for help."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from . import __version__

PARTS = ("numpy", "numba", "onnxruntime", "pillow", "OpenImageIO")


def examine(warm: bool, say: Callable[[str], None]) -> None:
    """Says versions, verifies weights and blurs a small picture; warm: at a size that compiles every kernel.

    Raises what the failing part raises.
    """
    from .models import list_models, verify

    say(
        f"deeplens {__version__}, Python {platform.python_version()}, {platform.platform()}, "
        f"{os.cpu_count()} cores"
    )
    for part in PARTS:
        try:
            say(f"{part} {version(part)}")
        except PackageNotFoundError:
            say(f"{part} is missing; reinstall deeplens-dof")
    for name, model in list_models().items():
        verify(name)
        say(f"weights {name}: {model.file} is intact")
    started = time.monotonic()
    _try_out((600, 900) if warm else (90, 120))
    say(
        f"a test picture went through in {time.monotonic() - started:.1f} s"
        + ("; all kernels are compiled" if warm else "")
    )


def _try_out(shape: tuple[int, int]) -> None:
    """A ball before a striped wall through the whole product; raises RuntimeError when the blur is wrong."""
    from .inverse_depth import InverseDepth
    from .photo import Photo
    from .pipeline import Settings, analyse, refocus

    height, width = shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    ball = np.hypot(x - width / 2, y - height / 2) < height / 4
    stripes = ((x // 4) % 2 * 160 + 40).astype(np.uint8)
    photo = Photo(np.repeat(np.where(ball, np.uint8(200), stripes)[..., None], 3, 2))
    analyse(photo)
    depth = InverseDepth(
        np.where(ball, np.float32(1), x / width * np.float32(0.1)).astype(np.float32), "relative"
    )
    scene = analyse(photo, depth)
    result = refocus(scene, Settings(focus=(0.5, 0.5), f_number=0.7, lens_mm=85.0))
    inside = np.hypot(x - width / 2, y - height / 2) < height / 8
    if not np.array_equal(result.image[inside], photo.pixels[inside]):
        raise RuntimeError(
            "the sharp subject of the test picture changed; the installation is broken, reinstall it"
        )
    if not np.ptp(result.image[: height // 8, width // 8 : -width // 8, 1].astype(int)) < 60:
        raise RuntimeError(
            "the background of the test picture was not blurred; the installation is broken, reinstall it"
        )
