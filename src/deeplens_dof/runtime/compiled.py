"""`compiled`: numba's `njit` as every kernel here uses it, with the types of the function kept for mypy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(*, fastmath: bool = False, inline: bool = False) -> Callable[[F], F]:
    """Decorator of a kernel: compiled at the first call, kept on disk, run without the interpreter's lock.

    Args:
        fastmath: lets the compiler reorder float arithmetic; for kernels that never see NaN or infinity.
        inline: copies the function into its callers before their types are known.
    """
    options = {"inline": "always"} if inline else {}
    return cast("Callable[[F], F]", numba.njit(nogil=True, cache=True, fastmath=fastmath, **options))
