"""Pixels to pixels, without depth: colour, size, guided filter, film grain."""
