"""Depth that phones embed in photos."""
