"""Rendering by tiles: blocks, resolutions, and the kernels for each kind of block."""
