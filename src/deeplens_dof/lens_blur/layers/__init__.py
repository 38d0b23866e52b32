"""A picture as surfaces: layers, their borders, and the background that they occlude."""
