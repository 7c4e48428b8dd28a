"""The stages of splats."""
