"""Clipped highlights: where a photo clips, the light that it lost there, and in-focus pixels restored after the blur."""

from deeplens_dof.highlights.rule import recover_highlights

__all__ = ["recover_highlights"]
