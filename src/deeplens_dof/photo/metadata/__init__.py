"""What a picture file says beside its pixels: EXIF, XMP, ICC profiles, orientation, focus."""
