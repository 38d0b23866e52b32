"""What the borders of near things are worth: by the optical renderer's own guess, by the network, and as they truly are.

    python benchmarks/borders.py [PAIRS] [--count 40]

On composed pairs (default: the held-out ones of the cache), with exact depth and with depth that is wrong at its borders, in
light that is not clipped. PSNR in dB of 8-bit sRGB within reach of depth steps, mean of pictures:

    optical   the renderer without a network
    network   its borders as the network `lens_blur` takes them apart
    colours   true colours of both surfaces, alpha guessed
    true      alpha and colours as the scene has them

Needs the assets of the scenes; see docs/training.md.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

import deeplens_dof as dl
from deeplens_dof.datasets.cache import cache_folder
from deeplens_dof.datasets.pairs import Pair, pair_files, read_pair
from deeplens_dof.evaluate.metrics import psnr
from deeplens_dof.learn.scenes.composites.compose import scene_of
from deeplens_dof.learn.training.pair_examples import with_depth_errors
from deeplens_dof.lens_blur.layers.borders import find_borders, first_guess, to_layers
from deeplens_dof.lens_blur.layers.layers import STEP_PX
from deeplens_dof.lens_blur.layers.unmix import depth_steps
from deeplens_dof.lens_blur.neural import render_neural
from deeplens_dof.lens_blur.optical import render_optical

METHODS = ("optical", "network", "colours", "true")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pairs", type=Path, nargs="?", default=cache_folder() / "pairs" / "held_out")
    parser.add_argument("--count", type=int, default=40)
    arguments = parser.parse_args()
    print(f"| depth | pictures | {' | '.join(METHODS)} |\n|{'---|' * (len(METHODS) + 2)}")
    for depth in ("exact", "wrong"):
        rows = []
        for number, path in enumerate(pair_files(arguments.pairs)[: arguments.count]):
            pair = read_pair(path)
            coc_px = (
                with_depth_errors(pair.coc_px, np.random.default_rng(number))
                if depth == "wrong"
                else pair.coc_px
            )
            band = _reached(pair.coc_px)
            if band.any() and find_borders(coc_px).within.any():
                rows.append(_scores(pair, coc_px, band))
        print(f"| {depth} | {len(rows)} | {' | '.join(f'{value:.2f}' for value in np.mean(rows, 0))} |")


def _scores(pair: Pair, coc_px: np.ndarray, band: np.ndarray) -> list[float]:
    """PSNR in the band, by METHODS."""
    aperture = dl.Aperture.parse(pair.facts["shape"])
    borders = find_borders(coc_px)
    guessed, _, _ = first_guess(pair.rgb, coc_px, borders)
    middle = (borders.near_px + borders.far_px) / 2
    depth = np.asarray(middle / pair.facts["blur_px"] + pair.facts["focus"], np.float32)
    alpha, front, back = scene_of(pair).unmixed_at(depth)
    pictures = [
        render_optical(pair.rgb, coc_px, aperture),
        render_neural(pair.rgb, coc_px, aperture),
        *(
            render_optical(
                pair.rgb,
                coc_px,
                aperture,
                known=to_layers(pair.rgb, coc_px, borders, share, *_adding_up(pair.rgb, share, front, back)),
            )
            for share in (guessed, alpha)
        ),
    ]
    truth = dl.linear_to_srgb(pair.bokeh)
    return [min(psnr(dl.linear_to_srgb(each), truth, 255, band), 60.0) for each in pictures]


def _adding_up(
    rgb: np.ndarray, alpha: np.ndarray, front: np.ndarray, back: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The colours nearest to these of which alpha and 1 - alpha are the picture."""
    share, rest = alpha[..., None], 1 - alpha[..., None]
    missing = (rgb - share * front - rest * back) / (share * share + rest * rest)
    return np.maximum(front + share * missing, 0), np.maximum(back + rest * missing, 0)


def _reached(coc_px: np.ndarray) -> np.ndarray:
    """Where light of a depth step may come to, (H, W)."""
    side = 2 * int(np.abs(coc_px).max() + STEP_PX) + 1
    return cv2.dilate(depth_steps(coc_px), np.ones((side, side), np.uint8)) > 0


if __name__ == "__main__":
    main()
