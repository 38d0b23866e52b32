"""How quick the service is on a photo of 12 megapixels: `python benchmarks/serve.py [--seconds 60] [--clients 50]`.

Starts `deeplens serve` with its default limits, and measures as a client does, on this machine: upload to the first
preview, previews while the aperture is dragged, full pictures, and many clients who refocus at once while /healthz is
asked. Writes benchmarks/results/serve.json.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np
import psutil
from machine import machine
from PIL import Image

ROOT = Path(__file__).parents[1]
STOPS = [1, 1.1, 1.2, 1.4, 1.6, 1.8, 2, 2.2, 2.5, 2.8, 3.2, 3.5, 4, 4.5, 5, 5.6, 6.3, 7.1, 8]


def photo_of_12_megapixels() -> bytes:
    small = Image.open(ROOT / "examples/photos/coffee.jpg").convert("RGB")
    large = np.asarray(small.resize((4242, 2828), Image.Resampling.BICUBIC)).astype(np.int16)
    large = large + np.random.default_rng(0).normal(0, 4, large.shape).astype(np.int16)
    stream = io.BytesIO()
    Image.fromarray(np.clip(large, 0, 255).astype(np.uint8)).save(stream, "JPEG", quality=92)
    return stream.getvalue()


def start(log: Path) -> tuple[subprocess.Popen[str], str]:
    command = [sys.executable, "-m", "deeplens_dof.cli", "serve", "--port", "0"]
    with log.open("w") as stream:
        process = subprocess.Popen(command, stderr=stream, text=True)
    while not (url := re.search(r"http://[^ ]+", log.read_text())):
        time.sleep(0.1)
    with httpx.Client(base_url=url[0], trust_env=False) as client:
        while client.get("/readyz").status_code != 200:
            time.sleep(0.5)
    return process, url[0]


def resident_mb(process: subprocess.Popen[str]) -> float:
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    return sum(each.memory_info().rss for each in family) / 1e6


def spread(seconds: list[float]) -> dict[str, float]:
    p50, p95, p99 = np.percentile(seconds, (50, 95, 99))
    return {"n": len(seconds), "p50_s": round(p50, 3), "p95_s": round(p95, 3), "p99_s": round(p99, 3)}


def one_person(client: httpx.Client, data: bytes) -> dict[str, object]:
    """A first photo warms everything up; the second is measured."""
    found: dict[str, object] = {}
    for _ in range(2):
        started = time.monotonic()
        id = client.post("/v1/photos", files={"file": data}).raise_for_status().json()["id"]
        found["upload_s"] = round(time.monotonic() - started, 3)
        preview = {"size": "preview", "lens_points": 32}
        client.get(f"/v1/photos/{id}/blur", params=preview).raise_for_status()
        found["upload_to_first_preview_s"] = round(time.monotonic() - started, 3)
        client.get(f"/v1/photos/{id}/blur", params={"size": "full"}).raise_for_status()
    drags, fulls = [], []
    for n in range(100):
        started = time.monotonic()
        client.get(
            f"/v1/photos/{id}/blur", params=preview | {"f_number": STOPS[n % len(STOPS)]}
        ).raise_for_status()
        drags.append(time.monotonic() - started)
    for n in range(8):
        started = time.monotonic()
        client.get(
            f"/v1/photos/{id}/blur", params={"size": "full", "f_number": STOPS[2 * n]}
        ).raise_for_status()
        fulls.append(time.monotonic() - started)
    return found | {"preview_while_dragging": spread(drags), "full": spread(fulls)}


async def many(url: str, data: bytes, clients: int, seconds: float) -> dict[str, object]:
    """Clients who refocus as fast as they are answered, and wait as they are told to when it is too much."""
    accepted: list[float] = []
    health: list[float] = []
    statuses: dict[int, int] = {}
    async with httpx.AsyncClient(
        base_url=url, timeout=120, trust_env=False, limits=httpx.Limits(max_connections=None)
    ) as client:
        ids = []
        for _ in range(4):
            ids.append(
                (await client.post("/v1/photos", files={"file": data})).raise_for_status().json()["id"]
            )
        end = time.monotonic() + seconds

        async def refocus(n: int) -> None:
            while time.monotonic() < end:
                started = time.monotonic()
                query = {"size": "preview", "lens_points": 32, "f_number": STOPS[n % len(STOPS)]}
                answer = await client.get(f"/v1/photos/{ids[n % 4]}/blur", params=query)
                statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
                if answer.status_code == 200:
                    accepted.append(time.monotonic() - started)
                else:
                    await asyncio.sleep(min(1.0, float(answer.headers.get("retry-after", 1))))

        async def ask_health() -> None:
            while time.monotonic() < end:
                started = time.monotonic()
                (await client.get("/healthz")).raise_for_status()
                health.append(time.monotonic() - started)
                await asyncio.sleep(0.1)

        await asyncio.gather(ask_health(), *(refocus(n) for n in range(clients)))
    return {
        "clients": clients,
        "seconds": seconds,
        "statuses": statuses,
        "accepted": spread(accepted),
        "healthz": spread(health),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=50)
    asked = parser.parse_args()
    data = photo_of_12_megapixels()
    folder = tempfile.TemporaryDirectory()
    process, url = start(Path(folder.name) / "log")
    try:
        with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
            found = {"machine": machine(), "photo_bytes": len(data), **one_person(client, data)}
            found["memory_mb_after_one"] = round(resident_mb(process))
        found["many"] = asyncio.run(many(url, data, asked.clients, asked.seconds))
        found["memory_mb_after_many"] = round(resident_mb(process))
    finally:
        process.terminate()
        process.wait(60)
        folder.cleanup()
    text = json.dumps(found, indent=1)
    (ROOT / "benchmarks/results/serve.json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
