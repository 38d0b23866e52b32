"""Baselines off the main path: the lens blur of 2018 and guided upsampling."""
