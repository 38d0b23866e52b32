"""The page as a photo editor, in a real browser: one state, undo of everything, presets, what a reload keeps, plain words."""

from __future__ import annotations

import io
import json
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import Watch, detail, picture, two_depths
from page_driver import (
    CUP,
    FULL,
    LEFT,
    PORTRAIT,
    RIGHT,
    changed,
    click,
    drag,
    open_photo,
    open_stripes,
    rendered,
    sent_form,
    shown,
    slide,
    sync_api,
)
from PIL import Image


def text(page, name: str) -> str:
    return page.locator(f"output[for={name}]").inner_text()


def stage(page) -> np.ndarray:
    """The pixels of the photo on the stage, as the browser shows them."""
    return np.asarray(Image.open(io.BytesIO(page.locator("#frame").screenshot())).convert("RGB"), np.float32)


def without_clear_subject(page, server) -> None:
    """Has the service say of the next photos that nothing in them stands out; they are striped ones."""

    def answer(route) -> None:
        response = sent_form(route, server, file=picture(480, 320))
        route.fulfill(response=response, body=json.dumps(response.json() | {"subject_confidence": 0.1}))

    page.route("**/v1/photos", answer)


# --- the f-number of a phone -------------------------------------------------------------------------------------


def test_a_phones_photo_has_its_own_f_number_until_one_is_chosen(page) -> None:
    pytest.importorskip("pillow_heif", reason="HEIC needs pillow-heif (extra [heif])")
    import heif_files as heif

    depth = np.repeat(np.linspace(0, 250, 240)[None], 160, 0).astype(np.uint8)
    pixels = np.asarray(Image.open(io.BytesIO(picture(480, 320))))
    packet = heif.apple_xmp(SimulatedAperture=5.6, Accuracy="relative")
    phone = {"name": "IMG_1.HEIC", "mimeType": "image/heic"}
    open_photo(page, phone | {"buffer": heif.portrait(pixels, depth, depth_xmp=packet)})
    assert text(page, "f_number") == "ƒ/5.6"
    own = shown(page)
    page.click("#copy-command")
    assert "--f-number" not in page.evaluate("navigator.clipboard.readText()")
    changed(page, lambda: slide(page, "f_number", 5))  # f/1.8
    assert detail(shown(page)) < detail(own)
    page.click("#copy-command")
    assert "--f-number 1.8" in page.evaluate("navigator.clipboard.readText()")
    changed(page, lambda: slide(page, "f_number", 15))
    np.testing.assert_array_equal(shown(page), own)
    open_photo(page, CUP)
    assert text(page, "f_number") == "ƒ/5.6"  # the chosen lens is that of all photos
    changed(page, lambda: page.click("#reset"))
    assert text(page, "f_number") == "ƒ/1.8"
    changed(page, lambda: page.locator("#film button").first.click())
    assert text(page, "f_number") == "ƒ/5.6"


# --- the quick preview -------------------------------------------------------------------------------------------


def test_a_quick_preview_is_soft_and_tells_how_far_the_full_picture_is(stripes) -> None:
    changed(stripes, lambda: click(stripes, 0.25, 0.5))
    sharp = stage(stripes)
    waiting = []
    stripes.route("**/blur?*size=full*", lambda route: waiting.append(route))
    stripes.evaluate("delete document.getElementById('after').dataset.size")
    slide(stripes, "f_number", 4)
    stripes.wait_for_selector("#after[data-size=preview]")
    stripes.wait_for_selector("#progress[aria-valuenow]")
    assert stripes.locator("#view.quick").count() == 1
    assert re.fullmatch(r"Preview · \d+ %", stripes.locator("#quick").inner_text())
    before = int(stripes.get_attribute("#progress", "aria-valuenow"))
    stripes.wait_for_timeout(700)
    assert int(stripes.get_attribute("#progress", "aria-valuenow")) > before
    soft = stage(stripes)
    height, width, _ = sharp.shape
    near = np.s_[height // 4 : height // 2, width // 8 : width // 3]
    assert detail(soft[near]) < 0.8 * detail(sharp[near])
    waiting.pop().continue_()
    rendered(stripes)
    stripes.wait_for_timeout(400)
    assert stripes.locator("#view.quick").count() == 0
    assert detail(stage(stripes)[near]) == pytest.approx(detail(sharp[near]), rel=0.05)


# --- going back --------------------------------------------------------------------------------------------------


def test_focus_aperture_brush_and_range_are_undone_in_their_order(page, server) -> None:
    stripes = open_stripes(page, server, two_depths(480, 320, near=45000, far=30000))
    slide(stripes, "brush-size", 20)
    slide(stripes, "brush-soft", 0)
    stages = [shown(stripes)]
    for act in (
        lambda: click(stripes, 0.75, 0.5),
        lambda: slide(stripes, "f_number", 0),
        lambda: (stripes.click("[data-brush=same]"), drag(stripes, (0.6, 0.5), (0.2, 0.5))),
        lambda: slide(stripes, "focus_range", 0.6),
    ):
        changed(stripes, act)
        stages.append(shown(stripes))
        stripes.wait_for_timeout(900)  # later than what is joined into one step
    for a, b in pairwise(stages):
        assert np.abs(a - b).max() > 8
    for expected in reversed(stages[:-1]):
        changed(stripes, lambda: stripes.keyboard.press("Control+z"))
        np.testing.assert_allclose(shown(stripes), expected, atol=2)
    for expected in stages[1:]:
        changed(stripes, lambda: stripes.click("#redo"))
        np.testing.assert_allclose(shown(stripes), expected, atol=2)
    assert stripes.locator("#redo").is_disabled()
    changed(stripes, lambda: stripes.click("#undo"))
    changed(stripes, lambda: slide(stripes, "f_number", 20))
    assert stripes.locator("#redo").is_disabled()  # another way was taken


def test_one_drag_is_one_step_and_undo_goes_to_the_photo_it_concerns(page) -> None:
    open_photo(page, CUP)
    assert page.locator("#undo").is_disabled()
    box = page.locator("#f_number").bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 20, y)
    page.mouse.down()
    for part in np.linspace(0.1, 0.9, 12):
        page.mouse.move(box["x"] + part * box["width"], y)
    changed(page, page.mouse.up)
    assert text(page, "f_number") != "ƒ/1.8"
    open_photo(page, PORTRAIT)
    changed(page, lambda: page.keyboard.press("Control+z"))
    assert text(page, "f_number") == "ƒ/1.8"
    assert "coffee" in page.get_attribute("#view", "aria-label")
    assert page.locator("#undo").is_disabled()


def test_a_double_click_resets_a_slider_and_a_button_resets_all(stripes) -> None:
    changed(stripes, lambda: stripes.click("#reset"))
    first = shown(stripes)
    for name, value in (("highlights", 1), ("strength", 1.6), ("f_number", 2), ("focus_range", 0.4)):
        usual = text(stripes, name)
        changed(stripes, lambda name=name, value=value: slide(stripes, name, value))
        assert text(stripes, name) != usual
        changed(stripes, lambda name=name: stripes.dblclick(f"label[for={name}]", force=True))
        assert text(stripes, name) == usual
    np.testing.assert_allclose(shown(stripes), first, atol=2)
    changed(stripes, lambda: slide(stripes, "grain", 0.7))
    stripes.focus("#grain")
    changed(stripes, lambda: stripes.keyboard.press("Delete"))
    assert text(stripes, "grain") == "0 %"
    changed(stripes, lambda: (slide(stripes, "f_number", 20), click(stripes, 0.75, 0.5)))
    changed(stripes, lambda: stripes.click("#reset"))
    np.testing.assert_allclose(shown(stripes), first, atol=2)
    changed(stripes, lambda: stripes.click("#undo"))
    assert text(stripes, "f_number") == "ƒ/10"


def test_settings_are_saved_and_loaded(stripes, tmp_path) -> None:
    changed(stripes, lambda: (slide(stripes, "f_number", 9), click(stripes, 0.75, 0.5)))
    changed(stripes, lambda: stripes.locator("input[value=heart]").check(force=True))
    chosen = shown(stripes)
    with stripes.expect_download() as download:
        stripes.click("#save-settings")
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    changed(stripes, lambda: stripes.click("#reset"))
    assert np.abs(shown(stripes) - chosen).max() > 8
    changed(stripes, lambda: stripes.set_input_files("#settings-file", file))
    np.testing.assert_allclose(shown(stripes), chosen, atol=2)
    assert text(stripes, "f_number") == "ƒ/2.8"
    changed(stripes, lambda: stripes.keyboard.press("Control+z"))  # one step
    assert text(stripes, "f_number") == "ƒ/1.8"
    for wrong, words in (
        ('{"f_number": 900}', "f_number is 900, expected a number from 0.7 to 64"),
        ('{"bokeh": 1}', "there is no setting “bokeh”"),
        ("hello", "this is no settings file"),
        ('{"focus": "3,4"}', 'focus is "3,4", expected “subject” or X,Y'),
    ):
        stripes.set_input_files(
            "#settings-file", {"name": "old.json", "mimeType": "application/json", "buffer": wrong.encode()}
        )
        sync_api.expect(stripes.locator("#message")).to_contain_text(f"old.json: {words}", ignore_case=True)
        stripes.click("#message-close")
    assert text(stripes, "f_number") == "ƒ/1.8"


def test_settings_may_come_before_the_photo(page) -> None:
    saved = {
        "name": "a.json",
        "mimeType": "application/json",
        "buffer": b'{"f_number": 4.0, "focus": "0.5,0.5"}',
    }
    page.set_input_files("#settings-file", saved)
    sync_api.expect(page.locator("#status")).to_have_text("Took the settings of a.json")
    open_photo(page, CUP)
    assert text(page, "f_number") == "ƒ/4"
    assert page.locator("#undo").is_disabled()


def test_a_reload_keeps_the_photos_that_the_service_still_holds(page, server, expected_errors) -> None:
    expected_errors.append("404")
    with page.expect_response("**/v1/photos") as answer:
        open_photo(page, CUP)
    first = answer.value.json()["id"]
    open_photo(page, PORTRAIT)
    changed(page, lambda: (slide(page, "f_number", 2), click(page, 0.3, 0.2)))
    before, ring = shown(page), page.locator("#reticle").get_attribute("style")
    page.reload()
    rendered(page)
    np.testing.assert_array_equal(shown(page), before)
    assert page.locator("#reticle").get_attribute("style") == ring
    assert page.locator("#film button").count() == 2
    with server.client() as client:
        assert client.delete(f"/v1/photos/{first}").status_code == 204
    page.reload()
    rendered(page)
    assert "astronaut" in page.get_attribute("#view", "aria-label")
    assert page.locator("#film").is_hidden()
    assert page.locator("#status").inner_text().startswith("A photo was deleted by the service meanwhile")


def test_a_photo_that_only_the_service_held_is_asked_for_when_it_is_gone(
    page, server, expected_errors
) -> None:
    expected_errors.append("404")
    with page.expect_response("**/v1/photos") as answer:
        open_photo(page, CUP)
    address = f"/v1/photos/{answer.value.json()['id']}"
    page.reload()
    rendered(page)
    with server.client() as client:
        client.delete(address)
    click(page, 0.3, 0.3)
    sync_api.expect(page.locator("#message")).to_contain_text("no longer holds coffee.jpg. Open it again")
    assert page.locator("#welcome").is_visible()


def test_pressing_and_holding_shows_the_photo_as_it_was(stripes) -> None:
    changed(stripes, lambda: click(stripes, 0.25, 0.5))
    after, focus = stage(stripes), stripes.locator("#focus-text").inner_text()
    height, width, _ = after.shape
    far = np.s_[height // 4 : height // 2, 5 * width // 8 : 7 * width // 8]
    box = stripes.locator("#frame").bounding_box()
    stripes.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.8 * box["height"])
    for down, up in (
        (stripes.mouse.down, stripes.mouse.up),
        (lambda: stripes.keyboard.down("\\"), lambda: stripes.keyboard.up("\\")),
    ):
        down()
        stripes.locator("#before").wait_for(state="visible")
        stripes.wait_for_timeout(300)
        assert detail(stage(stripes)[far]) > 2 * detail(after[far])
        up()
        stripes.locator("#before").wait_for(state="hidden")
        assert detail(stage(stripes)[far]) == pytest.approx(detail(after[far]), rel=0.1)
    assert stripes.locator("#focus-text").inner_text() == focus  # holding is no click


def test_presets_change_the_picture_and_show_which_is_on(stripes) -> None:
    found = {}
    for name in ("Portrait", "Product", "Street", "Macro", "Night"):
        button = stripes.locator("#presets button", has_text=name)
        changed(stripes, button.click)
        found[name] = shown(stripes)
        assert stripes.locator("#presets [aria-pressed=true]").all_inner_texts() == [name]
    assert detail(found["Macro"]) < detail(found["Product"])
    changed(stripes, lambda: slide(stripes, "grain", 0.9))
    assert stripes.locator("#presets [aria-pressed=true]").count() == 0


# --- the range on the histogram, and amounts ---------------------------------------------------------------------


def drag_edge(page, edge: str, by: float) -> None:
    """Drags an edge of the focus range by a share of the histogram."""
    page.locator("#depths").scroll_into_view_if_needed()
    box, plot = page.locator(f"[data-edge={edge}]").bounding_box(), page.locator("#histogram").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + by * plot["width"], y, steps=8)
    page.mouse.up()


def test_the_edges_of_the_range_are_dragged_on_the_histogram(page, server) -> None:
    open_stripes(page, server, two_depths(480, 320, near=45000, far=30000))
    changed(page, lambda: click(page, 0.25, 0.5))
    narrow = shown(page)
    changed(page, lambda: drag_edge(page, "far", -0.27))
    wide = shown(page)
    assert detail(narrow[RIGHT]) < 0.7 * detail(narrow[LEFT])
    assert detail(wide[RIGHT]) > 0.9 * detail(wide[LEFT])
    assert float(text(page, "focus_range").removesuffix(" %")) == pytest.approx(54, abs=4)
    near, far = (
        page.locator(f"[data-edge={edge}]").evaluate("e => parseFloat(e.style.left)")
        for edge in ("near", "far")
    )
    assert (near + far) / 2 == pytest.approx(100 * 45000 / 65535, abs=1)
    changed(page, lambda: drag_edge(page, "near", -0.27))
    np.testing.assert_allclose(shown(page), narrow, atol=12)
    changed(page, lambda: page.keyboard.press("Control+z"))
    np.testing.assert_allclose(shown(page), wide, atol=2)


def test_blur_in_front_and_behind_are_apart_and_strength_moves_both(page, server) -> None:
    open_stripes(page, server, two_depths(480, 320))
    changed(page, lambda: click(page, 0.25, 0.5))  # the near half; what lies behind is blurred
    full = shown(page)
    changed(page, lambda: slide(page, "foreground_blur", 0))
    np.testing.assert_allclose(shown(page), full, atol=2)
    changed(page, lambda: slide(page, "background_blur", 0))
    assert detail(shown(page)[RIGHT]) > 0.9 * detail(shown(page)[LEFT])
    changed(page, lambda: click(page, 0.75, 0.5))
    assert detail(shown(page)[LEFT]) > 0.9 * detail(shown(page)[RIGHT])
    changed(page, lambda: slide(page, "foreground_blur", 1))
    assert detail(shown(page)[LEFT]) < 0.4 * detail(shown(page)[RIGHT])
    changed(page, lambda: slide(page, "background_blur", 0.5))
    changed(page, lambda: slide(page, "strength", 0.5))
    assert (text(page, "foreground_blur"), text(page, "background_blur")) == ("50 %", "25 %")
    changed(page, lambda: slide(page, "strength", 0))
    changed(page, lambda: slide(page, "strength", 1))
    assert (text(page, "foreground_blur"), text(page, "background_blur")) == ("100 %", "50 %")


def test_the_quality_of_the_jpeg_is_chosen(stripes) -> None:
    sizes = []
    for quality in ("70", "100"):
        stripes.select_option("#save-quality", quality)
        with stripes.expect_download() as download:
            stripes.click("#save")
        sizes.append(Path(download.value.path()).stat().st_size)
    assert sizes[0] < 0.8 * sizes[1]
    stripes.click("#copy-command")
    assert stripes.evaluate("navigator.clipboard.readText()").endswith(" --quality 100")
    stripes.select_option("#save-format", "png")
    assert stripes.locator("#save-quality").is_hidden()


# --- words -------------------------------------------------------------------------------------------------------


def test_the_page_speaks_as_photographers_do(page) -> None:
    open_photo(page, CUP)
    page.click("summary")
    words = page.locator("body").inner_text()
    for wanted in (
        "Strength",
        "Focal length",
        "Highlight boost",
        "Film grain",
        "Keep location",
        "Bokeh shape",
        "Heart",
    ):
        assert wanted in words
    for name in ("Renderer", "optical", "matte", "neural", "Disc", "GPS", "recovery"):
        assert name not in words, name
    assert len(re.findall(r"\bDepth\b", words)) == 2  # the view, and its picture under Save


def test_without_a_clear_subject_a_sentence_says_what_to_do(page, server) -> None:
    without_clear_subject(page, server)
    open_photo(page, CUP)
    assert page.locator("#hint").inner_text() == "No clear subject: tap what should be sharp"
    assert page.locator("#hint").is_visible()
    changed(page, lambda: click(page, 0.4, 0.4))
    assert page.locator("#hint").is_hidden()
    page.unroute("**/v1/photos")
    open_photo(page, PORTRAIT)
    assert page.locator("#hint").is_hidden()


# --- phone -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [360, 390])
def test_a_phone_has_it_all_in_reach(browser, server, width) -> None:
    context = browser.new_context(viewport={"width": width, "height": 780}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.set_default_timeout(90_000)
    watch = Watch(page, server.url)
    page.goto(server.url)
    page.wait_for_selector("body[data-service=ready]")
    page.tap("[data-sample='coffee.jpg']")
    rendered(page)
    for name, label in (
        ("compare", "Compare"),
        ("show-depth", "Depth"),
        ("undo", "Undo"),
        ("help-button", "Help"),
    ):
        button = page.locator(f"#{name}")
        assert button.inner_text() == label
        box = button.bounding_box()
        assert box["width"] >= 44
        assert 0 <= box["x"] <= box["x"] + box["width"] <= width
    before = shown(page)
    changed(page, lambda: page.tap("#presets button:has-text('Night')"))
    night = shown(page)
    assert np.abs(night - before).max() > 8
    changed(page, lambda: page.tap("#undo"))
    np.testing.assert_allclose(shown(page), before, atol=2)
    changed(page, lambda: page.tap("#redo"))
    np.testing.assert_allclose(shown(page), night, atol=2)
    page.tap("#tabs [data-tab=focus]")
    box = page.locator("[data-edge=far]").bounding_box()
    assert box["width"] >= 22
    page.tap("#tabs [data-tab=look]")
    assert page.locator(".shapes label", has_text="Heart").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.querySelector('.bar').scrollWidth") <= width
    assert not watch.errors
    context.close()


# --- keyboard and assistive technology ---------------------------------------------------------------------------


def test_everything_is_done_by_keyboard(page) -> None:
    open_photo(page, CUP)
    for name in ("strength", "focus_range", "background_blur", "foreground_blur", "highlights"):
        page.focus(f"#{name}")
        usual = text(page, name)
        changed(page, lambda: page.keyboard.press("ArrowRight"))
        assert text(page, name) != usual
        assert page.get_attribute(f"#{name}", "aria-valuetext") == text(page, name)
        changed(page, lambda: page.keyboard.press("Control+z"))
        assert text(page, name) == usual
    page.focus("#presets button")
    changed(page, lambda: page.keyboard.press("Enter"))
    assert page.locator("#presets [aria-pressed=true]").count() == 1
    page.focus("input[name=shape]:checked")
    changed(page, lambda: page.keyboard.press("ArrowRight"))
    assert page.locator("input[name=shape]:checked").get_attribute("value") == "blades:6"
    page.focus("#view")
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    changed(page, lambda: page.keyboard.press("ArrowLeft"))
    changed(page, lambda: page.keyboard.press("Control+z"))
    assert page.locator("#focus-text").inner_text() == "On the subject"  # four steps at once are one


def test_axe_finds_nothing_on_the_new_parts(page, browser, server, axe) -> None:
    without_clear_subject(page, server)
    open_photo(page, CUP)
    page.click("summary")
    check_axe(page, axe)
    slide(page, "f_number", 2)
    page.wait_for_selector("#view.quick")
    check_axe(page, axe)
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    phone = context.new_page()
    phone.goto(server.url)
    phone.wait_for_selector("body[data-service=ready]")
    phone.tap("[data-sample='coffee.jpg']")
    phone.wait_for_selector(FULL, timeout=120_000)
    for tab in ("aperture", "focus", "look", "repair", "save"):
        phone.tap(f"#tabs [data-tab={tab}]")
        check_axe(phone, axe)
    context.close()


def check_axe(page, axe: str) -> None:
    found = page.evaluate(f"(() => {{ {axe}; return axe.run(); }})()")
    assert not [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]]
