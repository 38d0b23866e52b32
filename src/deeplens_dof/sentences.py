"""An error as one sentence for the person who asked: what came, what was expected, what to do."""

from __future__ import annotations

from pathlib import Path


def sentence(name: str, error: Exception) -> str:
    """What went wrong with `name`, on one line, with the name in it."""
    from deeplens_dof.photo.errors import shown

    name = shown(name)
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return f"{name}: there is not enough memory for it; make the picture smaller or close other programs"
    if isinstance(error, (ValueError, OSError)) and text:
        return text if Path(name).name in text else f"{name}: {text}"
    kind = type(error).__name__
    return f"{name}: an error inside deeplens ({kind}: {text}); run it again with --debug and report it"
