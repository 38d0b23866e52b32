"""Compiling everything ahead, and whether that has been done."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

BLURS = (  # what is compiled: height, width, largest CoC in px. The renderer chooses its ways by size and blur.
    ("slight blur", 96, 144, 0.7),
    ("small blur", 320, 480, 6.0),
    ("strong blur", 600, 900, 40.0),
    ("a large photo", 1200, 1800, 150.0),
)
SHAPES = ("disc", "blades:6", "ring", "cat-eye")


def warm_up() -> None:
    """Compiles every inner loop and takes a test picture through the whole product, as a service does before it says
    that it is ready. Raises what the failing part raises.
    """
    compile_blur()
    try_out((600, 900), everything=True)


def compile_blur(say: Callable[[str], None] = lambda _: None) -> None:
    """Renders pictures that together lead through every inner loop of the lens blur; says what it is at."""
    from deeplens_dof.highlights.clipping import restore_in_focus
    from deeplens_dof.highlights.network import reconstruct_highlights
    from deeplens_dof.lens_blur.render import RENDERERS, render
    from deeplens_dof.optics.aperture import Aperture

    for what, height, width, largest_px in BLURS:
        started = time.monotonic()
        rgb, coc_px = _ball_before_wall(height, width)
        for focus in (0, 1):  # on the wall, then on the ball
            render(rgb, (coc_px - np.float32(focus)) * np.float32(largest_px))
        say(f"lens blur, {what}: {time.monotonic() - started:.1f} s")
    started = time.monotonic()
    for shape in SHAPES:
        for _, height, width, largest_px in BLURS[:-1]:
            rgb, coc_px = _ball_before_wall(height // 2, width // 2)
            render(rgb, (coc_px - np.float32(0.5)) * np.float32(largest_px), Aperture.parse(shape))
    say(f"lens blur, shapes of the aperture: {time.monotonic() - started:.1f} s")
    started = time.monotonic()
    rgb, coc_px = _ball_before_wall(200, 300)
    rgb[:8, :8] = 1  # clipped
    coc_px = (coc_px - np.float32(0.5)) * np.float32(24)
    for name in RENDERERS:
        render(rgb, coc_px, renderer=name)
    light = reconstruct_highlights(rgb)
    restore_in_focus(light.copy(), rgb, light, coc_px)
    say(f"lens blur, with networks: {time.monotonic() - started:.1f} s")


def _ball_before_wall(height: int, width: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Linear light (height, width, 3), and CoC from 0 on the wall, which comes nearer downwards, to 1 on the ball."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    ball = np.hypot(x - width / 2, y - height / 2) < height / 4
    rgb = np.repeat(np.where(ball, np.float32(0.6), (x // 4) % 2 * np.float32(0.5))[..., None], 3, 2)
    wall = np.maximum(y / height - np.float32(0.5), 0)  # sharp and flat above, slanted below
    return rgb.astype(np.float32), np.where(ball, np.float32(1), wall).astype(np.float32)


def try_out(shape: tuple[int, int], everything: bool = False) -> None:
    """A ball before a striped wall through the whole product; raises RuntimeError when the blur is wrong.

    everything: afterwards also with what is off by default.
    """
    from deeplens_dof.optics.inverse_depth import InverseDepth
    from deeplens_dof.photo import Photo
    from deeplens_dof.pipeline import Settings, analyse, refocus

    height, width = shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    ball = np.hypot(x - width / 2, y - height / 2) < height / 4
    stripes = ((x // 4) % 2 * 160 + 40).astype(np.uint8)
    photo = Photo(np.repeat(np.where(ball, np.uint8(200), stripes)[..., None], 3, 2))
    analyse(photo)
    depth = InverseDepth(
        np.where(ball, np.float32(1), x / width * np.float32(0.1)).astype(np.float32), "relative"
    )
    scene = replace(analyse(photo, depth), matte=ball.astype(np.float32))
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
    if everything:
        refocus(scene, Settings(focus=(0.5, 0.5), highlights=1.0, grain=1.0))


def first_use() -> bool:
    """Whether numba's index of compiled loops is missing, or older than their source, wherever numba keeps it."""
    code = Path(__file__).parent / "lens_blur"
    caches = [Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")), Path("~/Library/Caches")]
    folders = {source.parent for source in code.rglob("*.py")}
    places = [folder / "__pycache__" for folder in folders]
    for cache in (os.environ.get("NUMBA_CACHE_DIR"), *(each.expanduser() / "numba" for each in caches)):
        places += (
            [place for folder in folders for place in Path(cache).glob(f"{folder.name}_*")] if cache else []
        )
    indexes = [index for place in places for index in place.glob("*.nbi")]
    sources = {source.stem: source.stat().st_mtime for source in code.rglob("*.py")}
    return not any(
        index.stat().st_mtime >= sources[name]
        for index in indexes
        if (name := index.name.split(".")[0]) in sources
    )
