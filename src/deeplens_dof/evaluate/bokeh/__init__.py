"""Renderers against true bokeh: the benchmarks, how they are measured, and their tables."""
