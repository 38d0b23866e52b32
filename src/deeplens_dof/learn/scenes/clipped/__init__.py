"""Pictures whose true light above white is known, for highlight reconstruction."""
