"""The page in a real browser (Debian's Chromium, headless): the actions of a person, measured in pixels."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, Watch, detail, picture, two_depths
from page_driver import (
    CUP,
    LEFT,
    PORTRAIT,
    RIGHT,
    changed,
    click,
    drag,
    open_photo,
    open_stripes,
    rendered,
    ring,
    shown,
    slide,
    sync_api,
)
from PIL import Image
from PIL.ExifTags import IFD

import deeplens_dof as dl


def test_sharpness_goes_where_one_clicks(stripes) -> None:
    changed(stripes, lambda: click(stripes, 0.25, 0.5))
    left = shown(stripes)
    changed(stripes, lambda: click(stripes, 0.75, 0.5))
    right = shown(stripes)
    assert detail(left[LEFT]) > 3 * detail(left[RIGHT])
    assert detail(right[RIGHT]) > 3 * detail(right[LEFT])
    assert stripes.locator("#focus-text").inner_text().startswith("At 75 %")
    changed(stripes, lambda: stripes.click("#subject"))
    assert stripes.locator("#focus-text").inner_text() == "On the subject"


def test_the_focus_ring_is_where_the_focus_is(page, expected_errors) -> None:
    expected_errors.append("429")  # clicks that wait for no picture can fill the queue of a busy machine
    with page.expect_response("**/v1/photos") as answer:
        open_photo(page, PORTRAIT)
    subject = pytest.approx(answer.value.json()["subject"], abs=0.005)
    background = pytest.approx((0.9, 0.1), abs=0.005)
    assert ring(page) == subject
    for refocus_on_subject in (lambda: page.keyboard.press("s"), lambda: page.click("#subject")):
        click(page, 0.9, 0.1)
        assert ring(page) == background
        refocus_on_subject()
        assert ring(page) == subject
    click(page, 0.9, 0.1)
    with page.expect_response("**/v1/photos") as answer:
        page.set_input_files("#files", CUP)
    page.locator("#view[aria-label*='coffee']").wait_for()
    assert ring(page) == pytest.approx(answer.value.json()["subject"], abs=0.005)
    page.locator("#film button").first.click()
    assert ring(page) == background  # each photo keeps its own focus


def test_a_face_has_a_frame_that_focuses_on_its_eye(page, expected_errors) -> None:
    """By a click anywhere in it, by the keyboard; a second click there means the point itself."""
    expected_errors.append("429")
    with page.expect_response("**/v1/photos") as answer:
        open_photo(page, PORTRAIT)
    (face,) = answer.value.json()["faces"]
    left, _, right, bottom = face["box"]
    frame = page.get_by_role("button", name="Focus on the face")
    sync_api.expect(frame).to_have_attribute("aria-pressed", "false")
    photo, box = page.locator("#frame").bounding_box(), frame.bounding_box()
    assert box["x"] == pytest.approx(photo["x"] + left * photo["width"], abs=1.5)
    assert box["width"] == pytest.approx((right - left) * photo["width"], abs=1.5)
    eye, chin = pytest.approx(face["focus"], abs=0.005), ((left + right) / 2, bottom - 0.01)
    click(page, *chin)
    assert ring(page) == eye
    sync_api.expect(frame).to_have_attribute("aria-pressed", "true")
    click(page, *chin)
    assert ring(page) == pytest.approx(chin, abs=0.005)
    click(page, 0.9, 0.1)
    frame.focus()
    page.keyboard.press("Enter")
    assert ring(page) == eye
    sync_api.expect(frame).to_be_focused()
    page.locator("#view").press("ArrowRight")
    assert ring(page) == pytest.approx((face["focus"][0] + 0.02, face["focus"][1]), abs=0.005)
    page.set_input_files("#files", CUP)
    page.locator("#view[aria-label*='coffee']").wait_for()
    sync_api.expect(page.locator("#faces")).to_be_hidden()


def test_blur_grows_as_the_aperture_opens(stripes) -> None:
    changed(stripes, lambda: click(stripes, 0.25, 0.5))
    found = []
    for stop in (0, 12, 20, 27):
        changed(stripes, lambda stop=stop: slide(stripes, "f_number", stop))
        found.append(detail(shown(stripes)[RIGHT]))
    assert found == sorted(found)
    assert found[-1] > 1.5 * found[0]
    assert stripes.locator("output[for=f_number]").inner_text() == "ƒ/22"
    assert stripes.get_attribute("#f_number", "aria-valuetext") == "f/22"


def test_previews_come_while_the_hand_moves(stripes) -> None:
    asked: list[str] = []
    stripes.on("request", lambda request: "/blur" in request.url and asked.append(request.url))
    box = stripes.locator("#f_number").bounding_box()
    y = box["y"] + box["height"] / 2
    stripes.mouse.move(box["x"] + 20, y)
    stripes.mouse.down()
    for part in np.linspace(0.1, 0.9, 30):
        stripes.mouse.move(box["x"] + part * box["width"], y)
        stripes.wait_for_timeout(16)
    stripes.wait_for_timeout(500)
    assert asked
    assert all("size=preview" in url and "lens_points=32" in url for url in asked)
    assert len(asked) <= 31  # stale changes are left out, the newest is not
    moving = asked[-1]
    changed(stripes, stripes.mouse.up)
    assert "size=full" in asked[-1]
    assert moving.split("f_number=")[1].split("&")[0] == asked[-1].split("f_number=")[1].split("&")[0]


def test_a_rectangle_keeps_all_of_it_sharp(page, server) -> None:
    open_stripes(page, server, two_depths(480, 320, near=52000, far=26000))
    changed(page, lambda: click(page, 0.25, 0.5))
    one = shown(page)
    changed(page, lambda: drag(page, (0.3, 0.2), (0.7, 0.8)))
    both = shown(page)
    assert detail(one[RIGHT]) < 0.5 * detail(one[LEFT])
    assert detail(both[RIGHT]) > 0.9 * detail(both[LEFT]) > 20
    assert 75 < float(page.locator("output[for=focus_range]").inner_text().removesuffix(" %")) < 90


def test_depth_is_repaired_undone_and_done_again(stripes) -> None:
    changed(stripes, lambda: click(stripes, 0.25, 0.5))
    before = shown(stripes)
    patch = np.s_[150:170, 330:400]
    slide(stripes, "brush-size", 20)
    slide(stripes, "brush-soft", 0)
    stripes.click("[data-brush=same]")
    # a stroke from the near half into the far one, which becomes as near, and so as sharp
    changed(stripes, lambda: drag(stripes, (0.4, 0.5), (0.85, 0.5)))
    repaired = shown(stripes)
    assert detail(repaired[patch]) > 2 * detail(before[patch])
    changed(stripes, lambda: stripes.keyboard.press("Control+z"))
    np.testing.assert_allclose(shown(stripes), before, atol=2)
    changed(stripes, lambda: stripes.click("#redo"))
    np.testing.assert_allclose(shown(stripes), repaired, atol=2)
    with stripes.expect_download() as download:
        stripes.click("#save-depth")
    assert download.value.suggested_filename == "stripes-depth.png"
    codes = np.asarray(Image.open(download.value.path()))
    assert codes.dtype == np.uint16
    assert codes[160, 360] > 65000
    stripes.click("#copy-command")
    assert "--depth stripes-depth.png" in stripes.evaluate("navigator.clipboard.readText()")


def test_what_is_downloaded_keeps_the_camera_and_drops_the_place(page, tmp_path) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    exif.get_ifd(IFD.GPSInfo).update({1: "N", 2: (48.0, 12.0, 30.5)})
    photo = tmp_path / "My photo's name.jpg"
    photo.write_bytes(picture(exif=exif))
    open_photo(page, photo)
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == "My photo's name-bokeh.jpg"
    saved = Image.open(download.value.path()).getexif()
    assert saved[0x010F] == "Camera"
    assert not saved.get_ifd(IFD.GPSInfo)
    page.check("#keep-gps")
    with page.expect_download() as download:
        page.click("#save")
    assert Image.open(download.value.path()).getexif().get_ifd(IFD.GPSInfo)[1] == "N"
    changed(page, lambda: slide(page, "f_number", 8))
    with page.expect_download() as download:
        page.click("#save-settings")
    assert json.loads(Path(download.value.path()).read_text())["f_number"] == 2.5
    page.click("#copy-command")
    command = page.evaluate("navigator.clipboard.readText()")
    assert (
        command == "deeplens blur 'My photo'\\''s name.jpg' -o 'My photo'\\''s name-bokeh.jpg' --f-number 2.5"
    )
    page.click("#copy-python")
    program = page.evaluate("navigator.clipboard.readText()")
    assert 'dl.blur("My photo\'s name.jpg", f_number=2.5)' in program
    compile(program, "copied", "exec")


def test_several_photos_share_their_settings(page) -> None:
    open_photo(page, PORTRAIT, CUP)
    page.locator("#film img").nth(1).wait_for(timeout=60_000)
    asked: list[str] = []
    page.on("request", lambda request: "/blur" in request.url and asked.append(request.url))
    changed(page, lambda: slide(page, "f_number", 27))
    changed(page, lambda: page.locator("#film button").first.click())
    assert all("f_number=22" in url for url in asked)
    assert len({url.split("/photos/")[1][:22] for url in asked}) == 2
    assert page.locator("#save-all").is_visible()


def overlay_green(page, x: float, y: float) -> bool:
    """Whether the overlay is green at a point of 0..1."""
    red, green, blue = page.evaluate(
        "([x, y]) => { const c = document.getElementById('overlay'); return [...c.getContext('2d')"
        ".getImageData(x * c.width, y * c.height, 1, 1).data].slice(0, 3); }",
        [x, y],
    )
    return green > max(red, blue)


def test_the_overlay_of_the_focus_shows_the_held_subject(page) -> None:
    open_photo(page, PORTRAIT)
    with page.expect_response(lambda answer: "/overlay?" in answer.url):
        page.keyboard.press("f")
    page.wait_for_timeout(300)
    assert overlay_green(page, 0.45, 0.25), "the face"
    assert overlay_green(page, 0.45, 0.85), "the suit"
    assert not overlay_green(page, 0.95, 0.1), "the background"
    with page.expect_response(lambda answer: "/overlay?" in answer.url and "subject_sharp=0&" in answer.url):
        slide(page, "subject_sharp", 0)
    page.wait_for_timeout(300)
    assert not overlay_green(page, 0.95, 0.1)


def test_views_and_keys(page) -> None:
    open_photo(page, CUP)
    page.focus("#view")
    changed(page, lambda: page.keyboard.press("ArrowRight"))
    assert page.locator("#focus-text").inner_text().startswith("At ")
    changed(page, lambda: page.keyboard.press("]"))
    assert page.locator("output[for=f_number]").inner_text() == "ƒ/2"
    for key, button in (("d", "#show-depth"), ("f", "#show-focus")):
        page.keyboard.press(key)
        assert page.get_attribute(button, "aria-pressed") == "true"
        assert page.locator("#overlay").is_visible()
        page.keyboard.press(key)
        assert page.locator("#overlay").is_hidden()
    page.keyboard.press("b")
    page.locator("#split").wait_for()
    page.focus("#split")
    page.keyboard.press("ArrowRight")
    assert page.get_attribute("#split", "aria-valuenow") == "52"
    page.keyboard.press("b")
    page.keyboard.press("z")
    assert page.locator("#frame").bounding_box()["width"] == pytest.approx(600, abs=1)  # 600 px wide, 1:1
    page.keyboard.press("z")
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")


def test_the_help_lists_every_key(page) -> None:
    keys = page.evaluate("import('/shortcuts.js').then((module) => module.SHORTCUTS.map(({ key }) => key))")
    listed = set(re.split(r", | and ", ", ".join(page.locator("#help dt").all_text_contents())))
    names = {"Arrow keys" if key.startswith("Arrow") else key[:-1] + key[-1].upper() for key in keys}
    assert names <= listed


def test_a_dropped_and_a_pasted_photo_are_opened(page) -> None:
    for kind, name in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        page.evaluate(
            """async ([kind, name]) => {
            const blob = await (await fetch("samples/coffee.jpg")).blob(), data = new DataTransfer();
            data.items.add(new File([blob], `${kind}.jpg`, { type: "image/jpeg" }));
            const event = new Event(kind, { bubbles: true, cancelable: true });
            Object.defineProperty(event, name, { value: data });
            document.body.dispatchEvent(event); }""",
            [kind, name],
        )
        page.locator(f"#view[aria-label^='Photo {kind}.jpg']").wait_for(timeout=60_000)
    rendered(page)


def test_a_phone_s_photo_is_shown_though_the_browser_cannot_read_it(page) -> None:
    """HEIC: the browser shows the picture from the service, and the result is saved as HEIC."""
    pytest.importorskip("pillow_heif", reason="HEIC needs pillow-heif (extra [heif])")
    heic = dl.read(PORTRAIT).to_bytes(format="HEIF")
    open_photo(page, {"name": "IMG_0001.HEIC", "mimeType": "image/heic", "buffer": heic})
    assert shown(page).shape == dl.read(PORTRAIT).pixels.shape
    before = dl.read(PORTRAIT).pixels.astype(np.float32)
    assert np.abs(shown(page) - before).mean() < 20
    assert detail(shown(page)[:120, :120]) < 0.7 * detail(before[:120, :120])


def test_files_that_are_no_photos_are_named(page, expected_errors) -> None:
    expected_errors += ["415", "413"]
    page.set_input_files("#files", {"name": "notes.jpg", "mimeType": "image/jpeg", "buffer": b"just text"})
    page.locator("#message").wait_for()
    assert "notes.jpg: the picture is a text file" in page.locator("#message").inner_text()
    page.click("#message-close")
    page.set_input_files("#files", {"name": "huge.jpg", "mimeType": "image/jpeg", "buffer": b"x" * 3_100_000})
    page.locator("#message").wait_for()
    assert "larger than 3,000,000 bytes" in page.locator("#message").inner_text()


def test_a_service_that_is_gone_is_said_and_tried_again(page, expected_errors) -> None:
    expected_errors.append("ERR_FAILED")
    open_photo(page, CUP)
    page.route("**/blur?**", lambda route: route.abort())
    click(page, 0.3, 0.3)
    page.locator("#message").wait_for()
    assert "does not answer" in page.locator("#message").inner_text()
    page.unroute("**/blur?**")
    changed(page, lambda: page.click("#message-action"))
    assert page.locator("#message").is_hidden()


def test_a_busy_service_is_waited_for(page, expected_errors) -> None:
    expected_errors.append("429")
    open_photo(page, CUP)
    busy = {"status": 429, "headers": {"retry-after": "1"}, "content_type": "application/problem+json"}
    page.route("**/blur?**", lambda route: route.fulfill(**busy, body='{"detail": "busy"}'), times=1)
    changed(page, lambda: click(page, 0.3, 0.3))
    assert page.locator("#message").is_hidden()


def test_a_forgotten_photo_is_sent_again(page, server, expected_errors) -> None:
    expected_errors.append("404")
    with page.expect_response("**/v1/photos") as answer:
        open_photo(page, CUP)
    with server.client() as client:
        assert client.delete(f"/v1/photos/{answer.value.json()['id']}").status_code == 204
    with page.expect_response("**/v1/photos") as answer:
        changed(page, lambda: click(page, 0.3, 0.3))
    assert answer.value.status == 201


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_everything_is_in_reach(browser, server, scheme) -> None:
    context = browser.new_context(
        viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True, color_scheme=scheme
    )
    page = context.new_page()
    watch = Watch(page, server.url)
    page.goto(server.url)
    page.wait_for_selector("body[data-service=ready]")
    page.tap("[data-sample='coffee.jpg']")
    rendered(page)
    box = page.locator("#frame").bounding_box()
    changed(page, lambda: page.touchscreen.tap(box["x"] + 0.5 * box["width"], box["y"] + 0.3 * box["height"]))
    for tab, control in (
        ("focus", "#focus_range"),
        ("look", "#highlights"),
        ("repair", "#brush-size"),
        ("save", "#save"),
    ):
        page.tap(f"#tabs [data-tab={tab}]")
        assert page.locator(control).is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert not watch.errors
    context.close()


def test_the_page_is_small_and_quick(page, server) -> None:
    scripts = sum(file.stat().st_size for file in (ROOT / "src/deeplens_dof/serve/page").glob("*.js"))
    assert scripts < 150_000
    page.reload()
    page.wait_for_selector("body[data-service=ready]")
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    assert paint < 1000


def test_every_script_is_asked_for_at_once() -> None:
    """One by one, as imports are found, they would arrive late on a slow machine."""
    folder = ROOT / "src/deeplens_dof/serve/page"
    asked = re.findall(r'(?:href|src)="([\w]+\.js)"', (folder / "index.html").read_text())
    assert sorted(asked) == sorted(file.name for file in folder.glob("*.js"))


def test_axe_finds_nothing(page, axe) -> None:
    for act in (
        lambda: None,
        lambda: open_photo(page, PORTRAIT, CUP),
        lambda: page.click("#compare"),
        lambda: page.keyboard.press("?"),
    ):
        act()
        found = page.evaluate(f"(() => {{ {axe}; return axe.run(); }})()")
        assert not [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]]
