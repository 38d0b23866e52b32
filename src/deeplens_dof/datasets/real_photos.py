"""Sets of real photos with measured depth, masks or no labels: sources, terms, and their held-out parts.

    python -m deeplens_dof.datasets.real_photos SOURCE DESTINATION [--free]

links SOURCE/SET/... (with --free only the sets that may be used for any purpose) into DESTINATION/SET/train and
DESTINATION/SET/held_out. The split depends on names alone, so that it is the same everywhere. Readers of training data refuse
a folder called `held_out` (`datasets/split.py`).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Part = Literal["train", "held_out"]
NYU_BLOCK, NYU_HELD_OUT, NYU_GAP = 20, 10, 5


@dataclass(frozen=True)
class RealSet:
    """A set of photos.

    name: of its folder. kind: of `datasets`; "photos" have no labels, "alphas" true alpha. source: its origin. terms: the
    uses that its authors allow. free: its files state that any use is allowed. near_subject: the mask shows an object nearer
    than its surroundings. roles: its folders, that of the photos first.
    """

    name: str
    kind: Literal["rgbd", "masks", "photos", "alphas"]
    source: str
    terms: str
    free: bool
    roles: tuple[str, ...]
    near_subject: bool = False


SETS: dict[str, RealSet] = {
    real.name: real
    for real in (
        RealSet(
            "nyu", "rgbd", "NYU Depth v2, labelled frames (Silberman et al. 2012), by markshih91/refinenet_pytorch",
            "research", False, ("rgb", "depth_mm"),
        ),
        RealSet(
            "people", "masks", "clothing co-parsing (Yang et al. 2014), by bearpaw/clothing-co-parsing",
            "repository Apache-2.0, rights of the photos unclear: research", False, ("image", "mask"), True,
        ),
        RealSet(
            "cats", "masks", "pcashman21/feral-cat-segmentation-dataset-and-model",
            "repository MIT, photos from the web: research", False, ("image", "mask"), True,
        ),
        RealSet(
            "davis", "masks", "DAVIS 2016 (Perazzi et al.), by MathLee/EOR-VOS",
            "research, non-commercial", False, ("image", "mask"), True,
        ),
        RealSet(
            "objects", "masks", "photogrammetry sets of vork/*",
            "CC BY 4.0, CC BY-NC-SA 4.0, some not stated: research", False, ("image", "mask"), True,
        ),
        RealSet(
            "multiview", "rgbd",
            "measured by tools/data/make_multiview_set.py: fountain, castle, herzjesu, entry (Strecha et al. 2008, by "
            "openMVG/SfM_quality_evaluation), fox (NVlabs/instant-ngp), head, cape, blowtorch, mother_child, duck_queen "
            "(vork/*)",
            "research: fox non-commercial, head and cape CC BY-NC-SA 4.0, the others not stated in their repositories",
            False, ("rgb", "depth", "valid"),
        ),
        RealSet(
            "photos", "photos",
            "imazen/codec-corpus (CID22, Kodak), drewnoakes/metadata-extractor-images, "
            "BuddiesOfBudgie/budgie-backgrounds, pop-os/wallpapers",
            "CC BY-SA 4.0, Unsplash, free to use, CC0, public domain", True, (".",),
        ),
        RealSet(
            "alpha", "alphas", "alphamatting.com (Rhemann et al. 2009), by XiyunYue/Harry-Potter-and-the-Matting-Muggles",
            "research", False, ("image", "alpha", "trimap"),
        ),
    )
}  # fmt: skip

# Held out as a whole, because pictures of one clip or object are alike.
CLIPS_HELD_OUT = ("breakdance", "cows")
OBJECTS_HELD_OUT = ("gnomes", "duck_queen", "mother_child")
# Things held out of `objects`, and a church: castle, entry and fountain are of one place.
SCENES_HELD_OUT = ("herzjesu", "duck_queen", "mother_child")
EVERY = {"people": 16, "cats": 10, "photos": 10}  # one of this many is held out


def part_of(name: str, stems: Sequence[str]) -> dict[str, Part]:
    """The part of each picture of a set; pictures of neither part (neighbours of held-out ones) are left out.

    Args:
        name: of the set, one of SETS.
        stems: names of all its pictures, without ending.
    """
    ordered = sorted(stems)
    if name == "nyu":
        parts = {stem: _nyu_part(int(re.sub(r"\D", "", stem))) for stem in ordered}
        return {stem: part for stem, part in parts.items() if part is not None}
    if name in EVERY:
        return {
            stem: "held_out" if index % EVERY[name] == 0 else "train" for index, stem in enumerate(ordered)
        }
    if name == "alpha":
        return {stem: "held_out" if index % 2 else "train" for index, stem in enumerate(ordered)}
    aside = {"davis": CLIPS_HELD_OUT, "objects": OBJECTS_HELD_OUT, "multiview": SCENES_HELD_OUT}[name]
    return {stem: "held_out" if stem.startswith(aside) else "train" for stem in ordered}


def _nyu_part(number: int) -> Part | None:
    """Holds out every tenth block of twenty frames; None for five frames on each side, which may show the same room."""

    def aside(frame: int) -> bool:
        return frame // NYU_BLOCK % NYU_HELD_OUT == NYU_HELD_OUT - 1

    if aside(number):
        return "held_out"
    return None if aside(number - NYU_GAP) or aside(number + NYU_GAP) else "train"


def link(source: Path, destination: Path, names: Iterable[str] = SETS) -> dict[str, dict[Part, int]]:
    """Links the sets found in `source`; returns the number of pictures in each part. Existing links stay."""
    counts: dict[str, dict[Part, int]] = {}
    for real in (SETS[name] for name in names if (source / name).is_dir()):
        first = source / real.name / real.roles[0]
        parts = part_of(real.name, [path.stem for path in first.iterdir() if path.is_file()])
        counts[real.name] = {"train": 0, "held_out": 0}
        for role in real.roles:
            for path in sorted((source / real.name / role).iterdir()):
                if path.is_file() and (part := parts.get(path.stem)) is not None:
                    _link(path, destination / real.name / part / role / path.name)
                    counts[real.name][part] += role == real.roles[0]
    return counts


def _link(path: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if not place.is_symlink():
        place.symlink_to(path.resolve())


def main(arguments: list[str]) -> None:
    """The command line of this module."""
    only_free = "--free" in arguments
    folders = [Path(argument).expanduser() for argument in arguments if argument != "--free"]
    if len(folders) != 2:
        raise SystemExit(__doc__)
    names = [name for name, real in SETS.items() if real.free or not only_free]
    for name, counts in link(folders[0], folders[1], names).items():
        print(
            f"{name}: {counts['train']} to train on, {counts['held_out']} held out; terms: {SETS[name].terms}"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
