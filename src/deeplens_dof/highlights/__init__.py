"""Clipped highlights: where a photo clips, how bright it was there, and sharp pixels as they were."""

from deeplens_dof.highlights.rule import recover_highlights

__all__ = ["recover_highlights"]
