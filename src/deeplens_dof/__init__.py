"""DeepLens: shallow depth of field for ordinary photos, with focus and aperture chosen after the shot.

    import deeplens_dof as dl
    dl.blur("in.jpg", focus=(0.4, 0.6), f_number=1.8).save("out.jpg")

Each name is loaded when first used, so that importing the package is fast and loads no weights.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deeplens_dof.depth.files import read_depth_file, write_depth_file
    from deeplens_dof.depth.predict import predict_depth
    from deeplens_dof.depth.video.stabilise import SteadyDepth
    from deeplens_dof.faces.face import Face
    from deeplens_dof.faces.find import find_faces
    from deeplens_dof.imaging.color import linear_to_srgb, srgb_to_linear
    from deeplens_dof.lens_blur.render import render
    from deeplens_dof.optics.aperture import Aperture
    from deeplens_dof.optics.inverse_depth import InverseDepth
    from deeplens_dof.optics.thin_lens import Lens
    from deeplens_dof.photo import Photo, PhotoError
    from deeplens_dof.photo.read import read
    from deeplens_dof.pipeline import Result, Scene, analyse, blur, preview, refocus
    from deeplens_dof.settings import Settings

__version__ = "0.1.0"

if "DEEPLENS_CACHE" in os.environ:  # compiled kernels lie there too, before numba is imported
    os.environ.setdefault("NUMBA_CACHE_DIR", os.path.expanduser(f"{os.environ['DEEPLENS_CACHE']}/numba"))

_MODULES = {
    "Aperture": "optics.aperture",
    "Face": "faces.face",
    "InverseDepth": "optics.inverse_depth",
    "Lens": "optics.thin_lens",
    "Photo": "photo",
    "PhotoError": "photo",
    "Result": "pipeline",
    "Scene": "pipeline",
    "Settings": "settings",
    "SteadyDepth": "depth.video.stabilise",
    "analyse": "pipeline",
    "blur": "pipeline",
    "find_faces": "faces.find",
    "linear_to_srgb": "imaging.color",
    "predict_depth": "depth.predict",
    "preview": "pipeline",
    "read": "photo",
    "read_depth_file": "depth.files",
    "refocus": "pipeline",
    "render": "lens_blur.render",
    "srgb_to_linear": "imaging.color",
    "write_depth_file": "depth.files",
}

__all__ = [
    "Aperture",
    "Face",
    "InverseDepth",
    "Lens",
    "Photo",
    "PhotoError",
    "Result",
    "Scene",
    "Settings",
    "SteadyDepth",
    "__version__",
    "analyse",
    "blur",
    "find_faces",
    "linear_to_srgb",
    "predict_depth",
    "preview",
    "read",
    "read_depth_file",
    "refocus",
    "render",
    "srgb_to_linear",
    "write_depth_file",
]


if not TYPE_CHECKING:  # type checkers are to miss the names that are not there

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return list(__all__)
