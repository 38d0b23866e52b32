"""Draws the pictures of the page in docs/serve.md and docs/troubles.md (docs/img/serve_*.jpg) with a headless Chromium.

deeplens serve & python tools/figures/make_page_pictures.py [URL]
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
PORTRAIT, CUP, CANDLE = (
    ROOT / name
    for name in ("examples/photos/astronaut.jpg", "examples/photos/coffee.jpg", "docs/gallery/candle.jpg")
)
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {
    "viewport": {"width": 390, "height": 780},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
}
PATIENCE_MS = 240_000


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])

        def opened(file: Path, **options: Any) -> Page:
            page = browser.new_context(**options).new_page()
            page.set_default_timeout(PATIENCE_MS)
            page.goto(url)
            page.wait_for_selector("body[data-service=ready]")
            page.set_input_files("#files", file)
            rendered(page)
            return page

        desktop = opened(PORTRAIT, **DESKTOP)
        desktop.hover("#view")
        desktop.wait_for_timeout(600)
        save(desktop, "desktop", 1280)
        desktop.route("**/blur?**size=full**", lambda route: None)  # a full picture that takes its time
        desktop.keyboard.press("[")
        desktop.wait_for_selector("#view.quick")
        desktop.wait_for_timeout(1500)
        save(desktop, "preview", 880)
        desktop.close()
        dark = opened(CANDLE, color_scheme="dark", **DESKTOP)
        save(dark, "dark", 960)
        dark.set_input_files(
            "#files", {"name": "notes.jpg", "mimeType": "image/jpeg", "buffer": b"just text"}
        )
        dark.locator("#message").wait_for()
        save(dark, "error", 960)
        dark.close()
        phone = opened(CUP, **PHONE)
        phone.tap("#tabs [data-tab=focus]")
        phone.wait_for_timeout(600)
        save(phone, "phone", 480)
        browser.close()


def rendered(page: Page) -> None:
    page.wait_for_selector("#after[data-size=full]")
    page.wait_for_timeout(800)
    page.locator("#progress").wait_for(state="hidden")


def save(page: Page, name: str, width: int) -> None:
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    file = ROOT / "docs" / "img" / f"serve_{name}.jpg"
    picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS).save(
        file, quality=80, optimize=True
    )
    print(f"{file.name}: {file.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
