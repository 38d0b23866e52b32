"""Depth and focus from frame to frame: temporally stable, following the camera and the subject."""
