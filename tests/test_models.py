"""The table of networks: its files exist, are intact, and are opened once."""

import math
import re
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from deeplens_dof import models


def test_every_listed_model_is_there_and_intact():
    assert "depth" in models.list_models()
    for name, model in models.list_models().items():
        assert models.verify(name) == model.path
        assert model.licence
        assert model.task


def test_the_table_of_the_model_card_is_true():
    """Names, parameters and sizes of all files, of `training` too."""
    onnx = pytest.importorskip("onnx", reason="counts parameters: pip install '.[learn]'")
    card = (models.WEIGHTS / "README.md").read_text("utf-8")
    table = card.partition("## All models")[2].partition("\n## ")[0]
    rows = re.findall(
        r"^\| \[?`?([\w/-]+\.onnx)`?[^|]*\|[^|]*\| ([\d,]+) \| ([\d,]+) \|", table, re.MULTILINE
    )
    listed = {name for name, _, _ in rows if "/" not in name}
    assert listed == {model.file for model in models.MODELS.values()}
    for name, parameters, size in rows:
        file = models.WEIGHTS / name if "/" not in name else Path(__file__).parents[1] / name
        tensors = onnx.load(str(file)).graph.initializer
        floats = [t for t in tensors if t.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)]
        assert sum(math.prod(tensor.dims) for tensor in floats) == int(parameters.replace(",", "")), name
        assert file.stat().st_size == int(size.replace(",", "")), name


def test_changed_weights_are_refused_with_both_sums(tmp_path, monkeypatch):
    changed = bytearray(models.MODELS["depth"].path.read_bytes())
    changed[1000] ^= 1
    (tmp_path / "depth.onnx").write_bytes(changed)
    monkeypatch.setattr(models, "WEIGHTS", tmp_path)
    with pytest.raises(OSError, match=f"expected {models.MODELS['depth'].sha256}.*reinstall"):
        models.verify("depth")


def test_a_session_is_not_opened_on_changed_weights(monkeypatch):
    monkeypatch.setitem(models.MODELS, "depth", replace(models.MODELS["depth"], sha256="0" * 64))
    monkeypatch.setattr(models, "_verified", set())
    monkeypatch.setattr(models, "_sessions", {})
    with pytest.raises(OSError, match="SHA-256"):
        models.open_session("depth")


def test_missing_weights_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "WEIGHTS", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"depth\.onnx"):
        models.verify("depth")


def test_unknown_names_and_thread_counts_are_refused():
    with pytest.raises(ValueError, match=r"no model '\.\./depth'; there are: depth"):
        models.open_session("../depth")
    with pytest.raises(ValueError, match="threads is 0"):
        models.open_session("depth", threads=0)


def test_one_session_serves_all_threads():
    with ThreadPoolExecutor(4) as pool:
        sessions = list(pool.map(lambda _: models.open_session("depth", threads=1), range(8)))
    assert all(session is sessions[0] for session in sessions)


def test_the_session_answers_as_the_table_says():
    model = models.MODELS["depth"]
    picture = np.zeros((1, 3, model.multiple_px, 2 * model.multiple_px), np.float32)
    (answer,) = models.open_session("depth", threads=1).run([model.output_name], {model.input_name: picture})
    assert answer.shape == (1, 1, model.multiple_px, 2 * model.multiple_px)


def test_importing_the_table_loads_no_runtime():
    code = "import sys, deeplens_dof.models; sys.exit('onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_openvino_answers_as_onnx_runtime_does(monkeypatch):
    pytest.importorskip("openvino", reason="OpenVINO is an extra: pip install '.[openvino]'")
    model = models.MODELS["depth"]
    picture = np.random.default_rng(1).random((1, 3, 56, 84), np.float32)
    answers, names = [], []
    for runtime in ("onnxruntime", "openvino"):
        monkeypatch.setenv("DEEPLENS_RUNTIME", runtime)
        session = models.open_session("depth", threads=1)
        names.append({port.name for ports in (session.get_inputs(), session.get_outputs()) for port in ports})
        answers.append(session.run([model.output_name], {model.input_name: picture})[0])
    assert names[0] == names[1]
    np.testing.assert_allclose(answers[1], answers[0], atol=1e-3 * np.ptp(answers[0]))


class StandIn:
    """A network of an OpenVINO that freezes where two threads make the first inference of a process: it notes such."""

    def __init__(self) -> None:
        any_size = [SimpleNamespace(is_dynamic=True)] * 4
        self.inputs = [SimpleNamespace(any_name="rgb", partial_shape=any_size)]
        self.outputs = [SimpleNamespace(any_name="inverse_depth")]
        self.began, self.answered, self.at_once = 0, 0, 0
        self._counting = threading.Lock()

    def create_infer_request(self):
        return SimpleNamespace(infer=self._infer)

    def _infer(self, feed):
        with self._counting:
            self.began += 1
            self.at_once += self.began > 1 and self.answered == 0
        time.sleep(0.1)
        with self._counting:
            self.answered += 1
        return {"inverse_depth": feed["rgb"]}


def test_the_first_inference_of_openvino_is_over_before_a_thread_has_the_session(monkeypatch):
    network = StandIn()
    module = ModuleType("openvino")
    module.__spec__ = ModuleSpec("openvino", None)
    module.Core = lambda: SimpleNamespace(compile_model=lambda *_: network)
    monkeypatch.setitem(sys.modules, "openvino", module)
    monkeypatch.setattr(models, "_sessions", {})
    monkeypatch.setenv("DEEPLENS_RUNTIME", "openvino")
    together = threading.Barrier(3)

    def first_call(_):
        together.wait()
        session = models.open_session("depth")
        answered = network.answered
        session.run(None, {"rgb": np.zeros((1, 3, 28, 28), np.float32)})
        return answered

    with ThreadPoolExecutor(3) as pool:
        answered_before = list(pool.map(first_call, range(3)))
    assert min(answered_before) >= 1
    assert network.at_once == 0
    assert network.began == 4


def test_a_runtime_that_is_not_here_is_refused(monkeypatch):
    monkeypatch.setenv("DEEPLENS_RUNTIME", "tensorrt")
    with pytest.raises(ValueError, match="DEEPLENS_RUNTIME is 'tensorrt', expected one of onnxruntime"):
        models.open_session("depth")


class _StubRuntime:
    """ONNX Runtime as it is on a machine with these providers; `broken` are those without a device."""

    def __init__(self, providers, broken=()):
        self.providers, self.broken, self.asked = providers, broken, []

    def get_available_providers(self):
        return self.providers

    class SessionOptions:
        def add_session_config_entry(self, key, value):
            pass

    def InferenceSession(self, path, options, providers):
        self.asked.append(providers)
        there = [name for name in providers if name not in self.broken]
        return SimpleNamespace(get_providers=lambda: there)


@pytest.fixture
def machine(monkeypatch):
    """Makes the machine one with other providers: machine("CUDAExecutionProvider", broken=...)."""

    def make(*providers, broken=()):
        stub = _StubRuntime([*providers, "CPUExecutionProvider"], broken)
        monkeypatch.setattr(models, "_onnx_runtime", lambda: stub)
        monkeypatch.setattr(models, "find_spec", lambda name: None)
        monkeypatch.setattr(models, "_sessions", {})
        monkeypatch.setattr(models, "_failed", set())
        return stub

    monkeypatch.delenv("DEEPLENS_RUNTIME", raising=False)
    return make


@pytest.mark.parametrize(
    ("provider", "name"), [("CUDAExecutionProvider", "cuda"), ("DmlExecutionProvider", "directml")]
)
def test_a_graphics_card_is_taken_where_the_runtime_supports_one(machine, provider, name):
    stub = machine(provider)
    assert models.runtime() == name
    models.open_session("depth")
    assert stub.asked == [[provider, "CPUExecutionProvider"]]


def test_core_ml_runs_only_when_asked_for(machine, monkeypatch):
    stub = machine("CoreMLExecutionProvider")
    assert models.runtime() == "onnxruntime"
    monkeypatch.setenv("DEEPLENS_RUNTIME", "coreml")
    models.open_session("depth")
    assert stub.asked == [["CoreMLExecutionProvider", "CPUExecutionProvider"]]


def test_a_card_without_a_driver_gives_way_to_the_processor_with_one_warning(machine):
    stub = machine("CUDAExecutionProvider", broken=("CUDAExecutionProvider",))
    with pytest.warns(RuntimeWarning, match="cuda is installed but opens no network .*onnxruntime runs them"):
        session = models.open_session("depth")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert models.open_session("depth") is session
        models.open_session("light")
    assert models.runtime() == "onnxruntime"
    assert stub.asked[1:] == [["CPUExecutionProvider"]] * 2


def test_a_card_that_was_asked_for_and_has_no_driver_is_an_error(machine, monkeypatch):
    machine("CUDAExecutionProvider", broken=("CUDAExecutionProvider",))
    monkeypatch.setenv("DEEPLENS_RUNTIME", "cuda")
    with pytest.raises(RuntimeError, match="no device or driver for CUDAExecutionProvider"):
        models.open_session("depth")
