"""The nodes, by ComfyUI's interface: INPUT_TYPES, RETURN_TYPES, FUNCTION, CATEGORY.

IMAGE is a tensor (B, H, W, 3) of sRGB floats 0..1, MASK one (B, H, W) of floats 0..1. Depth travels as a MASK: relative
inverse depth, 1 is nearest.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch

import deeplens_dof as dl
from deeplens_dof.photo.codecs.formats import PICTURE_SUFFIXES
from deeplens_dof.settings import setting_fields

CATEGORY = "DeepLens"
_STEPS = 100  # of a slider


def setting_inputs() -> dict[str, tuple[Any, dict[str, Any]]]:
    """One input for each field of `Settings`, from its own metadata."""
    inputs: dict[str, tuple[Any, dict[str, Any]]] = {}
    for setting in setting_fields():
        facts = setting.metadata
        options: dict[str, Any] = {"default": setting.default, "tooltip": facts["help"]}
        if facts["choices"]:
            inputs[setting.name] = (list(facts["choices"]), options)
        elif facts["low"] is None:
            inputs[setting.name] = ("STRING", options)
        else:
            low, high = facts["low"], facts["high"]
            step = 0.01 if high - low <= _STEPS else 1.0
            inputs[setting.name] = ("FLOAT", {**options, "min": low, "max": high, "step": step})
    return inputs


def checked(values: dict[str, Any]) -> bool | str:
    """True, or the sentence that says which setting is wrong; inputs that are connected are not known yet."""
    try:
        dl.Settings(**{name: value for name, value in values.items() if value is not None})
    except ValueError as problem:
        return str(problem)
    return True


class LoadPhoto:
    """A photo of ComfyUI's input folder, upright and in sRGB, with the depth that its file holds, else predicted."""

    CATEGORY = CATEGORY
    FUNCTION = "load"
    RETURN_TYPES = ("IMAGE", "MASK", "MASK")
    RETURN_NAMES = ("image", "alpha", "depth")
    DESCRIPTION = "Load a photo (HEIC, AVIF, 16-bit TIFF, EXR and others too) with its depth; 1 is nearest."

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        import folder_paths

        folder = folder_paths.get_input_directory()
        files = [name for name in os.listdir(folder) if name.lower().endswith(PICTURE_SUFFIXES)]
        sources = ["auto", "embedded", "predict"]
        return {
            "required": {
                "image": (sorted(files), {"image_upload": True}),
                "depth_source": (sources, {"default": "auto", "tooltip": "Depth in the file, or predicted."}),
            }
        }

    @classmethod
    def IS_CHANGED(cls, image: str, **_: Any) -> float:
        return os.path.getmtime(_path(image))

    @classmethod
    def VALIDATE_INPUTS(cls, image: str) -> bool | str:
        return True if os.path.isfile(_path(image)) else f"{image} is not in the input folder; load it again"

    def load(self, image: str, depth_source: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        photo = dl.read(_path(image))
        scene = dl.analyse(photo, depth=depth_source)
        cover = photo.cover()
        alpha = np.ones((photo.height, photo.width), np.float32) if cover is None else cover
        rgb = photo.srgb8().astype(np.float32) / 255
        return _batch(rgb), _batch(alpha), _batch(scene.inverse_depth.normalised())


class PredictDepth:
    """Relative inverse depth of pictures, as a mask for other nodes and as a grey picture to look at."""

    CATEGORY = CATEGORY
    FUNCTION = "predict"
    RETURN_TYPES = ("MASK", "IMAGE")
    RETURN_NAMES = ("depth", "picture")
    DESCRIPTION = "Predict the depth of a photo; 1, or bright, is nearest."

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        return {"required": {"image": ("IMAGE",)}}

    def predict(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = [dl.predict_depth(_codes(picture)).values for picture in _pictures(image)]
        depth = torch.from_numpy(np.stack(found))
        return depth, depth[..., None].repeat(1, 1, 1, 3)


class Blur:
    """A shallow depth of field, by the settings of DeepLens; depth is predicted where none is connected."""

    CATEGORY = CATEGORY
    FUNCTION = "blur"
    RETURN_TYPES = ("IMAGE", "MASK", "MASK")
    RETURN_NAMES = ("image", "depth", "in_focus")
    DESCRIPTION = "Blur photos as a lens does. in_focus is 1 where the picture stays sharp."

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:
        far = {"default": False, "tooltip": "The connected depth is bright where it is far."}
        return {
            "required": {"image": ("IMAGE",), **setting_inputs()},
            "optional": {"depth": ("MASK",), "far_is_bright": ("BOOLEAN", far)},
        }

    @classmethod
    def VALIDATE_INPUTS(cls, **values: Any) -> bool | str:
        names = {setting.name for setting in setting_fields()}
        return checked({name: value for name, value in values.items() if name in names})

    def blur(
        self,
        image: torch.Tensor,
        depth: torch.Tensor | None = None,
        far_is_bright: bool = False,
        **values: Any,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        settings = dl.Settings(**values)
        pictures = _pictures(image)
        depths = [None] * len(pictures) if depth is None else _depths(depth, len(pictures), far_is_bright)
        blurred, used, sharp = [], [], []
        for picture, own in zip(pictures, depths, strict=True):
            photo = dl.Photo(np.rint(np.clip(picture, 0, 1) * 65535).astype(np.uint16))
            result = dl.refocus(dl.analyse(photo, depth="predict" if own is None else own), settings)
            blurred.append(result.image.astype(np.float32) / 65535)
            used.append(result.scene.inverse_depth.values)
            sharp.append((np.abs(result.coc_px) < 1).astype(np.float32))
        return tuple(torch.from_numpy(np.stack(planes)) for planes in (blurred, used, sharp))  # type: ignore[return-value]


def _path(image: str) -> str:
    import folder_paths

    return str(folder_paths.get_annotated_filepath(image))


def _batch(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))[None]


def _pictures(image: torch.Tensor) -> list[np.ndarray]:
    """The pictures of a batch, float32 (H, W, 3); a fourth channel is left out, a single one is grey."""
    if image.ndim != 4 or image.shape[3] not in (1, 3, 4):
        raise ValueError(f"the image is a tensor {tuple(image.shape)}, expected (batch, height, width, 3)")
    rgb = image.detach().cpu().float().numpy()
    return list(np.repeat(rgb, 3, axis=3) if rgb.shape[3] == 1 else rgb[..., :3])


def _codes(picture: np.ndarray) -> np.ndarray:
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def _depths(depth: torch.Tensor, count: int, far_is_bright: bool) -> list[dl.InverseDepth]:
    """One map a picture; a single one serves all."""
    planes = depth.detach().cpu().float().numpy()
    if planes.ndim == 2:
        planes = planes[None]
    if planes.ndim != 3 or len(planes) not in (1, count):
        raise ValueError(
            f"the depth is a tensor {tuple(depth.shape)}, expected a mask for each of the {count} pictures, or one for all"
        )
    near = 1 - planes if far_is_bright else planes
    return [dl.InverseDepth(near[min(index, len(near) - 1)], "relative") for index in range(count)]


NODE_CLASS_MAPPINGS = {
    "DeepLensLoadPhoto": LoadPhoto,
    "DeepLensPredictDepth": PredictDepth,
    "DeepLensBlur": Blur,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "DeepLensLoadPhoto": "Load Photo with Depth (DeepLens)",
    "DeepLensPredictDepth": "Predict Depth (DeepLens)",
    "DeepLensBlur": "Lens Blur (DeepLens)",
}
