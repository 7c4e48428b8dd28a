"""Splat files in and out. Start at :mod:`ops.splats.files.dispatch`."""
