"""Depth that phones leave in the file of a photo."""
