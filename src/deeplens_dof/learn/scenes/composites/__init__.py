"""Scenes composed of layers: a sharp picture, its depth, and what a lens makes of it."""
