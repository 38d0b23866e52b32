"""Rendering of synthetic scenes: rasteriser, shaders, and the camera's defocus, exposure and tone."""
