"""Makes a set that is laid out and rendered by the rules of BLB (BokehMe, CVPR 2022), with Blender's Python module.

    pip install bpy OpenImageIO       # about 400 MB, in an environment of its own; no part of DeepLens
    python tools/data/make_blb_like.py OUT SCENE.blend...      [--size 1920x1080] [--samples 256] [--levels 5] [--focuses 10]
    python tools/data/make_blb_like.py OUT --blocks 3          three scenes of blocks and balls, made of a seed

Each scene becomes a folder of OUT: image.exr (all in focus), depth.exr (metres along the optical axis), bokeh_00_00.exr and
so on (level, focus), info.json. Level i has a CoC of at most 10, 20, 30, 40, 50 px radius at 1920 pixels of width, in
proportion at others. `deeplens evaluate blb OUT` reads it. A scene that was stopped goes on with what is missing.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

MAX_RADII_PX, RADII_WIDTH_PX = (10.0, 20.0, 30.0, 40.0, 50.0), 1920
FOCUSES = 10
SKY_M = 65504.0


def focus_distances(depth_m: np.ndarray, count: int = FOCUSES) -> list[float]:
    """Metres, from the farthest to the nearest thing in equal steps of inverse depth."""
    return [float(each) for each in 1 / np.linspace(1 / depth_m.max(), 1 / depth_m.min(), count)]


def blur_parameters(depth_m: np.ndarray, max_radii_px: Sequence[float]) -> list[float]:
    """CoC radius in px per 1/m of each level, so that the largest over the whole range is that radius."""
    inverse_range = float(1 / depth_m.min() - 1 / depth_m.max())
    if not inverse_range > 0:
        raise SystemExit("the scene lies at one and the same depth everywhere; there is nothing to blur")
    return [radius / inverse_range for radius in max_radii_px]


def f_stop(blur_parameter: float, focal_length_m: float, width_px: int, sensor_width_m: float) -> float:
    """Of the thin lens that blurs so much (docs/conventions.md)."""
    return 0.5 * focal_length_m**2 * (width_px / sensor_width_m) / blur_parameter


def info(
    depth_m: np.ndarray, focal_length_m: float, sensor_width_m: float, levels: int, focuses: int
) -> dict[str, Any]:
    """What info.json says of a scene whose depth is (H, W)."""
    height, width = depth_m.shape
    blurs = blur_parameters(depth_m, [radius * width / RADII_WIDTH_PX for radius in MAX_RADII_PX[:levels]])
    return {
        "resolution_x": width,
        "resolution_y": height,
        "focal_length": focal_length_m,
        "sensor_width": sensor_width_m,
        "focus_distances": focus_distances(depth_m, focuses),
        "blur_parameters": blurs,
        "f_stops": [f_stop(blur, focal_length_m, width, sensor_width_m) for blur in blurs],
    }


def main() -> None:
    arguments = parsed()
    bpy = blender()
    scenes = [(path.stem, lambda path=path: opened(bpy, path)) for path in arguments.scenes]
    for number in range(arguments.blocks):
        seed = arguments.seed + number
        scenes.append((f"blocks_{seed:03d}", lambda seed=seed: blocks(bpy, seed)))
    for name, build in scenes:
        build()
        make(bpy, arguments.out / name, arguments)
        print(f"{arguments.out / name} is made", flush=True)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("scenes", type=Path, nargs="*", help="Blender files with a camera")
    parser.add_argument("--blocks", type=int, default=0, help="how many scenes of blocks and balls to make")
    parser.add_argument("--seed", type=int, default=1, help="of the first of them")
    parser.add_argument("--size", default="1920x1080")
    parser.add_argument("--samples", type=int, default=256, help="rays a pixel")
    parser.add_argument("--levels", type=int, default=len(MAX_RADII_PX), choices=range(1, 6))
    parser.add_argument("--focuses", type=int, default=FOCUSES)
    arguments = parser.parse_args()
    missing = [path for path in arguments.scenes if not path.is_file()]
    if missing:
        parser.error(f"there is no Blender file {missing[0]}")
    if not arguments.scenes and arguments.blocks < 1:
        parser.error("nothing to render: name Blender files, or a number of scenes with --blocks")
    return arguments


def blender() -> Any:
    try:
        import bpy
    except ImportError as error:
        raise SystemExit(
            f"make_blb_like.py needs Blender's Python module ({error}); run pip install bpy with the version of Python "
            "that it is made for, or run this script by blender --background --python"
        ) from error
    return bpy


def make(bpy: Any, out: Path, arguments: argparse.Namespace) -> None:
    """Renders the scene that is open."""
    scene, camera = bpy.context.scene, bpy.context.scene.camera
    if camera is None:
        raise SystemExit(f"the scene of {out.name} has no camera; add one")
    out.mkdir(parents=True, exist_ok=True)
    width, height = (int(side) for side in arguments.size.split("x"))
    scene.render.resolution_x, scene.render.resolution_y = width, height
    scene.render.resolution_percentage = 100
    scene.render.engine = "CYCLES"
    scene.render.image_settings.exr_codec = "ZIP"
    camera.data.sensor_fit = "HORIZONTAL"
    camera.data.dof.use_dof = False
    camera.data.dof.aperture_blades, camera.data.dof.aperture_ratio = 0, 1.0
    camera.data.dof.focus_object = None
    depth_m = depth(bpy, out / "depth.exr")
    facts = info(
        depth_m,
        camera.data.lens * 1e-3,
        camera.data.sensor_width * 1e-3,
        arguments.levels,
        arguments.focuses,
    )
    (out / "info.json").write_text(json.dumps(facts, indent=1) + "\n")
    scene.cycles.samples = arguments.samples
    rendered(bpy, out / "image.exr")
    camera.data.dof.use_dof = True
    for level, stop in enumerate(facts["f_stops"]):
        for focus, distance in enumerate(facts["focus_distances"]):
            camera.data.dof.aperture_fstop, camera.data.dof.focus_distance = stop, distance
            rendered(bpy, out / f"bokeh_{level:02d}_{focus:02d}.exr")


def rendered(bpy: Any, path: Path, kind: str = "OPEN_EXR") -> None:
    """Renders into a file, unless it is there; it appears whole or not at all."""
    if path.exists():
        return
    scene = bpy.context.scene
    scene.render.image_settings.file_format = kind
    scene.render.image_settings.color_mode = "RGB"
    scene.render.image_settings.color_depth = "16" if kind == "OPEN_EXR" else "32"
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        scene.render.filepath = str(Path(folder) / path.name)
        bpy.ops.render.render(write_still=True)
        (Path(folder) / path.name).replace(path)


def depth(bpy: Any, path: Path) -> np.ndarray:
    """Renders depth with one ray through the middle of each pixel; metres (H, W), the sky at SKY_M."""
    import OpenImageIO as oiio

    scene, layer = bpy.context.scene, bpy.context.view_layer
    if not path.exists():
        before = scene.cycles.pixel_filter_type, scene.cycles.filter_width, scene.cycles.use_denoising
        scene.cycles.pixel_filter_type, scene.cycles.filter_width = "BOX", 0.01
        scene.cycles.samples, scene.cycles.use_denoising, layer.use_pass_z = 1, False, True
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
            layered = Path(folder) / "depth.exr"
            rendered(bpy, layered, "OPEN_EXR_MULTILAYER")
            picture = oiio.ImageBuf(str(layered))
            names = picture.spec().channelnames
            place = next(number for number, name in enumerate(names) if name.endswith("Depth.Z"))
            metres = np.minimum(picture.get_pixels(oiio.FLOAT)[..., place], SKY_M).astype(np.float32)
        write_depth(path, metres)
        layer.use_pass_z = False
        scene.cycles.pixel_filter_type, scene.cycles.filter_width, scene.cycles.use_denoising = before
    return np.asarray(oiio.ImageBuf(str(path)).get_pixels(oiio.FLOAT), np.float32).reshape(
        scene.render.resolution_y, scene.render.resolution_x
    )


def write_depth(path: Path, metres: np.ndarray) -> None:
    """An EXR file of one channel, Z."""
    import OpenImageIO as oiio

    spec = oiio.ImageSpec(metres.shape[1], metres.shape[0], 1, oiio.FLOAT)
    spec.channelnames = ("Z",)
    output = oiio.ImageOutput.create(str(path))
    written = output is not None and output.open(str(path), spec) and output.write_image(metres[..., None])
    if output is None or not (output.close() and written):
        raise SystemExit(f"{path} cannot be written: {oiio.geterror()}")


def opened(bpy: Any, path: Path) -> None:
    bpy.ops.wm.open_mainfile(filepath=str(path.resolve()))


def blocks(bpy: Any, seed: int) -> None:
    """A floor, a wall, and blocks and balls of chance between 1.5 and 10 metres, in plain colours under a soft sky."""
    rng = np.random.default_rng(seed)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.world = bpy.data.worlds.new("sky")
    scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs[0].default_value = (0.7, 0.8, 1.0, 1.0)
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.location, camera.rotation_euler = (0.0, 0.0, 1.2), (np.pi / 2, 0.0, 0.0)  # looks along +y
    scene.collection.objects.link(camera)
    scene.camera = camera
    sun = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
    sun.data.energy, sun.rotation_euler = 3.0, (0.7, 0.2, 0.4)
    scene.collection.objects.link(sun)
    bpy.ops.mesh.primitive_plane_add(size=40, location=(0, 10, 0))
    painted(bpy, rng)
    bpy.ops.mesh.primitive_plane_add(size=40, location=(0, 12, 0), rotation=(np.pi / 2, 0, 0))
    painted(bpy, rng)
    for _ in range(14):
        away = 1 / rng.uniform(1 / 10, 1 / 1.5)
        size = float(rng.uniform(0.06, 0.16) * away)
        place = (
            float(rng.uniform(-0.33, 0.33) * away),
            away,
            max(size, float(1.2 + rng.uniform(-0.2, 0.15) * away)),
        )
        turned = tuple(float(angle) for angle in rng.uniform(0, np.pi, 3))
        if rng.random() < 0.5:
            bpy.ops.mesh.primitive_cube_add(size=2 * size, location=place, rotation=turned)
        else:
            bpy.ops.mesh.primitive_uv_sphere_add(radius=size, segments=48, ring_count=24, location=place)
        painted(bpy, rng)


def painted(bpy: Any, rng: np.random.Generator) -> None:
    """Gives the thing that was just made a matt colour with spots."""
    material = bpy.data.materials.new("paint")
    material.use_nodes = True
    tree = material.node_tree
    noise, ramp = tree.nodes.new("ShaderNodeTexNoise"), tree.nodes.new("ShaderNodeValToRGB")
    noise.inputs["Scale"].default_value = float(rng.uniform(3, 20))
    for end in ramp.color_ramp.elements:
        end.color = (*(float(each) for each in rng.uniform(0.05, 0.9, 3)), 1.0)
    ramp.color_ramp.elements[0].position, ramp.color_ramp.elements[1].position = 0.42, 0.58
    tree.links.new(noise.outputs[0], ramp.inputs[0])
    tree.links.new(ramp.outputs[0], tree.nodes["Principled BSDF"].inputs["Base Color"])
    bpy.context.object.data.materials.append(material)


if __name__ == "__main__":
    main()
