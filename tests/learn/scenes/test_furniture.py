"""Reading the furniture packs: sizes, textures by name, malformed and foreign files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deeplens_dof.learn.scenes.credits import creators
from deeplens_dof.learn.scenes.objects.furniture import PACKS, read_obj, read_packs

CUBE = """mtllib cube.mtl
v 0 0 0
v 2 0 0
v 2 4 0
v 0 4 0
v 0 0 6
v 2 0 6
v 2 4 6
v 0 4 6
vt 0 0
vt 1 0
vt 1 1
usemtl wood
f 1/1 2/2 3/3 4/1
f 5/1 6/2 7/3 8/1
f 1/1 2/2 6/3 5/1
f 4/1 3/2 7/3 8/1
usemtl glass
f 1/1 4/2 8/3 5/1
usemtl wood
f -7/1 -6/2 -2/3 -3/1
"""
MATERIALS = """newmtl wood
Kd 0.2 0.4 0.6
map_Kd Wood.PNG
newmtl glass
d 0.1
map_Kd C:\\nowhere\\glass.png
"""


def pack(folder: Path, name: str) -> None:
    (folder / name / "m").mkdir(parents=True)
    (folder / name / "m" / "cube.obj").write_text(CUBE)
    (folder / name / "m" / "cube.mtl").write_text(MATERIALS)
    (folder / name / "m" / "wood.png").write_bytes(b"")
    (folder / name / "m" / "broken.obj").write_text("v 1 2 3\nf 1/x 2 3\n" * 20)
    entries = [
        "name#1=Box",
        "model#1=/m/cube.obj",
        "width#1=50",
        "height#1=100",
        "depth#1=30",
        "creator#1=Zoe",
    ]
    entries += ["creator#1=Zoe", "name#2=Broken", "model#2=/m/broken.obj", "creator#2=adam"]
    (folder / name / "PluginFurnitureCatalog.properties").write_text("\n".join(entries))


@pytest.fixture
def furniture(tmp_path: Path) -> Path:
    for name in PACKS:
        pack(tmp_path, name)
    return tmp_path


def test_models_have_their_real_size_and_stand_on_the_floor(furniture: Path) -> None:
    found = list(read_packs(furniture, lambda path: 7))
    assert [model.name for model, _ in found] == ["Box"] * len(PACKS)
    model, body = found[0]
    assert model.size == (0.5, 1.0, 0.3)
    assert body["position"].min(0) == pytest.approx([-0.25, 0, -0.15])
    assert body["position"].max(0) == pytest.approx([0.25, 1.0, 0.15])


def test_textures_are_found_in_any_case_and_glass_is_left_out(furniture: Path) -> None:
    asked: list[str] = []

    def layer(path: Path) -> int:
        asked.append(path.name)
        return 3

    body = read_obj(furniture / PACKS[0] / "m" / "cube.obj", layer)
    assert body is not None
    assert set(asked) == {"wood.png"}
    assert len(body) == 5 * 2 * 3
    assert (body["layer"] == 3).all()
    assert np.linalg.norm(body["normal"], axis=1) == pytest.approx(1, abs=1e-5)


def test_creators_are_named_once(furniture: Path) -> None:
    assert creators(furniture)[PACKS[0]] == ["adam", "Zoe"]
