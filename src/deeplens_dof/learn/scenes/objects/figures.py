"""Procedural people, hands and animals of many sizes, poses, clothes and hair, built from tubes and ellipsoids.

They need not be beautiful: at the resolution of a depth label, only silhouette, relief and the reach of arms and hands
towards the camera matter. A figure looks along +z and stands on y = 0.
"""

from __future__ import annotations

import numpy as np

from deeplens_dof.learn.scenes.objects.shapes import TURN, sphere
from deeplens_dof.learn.scenes.objects.vertices import Array, Mesh, moved, placed, rotation, surface, tube

_BALL = surface(lambda u, v: sphere(1.0, u, v) - np.array([0, 0.5, 0]), 16, 10)
_SKIN = (
    (0.78, 0.55, 0.42),
    (0.62, 0.4, 0.28),
    (0.42, 0.26, 0.17),
    (0.2, 0.12, 0.08),
    (0.85, 0.65, 0.54),
    (0.5, 0.33, 0.2),
)
_HAIR = ((0.03, 0.025, 0.02), (0.15, 0.09, 0.05), (0.4, 0.28, 0.14), (0.5, 0.5, 0.5), (0.3, 0.12, 0.06))


def _ball(
    at: Array | list[float], size: Array | list[float], colour: Array, turn: Array | None = None
) -> Mesh:
    return moved(_BALL, placed(at, turn, size), colour)


def _limb(joints: list[Array], radii: list[float], colour: Array) -> Mesh:
    """A rounded, tapering limb through its joints."""
    points, thickness = np.array(joints), np.array(radii)
    fine = np.linspace(0, len(points) - 1, 4 * (len(points) - 1) + 1)
    coarse = np.arange(len(points))
    path = np.stack([np.interp(fine, coarse, points[:, k]) for k in range(3)], 1)
    return tube(path, np.interp(fine, coarse, thickness), 10, colour)


def hand(rng: np.random.Generator, skin: Array | None = None) -> Mesh:
    """A life-size hand with its forearm, along +z from the elbow at the origin to about 0.45 m."""
    skin = np.array(_SKIN[int(rng.integers(len(_SKIN)))]) if skin is None else skin
    palm = np.array([0.0, 0.0, 0.32])
    sleeve = rng.uniform(0.02, 0.9, 3)
    reach = rng.uniform(0.1, 0.2)
    parts = [
        _limb([np.zeros(3), np.array([0, 0, reach])], [0.055, 0.048], sleeve),
        _limb([np.array([0, 0, reach - 0.02]), np.array([0, 0, 0.27]), palm], [0.04, 0.028, 0.03], skin),
        _ball(palm, [0.085, 0.035, 0.1], skin),
    ]
    curl = rng.uniform(0.0, 1.3)
    for finger in range(5):
        spread = (finger - 1.5) * 0.022 if finger < 4 else -0.05
        base = palm + np.array([spread, 0, 0.045 if finger < 4 else 0.0])
        length = (0.075, 0.085, 0.08, 0.062, 0.06)[finger] * rng.uniform(0.9, 1.1)
        bend = curl * rng.uniform(0.6, 1.3)
        aim = np.array([spread * 1.5, 0, 1.0]) if finger < 4 else np.array([-0.8, 0, 0.7])
        knuckle = base + aim * length * 0.5
        tip = (
            knuckle + np.array([aim[0] * np.cos(bend), -np.sin(bend), aim[2] * np.cos(bend)]) * length * 0.55
        )
        parts.append(_limb([base, knuckle, tip], [0.0105, 0.0095, 0.006], skin))
    return np.concatenate(parts)


def _head(rng: np.random.Generator, neck: Array, skin: Array, tilt: Array) -> list[Mesh]:
    """Neck, head, nose, ears, eyes, hair and sometimes a hat."""
    centre = neck + tilt @ np.array([0, 0.17, 0.02])
    hair = np.array(_HAIR[int(rng.integers(len(_HAIR)))]) * rng.uniform(0.6, 1.4)

    def at(x: float, y: float, z: float) -> Array:
        return centre + tilt @ np.array([x, y, z])

    parts = [
        _limb([neck - [0, 0.04, 0], centre], [0.055, 0.05], skin),
        _ball(centre, [0.155, 0.225, 0.19], skin, tilt),
        _ball(at(0, -0.015, 0.1), [0.03, 0.05, 0.045], skin * 0.95, tilt),
    ]
    for side in (-1, 1):
        parts.append(_ball(at(side * 0.08, 0, 0), [0.02, 0.055, 0.035], skin * 0.9, tilt))
        parts.append(
            _ball(at(side * 0.032, 0.022, 0.081), [0.03, 0.018, 0.02], np.array([0.05, 0.04, 0.04]), tilt)
        )
    parts.append(_ball(at(0, -0.06, 0.085), [0.05, 0.014, 0.02], skin * [0.8, 0.5, 0.5], tilt))
    style = rng.random()
    if style < 0.85:
        parts.append(
            _ball(at(0, 0.045, -0.022), np.array([0.175, 0.19, 0.19]) * rng.uniform(1, 1.12), hair, tilt)
        )
    if style < 0.4:  # long hair over the shoulders
        drop = rng.uniform(0.15, 0.42)
        parts.append(_ball(at(0, -drop * 0.35, -0.055), [0.2, drop + 0.16, 0.12], hair, tilt))
    if rng.random() < 0.22:  # a hat with a brim
        cloth = rng.uniform(0.02, 0.9, 3)
        parts.append(_ball(at(0, 0.1, -0.01), [0.19, rng.uniform(0.1, 0.2), 0.21], cloth, tilt))
        parts.append(
            _ball(at(0, 0.075, 0.03), [rng.uniform(0.2, 0.42), 0.02, rng.uniform(0.24, 0.42)], cloth, tilt)
        )
    return parts


def _arm(
    rng: np.random.Generator, shoulder: Array, side: int, pose: str, skin: Array, cloth: Array
) -> list[Mesh]:
    """Upper arm, forearm and hand in one of five poses: hanging, bent, raised, reaching forwards, hand on hip."""
    upper, lower = rng.uniform(0.26, 0.3), rng.uniform(0.24, 0.28)
    ranges = {  # elbow direction and wrist direction: (x outward, y up, z forward)
        "hanging": ([0.15, -1, 0.0], [0.05, -1, 0.2]),
        "bent": ([0.35, -0.9, 0.0], [-0.5, 0.1, 0.9]),
        "raised": ([0.7, 0.6, 0.1], [0.2, 1, 0.1]),
        "reaching": ([0.1, -0.2, 1], [-0.05, 0.1, 1]),
        "hip": ([0.8, -0.7, -0.2], [-0.8, -0.5, 0.3]),
    }
    towards, onward = (np.array(v) + rng.normal(0, 0.12, 3) for v in ranges[pose])
    towards, onward = (v * [side, 1, 1] / np.linalg.norm(v) for v in (towards, onward))
    elbow = shoulder + towards * upper
    wrist = elbow + onward * lower
    bare = rng.random() < 0.5
    yaw, pitch = np.arctan2(onward[0], onward[2]), -np.arcsin(np.clip(onward[1], -1, 1))
    fist = moved(hand(rng, skin), placed(wrist, rotation(float(yaw), float(pitch), rng.uniform(-1.5, 1.5))))
    parts = [
        _limb([shoulder, elbow], [0.058, 0.045], cloth),
        _limb([elbow, wrist], [0.042, 0.03], skin if bare else cloth),
    ]
    reaches = fist["position"] - wrist
    along = reaches @ onward
    fist["position"] = wrist + reaches - 0.27 * onward  # the hand alone; its own forearm slides into the arm
    return [*parts, fist[np.repeat(along.reshape(-1, 3).min(1) > 0.24, 3)]]


def person(rng: np.random.Generator, shirt_layers: list[int]) -> Mesh:
    """A person 1.1 to 1.95 m tall. shirt_layers: texture layers for clothes."""
    skin = np.clip(np.array(_SKIN[int(rng.integers(len(_SKIN)))]) * rng.uniform(0.8, 1.2), 0, 1)
    shirt, trousers = rng.uniform(0.02, 0.9, 3), rng.uniform(0.02, 0.6, 3)
    build = rng.uniform(0.85, 1.35)
    lean = rotation(rng.normal(0, 0.15), rng.normal(0.03, 0.08), rng.normal(0, 0.06))
    hip = np.array([0, 0.92, 0.0])

    def torso(x: float, y: float, z: float) -> Array:
        return hip + lean @ np.array([x, y, z])

    chest_layer = float(rng.choice(shirt_layers)) if shirt_layers and rng.random() < 0.5 else -1.0
    parts = [
        moved(_BALL, placed(torso(0, 0.3, 0), lean, [0.37 * build, 0.55, 0.24 * build]), shirt, chest_layer),
        moved(
            _BALL,
            placed(torso(0, 0.06, 0), lean, [0.34 * build, 0.36, 0.24 * build]),
            shirt * 0.97,
            chest_layer,
        ),
        _ball(torso(0, 0.46, -0.01), [0.42 * build, 0.17, 0.19], shirt, lean),
        _ball(hip - [0, 0.05, 0], [0.35 * build, 0.28, 0.25 * build], trousers),
    ]
    poses = rng.choice(["hanging", "bent", "raised", "reaching", "hip"], 2, p=[0.38, 0.25, 0.07, 0.15, 0.15])
    for side, pose in zip((-1, 1), poses, strict=True):
        parts += _arm(rng, torso(side * 0.19 * build, 0.47, 0), side, str(pose), skin, shirt)
        stride = rng.normal(0, 0.1)
        foot = np.array([side * rng.uniform(0.08, 0.16), 0.05, stride])
        knee = (hip + foot) / 2 + [side * 0.02, 0, 0.05]
        parts.append(
            _limb(
                [hip + np.array([side * 0.09, -0.05, 0]), knee, foot], [0.09 * build, 0.062, 0.045], trousers
            )
        )
        parts.append(_ball(foot + np.array([0, -0.01, 0.06]), [0.09, 0.08, 0.25], rng.uniform(0.02, 0.3, 3)))
    tilt = rotation(rng.normal(0, 0.35), rng.normal(0, 0.18), rng.normal(0, 0.1))
    parts += _head(rng, torso(0, 0.56, 0), skin, tilt)
    if rng.random() < 0.25:  # a skirt or a long coat
        flare = rng.uniform(0.24, 0.42)
        height = rng.uniform(0.35, 0.85)
        path = np.array([[0, hip[1] - height, 0], [0, hip[1] - height / 2, 0], [0, hip[1] + 0.05, 0]])
        parts.append(tube(path, [flare, flare * 0.75, 0.17], 16, trousers))
    body = np.concatenate(parts)
    body["position"] *= rng.uniform(0.66, 1.0) if rng.random() < 0.25 else rng.uniform(0.93, 1.14)
    body["position"][:, 1] -= body["position"][:, 1].min()
    return body


def animal(rng: np.random.Generator) -> Mesh:
    """A four-legged animal 0.25 to 1.2 m long, with head, ears and tail, looking along +z."""
    coat = rng.uniform(0.03, 0.8) * np.array([1, rng.uniform(0.65, 1), rng.uniform(0.4, 1)])
    length, height, girth = rng.uniform(0.5, 0.9), rng.uniform(0.25, 0.6), rng.uniform(0.2, 0.34)
    head = np.array([rng.normal(0, 0.06), height + girth * rng.uniform(0.5, 1.4), length * 0.62])
    parts = [
        _ball([0, height, 0], [girth, girth * 1.1, length], coat),
        _limb([np.array([0, height, length * 0.35]), head], [girth * 0.34, girth * 0.28], coat),
        _ball(head, [girth * 0.72, girth * 0.7, girth * 0.8], coat),
        _ball(
            head + np.array([0, -girth * 0.1, girth * 0.45]),
            [girth * 0.36, girth * 0.3, girth * 0.5],
            coat * rng.uniform(0.4, 1.4),
        ),
        _ball(
            head + np.array([0, -girth * 0.06, girth * 0.7]),
            [0.03, 0.025, 0.03],
            np.array([0.03, 0.02, 0.02]),
        ),
    ]
    for side in (-1, 1):
        ear = head + np.array([side * girth * 0.26, girth * 0.4, -girth * 0.05])
        parts.append(_ball(ear, [girth * 0.2, girth * rng.uniform(0.3, 0.7), 0.04], coat * 0.8))
        parts.append(
            _ball(
                head + np.array([side * girth * 0.19, girth * 0.12, girth * 0.34]),
                [0.03, 0.03, 0.02],
                np.array([0.02, 0.02, 0.02]),
            )
        )
        for end in (-0.34, 0.34):
            top = np.array([side * girth * 0.3, height, end * length])
            parts.append(
                _limb(
                    [top, top * [1, 0.5, 1], top * [1, 0.02, 1] + [0, 0, 0.03]],
                    [girth * 0.24, 0.05, 0.035],
                    coat,
                )
            )
    tail = np.array([0, height + 0.05, -length * 0.45])
    angle = rng.uniform(-1, 1.2)
    parts.append(
        _limb(
            [
                tail,
                tail + np.array([0.02, 0.15 * angle, -0.12]),
                tail + np.array([0.05, 0.35 * angle, -0.22]),
            ],
            [0.04, 0.03, 0.015],
            coat,
        )
    )
    body = np.concatenate(parts)
    body["colour"] *= (1 + 0.25 * np.sin(body["position"] @ rng.normal(0, 14, 3) + rng.uniform(0, TURN)))[
        :, None
    ]
    body["position"] *= rng.uniform(0.5, 1.3)
    return body
