"""How the kernels of the scene are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numpy as np
from numba import njit

Vec = tuple[float, float, float]
Array = np.ndarray
_Function = TypeVar("_Function", bound=Callable[..., object])


def kernel(function: _Function) -> _Function:
    """Compile a function that allocates nothing, without Numba's reference counts.

    With them a scene of twenty arrays costs forty atomic operations each time it is passed on,
    which takes half the time on one thread, and more when threads fight over the counters.
    """
    compiled = njit(  # type: ignore[call-overload]
        cache=True, nogil=True, error_model="numpy", _nrt=False
    )
    return cast(_Function, compiled(function))
