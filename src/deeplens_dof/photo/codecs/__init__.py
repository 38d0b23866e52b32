"""One module for each file format: bytes to pixels and back."""
