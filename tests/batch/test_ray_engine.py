"""Ray's engine: the same as this machine's, to the bit, also when an actor is killed in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import deeplens_dof as dl
from deeplens_dof import cli
from deeplens_dof.batch.engines import Engine, InProcess
from deeplens_dof.batch.jobs import Input, Job, plan
from deeplens_dof.batch.manifest import Record
from deeplens_dof.batch.process import JobOptions, process_photo
from deeplens_dof.batch.ray_engine import OnRay
from deeplens_dof.batch.run import Batch
from deeplens_dof.runtime.errors import PlanError

HEIGHT, WIDTH = 64, 96


class Silent:
    """A reporter that keeps the records."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def begin(self, total: int) -> None:
        pass

    def stage(self, job: object, text: str) -> None:
        pass

    def settled(self, record: Record) -> None:
        self.records.append(record)


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one core each, as processes of this machine."""
    pytest.importorskip("ray")
    pytest.importorskip("pyarrow")
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    import ray
    from ray import cloudpickle
    from ray.cluster_utils import Cluster

    cloudpickle.register_pickle_by_value(sys.modules[__name__])

    facts = {"num_cpus": 1, "object_store_memory": 80_000_000}
    nodes = Cluster(initialize_head=True, head_node_args=facts | {"include_dashboard": False})
    nodes.add_node(**facts)
    ray.init(address=nodes.address, log_to_driver=False, logging_level="ERROR")
    assert ray.cluster_resources()["CPU"] == 2
    yield nodes
    ray.shutdown()
    nodes.shutdown()


@pytest.fixture
def folder(tmp_path) -> Path:
    """in/ with photos, one of them broken, and a depth file for all."""
    (tmp_path / "in").mkdir()
    for number in range(8):
        noise = np.random.default_rng(number).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"in/{number}.jpg")
    (tmp_path / "in/broken.jpg").write_bytes(b"\xff\xd8 no more")
    values = np.repeat(np.float32([[1, 0]]), WIDTH // 2, 1).repeat(HEIGHT, 0)
    dl.write_depth_file(tmp_path / "depth.png", dl.InverseDepth(values, "relative"))
    return tmp_path


def run(folder: Path, out: str, engine: Engine, resume: bool = False) -> list[Record]:
    found = plan([Input(folder / "in")], str(folder / out))
    options = JobOptions(dl.Settings(f_number=1.0), str(folder / "depth.png"))
    reporter = Silent()
    with Batch(options, reporter, engine, folder / out, resume) as batch:
        records = batch.process(found.jobs)
    assert len(reporter.records) == len(records)
    return records


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.jpg"))}


def manifest(folder: Path) -> list[dict]:
    lines = (folder / ".deeplens-manifest.jsonl").read_text().splitlines()
    facts = [{k: v for k, v in json.loads(line).items() if k not in ("seconds", "input")} for line in lines]
    return sorted(facts, key=lambda line: line["name"])


@pytest.mark.slow
def test_the_results_and_the_manifest_are_those_of_this_machine(cluster, folder) -> None:
    local = run(folder, "local", InProcess())
    on_ray = run(folder, "ray", OnRay())
    assert (
        [record.state for record in on_ray] == [record.state for record in local] == ["done"] * 8 + ["failed"]
    )
    assert on_ray[-1].error == local[-1].error
    assert pictures(folder / "ray") == pictures(folder / "local")
    assert manifest(folder / "ray") == manifest(folder / "local")
    before = {path: path.stat().st_mtime_ns for path in (folder / "ray").glob("*.jpg")}
    again = run(folder, "ray", OnRay(), resume=True)
    assert [record.state for record in again] == ["skipped"] * 8 + ["failed"]
    assert {path: path.stat().st_mtime_ns for path in (folder / "ray").glob("*.jpg")} == before


@pytest.mark.slow
def test_the_command_takes_ray_for_an_engine(cluster, folder, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    for out, engine in (("local", "local"), ("ray", "ray")):
        with pytest.raises(SystemExit) as end:
            cli.main(["blur", "in", "-o", out, "--depth", "depth.png", "--engine", engine])
        assert end.value.code == 1, "one photo is broken"
    assert pictures(folder / "ray") == pictures(folder / "local")
    assert len(pictures(folder / "ray")) == 8


def test_an_engine_that_is_none_is_wrong_usage(capsys) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["blur", "in.jpg", "--engine", "steam"])
    assert end.value.code == 2
    assert "--engine is 'steam', expected local or ray" in capsys.readouterr().err


@pytest.mark.slow
def test_what_a_killed_actor_was_doing_is_done_again(cluster, folder) -> None:
    (folder / "pids").mkdir()
    killed: list[int] = []

    def kill_one() -> None:
        """As soon as the first result is there."""
        for _ in range(6000):
            if any((folder / "ray").glob("*.jpg")):
                killed.append(int(next((folder / "pids").iterdir()).name))
                os.kill(killed[0], signal.SIGKILL)
                return
            time.sleep(0.02)

    for number in range(8, 40):
        (folder / f"in/{number}.jpg").write_bytes((folder / f"in/{number % 8}.jpg").read_bytes())
    local = run(folder, "local", InProcess())
    killer = threading.Thread(target=kill_one)
    killer.start()
    on_ray = run(folder, "ray", OnRay(work=marked))
    killer.join()
    assert killed
    assert len(list((folder / "pids").iterdir())) > 1
    assert [(record.name, record.state) for record in on_ray] == [
        (record.name, record.state) for record in local
    ]
    assert pictures(folder / "ray") == pictures(folder / "local")
    assert not list((folder / "ray").glob(".deeplens-*.part"))


def marked(job: Job, options: JobOptions, tell: Callable[[str], None]) -> Record:
    """Leaves the number of the process that does it in a folder beside that of the results."""
    (job.out.parent.parent / "pids" / str(os.getpid())).touch()
    return process_photo(job, options, tell)


def poisoned(job: Job, options: JobOptions, tell: Callable[[str], None]) -> Record:
    """One photo brings down whatever does it."""
    if job.name == "3.jpg":
        os.kill(os.getpid(), signal.SIGKILL)
    return process_photo(job, options, tell)


@pytest.mark.slow
def test_a_photo_that_brings_its_actors_down_is_named_and_the_run_goes_on(cluster, folder) -> None:
    (folder / "in/broken.jpg").unlink()
    records = run(folder, "ray", OnRay(work=poisoned))
    assert [record.name for record in records if record.error] == ["3.jpg"]
    assert "3.jpg was not done" in (records[3].error or "")
    assert set(pictures(folder / "ray")) == {record.name for record in records} - {"3.jpg"}


@pytest.mark.slow
def test_limits_hold_in_the_actors(cluster, folder) -> None:
    for number in range(2, 8):
        (folder / f"in/{number}.jpg").unlink()
    local = run(folder, "local", InProcess())
    assert [record.state for record in run(folder, "ray", OnRay(seconds=300))] == [
        record.state for record in local
    ]
    assert pictures(folder / "ray") == pictures(folder / "local")
    small = run(folder, "small", OnRay(1, memory_bytes=1_000_000))
    assert all("memory limit" in (record.error or "") for record in small)


@pytest.mark.parametrize("missing", ["ray", "pyarrow"])
def test_without_ray_there_is_one_sentence(monkeypatch, missing) -> None:
    from importlib import util

    monkeypatch.setattr(
        "deeplens_dof.batch.ray_engine.find_spec",
        lambda name: None if name == missing else util.find_spec("os"),
    )
    with pytest.raises(PlanError, match=r"pip install 'deeplens-dof\[ray\]'"):
        OnRay()


def test_ray_is_not_loaded_before_it_is_used() -> None:
    code = "import sys, deeplens_dof.batch.ray_engine; print('ray' in sys.modules, 'fsspec' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["False", "False"]
