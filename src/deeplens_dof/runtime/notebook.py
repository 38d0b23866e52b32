"""Pictures for notebooks, which show what an object's `_repr_png_` and `_repr_html_` give."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from html import escape

import numpy as np
import numpy.typing as npt

LONGEST_PX = 640

Picture = npt.NDArray[np.uint8]


def png(rgb: Picture) -> bytes:
    """A PNG of sRGB uint8 (H, W, 3), every n-th pixel of one longer than twice LONGEST_PX."""
    from PIL import Image

    step = max(1, max(rgb.shape[:2]) // LONGEST_PX)
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb[::step, ::step])).save(file, "PNG")
    return file.getvalue()


def figure(pictures: Mapping[str, Picture], caption: str) -> str:
    """HTML of pictures side by side, each with its name below, and a caption."""
    cells = "".join(
        f'<figure style="margin:0;flex:1 1 0;min-width:0"><img style="width:100%" alt="{escape(name)}" '
        f'src="data:image/png;base64,{base64.b64encode(png(picture)).decode("ascii")}">'
        f"<figcaption>{escape(name)}</figcaption></figure>"
        for name, picture in pictures.items()
    )
    return f'<div style="display:flex;gap:8px;max-width:60em">{cells}</div><p>{escape(caption)}</p>'
