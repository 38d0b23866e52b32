"""Scenes composed of planar layers: a sharp picture, its depth and its true bokeh."""
