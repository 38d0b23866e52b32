"""Training pictures for the highlight network: true light above white, and the photo in which a camera has clipped it.

    picture = make_clipped(seed, index, side, sources)

A picture depends on (seed, index) and the sources alone. It is part of a panorama of high dynamic range; a photo, a surface
or a painted room, exposed so that walls, skies, paper or cloth clip; emitters before a dark or an ordinary background; or
part of a composed pair or of a path-traced picture.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from deeplens_dof.datasets.pairs import pair_files
from deeplens_dof.imaging.color import linear_to_srgb, srgb_to_linear
from deeplens_dof.learn.scenes.clipped.lights import draw_emitters, glare
from deeplens_dof.learn.scenes.composites.materials import Materials, is_held_out, load_materials
from deeplens_dof.learn.scenes.objects.pictures import skies, sky_names

Floats = npt.NDArray[np.float32]
SKIES_HELD_OUT = ("bridge", "lobby")
SHARES = {"panorama": 0.1, "exposed": 0.36, "lamps": 0.26, "pair": 0.1, "traced": 0.18}
FRAME_SHARE = 0.5  # of the photo backgrounds: the part that is synthetic frames
MOST_LIGHT = 148.0
WASHED_OUT = 250  # 8-bit code from which on the source photo itself may be clipped


@dataclass(frozen=True)
class Sources:
    """Material for the pictures.

    panoramas: (N, h, w, 3) linear light. pairs, frames, traced: files of composed pairs, of synthetic frames and of
    unclipped path-traced pictures (`aif_linear.npz`); may be empty.
    """

    panoramas: npt.NDArray[np.float16]
    materials: Materials
    pairs: Sequence[Path]
    frames: Sequence[Path] = ()
    traced: Sequence[Path] = ()


@dataclass(frozen=True)
class Clipped:
    """A clipped photo and its true light.

    photo: (S, S, 3) linear, 0..1. light: (S, S, 3), 0..MOST_LIGHT. known: (S, S), False where `light` is unknown too.
    """

    photo: Floats
    light: Floats
    known: npt.NDArray[np.bool_]


def load_sources(folders: Sequence[Path], held_out: bool = False) -> Sources:
    """The sources of one side of the split.

    Args:
        folders: of pairs, which must be of that side, or of frames or path-traced sets, which are split here.
        held_out: the sources for validation instead of those for training.

    Raises:
        RuntimeError: the assets have not been fetched.
        ValueError: a folder holds neither pairs, frames nor path-traced sets.
    """
    chosen = [k for k, name in enumerate(sky_names()) if (name in SKIES_HELD_OUT) == held_out]
    pairs: list[Path] = []
    frames: list[Path] = []
    traced: list[Path] = []
    for folder in folders:
        drawn, sets = sorted(folder.glob("*/frame_*.zip")), sorted(folder.glob("*/aif_linear.npz"))
        frames += [file for file in drawn if is_held_out(file.name) == held_out]
        traced += [file for file in sets if is_held_out(file.parent.name) == held_out]
        pairs += [] if drawn or sets else pair_files(folder)
    return Sources(skies()[chosen], load_materials(held_out), pairs, frames, traced)


def make_clipped(seed: int, index: int, side: int, sources: Sources, scale: float = 1.0) -> Clipped:
    """Picture `index` of a seed, (side, side) px. scale: size of its details, relative to those of a small photo."""
    rng = np.random.default_rng((seed, index))
    absent = {kind for kind, files in (("pair", sources.pairs), ("traced", sources.traced)) if not files}
    shares = {kind: share for kind, share in SHARES.items() if kind not in absent}
    kind = str(rng.choice(list(shares), p=np.array(list(shares.values())) / sum(shares.values())))
    known = np.ones((side, side), bool)
    if kind == "panorama":
        light = _exposed(_view(sources.panoramas, rng, side), rng, 5e-4, 0.12)
    elif kind == "pair":
        light = _exposed(_piece(sources.pairs, rng, side), rng, 5e-4, 0.12)
    elif kind == "traced":
        light = _piece(sources.traced, rng, side) * np.float32(math.exp(rng.normal(0, 0.25)))
    elif kind == "exposed":
        light, washed = _surroundings(sources, rng, side)
        light = _exposed(light, rng, 5e-3, 0.5) if rng.random() < 0.45 else _mild(light, rng)
        known = ~(washed & (light.max(2) > 0.8))
        if rng.random() < 0.15:
            draw_emitters(light, rng, scale, str(rng.choice(["glints", "bulbs", "windows"])))
    else:
        light, _ = _surroundings(sources, rng, side)
        dark = (
            math.exp(rng.uniform(math.log(0.01), math.log(0.5)))
            if rng.random() < 0.75
            else rng.uniform(0.5, 1)
        )
        light = light * np.float32(dark / max(1e-3, float(np.quantile(light.max(2), 0.95))))
        draw_emitters(light, rng, scale)
    light = light * np.exp(rng.normal(0, 0.06, 3)).astype(np.float32)
    if rng.random() < 0.5:
        light = glare(light, rng, scale)
    light = np.clip(light, 0, MOST_LIGHT)
    return Clipped(_photographed(light, rng), light, known)


def _exposed(light: Floats, rng: np.random.Generator, least: float, most: float) -> Floats:
    """The light, exposed so that a share of the pixels between `least` and `most` exceeds white."""
    share = math.exp(rng.uniform(math.log(least), math.log(most)))
    white = float(np.quantile(light.max(2)[::2, ::2], 1 - share))
    return light * np.float32(1 / max(white, 1e-3))


def _mild(light: Floats, rng: np.random.Generator) -> Floats:
    """The light, exposed for the lit objects: its highlights reach about white to twice white."""
    brightest = float(np.quantile(light.max(2)[::2, ::2], 0.997))
    return light * np.float32(math.exp(rng.uniform(math.log(1.02), math.log(2.2))) / max(brightest, 1e-3))


def _view(panoramas: npt.NDArray[np.float16], rng: np.random.Generator, side: int) -> Floats:
    """Part of a panorama; interpolation is on the logarithm."""
    panorama = panoramas[rng.integers(len(panoramas))]
    height, width = panorama.shape[:2]
    size = int(height * math.exp(rng.uniform(math.log(0.2), math.log(0.9))))
    if rng.random() < 0.3:
        top = int(rng.integers(0, height - size + 1))
    else:
        top = int(np.clip(rng.normal(0.45, 0.12) * height - size / 2, 0, height - size))
    columns = (int(rng.integers(width)) + np.arange(size)) % width
    piece = np.log(panorama[top : top + size, columns].astype(np.float32) + np.float32(1e-3))
    way = cv2.INTER_CUBIC if size < side else cv2.INTER_AREA
    light = np.exp(cv2.resize(piece, (side, side), interpolation=way))
    return np.asarray(light[:, ::-1] if rng.random() < 0.5 else light, np.float32)


def _piece(files: Sequence[Path], rng: np.random.Generator, side: int) -> Floats:
    """Part of one of the files, mirrored or not, at its own size or enlarged."""
    with np.load(files[int(rng.integers(len(files)))]) as kept:
        light = kept["rgb"].astype(np.float32)
    size = min(*light.shape[:2], side if rng.random() < 0.5 else int(side * rng.uniform(0.6, 1)))
    top, left = (int(rng.integers(length - size + 1)) for length in light.shape[:2])
    light = light[top : top + size, left : left + size]
    light = light[:, ::-1] if rng.random() < 0.5 else light
    return np.asarray(cv2.resize(np.ascontiguousarray(light), (side, side), interpolation=cv2.INTER_LINEAR))


def _surroundings(
    sources: Sources, rng: np.random.Generator, side: int
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """A background: its linear light, and a mask of the pixels where that light is unknown."""
    choice = rng.random()
    if choice < 0.6:
        light, washed = _photo(sources, rng, side)
    elif choice < 0.9:
        light, washed = _room(sources.materials, rng, side), np.zeros((side, side), bool)
    else:
        light, washed = _view(sources.panoramas, rng, side), np.zeros((side, side), bool)
    if rng.random() < 0.5:
        light = light * _shade(rng, side)
    return light, washed


def _photo(sources: Sources, rng: np.random.Generator, side: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
    if sources.frames and rng.random() < FRAME_SHARE:
        photo = _frame(sources.frames[int(rng.integers(len(sources.frames)))])
    else:
        photo = sources.materials.photos[rng.integers(len(sources.materials.photos))]
    shortest = min(photo.shape[:2])
    size = int(np.clip(side * math.exp(rng.uniform(-0.5, 1.2)), min(64, shortest), shortest))
    top, left = (int(rng.integers(length - size + 1)) for length in photo.shape[:2])
    way = cv2.INTER_AREA if size > side else cv2.INTER_CUBIC
    piece = cv2.resize(photo[top : top + size, left : left + size], (side, side), interpolation=way)
    piece = np.ascontiguousarray(piece[:, ::-1] if rng.random() < 0.5 else piece)
    light = srgb_to_linear(piece)
    if rng.random() < 0.3:  # undo some of the compression of a photo's highlights
        light = light * (1 + np.float32(rng.uniform(0, 0.8)) * light * light)
    return light, np.asarray((piece >= WASHED_OUT).any(2))


def _frame(path: Path) -> npt.NDArray[np.uint8]:
    with zipfile.ZipFile(path) as archive:
        codes = np.frombuffer(archive.read("rgb.jpg"), np.uint8)
    return np.asarray(cv2.imdecode(codes, cv2.IMREAD_COLOR))[..., ::-1]


def _surface(materials: Materials, rng: np.random.Generator, side: int) -> Floats:
    if rng.random() < 0.4:  # plain paint, paper, cloth
        return np.broadcast_to(_paint(rng), (side, side, 3)).astype(np.float32)
    surface = materials.surfaces[rng.integers(len(materials.surfaces))]
    size = int(np.clip(256 * math.exp(rng.uniform(-1, 1)), 48, 2 * side))
    tile = cv2.resize(surface, (size, size), interpolation=cv2.INTER_AREA)
    top, left = rng.integers(size, size=2)
    light = srgb_to_linear(
        tile[((np.arange(side) + top) % size)[:, None], ((np.arange(side) + left) % size)[None]]
    )
    return light / np.float32(max(0.05, float(np.quantile(light, 0.9)))) * _paint(rng).max()


def _paint(rng: np.random.Generator) -> Floats:
    grey = math.exp(rng.uniform(math.log(0.03), 0.0)) if rng.random() < 0.6 else rng.uniform(0.6, 1)
    return np.asarray(grey * np.exp(rng.normal(0, 0.15, 3) * rng.integers(0, 2)), np.float32)


def _room(materials: Materials, rng: np.random.Generator, side: int) -> Floats:
    """A wall with objects before it, each lit differently: bright things that are not emitters."""
    light = _surface(materials, rng, side) * _shade(rng, side)
    for _ in range(int(rng.integers(1, 9))):
        if rng.random() < 0.5:
            light = _round_thing(light, _surface(materials, rng, side), rng)
            continue
        mask = np.zeros((side, side), np.uint8)
        middle, size = rng.uniform(0, side, 2), side * math.exp(rng.uniform(math.log(0.04), math.log(0.7)))
        if rng.random() < 0.3:
            axes = (max(1, int(size / 2)), max(1, int(size / 2 * rng.uniform(0.3, 1))))
            at = (int(middle[0]), int(middle[1]))
            cv2.ellipse(mask, at, axes, rng.uniform(0, 180), 0, 360, 255, -1, cv2.LINE_AA)
        else:
            count = int(rng.integers(3, 6))
            turn = np.sort(rng.random(count)) * 2 * math.pi
            corners = middle + size / 2 * np.stack([np.cos(turn), np.sin(turn)], 1) * rng.uniform(
                0.5, 1.2, (count, 1)
            )
            cv2.fillPoly(mask, [np.rint(corners * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        cover = (mask.astype(np.float32) / 255)[..., None]
        thing = _surface(materials, rng, side) * _shade(rng, side)
        light = light * (1 - cover) + thing * cover
    return np.asarray(light, np.float32)


def _round_thing(light: Floats, surface: Floats, rng: np.random.Generator) -> Floats:
    """A ball, an egg or a drum over `light`, under key and ambient light, matt or slightly glossy."""
    side = light.shape[0]
    size, flat = side * math.exp(rng.uniform(math.log(0.04), math.log(0.6))), math.exp(rng.uniform(-1.2, 0))
    angle, (x, y) = rng.uniform(0, 2 * math.pi), rng.uniform(0, side, 2)
    along = np.arange(side, dtype=np.float32)
    du, dv = along[None] - np.float32(x), along[:, None] - np.float32(y)
    c, s = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    half = np.array([size / 2, size / 2 * flat], np.float32)
    u, v = (c * du + s * dv) / half[0], (c * dv - s * du) / half[1]
    drum = rng.random() < 0.4
    far = np.maximum(np.abs(u), np.abs(v)) if drum else np.hypot(u, v)
    v = np.zeros_like(v) if drum else v
    cover = np.clip((1 - far) * half.min() + np.float32(0.5), 0, 1)[..., None]
    up = np.sqrt(np.clip(1 - u * u - v * v, 0, 1))
    key = rng.normal((0, 0, 0.4), 1)
    key = (key / np.linalg.norm(key)).astype(np.float32)
    facing = np.clip(key[0] * u + key[1] * v + key[2] * up, 0, 1)
    ambient, gloss = np.float32(rng.uniform(0.1, 0.8)), np.float32(rng.choice([0, 0, rng.uniform(0, 0.8)]))
    shade = ambient + (1 - ambient) * facing
    thing = surface * shade[..., None] + (gloss * facing ** int(rng.integers(8, 80)))[..., None]
    return light * (1 - cover) + thing * np.float32(math.exp(rng.normal(0.1, 0.4))) * cover


def _shade(rng: np.random.Generator, side: int) -> Floats:
    """Illumination of a surface, (side, side, 1): smooth, or with the border of a shadow."""
    corners = rng.normal(0, 0.5, (int(rng.integers(2, 5)),) * 2).astype(np.float32)
    smooth = cv2.resize(corners, (side, side), interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.25:
        angle, at = rng.uniform(0, 2 * math.pi), rng.uniform(0.2, 0.8)
        along = np.arange(side, dtype=np.float32) / np.float32(side) - np.float32(at)
        soft = math.exp(rng.uniform(math.log(0.005), math.log(0.2)))
        border = np.tanh((math.cos(angle) * along + math.sin(angle) * along[:, None]) / soft)
        smooth = smooth + border.astype(np.float32) * np.float32(rng.uniform(0.3, 1))
    return np.exp(smooth)[..., None]


def _photographed(light: Floats, rng: np.random.Generator) -> Floats:
    """The photo a camera makes of the light, as linear light: with noise in part, clipped, 8 bits, half of them JPEG."""
    photo = np.clip(light, 0, 1)
    if rng.random() < 0.4:
        noise = rng.standard_normal(photo.shape, np.float32) * np.float32(
            math.exp(rng.uniform(math.log(1e-3), math.log(8e-3)))
        )
        photo = np.clip(light + noise * np.sqrt(photo + np.float32(0.02)), 0, 1)
    codes = linear_to_srgb(photo)
    if rng.random() < 0.5:
        quality = int(rng.integers(75, 99))
        _, file = cv2.imencode(".jpg", codes[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
        codes = np.ascontiguousarray(np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR))[..., ::-1])
    return srgb_to_linear(codes)
