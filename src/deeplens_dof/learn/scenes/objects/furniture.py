"""Reads the furniture packs: textured Wavefront OBJ models, with a catalogue of names and real sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from deeplens_dof.learn.scenes.objects.vertices import VERTEX, Array, Mesh

PACKS = ("Reallusion", "BlendSwap-CC-0", "KatorLegaz", "BlendSwap-CC-BY", "Scopia")
LARGEST_FILE = 3_200_000  # bytes; a larger model slows down every frame that shows it
LARGEST_MESH = 24_000  # triangles
GLASS = 0.35  # opacity below which faces are left out, because a transparent pixel has no single depth


@dataclass(frozen=True)
class Model:
    """One catalogue entry. size: width, height, depth in metres. elevation: usual height above the floor in metres."""

    pack: str
    name: str
    category: str
    size: tuple[float, float, float]
    elevation: float


@dataclass
class Material:
    """Diffuse colour (linear 0..1), texture file and opacity of an MTL entry."""

    colour: tuple[float, float, float] = (0.7, 0.7, 0.7)
    texture: Path | None = None
    opacity: float = 1.0


@dataclass
class _Wavefront:
    """The contents of an OBJ file: number strings, faces as (corner, corner, corner, material), materials by name."""

    points: list[list[str]] = field(default_factory=list)
    uvs: list[list[str]] = field(default_factory=list)
    normals: list[list[str]] = field(default_factory=list)
    faces: list[tuple[str, str, str, int]] = field(default_factory=list)
    material_names: list[str] = field(default_factory=list)
    materials: dict[str, Material] = field(default_factory=dict)


def read_packs(furniture: Path, texture_layer: Callable[[Path], int]) -> Iterator[tuple[Model, Mesh]]:
    """Every usable model at its real size, standing on y = 0, centred on x = z = 0.

    furniture: the unpacked package. texture_layer: gives the layer of a texture file, -1 when it cannot be read.
    """
    for pack in PACKS:
        entries = catalogue(furniture / pack)
        index = 0
        while f"name#{index + 1}" in entries:
            index += 1
            path = furniture / pack / entries.get(f"model#{index}", "").lstrip("/")
            model = _model(pack, index, entries)
            if not path.is_file() or path.stat().st_size > LARGEST_FILE or not _is_wanted(model, index):
                continue
            turn = entries.get(f"modelRotation#{index}")
            try:
                body = read_obj(path, texture_layer)
            except (ValueError, IndexError):
                continue  # a few files of the packs are malformed
            if body is not None:
                yield (
                    model,
                    _fitted(
                        body, np.array(turn.split(), float).reshape(3, 3) if turn else np.eye(3), model.size
                    ),
                )


def catalogue(pack: Path) -> dict[str, str]:
    """The English catalogue of a pack, unchanged: `name#1`, `width#1`, `creator#1`, ..."""
    text = (pack / "PluginFurnitureCatalog.properties").read_text(encoding="latin1")
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {key.strip(): value.strip() for key, value in pairs}


def _model(pack: str, index: int, entries: dict[str, str]) -> Model:
    width, height, depth = (
        float(entries.get(f"{side}#{index}", 100)) / 100 for side in ("width", "height", "depth")
    )
    return Model(
        pack, entries[f"name#{index}"], entries.get(f"category#{index}", ""), (width, height, depth),
        float(entries.get(f"elevation#{index}", 0)) / 100,
    )  # fmt: skip


def _is_wanted(model: Model, index: int) -> bool:
    """False for openings, stairs, road markings, and a block of one pack that holds only text signs."""
    if model.category in ("Doors and windows", "Staircases") and "door" not in model.name.lower():
        return False
    return (
        not (model.pack == "Scopia" and 302 <= index <= 333)
        and "arking" not in model.name
        and "Arrow" not in model.name
    )


def _fitted(body: Mesh, turn: Array, size: tuple[float, float, float]) -> Mesh:
    body["position"] = body["position"] @ turn.T
    body["normal"] = body["normal"] @ turn.T
    low, high = body["position"].min(0), body["position"].max(0)
    foot = (low + high) / 2 * [1, 0, 1] + [0, low[1], 0]
    body["position"] = (body["position"] - foot) / np.maximum(high - low, 1e-6) * size
    return body


def read_obj(path: Path, texture_layer: Callable[[Path], int]) -> Mesh | None:
    """An OBJ file as a mesh, or None when it is empty, too large or all glass. Raises ValueError when malformed."""
    source = _parse(path)
    if source is None or len(source.faces) < 8 or not source.points:
        return None
    points, uvs = np.array(source.points, np.float32), np.array(source.uvs or [["0", "0"]], np.float32)
    corners = [[corner.split("/") for corner in face[:3]] for face in source.faces]
    at = points[_indices(corners, 0, len(points))]  # (faces, 3, 3)
    flat = np.cross(at[:, 1] - at[:, 0], at[:, 2] - at[:, 0])
    normal = np.repeat(flat[:, None], 3, 1)
    if source.normals and all(len(corner) > 2 and corner[2] for face in corners for corner in face):
        normal = np.array(source.normals, np.float32)[_indices(corners, 2, len(source.normals))]
    normal = normal / (np.linalg.norm(normal, axis=2, keepdims=True) + 1e-9)
    uv = uvs[np.clip(_indices(corners, 1, len(uvs)), 0, len(uvs) - 1)]
    made = np.zeros((len(at), 3), VERTEX)
    made["position"], made["normal"], made["uv"], made["layer"], made["colour"] = at, normal, uv, -1, 0.7
    solid = np.ones(len(at), bool)
    material_of_face = np.array([face[3] for face in source.faces])
    for index, name in enumerate(source.material_names):
        material = source.materials.get(name)
        if material is None:
            continue
        chosen = material_of_face == index
        layer = texture_layer(material.texture) if material.texture else -1
        made["layer"][chosen] = layer
        made["colour"][chosen] = material.colour if layer < 0 else np.maximum(material.colour, 0.6)
        solid[chosen] = material.opacity >= GLASS
    return made[solid].reshape(-1) if solid.sum() >= 8 else None


def _parse(path: Path) -> _Wavefront | None:
    source, material = _Wavefront(), -1
    for line in path.open(encoding="latin1"):
        word, *rest = line.split() or [""]
        if word == "v":
            source.points.append(rest[:3])
        elif word == "vt":
            source.uvs.append(rest[:2])
        elif word == "vn":
            source.normals.append(rest[:3])
        elif word == "f":
            source.faces.extend((rest[0], rest[i], rest[i + 1], material) for i in range(1, len(rest) - 1))
            if len(source.faces) > LARGEST_MESH:
                return None
        elif word == "mtllib":
            source.materials.update(_materials(path.parent / " ".join(rest)))
        elif word == "usemtl":
            name = " ".join(rest)
            if name not in source.material_names:
                source.material_names.append(name)
            material = source.material_names.index(name)
    return source


def _indices(corners: list[list[list[str]]], part: int, count: int) -> np.ndarray:
    """The 1-based or negative OBJ indices of one kind as 0-based (faces, 3)."""
    raw = np.array(
        [[int(c[part]) if len(c) > part and c[part] else 1 for c in face] for face in corners], np.int64
    )
    return np.where(raw > 0, raw - 1, raw + count)


def _materials(path: Path) -> dict[str, Material]:
    materials: dict[str, Material] = {}
    current = Material()
    if not path.is_file():
        return materials
    for line in path.open(encoding="latin1"):
        key, _, value = line.strip().partition(" ")
        words = value.split()
        if key == "newmtl":
            current = materials.setdefault(value.strip(), Material())
        elif key == "Kd" and len(words) >= 3:
            current.colour = (float(words[0]), float(words[1]), float(words[2]))
        elif key == "d" and words:
            current.opacity = float(words[-1])
        elif key == "map_Kd":
            current.texture = _found(path.parent / value.strip().split(" -")[0])
    return materials


def _found(path: Path) -> Path | None:
    """The file itself, or one whose name differs only in case."""
    if path.is_file():
        return path
    if not path.parent.is_dir():
        return None  # some materials point to their author's own disk
    return next((other for other in path.parent.iterdir() if other.name.lower() == path.name.lower()), None)
