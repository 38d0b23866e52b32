"""Worker pool: results come back, tasks that hang or explode are killed and named, and no process is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, wait
from pathlib import Path
from typing import Any

import psutil
import pytest

from deeplens_dof.runtime.worker_pool import (
    MemoryLimitError,
    Pool,
    PoolFullError,
    PoolStoppedError,
    TimeLimitError,
    WorkerDiedError,
)

MB = 1_000_000


# Tasks: workers find them by name


def load(**_: Any) -> dict[str, Any]:
    return {"pid": os.getpid(), "kept": {}}


def load_argument(number: int) -> int:
    return number


def fail_to_load(marker: str) -> str:
    if not os.path.exists(marker):
        raise FileNotFoundError(f"there is no {marker}")
    return "loaded at last"


def double(state: Any, tell: Any, number: int) -> int:
    return 2 * number


def state_itself(state: Any, tell: Any) -> Any:
    return state


def keep(state: dict[str, Any], tell: Any, key: str, value: int) -> int:
    state["kept"].setdefault(key, []).append(value)
    return state["pid"]


def kept(state: dict[str, Any], tell: Any, key: str) -> tuple[int, list[int]]:
    return state["pid"], state["kept"].get(key, [])


def speak(state: Any, tell: Any, words: list[str]) -> None:
    for word in words:
        tell(word)


def refuse(state: Any, tell: Any) -> None:
    raise ValueError("the picture is 0 x 0, expected more")


class Odd(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def raise_odd(state: Any, tell: Any) -> None:
    raise Odd(1, 2)


def return_unsendable(state: Any, tell: Any) -> Any:
    return lambda: None


def hang(state: Any, tell: Any, started: str | None = None) -> None:
    if started:
        Path(started).write_text(str(os.getpid()))
    while True:
        time.sleep(0.05)


def explode(state: Any, tell: Any, megabytes: int) -> None:
    hoard = []
    for _ in range(megabytes):
        hoard.append(bytearray(os.urandom(1000)) * 1000)
        time.sleep(0.001)


def die(state: Any, tell: Any, code: int) -> None:
    os.kill(os.getpid(), -code) if code < 0 else os._exit(code)


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    before = {child.pid for child in psutil.Process().children()}
    yield
    left = [child for child in psutil.Process().children() if child.pid not in before]
    assert not [child for child in left if "resource_tracker" not in " ".join(child.cmdline())], left


def file_appears(path: Path) -> str:
    deadline = time.monotonic() + 60
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return path.read_text()


def test_results_come_back_and_state_is_loaded_once_a_worker() -> None:
    with Pool(load, workers=2) as pool:
        futures = [pool.submit(double, number) for number in range(20)]
        assert [future.result(60) for future in futures] == [2 * number for number in range(20)]
        states = {pool.submit(state_itself).result(60)["pid"] for _ in range(20)}
        assert states <= set(pool.pids())
        assert len(pool.pids()) == 2
    assert pool.pids() == []
    with Pool(load_argument, (7,)) as pool:
        assert pool.submit(state_itself).result(60) == 7


def test_progress_is_told_in_order() -> None:
    heard: list[str] = []
    with Pool(load) as pool:
        pool.submit(speak, ["reading", "depth", "blur"], progress=heard.append).result(60)
        pool.submit(speak, ["nobody listens"]).result(60)
    assert heard == ["reading", "depth", "blur"]


def test_an_exception_is_the_futures_and_the_worker_goes_on() -> None:
    with Pool(load) as pool:
        pids = [pool.submit(state_itself).result(60)["pid"]]
        with pytest.raises(ValueError, match=r"the picture is 0 x 0") as raised:
            pool.submit(refuse).result(60)
        assert "in refuse" in str(raised.value.__cause__)
        with pytest.raises(Exception, match="Odd: 1 and 2"):
            pool.submit(raise_odd).result(60)
        with pytest.raises(Exception, match="cannot be sent"):
            pool.submit(return_unsendable).result(60)
        with pytest.raises(Exception, match="pickle"):
            pool.submit(lambda state, tell: None).result(60)
        pids.append(pool.submit(state_itself).result(60)["pid"])
    assert pids[0] == pids[1]


def test_what_hangs_is_killed_and_named_and_its_worker_replaced(tmp_path) -> None:
    with Pool(load, seconds=60) as pool:
        assert pool.wait_ready(60)
        started = time.monotonic()
        stuck = pool.submit(hang, str(tmp_path / "pid"), name="in/a.jpg", seconds=0.5)
        after = pool.submit(double, 4)
        with pytest.raises(TimeLimitError, match=r"^in/a.jpg took longer than the time limit of 0.5 s"):
            stuck.result(60)
        assert time.monotonic() - started < 5
        assert after.result(60) == 8
        assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


def test_what_explodes_is_killed_and_named() -> None:
    with Pool(load, memory_bytes=300 * MB) as pool:
        assert pool.submit(explode, 20).result(60) is None
        with pytest.raises(MemoryLimitError, match=r"^big.png took more than the memory limit of 300 MB"):
            pool.submit(explode, 20_000, name="big.png").result(60)
        assert pool.submit(double, 1).result(60) == 2


@pytest.mark.parametrize(
    ("code", "how"), [(-signal.SIGSEGV, r"SIGSEGV"), (-signal.SIGKILL, "SIGKILL"), (3, "exit code 3")]
)
def test_a_worker_that_dies_is_replaced(code, how) -> None:
    with Pool(load) as pool:
        with pytest.raises(WorkerDiedError, match=f"^x.png was not done: its worker ended .*{how}"):
            pool.submit(die, code, name="x.png").result(60)
        assert pool.submit(double, 3).result(60) == 6


def test_an_idle_worker_that_was_killed_is_not_missed() -> None:
    with Pool(load) as pool:
        assert pool.wait_ready(60)
        (pid,) = pool.pids()
        os.kill(pid, signal.SIGKILL)
        while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        assert pool.submit(double, 5).result(60) == 10
        assert pool.pids() != [pid]


def test_a_state_that_cannot_be_loaded_is_every_tasks_error_until_it_can(tmp_path) -> None:
    marker = tmp_path / "weights"
    with Pool(fail_to_load, (str(marker),)) as pool:
        with pytest.raises(FileNotFoundError, match="there is no"):
            pool.wait_ready(60)
        for _ in range(2):
            with pytest.raises(FileNotFoundError, match="there is no"):
                pool.submit(state_itself).result(60)
        marker.touch()
        assert pool.submit(state_itself).result(60) == "loaded at last"


def test_tasks_of_one_key_meet_what_was_kept_for_them() -> None:
    with Pool(load, workers=2) as pool:
        futures = [pool.submit(keep, key, number, key=key) for number in range(5) for key in "abcd"]
        wait(futures, 60)
        homes = {key: {future.result() for future in futures[index::4]} for index, key in enumerate("abcd")}
        assert all(len(pids) == 1 for pids in homes.values())
        assert len(set.union(*homes.values())) == 2  # the keys are shared out
        for key in "abcd":
            pid, values = pool.submit(kept, key, key=key).result(60)
            assert ({pid}, values) == (homes[key], [0, 1, 2, 3, 4])
        for key in "abcd":
            pool.forget(key)
        assert not pool._worker_of_key


def test_a_full_queue_refuses_at_once_and_takes_more_later(tmp_path) -> None:
    with Pool(load, workers=1, waiting=2) as pool:
        first = [pool.submit(hang, str(tmp_path / "pid"), seconds=1)]
        first += [pool.submit(double, number) for number in range(2)]
        started = time.monotonic()
        with pytest.raises(PoolFullError, match=r"^y.png was not started: 3 tasks run and wait"):
            pool.submit(double, 9, name="y.png")
        assert time.monotonic() - started < 0.5
        assert isinstance(first[0].exception(60), TimeLimitError)
        assert [future.result(60) for future in first[1:]] == [0, 2]
        assert pool.submit(double, 9).result(60) == 18


def test_a_graceful_stop_does_what_was_submitted() -> None:
    pool = Pool(load)
    futures = [pool.submit(double, number) for number in range(5)]
    pool.stop()
    assert [future.result(0) for future in futures] == [0, 2, 4, 6, 8]
    with pytest.raises(PoolStoppedError, match="have been stopped"):
        pool.submit(double, 1)
    pool.stop()


def test_an_immediate_stop_kills_what_runs_and_cancels_what_waits(tmp_path) -> None:
    pool = Pool(load)
    running = pool.submit(hang, str(tmp_path / "pid"), name="a.png")
    waiting = pool.submit(double, 1)
    pid = int(file_appears(tmp_path / "pid"))
    started = time.monotonic()
    pool.stop(at_once=True)
    assert time.monotonic() - started < 3
    assert not psutil.pid_exists(pid)
    with pytest.raises(PoolStoppedError, match=r"^a.png was stopped"):
        running.result(0)
    with pytest.raises(CancelledError):
        waiting.result(0)


def test_a_pool_lives_and_dies_in_any_thread() -> None:
    answers: list[int] = []

    def use() -> None:
        with Pool(load) as pool:
            answers.append(pool.submit(double, 21).result(60))

    threads = [threading.Thread(target=use) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert answers == [42, 42]


def test_a_cancelled_task_is_not_done(tmp_path) -> None:
    with Pool(load, waiting=1) as pool:
        pool.submit(hang, str(tmp_path / "pid"), seconds=1)
        second = pool.submit(hang, str(tmp_path / "never"))
        assert second.cancel()
        assert pool.submit(double, 2).result(60) == 4
    assert not (tmp_path / "never").exists()


PARENT = """
import sys, time
sys.path[:0] = {path!r}
from test_workers import Pool, hang, load
if __name__ == "__main__":
    pool = Pool(load)
    pool.submit(hang, sys.argv[1])
    {ending}
"""


@pytest.mark.parametrize("ending", ["time.sleep(600)", "time.sleep(float(sys.argv[2]))"])
def test_workers_end_with_their_parent_however_it_ends(tmp_path, ending) -> None:
    script = tmp_path / "parent.py"
    path = [str(Path(__file__).parent), *sys.path]
    script.write_text(PARENT.format(path=path, ending=ending))
    parent = subprocess.Popen([sys.executable, str(script), str(tmp_path / "pid"), "8"])
    worker = psutil.Process(int(file_appears(tmp_path / "pid")))
    if "600" in ending:
        parent.kill()
    parent.wait(60)
    gone, alive = psutil.wait_procs([worker], timeout=10)
    assert not alive, alive
    assert gone
