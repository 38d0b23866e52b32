"""Depth and focus from frame to frame: steady, following the camera and the subject."""
