"""From a trained network to the ONNX file that the package runs.

The file of the depth network takes `rgb`, float32 (1, 3, H, W), sRGB 0..1, H and W multiples of 28 (normalisation is inside),
and gives `inverse_depth` and `matte` (0..1), float32 (1, 1, H, W). Large weights are stored in half precision and cast to
float32 when a session opens: half the size, the same speed.
"""

from __future__ import annotations

import copy
import os
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from deeplens_dof.learn.networks.depth import DepthNetwork
from deeplens_dof.learn.networks.guided_upsample import CHANNELS, GuidedUpsample

OPSET = 18
SMALLEST_HALVED = 1024  # initialisers with fewer numbers stay in float32
LARGEST_HALF = 65504.0
# class of the network -> inputs (name: channels), outputs
BLUR_PORTS: dict[str, tuple[dict[str, int], tuple[str, ...]]] = {
    "BorderUnmixing": ({"light": 3, "near_light": 3, "far_light": 3, "sides": 4}, ("parted",)),
    "PaperLensBlur": ({"srgb": 3, "coc_px": 1}, ("blurred",)),
    "GuidedUpsample": ({"features": CHANNELS}, ("logits", "kernels")),
    "HighlightNetwork": ({"srgb": 3, "clipped": 3}, ("gain",)),
    "MatteRefinement": ({"rgb": 3, "sides": 2}, ("refined",)),
}


class _Exported(nn.Module):
    """The depth network with a matte instead of logits."""

    def __init__(self, network: DepthNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        inverse_depth, logits = self.network(rgb)
        return inverse_depth, torch.sigmoid(logits)


def export_depth(network: DepthNetwork, path: Path, half: bool = True, note: str = "") -> None:
    """Writes the ONNX file. half: store large weights in half precision. note: description (data, recipe, licence)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    side = {2: "height", 3: "width"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns about every shape it follows
        torch.onnx.export(
            copy.deepcopy(_Exported(network)).eval().cpu().float(), (torch.rand(1, 3, 84, 112),), str(partial),
            opset_version=OPSET,
            input_names=["rgb"], output_names=["inverse_depth", "matte"], dynamo=False,
            dynamic_axes={"rgb": side, "inverse_depth": side, "matte": side},
        )  # fmt: skip
    _finish(partial, half, note)
    os.replace(partial, path)


class _Learnt(nn.Module):
    """The learnt part of guided upsampling; `lens_blur/baselines/guided_upsample.py` does the rest."""

    def __init__(self, network: GuidedUpsample) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.network.logits(features), self.network.kernels


def export_blur(network: nn.Module, path: Path, note: str = "", half: bool = True) -> None:
    """Writes the ONNX file of a network in BLUR_PORTS, which names its inputs and outputs. half, note: as `export_depth`.

    Raises ValueError for another network.
    """
    kind = type(network).__name__
    if kind not in BLUR_PORTS:
        raise ValueError(f"a {kind} is not exported, expected one of {', '.join(BLUR_PORTS)}")
    inputs, outputs = BLUR_PORTS[kind]
    given = tuple(torch.rand(1, channels, 64, 96) for channels in inputs.values())
    axes = {name: {2: f"{name}_height", 3: f"{name}_width"} for name in (*inputs, outputs[0])}
    exported = _Learnt(network) if isinstance(network, GuidedUpsample) else network
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer warns about every shape it follows
        torch.onnx.export(
            copy.deepcopy(exported).eval().cpu().float(), given, str(partial), opset_version=OPSET,
            input_names=list(inputs), output_names=list(outputs), dynamo=False, dynamic_axes=axes,
        )  # fmt: skip
    _finish(partial, half, note)
    os.replace(partial, path)


def _finish(path: Path, half: bool, note: str) -> None:
    """Stores the note and, if `half`, large weights in half precision behind a Cast."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(path))
    model.doc_string = note
    casts = []
    for tensor in list(model.graph.initializer) if half else []:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < SMALLEST_HALVED or np.abs(values).max() > LARGEST_HALF:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(casts + nodes)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
