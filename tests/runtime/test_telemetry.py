"""Nothing is sent and nothing is written beside the results, whichever extra is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from deeplens_dof.runtime.telemetry import without_telemetry

SAMPLES = Path(__file__).parents[1] / "samples"
# Extra -> the package that has to be there, and a use of it as DeepLens makes it.
USES = {
    "base": ("onnxruntime", "from deeplens_dof.warmup import try_out; try_out((90, 120))"),
    "openvino": (
        "openvino",
        "import os; os.environ['DEEPLENS_RUNTIME'] = 'openvino'\n"
        "from deeplens_dof.warmup import try_out; try_out((90, 120))",
    ),
    "heif": ("pillow_heif", "dl.read(dl.Photo(picture).to_bytes(format='HEIF'))"),
    "raw": (
        "rawpy",
        "import raw_samples; dl.read(raw_samples.dng(raw_samples.four_patches(24, 32)))",
    ),
    "jxl": ("brotli", "dl.read(dl.Photo(picture).to_bytes(format='JXL'))"),
    "hdf5": ("h5py", "import deeplens_dof.datasets.nyuv2, h5py"),
    "learn": (
        "torch",
        "import onnx, moderngl, cv2, torch\n"
        "from deeplens_dof.learn.training.distributed import Together; Together()\n"
        "from deeplens_dof.learn import DeepLens; DeepLens.from_pretrained()",
    ),
    "ray": (
        "ray",
        "from deeplens_dof.runtime.telemetry import without_telemetry\n"
        "with without_telemetry(): import ray\n"
        "from ray._private.usage import usage_lib; assert not usage_lib.usage_stats_enabled()",
    ),
}
# Notes every address that is looked up or reached, and every file opened for writing outside the caches.
HOOK = """
import os, sys
caches = [os.path.realpath(os.environ[name]) for name in ("TMPDIR", "NUMBA_CACHE_DIR")]
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "socket.sendmsg"):
        found.append(f"{event} {arguments[1:] if event == 'socket.connect' else arguments}")
    elif event == "open" and isinstance(arguments[0], (str, bytes)):
        path, flags = os.fsdecode(arguments[0]), arguments[2]
        if flags & (os.O_WRONLY | os.O_RDWR) and not path.startswith(("/dev/", "/proc/")):
            if not any(os.path.realpath(path).startswith(cache) for cache in caches):
                found.append(f"writes {path}")
found = []
sys.addaudithook(watch)
import numpy as np
import deeplens_dof as dl
picture = np.random.default_rng(1).integers(0, 256, (32, 48, 3)).astype(np.uint8)
"""


def run(code: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    home, temporary = folder / "home", folder / "temporary"
    for each in (home, temporary):
        each.mkdir()
    caches = {"NUMBA_CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR", tempfile.gettempdir() + "/numba-of-tests")}
    variables = {
        **os.environ,
        **caches,
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "XDG_CACHE_HOME": str(home),
    }
    for name in ("RAY_USAGE_STATS_ENABLED", "HF_HUB_DISABLE_TELEMETRY", "CI"):
        variables.pop(name, None)
    variables |= {
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": os.pathsep.join([*sys.path, str(SAMPLES)]),
        **more,
    }
    return subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, timeout=550
    )


@pytest.mark.parametrize("extra", USES)
def test_no_extra_sends_or_notes_anything(extra: str, tmp_path: Path) -> None:
    package, use = USES[extra]
    if find_spec(package) is None:
        pytest.skip(f"needs the extra [{extra}]")
    done = run(f"{HOOK}\n{use}\nassert not found, found\n", tmp_path)
    assert done.returncode == 0, done.stderr
    assert [str(path) for path in (tmp_path / "home").rglob("*")] == []


def test_the_hook_sees_what_it_is_there_for(tmp_path: Path) -> None:
    use = "import socket\ntry: socket.create_connection(('127.0.0.1', 1))\nexcept OSError: pass\n"
    use += "open(os.path.expanduser('~/cid'), 'w').close()\nprint(*found, sep='\\n')"
    done = run(f"{HOOK}\n{use}", tmp_path)
    assert "socket.connect" in done.stdout
    assert "cid" in done.stdout


def test_a_sender_is_missing_within_the_block_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "openvino_telemetry.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "openvino_telemetry", raising=False)
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    with without_telemetry(), pytest.raises(ImportError):
        __import__("openvino_telemetry")
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"
    first = __import__("openvino_telemetry")
    with without_telemetry():
        assert sys.modules["openvino_telemetry"] is None
    assert sys.modules["openvino_telemetry"] is first
