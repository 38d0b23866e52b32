"""The routes of the contract, and every way to use them wrongly."""

from __future__ import annotations

import io
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from conftest import LIMITS, detail, opened, picture, two_depths
from face_samples import group
from PIL import Image
from PIL.ExifTags import IFD

import deeplens_dof as dl
from deeplens_dof.cli import app
from deeplens_dof.cli.blur import _option_name
from deeplens_dof.photo.metadata.xmp import recorded_settings
from deeplens_dof.settings import setting_fields

FOCUS_LEFT, FOCUS_RIGHT = {"focus": "0.25,0.5", "focus_range": 0}, {"focus": "0.75,0.5", "focus_range": 0}


@pytest.fixture
def photo(client: httpx.Client) -> dict[str, object]:
    answer = client.post("/v1/photos", files={"file": picture(), "depth": two_depths()})
    assert answer.status_code == 201, answer.text
    return answer.json()


def is_problem(answer: httpx.Response, status: int, *words: str) -> dict[str, object]:
    """The problem in an answer, after checking that it is one and speaks of these words."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["type"]
    assert problem["title"]
    for word in words:
        assert word in problem["detail"], problem
    return problem


def blurred(client: httpx.Client, photo: dict[str, object], **query: object) -> np.ndarray:
    answer = client.get(f"/v1/photos/{photo['id']}/blur", params=query)
    assert answer.status_code == 200, answer.text
    return opened(answer.content)


def test_a_photo_is_sent_once_and_refocused(client, photo) -> None:
    assert (photo["width"], photo["height"]) == (240, 160)
    assert photo["depth_source"].endswith("depth.png") or photo["depth_source"] == "given"
    assert all(0 <= part <= 1 for part in photo["subject"])
    left, right = blurred(client, photo, **FOCUS_LEFT), blurred(client, photo, **FOCUS_RIGHT)
    near, far = np.s_[:, 10:100], np.s_[:, 140:230]
    assert detail(left[near]) > 3 * detail(left[far])
    assert detail(right[far]) > 3 * detail(right[near])


def test_a_predicted_photo_says_so(client) -> None:
    facts = client.post("/v1/photos", files={"file": picture()}).json()
    assert set(facts) == {
        "id",
        "width",
        "height",
        "subject",
        "subject_confidence",
        "depth_source",
        "f_number",
        "faces",
    }
    assert facts["f_number"] == 1.8
    assert facts["depth_source"] == "predicted"
    assert facts["faces"] == []


def as_png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def test_faces_are_told_and_may_be_the_focus(client) -> None:
    rgb = group([(30, 60, 120), (400, 90, 140)], 320, 640)
    near = np.tile(np.where(np.arange(640) < 320, 255, 60).astype(np.uint8), (320, 1))
    files = {"file": as_png(rgb), "depth": as_png(near)}
    facts = client.post("/v1/photos", files=files).json()
    assert len(facts["faces"]) == 2
    for face in facts["faces"]:
        left, top, right, bottom = face["box"]
        assert all(left < x < right and top < y < bottom for x, y in face["eyes"])
        assert face["focus"] in face["eyes"]
        assert 0.6 < face["score"] <= 1
    answers = {
        focus: client.get(f"/v1/photos/{facts['id']}/blur", params={"focus": focus, "size": "preview"})
        for focus in ("face", "faces")
    }
    depths = {focus: float(answer.headers["DeepLens-Focus-Depth"]) for focus, answer in answers.items()}
    assert depths["faces"] == pytest.approx(0.5, abs=0.05)
    first = facts["faces"][0]["focus"]
    assert answers["face"].headers["DeepLens-Focus"] == "{:.6g},{:.6g}".format(*first)
    assert depths["face"] == pytest.approx(float(first[0] < 0.5), abs=0.05)


@pytest.mark.parametrize("focus", ["face", "faces"])
def test_a_focus_on_faces_that_are_not_there_is_a_problem(client, photo, focus) -> None:
    answer = client.get(f"/v1/photos/{photo['id']}/blur", params={"focus": focus})
    is_problem(answer, 422, "no face was found", "give a point X,Y")


def test_the_description_names_the_faces_of_a_photo(client) -> None:
    described = client.get("/openapi.json").json()
    posted = described["paths"]["/v1/photos"]["post"]["responses"]["201"]
    schemas = described["components"]["schemas"]
    sent = schemas[posted["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]]
    face = schemas[sent["properties"]["faces"]["items"]["$ref"].rpartition("/")[2]]
    assert set(face["required"]) == {"box", "eyes", "focus", "score"}


def test_the_overlay_shows_the_parts_in_focus(client, photo) -> None:
    answer = client.get(f"/v1/photos/{photo['id']}/overlay", params={**FOCUS_LEFT, "size": "full"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    shown = opened(answer.content).astype(int)
    assert shown.shape == (160, 240, 3)
    red, green, _ = np.moveaxis(shown, 2, 0)
    assert (green[:, 10:100] > red[:, 10:100]).mean() > 0.9  # in focus
    assert (red[:, 140:230] > green[:, 140:230]).mean() > 0.9  # farther
    assert client.get(f"/v1/photos/{photo['id']}/overlay", params={"focus": "2,2"}).status_code == 422
    assert client.get("/v1/photos/nothing/overlay").status_code == 404


def test_a_smaller_f_number_blurs_more(client, photo) -> None:
    f2, f8 = (blurred(client, photo, **FOCUS_LEFT, f_number=n)[:, 140:230] for n in (2, 8))
    assert detail(f2) < detail(f8)


def test_the_focus_is_told_in_the_headers(client, photo) -> None:
    answer = client.get(f"/v1/photos/{photo['id']}/blur", params=FOCUS_LEFT)
    assert answer.headers["deeplens-focus"] == "0.25,0.5"
    assert float(answer.headers["deeplens-focus-depth"]) == pytest.approx(1, abs=0.01)


def test_a_preview_is_smaller_and_a_full_picture_is_not(client) -> None:
    facts = client.post("/v1/photos", files={"file": picture(600, 400)}).json()
    assert blurred(client, facts, size="full").shape == (400, 600, 3)
    height, width, _ = blurred(client, facts, size="preview", lens_points=32).shape
    assert width * height == pytest.approx(LIMITS["preview_pixels"], rel=0.02)


def test_png_keeps_16_bits(client) -> None:
    deep = dl.Photo(np.random.default_rng(0).integers(0, 65536, (90, 120, 3)).astype(np.uint16)).to_bytes(
        format="PNG"
    )
    answer = client.post("/v1/blur", files={"file": deep}, params={"format": "png"})
    assert answer.headers["content-type"] == "image/png"
    assert dl.read(answer.content).pixels.dtype == np.uint16


def test_one_shot_takes_settings_from_query_and_form_and_stores_nothing(client) -> None:
    files = {"file": picture(), "depth": two_depths()}
    by_query = client.post("/v1/blur", files=files, params={**FOCUS_LEFT, "f_number": 2})
    by_form = client.post("/v1/blur", files=files, data={**FOCUS_LEFT, "f_number": "2"})
    assert by_query.status_code == by_form.status_code == 200
    assert by_query.content == by_form.content


def test_depth_goes_out_and_comes_back_the_same(client, photo) -> None:
    address = f"/v1/photos/{photo['id']}/depth"
    before = client.get(address)
    assert Image.open(io.BytesIO(before.content)).mode == "I;16"
    picture_before = client.get(f"/v1/photos/{photo['id']}/blur", params=FOCUS_LEFT).content
    assert (
        client.put(address, content=before.content, headers={"content-type": "image/png"}).status_code == 204
    )
    after = client.get(address)
    np.testing.assert_array_equal(*(np.asarray(Image.open(io.BytesIO(a.content))) for a in (before, after)))
    assert client.get(f"/v1/photos/{photo['id']}/blur", params=FOCUS_LEFT).content == picture_before


def test_a_repair_at_preview_size_changes_only_what_was_painted(client) -> None:
    facts = client.post("/v1/photos", files={"file": picture(600, 400), "depth": two_depths(600, 400)}).json()
    address = f"/v1/photos/{facts['id']}/depth"

    def depth(size: str) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(client.get(address, params={"size": size}).content))).astype(
            int
        )

    full, small = depth("full"), depth("preview")
    painted = small.copy()
    painted[20:60, -80:-40] = 65535
    stream = io.BytesIO()
    Image.fromarray(painted.astype(np.uint16)).save(stream, "PNG")
    assert client.put(address, content=stream.getvalue()).status_code == 204
    repaired = depth("full")
    scale = 600 / small.shape[1]
    inside = np.s_[int(24 * scale) : int(56 * scale), 600 - int(76 * scale) : 600 - int(44 * scale)]
    assert (repaired[inside] > 65000).all()
    np.testing.assert_allclose(repaired[:, :300], full[:, :300], atol=1)
    stream = io.BytesIO()
    Image.fromarray(small.astype(np.uint16)).save(stream, "PNG")
    assert client.put(address, content=stream.getvalue()).status_code == 204  # undone
    np.testing.assert_allclose(depth("full"), full, atol=1)


def test_the_place_is_left_out_unless_it_is_asked_for(client) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    exif.get_ifd(IFD.GPSInfo).update({1: "N", 2: (48.0, 12.0, 30.5), 3: "E", 4: (16.0, 22.0, 1.25)})
    files = {"file": picture(exif=exif)}
    stripped = Image.open(io.BytesIO(client.post("/v1/blur", files=files).content)).getexif()
    assert stripped[0x010F] == "Camera"
    assert not stripped.get_ifd(IFD.GPSInfo)
    kept = Image.open(
        io.BytesIO(client.post("/v1/blur", files=files, params={"keep_gps": True}).content)
    ).getexif()
    assert kept.get_ifd(IFD.GPSInfo)[1] == "N"


def test_a_deleted_photo_is_gone(client, photo) -> None:
    address = f"/v1/photos/{photo['id']}"
    assert client.delete(address).status_code == 204
    is_problem(client.delete(address), 404, "send it again")
    is_problem(client.get(f"{address}/blur"), 404)


@pytest.mark.parametrize("id", ["x", "A" * 22, "%2e%2e%2fetc", "a" * 5000, "\u00e9", "%00"])
@pytest.mark.parametrize("rest", ["blur", "depth", "original"])
def test_ids_that_are_none(client, id, rest) -> None:
    is_problem(client.get(f"/v1/photos/{id}/{rest}"), 404)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("f_number=nan", "f_number"),
        ("f_number=inf", "f_number"),
        ("f_number=0", "f_number"),
        ("lens_mm=1e9", "lens_mm"),
        ("focus=2,2", "focus"),
        ("focus=nan,0", "focus"),
        ("focus=", "focus"),
        ("shape=starr", "shape"),
        ("shape=/etc/passwd.png", "file"),
        ("shape=../../kernel.png", "file"),
        ("renderer=magic", "renderer"),
        ("size=huge", "size"),
        ("format=gif", "format"),
        ("lens_points=0", "lens_points"),
        ("unknown=1", "unknown"),
    ],
)
def test_wrong_parameters_are_named(client, photo, query, words) -> None:
    problem = is_problem(client.get(f"/v1/photos/{photo['id']}/blur?{query}"), 422, words)
    assert problem["errors"][0]["parameter"] == query.partition("=")[0]


def test_a_lens_that_blurs_too_much_is_refused(client, photo) -> None:
    is_problem(
        client.get(f"/v1/photos/{photo['id']}/blur", params={**FOCUS_LEFT, "lens_mm": 1200, "f_number": 0.7}),
        422,
        "blur by",
    )


def test_a_shape_that_the_renderer_does_not_know_is_refused(client, photo) -> None:
    asked = {**FOCUS_LEFT, "renderer": "paper", "shape": "ring"}
    is_problem(client.get(f"/v1/photos/{photo['id']}/blur", params=asked), 422, "knows the disc alone")


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"", 415, "empty"),
        (b"hello, this is no picture", 415, "text file"),
        (b"%PDF-1.4 ...", 415, "expected"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "expected"),
        (picture()[:3000], 422, "damaged"),
        (picture(4001, 4, "PNG"), 413, "at most"),
        (picture(2500, 2000, "PNG"), 413, "megapixels"),
    ],
    ids=["empty", "text", "pdf", "svg", "truncated", "too wide", "too large"],
)
def test_files_that_are_no_photos(client, data, status, words) -> None:
    is_problem(client.post("/v1/photos", files={"file": data}), status, words)


def test_forms_that_are_wrong(client) -> None:
    is_problem(client.post("/v1/photos"), 415, "multipart")
    is_problem(client.post("/v1/photos", json={"file": "http://example.com/a.jpg"}), 415)
    is_problem(client.post("/v1/photos", files={"depth": two_depths()}), 422, "no file")
    is_problem(client.post("/v1/photos", data={"file": "https://example.com/a.jpg"}, files={"x": b""}), 422)
    is_problem(client.post("/v1/photos", files={"file": picture(), "depth": b"text"}), 415, "depth")
    wrong = client.post("/v1/photos", files={"file": picture(), "depth": two_depths(160, 240)})
    is_problem(wrong, 422, "aspect")
    is_problem(client.post("/v1/photos", content=b"x", headers={"content-type": "multipart/form-data"}), 400)
    is_problem(client.post("/v1/photos", files={"file": picture()}, data={"focus": "1,1"}), 422, "focus")


def test_depth_that_is_none_is_refused_and_the_old_one_stays(client, photo) -> None:
    address = f"/v1/photos/{photo['id']}/depth"
    before = client.get(address).content
    is_problem(client.put(address, content=b"no"), 415, "PNG")
    is_problem(client.put(address, content=two_depths()[:120]), 422)
    is_problem(client.put(address, content=picture(240, 160, "PNG")), 422, "colour")
    is_problem(client.put(address, content=picture(4001, 4, "PNG")), 413, "at most")  # the limits of a photo
    assert client.get(address).content == before


def test_bodies_over_the_limit(client) -> None:
    too_much = b"x" * (LIMITS["max_body_bytes"] + 1)
    is_problem(client.post("/v1/photos", files={"file": too_much}), 413, "smaller")

    def parts():
        yield from (
            b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n',
            *[b"x" * 100_000] * 32,
        )

    headers = {"content-type": "multipart/form-data; boundary=b"}
    is_problem(client.post("/v1/photos", content=parts(), headers=headers), 413, "smaller")


def test_the_frameworks_own_errors_are_problems(client, server) -> None:
    is_problem(client.get("/nothing"), 404)
    is_problem(client.get("/../../etc/passwd"), 404)
    is_problem(client.get("/..%2f..%2fetc%2fpasswd"), 404)
    is_problem(client.post("/v1/limits"), 405)
    is_problem(client.request("OPTIONS", "/v1/photos"), 405)
    with socket.create_connection(server.address) as raw:
        raw.sendall(b"this is no HTTP\r\n\r\n")
        answer = raw.makefile("rb").read()
    assert b" 400 " in answer.splitlines()[0]
    assert b"application/problem+json" in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == 400


def test_who_may_ask(client) -> None:
    is_problem(client.get("/healthz", headers={"host": "evil.example"}), 421)
    is_problem(client.get("/v1/limits", headers={"host": "127.0.0.1.evil.example:80"}), 421)
    is_problem(client.get("/v1/limits", headers={"origin": "http://evil.example"}), 403)
    is_problem(client.post("/v1/blur", headers={"origin": "null"}), 403)
    is_problem(client.get("/v1/limits", headers={"sec-fetch-site": "cross-site"}), 403)
    same = {"origin": str(client.base_url).rstrip("/"), "sec-fetch-site": "same-origin"}
    answer = client.get("/v1/limits", headers=same)
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/", "/v1/limits", "/nothing", "/main.js"])
def test_headers_of_safety_are_everywhere(client, path) -> None:
    headers = client.get(path, headers={"x-request-id": "my-id_1.2"}).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-request-id"] == "my-id_1.2"
    assert "server" not in headers
    assert client.get(path, headers={"x-request-id": "bad id <>"}).headers["x-request-id"] != "bad id <>"


def test_slow_senders_are_cut_off(server) -> None:
    for begin in (b"GET / HTTP/1.1\r\nHost: 127", b"", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"):
        with socket.create_connection(server.address) as raw:
            raw.settimeout(20)
            started = time.monotonic()
            raw.sendall(begin)
            while raw.recv(65536):
                pass
            assert time.monotonic() - started < 8
    with socket.create_connection(server.address) as raw:
        head = "POST /v1/photos HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
        head += "Content-Type: multipart/form-data; boundary=b\r\n\r\n--b"
        raw.sendall(head.encode())
        raw.settimeout(20)
        answer = raw.recv(65536)
        assert b" 408 " in answer.splitlines()[0]
        assert b"application/problem+json" in answer


def test_a_full_queue_answers_429_and_loses_nobody(server) -> None:
    data = picture(1200, 900)

    def send(_: int) -> httpx.Response:
        with server.client() as client:
            return client.post("/v1/blur", files={"file": data})

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(send, range(16)))
    assert {answer.status_code for answer in answers} == {200, 429}
    for answer in answers:
        if answer.status_code == 429:
            assert 1 <= int(answer.headers["retry-after"]) <= 60
            is_problem(answer, 429, "again")


def test_who_hangs_up_is_not_worked_for(server, client) -> None:
    gone = 'deeplens_jobs_failed_total{reason="gone"}'
    body = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        + picture(900, 700)
        + b"\r\n--b--\r\n"
    )
    head = f"POST /v1/blur HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    head += "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    with socket.create_connection(server.address) as raw:
        raw.sendall(head.encode() + body)
        time.sleep(0.3)
    deadline = time.monotonic() + 20
    while gone not in client.get("/metrics").text:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    log = (server.folder / "log").read_text()
    assert "Traceback" not in log
    assert '"status": 499' in log


def test_a_killed_worker_costs_only_its_job(server, client, photo) -> None:
    slow = picture(1900, 1500)
    with ThreadPoolExecutor(1) as threads:
        sent = threads.submit(lambda: server.client().post("/v1/blur", files={"file": slow}))
        deadline = time.monotonic() + 20
        while (
            "deeplens_jobs_unfinished 1.0" not in client.get("/metrics").text and time.monotonic() < deadline
        ):
            time.sleep(0.02)
        (worker,) = server.workers()
        worker.kill()
        assert client.get("/healthz").status_code == 200
        is_problem(sent.result(), 503, "try again")
    assert blurred(client, photo, **FOCUS_LEFT).shape == (160, 240, 3)  # from its folder, by the new worker


def test_a_stored_photo_is_described_again(client, photo) -> None:
    assert client.get(f"/v1/photos/{photo['id']}").json() == photo
    assert client.delete(f"/v1/photos/{photo['id']}").status_code == 204
    is_problem(client.get(f"/v1/photos/{photo['id']}"), 404, "send it again")


def test_a_phones_photo_has_the_f_number_that_the_phone_simulated(client) -> None:
    pytest.importorskip("pillow_heif", reason="HEIC needs pillow-heif (extra [heif])")
    import heif_files as heif
    import photo_samples as samples

    depth = np.repeat(np.linspace(0, 250, 160)[None], 120, 0).astype(np.uint8)
    packet = heif.apple_xmp(SimulatedAperture=5.6, Accuracy="relative")
    file = heif.portrait(samples.picture(240, 320), depth, depth_xmp=packet)
    facts = client.post("/v1/photos", files={"file": file}).json()
    assert facts["f_number"] == 5.6
    own, chosen, other = (
        blurred(client, facts, **query) for query in ({}, {"f_number": 5.6}, {"f_number": 1.8})
    )
    assert np.array_equal(own, chosen)
    assert not np.array_equal(own, other)
    once = client.post("/v1/blur", files={"file": file})
    assert recorded_settings(dl.read(once.content).xmp)["f_number"] == "5.6"
    once = client.post("/v1/blur", files={"file": file}, data={"f_number": "1.8"})
    assert recorded_settings(dl.read(once.content).xmp)["f_number"] == "1.8"


def test_the_quality_of_a_jpeg_is_chosen(client, photo) -> None:
    address = f"/v1/photos/{photo['id']}/blur"
    sizes = [len(client.get(address, params={"quality": quality}).content) for quality in (20, 60, 95)]
    assert sizes[0] < sizes[1] < sizes[2]
    is_problem(client.get(address, params={"quality": 101}), 422)


def test_limits_health_and_metrics(client) -> None:
    limits = client.get("/v1/limits").json()
    assert LIMITS.items() <= limits.items()
    assert client.get("/healthz").json() == {"status": "alive"}
    assert client.get("/readyz").status_code == 200
    text = client.get("/metrics").text
    for name in (
        "deeplens_requests_total",
        "deeplens_job_seconds_bucket",
        "deeplens_photos_stored",
        "deeplens_ready 1.0",
    ):
        assert name in text


def test_settings_command_line_http_and_page_agree(client) -> None:
    names = [each.name for each in setting_fields()]
    schema = client.get("/openapi.json").json()
    query = {each["name"]: each for each in schema["paths"]["/v1/photos/{id}/blur"]["get"]["parameters"]}
    told = {each["name"]: each for each in client.get("/v1/settings").json()}
    assert list(told) == names
    options = next(
        each for each in app.registered_commands if each.name == "blur"
    ).callback.__signature__.parameters
    for each in setting_fields():
        facts, parameter = each.metadata, query[each.name]
        assert each.name in options
        assert _option_name(each.name) == f"--{each.name.replace('_', '-')}"
        assert parameter["schema"]["default"] == each.default == told[each.name]["default"]
        assert parameter["description"] == facts["help"] == told[each.name]["help"]
        if facts["low"] is not None:
            assert (parameter["schema"]["minimum"], parameter["schema"]["maximum"]) == (
                facts["low"],
                facts["high"],
            )
            assert (told[each.name]["low"], told[each.name]["high"]) == (facts["low"], facts["high"])
