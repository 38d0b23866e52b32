"""One service for all these tests: a real server with one worker and small limits; and a browser for the page."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
import psutil
import pytest
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
LIMITS = {
    "workers": 1,
    "queue": 4,
    "max_body_bytes": 3_000_000,
    "max_pixels": 4_000_000,
    "max_side_px": 4000,
    "read_seconds": 2,
    "preview_pixels": 100_000,
    "stored_photos": 8,
}
READY_SECONDS = 900  # the very first start compiles


@dataclass
class Server:
    url: str
    process: subprocess.Popen[str]
    folder: Path

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").partition(":")
        return host, int(port)

    def client(self, **options: object) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=120, trust_env=False, **options)

    def workers(self) -> list[psutil.Process]:
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [each for each in children if "spawn_main" in " ".join(each.cmdline())]


def start(tmp: Path, *arguments: str, limits: dict[str, int] = LIMITS) -> Server:
    """A server on a free port; its log is in tmp/log."""
    log = (tmp / "log").open("w")
    command = [sys.executable, "-m", "deeplens_dof.cli", "serve", "--port", "0", *arguments]
    for name, value in limits.items():
        command += ["--limit", f"{name}={value}"]
    environment = os.environ | {"TMPDIR": str(tmp)}
    process = subprocess.Popen(command, stderr=log, stdout=log, text=True, env=environment)
    deadline = time.monotonic() + 60
    while not (found := re.search(r"http://[^ ]+", (tmp / "log").read_text())):
        assert process.poll() is None, (tmp / "log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return Server(found[0], process, tmp)


def wait_ready(server: Server) -> None:
    with server.client() as client:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                if client.get("/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            assert time.monotonic() < deadline, "the service did not become ready"
            time.sleep(0.5)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start(tmp_path_factory.mktemp("serve"))
    try:
        wait_ready(running)
        yield running
    finally:
        running.process.terminate()
        running.process.wait(30)


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as made:
        yield made


def picture(width: int = 240, height: int = 160, form: str = "JPEG", **options: object) -> bytes:
    """Fine stripes everywhere, so that blur is seen wherever it is; a bright ball in the middle."""
    y, x = np.mgrid[:height, :width]
    stripes = ((x // 3 + y // 3) % 2 * 150 + 50).astype(np.uint8)
    rgb = np.dstack([stripes, np.flipud(stripes), stripes])
    stream = io.BytesIO()
    Image.fromarray(rgb).save(stream, form, **options)
    return stream.getvalue()


def two_depths(width: int = 240, height: int = 160, near: int = 65535, far: int = 0) -> bytes:
    """A depth file: the left half is near, the right half far; two corners hold the ends of the scale."""
    codes = np.tile(np.where(np.arange(width) < width // 2, near, far).astype(np.uint16), (height, 1))
    codes[0, 0], codes[-1, -1] = 65535, 0
    stream = io.BytesIO()
    Image.fromarray(codes).save(stream, "PNG")
    return stream.getvalue()


def opened(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float32)


def detail(pixels: np.ndarray) -> float:
    """How sharp a region is: the mean difference of neighbours."""
    return float(np.abs(np.diff(pixels[..., 1], axis=1)).mean())


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra [dev])")
    found = [shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome")]
    if not any(found):
        pytest.skip("there is no Chromium; apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=next(filter(None, found)), args=["--no-sandbox"])
        yield made
        made.close()


class Watch:
    """Console errors and requests to others, which no test may cause unless it expects them."""

    def __init__(self, page: Page, url: str) -> None:
        self.errors: list[str] = []
        self.strangers: list[str] = []
        page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on(
            "request",
            lambda request: (
                request.url.startswith((url, "blob:", "data:")) or self.strangers.append(request.url)
            ),
        )


@pytest.fixture
def expected_errors() -> list[str]:
    """Parts of console messages that a test expects."""
    return []


@pytest.fixture
def page(browser, server, expected_errors) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": 1200, "height": 760}, permissions=["clipboard-read", "clipboard-write"]
    )
    made = context.new_page()
    made.set_default_timeout(90_000)  # a busy machine takes its time
    watch = Watch(made, server.url)
    made.goto(server.url)
    made.wait_for_selector("body[data-service=ready]")
    yield made
    context.close()
    assert not [each for each in watch.errors if not any(part in each for part in expected_errors)]
    assert not watch.strangers


@pytest.fixture
def stripes(page, server) -> Page:
    """The page with a photo whose left half is near and whose right half is far."""
    from page_driver import open_stripes

    return open_stripes(page, server, two_depths(480, 320))


@pytest.fixture(scope="session")
def axe(tmp_path_factory) -> str:
    """axe-core (MPL-2.0), fetched by npm for this test alone; it is no part of the package."""
    if shutil.which("npm") is None:
        pytest.skip("there is no npm to fetch axe-core with")
    folder = tmp_path_factory.mktemp("axe")
    packed = subprocess.run(
        ["npm", "pack", "axe-core@4"], cwd=folder, capture_output=True, text=True, timeout=120
    )
    if packed.returncode:
        pytest.skip("axe-core cannot be fetched")
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        return archive.extractfile("package/axe.min.js").read().decode()
