"""Picture files to photos and back."""

from deeplens_dof.photo.atomic import write_file
from deeplens_dof.photo.contents import Compression
from deeplens_dof.photo.embedded_depth import EmbeddedDepth
from deeplens_dof.photo.errors import PhotoError
from deeplens_dof.photo.limits import COMMAND_LINE_LIMITS, SERVICE_LIMITS, Limits
from deeplens_dof.photo.metadata.exif import Camera
from deeplens_dof.photo.original import check_embedding, untouched
from deeplens_dof.photo.photo import Photo
from deeplens_dof.photo.read import read

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
    "write_file",
]
