"""What the container files claim, as far as can be told without building the image."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]


def test_what_it_copies_is_in_the_repository_and_not_ignored() -> None:
    ignored = set((ROOT / ".dockerignore").read_text("utf-8").split())
    copied = [names.split()[:-1] for names in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)]
    assert len(copied) == 3
    for name in (each for names in copied for each in names):
        assert (ROOT / name).exists(), name
        assert not {name, *map(str, Path(name).parents)} & ignored, name
    assert (ROOT / "pyproject.toml").read_text("utf-8").count('"LICENSE", "NOTICE"') >= 1, (
        "the build needs both"
    )


def test_its_extras_exist_and_read_heic() -> None:
    (line,) = re.findall(r"^ARG EXTRAS=(.*)$", DOCKERFILE, re.MULTILINE)
    assert "heif" in line.split(",")
    assert set(line.split(",")) <= set(EXTRAS)


def started(*arguments: str, folder: Path) -> str:
    """What the entry point would start, with a `deeplens` that prints its arguments."""
    command = folder / "deeplens"
    command.write_text('#!/bin/sh\necho deeplens "$@"\n')
    command.chmod(0o755)
    environment = os.environ | {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "NUMBA_CACHE_DIR": str(folder / "numba"),
    }
    ended = subprocess.run(
        [ROOT / "scripts" / "container", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout.strip()


@pytest.mark.parametrize(
    ("given", "runs"),
    [
        ([], "deeplens serve --host 0.0.0.0"),
        (["--token-file", "/run/token"], "deeplens serve --host 0.0.0.0 --token-file /run/token"),
        (["blur", "in.jpg", "-o", "out.jpg"], "deeplens blur in.jpg -o out.jpg"),
        (["doctor"], "deeplens doctor"),
    ],
)
def test_it_starts_the_service_or_a_command(given, runs, tmp_path) -> None:
    assert 'ENTRYPOINT ["deeplens-container"]' in DOCKERFILE
    assert started(*given, folder=tmp_path) == runs


def test_the_services_of_compose_are_those_of_the_documents() -> None:
    yaml = pytest.importorskip("yaml", reason="reads compose.yaml: pip install pyyaml")
    services = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
    assert set(services) == {"deeplens", "blur"}
    assert services["deeplens"]["ports"] == ["127.0.0.1:8000:8000"], "this machine only"
    assert services["blur"]["entrypoint"] == ["deeplens-container", "blur"]
    (volume,) = services["blur"]["volumes"]
    (workdir,) = re.findall(r"^WORKDIR (/photos)$", DOCKERFILE, re.MULTILINE)
    assert volume.endswith(f":{workdir}")


def test_advice_about_extras_names_both_ways() -> None:
    """Every message goes through `install_extra`, which names an index and a checkout, and the extras that there are."""
    sources = [path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py")]
    assert sum("pip install 'deeplens-dof[" in text for text in sources) == 1
    named = {name for text in sources for name in re.findall(r"install_extra\('(\w+)'\)", text)}
    assert {"learn", "heif", "ray"} <= named <= set(EXTRAS)
