"""One scene by every renderer there is, with the same depth, focus, aperture and recovered light: ours by name, and discs.

Needs benchmarks/ on the path for the discs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import others

import deeplens_dof as dl
from deeplens_dof.pipeline import restored
from deeplens_dof.runtime.threads import thread_count

DISCS = "discs"
OURS = ("neural", "optical", "paper")
Picture = np.ndarray
Render = Callable[[np.ndarray, np.ndarray], np.ndarray]  # linear light and CoC to linear light


def rendered(scene: dl.Scene, settings: dl.Settings, name: str) -> Picture:
    """The scene by that renderer, uint8 sRGB (H, W, 3)."""
    if name == DISCS:
        return shown(through(scene, settings, discs))
    return shown(dl.refocus(scene, replace(settings, renderer=name)))


def through(scene: dl.Scene, settings: dl.Settings, render: Render) -> dl.Result:
    """`refocus` with a renderer that is no part of the product; grain, float photos and other shapes than a disc left out."""
    coc_px, light = scene.coc_px(settings), scene.light(settings.highlights)
    linear = restored(render(light, coc_px), scene.linear, light, coc_px, scene.white)
    return dl.Result(scene.photo, settings, linear, coc_px, scene)


def discs(light: np.ndarray, coc_px: np.ndarray) -> np.ndarray:
    """32 disc layers over each other (benchmarks/others.py)."""
    return others.discs(light, coc_px, thread_count())


def shown(result: dl.Result) -> Picture:
    return result.photo.with_pixels(result.image).srgb8()


def linear_by(name: str) -> Render:
    """The renderer itself, for scenes whose CoC is given."""
    if name == DISCS:
        return discs
    return lambda light, coc_px: dl.render(light, coc_px, renderer=name)


def at_hand(names: Iterable[str], tell: Callable[[str], None]) -> list[str]:
    """Those of the renderers that can be used here; of each other one `tell` gets a sentence."""
    found = []
    for name in names:
        reason = why_absent(name)
        if reason:
            tell(f"{name} is skipped: {reason}")
        else:
            found.append(name)
    return found


def why_absent(name: str) -> str | None:
    """What a small picture with a depth step and a lamp in it meets, or None where it is rendered."""
    if name == DISCS:
        return others.why_absent(DISCS)
    light, coc_px = np.full((64, 64, 3), 0.2, np.float32), np.full((64, 64), -4, np.float32)
    light[8:12, 8:12], coc_px[24:40, 24:40] = 1, 0
    try:
        dl.Settings(renderer=name)
        dl.render(light, coc_px, renderer=name)
    except (ValueError, OSError, ImportError) as error:
        return str(error)
    return None
