"""Makes a set with depth of photos of one scene whose cameras are published beside them (`known_cameras.py`).

    python tools/data/make_multiview_set.py FOLDER OUT [--scene NAME] [--distances NEAR,FAR] [--every N]
    deeplens train depth-real --rgbd rgbd:OUT ...

OUT gets `rgb/`, `depth/` (.npy, distances in the scene's units) and `valid/` (where two other photos measured the same
point), NAME_PHOTO each; several scenes may share it. --every N measures every so many-th photo. What is there already is
made again. On a turntable the surroundings do not turn with the thing: --subject-only labels what is white in
FOLDER/masks/PHOTO alone. Needs the extra [learn]. Nothing may be passed on without asking the terms of the photos.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
from known_cameras import KnownCamera, Picture, known_cameras, opened
from multiview_depth import Area, Map, View, agreeing, inverse_depth, nearest_views

LONG_SIDE = 448  # of the pictures that are written
OTHERS, MEASURING = 8, 4  # photos that check, and the first of them that measure
PLANES, TOLERANCE_PLANES, AGREEING = 80, 1.5, 2
MARGIN = 1.25  # beyond the distances that a layout names
LEAST_VALID, ISLAND_PX = 0.15, 150


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--scene", help="first part of every name (default: the folder's)")
    parser.add_argument(
        "--distances", type=_distances, help="NEAR,FAR of the scene where its layout does not say"
    )
    parser.add_argument("--every", type=int, default=1, help="measure every so many-th photo (default: 1)")
    parser.add_argument("--subject-only", action="store_true", help="label the white of masks/PHOTO alone")
    arguments = parser.parse_args()
    scene = arguments.scene or arguments.folder.resolve().name
    try:
        cameras = known_cameras(arguments.folder)[:: arguments.every]
        masks = arguments.folder / "masks" if arguments.subject_only else None
        written, left_out = make_set(cameras, arguments.out, scene, arguments.distances, masks)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    for sentence in left_out:
        print(sentence, file=sys.stderr)
    print(f"{scene}: {written} of {len(cameras)} photos with depth in {arguments.out}")
    return 0 if written else 1


def _distances(text: str) -> tuple[float, float]:
    near, far = (float(part) for part in text.split(","))
    if not 0 < near < far:
        raise argparse.ArgumentTypeError(f"{text} came, expected NEAR,FAR with 0 < NEAR < FAR")
    return near, far


def make_set(
    cameras: list[KnownCamera],
    out: Path,
    scene: str,
    distances: tuple[float, float] | None,
    masks: Path | None = None,
) -> tuple[int, list[str]]:
    """Measures and writes; returns the number written, and a sentence for every photo that was not.

    Raises ValueError when no distances are known, or a photo cannot be read.
    """
    views: dict[str, View] = {}
    pictures: dict[str, Picture] = {}
    near_far: dict[str, tuple[float, float]] = {}
    subjects: dict[str, Area] = {}
    for camera in cameras:
        view, pictures[camera.path.name] = opened(camera, LONG_SIDE)
        views[view.name] = view
        near_far[view.name] = _inverse_limits(camera, distances)
        if masks:
            subjects[view.name] = _subject(masks, view.name, view.grey.shape)
    suited = {name: _suited(view, views, near_far[name]) for name, view in views.items()}
    depths = {
        name: inverse_depth(views[name], others[:MEASURING], *near_far[name], PLANES)
        for name, others in suited.items()
        if len(others) >= AGREEING
    }
    left_out = []
    for name, depth in depths.items():
        near, far = near_far[name]
        others = [(other, depths[other.name]) for other in suited[name] if other.name in depths]
        tolerance = TOLERANCE_PLANES * (near - far) / (PLANES - 1)
        valid = agreeing(views[name], depth, others, tolerance, AGREEING)
        if masks:
            valid &= subjects[name]
        valid = _without_islands(valid)
        if valid.mean() < LEAST_VALID:
            left_out.append(
                f"{name} is left out: {valid.mean():.0%} of it is confirmed, expected {LEAST_VALID:.0%}"
            )
            continue
        write(out, f"{scene}_{Path(name).stem}", pictures[name], depth, valid)
    alone = [f"{name} is left out: no two other photos show the same" for name in views if name not in depths]
    return len(depths) - len(left_out), left_out + alone


def _inverse_limits(camera: KnownCamera, distances: tuple[float, float] | None) -> tuple[float, float]:
    if distances:
        return 1 / distances[0], 1 / distances[1]
    if camera.distances is None:
        raise ValueError(
            f"nothing says how far things are in {camera.path.parent}, expected --distances NEAR,FAR in the units "
            "of its cameras"
        )
    return MARGIN / camera.distances[0], 1 / (MARGIN * camera.distances[1])


def _suited(view: View, views: dict[str, View], limits: tuple[float, float]) -> list[View]:
    """Other views that see what lies in front of this one at three distances."""
    height, width = view.grey.shape
    columns, rows = np.meshgrid(np.linspace(0.15, 0.85, 6) * width, np.linspace(0.15, 0.85, 6) * height)
    rays = (
        np.stack([columns, rows, np.ones_like(rows)], axis=-1).reshape(-1, 3) @ np.linalg.inv(view.matrix).T
    )
    near, far = limits
    places = np.concatenate([rays / (far + share * (near - far)) for share in (0.25, 0.5, 0.75)])
    return nearest_views(view, list(views.values()), (places - view.position) @ view.rotation, OTHERS)


def _subject(masks: Path, photo: str, shape: tuple[int, ...]) -> Area:
    """Where the mask of a photo is white; the mask has the photo's name, its ending may be another."""
    found = sorted(masks.glob(f"{Path(photo).stem}.*"))
    mask = cv2.imread(str(found[0]), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION) if found else None
    if mask is None:
        raise ValueError(f"{masks} has no mask of {photo} that can be read, expected one for every photo")
    return cv2.resize(mask, shape[::-1], interpolation=cv2.INTER_AREA) > 127


def _without_islands(valid: Area) -> Area:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(valid.astype(np.uint8), connectivity=4)
    large = stats[:, cv2.CC_STAT_AREA] >= ISLAND_PX
    large[0] = False
    return large[labels]


def write(out: Path, name: str, picture: Picture, inverse: Map, valid: Area) -> None:
    """rgb/, depth/ and valid/ as the reader `rgbd` takes them."""
    for part in ("rgb", "depth", "valid"):
        (out / part).mkdir(parents=True, exist_ok=True)
    np.save(
        out / "depth" / f"{name}.npy", np.where(valid, 1 / np.maximum(inverse, 1e-9), 0).astype(np.float32)
    )
    cv2.imwrite(str(out / "valid" / f"{name}.png"), valid.astype(np.uint8) * 255)
    cv2.imwrite(str(out / "rgb" / f"{name}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 95])


if __name__ == "__main__":
    sys.exit(main())
