"""Splats: the model, its training, and its files."""
