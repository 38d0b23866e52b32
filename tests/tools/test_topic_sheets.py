"""The sheets by topic: their columns, and the composed hair whose truth is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("tools/blind_test", "tools/figures", "benchmarks"):
        monkeypatch.syspath_prepend(str(ROOT / folder))


def case(truth: bool):
    from topic_sheets import Case

    rng = np.random.default_rng(4)
    shown, one, other, true = rng.integers(0, 256, (4, 300, 400, 3), np.uint8)
    coc = np.zeros((300, 400), np.float32)
    coc[:, 320:] = 9
    return Case("a case", shown, coc, {"optical": one, "neural": other}, true if truth else None)


def test_every_renderer_has_a_result_and_where_the_truth_is_known_an_error() -> None:
    from topic_sheets import columns

    captions = [caption.split(",")[0] for caption, _ in columns(case(True))]
    results = ["a case", "inverse depth", "CoC", "optical", "neural"]
    assert captions == [*results, "truth", "4 x the error", "4 x the error"]
    assert [caption.split(",")[0] for caption, _ in columns(case(False))] == results
    assert columns(case(True))[-1][0] == "4 x the error, neural"


def test_the_error_is_grey_where_there_is_none_and_bright_where_the_result_is() -> None:
    from topic_sheets import error

    found = case(True)
    found.results["optical"][:] = found.truth
    assert (error(found, "optical") == 128).all()
    found.truth[:] = 100
    found.results["optical"][:] = 110
    assert (error(found, "optical") == 168).all()


def test_from_close_by_all_pictures_show_the_topics_place_pixel_for_pixel() -> None:
    from contact_sheet import TILE_PX
    from topic_sheets import before_the_focus, close, columns

    found = case(True)
    row = columns(found)
    near = close(found, row, before_the_focus)
    height = round(TILE_PX * 300 / 400)
    assert {tile.shape for _, tile in near} == {(height, TILE_PX, 3)}
    assert [caption for caption, _ in near if caption] == ["from close by: a case"]
    columns_ = slice(160, 400)  # of a window 240 wide whose middle would be the step at column 320
    starts = [y for y in range(300 - height + 1) if np.array_equal(row[3][1][y, columns_], near[3][1][0])]
    assert len(starts) == 1
    for (_, whole), (_, part) in zip(row, near, strict=True):
        np.testing.assert_array_equal(whole[starts[0] : starts[0] + height, columns_], part)


def test_composed_hair_has_its_truth(monkeypatch) -> None:
    """What is in focus and opaque stays as it is; what is not comes out smoother."""
    pytest.importorskip("cv2")
    import topic_sheets
    from topic_sheets import heads_of_hair

    monkeypatch.setattr(topic_sheets, "COMPOSED_PX", 160)
    monkeypatch.setattr(topic_sheets, "COMPOSED_POINTS", 128)

    told: list[str] = []
    sharp, blurred = heads_of_hair((16, 27), ["optical"], told.append)
    assert not told
    assert (sharp.coc_px.min(), sharp.coc_px.max(), blurred.coc_px.min(), blurred.coc_px.max()) == (
        -20,
        0,
        0,
        20,
    )
    from scipy.ndimage import minimum_filter

    inside = minimum_filter(sharp.coc_px == 0, 15)
    kept = np.abs(sharp.truth.astype(int) - sharp.shown)[inside]
    changed = np.abs(sharp.truth.astype(int) - sharp.shown)[sharp.coc_px < 0]
    assert kept.mean() < 1 < changed.mean()
    for each in (sharp, blurred):
        rough = [
            np.abs(np.diff(picture[each.coc_px != 0].astype(int), axis=0)).mean()
            for picture in (each.truth, each.shown)
        ]
        assert rough[0] < rough[1]


def test_topics_name_photos_and_scenes_that_exist() -> None:
    from judged_photos import PHOTOS
    from topic_sheets import TOPICS
    from truths import SCENES

    assert set(TOPICS) == {"hair", "leaves", "night_highlights", "foreground_blur"}
    for topic in TOPICS.values():
        assert set(topic.photos) <= {photo.name for photo in PHOTOS}
        for scene, level, focus in topic.traced:
            assert (SCENES / scene / f"L{level}_F{focus}.png").is_file()


def test_an_unknown_sheet_is_refused(monkeypatch) -> None:
    import make_sheets

    monkeypatch.setattr("sys.argv", ["make_sheets.py", "--only", "hair,beards"])
    with pytest.raises(SystemExit, match="there is no sheet 'beards'"):
        make_sheets.main()
