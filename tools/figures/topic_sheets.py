"""Sheets by topic, hair, leaves, night highlights and foreground blur: the same places by every renderer there is.

Cases with a truth are path-traced scenes of benchmarks/scenes and, for hair, a matte of strands that is composed over an
example photo and seen through a thousand points of the lens (`learn/scenes/composites/compose.py`; needs the extra [learn]).
The other cases are photos with predicted depth and the default lens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import judged_photos
import numpy as np
import rendered
from contact_sheet import TILE_PX, Tile, grey, laid_out, signed
from hard_places import foreground, highlights, rims, window
from PIL import Image
from truths import edge_band, psnr, truths

import deeplens_dof as dl
from deeplens_dof.highlights.rule import recover_highlights

ROOT = Path(__file__).resolve().parents[2]
TOPIC_BYTES = 600_000
RENDERERS = ("optical", "neural", "paper")
RECOVERED = "optical+highlights"  # after the recovery of clipped light, as in benchmarks/quality.py
ERROR_GAIN = 4
LONG_SIDE_PX = 1280  # larger photos are made so large
COMPOSED_PX, COMPOSED_BLUR_PX, COMPOSED_POINTS = 384, 20.0, 1024
# Of the example photos, and how often they stand beside each other, mirrored, so that fur is as fine as hair.
SQUARES = {
    "chelsea": ((205, 0, 285, 80), 3),
    "rocket": ((110, 0, 537, 427), 1),
    "coffee": ((100, 0, 500, 400), 1),
}
Tell = Callable[[str], None]
Interest = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Case:
    """One picture by all renderers. shown: the input, sRGB. results: by renderer. truth: None where nobody knows it."""

    name: str
    shown: np.ndarray
    coc_px: np.ndarray
    results: dict[str, np.ndarray]
    truth: np.ndarray | None = None


@dataclass(frozen=True, slots=True)
class Topic:
    """traced: scene, level, focus. composed: seeds of heads of hair, in focus and before it. photos: of judged_photos.
    interest: where to look from close by, of sRGB and CoC."""

    traced: tuple[tuple[str, int, int], ...]
    photos: tuple[str, ...]
    interest: Interest
    composed: tuple[int, int] | None = None
    recovered: bool = False  # show RECOVERED, too, where a truth is


def rim(srgb: np.ndarray, coc_px: np.ndarray) -> np.ndarray:
    return rims(coc_px)


def before_the_focus(srgb: np.ndarray, coc_px: np.ndarray) -> np.ndarray:
    return foreground(coc_px)


TOPICS = {
    "hair": Topic((), ("astronaut",), rim, (16, 27)),
    "leaves": Topic((("garden", 5, 1), ("garden", 4, 2)), ("aloe", "pagoda"), rim),
    "night_highlights": Topic((("night", 5, 1), ("night", 4, 3)), ("rocket",), highlights, recovered=True),
    "foreground_blur": Topic((("desk", 5, 3), ("room", 5, 3)), ("hands",), before_the_focus),
}


def topic_sheet(name: str, tell: Tell) -> Image.Image:
    """The sheet of that topic; `tell` gets a sentence for each renderer and case that is not there."""
    topic, names = TOPICS[name], rendered.at_hand(RENDERERS, tell)
    rows: list[Sequence[Tile]] = []
    for case in cases(topic, names, tell):
        row = columns(case)
        rows += [row, close(case, row, topic.interest)]
    if not rows:
        raise SystemExit(f"no case of {name} is there, expected at least one")
    return laid_out(rows, TILE_PX)


def cases(topic: Topic, names: list[str], tell: Tell) -> Iterator[Case]:
    for scene, level, focus in topic.traced:
        (each,) = (one for one in truths({level}, scenes={scene}) if one.focus == focus)
        by = [*names, RECOVERED] if topic.recovered else names
        yield known(f"{scene}, level {level}, focus {focus}", each.rgb, each.coc_px, each.truth, by)
    if topic.composed:
        yield from heads_of_hair(topic.composed, names, tell)
    wanted = tuple(photo for photo in judged_photos.PHOTOS if photo.name in topic.photos)
    for photo in judged_photos.at_hand(tell, wanted):
        yield of_photo(photo, names)


def known(name: str, light: np.ndarray, coc_px: np.ndarray, truth: np.ndarray, names: Sequence[str]) -> Case:
    results = {}
    for each in names:
        given = recover_highlights(light, 1.0) if each == RECOVERED else light
        render = rendered.linear_by("optical" if each == RECOVERED else each)
        results[each] = dl.linear_to_srgb(render(given, coc_px))
    return Case(name, dl.linear_to_srgb(light), coc_px, results, truth)


def of_photo(photo: judged_photos.JudgedPhoto, names: Sequence[str]) -> Case:
    settings = dl.Settings(focus=photo.focus)
    whole = dl.analyse(dl.read(photo.path), "predict")
    shrink = min(1.0, LONG_SIDE_PX / max(whole.photo.width, whole.photo.height))
    scene = dl.preview(whole, max(1, int(whole.photo.width * whole.photo.height * shrink**2)))
    results = {each: rendered.rendered(scene, settings, each) for each in names}
    size = f"{scene.photo.width} x {scene.photo.height}"
    return Case(f"{photo.name}, {size}", scene.photo.srgb8(), scene.coc_px(settings), results)


def heads_of_hair(seeds: tuple[int, int], names: Sequence[str], tell: Tell) -> Iterator[Case]:
    """One in focus before lamps at night, one before the focus, with what a lens sees of them."""
    try:
        from deeplens_dof.learn.scenes.composites.compose import Composition, Layer
        from deeplens_dof.learn.scenes.composites.mattes import hair
    except ImportError as error:
        tell(f"the composed hair is left out: it needs the extra [learn] ({error})")
        return
    margin = math.ceil(COMPOSED_BLUR_PX) + 2
    samples = (COMPOSED_PX + 2 * margin) * 2
    fur, lamps, cup = (example(name, samples) for name in ("chelsea", "rocket", "coffee"))
    points = np.ascontiguousarray(dl.Aperture.disc().points(COMPOSED_POINTS), np.float32)
    for what, seed, behind, focus in (("in focus", seeds[0], lamps, 1.0), ("blurred", seeds[1], cup, 0.0)):
        matte = hair(np.random.default_rng(seed), samples)[..., None]
        flat = (np.array([1, 0, 0], np.float32), np.zeros(3, np.float32))
        layers = (
            Layer(np.dstack([fur * matte, matte]).astype(np.float32), flat[0]),
            Layer(np.dstack([behind, np.ones_like(matte)]).astype(np.float32), flat[1]),
        )
        scene = Composition(layers, COMPOSED_PX, margin)
        photo = dl.srgb_to_linear(dl.linear_to_srgb(scene.light()))
        coc_px = ((scene.inverse_depth() - focus) * COMPOSED_BLUR_PX).astype(np.float32)
        truth = dl.linear_to_srgb(scene.through(points, focus, COMPOSED_BLUR_PX))
        yield known(f"composed hair, {what}", photo, coc_px, truth, names)


def example(name: str, side: int) -> np.ndarray:
    """A square of an example photo, linear light (side, side, 3)."""
    picture = Image.open(ROOT / "examples" / "photos" / f"{name}.jpg").convert("RGB")
    box, repeats = SQUARES[name]
    part = math.ceil(side / repeats)
    square = np.asarray(picture.resize((part, part), Image.Resampling.BICUBIC, box))
    left = side - part
    return dl.srgb_to_linear(np.pad(square, ((0, left), (0, left), (0, 0)), mode="symmetric"))


def columns(case: Case) -> list[Tile]:
    """Input, depth, CoC, results; and where the truth is known, it and the errors."""
    nearness = case.coc_px - case.coc_px.min()
    row = [
        (case.name, case.shown),
        ("inverse depth", grey(nearness / max(float(nearness.max()), 1e-6))),
        (
            f"CoC, {round(float(case.coc_px.min()))} to {round(float(case.coc_px.max()))} px",
            signed(case.coc_px),
        ),
    ]
    if case.truth is None:
        return row + list(case.results.items())
    band = edge_band(case.coc_px)
    for name, picture in case.results.items():
        decibels, edge = psnr(picture, case.truth), psnr(picture, case.truth, band)
        row.append((f"{name}, {decibels:.1f} dB, edges {edge:.1f}", picture))
    row.append(("truth", case.truth))
    errors = [(f"{ERROR_GAIN} x the error, {name}", error(case, name)) for name in case.results]
    return row + errors


def error(case: Case, name: str) -> np.ndarray:
    """Result less truth, grey where there is none."""
    assert case.truth is not None
    difference = (case.results[name].astype(np.float32) - case.truth) * ERROR_GAIN + 128
    return np.clip(difference, 0, 255).astype(np.uint8)


def close(case: Case, row: Sequence[Tile], interest: Interest) -> list[Tile]:
    """The row from close by, pixel for pixel, at the topic's place, which is the same for all renderers."""
    height = round(TILE_PX * case.shown.shape[0] / case.shown.shape[1])
    place = window(interest(case.shown, case.coc_px), TILE_PX, min(height, TILE_PX))
    captions = [f"from close by: {case.name}", *("" for _ in row[1:])]
    return [(caption, tile[place]) for caption, (_, tile) in zip(captions, row, strict=True)]
