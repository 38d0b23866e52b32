"""Learning rates; for depth also the parameter groups and the frozen parts of each phase."""

from __future__ import annotations

import math
from typing import Any

import torch

from deeplens_dof.learn.networks.depth import DepthNetwork
from deeplens_dof.learn.training.depth_recipes import DepthRecipe, Phase

LOWEST_RATE = 0.03  # of a phase's rate, at its end


def warm_cosine(rate: float, step: int, iterations: int, warm_up: int) -> float:
    """The rate of iteration `step`: a linear warm-up to `rate`, then a cosine to 2 % of it."""
    along = max(0.0, (step - warm_up) / max(1, iterations - warm_up))
    return rate * min(1.0, (step + 1) / warm_up) * (0.51 + 0.49 * math.cos(math.pi * along))


def parameter_groups(network: DepthNetwork) -> list[dict[str, Any]]:
    """Parameter groups by part: matte head, decoder and depth head, each block of the encoder, its input."""
    depth = len(network.encoder.blocks)
    groups = [
        {"params": list(network.matte_head.parameters()), "part": "matte", "below": 0},
        {
            "params": [
                *network.decoder.parameters(),
                *network.depth_head.parameters(),
                *network.detail.parameters(),
            ],
            "part": "head",
            "below": 0,
        },
        {"params": list(network.encoder.norm.parameters()), "part": "encoder", "below": 0},
    ]
    for index, block in enumerate(network.encoder.blocks):
        groups.append({"params": list(block.parameters()), "part": "encoder", "below": depth - 1 - index})
    before = [*network.encoder.patch.parameters(), network.encoder.class_token, network.encoder.position]
    groups.append({"params": before, "part": "encoder", "below": depth})
    return groups


def set_trainable(network: DepthNetwork, phase: Phase) -> None:
    """Freezes the weights that a phase does not train: no gradient, no step, no decay."""
    depth = len(network.encoder.blocks)
    for parameter in network.encoder.parameters():
        parameter.requires_grad_(phase.blocks >= depth)
    for block in network.encoder.blocks[max(0, depth - phase.blocks) :]:
        for parameter in block.parameters():
            parameter.requires_grad_(phase.blocks > 0)
    for parameter in network.encoder.norm.parameters():
        parameter.requires_grad_(phase.blocks > 0)
    for part in (network.decoder, network.depth_head, network.detail):
        part.requires_grad_(phase.head_rate > 0)


def set_rates(
    optimiser: torch.optim.Optimizer, recipe: DepthRecipe, phase: Phase, done: int, length: int
) -> None:
    """The rates of iteration `done` of a phase of `length` iterations."""
    factor = schedule(done, length, recipe.warm_up)
    rates = {"matte": phase.matte_rate, "head": phase.head_rate, "encoder": phase.encoder_rate}
    for group in optimiser.param_groups:
        group["lr"] = rates[group["part"]] * recipe.layer_decay ** group["below"] * factor


def schedule(done: int, length: int, warm_up: int) -> float:
    """The factor of the rates: rises to 1 in `warm_up` iterations, then falls along a cosine to LOWEST_RATE."""
    rising = min(1.0, (done + 1) / max(1, warm_up))
    falling = 0.5 * (1 + math.cos(math.pi * min(1.0, done / max(1, length))))
    return rising * (LOWEST_RATE + (1 - LOWEST_RATE) * falling)


def spans(recipe: DepthRecipe) -> list[tuple[Phase, int, int]]:
    """Each phase with its first and last iteration."""
    found, begin = [], 0
    for phase in recipe.phases:
        found.append((phase, begin, begin + phase.iterations))
        begin += phase.iterations
    return found
