"""Synthetic scenes drawn: triangles, shaders, and what a camera does to a picture."""
