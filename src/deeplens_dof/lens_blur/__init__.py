"""Lens blur: a picture in linear light and its circles of confusion to depth of field."""
