"""Renderers against reference bokeh: benchmarks, measurement and tables."""
