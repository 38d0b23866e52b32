"""DeepLens: image in, bokeh out. Three networks as one module, differentiable in every weight, the focus and the aperture.

    bokeh = DeepLens.from_pretrained()(rgb_linear, focus_inverse_depth, blur_px)

1. `DepthNetwork` gives inverse depth, normalised to 0..1 in each picture (Wang et al. 2018, sec. 4.1), and the matte of the
   subject, which is held at one depth where the focus is on it.
2. `BorderUnmixing` unmixes the borders of near surfaces, and the exact optics (`learn/exact.py`) blur both sides, at half
   the size.
3. `GuidedUpsample` brings the blur to full size, guided by the sharp picture.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from deeplens_dof.learn import exact
from deeplens_dof.learn.networks.border_unmixing import MULTIPLE_PX, BorderUnmixing
from deeplens_dof.learn.networks.depth import SIDE_MULTIPLE, DepthNetwork
from deeplens_dof.learn.networks.export import export_blur, export_depth
from deeplens_dof.learn.networks.guided_upsample import GuidedUpsample, halved
from deeplens_dof.learn.networks.pretrained import load_blur, load_into
from deeplens_dof.learn.surfaces import Surfaces, coc_of
from deeplens_dof.learn.tone import to_tone
from deeplens_dof.lens_blur.layers.borders import COVERED, OPEN, OWN_SHARE, find_borders, first_guess
from deeplens_dof.models import WEIGHTS
from deeplens_dof.optics.aperture import Aperture

LENS_POINTS = 32
_SPREAD = (0.005, 0.995)  # quantiles that become 0 and 1
_ON_SUBJECT = (
    0.15  # distance in depth, 0..1, of focus and subject at which the subject is held by half as much
)


class DeepLens(nn.Module):
    """The whole pipeline as one module.

    Args:
        depth: a depth network; None: a new one, its weights random.
        lens_blur: a border unmixing network; None: a new one, which corrects nothing.
        upsample: an upsampling network; None: a new one.
        lens_points: the number of points of the aperture.
    """

    def __init__(
        self,
        depth: DepthNetwork | None = None,
        lens_blur: BorderUnmixing | None = None,
        upsample: GuidedUpsample | None = None,
        lens_points: int = LENS_POINTS,
    ) -> None:
        super().__init__()
        self.depth = depth or DepthNetwork()
        self.lens_blur = lens_blur or BorderUnmixing()
        self.upsample = upsample or GuidedUpsample()
        points = torch.from_numpy(Aperture.disc().points(lens_points))
        self.points: Tensor
        self.register_buffer("points", points, persistent=False)

    @classmethod
    def from_pretrained(
        cls, folder: str | os.PathLike[str] | None = None, lens_points: int = LENS_POINTS
    ) -> DeepLens:
        """Loads trained weights, ready to be trained further.

        Args:
            folder: holds the files of `save_pretrained`; None: the package's own weights.
            lens_points: the number of points of the aperture.

        Returns:
            A new module, on the CPU.

        Raises:
            FileNotFoundError: a file is missing.
            ValueError: a file holds the weights of another network.
        """
        whole = cls(lens_points=lens_points)
        depth, lens_blur, upsample = _files(WEIGHTS if folder is None else Path(folder))
        for file in (depth, lens_blur, upsample):
            if not file.is_file():
                raise FileNotFoundError(
                    f"there is no {file.name} in {file.parent}, expected a folder that `save_pretrained` made"
                )
        load_into(whole.depth, depth)
        load_blur(whole.lens_blur, lens_blur)
        load_blur(whole.upsample, upsample)
        return whole

    def save_pretrained(self, folder: str | os.PathLike[str], note: str = "", half: bool = False) -> None:
        """Exports the three networks as `depth.onnx`, `lens_blur.onnx` and `upsample.onnx`, as the package runs them.

        Args:
            folder: made if it is not there; files in it are replaced.
            note: description in the files: data, recipe, licence.
            half: store large weights in half precision, as the package's own are.
        """
        depth, lens_blur, upsample = _files(Path(folder))
        export_depth(self.depth, depth, half, note)
        export_blur(self.lens_blur, lens_blur, note, half)
        export_blur(self.upsample, upsample, note, half)

    def forward(
        self,
        rgb_linear: Tensor,
        focus_inverse_depth: Tensor,
        blur_px: Tensor,
        inverse_depth: Tensor | None = None,
        subject_sharp: float = 1.0,
    ) -> Tensor:
        """Renders the bokeh of pictures of any size from 16 px on.

        Args:
            rgb_linear: (B, 3, H, W) linear light, 0 or more.
            focus_inverse_depth: (B,), 0 (the farthest) to 1 (the nearest) in each picture.
            blur_px: (B,), the CoC radius in px over the whole depth range.
            inverse_depth: (B, 1, H, W), 0..1, to use as it is instead of the network's.
            subject_sharp: 0..1, how far a subject in focus is held at its own depth.

        Returns:
            (B, 3, H, W) linear light.

        Raises:
            ValueError: a shape does not fit, or the picture is too small.
        """
        batch, channels, height, width = rgb_linear.shape
        if channels != 3 or focus_inverse_depth.shape != (batch,) or blur_px.shape != (batch,):
            raise ValueError(
                f"the picture is {tuple(rgb_linear.shape)}, focus {tuple(focus_inverse_depth.shape)} and blur "
                f"{tuple(blur_px.shape)}; expected (B, 3, H, W), (B,) and (B,)"
            )
        if min(height, width) < MULTIPLE_PX:
            raise ValueError(f"the picture is {width} x {height} px, expected at least {MULTIPLE_PX} a side")
        depth = inverse_depth
        if depth is None:
            depth, matte = self.depth_and_matte(rgb_linear)
            depth = held(depth, matte, focus_inverse_depth, subject_sharp)
        coc_px = coc_of(depth[:, 0], focus_inverse_depth, blur_px)[:, None]
        light, coc_px = (_padded(part) for part in (rgb_linear, coc_px))
        return self.blurred(light, coc_px)[..., :height, :width]

    def depth_and_matte(self, rgb_linear: Tensor) -> tuple[Tensor, Tensor]:
        """Relative inverse depth 0..1 and the subject's matte 0..1, (B, 1, H, W) each."""
        height, width = rgb_linear.shape[-2:]
        size = [max(SIDE_MULTIPLE, round(side / SIDE_MULTIPLE) * SIDE_MULTIPLE) for side in (height, width)]
        srgb = to_tone(rgb_linear).clamp(0, 1)
        raw, logits = self.depth(F.interpolate(srgb, size=size, mode="bilinear", antialias=True))
        far, near = torch.quantile(raw.flatten(1), raw.new_tensor(_SPREAD), dim=1).view(2, -1, 1, 1, 1)
        depth = ((raw - far) / (near - far).clamp(min=1e-6)).clamp(0, 1)
        both = torch.cat([depth, torch.sigmoid(logits)], 1)
        depth, matte = F.interpolate(both, size=(height, width), mode="bilinear", align_corners=False).split(
            1, 1
        )
        return depth, matte

    def blurred(self, light: Tensor, coc_px: Tensor) -> Tensor:
        """Border unmixing, optics and upsampling.

        light: (B, 3, H, W). coc_px: (B, 1, H, W). H and W are multiples of 2 MULTIPLE_PX.
        """
        surfaces = self.surfaces(*halved(light, coc_px))
        return self.upsample(light, exact.render_exact(surfaces, self.points), coc_px)

    def surfaces(self, light: Tensor, coc_px: Tensor) -> Surfaces:
        """The picture as two surfaces: at borders the near surface and its background.

        light: (B, 3, H, W). coc_px: (B, 1, H, W). H and W are multiples of MULTIPLE_PX.
        """
        near, far, within, guess = _borders(light, coc_px)
        near_px, far_px = (torch.where(within, _gathered(coc_px, at), coc_px) for at in (near, far))
        alpha, near_light, far_light, distance = guess.split((1, 3, 3, 1), 1)
        sides = torch.cat([alpha, near_px, far_px, distance], 1)
        alpha, front, back = self.lens_blur(light, near_light, far_light, sides).split((1, 3, 3), 1)
        alpha = torch.where(alpha > COVERED, 1.0, torch.where(alpha < OPEN, 0.0, alpha))
        share = ((coc_px - far_px) / (near_px - far_px).clamp(min=1e-6)).detach()
        front_px = torch.where(share > OWN_SHARE, coc_px, near_px)
        back_px = torch.where(share < 1 - OWN_SHARE, coc_px, far_px)
        return Surfaces(
            torch.stack([front, back], 1),
            torch.cat([front_px, back_px], 1),
            torch.cat([alpha, within.to(alpha.dtype)], 1),
        )


def held(inverse_depth: Tensor, matte: Tensor, focus: Tensor, strength: float = 1.0) -> Tensor:
    """Inverse depth with the relief of a subject in focus taken out, smooth in every argument.

    The subject is drawn to its own mean depth, as far as its matte says and the focus is on it (`depth/subject_hold.py` does
    this for photos, and tells several subjects apart).

    Args:
        inverse_depth: (B, 1, H, W), 0..1.
        matte: (B, 1, H, W), 0..1.
        focus: (B,), inverse depth in focus.
        strength: 0..1.

    Returns:
        (B, 1, H, W).
    """
    weight = matte.sum((1, 2, 3), keepdim=True).clamp(min=1e-6)
    centre = (matte * inverse_depth).sum((1, 2, 3), keepdim=True) / weight
    off = (centre - focus.view(-1, 1, 1, 1)) / _ON_SUBJECT
    return inverse_depth - strength * torch.exp2(-off * off) * matte * (inverse_depth - centre)


@torch.no_grad()
def _borders(light: Tensor, coc_px: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The borders of each picture.

    Returns the pixels that show the near and the far surface, a mask of the border pixels, all (B, 1, H, W), and the first
    guess of alpha, near light and far light with the distance to the border, (B, 8, H, W).
    """
    found: list[tuple[Tensor, ...]] = []
    for picture, coc in zip(light.detach().cpu(), coc_px[:, 0].detach().cpu(), strict=True):
        rgb = np.ascontiguousarray(picture.float().numpy().transpose(1, 2, 0))
        plane = np.ascontiguousarray(coc.float().numpy())
        borders = find_borders(plane)
        planes = np.dstack([*first_guess(rgb, plane, borders), borders.distance]).transpose(2, 0, 1)
        found.append(
            (
                torch.from_numpy(borders.near)[None],
                torch.from_numpy(borders.far)[None],
                torch.from_numpy(np.ascontiguousarray(planes)),
            )
        )
    near, far, guess = (torch.stack(planes).to(light.device) for planes in zip(*found, strict=True))
    return near.long().clamp(min=0), far.long().clamp(min=0), near >= 0, guess.to(light.dtype)


def _gathered(plane: Tensor, at: Tensor) -> Tensor:
    """`plane` (B, C, H, W) at the pixels `at` (B, 1, H, W), numbered row by row."""
    flat = at.flatten(2).expand(-1, plane.shape[1], -1)
    return plane.flatten(2).gather(2, flat).view_as(plane)


def _files(folder: Path) -> tuple[Path, Path, Path]:
    return folder / "depth.onnx", folder / "lens_blur.onnx", folder / "upsample.onnx"


def _padded(part: Tensor) -> Tensor:
    """Repeats the last rows and columns up to the next multiple of 2 MULTIPLE_PX."""
    rows, columns = (-side % (2 * MULTIPLE_PX) for side in part.shape[-2:])
    return F.pad(part, (0, columns, 0, rows), mode="replicate") if rows or columns else part
