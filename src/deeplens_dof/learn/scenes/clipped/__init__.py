"""Pictures of which the light above white is known."""
