"""Usage statistics of the packages that DeepLens uses, switched off: nothing leaves the machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

# Of Ray, and of huggingface_hub, which accelerate imports. Both are read when the package is imported or started.
_SWITCHES = {"RAY_USAGE_STATS_ENABLED": "0", "HF_HUB_DISABLE_TELEMETRY": "1"}
# A package of its own, which OpenVINO sends with as soon as it is imported, and does without where it is missing.
_SENDERS = ("openvino_telemetry",)


@contextmanager
def without_telemetry() -> Iterator[None]:
    """Packages that are imported within the block send nothing and note no usage, neither then nor later.

    The switches stay set in the environment, so that processes started from here obey them too.
    """
    os.environ.update(_SWITCHES)
    modules: dict[str, ModuleType | None] = sys.modules  # type: ignore[assignment]
    before = {name: modules[name] for name in _SENDERS if name in modules}
    modules.update(dict.fromkeys(_SENDERS))  # None: importing it raises ImportError
    try:
        yield
    finally:
        for name in _SENDERS:
            del modules[name]
        modules.update(before)
