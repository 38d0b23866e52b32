"""Faces: how many are found, by their width; false alarms; where the default focus lies on people; the time of a photo.

    python benchmarks/faces.py people FOLDER [--every 1]
    python benchmarks/faces.py alarms FOLDER... [--list]
    python benchmarks/faces.py focus FOLDER [--every 8]
    python benchmarks/faces.py time

people: FOLDER holds image/ and mask/ (white is the person) of photos of one whole person each. Each is also set, with its
rows continued, into a frame 2, 3 and 4 times as wide, so that its face is a smaller share of the width. It counts as found
where its middle lies in the upper 24 % of the mask and its width is 4 to 25 % of the mask's height. What else is found is
counted too.
alarms: photos with any face found, of folders of pictures that show no people; --list names the faces, to look at.
focus: of photos of people, how often the default focus is on an eye, and inside the mask; the same by the subject alone.
time: of `find_faces` on a landscape and a portrait of 12 MP of noise and on the same with eight faces, beside a resize.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

import deeplens_dof as dl
from deeplens_dof.evaluate.machine import machine

ENLARGED = (1, 2, 3, 4)
HEAD = 0.24  # of the height of a person
FACE = 0.04, 0.25  # of the height of a person


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("people", "alarms", "focus", "time"))
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take every n-th picture")
    parser.add_argument("--list", action="store_true", help="name what is found")
    arguments = parser.parse_args()
    if arguments.what == "time":
        tell_time()
    elif not arguments.folders:
        parser.error("name a folder of pictures")
    elif arguments.what == "alarms":
        tell_alarms(arguments.folders, arguments.list)
    else:
        tell = tell_people if arguments.what == "people" else tell_focus
        for folder in arguments.folders:
            tell(folder, arguments.every)


def tell_people(folder: Path, every: int) -> None:
    print("| frame | median width of the face | photos | found | others |\n|---|---|---|---|---|")
    photos = list(people(folder, every))
    for times in ENLARGED:
        widths, others = [], 0
        for rgb, mask in photos:
            height, width = mask.shape
            frame = np.pad(rgb, ((0, 0), (0, (times - 1) * width), (0, 0)), "edge")
            frame = np.pad(frame, ((0, (times - 1) * height), (0, 0), (0, 0)), "edge")
            found = [on_head(face, mask, times) for face in dl.find_faces(frame)]
            others += found.count(None)
            widths += [wide for wide in found if wide is not None][:1]
        median = statistics.median(widths) / times if widths else 0
        print(f"| {times} | {median:.1%} | {len(photos)} | {len(widths)} | {others} |", flush=True)


def on_head(face: dl.Face, mask: np.ndarray, times: int) -> float | None:
    """The width of a face, as a share of the photo's, where it is on the head of the person; None where not."""
    height, width = mask.shape
    rows, columns = np.nonzero(mask)
    top, tall = rows.min(), np.ptp(rows) + 1
    head = columns[rows < top + HEAD * tall]
    x, y = face.centre[0] * times * width, face.centre[1] * times * height
    wide = face.width * times * width
    there = head.min() - 0.02 * tall <= x <= head.max() + 0.02 * tall and top <= y <= top + HEAD * tall
    return wide / width if there and FACE[0] * tall <= wide <= FACE[1] * tall else None


def tell_alarms(folders: list[Path], named: bool) -> None:
    print("| folder | pictures | with a face | faces |\n|---|---|---|---|")
    for folder in folders:
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
        found = {path: dl.find_faces(dl.read(path).srgb8()) for path in paths}
        number = sum(len(faces) for faces in found.values())
        print(f"| {folder.name} | {len(paths)} | {sum(map(bool, found.values()))} | {number} |", flush=True)
        for path, faces in found.items() if named else ():
            for face in faces:
                box = ", ".join(f"{part:.3f}" for part in face.box)
                print(f"  {path.name}: {face.score:.2f} at {box}")


def tell_focus(folder: Path, every: int) -> None:
    from deeplens_dof.depth.subject import subject_point

    photos = on_eye = inside = before = 0
    for rgb, mask in people(folder, every):
        scene = dl.analyse(dl.Photo(rgb))
        eyes = [eye for face in scene.faces for eye in face.eyes]
        photos += 1
        on_eye += scene.subject in eyes
        inside += holds(mask, scene.subject)
        before += holds(mask, subject_point(scene.inverse_depth.values, scene.matte))
    print("| photos | focus on an eye | focus inside the person | by the subject alone |\n|---|---|---|---|")
    print(f"| {photos} | {on_eye} | {inside} | {before} |")


def holds(mask: np.ndarray, point: tuple[float, float]) -> bool:
    height, width = mask.shape
    return bool(mask[min(height - 1, int(point[1] * height)), min(width - 1, int(point[0] * width))])


def people(folder: Path, every: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Photos, sRGB uint8, and their masks, of one size."""
    masks = {path.stem: path for path in (folder / "mask").iterdir()}
    photos = [path for path in sorted((folder / "image").iterdir()) if path.stem in masks]
    for path in photos[::every]:
        rgb = dl.read(path).srgb8()
        with Image.open(masks[path.stem]) as picture:
            mask = np.asarray(picture.convert("L").resize(rgb.shape[1::-1], Image.Resampling.NEAREST)) > 127
        if mask.any():
            yield rgb, mask


def tell_time() -> None:
    from skimage.data import astronaut

    rng = np.random.default_rng(1)
    landscape = rng.integers(0, 256, (3000, 4000, 3), np.uint8)
    group = landscape.copy()
    for place in range(8):
        y, x = 300 + place // 4 * 1400, 200 + place % 4 * 950
        group[y : y + 512, x : x + 512] = astronaut()
    pictures = {"landscape": landscape, "portrait": np.ascontiguousarray(landscape.transpose(1, 0, 2))}
    pictures |= {"eight faces": group}
    print(machine())
    print("| 12 MP | faces | ms, median of 15 | times a plain resize to 352 px |\n|---|---|---|---|")
    for name, rgb in pictures.items():
        faces = dl.find_faces(rgb)
        own = milliseconds(lambda rgb=rgb: dl.find_faces(rgb))
        resized = milliseconds(lambda rgb=rgb: Image.fromarray(rgb).resize((352, 264), Image.Resampling.BOX))
        print(f"| {name} | {len(faces)} | {own:.0f} | {own / resized:.2f} |", flush=True)


def milliseconds(work: Callable[[], object]) -> float:
    took = []
    for _ in range(15):
        started = time.perf_counter()
        work()
        took.append((time.perf_counter() - started) * 1e3)
    return statistics.median(took)


if __name__ == "__main__":
    main()
