"""HEAD is answered as GET is, without a body; hosts with the dot of a full name; names of files that are too long."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from deeplens_dof.serve.app import create_app

APP = create_app()
PATHS = sorted(
    {
        path
        for route in APP.routes
        if "GET" in (getattr(route, "methods", None) or ())
        and "{" not in (path := getattr(route, "path", "{"))
    }
    | {"/healthz", "/v1/settings", "/v1/limits", "/v1/photos/none/depth", "/nothing", "/v1/photos", "/"}
)


def answer(method: str, path: str, **options: object) -> httpx.Response:
    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(APP, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path, **options)

    return asyncio.run(go())


@pytest.mark.parametrize("path", PATHS)
def test_head_is_get_without_a_body(path: str) -> None:
    get, head = answer("GET", path), answer("HEAD", path)
    assert head.status_code == get.status_code
    assert head.content == b""
    own = ("x-request-id", "date")
    kept = [{k: v for k, v in each.headers.items() if k not in own} for each in (get, head)]
    assert kept[0] == kept[1]
    if path == "/healthz":
        assert get.status_code == 200
        assert int(head.headers["content-length"]) == len(get.content) > 0


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost.", 200), ("LOCALHOST.:8000", 200), ("localhost", 200), ("localhost..", 421), ("evil.", 421)],
)
def test_a_host_may_end_in_a_dot(host: str, status: int) -> None:
    assert answer("GET", "/healthz", headers={"Host": host}).status_code == status


def test_a_name_that_is_too_long_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ready:
        def check_ready(self) -> None: ...

    monkeypatch.setattr(APP.state, "service", Ready(), raising=False)
    files = {"file": ("a" * 5000 + ".jpg", b"\xff\xd8\xff", "image/jpeg")}
    found = answer("POST", "/v1/photos", files=files)
    assert found.status_code == 400
    assert "name of the file" in found.json()["detail"]
    assert "4,096 bytes" in found.json()["detail"]
    torn = answer("POST", "/v1/photos", content=b"--x\r\n", headers={"Content-Type": "multipart/form-data"})
    assert torn.status_code == 400
    assert "form cannot be read" in torn.json()["detail"]
