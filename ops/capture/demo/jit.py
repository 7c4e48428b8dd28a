"""How the kernels of the scene are compiled."""

from __future__ import annotations

from functools import partial

from numba import njit

# None of them allocates, so none needs Numba's reference counts. Without them a scene of twenty
# arrays is passed from function to function for free; with them its counters take half the time on
# one thread, and more when threads take them from each other.
kernel = partial(njit, cache=True, nogil=True, _nrt=False)
