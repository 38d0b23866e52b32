"""The page of the gallery says what its pictures were made with, and every photo in it has its terms noted."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

import deeplens_dof as dl

ROOT = Path(__file__).parents[2]


@pytest.fixture
def gallery(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "tools" / "figures"))
    import make_gallery

    return make_gallery


def test_the_page_is_what_the_tool_writes(gallery) -> None:
    assert (ROOT / "docs" / "gallery.md").read_text("utf-8") == gallery.page()


def test_every_pair_has_its_photo_its_picture_and_valid_settings(gallery) -> None:
    assert len(gallery.GALLERY) == 12
    for name, pair in (gallery.GALLERY | gallery.TROUBLES).items():
        assert (ROOT / pair.photo).is_file(), name
        assert (gallery.OUT / f"{name}.jpg").stat().st_size < 100_000, name
        dl.Settings(**pair.after)
        dl.Settings(**(pair.before or {}))


def test_every_photo_of_the_gallery_is_in_the_notice() -> None:
    notice = (ROOT / "NOTICE").read_text("utf-8")
    for file in (ROOT / "docs" / "gallery").iterdir():
        assert file.name in notice
