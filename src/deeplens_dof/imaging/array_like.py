"""Arrays of other libraries (torch, jax, ...) as numpy arrays, by their own protocols."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def is_array_like(source: object) -> bool:
    """Whether an object is an array, or gives itself as one: by `__array__`, or by DLPack."""
    return hasattr(source, "__array__") or hasattr(source, "__dlpack__")


def as_array(source: Any) -> npt.NDArray[Any]:
    """The array, shared with its owner where that is possible.

    Raises ValueError, one sentence, where its owner does not give it, as of a tensor on a graphics card or with gradients.
    """
    if isinstance(source, np.ndarray):
        return source
    try:
        return np.asarray(source) if hasattr(source, "__array__") else np.from_dlpack(source)
    except (TypeError, ValueError, RuntimeError, BufferError) as problem:
        why = " ".join(str(problem).split())
        raise ValueError(
            f"the {type(source).__name__} does not give itself as an array ({why}); copy it to the CPU, without gradients"
        ) from problem
