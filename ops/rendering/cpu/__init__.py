"""The CPU renderer: a tile rasteriser in Numba. Importing its kernels compiles them, once."""
