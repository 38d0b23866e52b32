"""The recipes of `deeplens train`: one literal table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Phase:
    """A stretch of training with one picture size and one set of rates (warm-up, then cosine to 3 %).

    blocks: how many of the encoder's last blocks are trained (0: frozen, 12: with patch embedding and
    positions). encoder_rate: of its last block, times `layer_decay` for each block before. head_rate: of
    decoder and depth head; matte_rate: of the matte head.
    """

    iterations: int
    long_side: int
    blocks: int
    encoder_rate: float
    head_rate: float
    matte_rate: float
    gradient_weight: float = 0.5
    border_weight: float = 1.0


@dataclass(frozen=True)
class Recipe:
    """A whole training.

    init: "dinov2", "shipped" (what the package ships), or "none"; `--init FILE` overrides it. frames: how
    many of the folder's frames are used at most. held_out: frames kept for validation. taught: only frames with a
    teacher's matte are used, and it is what the matte learns. soft_px: how far from its steps measured depth may be
    wrong (`soft_labels.py`; 0: it is taken as it is). order_weight, mask_border_weight: of the losses by the masks of near
    subjects (`mask_losses.py`). network: arguments of DepthNetwork.
    """

    phases: tuple[Phase, ...]
    init: str = "dinov2"
    frames: int = 100_000
    held_out: int = 64
    batch: int = 8
    layer_decay: float = 0.85
    weight_decay: float = 0.02
    photo_share: float = 0.04
    ordinal_weight: float = 0.3
    matte_weight: float = 0.3
    warm_up: int = 40
    ema: float = 0.998
    seed: int = 1
    bfloat16: bool = True
    taught: bool = False
    soft_px: int = 0
    order_weight: float = 0.0
    mask_border_weight: float = 0.0
    network: dict[str, Any] = field(default_factory=dict)

    @property
    def iterations(self) -> int:
        """Of all phases together."""
        return sum(phase.iterations for phase in self.phases)


RECIPES: dict[str, Recipe] = {
    # From DINOv2: head alone, then the last blocks, then everything, then large pictures. About 12 hours of 2
    # cores.
    "depth": Recipe(
        (
            Phase(1500, 336, 0, 0, 2e-3, 2e-3),
            Phase(6000, 336, 6, 2e-5, 6e-4, 6e-4),
            Phase(10000, 336, 12, 2e-5, 4e-4, 4e-4),
            Phase(3000, 448, 12, 1e-5, 2e-4, 2e-4, gradient_weight=1.5, border_weight=3.0),
        ),
    ),
    # From an earlier network (`--init`): a long stretch, then large pictures and sharp borders.
    "depth-continue": Recipe(
        (
            Phase(4000, 336, 12, 2e-5, 4e-4, 4e-4, gradient_weight=1.0, border_weight=2.0),
            Phase(1000, 448, 12, 1e-5, 2e-4, 2e-4, gradient_weight=1.5, border_weight=3.0),
        ),
        init="shipped",
    ),
    # From the shipped network, 600 iterations: shows whether new frames help.
    "depth-short": Recipe(
        (Phase(600, 336, 8, 1.5e-5, 3e-4, 1e-3, gradient_weight=1.0, border_weight=2.0),),
        init="shipped",
        ema=0.99,
    ),
    # After it: large pictures and sharp borders.
    "depth-sharpen": Recipe(
        (Phase(300, 448, 8, 1e-5, 2e-4, 4e-4, gradient_weight=1.5, border_weight=3.0),),
        init="shipped",
        ema=0.99,
        seed=2,
    ),
    # A piece of a longer training (`--init` the weights before it): the last eight blocks, then large pictures.
    # One to one and a half hours of one core.
    "depth-piece": Recipe(
        (
            Phase(600, 336, 8, 2e-5, 3e-4, 5e-4, gradient_weight=1.0, border_weight=2.0),
            Phase(110, 448, 8, 1e-5, 2e-4, 4e-4, gradient_weight=1.5, border_weight=3.0),
        ),
        init="shipped",
        ema=0.99,
        seed=3,
    ),
    # On real photos too (`--rgbd`, docs/training.md): measured depth whose steps are soft, masks of near subjects, a
    # teacher's mattes. A piece of about an hour of one core.
    "depth-real": Recipe(
        (Phase(240, 336, 8, 2e-5, 3e-4, 6e-4, gradient_weight=1.0, border_weight=2.0),),
        init="shipped",
        ema=0.985,
        seed=11,
        matte_weight=0.6,
        soft_px=6,
        order_weight=0.3,
        mask_border_weight=0.5,
    ),
    # Another (`--init` the weights of the first), with large pictures and sharp borders at its end.
    "depth-real-2": Recipe(
        (
            Phase(170, 336, 8, 2e-5, 3e-4, 6e-4, gradient_weight=1.0, border_weight=2.0),
            Phase(30, 448, 8, 1e-5, 2e-4, 4e-4, gradient_weight=1.5, border_weight=3.0),
        ),
        init="shipped",
        ema=0.985,
        seed=14,
        matte_weight=0.6,
        soft_px=6,
        order_weight=0.3,
        mask_border_weight=0.5,
    ),
    # The same where a graphics card does in minutes what a processor does in hours
    # (`scripts/train_on_gpu.sh`): larger batches, all blocks, large pictures at the end.
    "depth-gpu": Recipe(
        (
            Phase(900, 336, 12, 3e-5, 4e-4, 6e-4, gradient_weight=1.0, border_weight=2.0),
            Phase(300, 448, 12, 1e-5, 2e-4, 4e-4, gradient_weight=1.5, border_weight=3.0),
        ),
        init="shipped",
        batch=16,
        photo_share=0.0,
        ema=0.995,
        seed=13,
        matte_weight=0.6,
        soft_px=6,
        order_weight=0.3,
        mask_border_weight=0.5,
    ),
    # The matte head alone, on the teacher's mattes of frames and photos (`learn/scenes/taught.py` makes them);
    # depth stays as it is, to the bit. Half an hour of one core.
    "matte": Recipe(
        (Phase(700, 336, 0, 0, 0, 2e-3),),
        init="shipped",
        photo_share=0.15,
        matte_weight=1.0,
        ema=0.99,
        seed=5,
        taught=True,
    ),
    # Ten minutes: a reproduction test. Head alone, on a few hundred frames.
    "depth-quick": Recipe(
        (Phase(250, 252, 0, 0, 2e-3, 2e-3),), frames=300, held_out=24, photo_share=0.0, ema=0.97
    ),
    # Seconds: a toy network that shows that loop, resuming and export work.
    "depth-toy": Recipe(
        (Phase(6, 56, 1, 1e-4, 1e-3, 1e-3),),
        init="none",
        frames=12,
        held_out=4,
        batch=2,
        photo_share=0.0,
        warm_up=2,
        ema=0.9,
        bfloat16=False,
        network={"width": 32, "heads": 2, "depth": 4, "levels": (0, 1, 2, 3), "channels": (16, 12, 8, 8)},
    ),
}
