"""Depth and matte against measurements: data, scores and tables."""
