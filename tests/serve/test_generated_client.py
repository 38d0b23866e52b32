"""A client that openapi-python-client generates from the description sends a photo and refocuses it."""

from __future__ import annotations

import importlib
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from conftest import detail, opened, picture, two_depths

from deeplens_dof.serve.app import create_app
from deeplens_dof.settings import Settings

# What docs/serve.md advises: the generator knows pictures as files only by another name.
CONFIG = {
    "content_type_overrides": {
        "image/jpeg": "application/octet-stream",
        "image/png": "application/octet-stream",
    },
    "post_hooks": [],
}


@pytest.fixture(scope="module")
def generated(tmp_path_factory) -> Any:
    """Imports a module of the generated client by its name."""
    pytest.importorskip(
        "openapi_python_client", reason="generates a client: pip install openapi-python-client"
    )
    folder = tmp_path_factory.mktemp("generated")
    (folder / "openapi.json").write_text(json.dumps(create_app().openapi()))
    (folder / "config.json").write_text(json.dumps(CONFIG))
    command = [
        shutil.which("openapi-python-client", path=str(Path(sys.executable).parent))
        or "openapi-python-client"
    ]
    command += ["generate", "--path", "openapi.json", "--config", "config.json"]
    command += ["--meta", "none", "--output-path", "deeplens_client"]
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=True)
    assert "arning" not in made.stdout + made.stderr, made.stdout
    sys.path.insert(0, str(folder))

    def module(name: str) -> ModuleType:
        return importlib.import_module(f"deeplens_client.{name}")

    yield module
    sys.path.remove(str(folder))


def test_a_generated_client_refocuses_a_photo(generated, server) -> None:
    client = generated("client").Client(
        base_url=server.url, timeout=httpx.Timeout(120), httpx_args={"trust_env": False}
    )
    file, models = generated("types").File, generated("models")
    body = models.SendPhotoBody(
        file=file(payload=io.BytesIO(picture()), file_name="photo.jpg"),
        depth=file(payload=io.BytesIO(two_depths()), file_name="depth.png"),
    )
    sent = generated("api.default.send_photo").sync(client=client, body=body)
    assert isinstance(sent, models.SentPhoto)
    assert (sent.width, sent.height) == (240, 160)
    blur = generated("api.default.get_blur").sync
    left = opened(blur(sent.id, client=client, focus="0.25,0.5", focus_range=0.0).payload.read())
    assert left.shape == (160, 240, 3)
    assert detail(left[:, 10:100]) > 3 * detail(left[:, 140:230])
    refused = blur("0" * 32, client=client)
    assert isinstance(refused, models.Problem)
    assert refused.status == 404


def test_every_operation_has_a_name_and_every_answer_a_schema() -> None:
    paths = create_app().openapi()["paths"]
    operations = [operation for item in paths.values() for operation in item.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    assert {"send_photo", "get_blur", "delete_photo"} <= set(names)
    for operation in operations:
        for status, answer in operation["responses"].items():
            for kind, content in answer.get("content", {}).items():
                assert content["schema"], (operation["operationId"], status, kind)
    (created,) = paths["/v1/photos"]["post"]["responses"]["201"]["content"].values()
    assert created["schema"] == {"$ref": "#/components/schemas/SentPhoto"}


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        (
            "focus",
            ("subject", "faces", "0.4,0.6", "0,1", "1.0,0.25"),
            ("0.4", "0.4;0.6", "1.2,0", "subjects"),
        ),
        ("shape", ("disc", "blades:7:0.3", "ring:0.5", "blades:6:0:-30"), ("hexagon", "blades:", "disc.png")),
    ],
)
def test_patterns_say_what_the_service_takes(name, right, wrong) -> None:
    parameters = create_app().openapi()["paths"]["/v1/photos/{id}/blur"]["get"]["parameters"]
    (pattern,) = (each["schema"]["pattern"] for each in parameters if each["name"] == name)
    for text in right:
        assert re.search(pattern, text)
        Settings(**{name: text})
    for text in wrong:
        assert not re.search(pattern, text)


def test_the_description_can_be_read_without_the_internet(server) -> None:
    with server.client() as client:
        page, style = client.get("/docs"), client.get("/docs.css")
    assert (page.status_code, style.headers["content-type"]) == (200, "text/css; charset=utf-8")
    for operation in ("send_photo", "get_blur"):
        assert f'id="{operation}"' in page.text
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "<script" not in page.text
