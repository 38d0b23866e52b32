"""The scene before the lens, as the surfaces of each pixel, one behind another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from deeplens_dof.optics.thin_lens import TRANSITION

Array = npt.NDArray[np.float32]
NOTHING = -1e9  # CoC that stands for "no surface" in the layers of `lens_blur`


@dataclass(frozen=True)
class Surfaces:
    """S surfaces for each pixel, in any order; a larger CoC is nearer.

    colour: (B, S, 3, H, W) linear light of the surface itself, not mixed with its background. coc_px: (B, S, H, W) signed
    radius in px, positive nearer than the focus. alpha: (B, S, H, W) 0..1, the part of the pixel that the surface covers; 0:
    no surface. Raises ValueError for shapes or types that do not fit together.
    """

    colour: Tensor
    coc_px: Tensor
    alpha: Tensor

    def __post_init__(self) -> None:
        shape = self.coc_px.shape
        if len(shape) != 4 or self.coc_px.numel() == 0:
            raise ValueError(f"coc_px has shape {tuple(shape)}, expected (batch, surfaces, height, width)")
        if self.alpha.shape != shape or self.colour.shape != (*shape[:2], 3, *shape[2:]):
            raise ValueError(
                f"colour {tuple(self.colour.shape)} and alpha {tuple(self.alpha.shape)} do not fit coc_px "
                f"{tuple(shape)}; expected (B, S, 3, H, W) and (B, S, H, W)"
            )
        if not self.colour.dtype == self.alpha.dtype == self.coc_px.dtype:
            raise ValueError(
                f"colour, CoC and alpha are {self.colour.dtype}, {self.coc_px.dtype} and {self.alpha.dtype}, "
                "expected one type of float"
            )

    @classmethod
    def of_picture(cls, rgb: Tensor, coc_px: Tensor) -> Surfaces:
        """One opaque surface: rgb (B, 3, H, W), coc_px (B, H, W)."""
        return cls(rgb[:, None], coc_px[:, None], torch.ones_like(coc_px[:, None]))

    @classmethod
    def of_layers(
        cls,
        front: tuple[Array, Array],
        alpha: Array,
        back: tuple[Array, Array],
        hidden: tuple[Array, Array],
    ) -> Surfaces:
        """The layers of `lens_blur` as surfaces, B = 1, S = 3.

        front, back, hidden: colour (H, W, 3) and CoC (H, W), which is NOTHING where there is none. alpha: (H, W), of the
        front.
        """
        parts = (front, back, hidden)
        coc = np.stack([part[1] for part in parts])
        share = (coc > NOTHING / 2).astype(np.float32)
        share[0] *= alpha
        colour = np.stack([part[0] for part in parts]).transpose(0, 3, 1, 2)
        planes = (colour, np.where(share > 0, coc, 0), share)
        return cls(*(torch.from_numpy(np.ascontiguousarray(plane, np.float32))[None] for plane in planes))


def coc_of(
    inverse_depth: Tensor,
    focus_inverse_depth: Tensor | float,
    blur_px: Tensor | float,
    focus_range: Tensor | float = 0.0,
) -> Tensor:
    """`optics.thin_lens.signed_coc_px` for tensors: signed CoC radius in px (B, H, W), smooth in every argument.

    inverse_depth: (B, H, W); the others (B,) or a number.
    """
    focus, blur, width = (
        _per_picture(value, inverse_depth) for value in (focus_inverse_depth, blur_px, focus_range)
    )
    offset = inverse_depth - focus
    transition = TRANSITION * width
    along = (offset.abs() - width / 2) / transition.clamp(min=1e-30)
    along = torch.where(transition > 0, along, 1.0).clamp(0, 1)
    return blur * offset * along * along * (3 - 2 * along)


def _per_picture(value: Tensor | float, like: Tensor) -> Tensor:
    """A number for each picture of the batch, (B or 1, 1, 1)."""
    return torch.as_tensor(value, dtype=like.dtype, device=like.device).reshape(-1, 1, 1)
