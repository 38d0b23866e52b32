"""Where synthetic scenes play: rooms, outdoors, portraits, close-ups."""
