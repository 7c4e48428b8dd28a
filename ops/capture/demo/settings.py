"""Settings of the built-in scene."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DemoSettings:
    """How the built-in scene is laid out and photographed."""

    seed: int = 0
    """Changes textures, the way loose objects lie, and the small irregularities of the camera
    path. The same seed gives the same bytes."""
    width: int = 288
    """Pixels."""
    height: int = 216
    """Pixels."""
    field_of_view: float = 62.0
    """Horizontal, degrees, between 10 and 120."""
    train_views: int = 60
    """Number of views to train on."""
    test_views: int = 10
    """Number of held-out views, spread evenly between the training views."""
    samples: int = 9
    """Colour samples per pixel at edges, a square number; elsewhere half as many in each direction,
    rounded up (4 for 9 and for 16)."""
    exposure: float = 1.0
    """Factor on the light before the tone curve; 2 is one stop brighter."""
    time: float = 0.0
    """Where the rolling ball is, from 0 (start of its path) to 1 (end)."""


@dataclass(frozen=True, kw_only=True)
class DemoPointsSettings:
    """The points on the built-in scene's surfaces that training starts from."""

    count: int = 12_000
    """How many."""
    seed: int = 0
    """Which ones."""
