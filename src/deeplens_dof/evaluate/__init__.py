"""Scores of depth and blur against measured and rendered truth."""
