"""Compiles all numba kernels ahead of time, and tells whether that has been done."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

# Pictures to render (name, height and width in px, largest CoC in px): the renderer chooses its kernels by size and blur.
BLURS = (
    ("slight blur", 96, 144, 0.7),
    ("small blur", 320, 480, 6.0),
    ("strong blur", 600, 900, 40.0),
    ("a large photo", 1200, 1800, 150.0),
)
SHAPES = ("disc", "blades:6", "ring", "cat-eye")


def warm_up() -> None:
    """Compile all kernels and process a test picture, as a service does before it reports that it is ready.

    Raises:
        RuntimeError: the result is wrong. Other errors are those of the step that fails.
    """
    compile_blur()
    try_out((600, 900), everything=True)


def compile_blur(say: Callable[[str], None] = lambda _: None) -> None:
    """Compile the kernels of the lens blur by rendering pictures that use all of them.

    Args:
        say: receives a line for each step, with its duration.
    """
    from deeplens_dof.highlights.clipping import restore_in_focus
    from deeplens_dof.highlights.network import reconstruct_highlights
    from deeplens_dof.lens_blur.render import RENDERERS, render, render_subject
    from deeplens_dof.optics.aperture import Aperture

    for name, height, width, largest_px in BLURS:
        started = time.monotonic()
        rgb, coc_px = _ball_before_wall(height, width)
        for focus in (0, 1):  # on the wall, then on the ball
            render(rgb, (coc_px - np.float32(focus)) * np.float32(largest_px))
        say(f"lens blur, {name}: {time.monotonic() - started:.1f} s")
    started = time.monotonic()
    for shape in SHAPES:
        for _, height, width, largest_px in BLURS[:-1]:
            rgb, coc_px = _ball_before_wall(height // 2, width // 2)
            render(rgb, (coc_px - np.float32(0.5)) * np.float32(largest_px), Aperture.parse(shape))
    say(f"lens blur, shapes of the aperture: {time.monotonic() - started:.1f} s")
    started = time.monotonic()
    rgb, coc_px = _ball_before_wall(200, 300)
    rgb[:8, :8] = 1  # clipped
    ball = (coc_px == 1).astype(np.float32)
    coc_px = (coc_px - np.float32(0.5)) * np.float32(24)
    render_subject(rgb, coc_px, ball, Aperture.disc())
    for name in RENDERERS:
        render(rgb, coc_px, renderer=name)
    light = reconstruct_highlights(rgb)
    restore_in_focus(light.copy(), rgb, light, coc_px)
    say(f"lens blur, with networks: {time.monotonic() - started:.1f} s")


def _ball_before_wall(height: int, width: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """A ball in front of a wall that is sloped in its lower half.

    Returns:
        Linear light (height, width, 3), and CoC (height, width) from 0 on the upper wall to 1 on the ball.
    """
    y, x = np.mgrid[:height, :width].astype(np.float32)
    ball = np.hypot(x - width / 2, y - height / 2) < height / 4
    rgb = np.repeat(np.where(ball, np.float32(0.6), (x // 4) % 2 * np.float32(0.5))[..., None], 3, 2)
    wall = np.maximum(y / height - np.float32(0.5), 0)  # flat above, sloped below
    return rgb.astype(np.float32), np.where(ball, np.float32(1), wall).astype(np.float32)


def try_out(shape: tuple[int, int], everything: bool = False) -> None:
    """Process a test picture, a ball in front of a striped wall, and check the result.

    Args:
        shape: height and width in px.
        everything: also use the settings that are off by default.

    Raises:
        RuntimeError: the ball is not sharp, or the wall is not blurred.
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
    """Whether no compiled kernel of the lens blur is cached, or all are older than their source."""
    sources = list((Path(__file__).parent / "lens_blur").rglob("*.py"))
    changed = {source.stem: source.stat().st_mtime for source in sources}
    return not any(
        index.stat().st_mtime >= changed[module]
        for folder in _cache_folders({source.parent for source in sources})
        for index in folder.glob("*.nbi")
        if (module := index.name.split(".")[0]) in changed
    )


def _cache_folders(packages: set[Path]) -> list[Path]:
    """The folders in which numba may cache the kernels of these packages."""
    user_caches = [Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")), Path("~/Library/Caches")]
    roots = [cache.expanduser() / "numba" for cache in user_caches]
    if configured := os.environ.get("NUMBA_CACHE_DIR"):
        roots.append(Path(configured))
    below = [folder for package in packages for root in roots for folder in root.glob(f"{package.name}_*")]
    return [*(package / "__pycache__" for package in packages), *below]
