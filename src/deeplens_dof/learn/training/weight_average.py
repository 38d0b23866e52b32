"""The mean of the weights of several trainings, steadier on real photos than any of them (Wortsman et al. 2022).

    python -m deeplens_dof.learn.training.weight_average OUT.onnx FILE[:SHARE] FILE[:SHARE] ...

Each FILE is an exported network or a run's `checkpoint.pt`, of which the moving average is used. All must descend from the
same weights. A part that some files lack (the prototype has no matte head) is the mean of the others.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deeplens_dof.learn.networks.depth import STARTS_AT_ZERO, DepthNetwork
from deeplens_dof.learn.networks.export import export_depth
from deeplens_dof.learn.networks.pretrained import load_into


def averaged(shares: Mapping[Path, float], **network: Any) -> DepthNetwork:
    """A network with the weighted mean of the files' weights.

    Args:
        shares: the weight of each file, above 0; they need not sum to 1.
        network: arguments of DepthNetwork.

    Raises:
        ValueError: a share is not above 0, or no file holds a parameter.
    """
    if not shares or min(shares.values()) <= 0:
        raise ValueError(f"the shares are {list(shares.values())}, expected at least one, each above 0")
    result = DepthNetwork(**network).eval()
    sums: dict[str, Tensor] = {}
    totals: dict[str, float] = {}
    for path, share in shares.items():
        for name, value in _weights(path, network).items():
            sums[name] = sums.get(name, torch.zeros_like(value)) + share * value
            totals[name] = totals.get(name, 0.0) + share
    missing = {
        name for name in result.state_dict().keys() - sums.keys() if not name.startswith(STARTS_AT_ZERO)
    }
    if missing:
        raise ValueError(f"none of the files holds {sorted(missing)[0]}; expected it in at least one of them")
    result.load_state_dict({name: sums[name] / totals[name] for name in sums}, strict=False)
    return result


def _weights(path: Path, network: dict[str, Any]) -> dict[str, Tensor]:
    """The weights of a file by name."""
    if path.suffix == ".pt":
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)["average"]
        return state
    loaded = DepthNetwork(**network)
    missing = set(load_into(loaded, path))
    return {name: value for name, value in loaded.state_dict().items() if name not in missing}


def main(arguments: list[str]) -> None:
    """The command line of this module."""
    if len(arguments) < 2:
        raise SystemExit(__doc__)
    out, *files = arguments
    shares = {}
    for entry in files:
        name, _, share = entry.partition(":")
        shares[Path(name)] = float(share or 1)
    parts = ", ".join(f"{path.parent.name} x {share}" for path, share in shares.items())
    export_depth(averaged(shares), Path(out), note=f"DeepLens depth and matte; mean of {parts}. Apache-2.0")
    print(f"weights are in {out}")


if __name__ == "__main__":
    main(sys.argv[1:])
