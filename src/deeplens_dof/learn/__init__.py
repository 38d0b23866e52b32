"""Learning: synthetic scenes, networks, losses, training and export. Needs the extra `[learn]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deeplens_dof.learn.networks.deeplens import DeepLens

__all__ = ["DeepLens"]


def __getattr__(name: str) -> Any:
    """Imports `DeepLens`, and with it torch, on first use; scenes do not need torch."""
    if name == "DeepLens":
        from deeplens_dof.learn.networks.deeplens import DeepLens

        return DeepLens
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
