"""The vertex format of the rasteriser, and the operations that every mesh is made with.

A mesh is a flat array of VERTEX, three entries per triangle, without an index buffer. Metres, y up. `layer` is the texture
layer (-1: none, the colour alone); colours are linear, 0..1, and multiply the texture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

VERTEX = np.dtype(
    [("position", "f4", 3), ("normal", "f4", 3), ("uv", "f4", 2), ("layer", "f4"), ("colour", "f4", 3)]
)
Mesh = npt.NDArray[np.void]
Array = npt.NDArray[Any]
Colour = Sequence[float] | Array

_CORNERS = ((0, 0), (1, 0), (1, 1), (0, 0), (1, 1), (0, 1))  # two triangles of a grid cell


def mesh(position: Array, normal: Array, uv: Array, layer: float = -1, colour: Colour = (1, 1, 1)) -> Mesh:
    """Joins (N, 3) positions, (N, 3) normals and (N, 2) texture coordinates into a mesh."""
    made = np.zeros(len(position), VERTEX)
    made["position"], made["normal"], made["uv"] = position, normal, uv
    made["layer"], made["colour"] = layer, colour
    return made


def surface(point: Callable[[Array, Array], Array], columns: int, rows: int) -> Mesh:
    """A parametric surface: `point(u, v)` maps arrays of 0..1 to (..., 3). Normals by central differences."""
    u, v = np.meshgrid(np.linspace(0, 1, columns + 1), np.linspace(0, 1, rows + 1), indexing="ij")
    step = 1e-4
    along_u, along_v = point(u + step, v) - point(u - step, v), point(u, v + step) - point(u, v - step)
    normal = np.cross(along_v, along_u)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-12

    def triangles(grid: Array) -> Array:
        cells = [grid[i : i + columns, j : j + rows] for i, j in _CORNERS]
        return np.stack(cells, 2).reshape(-1, grid.shape[-1])

    return mesh(triangles(point(u, v)), triangles(normal), triangles(np.stack([u, v], -1)))


def xyz(x: Array | float, y: Array | float, z: Array | float) -> Array:
    """Broadcasts three coordinates to (..., 3)."""
    return np.stack(np.broadcast_arrays(x, y, z), -1)


def rotation(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> Array:
    """3x3: roll about z, then pitch about x, then yaw about y; radians. Columns are the turned axes."""
    cy, cp, cr = np.cos(yaw), np.cos(pitch), np.cos(roll)
    sy, sp, sr = np.sin(yaw), np.sin(pitch), np.sin(roll)
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return about_y @ about_x @ about_z


def placed(
    at: Array | Sequence[float], turn: Array | None = None, size: Array | Sequence[float] | float = 1
) -> Array:
    """4x4 model matrix: scale, then turn, then move."""
    model = np.eye(4)
    model[:3, :3] = (np.eye(3) if turn is None else turn) * np.broadcast_to(np.asarray(size, float), 3)
    model[:3, 3] = at
    return model


def moved(part: Mesh, model: Array, colour: Colour | None = None, layer: float | None = None) -> Mesh:
    """A copy of a mesh under a 4x4 matrix, optionally with another colour or texture layer."""
    made = part.copy()
    made["position"] = part["position"] @ model[:3, :3].T + model[:3, 3]
    normal = part["normal"] @ np.linalg.inv(model[:3, :3])
    made["normal"] = normal / (np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12)
    if colour is not None:
        made["colour"] = colour
    if layer is not None:
        made["layer"] = layer
    return made


def tube(
    path: Array, radius: Array | Sequence[float] | float, sides: int = 8, colour: Colour = (1, 1, 1)
) -> Mesh:
    """A tube around a polyline (N, 3) with one radius or N of them: limbs, branches, bars, wires."""
    path = np.asarray(path, float)
    radii = np.broadcast_to(np.asarray(radius, float), len(path))
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-12
    up = np.where(np.abs(tangent[:, 1:2]) < 0.9, [[0.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]])
    side = np.cross(tangent, up)
    side /= np.linalg.norm(side, axis=1, keepdims=True) + 1e-12
    other = np.cross(side, tangent)
    angle = np.linspace(0, 2 * np.pi, sides + 1)
    outward = side[:, None] * np.cos(angle)[None, :, None] + other[:, None] * np.sin(angle)[None, :, None]
    ring = path[:, None] + outward * radii[:, None, None]
    along = np.linspace(0, 1, len(path))[:, None]
    uv = np.stack(np.broadcast_arrays(angle[None] / (2 * np.pi), along), -1)

    def triangles(grid: Array) -> Array:
        return np.stack([grid[i : i + len(path) - 1, j : j + sides] for i, j in _CORNERS], 2).reshape(
            -1, grid.shape[-1]
        )

    return mesh(triangles(ring), triangles(outward), triangles(uv), colour=colour)
