"""What the tests of the page share: a person's actions in a real browser, and what is then on the stage."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, picture
from PIL import Image

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra [dev])")

PORTRAIT, CUP = ROOT / "examples/photos/astronaut.jpg", ROOT / "examples/photos/coffee.jpg"
FULL = "#after[data-size=full]"
LEFT, RIGHT = np.s_[60:260, 30:200], np.s_[60:260, 280:450]  # of a striped photo


def open_photo(page: sync_api.Page, *files: Path | dict[str, object]) -> None:
    page.set_input_files("#files", list(files))
    rendered(page)


def rendered(page: sync_api.Page) -> None:
    """Waits until a full picture is shown and nothing is under way."""
    page.wait_for_selector(FULL, timeout=120_000)
    page.locator("#progress").wait_for(state="hidden", timeout=60_000)
    page.wait_for_timeout(400)
    page.locator("#progress").wait_for(state="hidden", timeout=60_000)


def changed(page: sync_api.Page, act: Callable[[], object]) -> None:
    """Does something, and waits for the full picture that follows."""
    page.evaluate("delete document.getElementById('after').dataset.size")
    act()
    rendered(page)


def shown(page: sync_api.Page) -> np.ndarray:
    """The pixels of the picture on the stage, at its own size."""
    link = page.evaluate(
        """() => { const image = document.getElementById("after"), canvas = document.createElement("canvas");
        canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
        canvas.getContext("2d").drawImage(image, 0, 0); return canvas.toDataURL("image/png"); }"""
    )
    return np.asarray(
        Image.open(io.BytesIO(base64.b64decode(link.partition(",")[2]))).convert("RGB"), np.float32
    )


def click(page: sync_api.Page, x: float, y: float) -> None:
    box = page.locator("#frame").bounding_box()
    page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])


def drag(page: sync_api.Page, *points: tuple[float, float]) -> None:
    box = page.locator("#frame").bounding_box()
    for n, (x, y) in enumerate(points):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=6)
        if n == 0:
            page.mouse.down()
    page.mouse.up()


def slide(page: sync_api.Page, name: str, value: float) -> None:
    page.locator(f"#{name}").evaluate(
        """(range, value) => { range.value = value;
        for (const name of ["input", "change"]) range.dispatchEvent(new Event(name, { bubbles: true })); }""",
        value,
    )


def ring(page: sync_api.Page) -> tuple[float, float]:
    """The centre of the focus ring, which shows while the mouse is over the photo, as a point of 0..1."""
    page.hover("#view")
    sync_api.expect(page.locator("#reticle")).to_have_css("opacity", "1", timeout=60_000)
    frame, box = (page.locator(name).bounding_box() for name in ("#frame", "#reticle"))
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    return (x - frame["x"]) / frame["width"], (y - frame["y"]) / frame["height"]


def open_stripes(page: sync_api.Page, server, depth: bytes) -> sync_api.Page:
    """Opens a striped photo; the service is given its depth beside it."""
    form = {"file": picture(480, 320), "depth": depth}
    page.route("**/v1/photos", lambda route: route.fulfill(response=sent_form(route, server, **form)))
    open_photo(page, {"name": "stripes.jpg", "mimeType": "image/jpeg", "buffer": picture(480, 320)})
    page.unroute("**/v1/photos")
    changed(page, lambda: slide(page, "focus_range", 0))
    return page


def sent_form(route: sync_api.Route, server, **files: bytes) -> sync_api.APIResponse:
    """The answer to an upload of these files instead of the page's."""
    kind = {"content-type": "multipart/form-data; boundary=cut", "host": server.url.split("//")[1]}
    return route.fetch(method="POST", headers=kind, post_data=_form(**files), timeout=120_000)


def _form(**files: bytes) -> bytes:
    parts = [
        f'--cut\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n\r\n'.encode()
        + data
        + b"\r\n"
        for name, data in files.items()
    ]
    return b"".join(parts) + b"--cut--\r\n"
