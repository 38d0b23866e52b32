"""Small photos, depth, frames and pairs for record_results.py: made of examples/photos and of numbers alone."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

PHOTOS = Path(__file__).resolve().parents[1] / "examples" / "photos"


def small(name: str, long_side: int = 240) -> Image.Image:
    """An example photo, reduced by whole steps that no library's filter decides."""
    picture = np.asarray(Image.open(PHOTOS / f"{name}.jpg").convert("RGB"))
    step = max(1, max(picture.shape[:2]) // long_side)
    return Image.fromarray(np.ascontiguousarray(picture[::step, ::step]))


def depth_of(size: tuple[int, int]) -> np.ndarray:
    """Made-up inverse depth: a slope with a disc and a bar before it."""
    width, height = size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    values = 0.05 + 0.4 * y / height
    values = np.where(np.hypot(x - 0.4 * width, y - 0.5 * height) < 0.25 * height, 0.95, values)
    return np.where(np.abs(x - 0.75 * width) < 0.06 * width, 0.7, values).astype(np.float32)


def make_inputs(folder: Path) -> None:
    """The photos and the depth that every step reads, as files in `folder`."""
    import OpenImageIO as oiio

    for name in ("astronaut", "coffee", "chelsea"):
        photo, exif = small(name), Image.Exif()
        exif[0x010F], exif[0x0131] = "Maker", "Camera"
        exif.get_ifd(0x8825)[1] = "N"
        photo.save(folder / f"{name}.jpg", quality=92, exif=exif)
        codes = np.rint(depth_of(photo.size) * 65535).astype(np.uint16)
        Image.fromarray(codes).save(folder / f"{name}.depth.png")
    disc = np.hypot(*np.mgrid[-8:9, -8:9]) < 8
    Image.fromarray(np.uint8(255 * disc)).save(folder / "kernel.png")
    rgb = np.asarray(small("astronaut"))
    deep = (rgb.astype(np.uint16) * 257) ^ (np.arange(rgb.size).reshape(rgb.shape) % 199).astype(np.uint16)
    light = (rgb.astype(np.float32) / 255) ** 2.2 * 3
    for name, pixels in (("deep.tiff", deep), ("deep.png", deep), ("light.exr", light)):
        writer = oiio.ImageOutput.create(str(folder / name))
        height, width, _ = pixels.shape
        writer.open(
            str(folder / name),
            oiio.ImageSpec(width, height, 3, str(pixels.dtype).replace("float32", "float")),
        )
        writer.write_image(pixels)
        writer.close()


def make_frames(folder: Path) -> Path:
    """Sixteen frames as `deeplens scenes` writes them, whose brightness is depth."""
    (folder / "000").mkdir(parents=True)
    for index in range(16):
        rng = np.random.default_rng(index)
        rows, columns = np.mgrid[:84, :112]
        waves = np.sin(rows / rng.uniform(8, 25)) + np.cos(columns / rng.uniform(8, 25)) + 2.1
        codes = np.rint(waves / 4.1 * 65535).astype(np.uint16)
        rgb = np.repeat((codes >> 8).astype(np.uint8)[..., None], 3, 2)
        subject = ((waves > np.percentile(waves, 80)) * 255).astype(np.uint8)
        facts = {"seed": 3, "index": index, "kind": "test", "inverse_depth_scale": 2.0, "has_subject": True}
        with zipfile.ZipFile(folder / "000" / f"frame_{index:06d}.zip", "w") as archive:
            for name, pixels in (("rgb.jpg", rgb), ("inverse_depth.png", codes), ("subject.png", subject)):
                data = io.BytesIO()
                Image.fromarray(pixels).save(data, "JPEG" if name.endswith("jpg") else "PNG")
                archive.writestr(name, data.getvalue())
            archive.writestr("facts.json", json.dumps(facts))
    return folder


def make_pairs(folder: Path, side: int = 256) -> Path:
    """Four pairs as `deeplens scenes --pairs` writes them, and the examples of their borders: a board before a wall."""
    (folder / "000").mkdir(parents=True)
    for index in range(4):
        rng = np.random.default_rng(index)
        wall, board = (np.kron(rng.random((side // 8, side // 8, 3)), np.ones((8, 8, 1))) for _ in range(2))
        alpha = np.zeros((side, side), np.float32)
        alpha[:, side // 2 :] = 0.75
        light = alpha[..., None] * board + (1 - alpha[..., None]) * wall
        coc = np.where(alpha > 0, 2.0, -4.0)
        facts = {
            "seed": 0,
            "index": index,
            "held_out": False,
            "shape": "disc",
            "focus": 2 / 3,
            "blur_px": 6.0,
            "version": 3,
        }
        halves = {"rgb": light * 1.2, "bokeh": light, "coc_px": coc}
        np.savez(
            folder / "000" / f"pair_{index:06d}.npz", surface=(alpha == 0).astype(np.uint8),
            facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **{k: v.astype(np.float16) for k, v in halves.items()},
        )  # fmt: skip
        shown = {"light": light, "coc_px": coc, "alpha": alpha, "front": board, "back": wall}
        halves = {name: np.asarray(value, np.float16) for name, value in shown.items()}
        np.savez(folder / "000" / f"border_{index:06d}.npz", **halves)
    return folder


def make_assets(folder: Path) -> None:
    """Skies and materials of noise where training looks for those that are fetched."""
    import OpenImageIO as oiio

    rng = np.random.default_rng(0)
    (folder / "pmndrs-assets").mkdir(parents=True)
    for name in ("bridge", "lobby", "park", "city"):
        sky = np.exp(rng.normal(0, 1, (32, 64, 3))).astype(np.float32)
        path = str(folder / "pmndrs-assets" / f"{name}.exr")
        writer = oiio.ImageOutput.create(path)
        writer.open(path, oiio.ImageSpec(64, 32, 3, "float"))
        writer.write_image(sky)
        writer.close()
    for side in ("training", "held-out"):
        photos = {f"photo{k:03d}": rng.integers(0, 256, (300, 400, 3), np.uint8) for k in range(3)}
        cuts = {"cutout000": rng.integers(0, 256, (64, 64, 4), np.uint8)}
        surfaces = rng.integers(0, 256, (2, 256, 256, 3), np.uint8)
        np.savez(folder / f"materials-{side}-1.npz", surfaces=surfaces, **photos, **cuts)
