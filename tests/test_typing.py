"""What a type checker tells a caller of `dl.blur`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

api = pytest.importorskip("mypy.api", reason="checks types: pip install '.[dev]'")

RIGHT = """
import numpy as np
import numpy.typing as npt
from pathlib import Path
from PIL import Image
import deeplens_dof as dl

def own_depth(photo: dl.Photo) -> dl.InverseDepth:
    return dl.predict_depth(photo.seen_srgb8())

def own_lens(rgb_linear: npt.NDArray[np.float32], coc_px: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return rgb_linear

result: dl.Result = dl.blur("a.jpg", focus=(0.4, 0.6), f_number=1.8)
dl.blur(Path("a.jpg"), depth=own_depth, renderer=own_lens).save("b.jpg")
dl.blur(dl.read("a.jpg"), depth="predict").overlay()
picture: bytes = dl.blur(b"...", shape="blades:7")
array: npt.NDArray[np.uint8] = dl.blur(np.zeros((8, 8, 3), np.uint8), grain=1)
image: Image.Image = dl.blur(Image.new("RGB", (8, 8)), settings=dl.Settings())
"""
WRONG = {
    'dl.blur("a.jpg").sav("b.jpg")': '"Result" has no attribute "sav"',
    'dl.blur("a.jpg", f_numbr=2)': 'unexpected keyword argument "f_numbr"|No overload variant',
    'dl.blur("a.jpg", f_number="2")': "No overload variant|incompatible type",
    'dl.blur(b"...").save("b.jpg")': '"bytes" has no attribute "save"',
    "dl.blur(7)": "No overload variant",
    "dl.sharpen": "has no attribute",
}


@pytest.mark.slow
def test_a_type_checker_knows_what_comes_back_and_which_settings_there_are(tmp_path: Path) -> None:
    file = tmp_path / "calls.py"
    file.write_text("\n".join([RIGHT, *WRONG]))
    first = RIGHT.count("\n") + 2
    said, failed, _ = api.run(["--strict", "--cache-dir", str(tmp_path / "cache"), str(file)])
    assert not failed, said
    found: dict[int, str] = {}
    for line, message in re.findall(r"calls\.py:(\d+): error: (.*)", said):
        found[int(line)] = found.get(int(line), "") + message
    assert sorted(found) == list(range(first, first + len(WRONG))), said
    for message, expected in zip((found[line] for line in sorted(found)), WRONG.values(), strict=True):
        assert re.search(expected, message), (message, expected)
