"""Captures: photos with cameras, from the built-in scene or from the folders people have."""
