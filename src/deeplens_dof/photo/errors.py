"""Errors of picture files: one sentence that starts with the picture's name."""

from __future__ import annotations


class PhotoError(ValueError):
    """A picture could not be read or written. The message is one sentence that starts with its name."""


class TooLargeError(PhotoError):
    """A file or picture exceeds a limit."""


class UnknownFormatError(PhotoError):
    """The content is not of a supported picture format."""


class BoxError(PhotoError):
    """The boxes of an ISO media file are damaged, or too many."""
