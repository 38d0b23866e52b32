"""The split of the sets of real photos, and the list of their terms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_samples import save

from deeplens_dof.datasets import real_photos
from deeplens_dof.datasets.folder import open_folder
from deeplens_dof.datasets.real_photos import SETS, link, part_of
from deeplens_dof.datasets.sample import DatasetError


def names(name: str) -> list[str]:
    clips = ("breakdance", "cows", "camel", "gnomes", "blowtorch", "herzjesu", "castle", "fountain")
    return [f"{clip}_{k:05d}" for clip in clips for k in range(4)] if name in ("davis", "objects", "multiview") else [
        f"{k:04d}" for k in range(400)
    ]  # fmt: skip


@pytest.mark.parametrize("name", SETS)
def test_both_parts_have_pictures_and_the_order_of_names_does_not_matter(name: str) -> None:
    parts = part_of(name, names(name))
    assert set(parts.values()) == {"train", "held_out"}
    assert parts == part_of(name, names(name)[::-1])
    assert sum(part == "held_out" for part in parts.values()) < len(parts) / 2 + 1


def test_whole_clips_are_kept_aside() -> None:
    parts = part_of("davis", names("davis"))
    by_clip = {stem.split("_")[0]: set() for stem in parts}
    for stem, part in parts.items():
        by_clip[stem.split("_")[0]].add(part)
    assert all(len(found) == 1 for found in by_clip.values())


def test_what_is_kept_aside_in_one_set_is_kept_aside_in_all() -> None:
    for stem in ("duck_queen_IMG_1050", "mother_child_IMG_0936"):
        stems = [stem, "blowtorch__DSC1399"]
        for name in ("objects", "multiview"):
            assert part_of(name, stems) == {stem: "held_out", "blowtorch__DSC1399": "train"}


def test_rooms_beside_the_blocks_kept_aside_are_in_neither_part() -> None:
    parts = part_of("nyu", names("nyu"))
    for stem, part in parts.items():
        beside = {
            parts.get(f"{int(stem) + d:04d}") for d in range(-real_photos.NYU_GAP, real_photos.NYU_GAP + 1)
        }
        assert beside - {None} == {part}


def test_links_are_read_and_what_is_kept_aside_is_refused_for_training(tmp_path: Path) -> None:
    for k in range(40):
        save(tmp_path / "from" / "people" / "image" / f"{k:04d}.png", np.zeros((8, 8, 3), np.uint8))
        save(tmp_path / "from" / "people" / "mask" / f"{k:04d}.png", np.full((8, 8), 255, np.uint8))
    for _ in range(2):
        counts = link(tmp_path / "from", tmp_path / "to")
        assert counts == {"people": {"train": 37, "held_out": 3}}
    assert len(open_folder(f"masks:{tmp_path}/to/people/train", for_training=True).entries) == 37
    assert len(open_folder(f"masks:{tmp_path}/to/people/held_out").entries) == 3
    with pytest.raises(DatasetError, match="held_out"):
        open_folder(f"masks:{tmp_path}/to/people/held_out", for_training=True)


def test_free_sets_alone_are_linked_when_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for role in ("people/image", "people/mask", "photos"):
        for k in range(12):
            save(tmp_path / "from" / role / f"{k:04d}.png", np.zeros((8, 8, 3), np.uint8))
    real_photos.main([str(tmp_path / "from"), str(tmp_path / "to"), "--free"])
    assert [path.name for path in (tmp_path / "to").iterdir()] == ["photos"]
    assert "photos: 10 to train on, 2 held out" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="SOURCE DESTINATION"):
        real_photos.main(["one"])


def test_only_sets_whose_terms_say_so_are_free() -> None:
    for each in SETS.values():
        assert each.free == ("research" not in each.terms)
