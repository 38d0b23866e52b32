"""What went wrong with a picture file, as one sentence that starts with the picture's name."""

from __future__ import annotations


class PhotoError(ValueError):
    """A picture could not be read or written. The message is one sentence that starts with its name."""


class TooLargeError(PhotoError):
    """A file or picture is larger than is allowed."""


class UnknownFormatError(PhotoError):
    """The bytes are those of no picture format that is read."""


class BoxError(PhotoError):
    """The boxes of an ISO media file are damaged, or more than are walked."""
