"""The school: synthetic scenes, networks, losses, training and export. Needs the extra `[learn]`."""
