"""Remote photos: memory:// gives the same results as local folders, and keeps its own manifest."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import deeplens_dof as dl
from deeplens_dof import cli
from deeplens_dof.batch import storage
from deeplens_dof.batch.inputs import expand_inputs
from deeplens_dof.batch.storage import RemotePath, as_path, digest, download, files_below, is_remote, upload
from deeplens_dof.runtime.errors import PlanError

fsspec = pytest.importorskip("fsspec")
HEIGHT, WIDTH = 32, 64


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An empty store, in an empty folder with a depth file and photos in in/, one of them broken."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "in/deep").mkdir(parents=True)
    for number, name in enumerate(("in/a.jpg", "in/b.png", "in/deep/c.jpg")):
        noise = np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        Image.fromarray(noise).save(name)
    Path("in/broken.png").write_bytes(b"no picture")
    Path("in/notes.txt").write_text("no photo")
    values = np.repeat(np.float32([[1, 0]]), WIDTH // 2, 1).repeat(HEIGHT, 0)
    dl.write_depth_file("depth.png", dl.InverseDepth(values, "relative"))
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    for path in Path("in").rglob("*.*"):
        memory.pipe_file(f"/bucket/{path.as_posix()}", path.read_bytes())
    yield memory
    memory.store.clear()


def deeplens(capfd, *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main([*(str(argument) for argument in arguments), "--depth", "depth.png"])
    said = capfd.readouterr()
    assert "Traceback" not in said.err
    return int(end.value.code or 0), said.out, said.err


def contents(store, below: str) -> dict[str, bytes]:
    names = [name for name in store.find(below) if "manifest" not in name]
    return {name.removeprefix(below).strip("/"): store.cat_file(name) for name in names}


def test_addresses_are_kept_as_they_are_written() -> None:
    path = as_path("s3://bucket/in/a b.jpg")
    assert isinstance(path, RemotePath)
    assert str(path) == f"{path}" == "s3://bucket/in/a b.jpg"
    assert (path.name, path.suffix, str(path.parent / "x")) == ("a b.jpg", ".jpg", "s3://bucket/in/x")
    assert is_remote(path)
    assert path == as_path("s3://bucket/in/a b.jpg")
    assert not path.exists(), "this machine has no such file"
    for text in ("in/a.jpg", "/in/a.jpg", "c:/in/a.jpg", "file:///in/a.jpg"):
        assert not is_remote(text)
    assert as_path("file:///in/a%20b.jpg") == Path("/in/a b.jpg")


def test_a_store_gives_what_this_machine_gives(store, capfd) -> None:
    assert deeplens(capfd, "blur", "in", "-o", "here")[0] == 1
    code, out, err = deeplens(capfd, "blur", "memory://bucket/in", "-o", "memory://bucket/out", "--json")
    assert code == 1
    here = {p.relative_to("here").as_posix(): p.read_bytes() for p in Path("here").rglob("*.[jp]*g")}
    assert contents(store, "/bucket/out") == here
    assert set(here) == {"a.jpg", "b.png", "deep/c.jpg"}
    (said,) = [line for line in err.splitlines() if line.startswith("deeplens: ")]
    assert "broken.png" in said
    assert "/deeplens-" not in said, "nobody asked for the folder it was fetched to"
    report = {entry["input"]: entry["output"] for entry in json.loads(out)["photos"]}
    assert report["memory://bucket/in/deep/c.jpg"] == "memory://bucket/out/deep/c.jpg"
    assert report["memory://bucket/in/broken.png"] is None


def test_resume_knows_what_is_done_here_and_on_another_machine(store, capfd) -> None:
    asked = ("blur", "memory://bucket/in", "-o", "memory://bucket/out", "--json")
    deeplens(capfd, *asked)
    first = contents(store, "/bucket/out")

    def states() -> list[str]:
        said = deeplens(capfd, *asked, "--resume")[1]
        return [entry["state"] for entry in json.loads(said)["photos"]]

    assert states() == ["skipped", "skipped", "failed", "skipped"]
    shutil.rmtree("state")
    assert states() == ["skipped", "skipped", "failed", "skipped"], "the manifest lies in the store, too"
    store.pipe_file("/bucket/out/b.png", b"spoilt")
    store.pipe_file("/bucket/in/a.jpg", store.cat_file("/bucket/in/deep/c.jpg"))
    assert states() == ["done", "done", "failed", "skipped"]
    again = contents(store, "/bucket/out")
    assert again["b.png"] == first["b.png"]
    assert again["a.jpg"] != first["a.jpg"]


def test_patterns_lists_and_single_photos_of_a_store(store) -> None:
    def found(text: str) -> list[tuple[str, str | None]]:
        return [(str(item.path), item.name) for item in expand_inputs([text])]

    assert found("memory://bucket/in/a.jpg") == [("memory://bucket/in/a.jpg", None)]
    assert found("memory://bucket/in/**/*.jpg") == [
        ("memory://bucket/in/a.jpg", "a.jpg"),
        ("memory://bucket/in/deep/c.jpg", "deep/c.jpg"),
    ]
    Path("list").write_text("memory://bucket/in/deep/c.jpg\n")
    assert found("@list") == [("memory://bucket/in/deep/c.jpg", "bucket/in/deep/c.jpg")]
    assert "holds no photos" in (expand_inputs(["memory://bucket/in/*.webp"])[0].problem or "")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("memory://bucket/none.jpg", "-o", "x/"), "memory://bucket/none.jpg does not exist"),
        (("nowhere://bucket/a.jpg", "-o", "x/"), "no installed package supports nowhere://"),
        (("in/a.jpg", "-o", "nowhere://bucket/a.jpg"), "no installed package supports nowhere://"),
        (("in/a.jpg", "-o", "memory://bucket/a.txt"), "a.txt"),
        (("memory://bucket/in", "-o", "x", "--watch"), "--watch looks at folders of this machine"),
        (("in", "-o", "memory://bucket/x", "--watch"), "--watch looks at folders of this machine"),
    ],
)
def test_what_cannot_be_reached_is_named(store, capfd, arguments, sentence) -> None:
    code, _, err = deeplens(capfd, "blur", *arguments)
    assert code in (1, 2)
    assert sentence in err
    assert not store.exists("/bucket/a.txt")


def test_without_fsspec_there_is_one_sentence(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(PlanError, match=r"needs fsspec; install it with pip install 'deeplens-dof\[ray\]'"):
        expand_inputs(["s3://bucket/in"])


def test_files_come_and_go_whole(store, tmp_path, monkeypatch) -> None:
    there = as_path("memory://bucket/in/a.jpg")
    download(there, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == Path("in/a.jpg").read_bytes()
    assert digest(there) == digest(tmp_path / "copy")
    assert digest(there)[1] == hashlib.sha256(Path("in/a.jpg").read_bytes()).hexdigest()
    monkeypatch.setattr(
        storage, "_ATOMIC", ()
    )  # a store that shows half a file gets it under another name first
    upload(tmp_path / "copy", as_path("memory://bucket/new/b.jpg"))
    assert [name for _, name in files_below(as_path("memory://bucket/new"))] == ["b.jpg"]

    def broken(*_: object) -> None:
        raise OSError("the line is dead")

    monkeypatch.setattr(type(store), "mv", broken)
    with pytest.raises(OSError, match="dead"):
        upload(tmp_path / "copy", as_path("memory://bucket/new/c.jpg"))
    assert [name for _, name in files_below(as_path("memory://bucket/new"))] == ["b.jpg"]
