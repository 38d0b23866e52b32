"""The table of trained networks, and the only code that opens them.

Sessions are thread-safe and are opened once per process. `runtime` tells what runs them: a graphics card where the installed
ONNX Runtime supports one, else OpenVINO if it is installed, else the processor; or what DEEPLENS_RUNTIME names.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np

from deeplens_dof.runtime.errors import install_extra
from deeplens_dof.runtime.telemetry import without_telemetry
from deeplens_dof.runtime.threads import THREADS_VARIABLE, thread_count

# Execution providers of ONNX Runtime by the name that DEEPLENS_RUNTIME gives them.
PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "directml": "DmlExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "onnxruntime": "CPUExecutionProvider",
}
# Core ML is in every build for macOS and may compute in half precision, so it runs only when it is asked for.
_UNASKED = ("cuda", "directml", "openvino", "onnxruntime")


class Session(Protocol):
    """The interface that both runtimes share. Inputs and outputs have a `name`."""

    def run(self, output_names: list[str] | None, feed: dict[str, Any]) -> list[Any]: ...
    def get_inputs(self) -> list[Any]: ...
    def get_outputs(self) -> list[Any]: ...


@dataclass(frozen=True, slots=True)
class Model:
    """A trained network.

    Attributes:
        file: name in the folder `weights`, or an absolute path.
        sha256: of the file.
        licence: SPDX identifier.
        task: its prediction, in words.
        input_name: (1, 3, H, W) float32; for depth and faces sRGB 0..1.
        output_name: the main output.
        multiple_px: H and W are multiples of it.
        long_side_px: the size it was trained at; the longer side should be near it.
        matte_name: the output with the subject's matte, if there is one.
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
        sha256="d12ad75be581cba40579f8342c9233c2c11f69115c697c549c2ffe4fe12f79a9",
        licence="Apache-2.0",
        task="relative inverse depth of one photo, and the matte of its subject",
        input_name="rgb",
        output_name="inverse_depth",
        multiple_px=28,
        long_side_px=532,
    ),
    "matte": Model(
        file="matte.onnx",
        sha256="0998cb641b175b82c42fd0225a9dcf09f69b0ed22d19aae6da9221986b5b52e3",
        licence="Apache-2.0",
        task="the soft border of a coarse matte at the photo's own size, and the colours on both sides of it",
        input_name="rgb",
        output_name="refined",
        multiple_px=16,
        long_side_px=2048,
    ),
    "lens_blur": Model(
        file="lens_blur.onnx",
        sha256="78676b86ea4b8a458cdf843ba03a1451c2f1866d60c55314cfe9450329978561",
        licence="Apache-2.0",
        task="borders of near objects unmixed: alpha and colour of the near surface, and the background behind it",
        input_name="light",
        output_name="parted",
        multiple_px=16,
        long_side_px=576,
    ),
    "upsample": Model(
        file="upsample.onnx",
        sha256="a2ab4b6be38d02e643bac3476f582fb5fe734f61729e688012aa02e6aba10e63",
        licence="Apache-2.0",
        task="upsampling of a half-size lens blur, guided by the sharp photo",
        input_name="features",
        output_name="logits",
        multiple_px=1,
        long_side_px=36,
    ),
    "paper": Model(
        file="paper.onnx",
        sha256="0a6c29ca099319e15bc21293075558a571e901047b210f9f6bf061a1444d900f",
        licence="Apache-2.0",
        task="lens blur of at most 7 px, after the DeepLens paper of 2018",
        input_name="srgb",
        output_name="blurred",
        multiple_px=8,
        long_side_px=512,
    ),
    "light": Model(
        file="light.onnx",
        sha256="20908aeee483ae859a31db2fd924b6d5d7c5743dec0bdb40823e1642455d7408",
        licence="Apache-2.0",
        task="logarithm of the light above white in the clipped areas of a photo",
        input_name="srgb",
        output_name="gain",
        multiple_px=32,
        long_side_px=1280,
    ),
    "faces": Model(
        file="faces.onnx",
        sha256="613bca0fbe719bb0e636561b3b7a2f75a8cb0dcec885aa491cddb0e83b6358d3",
        licence="Apache-2.0",
        task="faces of 9 px and more anywhere in pictures of any size, with their eyes",
        input_name="rgb",
        output_name="found",
        multiple_px=32,
        long_side_px=256,
    ),
    "face_check": Model(
        file="face_check.onnx",
        sha256="4662d8991baf3f05832bd99c1429bd3ab3866cdcd670d044807bc07a4885a368",
        licence="Apache-2.0",
        task="whether a small picture shows a face, and where its eyes are",
        input_name="rgb",
        output_name="found",
        multiple_px=16,
        long_side_px=128,
    ),
}


def list_models() -> dict[str, Model]:
    """All networks by name."""
    return dict(MODELS)


def verify(name: str) -> Path:
    """Compare the SHA-256 of a network's weights with the table.

    Returns:
        The path of the weights.

    Raises:
        ValueError: there is no such network.
        FileNotFoundError: the file is missing.
        OSError: the file cannot be read, or its SHA-256 differs.
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
    """A network from another file with the interface of `like`, to evaluate it as a replacement.

    Args:
        path: an ONNX file.
        like: name of the network whose inputs and outputs it must have.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: `like` is unknown, the file is not a network, or its inputs or outputs differ.
    """
    known, file = _find(like), Path(path).expanduser().resolve()
    if not file.is_file():
        raise FileNotFoundError(f"there is no network at {str(path)!r}, expected an ONNX file")
    with file.open("rb") as stream:
        model = replace(known, file=str(file), sha256=hashlib.file_digest(stream, "sha256").hexdigest())
    try:
        session = open_session(model)
    except Exception as error:  # the runtimes raise errors of their own types
        reason = " ".join(str(error).split())
        raise ValueError(f"{file.name} is not a network that can be opened ({reason})") from error
    inputs = {value.name for value in session.get_inputs()}
    outputs = {value.name for value in session.get_outputs()}
    if known.input_name not in inputs or known.output_name not in outputs:
        raise ValueError(
            f"{file.name} takes {', '.join(sorted(inputs))} and gives {', '.join(sorted(outputs))}, expected "
            f"{known.input_name} and {known.output_name}"
        )
    return model


def open_session(which: str | Model, threads: int | None = None) -> Session:
    """The session of a network. Opened and verified at the first call, then shared.

    Args:
        which: a name of the table, or a `candidate`.
        threads: of one inference, at least 1; None is DEEPLENS_THREADS, or one per core. Each number has its own session.

    Raises:
        ValueError: there is no such network, `threads` is below 1, or DEEPLENS_RUNTIME is not installed.
        FileNotFoundError, OSError: as `verify`.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"threads is {threads}, expected at least 1 or None")
    if threads is None and THREADS_VARIABLE in os.environ:
        threads = thread_count()
    model = _find(which) if isinstance(which, str) else which
    with _lock:
        key = (model.sha256, threads, runtime())
        if key not in _sessions:
            if isinstance(which, str) and which not in _verified:
                verify(which)
                _verified.add(which)
            session = _opened(model, threads, key[-1])
            key = (model.sha256, threads, runtime())
            _sessions[key] = session
        return _sessions[key]


def runtime() -> str:
    """What runs the networks: "cuda", "directml", "coreml", "openvino" or "onnxruntime" (the processor).

    Raises:
        ValueError: DEEPLENS_RUNTIME is none of them, or is not installed.
    """
    asked = os.environ.get("DEEPLENS_RUNTIME")
    if asked == "onnxruntime" or (asked == "openvino" and find_spec("openvino") is not None):
        return asked  # without a look at the cards, which imports ONNX Runtime
    installed = runtimes()
    if not asked:
        return next(name for name in _UNASKED if name in installed and name not in _failed)
    if asked not in installed:
        raise ValueError(
            f"DEEPLENS_RUNTIME is {asked!r}, expected one of {', '.join(installed)}; OpenVINO comes with "
            f"{install_extra('openvino')}, graphics cards with onnxruntime-gpu or onnxruntime-directml in place of "
            "onnxruntime"
        )
    return asked


def runtimes() -> list[str]:
    """The runtimes that are installed, whether or not there is a device for them."""
    there = _onnx_runtime().get_available_providers()
    found = [name for name, provider in PROVIDERS.items() if provider in there]
    return [*found, "openvino"] if find_spec("openvino") is not None else found


_lock = Lock()
# By SHA-256, threads and runtime.
_sessions: dict[tuple[str, int | None, str], Session] = {}
_verified: set[str] = set()
_failed: set[str] = set()  # runtimes that nobody asked for and that opened no network


def _find(name: str) -> Model:
    if name not in MODELS:
        raise ValueError(f"there is no model {name!r}; there are: {', '.join(MODELS)}")
    return MODELS[name]


def _opened(model: Model, threads: int | None, name: str) -> Session:
    """A session in that runtime. One that nobody asked for and that fails gives way to the next, with one warning."""
    try:
        return _openvino(model, threads) if name == "openvino" else _onnxruntime(model, threads, name)
    except Exception as error:  # the runtimes raise errors of their own types
        if os.environ.get("DEEPLENS_RUNTIME") or name == "onnxruntime":
            raise
        _failed.add(name)
        reason = " ".join(str(error).split())
        warnings.warn(
            f"{name} is installed but opens no network ({reason}); {runtime()} runs them instead. DEEPLENS_RUNTIME="
            f"{runtime()} says so without this warning",
            RuntimeWarning,
            stacklevel=4,
        )
        return _opened(model, threads, runtime())


def _onnx_runtime() -> Any:
    """The package onnxruntime, without its usage statistics."""
    with without_telemetry():
        import onnxruntime

    onnxruntime.disable_telemetry_events()
    return onnxruntime


def _onnxruntime(model: Model, threads: int | None, name: str) -> Session:
    onnxruntime = _onnx_runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3  # errors
    options.add_session_config_entry(
        "session.intra_op.allow_spinning", "0"
    )  # leave the cores to other threads
    options.enable_mem_pattern = False  # it would keep memory for every picture size
    provider, processor = PROVIDERS[name], PROVIDERS["onnxruntime"]
    session: Any = onnxruntime.InferenceSession(
        str(model.path), options, providers=list(dict.fromkeys((provider, processor)))
    )
    # Without a driver or a device ONNX Runtime goes on without the provider, and says so to its log alone.
    if provider not in session.get_providers():
        raise RuntimeError(f"ONNX Runtime finds no device or driver for {provider}")
    opened: Session = session
    return opened


def _openvino(model: Model, threads: int | None) -> Session:
    """A session that has answered once. OpenVINO starts its threads at the first inference of a process, and two threads
    that make it at once may wait for each other without end; so it is made here, under the lock of `open_session`.
    """
    session = _OpenVino(model.path, threads)
    session.try_out(model.multiple_px)
    return session


class _OpenVino:
    """OpenVINO with the interface of ONNX Runtime. Runs in float32: its default, bfloat16, gives other results, slower."""

    def __init__(self, path: Path, threads: int | None) -> None:
        with without_telemetry():
            import openvino

        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        self._compiled = openvino.Core().compile_model(str(path), "CPU", settings)

    def run(self, output_names: list[str] | None, feed: dict[str, Any]) -> list[Any]:
        request = self._compiled.create_infer_request()  # one per call, because requests are not thread-safe
        answers = request.infer(feed)
        return [answers[name].copy() for name in output_names or [port.name for port in self.get_outputs()]]

    def try_out(self, side_px: int) -> None:
        """One inference of black pictures with sides of that many px. A network that takes no such sizes is left alone."""
        shapes = {port.any_name: port.partial_shape for port in self._compiled.inputs}
        feed = {
            name: np.zeros([side_px if side.is_dynamic else side.get_length() for side in shape], np.float32)
            for name, shape in shapes.items()
        }
        with suppress(RuntimeError):
            self.run(None, feed)

    def get_inputs(self) -> list[Any]:
        return [_Named(port.any_name) for port in self._compiled.inputs]

    def get_outputs(self) -> list[Any]:
        return [_Named(port.any_name) for port in self._compiled.outputs]


@dataclass(frozen=True, slots=True)
class _Named:
    name: str
