"""Picture files to photos and back: the only place that opens them."""

from .atomic import write_atomically
from .contents import Compression
from .embedded import EmbeddedDepth
from .errors import PhotoError
from .exif import Camera
from .limits import COMMAND_LINE_LIMITS, SERVICE_LIMITS, Limits
from .photo import Photo
from .read import read
from .untouched import check_embedding, untouched

__all__ = [
    "COMMAND_LINE_LIMITS",
    "SERVICE_LIMITS",
    "Camera",
    "Compression",
    "EmbeddedDepth",
    "Limits",
    "Photo",
    "PhotoError",
    "check_embedding",
    "read",
    "untouched",
    "write_atomically",
]
