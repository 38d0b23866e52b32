"""Many photos: plan the jobs, process them with an engine, and record them in a manifest.

    from deeplens_dof.batch import Batch, Input, JobOptions, plan, process_photo

Each name is loaded when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deeplens_dof.batch.engines import InProcess, InWorkers
    from deeplens_dof.batch.jobs import Input, Job, plan, share
    from deeplens_dof.batch.manifest import Record
    from deeplens_dof.batch.process import JobOptions, process_photo
    from deeplens_dof.batch.run import Batch

__all__ = [
    "Batch",
    "InProcess",
    "InWorkers",
    "Input",
    "Job",
    "JobOptions",
    "Record",
    "plan",
    "process_photo",
    "share",
]

_MODULES = {
    "Batch": "run",
    "InProcess": "engines",
    "InWorkers": "engines",
    "Input": "jobs",
    "Job": "jobs",
    "JobOptions": "process",
    "Record": "manifest",
    "plan": "jobs",
    "process_photo": "process",
    "share": "jobs",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
