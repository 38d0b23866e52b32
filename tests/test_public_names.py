"""The public names of `import deeplens_dof`, and the modules that importing it must not load."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest

import deeplens_dof as dl

CONTRACT = {
    *("blur", "read", "analyse", "refocus", "Settings", "Scene", "Result", "Photo", "PhotoError"),
    *("predict_depth", "render", "Aperture", "InverseDepth"),
}
HEAVY = ("numba", "onnxruntime", "OpenImageIO", "PIL", "torch", "cv2", "scipy")


def _loaded_after(code: str) -> set[str]:
    """Names of the heavy modules that a new interpreter has loaded after `code`."""
    script = (
        f"import sys\n{code}\nprint(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return set(run.stderr.split())


def test_the_names_of_the_contract_are_there() -> None:
    assert not CONTRACT - set(dl.__all__)
    for name in dl.__all__:
        assert getattr(dl, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'sharpen'"):
        dl.sharpen  # noqa: B018


def test_dir_shows_public_names_only() -> None:
    assert set(dir(dl)) == set(dl.__all__)


def test_every_public_name_but_the_version_has_a_home() -> None:
    assert set(dl._MODULES) == set(dl.__all__) - {"__version__"}
    for name, home in dl._MODULES.items():
        assert getattr(dl, name) is getattr(importlib.import_module(f"deeplens_dof.{home}"), name)


def test_no_module_hides_a_public_name() -> None:
    """Importing a submodule puts its name into the package, over whatever was there."""
    modules = {module.name for module in pkgutil.iter_modules(dl.__path__)}
    assert not modules & set(dl.__all__)


def test_names_stay_what_they_are_after_all_submodules_were_imported() -> None:
    code = (
        "import deeplens_dof as dl, deeplens_dof.pipeline, deeplens_dof.lens_blur.render\n"
        "import deeplens_dof.depth.predict, deeplens_dof.settings, deeplens_dof.photo.read\n"
        "assert all(callable(getattr(dl, n)) for n in dl.__all__ if n != '__version__')\n"
        "assert callable(dl.blur)\nassert callable(dl.blur)"
    )
    _loaded_after(code)


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert _loaded_after("import deeplens_dof") == set()


def test_naming_settings_loads_nothing_heavy() -> None:
    assert _loaded_after("import deeplens_dof as dl; dl.Settings(f_number=2)") == set()


def test_blurring_loads_no_torch() -> None:
    code = (
        "import numpy as np, deeplens_dof as dl\n"
        "depth = dl.InverseDepth(np.ones((8, 8), np.float32), 'relative')\n"
        "dl.blur(np.zeros((8, 8, 3), np.uint8), depth=depth)"
    )
    assert not _loaded_after(code) & {"torch", "onnxruntime", "cv2", "OpenImageIO"}


@pytest.mark.parametrize("arguments", [["--help"], ["blur", "--help"], ["--version"]], ids=" ".join)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    call = f"try: cli.main({arguments!r})\nexcept SystemExit as end: assert end.code == 0"
    code = f"from deeplens_dof import cli\n{call}"
    assert _loaded_after(code) == set()
