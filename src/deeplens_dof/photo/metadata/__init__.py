"""Metadata beside the pixels of a file: EXIF, XMP, ICC profiles, orientation, focus."""
