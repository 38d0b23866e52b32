"""Verdicts on blinded pictures: when one is good, how verdicts and key are joined, and the table that comes of it."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RULE = (
    "Good is a picture that a photographer would hand over as it is: looked at whole, it passes for one taken with a wide "
    "lens, and from close by nothing in it asks to be retouched. Each picture is judged by itself, not against the others "
    "of its sheet: all of them may be good, or none."
)
FAULTS = {
    "rim": "hair, fur, leaves or the outline of what is in focus are cut off, smeared, doubled, or keep a sharp strip of "
    "background beside them",
    "halo": "a bright, dark or coloured fringe along a border; colour of the subject in the background, or the other way",
    "foreground": "what is blurred before the focus ends in a hard edge, the background is not seen through its soft border, "
    "or what shows behind it is plainly made up",
    "highlights": "lamps and glints out of focus are not even discs: grey, smeared, square, ringed, cut off, or none where a "
    "lens gives one",
    "transition": "blur sets in at a line, comes in steps on receding ground, or changes where the distance does not",
    "subject": "what is in focus is softer than in the input or has lost its texture",
    "artefact": "what no lens does: noise, stripes, seams, tiles, ringing, wrong colour",
    "part": "part of the subject is blurred",
    "depth": "something else is sharp or blurred that by its distance should not be; where the depth is the same for all, "
    "all pictures of the sheet may have it",
}
SIZES = {
    "good_normal": "good at normal size",
    "good_100": "good at 100 %",
    "good": "good",
}  # the last one: once
COLUMNS = ("photo", "letter", "good_normal", "good_100", "spoilt", "note")
ANSWERS = {"yes": True, "no": False}
Z_95 = 1.959964


@dataclass(frozen=True, slots=True)
class Verdict:
    """good: the answer by column of SIZES. spoilt: names of FAULTS, none where every answer is yes."""

    photo: str
    letter: str
    good: dict[str, bool]
    spoilt: tuple[str, ...] = ()


ByRenderer = dict[str, list[Verdict]]


def how_to_judge() -> str:
    """The page that lies beside the pictures, Markdown."""
    faults = [f"- `{name}`: {text}." for name, text in FAULTS.items()]
    lines = [
        "# How to judge", "", RULE, "",
        "Judge each picture in this order, and write its line of `verdicts.csv` "
        f"(`{','.join(COLUMNS)}`) before the next:", "",
        "1. **The whole picture first.** Look at it at normal size: as a panel of `NAME.png`, or as the single picture in "
        "`NAME/`, fitted to the screen. Does it pass for one taken with a wide lens? `good_normal`: yes or no. The answer "
        "stays, whatever you see afterwards.",
        "2. **Then close by.** Look at all of the single picture at 100 %, a pixel of it on a pixel of the screen, and at "
        "`place_1.png` and so on, which show hard places of all letters at twice their size. Does nothing in it ask to be "
        "retouched? `good_100`: yes or no.",
        "3. **The faults.** After a no at either size, write into `spoilt` everything that spoilt it, several of the names "
        "below with `;` between them; after two yes it stays empty. `note` is yours.", "",
        "A picture is not good at a size when one of these is seen at that size:", "", *faults, "",
        "`input.png` in `NAME/` is the photo as it was. A line looks like `cat,A,yes,no,rim;halo,whiskers cut off`. "
        "Leave the key shut until the last line is filled.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def with_blanks(text: str, letters: dict[str, Iterable[str]]) -> str:
    """The file to fill in, CSV: what is there, or a first line, and a line for each letter of each photo that has none."""
    lines = text.splitlines() or [",".join(COLUMNS)]
    blank = "," * (lines[0].count(",") - 2)
    starts = [f"{photo},{letter}," for photo, some in letters.items() for letter in some]
    lines += [start + blank for start in starts if not any(line.startswith(start) for line in lines)]
    return "\n".join(lines) + "\n"


def read_verdicts(path: Path) -> list[Verdict]:
    """A judge's verdicts, at two sizes or, in a file with a column `good`, once.

    Raises ValueError, with the line, for columns that are missing, an answer that is none, a fault without a name in FAULTS,
    a no without a fault, two yes with one, and a second verdict on one picture. Lines without an answer are left out.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        columns = rows.fieldnames or ()
        sizes = ("good",) if "good" in columns else ("good_normal", "good_100")
        missing = [name for name in ("photo", "letter", *sizes, "spoilt") if name not in columns]
        if missing:
            raise ValueError(
                f"{path} has no column {', '.join(missing)}; expected a first line {','.join(COLUMNS)}"
            )
        found = [
            _verdict(row, sizes, f"{path}, line {rows.line_num}")
            for row in rows
            if any((row[size] or "").strip() for size in sizes)
        ]
    twice = [each for each, times in Counter((v.photo, v.letter) for v in found).items() if times > 1]
    if twice:
        raise ValueError(f"{path} judges {twice[0][0]} {twice[0][1]} twice, expected one verdict a picture")
    return found


def _verdict(row: dict[str, Any], sizes: Sequence[str], where: str) -> Verdict:
    answers = {size: (row[size] or "").strip().lower() for size in sizes}
    for size, answer in answers.items():
        if answer not in ANSWERS:
            raise ValueError(f"{where}: {size} is {row[size]!r}, expected yes or no")
    good = {size: ANSWERS[answer] for size, answer in answers.items()}
    spoilt = tuple(name.strip().lower() for name in (row["spoilt"] or "").split(";") if name.strip())
    unknown = [name for name in spoilt if name not in FAULTS]
    if unknown:
        raise ValueError(f"{where}: {unknown[0]!r} is no fault, expected some of {', '.join(FAULTS)}")
    if all(good.values()) == bool(spoilt):
        yes = "two yes" if len(sizes) > 1 else "a yes"
        expected = f"nothing in spoilt beside {yes}" if spoilt else "what spoilt it beside a no"
        raise ValueError(f"{where}: expected {expected}; a small blemish of a good picture goes into note")
    return Verdict(row["photo"].strip(), row["letter"].strip().upper(), good, spoilt)


def read_key(path: Path) -> dict[str, dict[str, str]]:
    """Renderer by letter by photo. Raises ValueError for a file that is no key."""
    try:
        photos = json.loads(path.read_text(encoding="utf-8"))["photos"]
        return {name: {str(k): str(v) for k, v in facts["letters"].items()} for name, facts in photos.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is not the key of a blinded sheet ({error}); expected the key.json that was written with the pictures"
        ) from error


def joined(verdicts: Sequence[Verdict], key: dict[str, dict[str, str]]) -> ByRenderer:
    """The verdicts on each renderer, or version, of the key. Raises ValueError for a picture that the key does not name."""
    by_renderer: ByRenderer = {
        name: [] for name in sorted({name for letters in key.values() for name in letters.values()})
    }
    for verdict in verdicts:
        if verdict.letter not in key.get(verdict.photo, {}):
            raise ValueError(
                f"there is a verdict on {verdict.photo} {verdict.letter}, which the key does not name; expected the key "
                "that was written with these pictures"
            )
        by_renderer[key[verdict.photo][verdict.letter]].append(verdict)
    return by_renderer


def not_judged(verdicts: Sequence[Verdict], key: dict[str, dict[str, str]]) -> list[str]:
    """Photo and letter of what has no verdict yet."""
    seen = {(each.photo, each.letter) for each in verdicts}
    return [f"{photo} {letter}" for photo in key for letter in key[photo] if (photo, letter) not in seen]


def wilson(good: int, judged: int, z: float = Z_95) -> tuple[float, float]:
    """Bounds of a share of which `good` of `judged` were seen (Wilson 1927); 0 and 1 when none was judged."""
    if not judged:
        return 0.0, 1.0
    share, spread = good / judged, z * z / judged
    middle = (share + spread / 2) / (1 + spread)
    reach = z / (1 + spread) * math.sqrt(share * (1 - share) / judged + spread / (4 * judged))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def table(judges: Sequence[ByRenderer]) -> str:
    """Markdown, a line a judge and renderer, and of several judges one for all together: the share called good at each size
    with its 95 % interval (Wilson), the same where the depth is not blamed, and the share on which each fault is named."""
    told = {str(number): each for number, each in enumerate(judges, start=1)}
    if len(judges) > 1:
        told["all"] = {name: [verdict for each in judges for verdict in each[name]] for name in judges[0]}
    given = {size for each in judges for some in each.values() for verdict in some for size in verdict.good}
    sizes = [size for size in SIZES if size in given]
    titles = [SIZES[size] for size in sizes]
    head = [
        "judge",
        "renderer",
        *titles,
        *(f"{title}, depth not blamed" for title in titles),
        "faults named on",
    ]
    lines = [_line(head), "|" + "---|" * len(head)]
    for judge, by_renderer in told.items():
        lines += [_line([judge, name, *_cells(some, sizes)]) for name, some in by_renderer.items()]
    return "\n".join(lines)


def _cells(verdicts: Sequence[Verdict], sizes: Sequence[str]) -> list[str]:
    right = [each for each in verdicts if "depth" not in each.spoilt]
    spoilt = Counter(fault for each in verdicts for fault in each.spoilt)
    named = [
        f"{fault} {times / len(verdicts):.0%}" for fault, times in sorted(spoilt.items(), key=_most_first)
    ]
    shares = [_share(some, size) for some in (verdicts, right) for size in sizes]
    return [*shares, ", ".join(named) or "none"]


def _share(verdicts: Sequence[Verdict], size: str) -> str:
    answers = [each.good[size] for each in verdicts if size in each.good]
    if not answers:
        return "none judged"
    low, high = wilson(sum(answers), len(answers))
    return f"{sum(answers)} of {len(answers)}, {sum(answers) / len(answers):.0%} ({low:.0%} to {high:.0%})"


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _most_first(fault: tuple[str, int]) -> tuple[int, str]:
    return -fault[1], fault[0]
