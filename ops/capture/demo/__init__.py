"""The built-in scene: a sunlit room around a set table, with exact colour, depth and labels.

Importing this package is cheap. ``settings`` needs the standard library only; everything else
(``scene``, ``cameras``, ``render``, ``views``) brings torch and Numba.
"""
