"""What the API says about a stored photo: the schema of it, and faces as JSON and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deeplens_dof.faces.face import Face
from deeplens_dof.scene import Scene

_PLACE = {"type": "number", "minimum": 0, "maximum": 1}
_POINT = {"type": "array", "items": _PLACE, "minItems": 2, "maxItems": 2}
_FACES = {
    "type": "array",
    "description": "The faces in the photo, the most prominent first; places from 0 to 1 of the upright picture.",
    "items": {
        "type": "object",
        "required": ["box", "eyes", "focus", "score"],
        "properties": {
            "box": {
                "type": "array",
                "items": _PLACE,
                "minItems": 4,
                "maxItems": 4,
                "description": "left, top, right, bottom",
            },
            "eyes": {
                "type": "array",
                "items": _POINT,
                "minItems": 2,
                "maxItems": 2,
                "description": "x, y of both eyes, the left one in the picture first",
            },
            "focus": {**_POINT, "description": "x, y of the nearer eye, to focus on"},
            "score": {**_PLACE, "description": "how sure it is a face"},
        },
    },
}


# The OpenAPI description of a stored photo, the answer to its upload.
PHOTO: dict[int | str, dict[str, Any]] = {
    201: {
        "description": "The stored photo.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": [
                        "id",
                        "width",
                        "height",
                        "subject",
                        "subject_confidence",
                        "depth_source",
                        "f_number",
                        "faces",
                    ],
                    "properties": {
                        "id": {"type": "string"},
                        "width": {"type": "integer", "minimum": 1},
                        "height": {"type": "integer", "minimum": 1},
                        "subject": {
                            **_POINT,
                            "description": "x, y that the focus is on unless told otherwise",
                        },
                        "subject_confidence": _PLACE,
                        "depth_source": {"type": "string"},
                        "f_number": {
                            "type": "number",
                            "description": "at which it is blurred unless another is given; a phone's own, or the default",
                        },
                        "faces": _FACES,
                    },
                }
            }
        },
    }
}


def described_faces(scene: Scene) -> list[dict[str, Any]]:
    """The faces of a scene as JSON: box, eyes, the nearer eye as the focus, score."""
    return [
        {"box": face.box, "eyes": face.eyes, "focus": eye, "score": round(face.score, 3)}
        for face, eye in zip(scene.faces, scene.eyes, strict=True)
    ]


def faces_from(described: Sequence[dict[str, Any]]) -> tuple[Face, ...]:
    """The faces that `described_faces` described."""
    return tuple(
        Face(tuple(face["box"]), (tuple(face["eyes"][0]), tuple(face["eyes"][1])), face["score"])
        for face in described
    )
