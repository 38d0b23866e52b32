"""Many clients, many requests: bounded memory, nobody lost, health answered all the while."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import psutil
import pytest
from conftest import picture, two_depths

pytestmark = pytest.mark.slow


def resident_mb(server) -> float:
    return (
        sum(each.memory_info().rss for each in (psutil.Process(server.process.pid), *server.workers())) / 1e6
    )


def test_200_clients_at_once_are_all_answered(server) -> None:
    data = picture(900, 600)
    health: list[float] = []

    def send(n: int) -> int:
        with server.client() as client:
            if n % 10 == 0:
                started = time.monotonic()
                assert client.get("/healthz").status_code == 200
                health.append(time.monotonic() - started)
                return 0
            answer = client.post("/v1/blur", files={"file": data})
            assert answer.status_code != 429 or int(answer.headers["retry-after"]) >= 1
            return answer.status_code

    with ThreadPoolExecutor(200) as threads:
        found = Counter(threads.map(send, range(200)))
    assert set(found) == {0, 200, 429}, found
    assert float(np.median(health)) < 1  # 200 threads of this very process share its cores


def test_memory_is_flat_over_500_requests(server) -> None:
    with server.client() as client:
        facts = client.post(
            "/v1/photos", files={"file": picture(600, 400), "depth": two_depths(600, 400)}
        ).json()
        marks = []
        for n in range(500):
            query = {"f_number": 1 + n % 20, "size": "preview", "lens_points": 32}
            answer = client.get(f"/v1/photos/{facts['id']}/blur", params=query)
            assert answer.status_code == 200
            if n % 10 == 0:  # a photo that comes and goes
                assert (
                    client.post("/v1/blur", files={"file": picture(), "depth": two_depths()}).status_code
                    == 200
                )
            if n % 100 == 99:
                marks.append(resident_mb(server))
    assert marks[-1] < marks[1] + 60, marks


def test_slow_clients_do_not_hold_up_the_others(server) -> None:
    """100 connections that send a byte of their head and no more."""
    import socket

    held = [socket.create_connection(server.address) for _ in range(100)]
    for each in held:
        each.sendall(b"G")
    try:
        with server.client() as client:
            for _ in range(20):
                started = time.monotonic()
                assert client.get("/healthz").status_code == 200
                assert time.monotonic() - started < 0.5
        time.sleep(4)  # twice their patience
        for each in held:
            each.settimeout(1)
            assert each.recv(1) == b""
    finally:
        for each in held:
            each.close()


def test_half_sent_photos_leave_no_files(server) -> None:
    with server.client() as client:

        def cut():
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
            raise RuntimeError("hung up")

        for _ in range(20):
            with pytest.raises((RuntimeError, httpx.HTTPError)):
                client.post(
                    "/v1/photos", content=cut(), headers={"content-type": "multipart/form-data; boundary=b"}
                )
        assert client.get("/healthz").status_code == 200
        metrics = client.get("/metrics").text
    assert "deeplens_jobs_unfinished 0.0" in metrics
