"""Meshes as viewers show them, from arrays and from files (glb, ply, obj)."""
