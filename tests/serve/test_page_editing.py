"""The page as a photo editor, in a real browser: one state, undo of everything, presets, what a reload keeps, plain words."""

from __future__ import annotations

import io
import json
import re
from itertools import pairwise

import numpy as np
import pytest
from conftest import detail, picture, two_depths
from page_driver import (
    CUP,
    PORTRAIT,
    changed,
    click,
    drag,
    open_photo,
    open_stripes,
    rendered,
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


def upload_answers(page, **facts: object):
    """Has the service's answer to an upload say something else."""

    def answer(route) -> None:
        response = route.fetch()
        route.fulfill(response=response, body=json.dumps(response.json() | facts))

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
