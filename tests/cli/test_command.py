"""The command: files, messages and exit codes. Depth comes from a file unless a test is about it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from face_samples import group
from PIL import Image

import deeplens_dof as dl
from deeplens_dof import cli
from deeplens_dof.batch import jobs
from deeplens_dof.models import list_models

PHOTOS = Path(__file__).parents[2] / "examples" / "photos"
HEIGHT, WIDTH = 32, 64


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def sentences(self) -> list[str]:
        """The error messages, without the lines about successes."""
        return [line for line in self.err.splitlines() if line.startswith("deeplens: ")]


@pytest.fixture
def deeplens(capfd, monkeypatch, tmp_path):
    """Runs the command in this process, in an empty folder; captures the output of libraries, too."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Ended:
        with pytest.raises(SystemExit) as end:
            cli.main([str(argument) for argument in arguments])
        said = capfd.readouterr()
        assert "Traceback" not in said.err or "--debug" in arguments
        return Ended(int(end.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def depth(tmp_path_factory) -> Path:
    """A depth file: the left half near, the right half far."""
    path = tmp_path_factory.mktemp("depth") / "planes.png"
    values = np.repeat(np.float32([[1, 0]]), WIDTH // 2, 1).repeat(HEIGHT, 0)
    dl.write_depth_file(path, dl.InverseDepth(values, "relative"))
    return path


def photo(path: Path | str, **options: object) -> Path:
    """A picture of noise at `path`, with the folders on the way."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    Image.fromarray(noise).save(path, **options)
    return path


def files(folder: Path | str = ".") -> set[str]:
    """The names of all files below a folder, without the manifest of a batch."""
    found = {str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()}
    return {name for name in found if Path(name).name != ".deeplens-manifest.jsonl"}


def test_one_photo_with_depth_and_overlay(deeplens, depth) -> None:
    photo("in.jpg")
    arguments = (
        "--depth-out",
        "made/d.png",
        "--overlay",
        "made/o.png",
        "--focus",
        "0.2,0.5",
        "--lens-mm",
        200,
    )
    ended = deeplens("blur", "in.jpg", "-o", "made/out.png", "--depth", depth, *arguments)
    assert (ended.code, ended.out) == (0, "")
    assert "made/out.png" in ended.err
    assert files() == {"in.jpg", "made/out.png", "made/d.png", "made/o.png"}
    before, after = dl.read("in.jpg").pixels, dl.read("made/out.png").pixels
    assert np.array_equal(after[:, :10], before[:, :10])
    assert after[:, 50:].std() < 0.5 * before[:, 50:].std()
    assert np.array_equal(dl.read_depth_file("made/d.png").values, dl.read_depth_file(depth).values)
    overlay = dl.read("made/o.png").pixels
    assert (overlay[16, 10].argmax(), overlay[16, 54].argmax()) == (1, 0)


def test_a_focus_on_faces(deeplens, depth) -> None:
    """Two heads, the left one near: one of them is sharp, or both are; where there is none, a sentence says so."""
    pixels = group([(30, 60, 120), (400, 90, 140)], 320, 640)
    Image.fromarray(pixels).save("two.png")
    photo("noise.png")
    lens = ("--depth", depth, "--f-number", 1, "--lens-mm", 85, "--focus-range", 0, "--highlights", 0)
    heads = np.s_[90:140, 60:120], np.s_[120:190, 440:500]
    for focus, sharp in (("face", [False, True]), ("faces", [True, True]), ("0.1,0.4", [True, False])):
        assert deeplens("blur", "two.png", "-o", f"{focus[:5]}.png", "--focus", focus, *lens).code == 0
        made = dl.read(f"{focus[:5]}.png").pixels
        assert [bool((made[head] == pixels[head]).all()) for head in heads] == sharp, focus
    ended = deeplens("blur", "noise.png", "two.png", "-o", "out/", "--focus", "faces", *lens)
    assert ended.code == 1
    assert "no face was found in noise.png, and the focus is 'faces'; give a point X,Y" in ended.err
    assert files("out") == {"two.png"}


def test_without_an_output_the_result_lies_beside_the_photo(deeplens, depth) -> None:
    photo("a/in.png")
    assert deeplens("blur", "a/in.png", "--depth", depth).code == 0
    assert files() == {"a/in.png", "a/in-bokeh.png"}


@pytest.mark.parametrize("out", ["results", "results/", "new/", "new/deep/"])
def test_a_folder_as_output_of_one_photo_takes_it_in(deeplens, depth, out) -> None:
    photo("in.png")
    Path("results").mkdir()
    assert deeplens("blur", "in.png", "-o", out, "--depth", depth).code == 0
    assert files() == {"in.png", f"{out.rstrip('/')}/in.png"}


def test_several_photos_and_a_folder_are_mirrored(deeplens, depth) -> None:
    for name in ("one.png", "in/two.jpg", "in/deep/er/three.PNG", "in/.hidden.png"):
        photo(name)
    Path("in/notes.txt").write_text("no picture")
    ended = deeplens("blur", "one.png", "in", "-o", "out", "--depth", depth)
    assert ended.code == 0
    assert files("out") == {"one.png", "two.jpg", "deep/er/three.PNG"}


def test_an_output_folder_inside_the_input_folder_is_not_read(deeplens, depth) -> None:
    photo("in/a.png")
    for _ in range(2):
        assert deeplens("blur", "in", "-o", "in/out", "--depth", depth).code == 0
    assert files("in") == {"a.png", "out/a.png"}


def test_one_bad_photo_never_stops_the_run(deeplens, depth) -> None:
    photo("in/a.png")
    photo("in/c.png")
    Path("in/b.png").write_bytes(b"")
    ended = deeplens("blur", "in", "missing.png", "-o", "out", "--depth", depth, "--json")
    assert ended.code == 1
    assert files("out") == {"a.png", "c.png"}
    assert len(ended.sentences) == 2
    report = json.loads(ended.out)
    assert report["settings"] == dl.Settings().as_dict()
    assert [(Path(entry["input"]).name, bool(entry["error"])) for entry in report["photos"]] == [
        *(("a.png", False), ("b.png", True), ("c.png", False), ("missing.png", True))
    ]
    for entry in report["photos"]:
        assert (entry["output"] is None) == bool(entry["error"])
        assert entry["seconds"] >= 0


def test_the_report_is_all_there_is_on_standard_output_when_depth_is_predicted(deeplens) -> None:
    ended = deeplens("blur", PHOTOS / "chelsea.jpg", "-o", "out.jpg", "--json", "--f-number", 2)
    assert ended.code == 0
    report = json.loads(ended.out)
    assert report["settings"]["f_number"] == 2.0
    assert report["photos"][0]["output"] == "out.jpg"


def test_every_setting_reaches_the_picture(deeplens, depth) -> None:
    photo("in.png")
    options = {"focus": "0.2,0.5", "focus-range": 0.25, "f-number": 2.8, "lens-mm": 85, "nearest-m": 2}
    options |= {"shape": "blades:6:0.5", "highlights": 0.75, "grain": 0.5}
    flat = [text for name, value in options.items() for text in (f"--{name}", value)]
    ended = deeplens(
        "blur", "in.png", "-o", "out.png", "--depth", depth, "--renderer", "optical", "--json", *flat
    )
    lens = {"focus": (0.2, 0.5), "focus_range": 0.25, "f_number": 2.8, "lens_mm": 85, "nearest_m": 2}
    expected = dl.Settings(**lens, shape="blades:6:0.5", highlights=0.75, grain=0.5)
    assert json.loads(ended.out)["settings"] == expected.as_dict()
    made = dl.blur("in.png", depth=str(depth), settings=expected)
    assert np.array_equal(dl.read("out.png").pixels, made.image)


def test_the_picture_of_an_aperture_is_opened_once_for_all_photos(deeplens, depth) -> None:
    for name in ("in/a.png", "in/b.png", "star.png"):
        photo(name)
    ended = deeplens("blur", "in", "-o", "out", "--depth", depth, "--shape", "star.png", "--json")
    assert ended.code == 0
    assert json.loads(ended.out)["settings"]["shape"] == "star.png"
    made = dl.blur("in/a.png", depth=str(depth), shape="star.png")
    assert np.array_equal(dl.read("out/a.png").pixels, made.image)


def test_metadata_is_kept_or_left_out(deeplens, depth) -> None:
    exif = Image.Exif()
    exif[0x0110] = "Camera of the test"
    photo("in.jpg", exif=exif)
    deeplens("blur", "in.jpg", "-o", "kept.jpg", "--depth", depth)
    deeplens("blur", "in.jpg", "-o", "bare.jpg", "--depth", depth, "--strip-metadata")
    kept, bare = dl.read("kept.jpg"), dl.read("bare.jpg")
    assert b"Camera of the test" in kept.exif
    assert b"f_number" in kept.xmp
    assert (bare.exif, bare.xmp) == (None, None)


def test_progress_is_shown_on_a_terminal_on_one_line_and_nowhere_else(deeplens, depth, monkeypatch) -> None:
    photo("a long name\n\x1b[2J of a photo.png")
    monkeypatch.setenv("COLUMNS", "20")
    quiet = deeplens("blur", ".", "-o", "out", "--depth", depth)
    assert "reading" not in quiet.err
    assert "\x1b" not in quiet.err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    shown = deeplens("blur", ".", "-o", "out", "--depth", depth).err
    stages = shown.split("\r\x1b[K")[1:]
    assert len(stages) >= 4
    assert all(len(stage) < 20 and stage.isprintable() for stage in stages[:4])
    assert shown.count("\n") == 1


def test_strange_names_are_names(deeplens, depth) -> None:
    names = ["a photo.png", "🌺 flower.png", "-dash.png", "quote'\".png", "new\nline.png"]
    for name in names:
        photo(name)
    ended = deeplens("blur", "--depth", depth, "-o", "out", "--", *names)
    assert ended.code == 0
    assert files("out") == set(names)


# Wrong usage: exit code 2, nothing written


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["blur"], "Missing argument"),
        (["blur", "in.png", "--sharpen"], "No such option: --sharpen"),
        (["sharpen"], "No such command"),
        (["blur", "in.png", "--f-number", "0.1"], "--f-number is 0.1, expected a number from 0.7 to 64"),
        (["blur", "in.png", "--f-number", "nan"], "--f-number is nan, expected"),
        (["blur", "in.png", "--f-number", "wide"], "--f-number"),
        (["blur", "in.png", "--focus", "2,2"], "--focus is '2,2', expected X,Y with both from 0 to 1"),
        (["blur", "in.png", "--focus", "left"], "--focus is 'left', expected"),
        (["blur", "in.png", "--renderer", "vivid"], "--renderer is 'vivid', expected one of: optical"),
        (["blur", "in.png", "--shape", "starr"], "--shape is 'starr', did you mean star?"),
        (
            ["blur", "in.png", "--shape", "blades:2"],
            "--shape is 'blades' with count '2', expected a whole number",
        ),
        (
            ["blur", "in.png", "--shape", "none.png"],
            "--shape: none.png cannot be read: there is no such file",
        ),
        (
            ["blur", "in.png", "--shape", "black.png"],
            "black.png is no aperture: the aperture's picture is black",
        ),
        (["blur", "in.png", "--highlights", "2"], "--highlights is 2.0, expected a number from 0 to 1"),
        (["blur", "in.png", "--grain", "-1"], "--grain is -1.0, expected a number from 0 to 1"),
        (
            ["blur", "in.png", "--shape", "d.png", "-o", "d.png"],
            "'d.png' is read too and would be overwritten",
        ),
        (["blur", "in.png", "-o", "in.png"], "'in.png' is read too and would be overwritten"),
        (["blur", "in.png", "-o", "."], "'in.png' is read too and would be overwritten"),
        (["blur", "in.png", "-o", "link.png"], "'link.png' is read too and would be overwritten"),
        (["blur", "in.png", "--depth-out", "in.png"], "'in.png' is read too and would be overwritten"),
        (
            ["blur", "in.png", "--depth", "d.png", "-o", "d.png"],
            "'d.png' is read too and would be overwritten",
        ),
        (
            ["blur", "in.png", "-o", "x.png", "--overlay", "x.png"],
            "'x.png' would be written twice; give each",
        ),
        (
            ["blur", "a/x.png", "b/x.png", "-o", "out"],
            "'out/x.png' would be written twice from 'a/x.png' and 'b/x.png'",
        ),
        (["blur", "a", "b", "-o", "out"], "'out/x.png' would be written twice"),
        (["blur", "a"], "'a' is a folder; name a folder for the results with -o"),
        (["blur", "a", "-o", "d.png"], "'d.png' is a file, expected a folder for several photos"),
        (["blur", "a", "-o", "out", "--overlay", "x.png"], "--overlay names one file"),
        (["depth", "in.png"], "Missing option '-o' / '--out'; see deeplens depth --help"),
        (["depth", "in.png", "-o", "in.png"], "'in.png' is the photo itself and would be overwritten"),
        (["models", "burn"], "there is no action 'burn'"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_wrong_usage_is_said_before_anything_is_done(deeplens, arguments, said) -> None:
    for name in ("in.png", "a/x.png", "b/x.png", "d.png"):
        photo(name)
    Path("link.png").symlink_to("in.png")
    Image.new("L", (8, 8)).save("black.png")
    before = {name: Path(name).read_bytes() for name in files()}
    ended = deeplens(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert len(ended.err.splitlines()) == 1
    assert said in ended.err
    assert {name: Path(name).read_bytes() for name in files()} == before


def test_no_command_shows_help(deeplens) -> None:
    ended = deeplens()
    assert ended.code == 2
    assert "blur" in ended.out


# Failures: exit code 1, one sentence, nothing left behind


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(9)))
        + chunk(b"IEND", b"")
    )


BAD_INPUT = {
    "truncated.jpg": lambda path: path.write_bytes((PHOTOS / "coffee.jpg").read_bytes()[:20_000]),
    "text.jpg": lambda path: path.write_text("this is no picture"),
    "empty.jpg": lambda path: path.write_bytes(b""),
    "huge.png": lambda path: path.write_bytes(png_header(40_000, 40_000)),
    "folder.jpg": lambda path: path.mkdir(),
    "pipe.jpg": lambda path: os.mkfifo(path),
    "dangling.jpg": lambda path: path.symlink_to("nowhere.jpg"),
    "circle.jpg": lambda path: path.symlink_to("circle.jpg"),
    "missing.jpg": lambda path: None,
    "missing/deep.jpg": lambda path: None,
    "no-suffix": lambda path: path.write_text("this is no picture"),
    "x" * 5000 + ".jpg": lambda path: None,
    "surrogate-\udcff.jpg": lambda path: None,
}


@pytest.mark.parametrize("name", BAD_INPUT, ids=lambda name: name[:16].replace("\udcff", "ff"))
@pytest.mark.parametrize("out", ["out", None], ids=["into a folder", "beside it"])
def test_bad_input_is_one_sentence_and_exit_1(deeplens, depth, name, out) -> None:
    BAD_INPUT[name](Path(name))
    if name == "folder.jpg":
        out = "out"
    before = files()
    ended = deeplens("blur", name, *(["-o", out] if out else []), "--depth", depth, "--json")
    assert ended.code == 1
    assert len(ended.err.splitlines()) == len(ended.sentences) == 1
    assert len(ended.err) < 600
    assert files() == before
    (entry,) = json.loads(ended.out)["photos"]
    assert entry["error"] == ended.sentences[0].removeprefix("deeplens: ")


BAD_OUTPUT = {
    "out.xyz": "expected one of .jpg",
    "out": "has no suffix",
    "/dev/full": "it is a device or a pipe",
    "/dev/null": "it is a device or a pipe",
    "in.png/out.png": "a part of the path is not a folder",
    "a" * 300 + ".png": "the name is too long",
    "/proc/out.png": "",
}


@pytest.mark.parametrize("out", BAD_OUTPUT, ids=lambda name: name[:12])
@pytest.mark.parametrize("option", ["-o", "--overlay"])
def test_a_place_that_takes_no_file_is_said_before_the_work(deeplens, out, option, monkeypatch) -> None:
    photo("in.png")
    if out != "/proc/out.png":  # which only writing can tell, for root
        monkeypatch.setattr(
            "deeplens_dof.pipeline.analyse", lambda *_: pytest.fail("the work was done first")
        )
    ended = deeplens("blur", "in.png", option, out, *(["-o", "x.png"] if option != "-o" else []))
    assert ended.code == 1
    assert len(ended.err.splitlines()) == len(ended.sentences) == 1
    assert BAD_OUTPUT[out] in ended.err
    assert files() == {"in.png"}


def test_a_folder_named_like_the_picture_is_no_place_for_it(deeplens, depth) -> None:
    photo("in.png")
    Path("out/in.png").mkdir(parents=True)
    ended = deeplens("blur", "in.png", "-o", "out", "--depth", depth)
    assert (ended.code, len(ended.sentences)) == (1, 1)
    assert "it is a folder; name a file" in ended.err


def test_a_read_only_folder_is_said_before_the_work(deeplens, monkeypatch) -> None:
    photo("in.png")
    Path("locked").mkdir(mode=0o500)
    if os.geteuid() == 0:  # who may write anywhere
        monkeypatch.setattr(jobs.os, "access", lambda path, mode: "locked" not in str(path))
    monkeypatch.setattr("deeplens_dof.pipeline.analyse", lambda *_: pytest.fail("the work was done first"))
    ended = deeplens("blur", "in.png", "-o", "locked/out.png")
    assert (ended.code, len(ended.sentences)) == (1, 1)
    assert "permission is denied" in ended.err
    assert files() == {"in.png"}


def test_a_full_disk_leaves_nothing_and_the_old_result(deeplens, depth, monkeypatch) -> None:
    photo("in.png")
    Path("out.png").write_bytes(b"an earlier result")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("deeplens_dof.runtime.atomic_write.os.fsync", full)
    ended = deeplens("blur", "in.png", "-o", "out.png", "--depth", depth)
    assert (ended.code, len(ended.sentences)) == (1, 1)
    assert "the disk is full" in ended.err
    assert files() == {"in.png", "out.png"}
    assert Path("out.png").read_bytes() == b"an earlier result"


def test_depth_that_cannot_be_used_is_said_with_the_photo(deeplens) -> None:
    photo("in.png")
    Image.new("L", (10, 10), 3).save("flat.png")
    for name, said in {"none.png": "no depth file", "flat.png": "", "embedded": "say auto, predict"}.items():
        ended = deeplens("blur", "in.png", "-o", "out.png", "--depth", name)
        assert (ended.code, len(ended.sentences)) == (1, 1)
        assert "in.png" in ended.err
        assert said in ended.err
    assert files() == {"in.png", "flat.png"}


def test_debug_shows_the_traceback_and_goes_on(deeplens, depth) -> None:
    photo("b.png")
    ended = deeplens("blur", "missing.png", "b.png", "-o", "out", "--depth", depth, "--debug")
    assert ended.code == 1
    assert "Traceback" in ended.err
    assert len(ended.sentences) == 1
    assert files("out") == {"b.png"}


def test_an_error_of_our_own_asks_for_a_report(deeplens, depth, monkeypatch) -> None:
    photo("in.png")
    monkeypatch.setattr("deeplens_dof.pipeline.refocus", lambda *_: {}["gone"])
    ended = deeplens("blur", "in.png", "-o", "out.png", "--depth", depth)
    assert (ended.code, len(ended.sentences)) == (1, 1)
    assert "in.png: an error inside deeplens (KeyError: 'gone'); run it again with --debug" in ended.err


# The other commands


def test_depth_is_written_as_a_file_of_each_kind(deeplens) -> None:
    photo("in.png")
    for out, made in {"d.npz": "d.npz", "deep/d.tiff": "deep/d.tiff", "into/": "into/in-depth.png"}.items():
        ended = deeplens("depth", "in.png", "-o", out)
        assert (ended.code, ended.out) == (0, "")
        assert dl.read_depth_file(made).shape == (HEIGHT, WIDTH)
    expected = dl.predict_depth(dl.read("in.png").pixels)
    assert np.array_equal(dl.read_depth_file("d.npz").values, expected.values)


@pytest.mark.parametrize(
    ("source", "out"), [("in.png", "d.jpg"), ("missing.png", "d.png"), ("in.png", "/dev/full")]
)
def test_depth_that_cannot_be_made_is_one_sentence(deeplens, monkeypatch, source, out) -> None:
    photo("in.png")
    monkeypatch.setattr(
        "deeplens_dof.depth.predict.predict_depth", lambda *_: pytest.fail("the work was done first")
    )
    ended = deeplens("depth", source, "-o", out)
    assert (ended.code, len(ended.err.splitlines()), len(ended.sentences)) == (1, 1, 1)
    assert files() == {"in.png"}


def test_models_are_listed_and_verified(deeplens, monkeypatch, tmp_path) -> None:
    listed, verified = deeplens("models"), deeplens("models", "verify")
    assert (listed.code, verified.code) == (0, 0)
    assert "depth: relative inverse depth" in listed.out
    assert "is intact" in verified.out
    for model in list_models().values():
        shutil.copy(model.path, tmp_path)
    (tmp_path / "depth.onnx").write_bytes(b"something else")
    monkeypatch.setattr("deeplens_dof.models.WEIGHTS", tmp_path)
    damaged = deeplens("models", "verify")
    assert (damaged.code, len(damaged.sentences)) == (1, 1)
    assert "is damaged or was replaced" in damaged.err


def test_doctor_says_what_is_there(deeplens, monkeypatch) -> None:
    ended = deeplens("doctor")
    assert ended.code == 0
    for word in ("deeplens 0", "numpy", "onnxruntime", "weights depth", "a test picture went through"):
        assert word in ended.out
    monkeypatch.setattr(
        "deeplens_dof.pipeline.refocus", lambda scene, _: dl.Result(scene.photo, _, scene.linear, _, scene)
    )
    broken = deeplens("doctor")
    assert broken.code == 1
    assert "was not blurred" in broken.err


# As a process of its own


def started(*arguments: object, cwd: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "deeplens_dof.cli", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(Path(dl.__file__).parents[1])}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # a job in the background of a shell without job control inherits an ignored SIGINT
    heeding = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    return subprocess.Popen(command, cwd=cwd, env=environment, text=True, **pipes, **heeding)


def test_an_interrupted_run_keeps_what_is_finished_and_leaves_nothing_else(depth, tmp_path) -> None:
    for number in range(40):
        photo(tmp_path / "in" / f"{number:02}.png")
    process = started("blur", "in", "-o", "out", "--depth", depth, cwd=tmp_path)
    deadline = time.monotonic() + 120
    while not (tmp_path / "out" / "00.png").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "deeplens: interrupted; finished results are kept"
    assert "Traceback" not in err
    left = files(tmp_path / "out")
    assert all(name.endswith(".png") for name in left)
    assert 0 < len(left) < 40
    for name in left:
        dl.read(tmp_path / "out" / name)


def test_the_process_ends_with_its_code(tmp_path) -> None:
    for arguments, code in ((["--version"], 0), (["blur", "missing.jpg"], 1), (["blur"], 2)):
        process = started(*arguments, cwd=tmp_path)
        out, err = process.communicate(timeout=60)
        assert process.returncode == code
        assert "Traceback" not in err
        if code == 0:
            assert out == f"deeplens {dl.__version__}\n"
