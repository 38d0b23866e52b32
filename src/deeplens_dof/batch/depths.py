"""Depth files of many photos: which belongs to which, by their names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path, PurePath

FROM_PHOTOS = ("auto", "predict", "embedded")  # depth sources that are not names of files
_WRITTEN = ".png"
_MARK = "-depth"  # of files that `deeplens depth` names


def depth_file_in(folder: Path, name: str, photos: Collection[Path] = ()) -> Path:
    """The depth file of a photo in a folder: as the photo is called but for its suffix, with "-depth" or else without.

    Args:
        folder: of the depth files, in the folders of the photos or all in one.
        name: of the photo, relative to the folder of photos.
        photos: files that are photos to blur, and so no depth of one.

    Raises:
        ValueError: there is none, or more than one; the end of a sentence.
    """
    from deeplens_dof.depth.files import READ

    photo = PurePath(name)
    for below in dict.fromkeys((folder / photo.parent, folder)):
        for mark in (_MARK, ""):
            candidates = (below / f"{photo.stem}{mark}{suffix}" for suffix in READ)
            found = [path for path in candidates if path.is_file() and path not in photos]
            if len(found) > 1:
                raise ValueError(f"{found[0]} and {found[1]} are both its depth; leave one of them")
            if found:
                return found[0]
    raise ValueError(
        f"{folder} holds no depth file of it, expected {photo.stem} with one of {' '.join(READ)}; add it"
    )


def is_depth_folder(path: Path, several: bool) -> bool:
    """Whether depth is to be written into a folder of that name, rather than to a file."""
    return path.is_dir() or (several and not path.suffix)


def depth_outs_in(folder: Path, names: Sequence[str]) -> list[Path]:
    """The depth files to write for photos, in the photos' folders below `folder`.

    Photos that differ in their suffix alone (a.dng beside a.jpg) keep it: a.dng.png, a.jpg.png.
    """
    plain = [PurePath(name).with_suffix(_WRITTEN) for name in names]
    count = Counter(plain)
    return [
        folder / (path if count[path] == 1 else PurePath(name + _WRITTEN))
        for path, name in zip(plain, names, strict=True)
    ]
