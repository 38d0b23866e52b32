"""The creators of the furniture: `python -m deeplens_dof.learn.scenes.credits` prints the lines for NOTICE."""

from __future__ import annotations

from pathlib import Path

from deeplens_dof.datasets.cache import assets_folder
from deeplens_dof.learn.scenes.objects.furniture import PACKS, catalogue


def creators(furniture: Path) -> dict[str, list[str]]:
    """The creators named in the catalogue of each pack, in alphabetical order."""
    found = {}
    for pack in PACKS:
        named = {value for key, value in catalogue(furniture / pack).items() if key.startswith("creator#")}
        found[pack] = sorted(named, key=str.casefold)
    return found


if __name__ == "__main__":
    for pack, names in creators(assets_folder() / "sweethome3d-furniture").items():
        print(f"{pack}: {', '.join(names)}")
