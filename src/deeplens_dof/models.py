"""The trained weights: one literal table, and the only code that knows their files and opens sessions of them.

Sessions are safe to run from several threads at once and are opened once per process. Where OpenVINO is installed (extra
`[openvino]`) it runs them, unless the environment says DEEPLENS_RUNTIME=onnxruntime; else ONNX Runtime does.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from .cores import VARIABLE, cores

RUNTIMES = ("onnxruntime", "openvino")


class Session(Protocol):
    """What the two runtimes have in common."""

    def run(self, output_names: list[str] | None, feed: dict[str, Any]) -> list[Any]: ...
    def get_inputs(self) -> list[Any]: ...  # each has a `name`
    def get_outputs(self) -> list[Any]: ...


@dataclass(frozen=True, slots=True)
class Model:
    """One trained network.

    file: name in the folder `weights`, with its SHA-256. task: what it predicts, in words. input_name: (1, 3,
    H, W) float32, for depth sRGB 0..1; H and W are multiples of `multiple_px` and the longer one is near
    `long_side_px`, the size it was trained at. output_name: what to ask for. matte_name: the output that tells the
    subject, where there is one.
    """

    file: str
    sha256: str
    licence: str
    task: str
    input_name: str
    output_name: str
    multiple_px: int
    long_side_px: int
    matte_name: str = "matte"

    @property
    def path(self) -> Path:
        return WEIGHTS / self.file


WEIGHTS = Path(__file__).parent / "weights"

MODELS: dict[str, Model] = {
    "depth": Model(
        file="depth.onnx",
        sha256="00a3bb0d80295194e83e624fd0da11e6304886ac27865acb311d50293cc2d984",
        licence="Apache-2.0",
        task="relative inverse depth of one photo, and the matte of its subject",
        input_name="rgb",
        output_name="inverse_depth",
        multiple_px=28,
        long_side_px=532,
    ),
    "lens_blur": Model(
        file="lens_blur.onnx",
        sha256="78676b86ea4b8a458cdf843ba03a1451c2f1866d60c55314cfe9450329978561",
        licence="Apache-2.0",
        task="the borders of near things taken apart: alpha and colour of the near surface, and what is behind it",
        input_name="light",
        output_name="parted",
        multiple_px=16,
        long_side_px=576,
    ),
    "upsample": Model(
        file="upsample.onnx",
        sha256="a2ab4b6be38d02e643bac3476f582fb5fe734f61729e688012aa02e6aba10e63",
        licence="Apache-2.0",
        task="how a lens blur of half the size and the sharp photo make one of the photo's size",
        input_name="features",
        output_name="logits",
        multiple_px=1,
        long_side_px=36,
    ),
    "paper": Model(
        file="paper.onnx",
        sha256="0a6c29ca099319e15bc21293075558a571e901047b210f9f6bf061a1444d900f",
        licence="Apache-2.0",
        task="a lens blur of at most 7 px, as the DeepLens paper of 2018 has it",
        input_name="srgb",
        output_name="blurred",
        multiple_px=8,
        long_side_px=512,
    ),
    "light": Model(
        file="light.onnx",
        sha256="20908aeee483ae859a31db2fd924b6d5d7c5743dec0bdb40823e1642455d7408",
        licence="Apache-2.0",
        task="how far the light of a photo exceeds white where it is clipped, as a logarithm",
        input_name="srgb",
        output_name="gain",
        multiple_px=32,
        long_side_px=1280,
    ),
}


def list_models() -> dict[str, Model]:
    """Every model by name."""
    return dict(MODELS)


def verify(name: str) -> Path:
    """The weights' path, after comparing their SHA-256 with the table.

    Raises ValueError for an unknown name, FileNotFoundError and OSError for a missing or unreadable file and
    for one whose bytes differ.
    """
    model = _find(name)
    if not model.path.is_file():
        raise FileNotFoundError(
            f"the weights {model.file} of {name!r} are missing from {WEIGHTS}; reinstall deeplens-dof"
        )
    with model.path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != model.sha256:
        raise OSError(
            f"the weights {model.file} have SHA-256 {found}, expected {model.sha256}: the file is damaged "
            "or was replaced; reinstall deeplens-dof"
        )
    return model.path


def candidate(path: str | os.PathLike[str], like: str = "depth") -> Model:
    """A network of another file that is asked as `like` is: to be scored before it takes that place.

    Its SHA-256 is the file's own. Raises FileNotFoundError for no file, ValueError for an unknown name and for a file
    that is no such network.
    """
    known, file = _find(like), Path(path).expanduser().resolve()
    if not file.is_file():
        raise FileNotFoundError(f"there is no network at {str(path)!r}, expected an ONNX file")
    with file.open("rb") as stream:
        model = replace(known, file=str(file), sha256=hashlib.file_digest(stream, "sha256").hexdigest())
    try:
        session = open_session(model)
    except Exception as error:  # the runtimes raise kinds of their own
        reason = " ".join(str(error).split())
        raise ValueError(f"{file.name} is not a network that can be opened ({reason})") from error
    inputs, outputs = ({each.name for each in part} for part in (session.get_inputs(), session.get_outputs()))
    if known.input_name not in inputs or known.output_name not in outputs:
        raise ValueError(
            f"{file.name} takes {', '.join(sorted(inputs))} and gives {', '.join(sorted(outputs))}, expected "
            f"{known.input_name} and {known.output_name}"
        )
    return model


def open_session(which: str | Model, threads: int | None = None) -> Session:
    """The session of that model, opened and verified at the first call and shared after it.

    which: a name of the table, or a `candidate`. threads: for one inference; None is what DEEPLENS_THREADS says, or one
    per core. Each number of threads has its own session. Raises as `verify` does, and ValueError when threads is below 1
    or DEEPLENS_RUNTIME is none that is here.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"threads is {threads}, expected at least 1 or None")
    if threads is None and VARIABLE in os.environ:
        threads = cores()
    model = _find(which) if isinstance(which, str) else which
    with _lock:
        key = (model.sha256, threads, runtime())
        if key not in _sessions:
            if isinstance(which, str) and which not in _verified:
                verify(which)
                _verified.add(which)
            opened = _OpenVino if key[-1] == "openvino" else _onnxruntime
            _sessions[key] = opened(model.path, threads)
        return _sessions[key]


def runtime() -> str:
    """What runs the networks: "openvino" or "onnxruntime".

    Raises ValueError when DEEPLENS_RUNTIME names another, or OpenVINO where it is not installed.
    """
    installed = [name for name in RUNTIMES if find_spec(name) is not None]
    wanted = os.environ.get("DEEPLENS_RUNTIME") or installed[-1]
    if wanted not in installed:
        raise ValueError(
            f"DEEPLENS_RUNTIME is {wanted!r}, expected one of {', '.join(installed)}; OpenVINO comes with "
            "pip install 'deeplens-dof[openvino]'"
        )
    return wanted


_lock = Lock()
_sessions: dict[tuple[str, int | None, str], Session] = {}  # by SHA-256, threads and runtime
_verified: set[str] = set()


def _find(name: str) -> Model:
    if name not in MODELS:
        raise ValueError(f"there is no model {name!r}; there are: {', '.join(MODELS)}")
    return MODELS[name]


def _onnxruntime(path: Path, threads: int | None) -> Session:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3  # errors
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # others need the cores too
    options.enable_mem_pattern = False  # picture sizes vary: a pattern per size would keep its memory
    session: Session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session


class _OpenVino:
    """OpenVINO behind the face of ONNX Runtime, in float32 (its own choice, bfloat16, is another answer and was slower)."""

    def __init__(self, path: Path, threads: int | None) -> None:
        import openvino

        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        self._compiled = openvino.Core().compile_model(str(path), "CPU", settings)

    def run(self, output_names: list[str] | None, feed: dict[str, Any]) -> list[Any]:
        answers = self._compiled.create_infer_request().infer(
            feed
        )  # one of its own: requests are not thread-safe
        return [answers[name].copy() for name in output_names or [each.name for each in self.get_outputs()]]

    def get_inputs(self) -> list[Any]:
        return [_Named(port.any_name) for port in self._compiled.inputs]

    def get_outputs(self) -> list[Any]:
        return [_Named(port.any_name) for port in self._compiled.outputs]


@dataclass(frozen=True, slots=True)
class _Named:
    name: str
