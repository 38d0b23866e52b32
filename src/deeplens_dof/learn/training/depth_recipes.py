"""The recipes of depth and matte: one literal table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Phase:
    """A part of a training with one picture size and one set of rates (warm-up, then cosine to 3 %).

    Args:
        iterations: of this phase.
        long_side: of the pictures, in px.
        blocks: the number of the encoder's last blocks that are trained (0: none, 12: also patch embedding and positions).
        encoder_rate: of its last block; each block before has `layer_decay` times the rate of the next.
        head_rate: of decoder and depth head.
        matte_rate: of the matte head.
        gradient_weight: of the gradient loss.
        border_weight: extra weight of the gradient loss at depth steps.
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
class DepthRecipe:
    """A depth training: its phases and the numbers they share.

    Args:
        phases: in order.
        init: the weights to start from: "dinov2", "shipped" (the package's) or "none"; `--init FILE` overrides it.
        frames: the largest number of frames used.
        held_out: frames kept for validation.
        batch: samples in a batch.
        layer_decay: factor of the encoder's rate from each block to the one before.
        weight_decay: of AdamW.
        photo_share: the part of the samples that are photos with teacher mattes, 0..1.
        ordinal_weight, matte_weight: of these losses.
        warm_up: iterations, in each phase.
        ema: the share of the moving average that is kept in each iteration.
        seed: of weights and batches.
        bfloat16: use it where it is faster.
        teacher_mattes: use only frames with a teacher matte, and train the matte on it.
        soft_px: the distance from its steps up to which measured depth may be wrong (`soft_labels.py`); 0: it is exact.
        order_weight, mask_border_weight: of the losses on masks of near subjects (`mask_losses.py`).
        toy_frames: where no frames are named, so many of plain shapes are made (`toy_frames.py`).
        network: arguments of DepthNetwork.
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
    teacher_mattes: bool = False
    soft_px: int = 0
    order_weight: float = 0.0
    mask_border_weight: float = 0.0
    toy_frames: int = 0
    network: dict[str, Any] = field(default_factory=dict)

    @property
    def iterations(self) -> int:
        """Of all phases together."""
        return sum(phase.iterations for phase in self.phases)


DEPTH_RECIPES: dict[str, DepthRecipe] = {
    # From DINOv2: head alone, then the last blocks, then everything, then large pictures. About 12 hours of 2 cores.
    "depth": DepthRecipe(
        (
            Phase(1500, 336, 0, 0, 2e-3, 2e-3),
            Phase(6000, 336, 6, 2e-5, 6e-4, 6e-4),
            Phase(10000, 336, 12, 2e-5, 4e-4, 4e-4),
            Phase(3000, 448, 12, 1e-5, 2e-4, 2e-4, gradient_weight=1.5, border_weight=3.0),
        ),
    ),
    # From an earlier network (`--init`): a long stretch, then large pictures and sharp borders.
    "depth-continue": DepthRecipe(
        (
            Phase(4000, 336, 12, 2e-5, 4e-4, 4e-4, gradient_weight=1.0, border_weight=2.0),
            Phase(1000, 448, 12, 1e-5, 2e-4, 2e-4, gradient_weight=1.5, border_weight=3.0),
        ),
        init="shipped",
    ),
    # From the shipped network, 600 iterations: shows whether new frames help.
    "depth-short": DepthRecipe(
        (Phase(600, 336, 8, 1.5e-5, 3e-4, 1e-3, gradient_weight=1.0, border_weight=2.0),),
        init="shipped",
        ema=0.99,
    ),
    # After it: large pictures and sharp borders.
    "depth-sharpen": DepthRecipe(
        (Phase(300, 448, 8, 1e-5, 2e-4, 4e-4, gradient_weight=1.5, border_weight=3.0),),
        init="shipped",
        ema=0.99,
        seed=2,
    ),
    # A piece of a longer training (`--init` the weights before it): the last eight blocks, then large pictures.
    # One to one and a half hours of one core.
    "depth-piece": DepthRecipe(
        (
            Phase(600, 336, 8, 2e-5, 3e-4, 5e-4, gradient_weight=1.0, border_weight=2.0),
            Phase(110, 448, 8, 1e-5, 2e-4, 4e-4, gradient_weight=1.5, border_weight=3.0),
        ),
        init="shipped",
        ema=0.99,
        seed=3,
    ),
    # With real photos (`--rgbd`, docs/training.md): measured depth with soft steps, masks of near subjects, teacher mattes.
    # A piece of about an hour of one core.
    "depth-real": DepthRecipe(
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
    "depth-real-2": DepthRecipe(
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
    # The wider decoder with its detail stage, from the weights before it: long, then large pictures and sharp borders.
    "depth-wide": DepthRecipe(
        (
            Phase(1300, 336, 8, 2e-5, 5e-4, 6e-4, gradient_weight=1.0, border_weight=2.0),
            Phase(250, 448, 8, 1e-5, 2e-4, 3e-4, gradient_weight=1.5, border_weight=3.0),
        ),
        init="shipped",
        ema=0.995,
        seed=21,
        matte_weight=0.6,
        soft_px=6,
        order_weight=0.3,
        mask_border_weight=0.5,
    ),
    # For a graphics card, minutes instead of hours (`scripts/train_on_gpu.sh`): larger batches, all blocks, large
    # pictures at the end.
    "depth-gpu": DepthRecipe(
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
    # The matte head alone, on teacher mattes of frames and photos (`learn/scenes/teacher_mattes.py`); depth does not
    # change, to the bit. Half an hour of one core.
    "matte": DepthRecipe(
        (Phase(700, 336, 0, 0, 0, 2e-3),),
        init="shipped",
        photo_share=0.15,
        matte_weight=1.0,
        ema=0.99,
        seed=5,
        teacher_mattes=True,
    ),
    # The matte head alone on photos (`--frames none`, `--rgbd mattes:` and `masks:`): a teacher's mattes of all kinds of
    # things beside true masks, so that signs, plants and houses stay subjects too. Depth does not change, to the bit.
    "matte-photos": DepthRecipe(
        (Phase(320, 336, 0, 0, 0, 1.2e-3),),
        init="shipped",
        photo_share=0.0,
        matte_weight=1.0,
        ema=0.99,
        seed=31,
    ),
    # Ten minutes: a reproduction test. Head alone, on a few hundred frames.
    "depth-quick": DepthRecipe(
        (Phase(250, 252, 0, 0, 2e-3, 2e-3),), frames=300, held_out=24, photo_share=0.0, ema=0.97
    ),
    # Seconds: a toy network that shows that training, resuming and export work.
    "depth-toy": DepthRecipe(
        (Phase(6, 56, 1, 1e-4, 1e-3, 1e-3),),
        init="none",
        frames=12,
        held_out=4,
        batch=2,
        photo_share=0.0,
        warm_up=2,
        ema=0.9,
        bfloat16=False,
        toy_frames=16,
        network={
            "width": 32,
            "heads": 2,
            "depth": 4,
            "levels": (0, 1, 2, 3),
            "channels": (16, 12, 8, 8),
            "detail": 8,
        },
    ),
}
