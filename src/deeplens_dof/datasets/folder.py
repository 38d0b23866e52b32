"""Readers of measured data for those who have it: RGB-D sets, phones' photos, folders of one's own, masks.

    for one in open_folder("diode:/data/diode/train", on_error="skip", tell=print).samples():
        one.rgb, one.inverse_depth, one.known, one.unit, one.subject

Nothing is left out silently: a file that is broken or belongs to no sample is named, and is skipped or ends the
reading, as `on_error` says.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from deeplens_dof.datasets import diode, hrwsi, megadepth, nyuv2, phone, plain, split
from deeplens_dof.datasets.layout import Layout, listing
from deeplens_dof.datasets.sample import DatasetError, Entry, Sample

OnError = Literal["skip", "refuse"]
Tell = Callable[[str], None]

# Kind -> layout, in the order in which a folder without a kind is tried.
LAYOUTS: dict[str, Layout] = {
    each.kind: each
    for each in (
        diode.LAYOUT, hrwsi.LAYOUT, megadepth.LAYOUT, plain.RGBD_LAYOUT, plain.MASKS_LAYOUT, plain.MATTES_LAYOUT,
        nyuv2.LAYOUT, phone.LAYOUT,
    )
}  # fmt: skip


def _to_standard_error(sentence: str) -> None:
    print(sentence, file=sys.stderr)


@dataclass(frozen=True, slots=True)
class Folder:
    """Samples of one folder. on_error: "refuse" raises DatasetError at the first broken file, "skip" tells of it."""

    layout: Layout
    path: Path
    entries: tuple[Entry, ...]
    on_error: OnError = "refuse"
    tell: Tell = _to_standard_error
    _named: set[str] = field(default_factory=set)

    def read(self, entry: Entry) -> Sample | None:
        """One sample; None for a broken one that is skipped, which is told once."""
        try:
            return self.layout.read(entry)
        except Exception as error:  # whatever a decoder raises of a damaged file
            text = " ".join(str(error).split()) or type(error).__name__
            where = entry.paths[0]
            sentence = (
                text
                if any(str(path) in text or path.name in text for path in entry.paths)
                else f"{where}: {text}"
            )
            if self.on_error == "refuse":
                raise DatasetError(sentence) from error
            if entry.name not in self._named:
                self._named.add(entry.name)
                self.tell(f"skipped: {sentence}")
            return None

    def samples(self) -> Iterator[Sample]:
        """Every sample in order."""
        for entry in self.entries:
            one = self.read(entry)
            if one is not None:
                yield one


def open_folder(
    named: str, on_error: OnError = "refuse", tell: Tell = _to_standard_error, for_training: bool = False
) -> Folder:
    """The folder named `KIND:DIR`, or `DIR` alone where its kind shows by its layout.

    on_error: what becomes of broken and foreign files. for_training: evaluation pictures (datasets/split.py) count as
    foreign. Raises DatasetError for an unknown kind, another layout, no sample, and with "refuse" for any such file.
    """
    kind, path = _parsed(named)
    layout = LAYOUTS[kind] if kind else _detected(path)
    found = layout.found(path)
    entries, problems = found.entries, list(found.problems)
    if for_training:
        entries = []
        for entry in found.entries:
            reason = split.evaluation_only(entry.paths[0], path)
            if reason:
                problems.append(reason)
            else:
                entries.append(entry)
    if problems and (on_error == "refuse" or not entries):
        more = f" (and {len(problems) - 1} more of the kind)" if len(problems) > 1 else ""
        raise DatasetError(f"{problems[0]}{more}; put it right, or leave such files out (--on-error skip)")
    for problem in problems:
        tell(f"skipped: {problem}")
    return Folder(layout, path, tuple(entries), on_error, tell)


def _parsed(named: str) -> tuple[str | None, Path]:
    """KIND:DIR taken apart; a folder whose name holds a colon is one, too."""
    kind, colon, rest = named.partition(":")
    if not colon or Path(named).expanduser().exists() or "/" in kind:
        return None, Path(named).expanduser()
    if kind not in LAYOUTS:
        raise DatasetError(
            f"there is no kind of data {kind!r}, expected one of {', '.join(LAYOUTS)}, as KIND:DIR"
        )
    return kind, Path(rest).expanduser()


def _detected(path: Path) -> Layout:
    if not path.is_dir():
        what = "a file" if path.exists() else "nothing"
        raise DatasetError(f"there is {what} at {path}, expected a folder of data, as DIR or KIND:DIR")
    for layout in LAYOUTS.values():
        if layout.marks(path):
            return layout
    kinds = "; ".join(f"{layout.kind}: {layout.expected}" for layout in LAYOUTS.values())
    raise DatasetError(
        f"{path} is of no kind that is known: it holds {listing(path)}; expected one of: {kinds}"
    )
