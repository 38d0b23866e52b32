"""Renders a Stage in one pass of OpenGL: linear light, exact inverse depth and subject mask.

Needs neither a screen nor a graphics card (EGL and Mesa's llvmpipe). Each pixel is 2 x 2 samples: colour and subject are
their mean, inverse depth is one of them, because a mean of depths across a border is the depth of no surface.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from deeplens_dof.learn.scenes.objects.library import Library
from deeplens_dof.learn.scenes.objects.vertices import Array, rotation
from deeplens_dof.learn.scenes.render import shaders
from deeplens_dof.learn.scenes.stages.stage import LIGHTS, Camera, Instance, Stage

SAMPLES = 2  # per pixel and axis
SHADOW_SIZE = 1024
NEAR_M, FAR_M = 0.05, 400.0
INFINITY_M = 9e5  # larger distances are the background
_KINDS = {"solid": 0, "cut-out": 1, "window": 2}
_UPLOAD = 1 << 20  # vertices sent at once
FloatImage = npt.NDArray[Any]


@dataclass(frozen=True)
class Drawing:
    """A rendered stage. linear: (H, W, 3) light; inverse_depth: (H, W) in 1/m, 0 at infinity; subject: (H, W), 0..1."""

    linear: FloatImage
    inverse_depth: FloatImage
    subject: FloatImage


class Rasteriser:
    """An OpenGL context that holds the library's meshes and textures. Make one per process."""

    def __init__(self, library: Library) -> None:
        import moderngl

        self._gl = moderngl
        try:
            self._context = context = moderngl.create_context(standalone=True, backend="egl")
        except Exception as error:  # moderngl raises bare Exception when there is no EGL
            raise RuntimeError(
                f"no OpenGL context could be made ({error}); install Mesa's EGL (Debian: libegl1 "
                "libgl1-mesa-dri)"
            ) from error
        self._library = library
        self._model = context.program(
            vertex_shader=shaders.MODEL_VERTEX, fragment_shader=shaders.MODEL_FRAGMENT
        )
        self._back = context.program(vertex_shader=shaders.BACK_VERTEX, fragment_shader=shaders.BACK_FRAGMENT)
        self._shadow = context.program(
            vertex_shader=shaders.SHADOW_VERTEX, fragment_shader=shaders.SHADOW_FRAGMENT
        )
        vertices = self._upload(library)
        self._model_array = context.vertex_array(
            self._model, [(vertices, "3f 3f 2f 1f 3f", "position", "normal", "uv", "layer", "colour")]
        )
        self._shadow_array = context.vertex_array(
            self._shadow, [(vertices, "3f 12x 2f 1f 12x", "position", "uv", "layer")]
        )
        corners = context.buffer(np.array([-1, -1, 3, -1, -1, 3], "f4").tobytes())
        self._back_array = context.vertex_array(self._back, [(corners, "2f", "position")])
        self._textures = self._stack(library.textures, repeat=True)
        self._cutouts = self._stack(library.cutouts, repeat=False)
        self._backdrops = self._stack(library.backdrops, repeat=False)
        self._skies = [
            context.texture((sky.shape[1], sky.shape[0]), 3, sky.tobytes(), dtype="f2")
            for sky in library.skies
        ]
        for sky in self._skies:
            sky.repeat_y = False
        self._shadow_map = context.depth_texture((SHADOW_SIZE, SHADOW_SIZE))
        self._shadow_map.compare_func = "<="
        self._shadow_map.repeat_x = self._shadow_map.repeat_y = False
        self._shadow_target = context.framebuffer(depth_attachment=self._shadow_map)
        self._targets: dict[tuple[int, int], Any] = {}

    def draw(self, stage: Stage, size: tuple[int, int]) -> Drawing:
        """Renders the stage; its `rng` chooses sky and sun. size: (width, height) in px."""
        width, height = size
        rng, context = stage.rng, self._context
        skies = list(range(len(self._skies)))
        if stage.sky_seen and not stage.chance(0.12):
            skies = self._library.open_air_skies()
        sky, sky_turn = int(stage.pick(skies)), float(rng.random())
        ambient_sh = sky_harmonics(self._library.skies[sky].astype(np.float32), sky_turn)
        ambient_sh /= max(float(ambient_sh[0].mean()), 1e-3)
        sky_gain = stage.uniform(0.25, 1.2) * (0.06 if stage.night else 1.0)
        sun_direction, sun_colour = _sun(stage)
        sun_projection = _sun_projection(stage, sun_direction)
        tangent = _tangents(stage.eye, width, height)
        context.enable(self._gl.DEPTH_TEST)
        for unit, texture in enumerate(
            (self._textures, self._cutouts, self._skies[sky], self._shadow_map, self._backdrops)
        ):
            texture.use(unit)
        self._draw_shadows(stage, sun_projection)
        target = self._target(width * SAMPLES, height * SAMPLES)
        target.use()
        target.clear(depth=1.0)
        context.depth_func = "<="
        self._draw_background(stage, tangent, sky_turn, sky_gain)
        _write(self._model, {
            "textures": 0, "cutouts": 1, "sky": 2, "sun_shadow": 3, "eye": tuple(stage.eye.position),
            "forward": tuple(stage.eye.forward), "sun_direction": tuple(sun_direction),
            "sun_colour": tuple(sun_colour),
            "fog": stage.fog, "fog_colour": stage.colour(0.5, 1, 0.2), "ambient": stage.ambient,
            "sky_turn": sky_turn,
            "gain": stage.uniform(0.6, 1.5),
        })  # fmt: skip
        self._model["view_projection"].write(_gl_matrix(_view_projection(stage.eye, tangent)))
        self._model["sun_projection"].write(_gl_matrix(sun_projection))
        self._model["ambient_sh"].write(ambient_sh.astype("f4").tobytes())
        at, colour = _lights(stage)
        self._model["light_at"].write(at)
        self._model["light_colour"].write(colour)
        for instance in stage.instances:
            self._draw_instance(instance)
        return _read(target, stage, tangent, width, height)

    def _upload(self, library: Library) -> Any:
        vertices = library.vertices
        buffer = self._context.buffer(reserve=len(vertices) * vertices.dtype.itemsize)
        for first in range(0, len(vertices), _UPLOAD):
            part = np.ascontiguousarray(vertices[first : first + _UPLOAD])
            buffer.write(part.tobytes(), offset=first * vertices.dtype.itemsize)
        return buffer

    def _stack(self, layers: npt.NDArray[np.uint8], repeat: bool) -> Any:
        count, height, width, channels = layers.shape
        texture = self._context.texture_array(
            (width, height, count), channels, np.ascontiguousarray(layers).tobytes()
        )
        texture.build_mipmaps()
        texture.filter = (self._gl.LINEAR_MIPMAP_LINEAR, self._gl.LINEAR)
        texture.repeat_x = texture.repeat_y = repeat
        return texture

    def _target(self, width: int, height: int) -> Any:
        if (width, height) not in self._targets:
            colours = [
                self._context.texture((width, height), channels, dtype=kind)
                for channels, kind in ((4, "f2"), (1, "f4"), (1, "f2"))
            ]
            self._targets[width, height] = self._context.framebuffer(
                colours, self._context.depth_renderbuffer((width, height))
            )
        return self._targets[width, height]

    def _draw_shadows(self, stage: Stage, sun_projection: Array) -> None:
        self._shadow_target.use()
        self._shadow_target.clear(depth=1.0)
        if stage.sun <= 0:
            return
        self._shadow["sun_projection"].write(_gl_matrix(sun_projection))
        _write(self._shadow, {"textures": 0, "cutouts": 1})
        for instance in stage.instances:
            if instance.casts_shadow:
                look = instance.look
                self._shadow["model"].write(_gl_matrix(instance.model))
                _write(
                    self._shadow,
                    {"layer_override": look.layer, "kind": _KINDS[look.kind], "uv_scale": look.uv_scale},
                )
                self._shadow_array.render(vertices=instance.count, first=instance.first)

    def _draw_background(
        self, stage: Stage, tangent: tuple[float, float], sky_turn: float, gain: float
    ) -> None:
        eye, part = stage.eye, stage.uniform(0.6, 1)
        left, top = stage.uniform(0, 1 - part), stage.uniform(0, 1 - part)
        low, high = stage.gradient or (np.zeros(3), np.zeros(3))
        kind = 2 if stage.gradient is not None else (1 if stage.backdrop is not None else 0)
        tint = np.array(stage.tint(0.15)) * (0.08 if stage.night else 1)
        _write(self._back, {
            "sky": 2, "backdrops": 4, "backdrop": float(stage.backdrop or 0), "sky_turn": sky_turn,
            "gain": gain,
            "right": tuple(eye.right), "up": tuple(eye.up), "forward": tuple(eye.forward), "tangent": tangent,
            "crop": (left, top, part, part), "tint": tuple(tint), "gradient_low": tuple(low),
            "gradient_high": tuple(high),
            "kind": kind,
        })  # fmt: skip
        self._back_array.render(vertices=3)

    def _draw_instance(self, instance: Instance) -> None:
        look, program = instance.look, self._model
        mix = np.eye(3)
        if look.swap is not None:
            mix = (1 - look.swap_amount) * mix + look.swap_amount * mix[list(look.swap)]
        program["model"].write(_gl_matrix(instance.model))
        program["normal_matrix"].write(np.linalg.inv(instance.model[:3, :3]).astype("f4").tobytes())
        program["colour_mix"].write(_gl_matrix(mix))
        _write(program, {
            "layer_override": look.layer, "uv_scale": look.uv_scale, "tint": look.tint, "gloss": look.gloss,
            "grain": look.grain, "glow": look.glow, "kind": _KINDS[look.kind], "window_m": look.window_m,
            "triplanar": float(look.triplanar), "subject": float(instance.is_subject),
        })  # fmt: skip
        self._model_array.render(vertices=instance.count, first=instance.first)


def sky_harmonics(sky: FloatImage, turn: float) -> FloatImage:
    """(9, 3) coefficients of the irradiance of a surface, for the polynomials of its normal up to order 2.

    The sky is clipped at 8, because the sun is a light of its own. Ramamoorthi and Hanrahan, SIGGRAPH 2001.
    """
    small = cv2.resize(sky, (64, 32), interpolation=cv2.INTER_AREA)
    small = np.minimum(np.roll(small, -int(turn * 64), 1), 8)
    rows, columns = np.mgrid[0:32, 0:64]
    elevation, azimuth = (0.5 - (rows + 0.5) / 32) * np.pi, ((columns + 0.5) / 64 - 0.5) * 2 * np.pi
    x, y, z = np.cos(elevation) * np.cos(azimuth), np.sin(elevation), np.cos(elevation) * np.sin(azimuth)
    weight = np.cos(elevation) / np.cos(elevation).sum()

    def mean(basis: Array) -> Array:
        return (small * (basis * weight)[..., None]).sum((0, 1))

    one = np.ones_like(x)
    return np.stack([
        mean(one), 2 * mean(y), 2 * mean(z), 2 * mean(x), 15 / 4 * mean(x * y), 15 / 4 * mean(y * z),
        5 / 16 * mean(3 * z * z - 1), 15 / 4 * mean(x * z), 15 / 16 * mean(x * x - y * y),
    ]).astype(np.float32)  # fmt: skip


def _sun(stage: Stage) -> tuple[Array, Array]:
    height = stage.uniform(0.35, 1.4)
    direction = rotation(stage.uniform(0, 2 * np.pi)) @ np.array([0, math.sin(height), math.cos(height)])
    return direction, np.array(stage.colour(0.8, 1, 0.25)) * stage.sun * stage.uniform(0.6, 1.6)


def _sun_projection(stage: Stage, direction: Array) -> Array:
    """An orthographic 4x4 projection around the middle of the view."""
    centre = stage.eye.position + stage.eye.forward * stage.reach * 0.7
    up = np.array([0, 1.0, 0]) if abs(direction[1]) < 0.95 else np.array([1.0, 0, 0])
    side = np.cross(up, direction)
    side /= np.linalg.norm(side)
    half = stage.reach * 1.3
    projection = np.eye(4)
    projection[:3, :3] = np.stack([side / half, np.cross(direction, side) / half, -direction / (3 * half)])
    projection[:3, 3] = -projection[:3, :3] @ centre
    return projection


def _tangents(eye: Camera, width: int, height: int) -> tuple[float, float]:
    longer = max(width, height)
    return eye.half_tangent * width / longer, eye.half_tangent * height / longer


def _view_projection(eye: Camera, tangent: tuple[float, float]) -> Array:
    view = np.eye(4)
    view[:3, :3] = np.stack([eye.right, eye.up, -eye.forward])
    view[:3, 3] = -view[:3, :3] @ eye.position
    near, far = NEAR_M, FAR_M
    projection = np.array([
        [1 / tangent[0], 0, 0, 0], [0, 1 / tangent[1], 0, 0],
        [0, 0, -(far + near) / (far - near), -2 * far * near / (far - near)], [0, 0, -1, 0],
    ])  # fmt: skip
    return projection @ view


def _lights(stage: Stage) -> tuple[bytes, bytes]:
    at, colour = np.zeros((LIGHTS, 3), "f4"), np.zeros((LIGHTS, 3), "f4")
    for index, (position, light) in enumerate(stage.lights[:LIGHTS]):
        at[index], colour[index] = position, light
    return at.tobytes(), colour.tobytes()


def _gl_matrix(matrix: Array) -> bytes:
    return matrix.astype("f4").T.tobytes()


def _write(program: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        program[name] = value


def _read(target: Any, stage: Stage, tangent: tuple[float, float], width: int, height: int) -> Drawing:
    def samples(attachment: int, components: int, kind: str) -> FloatImage:
        raw = np.frombuffer(target.read(components=components, attachment=attachment, dtype=kind), kind)
        return raw.reshape(height, SAMPLES, width, SAMPLES, components)[::-1, ::-1].astype(np.float32)

    linear = samples(0, 4, "f2")[..., :3].mean((1, 3))
    distance = samples(1, 1, "f4")[:, 0, :, 0, 0]
    subject = samples(2, 1, "f2")[..., 0].mean((1, 3))
    inverse = np.where(distance > INFINITY_M, 0, 1 / np.maximum(distance, 1e-3)).astype(np.float32)
    if stage.ground_m is not None:
        inverse = _with_ground(inverse, stage.eye, stage.ground_m, tangent)
    return Drawing(np.ascontiguousarray(linear), np.ascontiguousarray(inverse), np.ascontiguousarray(subject))


def _with_ground(
    inverse: FloatImage, eye: Camera, ground_m: float, tangent: tuple[float, float]
) -> FloatImage:
    """Labels the background below the horizon with the inverse depth of a level plane."""
    height, width = inverse.shape
    x = ((np.arange(width) + 0.5) / width * 2 - 1) * tangent[0]
    y = (1 - (np.arange(height) + 0.5) / height * 2) * tangent[1]
    falling = eye.forward[1] + eye.right[1] * x[None] + eye.up[1] * y[:, None]
    plane = np.maximum(-falling, 0) / max(eye.position[1] - ground_m, 0.05)
    return np.where((inverse == 0) & (falling < 0), plane, inverse).astype(np.float32)
