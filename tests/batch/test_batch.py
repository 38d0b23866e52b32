"""Batches: finished photos are recorded, skipped and complete, however a run ends; a failure is named and stops nothing."""

from __future__ import annotations

import errno
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

import deeplens_dof as dl
from deeplens_dof import batch as package
from deeplens_dof import cli
from deeplens_dof.batch import manifest, watch
from deeplens_dof.batch import process as processing
from deeplens_dof.batch.engines import InProcess, InWorkers
from deeplens_dof.batch.inputs import expand_inputs
from deeplens_dof.batch.jobs import Input, Job, parse_shard, plan, share
from deeplens_dof.batch.manifest import LockedError, Manifest, Output, Record
from deeplens_dof.batch.process import JobOptions, process_photo
from deeplens_dof.batch.run import Batch
from deeplens_dof.runtime import atomic_write
from deeplens_dof.runtime.errors import PlanError

HEIGHT, WIDTH = 32, 64
MANIFEST = ".deeplens-manifest.jsonl"
OPTIONS = JobOptions(dl.Settings())


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def depth(tmp_path_factory) -> str:
    """A depth file: the left half near, the right half far."""
    path = tmp_path_factory.mktemp("depth") / "planes.png"
    values = np.repeat(np.float32([[1, 0]]), WIDTH // 2, 1).repeat(HEIGHT, 0)
    dl.write_depth_file(path, dl.InverseDepth(values, "relative"))
    return str(path)


def photo(path: Path | str, seed: int = 5) -> Path:
    """A picture of noise at `path`, with the folders on the way."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    Image.fromarray(noise).save(path)
    return path


def photos(folder: str, count: int) -> list[Path]:
    names = [f"{folder}/{'deep/' if number % 3 == 0 else ''}{number:03}.png" for number in range(count)]
    return [photo(name, seed) for seed, name in enumerate(names)]


def contents(folder: Path | str) -> dict[str, bytes]:
    """Every file below a folder but the manifests."""
    found = {path for path in Path(folder).rglob("*") if path.is_file()}
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in found
        if not path.name.startswith(".deeplens-manifest")
    }


def written(folder: str = "out") -> list[dict[str, Any]]:
    return list(manifest.lines(Path(folder)))


def deeplens(*arguments: object) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main([str(argument) for argument in arguments])
    return int(end.value.code or 0)


class Listener:
    """A reporter that remembers."""

    def __init__(self) -> None:
        self.total, self.records, self.stages = 0, [], []

    def begin(self, total: int) -> None:
        self.total += total

    def stage(self, job: Job, text: str) -> None:
        self.stages.append((job.name, text))

    def settled(self, record: Record) -> None:
        self.records.append(record)


def copying(job: Job, options: JobOptions, tell: Any = None) -> Record:
    """Replaces `process_photo`: copies the file, or fails, hangs, explodes or dies as its contents say."""
    data = Path(job.source).read_bytes()
    if tell:
        tell("copying")
    if data == b"hang":
        time.sleep(3600)
    if data == b"die":
        os.kill(os.getpid(), signal.SIGKILL)
    if data == b"explode":
        hoard = []
        while True:
            hoard.append(os.urandom(100_000) * 1000)
            time.sleep(0.02)
    if data == b"bad":
        return processing.failed(job, ValueError(f"{job.source} is bad"))
    job.out.parent.mkdir(parents=True, exist_ok=True)
    atomic_write.write_atomically(job.out, lambda file: file.write(data))
    report = f"{os.getpid()} {os.environ.get('DEEPLENS_THREADS')}"
    outputs = tuple(Output.of(path) for path in job.outputs)
    return replace(processing.skipped(job), state="done", outputs=outputs, error=None, input_sha256=report)


class Copying(InProcess):
    """An engine that copies; `asked` is how many jobs it was handed."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def process(self, jobs: Iterator[Job], options: JobOptions, tell: Any) -> Iterator[Record]:
        for job in jobs:
            self.asked.append(job.name)
            record = copying(job, options)
            yield replace(record, input_sha256=processing._sha256(job.source))


def jobs_for(*names: str, content: bytes = b"photo") -> list[Job]:
    for name in names:
        Path("in", name).parent.mkdir(parents=True, exist_ok=True)
        if not Path("in", name).exists():
            Path("in", name).write_bytes(content)
    return [Job(Path("in", name), Path("out", name), name) for name in names]


def run(jobs: list[Job], engine: Any = None, **options: Any) -> list[Record]:
    with Batch(OPTIONS, Listener(), engine or Copying(), Path("out"), **options) as batch:
        return batch.process(jobs)


def states(records: list[Record]) -> str:
    return "".join(record.state[0] for record in records)


# The package


def test_the_names_in_the_documentation_are_those_of_the_package() -> None:
    assert set(package.__all__) == set(package._MODULES)
    for name in package.__all__:
        assert getattr(package, name).__name__ == name
    page = (Path(__file__).parents[2] / "docs" / "batch.md").read_text("utf-8")
    (names,) = re.findall(r"^from deeplens_dof\.batch import (.*)$", page, re.MULTILINE)
    assert set(names.split(", ")) <= set(package.__all__)
    with pytest.raises(AttributeError, match="no attribute 'do_job'"):
        _ = package.do_job


# Inputs


def test_lists_and_patterns_keep_their_folders_below_the_output() -> None:
    for name in ("in/a.png", "in/deep/b.png", "in/deep/.hidden.png", "[odd].png", "two\nlines 🌺.png"):
        photo(name)
    Path("in/notes.txt").write_text("no photo")
    Path("list.txt").write_text("in/deep/b.png\r\n\n./in/a.png\nin/a.png\n")
    Path("nul").write_bytes("two\nlines 🌺.png\0in/a.png\0".encode())

    def found(*arguments: str, lists: tuple[str, ...] = ()) -> list[tuple[str, str | None]]:
        return [(str(item.path), item.name) for item in expand_inputs(arguments, lists)]

    listed = [("in/deep/b.png", "in/deep/b.png"), ("in/a.png", "in/a.png")]
    assert found("@list.txt") == found(lists=("list.txt",)) == listed
    assert found("@list.txt", "@list.txt") == listed
    assert found(lists=("nul",))[0] == ("two\nlines 🌺.png", "two\nlines 🌺.png")
    assert found("in/**/*.png") == [("in/a.png", "a.png"), ("in/deep/b.png", "deep/b.png")]
    assert found("in/*") == [("in/a.png", "a.png")]
    assert found("[odd].png") == [("[odd].png", None)], "a file of that name is no pattern"
    assert found("in/a.png", "in/a.png") == [("in/a.png", None)] * 2
    (nothing,) = expand_inputs(["in/*.tif"])
    assert nothing.problem
    assert "matches no photos" in nothing.problem
    outside = str(Path.cwd() / "in" / "a.png")
    Path("list.txt").write_text(f"{outside}\n../x.png\n")
    names = [name for _, name in found("@list.txt")]
    assert names == [outside[1:], str(Path.cwd().parent / "x.png")[1:]]
    for wrong in (["@none.txt"], ["@in"], ["@empty"]):
        Path("empty").write_text("\n")
        with pytest.raises(PlanError, match="list"):
            expand_inputs(wrong)


def test_names_come_from_standard_input(monkeypatch, depth) -> None:
    for name in ("a/x.png", "b/x.png"):
        photo(name)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a/x.png\nb/x.png\n")))
    assert deeplens("blur", "--from", "-", "-o", "out", "--depth", depth) == 0
    assert contents("out").keys() == {"a/x.png", "b/x.png"}


def test_two_files_of_one_name_meet_only_where_their_folders_are_not_kept() -> None:
    photo("a/x.png"), photo("b/x.png")
    with pytest.raises(PlanError, match=r"would be written twice from 'a/x.png' and 'b/x.png'"):
        plan([Input(Path("a")), Input(Path("b"))], "out")
    assert [job.name for job in plan(expand_inputs(["?/x.png"]), "out").jobs] == ["a/x.png", "b/x.png"]


def test_a_folder_with_everything_odd_in_it_is_walked_once(monkeypatch, depth) -> None:
    for name in ("in/a.png", "in/🌺\n.png", "in/deep/b.png", "in/locked/c.png", "in/out/old.png"):
        photo(name)
    Path("in/loop").symlink_to("../in")
    Path("in/round.png").symlink_to("round.png")
    scandir = os.scandir

    def refusing(path: Any) -> Any:
        if "locked" in str(path):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    found = plan([Input(Path("in"))], "in/out").jobs
    assert [job.name for job in found if not job.problem] == ["a.png", "round.png", "🌺\n.png", "deep/b.png"]
    (locked,) = [job for job in found if job.problem]
    assert locked.problem == "in/locked cannot be read (Permission denied); check its permissions"
    with Batch(replace(OPTIONS, depth=depth), Listener(), InProcess(), Path("in/out")) as batch:
        records = batch.process(found)
    assert states(records) == "dfddf"
    assert [record.input for record in records if "cannot be read" in (record.error or "")] == [
        "in/round.png",
        "in/locked",
    ]


def test_shards_share_out_every_job_once_and_for_ever() -> None:
    every = jobs_for(*(f"{number}.png" for number in range(200)))
    shards = [share(every, (number, 3)) for number in (1, 2, 3)]
    assert sorted(job.name for shard in shards for job in shard) == sorted(job.name for job in every)
    assert all(45 < len(shard) < 90 for shard in shards)
    assert share(every[::-1], (2, 3)) == shards[1][::-1], "whatever else there is"
    assert [job.name for job in share(every[:12], (1, 3))] == ["3.png", "9.png", "11.png"]
    assert share(every, None) == every
    assert parse_shard("2/8") == (2, 8)
    for wrong in ("0/2", "3/2", "2", "a/b", "1/", "-1/2", "1/2/3"):
        with pytest.raises(PlanError, match="expected I/N"):
            parse_shard(wrong)


# The manifest


def test_a_manifest_knows_what_was_done_until_anything_about_it_changes() -> None:
    (job,) = jobs_for("deep/a.png")
    assert states(run([job])) == "d"
    (line,) = written()
    assert line["name"] == "deep/a.png"
    assert line["outputs"] == [
        {"path": "deep/a.png", "bytes": 5, "sha256": line["input_sha256"]},
    ]
    assert states(run([job])) == "d", "without resume all is done again"
    assert states(run([job], resume=True)) == "s"
    for change in (
        lambda: job.source.write_bytes(b"other"),
        lambda: job.out.write_bytes(b"longer"),
        lambda: job.out.write_bytes(b"PHOTO"),
        lambda: job.out.unlink(),
    ):
        change()
        assert states(run([job], resume=True)) == "d"
        assert states(run([job], resume=True)) == "s"
    more = replace(job, overlay=Path("out/overlay.png"))
    Path("out/overlay.png").write_bytes(b"")
    assert states(run([more], resume=True)) == "d"
    with Batch(JobOptions(dl.Settings(f_number=4)), Listener(), Copying(), Path("out"), resume=True) as batch:
        assert states(batch.process([job])) == "d"
    assert len(written()) == 8


def test_a_manifest_moves_with_its_folder() -> None:
    (job,) = jobs_for("deep/a.png")
    run([job])
    Path("out").rename("elsewhere")
    moved = replace(job, out=Path("elsewhere/deep/a.png"))
    with Manifest(Path("elsewhere"), OPTIONS.sha256()) as known:
        assert known.is_done("deep/a.png", job.source, moved.outputs)


def test_what_fails_is_tried_and_named_again() -> None:
    both = jobs_for("a.png") + jobs_for("b.png", content=b"bad")
    assert states(run(both)) == "df"
    again = run(both, resume=True)
    assert states(again) == "sf"
    assert again[1].error == "in/b.png is bad"
    Path("in/b.png").write_bytes(b"good")
    assert states(run(both, resume=True)) == "sd"


@pytest.mark.parametrize("cut", [1, 10, 200])
def test_a_torn_line_and_foreign_lines_are_passed_over(cut) -> None:
    run(jobs_for("a.png", "b.png"))
    path = Path("out", MANIFEST)
    whole = path.read_bytes()
    path.write_bytes(b'no json\n[1]\n{"name": 3}\n' + whole[:-cut])
    assert states(run(jobs_for("a.png", "b.png"), resume=True)) == "sd"
    assert path.read_bytes().startswith(b"no json\n")
    assert all(json.loads(text) for text in path.read_text().splitlines()[1:])
    assert states(run(jobs_for("a.png", "b.png"), resume=True)) == "ss"


def test_one_run_at_a_time_writes_a_manifest_and_shards_write_their_own() -> None:
    key = OPTIONS.sha256()
    with Manifest("out", key):
        for shard in (None, (1, 2)):
            with pytest.raises(LockedError, match=r"another run is at work on 'out'"):
                Manifest("out", key, shard)
        with pytest.raises(PlanError, match="another run"):
            run(jobs_for("a.png"))
    with Manifest("out", key, (1, 2)), Manifest("out", key, (2, 2)):
        for shard in (None, (1, 2)):
            with pytest.raises(LockedError):
                Manifest("out", key, shard)
    every = jobs_for(*"abcdefgh")
    for number in (1, 2):
        run(share(every, (number, 2)), shard=(number, 2))
    assert states(run(every, resume=True)) == "s" * 8, "every run reads the manifests of the shards"
    assert states(run(share(every, (1, 3)), shard=(1, 3), resume=True)) == "s" * len(share(every, (1, 3)))


def test_the_hash_of_the_options_covers_all_that_makes_a_result(depth) -> None:
    photo("star.png"), Path("other.png").write_bytes(Path(depth).read_bytes())
    variants = [
        OPTIONS,
        JobOptions(dl.Settings(f_number=4)),
        JobOptions(dl.Settings(focus=(0.1, 0.2))),
        JobOptions(dl.Settings(shape="star.png")),
        replace(OPTIONS, depth="predict"),
        replace(OPTIONS, depth="other.png"),
        replace(OPTIONS, strip_metadata=True),
    ]
    hashes = [options.sha256() for options in variants]
    assert len(set(hashes)) == len(variants)
    assert hashes == [options.sha256() for options in variants]
    photo("star.png", seed=6), photo("other.png")
    changed = [options.sha256() != before for options, before in zip(variants, hashes, strict=True)]
    assert changed == [False, False, False, True, False, True, False]


def test_a_photo_that_changes_while_it_is_read_is_not_done(monkeypatch, depth) -> None:
    source = photo("in/a.png")
    read = dl.read

    def slowly(path: Any, **how: Any) -> Any:
        found = read(path, **how)
        source.write_bytes(source.read_bytes() + b"more")
        return found

    monkeypatch.setattr("deeplens_dof.photo.read", slowly)
    record = process_photo(Job(source, Path("out/a.png"), "a.png"), replace(OPTIONS, depth=depth))
    assert record.error == "in/a.png was changed while it was read; try again when it is no longer written to"
    assert not Path("out").exists()


# Full disks and leftovers


def test_a_full_disk_ends_the_run_with_a_sentence_each(monkeypatch, depth) -> None:
    for name in "abcd":
        photo(f"in/{name}.png")
    every = plan([Input(Path("in"))], "out").jobs
    sync, synced = os.fsync, []

    def full(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) > 3:  # a photo, its folder and the manifest
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr("deeplens_dof.runtime.atomic_write.os.fsync", full)
    with Batch(replace(OPTIONS, depth=depth), Listener(), InProcess(), Path("out")) as batch:
        records = batch.process(every)
    assert states(records) == "dfff"
    assert "out/b.png cannot be written: the disk is full" in (records[1].error or "")
    for record in records[2:]:
        assert f"{record.input} was not begun: nothing more can be written in 'out': the disk is full" in (
            record.error or ""
        )
    monkeypatch.setattr("deeplens_dof.runtime.atomic_write.os.fsync", sync)
    assert contents("out").keys() == {"a.png"}
    with Batch(replace(OPTIONS, depth=depth), Listener(), InProcess(), Path("out"), resume=True) as batch:
        assert states(batch.process(every)) == "sddd"


def test_a_manifest_that_cannot_be_written_ends_the_run(monkeypatch) -> None:
    engine = Copying()
    Path("blocked").write_text("no folder")
    with Batch(OPTIONS, Listener(), engine, Path("blocked/out")) as batch:
        records = batch.process(jobs_for("a.png", "b.png"))
    assert states(records) == "ff"
    assert engine.asked == []
    assert "a part of the path is not a folder" in (records[0].error or "")

    class Full(Manifest):
        def append(self, record: Record) -> None:
            raise OSError(errno.ENOSPC, "")

    monkeypatch.setattr("deeplens_dof.batch.run.Manifest", Full)
    assert states(run(jobs_for("a.png", "b.png"))) == "df"


def test_nothing_of_a_line_is_left_when_the_disk_fills_in_its_middle(monkeypatch) -> None:
    run(jobs_for("a.png"))
    before = Path("out", MANIFEST).read_bytes()
    with Manifest("out", OPTIONS.sha256()) as known:

        def fail(_: int) -> None:
            raise OSError(errno.ENOSPC, "")

        monkeypatch.setattr("deeplens_dof.batch.manifest.os.fsync", fail)
        with pytest.raises(OSError, match="28"):
            known.append(processing.skipped(jobs_for("b.png")[0]))
    assert Path("out", MANIFEST).read_bytes() == before


def test_leftovers_of_the_dead_go_and_those_of_the_living_stay(monkeypatch) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    host, chance, hour = atomic_write._host(), "0123456789abcdef", 3600

    def left(name: str, age_s: float = 0) -> str:
        path = Path("out", name)
        path.write_bytes(b"half")
        os.utime(path, (time.time() - age_s,) * 2)
        return name

    Path("out").mkdir()
    stay = {
        left(f".deeplens-{host}-{os.getpid()}-{chance}.part"),
        left(f".deeplens-00000000-{gone.pid}-{chance}.part", hour / 2),
        left(f".deeplens-{chance}.part"),
        left(".deeplens-mine.part", 9 * hour),
        left("a.part", 9 * hour),
    }
    left(f".deeplens-{host}-{gone.pid}-{chance}.part")
    left(f".deeplens-{host}-{os.getpid()}-{chance[::-1]}.part", 9 * 24 * hour)  # the number came again
    left(f".deeplens-00000000-{os.getpid()}-{chance}.part", 2 * hour)
    left(f".deeplens-{chance[::-1]}.part", 2 * hour)
    run(jobs_for("a.png"))
    assert contents("out").keys() == {*stay, "a.png"}
    assert atomic_write.remove_leftovers(["nowhere", "out/a.png"]) == []


# Several processes


def test_workers_share_the_cores_and_what_fails_in_them_is_named(monkeypatch) -> None:
    monkeypatch.setenv("DEEPLENS_THREADS", "6")
    every = jobs_for(*(f"{number}.png" for number in range(12)))
    for name in ("bad", "hang", "die"):
        every.insert(3, *jobs_for(f"{name}.png", content=name.encode()))
    listener = Listener()
    with Batch(OPTIONS, listener, InWorkers(2, seconds=3.0, work=copying), Path("out")) as batch:
        records = batch.process(every)
    assert [record.name for record in records] == [job.name for job in every], "in their order"
    failed = {record.name: record.error or "" for record in records if record.state == "failed"}
    assert failed.keys() == {"bad.png", "hang.png", "die.png"}
    assert failed["bad.png"] == "in/bad.png is bad"
    assert failed["hang.png"].startswith("in/hang.png took longer than the time limit of 3 s")
    assert failed["die.png"].startswith("in/die.png was not done: its worker ended by signal 9")
    assert contents("out").keys() == {f"{number}.png" for number in range(12)}
    told = [(record.input_sha256 or "").split() for record in records if record.state == "done"]
    assert {threads for _, threads in told} == {"3"}
    assert 2 <= len({pid for pid, _ in told}) <= 4
    assert ("hang.png", "copying") in listener.stages
    (hung,) = [record for record in records if record.name == "hang.png"]
    assert 2 < hung.seconds < 20


def test_what_explodes_is_killed_and_the_others_are_done() -> None:
    every = jobs_for("explode.png", content=b"explode") + jobs_for("a.png", "b.png")
    records = run(every, InWorkers(1, memory_bytes=500_000_000, work=copying))
    assert states(records) == "fdd"
    said = "in/explode.png took more than the memory limit of 500 MB and was stopped"
    assert (records[0].error or "").startswith(said)


def test_jobs_are_handed_out_only_as_hands_are_free() -> None:
    taken: list[str] = []

    def endless() -> Iterator[Job]:
        for job in jobs_for(*(f"{number}.png" for number in range(30))):
            taken.append(job.name)
            yield job

    engine = InWorkers(1, work=copying)
    try:
        done = engine.process(endless(), OPTIONS, lambda *_: None)
        for count in range(1, 6):
            next(done)
            assert len(taken) <= count + 2
    finally:
        engine.stop()


def test_one_process_and_two_make_the_same_bytes(depth) -> None:
    photos("in", 7)
    Path("in/bad.png").write_bytes(b"no picture")
    assert deeplens("blur", "in", "-o", "one", "--depth", depth) == 1
    limits = ("--time-limit", 120, "--memory-limit", 4000)
    assert deeplens("blur", "in", "-o", "two", "--depth", depth, "--jobs", 2, *limits) == 1
    for number in (1, 2):
        deeplens("blur", "in", "-o", "shards", "--depth", depth, "--shard", f"{number}/2")
    assert len(contents("one")) == 7
    assert contents("one") == contents("two") == contents("shards")
    assert len(written("two")) == len(written("shards")) == 8


# The command


def test_the_report_and_the_summary_tell_what_became_of_each(capfd, depth) -> None:
    photos("in", 3)
    Path("in/bad.png").write_bytes(b"no picture")
    assert deeplens("blur", "in", "-o", "out", "--depth", depth) == 1
    first = capfd.readouterr().err
    assert deeplens("blur", "in", "-o", "out", "--depth", depth, "--resume", "--json") == 1
    said = capfd.readouterr()
    assert first.splitlines()[-2:] == ["3 done, 0 skipped, 1 failed:", "  in/bad.png"]
    assert said.err.splitlines()[-2:] == ["0 done, 3 skipped, 1 failed:", "  in/bad.png"]
    assert "deeplens: in/bad.png is a text file" in said.err
    report = json.loads(said.out)["photos"]
    assert [(entry["state"], bool(entry["output"])) for entry in report] == [
        ("skipped", True),
        ("skipped", True),
        ("failed", False),
        ("skipped", True),
    ]
    assert deeplens("blur", "in", "-o", "out", "--depth", depth, "--resume", "--f-number", 4) == 1
    assert "3 done, 0 skipped" in capfd.readouterr().err


def test_one_photo_with_all_that_goes_with_it_is_skipped_too(capfd, depth) -> None:
    photo("a.png")
    extras = ("--overlay", "made/o.png", "--depth-out", "d.npz", "--depth", depth)
    for said in ("out/a.png", "0 done, 1 skipped", "0 done, 1 skipped"):
        assert deeplens("blur", "a.png", "-o", "out/", "--resume", *extras) == 0
        assert said in capfd.readouterr().err
    Path("d.npz").unlink()
    assert deeplens("blur", "a.png", "-o", "out/", "--resume", *extras) == 0
    assert Path("d.npz").exists()
    (_, line) = written()
    assert [output["path"] for output in line["outputs"]] == ["a.png", "../d.npz", "../made/o.png"]


def test_a_terminal_shows_a_bar_with_rate_and_time_left(capfd, depth, monkeypatch) -> None:
    photos("in", 4)
    Path("in/bad.png").write_bytes(b"no picture")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    assert deeplens("blur", "in", "-o", "out", "--depth", depth) == 1
    shown = capfd.readouterr().err
    for words in ("5/5", "a minute", " s left", "1 failed", "deeplens: in/bad.png", "4 done, 0 skipped"):
        assert words in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["in", "-o", "out", "--jobs", "0"], "--jobs"),
        (["in", "-o", "out", "--shard", "3/2"], "--shard is '3/2', expected I/N"),
        (["in/000.png", "--resume"], "--resume needs a folder of results"),
        (["in/001.png", "-o", "x.png", "--watch"], "--watch needs a folder of results"),
        (["--from", "-", "-o", "out", "--watch"], "standard input can be read once"),
        (["--from", "none.txt", "-o", "out"], "the list 'none.txt' cannot be read"),
        (["in", "-o", "out", "--time-limit", "0"], "--time-limit"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else "",
)
def test_wrong_usage_is_said_before_anything_is_done(capfd, monkeypatch, arguments, said) -> None:
    photos("in", 2)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"in\n")))
    assert deeplens("blur", *arguments) == 2
    err = capfd.readouterr().err
    assert said in err
    assert len(err.splitlines()) == 1
    assert not Path("out").exists()


@pytest.mark.parametrize("variable", ["DEEPLENS_THREADS", "DEEPLENS_RUNTIME"])
def test_an_environment_that_says_nothing_sensible_is_wrong_usage(
    capfd, monkeypatch, depth, variable
) -> None:
    photos("in", 2)
    monkeypatch.setenv(variable, "many")
    assert deeplens("blur", "in", "-o", "out", "--depth", depth, "--jobs", 2) == 2
    assert f"{variable} is 'many', expected" in capfd.readouterr().err


def test_a_second_run_on_the_folder_is_wrong_usage(capfd, depth) -> None:
    photos("in", 2)
    with Manifest("out", "other"):
        assert deeplens("blur", "in", "-o", "out", "--depth", depth) == 2
    assert "another run is at work on 'out'" in capfd.readouterr().err
    assert contents("out") == {}


def started(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "deeplens_dof.cli", *map(str, arguments)]
    environment = os.environ | {"PYTHONPATH": str(Path(dl.__file__).parents[1])}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # a job in the background of a shell without job control inherits an ignored SIGINT
    heeding = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    return subprocess.Popen(command, env=environment, text=True, **pipes, **heeding)


def wait_until(true: Any, process: subprocess.Popen[str] | None = None, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def lines_written(folder: str = "out") -> int:
    return sum(path.read_bytes().count(b"\n") for path in Path(folder).glob(f"{MANIFEST[:-6]}*"))


@pytest.mark.parametrize(("workers", "ending"), [(1, signal.SIGTERM), (2, signal.SIGINT)])
def test_ctrl_c_ends_it_with_nothing_half_and_no_process_left(depth, workers, ending) -> None:
    photos("in", 60)
    process = started("blur", "in", "-o", "out", "--depth", depth, "--jobs", workers)
    wait_until(lambda: lines_written() >= 3, process)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(ending)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "deeplens: interrupted; finished results are kept"
    assert "Traceback" not in err
    assert not psutil.wait_procs(family, timeout=10)[1]
    made, known = contents("out"), written()
    assert {line["name"] for line in known} <= made.keys()
    assert 3 <= len(made) <= len(known) + workers
    for name in made:
        assert name.endswith(".png")
        dl.read(Path("out", name))


def killed_and_resumed(good: int, broken: set[str], *arguments: object) -> None:
    """Kills a run three times at random, goes on with it, and holds the results against those of an undisturbed run."""
    chance = random.Random(7)
    for kill in range(3):
        before = lines_written() if Path("out").exists() else 0
        process = started("blur", "in", "-o", "out", *arguments, *(["--resume"] if kill else []))
        more = before + chance.randint(1, max(1, good // 6))
        wait_until(lambda more=more: lines_written() >= more, process, 300)
        time.sleep(chance.random() * 0.05)
        process.kill()
        process.communicate()
    names = [line["name"] for line in written() if line["state"] == "done"]
    assert len(set(names)) == len(names) < good, "nothing was done twice that was written down"
    stamps = {name: Path("out", name).stat().st_mtime_ns for name in names}
    process = started("blur", "in", "-o", "out", *arguments, "--resume", "--json")
    out, err = process.communicate(timeout=560)
    assert process.returncode == (1 if broken else 0), err
    report = {entry["input"]: entry for entry in json.loads(out)["photos"]}
    assert {name for name, entry in report.items() if entry["error"]} == {f"in/{name}" for name in broken}
    assert {name for name, entry in report.items() if entry["state"] == "skipped"} == {
        f"in/{n}" for n in names
    }
    assert stamps == {name: Path("out", name).stat().st_mtime_ns for name in names}
    assert deeplens("blur", "in", "-o", "whole", *arguments[:2]) == (1 if broken else 0)
    assert contents("out") == contents("whole")
    assert len(contents("out")) == good


def test_a_run_killed_three_times_goes_on_to_the_same_bytes(depth) -> None:
    photos("in", 40)
    for number in range(2):
        Path(f"in/{number:02}0-broken.png").write_bytes(b"no picture")
    killed_and_resumed(40, {"000-broken.png", "010-broken.png"}, "--depth", depth, "--jobs", 2)


def mixed(folder: str, count: int) -> set[str]:
    """So many photos of all formats and bit depths, from 1 to 200 px; every tenth is broken. The names of those."""
    chance = np.random.default_rng(3)
    whole = (Path(__file__).parents[2] / "examples/photos/coffee.jpg").read_bytes()
    spoil: list[Any] = [
        lambda path: path.write_bytes(whole[:20_000]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("no picture"),
        os.mkfifo,
        lambda path: path.symlink_to("nowhere"),
    ]
    broken = set()
    for number in range(count):
        ending = (".jpg", ".png", ".webp", ".avif", ".tif", ".PNG")[number % 6]
        path = Path(folder, str(number % 7), f"{number:03}{ending}")
        path.parent.mkdir(parents=True, exist_ok=True)
        if number % 10 == 9:
            spoil[number // 10 % len(spoil)](path)
            broken.add(str(path.relative_to(folder)))
            continue
        height = int(chance.integers(1, 100))
        deep = number % 6 in (1, 4) and number % 4 == 0
        most, kind = (16384, np.uint16) if deep else (256, np.uint8)
        coarse = chance.integers(0, most, (height, 2 * height, 3), kind)
        dl.Photo(coarse).save(path)
    return broken


@pytest.mark.slow
def test_two_hundred_mixed_photos_killed_three_times(depth) -> None:
    broken = mixed("in", 200)
    assert len(broken) == 20
    killed_and_resumed(180, broken, "--depth", depth, "--jobs", 2)


@pytest.mark.slow
def test_memory_stays_flat_over_five_hundred_photos(depth) -> None:
    for number in range(500):
        height = 32 + number % 68
        Path("in").mkdir(exist_ok=True)
        dl.Photo(np.random.default_rng(number).integers(0, 256, (height, 2 * height, 3), np.uint8)).save(
            f"in/{number:03}.jpg"
        )
    engine, sizes = InWorkers(1), []
    try:
        options = replace(OPTIONS, depth=depth)
        for record in engine.process(iter(plan([Input(Path("in"))], "out").jobs), options, lambda *_: None):
            assert record.error is None
            assert engine._pool is not None
            sizes.append(sum(psutil.Process(pid).memory_info().rss for pid in engine._pool.pids()))
    finally:
        engine.stop()
    assert len(sizes) == 500
    assert np.mean(sizes[-10:]) < 1.05 * np.mean(sizes[40:50])


# Watching


def test_watching_takes_a_photo_once_it_is_whole_and_a_failed_one_when_it_changes() -> None:
    rounds: list[list[str]] = []
    said: list[str] = []
    at = 0

    def do(some: list[Job]) -> list[Record]:
        rounds[-1] += [job.name for job in some]
        return []

    def look() -> Any:
        rounds.append([])
        if at == 5:
            raise PlanError("two of one name")
        return plan([Input(Path("in"))], "out")

    def sleep(_: float) -> None:
        nonlocal at
        at += 1
        steps: dict[int, Any] = {
            1: lambda: photo("in/b.png"),
            2: lambda: Path("in/b.png").write_bytes(Path("in/b.png").read_bytes() + b"more of it"),
            7: lambda: Path("in/a.png").write_bytes(b"another picture"),
            8: lambda: Path("in/b.png").unlink(),
        }
        steps.get(at, lambda: None)()
        if at == 12:
            raise KeyboardInterrupt

    photo("in/a.png")
    with pytest.raises(KeyboardInterrupt):
        watch.watch(look, do, said.append, 0, sleep)
    #                         b comes  b grows  b whole      clash       a changes  a whole
    assert rounds == [[], ["a.png"], [], ["b.png"], [], [], [], [], ["a.png"], [], [], []]
    assert said == ["two of one name"]


def test_a_watched_folder_is_done_until_ctrl_c(depth) -> None:
    photos("in", 2)
    process = started("blur", "in", "-o", "out", "--depth", depth, "--watch")
    wait_until(lambda: lines_written() >= 2, process)
    Path("in/late.png").write_bytes(b"no picture")
    wait_until(lambda: lines_written() >= 3, process)
    photo("in/late.png")
    wait_until(lambda: Path("out/late.png").exists() and lines_written() >= 4, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "deeplens: in/late.png is a text file" in err
    assert deeplens("blur", "in", "-o", "out", "--depth", depth, "--resume") == 0
    assert len(written()) == 4
