"""The mathematics: tensors in, tensors out. Knows nothing of Dagster, Zarr or Jupyter."""

import os

# torch and Numba each bring an OpenMP runtime whose idle threads spin; left alone they take each
# other's cores (a factor of 4 to 8 on small training steps). It must be set before torch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
