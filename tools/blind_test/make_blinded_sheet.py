"""Real photos, each blurred by several renderers in an order that nobody knows, to be judged before the key is opened.

    python tools/blind_test/make_blinded_sheet.py --out build/blinded [--seed N] [--only cat,dog] [--f-number 1.8] [--resume]
    python tools/blind_test/make_blinded_sheet.py --out build/blinded --against COMMIT
    python tools/blind_test/make_blinded_sheet.py --out build/blinded --judge VERDICTS [VERDICTS ...]
    python tools/blind_test/make_blinded_sheet.py --out build/blinded --opened before_after.jpg

The first writes how_to_judge.md, a verdicts.csv to fill in, and for each photo NAME.png (input, the results under letters,
hard places of all at twice their size) and the same as single pictures in NAME/. Which letter is which stands in a
file beside that folder (build/blinded_key/key.json; --key FILE for another), and so does the seed, which is drawn when none
is given. --resume goes on with a run that was cut off. --against compares no renderers but the product's default, the
working tree's with another commit's: each analyses and blurs the photo by itself. --judge joins verdicts, a file a judge,
with the key and prints a Markdown table: the share called good, and what spoilt the rest. --opened shows twenty of the
photos that may be passed on, under their names, the other commit's first; keep it from the judges.

Renderers: neural, optical, paper and discs (32 disc layers, benchmarks/others.py), with the same predicted depth, focus,
f-number and recovered highlights; one that is not there is skipped with a sentence. Photos: judged_photos.py, none
of which was trained on; missing ones are named. At least 24 are wanted; with fewer the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parents[2]
for folder in ("tools/blind_test", "tools/figures", "benchmarks"):
    if str(ROOT / folder) not in sys.path:
        sys.path.append(str(ROOT / folder))

import hard_places  # noqa: E402
import judged_photos  # noqa: E402
import opened_sheet  # noqa: E402
import rendered  # noqa: E402
import verdicts  # noqa: E402
import versions  # noqa: E402
from contact_sheet import Tile, fitted, laid_out  # noqa: E402
from judged_photos import JudgedPhoto  # noqa: E402

import deeplens_dof as dl  # noqa: E402
from deeplens_dof.imaging.resize import resize  # noqa: E402
from deeplens_dof.models import list_models  # noqa: E402
from deeplens_dof.runtime.atomic_write import write_atomically  # noqa: E402

RENDERERS = (*rendered.OURS, rendered.DISCS)
LETTERS = "ABCDEFGH"
FEWEST_PHOTOS = 24
LONG_SIDE_PX = 1600  # larger photos are made so large
PLACE_PX = 256, 176  # width and height of a hard place
ZOOM, GAP_PX, CAPTION_PX = 2, 8, 24
LEAST_INTEREST = 0.02  # below it there is no such place in the photo
Places = dict[str, hard_places.Window]
Key = dict[str, Any]


@dataclass(frozen=True)
class Blinded:
    """A photo's results by letter, and the renderer or version behind each letter.

    focus: (x, y), 0..1, to be shown to the judge; None where each version has its own.
    """

    photo: np.ndarray
    results: dict[str, np.ndarray]
    letters: dict[str, str]
    places: Places
    focus: tuple[float, float] | None


Blind = Callable[[JudgedPhoto, Key], Blinded]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder of the pictures")
    parser.add_argument("--key", type=Path, help="the key's file; beside the folder by default")
    parser.add_argument("--seed", type=int, help="of the order; drawn by default")
    parser.add_argument("--only", default="", help="photos, by name; all by default")
    parser.add_argument("--f-number", type=float, default=dl.Settings().f_number)
    parser.add_argument(
        "--resume", action="store_true", help="go on with what is there: seed and photos of the key"
    )
    parser.add_argument("--against", metavar="COMMIT", help="compare the default with that of a commit")
    parser.add_argument(
        "--judge", type=Path, nargs="+", metavar="VERDICTS", help="join these verdicts with the key"
    )
    parser.add_argument("--opened", type=Path, metavar="JPEG", help="write a sheet that tells the names")
    arguments = parser.parse_args()
    out = arguments.out.resolve()
    key = arguments.key or out.with_name(out.name + "_key") / "key.json"
    if arguments.judge:
        return judge(arguments.judge, key)
    if arguments.opened:
        return opened_sheet.write(arguments.opened, out, key)
    settings = dl.Settings(f_number=arguments.f_number)
    if arguments.resume:
        begun = resumed(key, arguments.seed, settings, arguments.against)
    elif key.exists():
        raise SystemExit(
            f"{key} is the key of pictures that are there already; go on with them by --resume, or take another --out"
        )
    else:
        seed = secrets.randbelow(2**32) if arguments.seed is None else arguments.seed
        begun = new_key(seed, settings, arguments.against)
    photos = chosen(arguments.only)
    if not begun["commits"]:
        return make(out, key, begun, photos, by_renderers)
    with versions.running(begun["commits"]) as running:
        return make(out, key, begun, photos, partial(by_versions, running=running))


def judge(filled: Sequence[Path], key_file: Path) -> int:
    """Prints the table; 1 when pictures have no verdict yet. Raises SystemExit for files that do not fit."""
    try:
        key, found = verdicts.read_key(key_file), [verdicts.read_verdicts(path) for path in filled]
        print(verdicts.table([verdicts.joined(each, key) for each in found]))
    except (OSError, ValueError) as error:
        raise SystemExit(str(error)) from error
    unfinished = {path: verdicts.not_judged(each, key) for path, each in zip(filled, found, strict=True)}
    for path, left in unfinished.items():
        if left:
            some = ", ".join(left[:8]) + (", ..." if len(left) > 8 else "")
            tell(f"{path}: {len(left)} pictures have no verdict yet and are not counted: {some}")
    return 1 if any(unfinished.values()) else 0


def new_key(seed: int, settings: dl.Settings, against: str | None = None) -> Key:
    """A key without photos: seed, names that are compared, commits behind them, settings and weights. Raises SystemExit for
    fewer than two renderers and for no commit."""
    try:
        commits = versions.commits(against) if against else {}
    except ValueError as error:
        raise SystemExit(str(error)) from error
    names = list(commits) or rendered.at_hand(RENDERERS, tell)
    if len(names) < 2:
        raise SystemExit(f"there is {' and '.join(names) or 'no renderer'}, expected at least two renderers")
    told = {name: value for name, value in settings.as_dict().items() if name not in ("renderer", "focus")}
    weights = {name: model.sha256 for name, model in list_models().items()}
    return {
        "seed": seed,
        "renderers": sorted(names),
        "commits": commits,
        "settings": told,
        "weights": weights,
        "photos": {},
    }


def resumed(key_file: Path, seed: int | None, settings: dl.Settings, against: str | None = None) -> Key:
    """The key that is there. Raises SystemExit when there is none or it was begun with other means."""
    try:
        begun = json.loads(key_file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SystemExit(f"there is nothing to go on with: {key_file} cannot be read ({error})") from error
    begun.setdefault("commits", {})
    now = new_key(begun["seed"] if seed is None else seed, settings, against)
    for part in ("seed", "renderers", "commits", "settings", "weights"):
        if begun[part] != now[part]:
            raise SystemExit(
                f"{key_file} was begun with other {part} than these; take them again, or another --out"
            )
    return begun


def make(out: Path, key_file: Path, key: Key, photos: tuple[JudgedPhoto, ...], blind: Blind) -> int:
    """Writes the pictures of the photos that the key does not have yet, and the key after each; 1 when there are fewer than
    FEWEST_PHOTOS photos then. Verdicts that are there stay."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "how_to_judge.md").write_text(verdicts.how_to_judge(), encoding="utf-8")
    for photo in judged_photos.at_hand(tell, photos):
        if photo.name in key["photos"]:
            continue
        found = blind(photo, key)
        write(out, photo.name, found)
        key["photos"][photo.name] = {
            "place": photo.place,
            "file": photo.file,
            "focus": found.focus,
            "letters": found.letters,
            "places": {name: corners(place) for name, place in found.places.items()},
        }
        write_key(key_file, key)
        print(f"{photo.name}: {', '.join(found.places)}", flush=True)
    letters = {name: list(facts["letters"]) for name, facts in key["photos"].items()}
    filled = out / "verdicts.csv"
    there = filled.read_text(encoding="utf-8") if filled.exists() else ""
    filled.write_text(verdicts.with_blanks(there, letters), encoding="utf-8")
    print(f"{len(letters)} photos by {' and '.join(key['renderers'])} are in {out}; the key is {key_file}")
    if len(letters) < FEWEST_PHOTOS:
        tell(f"{len(letters)} photos are fewer than the {FEWEST_PHOTOS} that are wanted")
    return 1 if len(letters) < FEWEST_PHOTOS else 0


def order(seed: int, photo: str, names: Sequence[str]) -> dict[str, str]:
    """Renderer by letter: every order equally likely, and the same for a seed and a photo whatever else is made."""
    generator = np.random.default_rng((seed, zlib.crc32(photo.encode())))
    mixed = generator.permutation(sorted(names))
    return {LETTERS[number]: str(name) for number, name in enumerate(mixed)}


def by_renderers(photo: JudgedPhoto, key: Key) -> Blinded:
    """The photo by every renderer, with one predicted depth, focus and lens."""
    whole = dl.analyse(dl.read(photo.path), "predict")
    shrink = min(1.0, LONG_SIDE_PX / max(whole.photo.width, whole.photo.height))
    scene = dl.preview(whole, max(1, int(whole.photo.width * whole.photo.height * shrink**2)))
    settings = dl.Settings(**key["settings"], focus=photo.focus)
    letters = order(key["seed"], photo.name, key["renderers"])
    results = {letter: rendered.rendered(scene, settings, name) for letter, name in letters.items()}
    srgb = scene.photo.srgb8()
    found = places(srgb, [scene.coc_px(settings)], list(results.values()))
    return Blinded(srgb, results, letters, found, scene.focus_point(settings))


def by_versions(photo: JudgedPhoto, key: Key, running: dict[str, versions.Version]) -> Blinded:
    """The photo by the default of each version, from one file that is no larger than LONG_SIDE_PX."""
    srgb = shrunk(dl.read(photo.path).srgb8())
    settings = {"f_number": key["settings"]["f_number"], "focus": photo.focus}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "input.png"
        Image.fromarray(srgb).save(file)
        blurred = {name: version.blurred(file, settings) for name, version in running.items()}
    letters = order(key["seed"], photo.name, key["renderers"])
    results = {letter: blurred[name].picture for letter, name in letters.items()}
    found = places(srgb, [each.coc_px for each in blurred.values()], list(results.values()))
    return Blinded(srgb, results, letters, found, None if photo.focus == "subject" else photo.focus)


def shrunk(srgb: np.ndarray) -> np.ndarray:
    """The picture with a long side of at most LONG_SIDE_PX, its light averaged."""
    scale = LONG_SIDE_PX / max(srgb.shape)
    if scale >= 1:
        return srgb
    height, width = (max(1, round(side * scale)) for side in srgb.shape[:2])
    linear = dl.srgb_to_linear(srgb)
    return dl.linear_to_srgb(np.dstack([resize(linear[..., channel], height, width) for channel in range(3)]))


def places(srgb: np.ndarray, coc_px: list[np.ndarray], results: list[np.ndarray]) -> Places:
    """Three hard places: a rim in focus, a highlight and a blurred foreground where the photo has them, by any of the maps
    of CoC, and otherwise where the results differ most."""
    interests = {
        "rim": np.max([hard_places.rims(each) for each in coc_px], axis=0),
        "highlight": np.max([hard_places.highlights(srgb, each) for each in coc_px], axis=0),
        "foreground": np.max([hard_places.foreground(each) for each in coc_px], axis=0),
    }
    seen = {name: map_ for name, map_ in interests.items() if map_.max() > LEAST_INTEREST}
    differ = hard_places.disagreement(results)
    found: Places = {}
    for name, interest in [*seen.items(), *((f"difference {n}", differ) for n in range(3))]:
        if len(found) == 3:
            break
        left = interest.copy()
        for taken in found.values():
            left[taken] = 0
        if left.max() > 0:
            found[name] = hard_places.window(left, *PLACE_PX)
    return found


def corners(place: hard_places.Window) -> list[int]:
    """Left, top, right and bottom, px."""
    rows, columns = place
    return [columns.start, rows.start, columns.stop, rows.stop]


def write(out: Path, name: str, found: Blinded) -> None:
    """NAME.png and the single pictures in NAME/: pixels alone, no metadata."""
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet(found)).save(out / f"{name}.png")
    for letter, picture in {"input": found.photo, **found.results}.items():
        Image.fromarray(picture).save(folder / f"{letter}.png")
    for number, place in enumerate(found.places.values(), start=1):
        tiles = in_rows(close(found, place, number))
        page = laid_out(tiles, PLACE_PX[0] * ZOOM, GAP_PX, CAPTION_PX)
        page.save(folder / f"place_{number}.png")


def sheet(found: Blinded) -> np.ndarray:
    """Input, results and a map of the places at about 800 px, then each place from close by in all of them."""
    across = 1 + len(found.results)
    wide = across * PLACE_PX[0] * ZOOM + (across - 1) * GAP_PX
    columns = 3 if across > 3 else 2
    panel = (wide - (columns - 1) * GAP_PX) // columns
    panels: list[Tile] = [("input", found.photo), *found.results.items(), ("where", where(found))]
    above = laid_out(in_rows(panels, columns), panel, GAP_PX, CAPTION_PX)
    below = laid_out(
        [close(found, place, number) for number, place in enumerate(found.places.values(), start=1)],
        PLACE_PX[0] * ZOOM,
        GAP_PX,
        CAPTION_PX,
    )
    joined = Image.new("RGB", (wide, above.height + below.height), "white")
    joined.paste(above, (0, 0))
    joined.paste(below, (0, above.height))
    return np.asarray(joined)


def in_rows(tiles: list[Tile], across: int = 3) -> list[list[Tile]]:
    return [tiles[start : start + across] for start in range(0, len(tiles), across)]


def close(found: Blinded, place: hard_places.Window, number: int) -> list[Tile]:
    """The place in the input and in every result, enlarged."""
    rows, columns = place
    width = (columns.stop - columns.start) * ZOOM
    tiles = {"input": found.photo, **found.results}
    return [
        (f"place {number}, {letter}", padded(np.asarray(fitted(picture[rows, columns], width))))
        for letter, picture in tiles.items()
    ]


def padded(tile: np.ndarray) -> np.ndarray:
    """White round a place that is smaller than the others, as in a narrow photo."""
    width, height = (side * ZOOM for side in PLACE_PX)
    full = np.full((height, width, 3), 255, np.uint8)
    full[: tile.shape[0], : tile.shape[1]] = tile[:height, :width]
    return full


def where(found: Blinded) -> np.ndarray:
    """The input with its places numbered and a cross at what the focus is on, where that is to be shown."""
    picture = Image.fromarray(found.photo)
    draw, height, width = ImageDraw.Draw(picture), picture.height, picture.width
    line = max(1, round(width / 400))
    font = ImageFont.load_default(max(12, width // 30))
    for number, (rows, columns) in enumerate(found.places.values(), start=1):
        box = columns.start, rows.start, columns.stop - 1, rows.stop - 1
        draw.rectangle(box, outline="yellow", width=line)
        draw.text((box[0] + 2 * line, box[1] + line), str(number), fill="yellow", font=font)
    if found.focus is None:
        return np.asarray(picture)
    x, y, arm = found.focus[0] * width, found.focus[1] * height, width / 60
    for ends in ((x - arm, y, x + arm, y), (x, y - arm, x, y + arm)):
        draw.line(ends, fill="lime", width=line)
    return np.asarray(picture)


def chosen(only: str) -> tuple[JudgedPhoto, ...]:
    """The photos of these names, with commas between them; all for an empty text. Raises SystemExit for other names."""
    wanted = [name.strip() for name in only.split(",") if name.strip()]
    known = {photo.name: photo for photo in judged_photos.PHOTOS}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise SystemExit(f"there is no photo {unknown[0]!r}; there are: {', '.join(known)}")
    return tuple(known[name] for name in wanted) if wanted else judged_photos.PHOTOS


def write_key(path: Path, key: Key) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(key, indent=1) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
