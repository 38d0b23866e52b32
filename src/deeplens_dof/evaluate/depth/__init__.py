"""Depth and matte against measured ones: the sets, how they are scored, and their tables."""
