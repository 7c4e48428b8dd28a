"""Mipmap-GS: splats adapted to a rendering scale with mipmaps made of their own renders.

Li, Shi, Cao, Ni, Zhang, Zhang and Van Gool, arXiv 2408.06286 (3DV 2025).
"""
