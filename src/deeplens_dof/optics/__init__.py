"""The thin lens and its aperture: arithmetic without files."""
