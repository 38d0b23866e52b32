"""Records what users rely on, as SHA-256 of results and as names, and compares it with an earlier record.

    python scripts/record_results.py before.json               # before a change that must not change results
    python scripts/record_results.py --compare before.json     # after it; exits with 1 where anything differs

It goes through the command line, the names of the package and HTTP alone, on small pictures that it makes of
examples/photos, with one thread, in about two minutes (after `deeplens doctor --warm`). Hashes are equal on one machine
with the same versions of the dependencies; other processors round differently. What is new is named and is no
difference. Training needs the extra [learn]; without it that part is left out, with a line that says so.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ["DEEPLENS_THREADS"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["NO_COLOR"] = "1"

import numpy as np
from made_inputs import depth_of, make_assets, make_frames, make_inputs, make_pairs, small
from PIL import Image

SHAPES = ("disc", "blades:6:0.3", "ring", "cat-eye")
Record = dict[str, Any]


def sha256(data: bytes) -> str:
    """The first 32 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()[:32]


def of_array(values: Any) -> str:
    array = np.ascontiguousarray(values)
    return f"{array.dtype} {array.shape} {sha256(array.tobytes())}"


def of_picture(data: bytes) -> Record:
    """The file to the byte, but for the version and the date in its metadata, and its pixels."""
    import OpenImageIO as oiio

    from deeplens_dof import __version__

    kind = "exr" if data[:4] == b"\x76\x2f\x31\x01" else "png" if data[1:4] == b"PNG" else "jpg"
    kind = "tif" if data[:2] in (b"II", b"MM") else kind
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"picture.{kind}")
        path.write_bytes(data)
        opened = oiio.ImageInput.open(str(path))
        pixels = opened.read_image("unknown") if opened else None
    plain = re.sub(rb"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d", b"?", data.replace(__version__.encode(), b"?"))
    facts = {"file": sha256(plain)}
    return facts if pixels is None else facts | {"pixels": of_array(pixels)}


def of_file(path: Path) -> Record:
    """Of a picture its bytes and pixels, of arrays in an archive each, of another file its bytes."""
    data = path.read_bytes()
    if path.suffix == ".npz":
        with np.load(path) as kept:
            return {name: of_array(kept[name]) for name in kept.files}
    if path.suffix == ".jsonl":
        return {"lines": entries(data.decode(), path.parent)}
    if path.suffix == ".ply":
        return {"file": sha256(data)}
    return of_picture(data)


def entries(text: str, folder: Path) -> list[Any]:
    """Of each photo in a manifest or a report what does not depend on chance: its keys, its name, its state."""
    found = json.loads(text)["photos"] if text.startswith("{\n") else map(json.loads, text.splitlines())
    return sorted(
        [
            (each.get("name") or each["input"]).replace(f"{folder}/", ""),
            each["state"],
            sorted(each),
            bool(each["error"]),
        ]
        for each in found
    )


class Recorder:
    """Collects values by name; each step runs in a folder of its own below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.found = folder, Record()

    def note(self, name: str, value: Any) -> None:
        if isinstance(value, dict):
            for part, inner in value.items():
                self.note(f"{name} {part}", inner)
        else:
            self.found[name] = value

    def run(self, name: str, *arguments: object) -> str:
        """The command in this process; its exit code and the pictures that are new are noted. Returns standard output."""
        from deeplens_dof.cli import main

        before = set(self.files())
        out, err = io.StringIO(), io.StringIO()
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                main([str(each) for each in arguments])
        except SystemExit as end:
            self.note(f"{name}: exit code", end.code or 0)
        for path in sorted(set(self.files()) - before):
            if "runs" not in path.parts:
                self.note(f"{name}: {path.relative_to(self.folder)}", of_file(path))
        return out.getvalue()

    def files(self) -> Iterator[Path]:
        return (path for path in self.folder.rglob("*") if path.is_file())


def record_names(to: Recorder) -> None:
    """Public names, settings, commands with their options, exit codes, recipes."""
    from dataclasses import fields

    import typer

    import deeplens_dof as dl
    from deeplens_dof.cli import app

    for name in dl.__all__:
        to.note(f"dl.{name}", type(getattr(dl, name)).__name__)
    for each in fields(dl.Settings):
        facts = {key: each.metadata[key] for key in ("unit", "low", "high")}
        facts |= {"choices": list(each.metadata["choices"]), "default": repr(each.default)}
        to.note(f"Settings.{each.name}", facts)
    for name, command in typer.main.get_command(app).commands.items():
        for parameter in command.params:
            for spelling in (*parameter.opts, *parameter.secondary_opts):
                to.note(f"deeplens {name} {spelling}", repr(getattr(parameter, "default", None)))
    to.run("no command")
    to.run("version", "--version")
    to.run("wrong option", "blur", "--no-such-option")
    to.run("wrong value", "blur", "x.jpg", "--f-number", "0.1")
    to.run("wrong shape", "blur", "x.jpg", "--shape", "no such file")
    to.run("no file", "blur", to.folder / "none.jpg")
    to.run("models", "models", "verify")
    to.run("wrong recipe", "train", "no-such-recipe")
    to.run("wrong benchmark", "evaluate", "no-such-benchmark")


def record_blur(to: Recorder) -> None:
    """`deeplens blur`: renderers, shapes, file types, embedded depth."""
    at, out = to.folder, to.folder / "blur"
    for photo, renderer in (
        ("astronaut", "optical"),
        ("coffee", "optical"),
        ("coffee", "neural"),
        ("coffee", "paper"),
    ):
        for shape in SHAPES if photo == "coffee" and renderer == "optical" else SHAPES[:2]:
            target = out / f"{photo}-{renderer}-{shape.partition(':')[0]}.jpg"
            to.run(
                f"blur {target.stem}", "blur", at / f"{photo}.jpg", "-o", target, "--depth", at / f"{photo}.depth.png",
                "--renderer", renderer, "--shape", shape, "--focus", "0.4,0.5", "--f-number", 1.2, "--lens-mm", 85,
            )  # fmt: skip
    given = ["--depth", at / "astronaut.depth.png", "--f-number", 1.0]
    for name in ("deep.tiff", "deep.png", "light.exr"):
        to.run(f"blur {name}", "blur", at / name, "-o", out / name, *given)
    more = ["--highlights", 1, "--grain", 0.8, "--focus-range", 0.3, "--nearest-m", 2, "--strip-metadata"]
    to.run("blur all settings", "blur", at / "astronaut.jpg", "-o", out / "all.png", *given, *more)
    to.run(
        "blur own shape",
        "blur",
        at / "astronaut.jpg",
        "-o",
        out / "own.png",
        *given,
        "--shape",
        "kernel.png",
    )
    extras = ["--depth-out", out / "predicted.png", "--overlay", out / "overlay.png", "--json"]
    to.run("blur predicted", "blur", at / "chelsea.jpg", "-o", out / "chelsea.jpg", *extras)
    to.run(
        "blur embed",
        "blur",
        at / "coffee.jpg",
        "-o",
        out / "phone.jpg",
        "--depth",
        at / "coffee.depth.png",
        "--embed-depth",
    )
    to.run(
        "blur embedded",
        "blur",
        out / "phone.jpg",
        "-o",
        out / "again.jpg",
        "--depth",
        "embedded",
        "--f-number",
        4,
    )


def record_depth(to: Recorder) -> None:
    """`deeplens depth`, and its files taken as depth."""
    at, out = to.folder, to.folder / "depth"
    for ending in ("png", "tiff", "exr", "npz", "ply"):
        picture = ["--picture", out / "colours.png"] if ending == "png" else []
        target = out / f"depth.{ending}"
        to.run(f"depth {ending}", "depth", at / "coffee.jpg", "-o", target, "--nearest-m", 0.5, *picture)
        if ending != "ply":
            taken = ["--depth", target, "-o", out / f"by-{ending}.png"]
            to.run(f"depth taken from {ending}", "blur", at / "coffee.jpg", *taken)


def record_batch(to: Recorder) -> None:
    """A folder with a broken photo, resumed twice, in this process and in workers; then a film."""
    photos, out, film = (to.folder / name for name in ("photos", "done", "film"))
    (photos / "inner").mkdir(parents=True)
    for k, name in enumerate(("one.jpg", "two.png", "inner/three.tiff")):
        small("rocket", 90).rotate(90 * k, expand=True).save(photos / name)
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff no photo")
    given = ["--json", "-o", f"{out}/", "--depth", to.folder / "coffee.depth.png"]
    for k, options in enumerate((["--shard", "1/2"], ["--resume"], ["--resume", "--jobs", "2"])):
        said = to.run(f"batch {k}", "blur", photos, *given, *options)
        to.note(f"batch {k}: report", entries(said, to.folder))
        to.note(f"batch {k}: settings", json.loads(said)["settings"])
    film.mkdir()
    for number in range(3):
        frame = small("astronaut", 170).transform(
            (120, 90), Image.Transform.AFFINE, (1, 0, 3 * number, 0, 1, 0)
        )
        frame.save(film / f"shot.{number:04d}.png")
    pull = ["--focus-pull", "0:0.2,0.5 2:0.8,0.5", "--f-number", 1]
    to.run("sequence", "blur", film, "-o", to.folder / "film-out", "--sequence")
    to.run("sequence pulled", "blur", film, "-o", to.folder / "film-two", "--sequence", *pull)


def record_python(to: Recorder) -> None:
    """The functions of the package, kind for kind."""
    import deeplens_dof as dl

    rgb = np.asarray(small("coffee", 120))
    depth = dl.InverseDepth(depth_of(rgb.shape[1::-1]), "relative")
    for kind, photo in {"uint8": rgb, "grey": rgb[..., 0], "float": np.float32(rgb) / 255}.items():
        to.note(f"dl.blur of {kind}", of_array(dl.blur(photo, depth=depth, f_number=1.0)))
    to.note("dl.blur of an image", of_array(dl.blur(Image.fromarray(rgb), depth=depth)))
    to.note("dl.blur of bytes", of_picture(dl.blur((to.folder / "coffee.jpg").read_bytes(), depth=depth)))
    scene = dl.analyse(dl.read(to.folder / "coffee.jpg"), depth)
    result = dl.refocus(dl.preview(scene, 9_000), dl.Settings(focus=(0.4, 0.5)), lens_points=32)
    to.note(
        "dl.refocus of a preview",
        {name: of_array(getattr(result, name)) for name in ("image", "linear", "coc_px")},
    )
    to.note("dl.predict_depth", of_array(dl.predict_depth(rgb).values))
    coc_px = (depth.values - 0.5) * 12
    light = dl.srgb_to_linear(rgb)
    for renderer in ("optical", "neural", "paper"):
        shape = dl.Aperture.parse("disc" if renderer == "paper" else "blades:5")
        to.note(f"dl.render {renderer}", of_array(dl.render(light, coc_px, shape, renderer)))
    to.note("dl.linear_to_srgb", of_array(dl.linear_to_srgb(light)))


def record_http(to: Recorder) -> None:
    """Addresses and fields of the API, and a session with it: photo, preview, blur, depth, repair, errors."""
    from starlette.testclient import TestClient

    from deeplens_dof.serve.app import create_app
    from deeplens_dof.serve.limits import limits_from

    app = create_app(limits_from(["workers=1", "preview_pixels=9000", "job_seconds=600"]))
    for path, ways in app.openapi()["paths"].items():
        for way, facts in ways.items():
            to.note(f"{way.upper()} {path}", sorted(facts["responses"]))
            for each in facts.get("parameters", ()):
                to.note(f"{way.upper()} {path} ?{each['name']}", each["schema"].get("default", ""))
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        while client.get("/readyz").status_code != 200:
            time.sleep(0.2)
        record_session(to, client)


def record_session(to: Recorder, client: Any) -> None:
    photo, depth = ((to.folder / name).read_bytes() for name in ("coffee.jpg", "coffee.depth.png"))
    files = {"file": ("coffee.jpg", photo), "depth": ("depth.png", depth)}
    facts = client.post("/v1/photos", files=files).json()
    at = f"/v1/photos/{facts.pop('id')}"
    to.note("POST photo", {name: json.dumps(value) for name, value in facts.items()})
    asked = {
        "blur": "/blur?focus=0.4,0.5&f_number=1.2",
        "blur as png": "/blur?format=png&shape=ring&renderer=neural",
        "preview": "/blur?size=preview&lens_points=32",
        "depth": "/depth",
        "depth preview": "/depth?size=preview",
        "original": "/original?size=preview",
    }
    for name, query in asked.items():
        answer = client.get(at + query)
        to.note(f"GET {name}", {"status": answer.status_code, "type": answer.headers["content-type"]})
        to.note(f"GET {name}", of_picture(answer.content))
        to.note(f"GET {name} headers", sorted(each for each in answer.headers if each.startswith("x-")))
    to.note(
        "PUT depth",
        client.put(f"{at}/depth", content=depth, headers={"content-type": "image/png"}).status_code,
    )
    to.note("POST blur", of_picture(client.post("/v1/blur?f_number=1", files=files).content))
    for wrong in (f"{at}/blur?f_number=0", f"{at}/blur?shape=x", "/v1/photos/none/blur", "/v1/nothing"):
        answer = client.get(wrong)
        to.note(f"GET {wrong.replace(at, 'PHOTO')}", [answer.status_code, sorted(answer.json())])
    for path in ("/v1/settings", "/v1/limits", "/healthz", "/"):
        to.note(f"GET {path}", client.get(path).status_code)
    to.note("GET /v1/limits names", sorted(client.get("/v1/limits").json()))
    to.note(
        "GET /metrics names", sorted(set(re.findall(r"# TYPE (deeplens\S+)", client.get("/metrics").text)))
    )
    to.note("DELETE", [client.delete(at).status_code, client.get(f"{at}/depth").status_code])


def record_training(to: Recorder) -> None:
    """The weights after a few iterations of each kind of recipe on made-up data, stopped once and gone on with."""
    import torch

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    os.environ["DEEPLENS_CACHE"] = str(to.folder / "cache")
    make_assets(to.folder / "cache" / "assets")
    frames, pairs = make_frames(to.folder / "frames"), make_pairs(to.folder / "pairs")
    of_pairs = ["--frames", pairs, "--held-out", pairs]
    for recipe, data, least in (
        ("depth-toy", ["--frames", frames], 2),
        ("lens-blur-toy", of_pairs, 2),
        ("light-toy", of_pairs, 1),
        ("lens-blur", of_pairs, 1),
        ("light", of_pairs, 1),
    ):
        run = to.folder / "runs" / recipe
        command = ["train", recipe, *data, "--out", run, "--threads", 1]
        to.run(f"train {recipe} in part", *command, "--stop-after", least)
        to.found.pop(f"train {recipe} in part: exit code")
        to.note(f"train {recipe} in part", of_state(run / "checkpoint.pt"))
        if recipe.endswith("toy"):
            to.run(f"train {recipe}", *command, "--resume")
            to.note(f"train {recipe}", of_state(run / "checkpoint.pt"))
            to.note(f"train {recipe} files", sorted(path.name for path in run.iterdir()))
    said = to.run("evaluate pairs", "evaluate", "pairs", pairs, "--renderer", "optical", "--renderer", "none")
    to.note(
        "evaluate pairs: table",
        [re.sub(r"\| *[0-9.]+ *\|$", "|", line) for line in said.splitlines() if "|" in line],
    )


def of_state(path: Path) -> Record:
    """Of the network and its average, all weights in the order of their names."""
    import torch

    state = torch.load(path, weights_only=True)
    parts = {}
    for name in ("network", "average"):
        weights = state[name]
        parts[name] = sha256(
            b"".join(n.encode() + weights[n].cpu().numpy().tobytes() for n in sorted(weights))
        )
    return parts | {"step": int(state["step"])}


def record() -> Record:
    steps: list[Callable[[Recorder], None]] = [
        record_names, record_blur, record_depth, record_batch, record_python, record_http
    ]  # fmt: skip
    if find_spec("torch") and find_spec("onnx") and find_spec("cv2"):
        steps.append(record_training)
    else:
        print("the extra [learn] is not installed: training is left out", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="deeplens-record-") as name:
        to = Recorder(Path(name).resolve())
        os.chdir(to.folder)
        make_inputs(to.folder)
        for step in steps:
            began = time.monotonic()
            step(to)
            print(f"{step.__name__}: {time.monotonic() - began:.1f} s", file=sys.stderr)
    return to.found


def compare(now: Record, before: Record) -> int:
    """Prints what differs; the exit code."""
    wrong = [name for name in before if name not in now or now[name] != before[name]]
    for name in wrong:
        print(f"{name}\n  before: {before[name]}\n  now:    {now.get(name, 'is not there')}")
    new = [name for name in now if name not in before]
    for name in new:
        print(f"new: {name}: {now[name]}")
    print(f"{len(before) - len(wrong)} of {len(before)} are equal, {len(new)} are new")
    return int(bool(wrong))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", nargs="?", type=Path, help="where to write the record")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="an earlier record to compare with")
    asked = parser.parse_args()
    asked.file = asked.file and asked.file.resolve()
    if not asked.file and not asked.compare:
        parser.error("name a file to write, or one to --compare with")
    earlier = json.loads(asked.compare.read_text()) if asked.compare else {}
    now = json.loads(json.dumps(record()))
    if asked.file:
        asked.file.write_text(json.dumps(now, indent=1) + "\n")
        print(f"{len(now)} values are in {asked.file}")
    return compare(now, earlier) if asked.compare else 0


if __name__ == "__main__":
    sys.exit(main())
