"""Small folders laid out as the bokeh benchmarks are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 20, 24
DEPTH_M = np.where(np.arange(WIDTH) < 12, 2.0, 4.0).astype(np.float32)[None].repeat(HEIGHT, 0)
INFO = {
    "resolution_x": WIDTH,
    "resolution_y": HEIGHT,
    "focal_length": 0.05,
    "sensor_width": 0.036,
    "focus_distances": [4.0, 2.0],
    "f_stops": [1.0, 0.5, 0.25],
    "blur_parameters": [4.0, 8.0, 16.0],
}


def shades(low: float = 0.2, high: float = 0.8) -> np.ndarray:
    """A picture (HEIGHT, WIDTH, 3) of chance, low..high."""
    return np.random.default_rng(3).uniform(low, high, (HEIGHT, WIDTH, 3)).astype(np.float32)


def write_exr(path: Path, pixels: np.ndarray, names: tuple[str, ...] = ("R", "G", "B")) -> None:
    import OpenImageIO as oiio

    pixels = pixels.reshape(*pixels.shape[:2], -1)
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], len(names), oiio.FLOAT)
    spec.channelnames = names
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), spec)
    assert output.write_image(np.ascontiguousarray(pixels, np.float32))
    assert output.close()


def blb(folder: Path, error: float = 0.0, scenes: tuple[str, ...] = ("cups",)) -> Path:
    """The truth of every level and focus is the input, brighter by `error` where it is compared."""
    for name in scenes:
        scene = folder / name
        scene.mkdir(parents=True)
        (scene / "info.json").write_text(json.dumps(INFO))
        write_exr(scene / "image.exr", shades() ** 2.2)
        write_exr(scene / "depth.exr", DEPTH_M, ("Z",))
        for level in range(3):
            for focus in range(2):
                write_exr(scene / f"bokeh_{level:02d}_{focus:02d}.exr", (shades() + error) ** 2.2)
    return folder


def save(path: Path, rgb: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path)


def ebb(folder: Path, names: tuple[str, ...], truth: np.ndarray) -> Path:
    """Photos 0..255; the truth of each is the same."""
    for name in names:
        save(folder / "original" / f"{name}.png", (shades() * 255).astype(np.uint8))
        save(folder / "bokeh" / f"{name}.png", truth)
    lines = ["name,x,y", *(f"{name}.png,0.75,0.5" for name in names)]
    (folder / "focus.csv").write_text("\n".join(lines) + "\n")
    return folder


def realbokeh(folder: Path, f_numbers: tuple[float, ...]) -> Path:
    """A scene 7 whose true photos are the input, code values 10 higher."""
    rgb = (shades() * 255).astype(np.uint8)
    home = folder / "test"
    save(home / "in" / "7_f22.png", rgb)
    targets = [f"gt/7_f{number}.png" for number in f_numbers]
    for name in targets:
        save(home / name, rgb + np.uint8(10))
    (home / "metadata").mkdir()
    facts = {"id": 7, "source_image": "in/7_f22.png", "target_images": targets, "target_avs": f_numbers}
    (home / "metadata" / "7.json").write_text(json.dumps(facts))
    return folder


def traced(folder: Path) -> Path:
    """A scene of two levels whose truth is the input."""
    scene = folder / "shelf"
    rgb = (shades() * 255).astype(np.uint8)
    images = []
    for level in (1, 2):
        name = f"L{level}_F1.png"
        save(scene / name, rgb)
        images.append({"name": name, "level": level, "focus": 1, "K": 4.0 * level, "disp_focus": 0.25})
    save(scene / "aif.png", rgb)
    np.savez(scene / "disp.npz", disp=1 / DEPTH_M)
    (scene / "meta.json").write_text(json.dumps({"images": images}))
    return folder
