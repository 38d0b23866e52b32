"""Synthetic training data: rasterised scenes, composed pairs and clipped pictures, each reproducible from its seed."""
