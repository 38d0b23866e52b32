"""What the numbers were measured on."""

from __future__ import annotations

import gegl_command

from deeplens_dof.evaluate.machine import machine
from deeplens_dof.evaluate.machine import versions as versions_of

PACKAGES = ("deeplens-dof", "numpy", "numba", "scikit-image", "opencv-python-headless")


def versions() -> dict[str, str | None]:
    """Of what takes part; None for what is not installed."""
    return versions_of(PACKAGES) | {"gegl": gegl_command.version() if gegl_command.installed() else None}


__all__ = ["machine", "versions"]
