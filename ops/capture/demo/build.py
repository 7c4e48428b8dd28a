"""Puts a scene together from shapes in words, and compiles it to arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ops.capture.demo.model import CASTS, CONVEX, KIND, LABEL, OBJECT
from ops.capture.demo.shapes import BALL, BLOCK, LATHE, PLANE, RING

Array = np.ndarray
Vec = Sequence[float] | Array


@dataclass(frozen=True, kw_only=True)
class Material:
    """A row of the table of materials; see ``materials`` for what each kind reads."""

    kind: int
    colors: tuple[str, ...] = ()
    """Up to three sRGB colours as ``#rrggbb``."""
    sizes: tuple[float, ...] = ()
    """Up to four numbers, s0..s3."""
    gloss: float = 0.0
    """Share of the Fresnel reflection that is shown; 0 is matt."""
    emission: float = 0.0
    """Radiance of white; 0 does not shine."""
    seed: int = 0

    def row(self, seed: int) -> Array:
        """[17] float64 as the kernels read it, with the scene's seed mixed in."""
        out = np.zeros(17)
        out[0] = self.kind
        for i, text in enumerate(self.colors):
            out[1 + 3 * i : 4 + 3 * i] = linear(text)
        out[10 : 10 + len(self.sizes)] = self.sizes
        out[14], out[15] = self.gloss, self.emission
        out[16] = (self.seed * 31 + seed * 1009) % 1_000_003
        return out

    def but(self, **changes: object) -> Material:
        """The same material with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]


def linear(text: str) -> Array:
    """[3] linear RGB of a colour written as sRGB ``#rrggbb``."""
    c = np.array([int(text[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def turn(axis: str, degrees: float) -> Array:
    """[3, 3] rotation about the x, y or z axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return {
        "x": np.array([[1, 0, 0], [0, c, -s], [0, s, c]], float),
        "y": np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], float),
        "z": np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]], float),
    }[axis]


def toward(direction: Vec) -> Array:
    """[3, 3] rotation that takes the z axis to ``direction``."""
    z = np.asarray(direction, float) / np.linalg.norm(direction)
    x = np.cross([0.0, 1.0, 0.0] if abs(z[1]) < 0.9 else [1.0, 0.0, 0.0], z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1)


class Place:
    """A frame of reference: where an object stands and how it is turned."""

    def __init__(self, origin: Vec = (0, 0, 0), rotation: Array | None = None) -> None:
        self.origin = np.asarray(origin, float)
        self.rotation = np.eye(3) if rotation is None else rotation

    def point(self, p: Vec) -> Array:
        """[3] world position of a point given in this frame."""
        return self.rotation @ np.asarray(p, float) + self.origin


class Builder:
    """Collects shapes; those added after ``start`` belong to that object."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.label_names: list[str] = []
        self.place = Place()
        self.object, self.label, self.shadows = -1, 0, True
        self.shapes: list[Array] = []
        self.frames: list[Array] = []
        self.bounds: list[Array] = []
        self.materials: list[Array] = []
        self.blobs: list[Array] = []
        self.blocks: list[int] = []

    def start(self, label: str, place: Place | None = None, casts: bool = True) -> None:
        """Begin an object; its shapes are given in the frame ``place``.

        ``casts`` = False is for what lies within a light and must not shade it.
        """
        if label not in self.label_names:
            self.label_names.append(label)
        self.label = self.label_names.index(label)
        self.object += 1
        self.place = place or Place()
        self.shadows = casts

    def _add(
        self,
        kind: int,
        material: Material,
        center: Vec,
        rotation: Array | None,
        scale: Vec,
        numbers: Vec,
        reach: Array,
        convex: bool,
    ) -> int:
        own = self.place.rotation @ (np.eye(3) if rotation is None else rotation)
        origin = self.place.point(center)
        row = np.zeros(26)
        row[:9] = (np.diag(1 / np.asarray(scale, float)) @ own.T).ravel()
        row[9:12] = origin
        row[12 : 12 + len(numbers)] = numbers
        row[KIND], row[CASTS] = kind, self.shadows and kind != PLANE
        row[CONVEX], row[OBJECT], row[LABEL] = convex, self.object, self.label
        self.shapes.append(row)
        self.frames.append(np.concatenate([own.T.ravel(), origin]))
        low, high = reach
        middle, half = own @ ((low + high) / 2) + origin, (high - low) / 2
        # An ellipsoid reaches |R diag(half)| by rows in the 2-norm, a box in the 1-norm.
        across = np.linalg.norm(own * half, ord=2 if kind == BALL else 1, axis=1) + 1e-7
        self.bounds.append(np.concatenate([middle - across, middle + across]))
        self.materials.append(material.row(self.seed))
        return len(self.shapes) - 1

    def plane(self, material: Material, center: Vec, axes: Array) -> None:
        """A side of the room; the columns of ``axes`` are u, v and the normal."""
        self._add(PLANE, material, center, axes, (1, 1, 1), (), np.zeros((2, 3)), True)

    def ball(
        self, material: Material, center: Vec, radii: float | Vec, rotation: Array | None = None
    ) -> None:
        """A sphere or ellipsoid."""
        r = (radii,) * 3 if isinstance(radii, (int, float)) else tuple(radii)
        self._add(BALL, material, center, rotation, r, (), _box(*r), True)

    def box(
        self,
        material: Material,
        center: Vec,
        size: Vec,
        rotation: Array | None = None,
        dims: bool = False,
    ) -> None:
        """A box of full ``size``; ``dims`` lets it dim the ambient light of its neighbours."""
        half = np.asarray(size, float) / 2
        i = self._add(BLOCK, material, center, rotation, (1, 1, 1), half, _box(*half), True)
        if dims:
            self.blocks.append(i)

    def ring(
        self,
        material: Material,
        center: Vec,
        major: float,
        minor: float,
        rotation: Array | None = None,
    ) -> None:
        """A torus about its z axis."""
        self._add(
            RING,
            material,
            center,
            rotation,
            (1, 1, 1),
            (major, minor),
            _box(major + minor, major + minor, minor),
            False,
        )

    def lathe(
        self,
        material: Material,
        center: Vec,
        profile: Sequence[tuple[float, float]],
        rotation: Array | None = None,
        ends: tuple[bool, bool] = (True, True),
        smooth: bool = True,
    ) -> None:
        """A turned shape through (height, radius) points, closed by discs at ``ends``.

        Between two points the squared radius is a cubic of the height; with ``smooth`` the pieces
        join without a kink and do not swing beyond the points; without it they are cones.
        """
        z = np.array([p[0] for p in profile], float)
        r = np.array([p[1] for p in profile], float)
        q = r**2
        slope = _slopes(z, q) if smooth else None
        for i in range(len(z) - 1):
            h = z[i + 1] - z[i]
            if slope is None:  # (r0 + k (z - z0))^2
                k = (r[i + 1] - r[i]) / h
                local = np.array([q[i], 2 * r[i] * k, k * k, 0.0])
            else:
                rise = (q[i + 1] - q[i]) / h
                a, b = slope[i], slope[i + 1]
                local = np.array([q[i], a, (3 * rise - 2 * a - b) / h, (a + b - 2 * rise) / h**2])
            t = np.linspace(0, h, 65)
            values = np.polynomial.polynomial.polyval(t, local)
            # A little above the sampled maximum: between samples the cubic differs by less.
            most = float(values.max()) * 1.001 + 1e-12
            first, last = i == 0 and ends[0], i == len(z) - 2 and ends[1]
            wide = float(np.sqrt(most))
            numbers = (z[i], z[i + 1], *_shifted(local, z[i]), most, float(first), float(last))
            self._add(
                LATHE,
                material,
                center,
                rotation,
                (1, 1, 1),
                numbers,
                np.array([[-wide, -wide, z[i]], [wide, wide, z[i + 1]]]),
                len(z) == 2 and all(ends) and not smooth,
            )

    def blob(self, center: Vec, radius: float) -> None:
        """A sphere that stands for (a part of) the object where ambient light is dimmed."""
        self.blobs.append(np.array([*self.place.point(center), radius, self.object]))

    def tree(self) -> tuple[Array, Array]:
        """Bounding boxes of all shapes but the planes, and links; see ``model.Scene``."""
        bounds = np.array(self.bounds)
        middles = bounds[:, :3] + bounds[:, 3:]
        boxes: list[Array] = []
        links: list[list[int]] = []

        def grow(members: Array) -> None:
            low, high = bounds[members, :3].min(0), bounds[members, 3:].max(0)
            boxes.append(np.concatenate([low, high]))
            link = [0, int(members[0]) if len(members) == 1 else -1]
            links.append(link)
            if len(members) > 1:
                for half in _halves(members, bounds, middles):
                    grow(half)
            link[0] = len(boxes)

        grow(np.flatnonzero(np.array(self.shapes)[:, KIND] != PLANE))
        return np.array(boxes), np.array(links)


def _area(low: Array, high: Array) -> Array:
    x, y, z = np.moveaxis(high - low, -1, 0)
    return x * y + y * z + z * x


def _halves(members: Array, bounds: Array, middles: Array) -> tuple[Array, Array]:
    """The split along an axis that makes a ray's work least (surface area heuristic)."""
    best, halves = np.inf, (members[:1], members[1:])
    for axis in range(3):
        ranked = members[np.argsort(middles[members, axis], kind="stable")]
        low, high = bounds[ranked, :3], bounds[ranked, 3:]
        up = _area(np.minimum.accumulate(low), np.maximum.accumulate(high))
        down = _area(np.minimum.accumulate(low[::-1]), np.maximum.accumulate(high[::-1]))[::-1]
        count = np.arange(1, len(ranked))
        cost = up[:-1] * count + down[1:] * count[::-1]
        at = int(np.argmin(cost))
        if cost[at] < best:
            best, halves = float(cost[at]), (ranked[: at + 1], ranked[at + 1 :])
    return halves


def _box(x: float, y: float, z: float) -> Array:
    """[2, 3] corners of the box of these half sizes about the origin."""
    return np.array([[-x, -y, -z], [x, y, z]], float)


def _slopes(z: Array, q: Array) -> Array:
    """Slopes of a cubic spline through (z, q) that is monotone wherever the points are.

    Harmonic means of the neighbouring secants, 0 at a turn (Fritsch and Butland 1984).
    """
    secant = np.diff(q) / np.diff(z)
    out = np.empty_like(q)
    out[0], out[-1] = secant[0], secant[-1]
    a, b = secant[:-1], secant[1:]
    together = a * b > 0
    out[1:-1] = np.where(together, 2 * a * b / np.where(together, a + b, 1.0), 0.0)
    return out


def _shifted(local: Array, z0: float) -> Array:
    """Coefficients in powers of z of a cubic given in powers of (z - z0)."""
    base = np.polynomial.Polynomial([-z0, 1.0])
    total = sum((c * base**k for k, c in enumerate(local)), np.polynomial.Polynomial([0.0]))
    out = np.zeros(4)
    out[: len(total.coef)] = total.coef
    return out
