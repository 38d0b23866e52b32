"""Synthetic scenes: RGB, exact inverse depth and foreground mask, drawn by a rasteriser from one seed."""
