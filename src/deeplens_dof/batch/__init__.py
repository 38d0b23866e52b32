"""Many photos: which, by whom, and what became of each.

    from deeplens_dof.batch import Batch, Input, Order, do_job, plan

Names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deeplens_dof.batch.engines import InProcess, InWorkers
    from deeplens_dof.batch.jobs import Input, Job, plan, share
    from deeplens_dof.batch.process import Order, do_job
    from deeplens_dof.batch.run import Batch

__all__ = ["Batch", "InProcess", "InWorkers", "Input", "Job", "Order", "do_job", "plan", "share"]

_HOMES = {
    "Batch": "run",
    "InProcess": "engines",
    "InWorkers": "engines",
    "Input": "jobs",
    "Job": "jobs",
    "Order": "process",
    "do_job": "process",
    "plan": "jobs",
    "share": "jobs",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
