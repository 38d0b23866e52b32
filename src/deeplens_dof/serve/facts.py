"""Faces of a stored photo as JSON and back; `openapi.SentPhoto` is their schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deeplens_dof.faces.face import Face
from deeplens_dof.scene import Scene


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
