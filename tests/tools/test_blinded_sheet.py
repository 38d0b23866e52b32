"""The blinded sheet: its order, what it hides, and how verdicts and key become a table."""

from __future__ import annotations

import itertools
import json
import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import deeplens_dof as dl

ROOT = Path(__file__).parents[2]
NAMES = ("neural", "optical", "paper", "discs")


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("tools/blind_test", "tools/figures", "benchmarks"):
        monkeypatch.syspath_prepend(str(ROOT / folder))


@pytest.fixture
def scene() -> dl.Scene:
    """A disc in focus before lamps on a dark wall, 160 x 120."""
    y, x = np.mgrid[:120, :160]
    near = np.hypot(x - 80, y - 60) < 30
    rgb = np.full((120, 160, 3), 30, np.uint8)
    rgb[near] = (200, 120, 60)
    rgb[10:14, ::20] = 255
    photo = dl.read(Image.fromarray(rgb))
    return dl.Scene(photo, dl.InverseDepth(near.astype(np.float32), "relative"), (0.5, 0.5), "given")


def chi_square(counts: Counter, kinds: int, total: int) -> float:
    expected = total / kinds
    return (
        sum((counts[kind] - expected) ** 2 / expected for kind in counts) + (kinds - len(counts)) * expected
    )


@pytest.mark.parametrize("varied", ["seed", "photo"])
def test_every_order_is_equally_likely(varied: str) -> None:
    """24 orders, 4,800 draws: chi-square of 23 degrees of freedom is below 58 in 99.99 % of such draws."""
    from make_blinded_sheet import order

    draws = [
        order(n, "cat", NAMES) if varied == "seed" else order(7, f"photo {n}", NAMES) for n in range(4800)
    ]
    counts = Counter(tuple(draw.values()) for draw in draws)
    assert set(counts) == set(itertools.permutations(NAMES))
    assert chi_square(counts, 24, 4800) < 58


def test_an_order_depends_on_seed_and_photo_alone() -> None:
    from make_blinded_sheet import order

    first = order(11, "cat", NAMES)
    assert list(first) == ["A", "B", "C", "D"]
    assert sorted(first.values()) == sorted(NAMES)
    assert order(11, "cat", NAMES[::-1]) == first
    assert any(order(11, name, NAMES) != first for name in ("dog", "aloe", "coffee"))
    assert any(order(seed, "cat", NAMES) != first for seed in (12, 13, 14))


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scene: dl.Scene) -> None:
    """Two photos, small and tiny, stand for those that are judged."""
    import judged_photos

    pytest.importorskip("cv2")
    for name in ("small", "tiny"):
        scene.photo.save(tmp_path / f"{name}.png")
    monkeypatch.setitem(judged_photos.PLACES, "here", judged_photos.Place(lambda: tmp_path, "none", "none"))
    monkeypatch.setattr(dl, "analyse", lambda photo, depth: scene)
    two = tuple(judged_photos.JudgedPhoto(name, "here", f"{name}.png", "lamps") for name in ("small", "tiny"))
    monkeypatch.setattr(judged_photos, "PHOTOS", two)


@pytest.fixture
def run(photos, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The command with these options; its folder and its key."""
    import make_blinded_sheet

    def call(*options: str, out: str = "sheet", code: int = 1) -> tuple[Path, Path]:
        folder = tmp_path / out
        monkeypatch.setattr("sys.argv", ["make_blinded_sheet.py", "--out", str(folder), *options])
        assert make_blinded_sheet.main() == code  # 1: fewer photos than 24
        return folder, folder.with_name(f"{out}_key") / "key.json"

    return call


def test_pictures_tell_nothing_but_pixels(run) -> None:
    out, key = run("--only", "small")
    letters = json.loads(key.read_text())["photos"]["small"]["letters"]
    assert {"discs", "optical"} <= set(letters.values())
    files = sorted(path for path in out.rglob("*") if path.is_file())
    expected = {"small.png", "input.png", *(f"{letter}.png" for letter in letters), "place_1.png"}
    assert expected <= {path.name for path in files}
    for path in files:
        assert not any(name in path.name for name in (*NAMES, "key"))
        if path.suffix == ".png":
            assert chunks(path) <= {b"IHDR", b"IDAT", b"IEND"}
            assert not Image.open(path).info
        else:
            assert not any(name in path.read_text() for name in letters.values() if name != "discs")


def chunks(path: Path) -> set[bytes]:
    data, at, found = path.read_bytes(), 8, set()
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        found.add(kind)
        at += length + 12
    return found


def test_each_letter_is_the_renderer_that_the_key_names(run, scene) -> None:
    import rendered

    out, key = run()
    for photo, facts in json.loads(key.read_text())["photos"].items():
        for letter, name in facts["letters"].items():
            shown = np.asarray(Image.open(out / photo / f"{letter}.png"))
            np.testing.assert_array_equal(shown, rendered.rendered(scene, dl.Settings(), name))


def test_a_seed_makes_the_same_sheet_again(run) -> None:
    (first, first_key), (second, second_key) = run("--seed", "3"), run("--seed", "3", out="again")
    assert first_key.read_text() == second_key.read_text()
    assert (first / "small.png").read_bytes() == (second / "small.png").read_bytes()


def test_without_a_seed_one_is_drawn_and_not_told(run, capsys) -> None:
    seeds = {json.loads(run(out=out)[1].read_text())["seed"] for out in ("one", "two", "three")}
    told = "".join(capsys.readouterr())
    assert len(seeds) == 3
    assert not any(str(seed) in told for seed in seeds)


def test_a_run_that_was_cut_off_goes_on_as_if_it_had_not_been(run) -> None:
    whole, whole_key = run("--seed", "8")
    run("--seed", "8", "--only", "tiny", out="again")
    again, again_key = run("--resume", out="again")
    assert json.loads(again_key.read_text()) == json.loads(whole_key.read_text())
    for name in ("small.png", "small/A.png", "tiny/A.png"):
        assert (again / name).read_bytes() == (whole / name).read_bytes()


def test_neither_a_key_nor_verdicts_are_written_over(run) -> None:
    out, key = run("--only", "small")
    before = key.read_text()
    judged = (out / "verdicts.csv").read_text().replace("small,A,,,,", "small,A,yes,no,halo;rim,mine")
    (out / "verdicts.csv").write_text(judged)
    with pytest.raises(SystemExit, match="key of pictures that are there already"):
        run()
    with pytest.raises(SystemExit, match="begun with other settings"):
        run("--resume", "--f-number", "1.2")
    with pytest.raises(SystemExit, match="begun with other seed"):
        run("--resume", "--seed", str(json.loads(before)["seed"] + 1))
    assert key.read_text() == before
    run("--resume")
    after = (out / "verdicts.csv").read_text()
    assert after.startswith(judged)
    assert set(after.removeprefix(judged).splitlines()) >= {"tiny,A,,,,", "tiny,B,,,,"}


def test_there_is_nothing_to_go_on_with(run) -> None:
    with pytest.raises(SystemExit, match="nothing to go on with"):
        run("--resume")


def test_the_command_joins_what_it_made(run, capsys) -> None:
    out, key = run()
    filled = out / "verdicts.csv"
    blank = filled.read_text()
    pictures = blank.count(",,,,")
    filled.write_text(blank.replace(",,,,", ",yes,yes,,", pictures - 1))
    capsys.readouterr()
    run("--judge", str(filled))
    told = capsys.readouterr()
    assert "| optical |" in told.out
    assert f"{filled}: 1 pictures have no verdict yet" in told.err
    filled.write_text(blank.replace(",,,,", ",yes,yes,,"))
    run("--judge", str(filled), code=0)
    assert "| 1 | optical | 2 of 2, 100% (34% to 100%) |" in capsys.readouterr().out
    run("--judge", str(filled), str(filled), code=0)
    assert "| all | optical | 4 of 4, 100% (51% to 100%) |" in capsys.readouterr().out
    key.write_text("{}")
    with pytest.raises(SystemExit, match="is not the key of a blinded sheet"):
        run("--judge", str(filled))


def test_a_photo_without_that_name_is_refused(run) -> None:
    with pytest.raises(SystemExit, match="there is no photo 'huge'; there are: small, tiny"):
        run("--only", "small,huge")


def test_renderers_that_are_not_there_are_skipped_with_a_sentence() -> None:
    import rendered

    told: list[str] = []
    assert rendered.at_hand(("optical", "bicubic"), told.append) == ["optical"]
    assert len(told) == 1
    assert told[0].startswith("bicubic is skipped: ")
    assert "optical" in told[0]


def test_one_renderer_is_no_sheet(run, tmp_path, monkeypatch) -> None:
    import make_blinded_sheet

    monkeypatch.setattr(make_blinded_sheet, "RENDERERS", ("optical", "bicubic"))
    with pytest.raises(SystemExit, match="there is optical, expected at least two renderers"):
        run()
    assert not (tmp_path / "sheet").exists()


@pytest.mark.parametrize("settings", [dl.Settings(), dl.Settings(highlights=0, f_number=1.2)])
def test_other_renderers_get_what_ours_get(scene, settings) -> None:
    """The optical renderer, handed in from outside, gives the product's own picture to the bit."""
    import rendered

    ours = dl.refocus(scene, settings)
    np.testing.assert_array_equal(rendered.through(scene, settings, dl.render).linear, ours.linear)
    np.testing.assert_array_equal(rendered.rendered(scene, settings, "optical"), ours.image)


def test_places_are_where_it_is_hard(scene) -> None:
    from make_blinded_sheet import places

    coc = scene.coc_px(dl.Settings()).repeat(5, 0).repeat(5, 1)
    srgb = scene.photo.srgb8().repeat(5, 0).repeat(5, 1)
    changed = srgb.copy()
    changed[500:, 600:] = 0
    found = places(srgb, [coc], [srgb, changed])
    assert list(found) == ["rim", "highlight", "difference 0"]
    assert list(places(srgb, [-coc], [srgb, changed])) == ["highlight", "foreground", "difference 0"]


def test_places_favour_neither_version(scene) -> None:
    from make_blinded_sheet import places

    coc, srgb = scene.coc_px(dl.Settings()), scene.photo.srgb8()
    one, other = coc.repeat(5, 0).repeat(5, 1), -coc.repeat(5, 0).repeat(5, 1)
    srgb = srgb.repeat(5, 0).repeat(5, 1)
    assert places(srgb, [one, other], [srgb]) == places(srgb, [other, one], [srgb])
    assert list(places(srgb, [one, other], [srgb])) == ["rim", "highlight", "foreground"]


def test_a_large_photo_is_made_small_in_linear_light() -> None:
    from make_blinded_sheet import LONG_SIDE_PX, shrunk

    lines = np.zeros((40, 2 * LONG_SIDE_PX, 3), np.uint8)
    lines[:, ::2] = 255
    small = shrunk(lines)
    assert small.shape == (20, LONG_SIDE_PX, 3)
    assert set(np.unique(small)) == {188}  # half the light
    assert shrunk(small) is small


def test_photos_are_enough_and_for_evaluation_only() -> None:
    from judged_photos import PHOTOS, PLACES
    from make_blinded_sheet import FEWEST_PHOTOS

    from deeplens_dof.datasets.cache import assets_folder
    from deeplens_dof.datasets.split import may_train_on

    assert len(PHOTOS) == len({photo.name for photo in PHOTOS}) >= FEWEST_PHOTOS
    assert not any(set(photo.name) & set(" ,/") for photo in PHOTOS)
    for photo in PHOTOS:
        assert not may_train_on(photo.path, assets_folder())
        assert PLACES[photo.place].get
        dl.Settings(focus=photo.focus)


def test_a_photo_that_may_be_trained_on_is_refused() -> None:
    import judged_photos

    trained = judged_photos.JudgedPhoto("dune", "mate-backgrounds", "nature/Dune.jpg", "sand")
    with pytest.raises(ValueError, match="may be trained on"):
        list(judged_photos.at_hand(print, (trained,)))


def test_a_missing_photo_is_named_with_what_brings_it(tmp_path, monkeypatch) -> None:
    import judged_photos

    monkeypatch.setattr(judged_photos, "CACHE", tmp_path)
    told: list[str] = []
    cat = judged_photos.JudgedPhoto("cat", "evaluation", "cat.hif", "fur")
    assert not list(judged_photos.at_hand(told.append, (cat,)))
    assert told == [
        f"cat is left out: {tmp_path / 'cat.hif'} is missing; get it with `python tools/data/fetch_evaluation_data.py`"
    ]


KEY = {
    "cat": {"A": "optical", "B": "discs"},
    "dog": {"A": "discs", "B": "optical"},
    "aloe": {"A": "optical", "B": "discs"},
}


HEAD = "photo,letter,good_normal,good_100,spoilt,note"


def judged(tmp_path: Path, *lines: str, head: str = HEAD, name: str = "verdicts") -> Path:
    path = tmp_path / f"{name}.csv"
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


LINES = "cat,A,yes,yes,,", "cat,b,Yes,No,halo; rim,", "dog,A,no,no,halo,", "dog,B,no,yes,depth,", "aloe,A,,,,"


def test_verdicts_go_to_the_renderer_behind_the_letter(tmp_path) -> None:
    import verdicts

    found = verdicts.read_verdicts(judged(tmp_path, *LINES))
    by_renderer = verdicts.joined(found, KEY)
    assert {name: [tuple(each.good.values()) for each in some] for name, some in by_renderer.items()} == {
        "discs": [(True, False), (False, False)],
        "optical": [(True, True), (False, True)],
    }
    assert verdicts.not_judged(found, KEY) == ["aloe A", "aloe B"]
    head, _, discs, optical = verdicts.table([by_renderer]).splitlines()
    assert head.startswith("| judge | renderer | good at normal size | good at 100 % |")
    half, none = "1 of 2, 50% (9% to 91%)", "0 of 2, 0% (0% to 66%)"
    assert discs == f"| 1 | discs | {half} | {none} | {half} | {none} | halo 100%, rim 50% |"
    one, both = "1 of 1, 100% (21% to 100%)", "2 of 2, 100% (34% to 100%)"
    assert optical == f"| 1 | optical | {half} | {both} | {one} | {one} | depth 50% |"


def test_several_judges_have_their_lines_and_one_together(tmp_path) -> None:
    import verdicts

    files = [
        judged(tmp_path, "cat,A,yes,yes,,", "cat,B,no,no,part,", name="one"),
        judged(tmp_path, "cat,A,yes,no,rim,", "cat,B,no,no,part;rim,", name="two"),
    ]
    judges = [verdicts.joined(verdicts.read_verdicts(path), KEY) for path in files]
    told = [line.split(" | ")[:4] for line in verdicts.table(judges).splitlines()[2:]]
    assert [line[:2] for line in told] == [
        [f"| {judge}", name] for judge in ("1", "2", "all") for name in ("discs", "optical")
    ]
    assert [line[2].split(" (")[0] for line in told[4:]] == ["0 of 2, 0%", "2 of 2, 100%"]
    assert [line[3].split(" (")[0] for line in told[4:]] == ["0 of 2, 0%", "1 of 2, 50%"]
    assert "| part 100%, rim 50% |" in verdicts.table(judges).splitlines()[6]


def test_verdicts_given_once_are_read_still(tmp_path) -> None:
    import verdicts

    lines = "cat,A,yes,,", "cat,B,no,rim,"
    path = judged(tmp_path, *lines, head="photo,letter,good,spoilt,note")
    by_renderer = verdicts.joined(verdicts.read_verdicts(path), KEY)
    assert "| judge | renderer | good | good, depth not blamed |" in verdicts.table([by_renderer])
    assert "| 1 | optical | 1 of 1, 100% (21% to 100%) |" in verdicts.table([by_renderer])
    assert verdicts.with_blanks(path.read_text(), {"dog": "A"}).endswith("dog,A,,,\n")
    results = ROOT / "benchmarks" / "results"
    key = verdicts.read_key(results / "blinded_key.json")
    assert not verdicts.not_judged(verdicts.read_verdicts(results / "blinded_verdicts.csv"), key)


def test_the_blank_verdicts_can_be_filled_in(tmp_path) -> None:
    import verdicts

    path = tmp_path / "verdicts.csv"
    path.write_text(verdicts.with_blanks("", KEY))
    assert verdicts.read_verdicts(path) == []
    path.write_text(verdicts.with_blanks("", KEY).replace(",,,,", ",yes,yes,,"))
    found = verdicts.read_verdicts(path)
    assert verdicts.not_judged(found, KEY) == []
    assert all(all(each.good.values()) for some in verdicts.joined(found, KEY).values() for each in some)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["cat,A,maybe,no,,"], "line 2: good_normal is 'maybe', expected yes or no"),
        (["cat,A,yes,,,"], "line 2: good_100 is '', expected yes or no"),
        (["cat,A,yes,yes,,", "cat,B,yes,no,ugly,"], "line 3: 'ugly' is no fault"),
        (["cat,A,yes,no,,"], "expected what spoilt it beside a no"),
        (["cat,A,yes,yes,halo,"], "expected nothing in spoilt beside two yes"),
        (["cat,A,yes,yes,,", "cat,a,no,no,rim,"], "judges cat A twice"),
    ],
)
def test_verdicts_that_cannot_be_counted_are_refused(tmp_path, lines, told) -> None:
    import verdicts

    with pytest.raises(ValueError, match=told):
        verdicts.read_verdicts(judged(tmp_path, *lines))


def test_files_that_do_not_fit_are_refused(tmp_path) -> None:
    import verdicts

    with pytest.raises(ValueError, match="verdict on cat D, which the key does not name"):
        verdicts.joined([verdicts.Verdict("cat", "D", {"good": True})], KEY)
    (tmp_path / "other.csv").write_text("photo,letter\ncat,A\n")
    with pytest.raises(ValueError, match="has no column good_normal, good_100, spoilt"):
        verdicts.read_verdicts(tmp_path / "other.csv")
    for text in ("", "[]", '{"photos": {"cat": 1}}'):
        (tmp_path / "key.json").write_text(text)
        with pytest.raises(ValueError, match="is not the key of a blinded sheet"):
            verdicts.read_key(tmp_path / "key.json")


@pytest.mark.parametrize(
    ("good", "judged", "low", "high"),
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_interval(good: int, judged: int, low: float, high: float) -> None:
    """The last one is the example of Newcombe 1998, method 3; the bounds of the rest turn round with the answer."""
    from verdicts import wilson

    assert wilson(good, judged) == pytest.approx((low, high), abs=1e-4)
    assert wilson(judged - good, judged) == pytest.approx((1 - high, 1 - low), abs=1e-4)


def test_nothing_judged_is_nothing_known() -> None:
    from verdicts import table, wilson

    assert wilson(0, 0) == (0, 1)
    assert "| 1 | optical | none |" in table([{"optical": []}])


def test_every_fault_is_told_to_the_judge() -> None:
    from verdicts import FAULTS, RULE, how_to_judge

    page = how_to_judge()
    assert RULE in page
    assert all(f"`{name}`" in page for name in FAULTS)
    assert page.index("`good_normal`:") < page.index("`good_100`:") < page.index("3. **The faults")


PACKAGE = """
from types import SimpleNamespace as Of
import numpy as np
from PIL import Image

def read(path): return np.asarray(Image.open(path))
def analyse(photo): return photo
def Settings(f_number, focus): return focus
def refocus(photo, focus):
    if not (focus == "subject" or isinstance(focus, tuple)):
        raise ValueError(focus)
    picture = DONE
    shown = Of(with_pixels=lambda image: Of(srgb8=lambda: image))
    return Of(photo=shown, image=picture, coc_px=np.zeros(photo.shape[:2], np.float32))
"""


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A repository whose first commit mirrors a photo, and whose working tree turns its colours; the first commit."""
    import versions

    root, package = tmp_path / "repository", tmp_path / "repository" / "src" / "deeplens_dof"
    package.mkdir(parents=True)
    monkeypatch.setattr(versions, "ROOT", root)
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "test")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "test@example.org")
    versions.git("init", "-q")
    (package / "__init__.py").write_text(PACKAGE.replace("DONE", "photo[:, ::-1].copy()"))
    versions.git("add", "src")
    versions.git("commit", "-qm", "first")
    (package / "__init__.py").write_text(PACKAGE.replace("DONE", "255 - photo"))
    return versions.git("rev-parse", "HEAD")


def test_versions_are_those_of_the_working_tree_and_the_commit(run, history, scene) -> None:
    out, key = run("--against", history)
    told, srgb, other = json.loads(key.read_text()), scene.photo.srgb8(), f"default@{history[:7]}"
    assert told["commits"] == {"default": f"{history}-changed", other: history}
    expected = {"default": 255 - srgb, other: srgb[:, ::-1]}
    for photo, facts in told["photos"].items():
        assert set(facts["letters"].values()) == set(expected)
        for letter, name in facts["letters"].items():
            np.testing.assert_array_equal(Image.open(out / photo / f"{letter}.png"), expected[name])
    texts = [path.read_text() for path in out.iterdir() if path.suffix in (".md", ".csv")]
    assert not any("default" in text or history[:7] in text for text in texts)


def test_a_sheet_against_a_commit_goes_on_against_it(run, history) -> None:
    whole, _ = run("--against", history, "--seed", "8")
    run("--against", history, "--seed", "8", "--only", "tiny", out="again")
    with pytest.raises(SystemExit, match="begun with other renderers"):
        run("--resume", out="again")
    again, _ = run("--resume", "--against", history, out="again")
    assert (again / "small.png").read_bytes() == (whole / "small.png").read_bytes()


def test_a_focus_of_its_own_reaches_both_versions(run, history, monkeypatch) -> None:
    import judged_photos

    photo = judged_photos.JudgedPhoto("small", "here", "small.png", "lamps", (0.2, 0.7))
    monkeypatch.setattr(judged_photos, "PHOTOS", (photo,))
    _, key = run("--against", history)
    assert json.loads(key.read_text())["photos"]["small"]["focus"] == [0.2, 0.7]


def test_a_commit_that_is_not_there_or_cannot_blur_is_told(run, history) -> None:
    import versions

    with pytest.raises(SystemExit, match="'v9' is no commit of"):
        run("--against", "v9")
    package = versions.ROOT / "src" / "deeplens_dof" / "__init__.py"
    package.write_text("def read(path): raise OSError(path)")
    with pytest.raises(RuntimeError, match="there is no result of"):
        run("--against", history)
    package.unlink()
    with pytest.raises(RuntimeError, match="the package used is"):
        run("--against", history)


def test_the_opened_sheet_shows_the_other_version_first(run, history, tmp_path) -> None:
    run("--against", history)
    run("--opened", str(tmp_path / "opened.jpg"), code=0)
    with Image.open(tmp_path / "opened.jpg") as sheet:
        width, tile = sheet.width, 256
    assert width >= 4 * tile
    with pytest.raises(SystemExit, match="is not the key of the pictures"):
        run("--opened", str(tmp_path / "opened.jpg"), out="none")
