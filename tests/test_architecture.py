"""The laws of docs/architecture.md: its drawing of imports, small modules, no torch in inference."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "deeplens_dof"
SOURCE = ROOT / "src" / PACKAGE
LONGEST_FILE, LONGEST_FUNCTION, MOST_FILES_BESIDE_PACKAGES = 400, 80, 8
NAMES_OF_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc"}
TRAINING_ONLY = {"torch", "onnx", "moderngl", "cv2"}
SLOW_TO_IMPORT = TRAINING_ONLY | {"numba", "onnxruntime", "openvino", "OpenImageIO"}


def module_of(file: Path) -> str:
    """The dotted name of a file of the package; a folder's __init__.py is the folder's."""
    parts = (PACKAGE, *file.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_of(file): file for file in sorted(SOURCE.rglob("*.py"))}
TREES = {module: ast.parse(file.read_text(encoding="utf-8")) for module, file in FILES.items()}


def imports(tree: ast.AST, module: str, is_folder: bool) -> Iterator[str]:
    """Dotted names that a module imports, relative ones made absolute, wherever in it the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = node.level - (1 if is_folder else 0)
                home = module.split(".")[: len(module.split(".")) - up]
                base = ".".join([*home, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def own_module(name: str) -> str | None:
    """The module of ours that an imported name is or lies in; None for what is not ours."""
    while name not in FILES and "." in name:
        name = name.rpartition(".")[0]
    return name if name in FILES else None


def imported_by(module: str, tree: ast.AST | None = None) -> set[str]:
    found = imports(tree or TREES[module], module, FILES[module].name == "__init__.py")
    return {own for name in found if (own := own_module(name)) and own != module}


def package_of(module: str) -> str:
    """The first name below `deeplens_dof`: a module or a package; its own __init__.py is `deeplens_dof`."""
    _, _, inner = module.partition(".")
    return inner.split(".")[0] or PACKAGE


def lines_of_the_drawing() -> list[set[str]]:
    """The drawing below "## Imports" in docs/architecture.md, from the top line down."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawing = text.partition("\n## Imports\n")[2].split("```")[1]
    lines = [re.sub(r"\(.*", "", line).split("|") for line in drawing.strip().splitlines()]
    return [{name.strip() for name in line} for line in lines]


HEIGHT = {name: -index for index, line in enumerate(lines_of_the_drawing()) for name in line}


def breaks(importer: str, imported: str, height: dict[str, int]) -> bool:
    """Whether this import points up, or to a sibling on the same line."""
    return (
        package_of(importer) != package_of(imported)
        and height[package_of(imported)] >= height[package_of(importer)]
    )


def test_every_package_has_a_line_in_the_drawing_and_every_line_a_package() -> None:
    assert {package_of(module) for module in FILES} == set(HEIGHT), (
        "change the drawing in docs/architecture.md"
    )


def test_imports_point_down() -> None:
    edges = [(module, target) for module in FILES for target in imported_by(module)]
    assert len(edges) > 50  # the imports are really seen
    wrong = [f"{module} imports {target}" for module, target in edges if breaks(module, target, HEIGHT)]
    assert not wrong, wrong


def test_the_law_of_imports_sees_every_kind_of_import() -> None:
    lines = ["from . import settings", "from .depth import files", "import deeplens_dof.cli"]
    text = "\n".join([*lines, "def f(): from deeplens_dof.photo.metadata.icc import profile"])
    found = {own_module(name) for name in imports(ast.parse(text), "deeplens_dof.models", is_folder=False)}
    assert {package_of(name) for name in found if name} == {"settings", "depth", "cli", "photo"}
    text = "from . import exif\nfrom ...settings import x"
    inside = imports(ast.parse(text), "deeplens_dof.photo.metadata.icc", is_folder=False)
    assert [own_module(name) for name in inside] == [
        "deeplens_dof.photo.metadata.exif",
        "deeplens_dof.settings",
    ]
    folder = imports(ast.parse("from .read import read\nfrom .. import models"), "deeplens_dof.photo", True)
    assert [own_module(name) for name in folder] == ["deeplens_dof.photo.read", "deeplens_dof.models"]
    assert breaks("deeplens_dof.models", "deeplens_dof.settings", HEIGHT)
    assert breaks("deeplens_dof.photo.read", "deeplens_dof.depth.files", HEIGHT)
    assert not breaks("deeplens_dof.photo.read", "deeplens_dof.photo.metadata.icc", HEIGHT)


def test_no_cycles() -> None:
    try:
        order = list(TopologicalSorter({module: imported_by(module) for module in FILES}).static_order())
    except CycleError as error:
        pytest.fail(f"these modules import each other in a circle: {' -> '.join(error.args[1])}")
    assert set(order) == set(FILES)


def test_files_and_functions_are_short() -> None:
    lengths = {module: len(file.read_text(encoding="utf-8").splitlines()) for module, file in FILES.items()}
    assert not {module: length for module, length in lengths.items() if length > LONGEST_FILE}
    functions = {
        f"{module}.{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    assert len(functions) > 200
    assert not {name: length for name, length in functions.items() if length > LONGEST_FUNCTION}


def test_few_files_lie_beside_the_packages() -> None:
    assert len(list(SOURCE.glob("*.py"))) <= MOST_FILES_BESIDE_PACKAGES


def test_imports_are_absolute() -> None:
    relative = [
        module
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not relative


def test_modules_are_named_after_something() -> None:
    assert not [module for module in FILES if NAMES_OF_NOTHING & set(module.split("."))]


def test_inference_never_imports_what_only_training_needs() -> None:
    found = {
        module: used
        for module in FILES
        if package_of(module) != "learn"
        and (used := {name.split(".")[0] for name in outside(module)} & TRAINING_ONLY)
    }
    assert not found, found
    assert "torch" in {
        name.split(".")[0] for module in FILES if package_of(module) == "learn" for name in outside(module)
    }


def outside(module: str) -> list[str]:
    found = imports(TREES[module], module, FILES[module].name == "__init__.py")
    return [name for name in found if own_module(name) is None]


def test_only_models_opens_networks_in_inference() -> None:
    users = {
        package_of(module) for module in FILES for name in outside(module) if name.startswith("onnxruntime")
    }
    assert users - {"learn"} == {"models"}


OPENERS_OF_PICTURES = {"OpenImageIO", "pillow_heif", "rawpy", "imageio", "skimage"}


def opens_pictures(module: str) -> list[str]:
    """How a module opens picture files: by the libraries that it imports, or by Pillow's or OpenCV's own calls."""
    libraries = [name for name in outside(module) if name.split(".")[0] in OPENERS_OF_PICTURES]
    calls = [
        ast.unparse(node.func)
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and (ast.unparse(node.func).endswith("Image.open") or node.func.attr in ("imread", "imdecode"))
    ]
    readers = [name for name in outside(module) if "ImageFile" in name.split(".")[-1] and "PIL." in name]
    return [*libraries, *calls, *[name for name in readers if not typing_only(module, name)]]


def typing_only(module: str, name: str) -> bool:
    """Whether a name is imported for type checkers alone."""
    guarded = [
        inner
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in imports(node, module, is_folder=False)
    ]
    return name in guarded


def test_only_photo_codecs_opens_pictures_in_the_camera() -> None:
    found = {
        module: used for module in FILES if package_of(module) != "learn" and (used := opens_pictures(module))
    }
    codecs = f"{PACKAGE}.photo.codecs."
    assert {module for module in found if module.startswith(codecs)} >= {codecs + "oiio", codecs + "header"}
    assert not {module: used for module, used in found.items() if not module.startswith(codecs)}


def test_each_signature_of_a_picture_format_stands_in_one_place() -> None:
    from deeplens_dof.photo.codecs.formats import SIGNATURES

    marks = [mark for named in SIGNATURES.values() for mark in named if len(mark) > 2]
    homes = {
        mark: {
            module
            for module, tree in TREES.items()
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, bytes)
            if len(node.value) > 2 and mark.startswith(node.value)
        }
        for mark in marks
    }
    assert not {mark: where for mark, where in homes.items() if len(where) != 1}


def test_the_command_line_imports_training_only_inside_functions() -> None:
    for module in [module for module in FILES if package_of(module) == "cli"]:
        statements = [
            node for node in ast.walk(TREES[module]) if isinstance(node, (ast.Import, ast.ImportFrom))
        ]
        inner = {
            id(node)
            for function in ast.walk(TREES[module])
            if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
            for node in ast.walk(function)
        }
        outer = [node for node in statements if id(node) not in inner]
        assert outer
        for node in outer:
            assert "learn" not in {package_of(name) for name in imported_by(module, ast.Module([node], []))}


@pytest.mark.parametrize("module", [PACKAGE, f"{PACKAGE}.cli"])
def test_importing_is_light(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(set(sys.modules) & {SLOW_TO_IMPORT!r}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.split() == []
