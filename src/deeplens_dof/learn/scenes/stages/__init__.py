"""The kinds of synthetic scenes: rooms, outdoors, portraits, close-ups."""
