"""StoredPhoto photos are bounded, expire, and lie in a folder of their owner's; the gate and the limits without a server."""

from __future__ import annotations

import asyncio
import stat

import pytest
from starlette.types import Message

from deeplens_dof.serve.access import Access, Guard
from deeplens_dof.serve.limits import ServiceLimits, limits_from
from deeplens_dof.serve.problems import Problem
from deeplens_dof.serve.run import serve
from deeplens_dof.serve.store import Store
from deeplens_dof.serve.telemetry import Metrics

LIMITS = ServiceLimits(stored_photos=3, stored_bytes=1000, stored_seconds=10)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(clock):
    made = Store(LIMITS, clock=clock)
    yield made
    made.close()


def add(store: Store, size: int = 1) -> str:
    with store.new() as stored:
        (stored.folder / "photo").write_bytes(b"x" * size)
        stored.facts = {"id": stored.id}
    return stored.id


def is_there(store: Store, id: str) -> bool:
    return id in store.photos and store.photos[id].folder.is_dir()


def test_the_folder_is_its_owners_and_goes_at_the_end(store) -> None:
    add(store)
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    store.close()
    assert not store.folder.exists()


def test_ids_are_long_and_different(store) -> None:
    ids = {add(store) for _ in range(30)}
    assert len(ids) == 30
    assert {len(id) for id in ids} == {22}  # 128 bits


def test_the_photo_not_used_for_longest_goes_first(store, clock) -> None:
    first, second, third = (add(store) for _ in range(3))
    clock.now = 1
    with store.use(first):
        pass
    folder = store.photos[second].folder
    fourth = add(store)
    assert [is_there(store, id) for id in (first, second, third, fourth)] == [True, False, True, True]
    assert not folder.exists()


def test_all_together_stay_within_their_bytes(store) -> None:
    old, new = add(store, 600), add(store, 600)
    assert not is_there(store, old)
    assert is_there(store, new)
    assert store.bytes == 600


def test_photos_expire_unless_they_are_used(store, clock) -> None:
    used, left = add(store), add(store)
    clock.now = 9
    with store.use(used):
        clock.now = 30
        store.expire()
        assert is_there(store, used)
    assert not is_there(store, left)
    with pytest.raises(Problem, match="expired") as caught, store.use(left):
        pass
    assert caught.value.status == 404
    clock.now = 41
    store.expire()
    assert not store.photos


def test_when_all_are_in_use_a_new_one_has_to_wait(store) -> None:
    with store.use(add(store)), store.use(add(store)), store.use(add(store)):
        with pytest.raises(Problem) as caught, store.new():
            pass
        assert caught.value.status == 429
        assert "Retry-After" in caught.value.headers


def test_a_photo_that_fails_leaves_nothing_behind(store) -> None:
    with pytest.raises(ValueError, match="broken"), store.new() as stored:  # noqa: PT012
        (stored.folder / "photo").write_bytes(b"x")
        raise ValueError("broken")
    assert not stored.folder.exists()
    assert not store.photos


@pytest.mark.parametrize("text", ["queue=0", "queue=-1", "queue=many", "queue=", "pixels=3"])
def test_limits_that_are_none(text) -> None:
    with pytest.raises(ValueError, match="limit"):
        limits_from([text])


def test_limits_are_changed_by_name() -> None:
    changed = limits_from(["queue=3", "max-pixels=1_000"])
    assert (changed.queue, changed.max_pixels, changed.workers) == (3, 1000, ServiceLimits().workers)


def asked(access: Access, path: str = "/v1/limits", **headers: str) -> int:
    """The status that the gate lets a request come to; 200 is through."""

    async def app(scope: object, receive: object, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "GET", "path": path, "headers": raw}
    asyncio.run(Guard(app, access, LIMITS, Metrics())(scope, receive, send))
    return sent[0]["status"]


def test_the_token_opens_the_api_and_nothing_else_does() -> None:
    access = Access(token="correct-horse-battery")
    assert asked(access, host="localhost") == 401
    assert asked(access, host="localhost", authorization="Bearer wrong") == 401
    assert asked(access, host="localhost", authorization="Basic correct-horse-battery") == 401
    assert asked(access, host="localhost", authorization="Bearer \u00e9") == 401
    assert asked(access, host="localhost", authorization="Bearer correct-horse-battery") == 200
    assert asked(access, "/metrics", host="localhost") == 401
    assert asked(access, "/healthz", host="localhost") == 200
    assert asked(access, "/", host="localhost") == 200


def test_hosts_and_origins() -> None:
    access = Access(("localhost", "[::1]", "Photos.example"))
    for host in ("localhost", "localhost:8000", "[::1]:8000", "photos.example", "PHOTOS.EXAMPLE:443"):
        assert asked(access, host=host) == 200
    for host in ("evil.example", "localhost.evil.example", "localhost:8000@evil.example", "", "127.0.0.1"):
        assert asked(access, host=host) == 421
    assert asked(access) == 400
    assert asked(access, host="photos.example", origin="https://photos.example") == 200
    assert asked(access, host="localhost:8000", origin="http://localhost:9000") == 403
    assert asked(access, host="localhost", origin="null") == 403


def test_a_token_has_to_be_long_and_a_port_free(tmp_path) -> None:
    (tmp_path / "token").write_text("short\n")
    with pytest.raises(ValueError, match="at least 16"):
        serve("127.0.0.1", 0, tmp_path / "token", [], [])
    with pytest.raises(OSError, match=r"cannot serve at 203\.0\.113\.1"):
        serve("203.0.113.1", 8000, None, [], [])
