"""Inverse depth of a photo: predicted, refined, read from files, and the subject it shows."""
