"""Verdicts on blinded pictures: what is good, how verdicts and key are joined, and the table that comes of it."""

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
    "depth": "something is sharp or blurred that by its distance should not be; the depth is the same for all, so that all "
    "pictures of the sheet may have it",
}
COLUMNS = ("photo", "letter", "good", "spoilt", "note")
ANSWERS = {"yes": True, "no": False}
Z_95 = 1.959964


@dataclass(frozen=True, slots=True)
class Verdict:
    """spoilt: names of FAULTS, none for a good picture."""

    photo: str
    letter: str
    good: bool
    spoilt: tuple[str, ...] = ()


def how_to_judge() -> str:
    """The page that lies beside the pictures, Markdown."""
    faults = [f"- `{name}`: {text}." for name, text in FAULTS.items()]
    lines = [
        "# How to judge", "", RULE, "", "A picture is not good when one of these is seen:", "", *faults, "",
        "For each photo look at `NAME.png`, then at the single pictures in `NAME/`: `input.png` and one for each letter, and "
        "`place_1.png` and so on, which show hard places of all of them at twice their size. Write into `verdicts.csv`: "
        "`good` yes or no; for no, in `spoilt`, what spoilt it, several of the names above with `;` between them. `note` is "
        "yours. Leave the key shut until the last line is filled.",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def with_blanks(text: str, letters: dict[str, Iterable[str]]) -> str:
    """The file to fill in, CSV: what is there, or a first line, and a line for each letter of each photo that has none."""
    lines = text.splitlines() or [",".join(COLUMNS)]
    starts = [f"{photo},{letter}," for photo, some in letters.items() for letter in some]
    lines += [f"{start},," for start in starts if not any(line.startswith(start) for line in lines)]
    return "\n".join(lines) + "\n"


def read_verdicts(path: Path) -> list[Verdict]:
    """Raises ValueError, with the line, for columns that are missing, an answer that is none, a fault without a name in
    FAULTS, a no without a fault, a yes with one, and a second verdict on one picture. Lines without an answer are left out.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        missing = [name for name in COLUMNS[:4] if name not in (rows.fieldnames or ())]
        if missing:
            raise ValueError(
                f"{path} has no column {', '.join(missing)}; expected a first line {','.join(COLUMNS)}"
            )
        found = [
            _verdict(row, f"{path}, line {rows.line_num}") for row in rows if (row["good"] or "").strip()
        ]
    twice = [each for each, times in Counter((v.photo, v.letter) for v in found).items() if times > 1]
    if twice:
        raise ValueError(f"{path} judges {twice[0][0]} {twice[0][1]} twice, expected one verdict a picture")
    return found


def _verdict(row: dict[str, Any], where: str) -> Verdict:
    answer = row["good"].strip().lower()
    if answer not in ANSWERS:
        raise ValueError(f"{where}: good is {row['good']!r}, expected yes or no")
    spoilt = tuple(name.strip().lower() for name in (row["spoilt"] or "").split(";") if name.strip())
    unknown = [name for name in spoilt if name not in FAULTS]
    if unknown:
        raise ValueError(f"{where}: {unknown[0]!r} is no fault, expected some of {', '.join(FAULTS)}")
    if ANSWERS[answer] == bool(spoilt):
        expected = "nothing in spoilt beside a yes" if spoilt else "what spoilt it beside a no"
        raise ValueError(f"{where}: expected {expected}; a small blemish of a good picture goes into note")
    return Verdict(row["photo"].strip(), row["letter"].strip().upper(), ANSWERS[answer], spoilt)


def read_key(path: Path) -> dict[str, dict[str, str]]:
    """Renderer by letter by photo. Raises ValueError for a file that is no key."""
    try:
        photos = json.loads(path.read_text(encoding="utf-8"))["photos"]
        return {name: {str(k): str(v) for k, v in facts["letters"].items()} for name, facts in photos.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is not the key of a blinded sheet ({error}); expected the key.json that was written with the pictures"
        ) from error


def joined(verdicts: Sequence[Verdict], key: dict[str, dict[str, str]]) -> dict[str, list[Verdict]]:
    """The verdicts of each renderer of the key. Raises ValueError for a picture that the key does not name."""
    by_renderer: dict[str, list[Verdict]] = {
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


def table(by_renderer: dict[str, list[Verdict]]) -> str:
    """Markdown: share called good, its 95 % interval, the share where nobody blamed the depth, and what spoilt the rest."""
    lines = [
        "| renderer | good | share | 95 % (Wilson) | good where the depth is not blamed | what spoilt the rest |",
        "|---|---|---|---|---|---|",
    ]
    for name, verdicts in by_renderer.items():
        good = sum(each.good for each in verdicts)
        low, high = wilson(good, len(verdicts))
        right = [each for each in verdicts if "depth" not in each.spoilt]
        spoilt = Counter(fault for each in verdicts for fault in each.spoilt)
        told = ", ".join(f"{fault} {times}" for fault, times in sorted(spoilt.items(), key=_most_first))
        lines.append(
            f"| {name} | {good} of {len(verdicts)} | {_percent(good, len(verdicts))} | {low:.0%} to {high:.0%} | "
            f"{good} of {len(right)}, {_percent(good, len(right))} | {told or 'nothing'} |"
        )
    return "\n".join(lines)


def _most_first(fault: tuple[str, int]) -> tuple[int, str]:
    return -fault[1], fault[0]


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "none judged"
