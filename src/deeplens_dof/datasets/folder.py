"""Readers of measured data: RGB-D data sets, phone photos, folders of your own, masks.

    for sample in open_folder("diode:/data/diode/train", on_error="skip", tell=print).samples():
        sample.rgb, sample.inverse_depth, sample.known, sample.unit, sample.subject

No file is dropped silently: one that is damaged or belongs to no sample is reported, and is skipped or ends the reading,
depending on `on_error`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from deeplens_dof.datasets import diode, hrwsi, megadepth, nyuv2, phone, plain, split
from deeplens_dof.datasets.layout import Layout, content_names
from deeplens_dof.datasets.sample import DatasetError, Sample, SampleFiles

OnError = Literal["skip", "refuse"]
Tell = Callable[[str], None]

# Kind -> layout, in the order in which a folder without a kind is tried.
LAYOUTS: dict[str, Layout] = {
    layout.kind: layout
    for layout in (
        diode.DIODE_LAYOUT,
        hrwsi.HRWSI_LAYOUT,
        megadepth.MEGADEPTH_LAYOUT,
        plain.RGBD_LAYOUT,
        plain.MASKS_LAYOUT,
        plain.MATTES_LAYOUT,
        nyuv2.NYUV2_LAYOUT,
        phone.PHONE_LAYOUT,
    )
}


def _to_standard_error(sentence: str) -> None:
    print(sentence, file=sys.stderr)


@dataclass(frozen=True, slots=True)
class Folder:
    """The samples of a folder. on_error: "refuse" raises DatasetError for a damaged file, "skip" reports it."""

    layout: Layout
    path: Path
    entries: tuple[SampleFiles, ...]
    on_error: OnError = "refuse"
    tell: Tell = _to_standard_error
    _named: set[str] = field(default_factory=set)

    def read(self, entry: SampleFiles) -> Sample | None:
        """One sample; None for a damaged one that is skipped, which is reported once."""
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
        """All samples in order."""
        for entry in self.entries:
            sample = self.read(entry)
            if sample is not None:
                yield sample


def open_folder(
    named: str, on_error: OnError = "refuse", tell: Tell = _to_standard_error, for_training: bool = False
) -> Folder:
    """The folder named `KIND:DIR`, or `DIR` if its layout shows the kind.

    Args:
        named: KIND:DIR or DIR.
        on_error: "skip" damaged and unexpected files, or "refuse" them.
        tell: receives a sentence for every skipped file.
        for_training: treat evaluation pictures (datasets/split.py) as unexpected.

    Raises:
        DatasetError: an unknown kind, another layout, no sample, or with "refuse" a damaged or unexpected file.
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
    """Kind and path of KIND:DIR; the name of an existing folder may contain a colon."""
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
        f"{path} is of no known kind: it holds {content_names(path)}; expected one of: {kinds}"
    )
