"""The ComfyUI nodes, called as ComfyUI calls them by its documented interface; ComfyUI itself is not needed."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

import deeplens_dof as dl
from deeplens_dof.settings import setting_fields

torch = pytest.importorskip("torch")
FOLDER = Path(__file__).parents[2] / "integrations" / "comfyui"
TYPES = {"IMAGE", "MASK", "FLOAT", "INT", "STRING", "BOOLEAN"}
PICTURE = (np.arange(40 * 60 * 3) % 251).astype(np.uint8).reshape(40, 60, 3)
DEPTH = np.linspace(0, 1, 40 * 60, dtype=np.float32).reshape(40, 60)


@pytest.fixture
def nodes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The folder as ComfyUI imports it: a package under a name of its own."""
    folders = ModuleType("folder_paths")
    folders.get_input_directory = lambda: str(tmp_path)  # type: ignore[attr-defined]
    folders.get_annotated_filepath = lambda name: str(tmp_path / name)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "folder_paths", folders)
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("no picture")
    spec = importlib.util.spec_from_file_location(
        "custom_nodes_deeplens", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def image(*pictures: np.ndarray) -> Any:
    return torch.from_numpy(np.stack(pictures).astype(np.float32) / 255)


def defaults(node: type, **changes: object) -> dict[str, Any]:
    """The widgets of a node as a new one has them."""
    given = {}
    for kind, *options in node.INPUT_TYPES()["required"].values():
        assert isinstance(kind, list) or kind in TYPES
        assert not options or isinstance(options[0], dict)
    for name, (kind, *options) in node.INPUT_TYPES()["required"].items():
        if kind not in ("IMAGE", "MASK"):
            given[name] = options[0].get("default", kind[0] if isinstance(kind, list) else None)
    return {**given, **changes}


def called(node: type, **inputs: Any) -> tuple[Any, ...]:
    """As ComfyUI does: a new object, its FUNCTION by keywords; what comes back fits RETURN_TYPES."""
    found = getattr(node(), node.FUNCTION)(**inputs)
    assert isinstance(found, tuple)
    assert len(found) == len(node.RETURN_TYPES) == len(node.RETURN_NAMES)
    for value, kind in zip(found, node.RETURN_TYPES, strict=True):
        assert value.dtype == torch.float32
        assert value.ndim == (4 if kind == "IMAGE" else 3)
        assert 0 <= float(value.min()) <= float(value.max()) <= 1
    return found


def test_every_node_has_the_parts_of_the_interface(nodes: ModuleType) -> None:
    assert set(nodes.NODE_CLASS_MAPPINGS) == set(nodes.NODE_DISPLAY_NAME_MAPPINGS)
    for node in nodes.NODE_CLASS_MAPPINGS.values():
        assert node.CATEGORY == "DeepLens"
        assert set(node.RETURN_TYPES) <= TYPES
        inputs = node.INPUT_TYPES()
        assert set(inputs) <= {"required", "optional", "hidden"}
        parameters = inspect.signature(getattr(node, node.FUNCTION)).parameters
        takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
        assert takes_any or set(parameters) - {"self"} == {name for kind in inputs.values() for name in kind}


def test_every_setting_is_an_input_with_its_limits(nodes: ModuleType) -> None:
    inputs = nodes.NODE_CLASS_MAPPINGS["DeepLensBlur"].INPUT_TYPES()["required"]
    for setting in setting_fields():
        kind, options = inputs[setting.name]
        assert options["default"] == setting.default
        assert options["tooltip"] == setting.metadata["help"]
        if setting.metadata["low"] is not None:
            assert kind == "FLOAT"
            assert (options["min"], options["max"]) == (setting.metadata["low"], setting.metadata["high"])
    assert inputs["renderer"][0] == ["optical", "matte", "neural", "paper"]


def test_blur_is_that_of_the_package(nodes: ModuleType) -> None:
    node = nodes.NODE_CLASS_MAPPINGS["DeepLensBlur"]
    depth = torch.from_numpy(DEPTH)[None]
    blurred, used, sharp = called(
        node, image=image(PICTURE), depth=depth, **defaults(node, focus="0.2,0.2", lens_mm=300.0)
    )
    expected = dl.blur(PICTURE.astype(np.float32) / 255, depth=DEPTH, focus=(0.2, 0.2), lens_mm=300.0)
    np.testing.assert_allclose(blurred[0].numpy(), np.clip(expected, 0, 1), atol=2e-4)
    np.testing.assert_array_equal(used[0].numpy(), DEPTH)
    assert sharp[0, 8, 12] == 1
    assert sharp[0, -1, -1] == 0


def test_a_batch_goes_picture_by_picture_with_a_map_each_or_one_for_all(nodes: ModuleType) -> None:
    node = nodes.NODE_CLASS_MAPPINGS["DeepLensBlur"]
    maps = np.stack((DEPTH, DEPTH[::-1]))
    both = called(node, image=image(PICTURE, PICTURE), depth=torch.from_numpy(maps.copy()), **defaults(node))
    assert both[0].shape == (2, 40, 60, 3)
    np.testing.assert_array_equal(both[1].numpy(), maps)
    one = called(node, image=image(PICTURE, PICTURE), depth=torch.from_numpy(DEPTH), **defaults(node))
    np.testing.assert_array_equal(one[0][0].numpy(), one[0][1].numpy())
    turned = called(
        node,
        image=image(PICTURE),
        depth=torch.from_numpy(1 - DEPTH)[None],
        far_is_bright=True,
        **defaults(node),
    )
    np.testing.assert_allclose(turned[0][0].numpy(), one[0][0].numpy(), atol=1e-3)
    with pytest.raises(ValueError, match="expected a mask for each of the 1 pictures"):
        called(node, image=image(PICTURE), depth=torch.zeros((3, 40, 60)), **defaults(node))


def test_wrong_settings_are_told_before_the_graph_runs(nodes: ModuleType) -> None:
    node = nodes.NODE_CLASS_MAPPINGS["DeepLensBlur"]
    assert node.VALIDATE_INPUTS(**defaults(node)) is True
    assert "focus is '3,3', expected" in node.VALIDATE_INPUTS(**defaults(node, focus="3,3"))
    assert node.VALIDATE_INPUTS(**defaults(node, f_number=None)) is True  # connected, so not known yet


def test_predicted_depth_is_a_mask_and_a_picture(nodes: ModuleType) -> None:
    depth, picture = called(nodes.NODE_CLASS_MAPPINGS["DeepLensPredictDepth"], image=image(PICTURE))
    np.testing.assert_array_equal(depth[0].numpy(), dl.predict_depth(PICTURE).values)
    np.testing.assert_array_equal(picture[0, ..., 2].numpy(), depth[0].numpy())


def test_a_photo_is_loaded_with_its_depth(nodes: ModuleType) -> None:
    node = nodes.NODE_CLASS_MAPPINGS["DeepLensLoadPhoto"]
    files, options = node.INPUT_TYPES()["required"]["image"]
    assert files == ["a.png"]
    assert options["image_upload"]
    loaded, alpha, depth = called(node, image="a.png", depth_source="predict")
    np.testing.assert_array_equal(np.rint(loaded[0].numpy() * 255), PICTURE)
    assert (alpha == 1).all()
    assert depth.shape == (1, 40, 60)
    assert node.VALIDATE_INPUTS(image="a.png") is True
    assert "is not in the input folder" in node.VALIDATE_INPUTS(image="b.png")
    assert node.IS_CHANGED(image="a.png", depth_source="auto") > 0
