"""Scenes to measure with: a furnished room, covered by Gaussians as training leaves them.

What a renderer costs follows from how many Gaussians a tile lists, how many a pixel blends and how
soon it is opaque. The constants below are chosen so that these numbers are those of trained
models: mostly flat and see-through Gaussians of very different sizes in a few layers around every
surface, with a long tail of large ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ops.cameras import Cameras, look_at
from ops.errors import InputError
from ops.rendering.render import render
from ops.splats.model import Splats, rgb_to_sh0

EXTENT = 3.0  # world units, the scene scale that training's learning rates are relative to

_ROOM = torch.tensor([3.0, 1.5, 3.0])  # half sizes; y is up, the floor at -1.5
_OBJECTS = 14  # half of them balls, half boxes
_OBJECT_DENSITY = 2.5  # Gaussians per area on objects, relative to the room's
_SIZE = 0.72  # median standard deviation in units of the mean distance between Gaussians
_SPREAD = 0.7  # of the logarithm of sizes
_STRETCH = 1.2  # of the logarithm of the ratio between the two axes in the surface
_FLATNESS = 0.15  # thickness relative to the smaller of them
_LAYER = 0.8  # how far means lie off their surface, in standard deviations of the Gaussian
_TILT = 0.15  # of the flat side from the surface
_OPACITY = (-1.95, 2.3)  # mean and spread of the logits


@dataclass(frozen=True, kw_only=True)
class Size:
    """How large a scene is."""

    name: str
    count: int  # Gaussians
    width: int  # pixels
    height: int  # pixels
    forward_only: bool = False
    """Whether only drawing is measured."""
    compared: bool = False
    """Whether the rasteriser in plain PyTorch is measured too; it takes seconds per image."""
    hidden: bool = False
    """Whether it has to be asked for by name."""


SIZES = {
    size.name: size
    for size in (
        Size(name="tiny", count=600, width=48, height=32, compared=True, hidden=True),
        Size(name="10k", count=10_000, width=256, height=256, compared=True),
        Size(name="50k", count=50_000, width=480, height=270, compared=True),
        Size(name="200k", count=200_000, width=960, height=540),
        Size(name="500k", count=500_000, width=1920, height=1080, forward_only=True),
    )
}


@dataclass(frozen=True, kw_only=True)
class BenchScene:
    """Splats, one camera inside them, and a photo to train towards."""

    size: Size
    splats: Splats  # SH degree 3, float32
    cameras: Cameras  # one view
    target: Tensor  # [H, W, 3] in [0, 1]: the view of the same splats, disturbed

    def to(self, device: torch.device | str) -> BenchScene:
        """The same scene on another device."""
        return BenchScene(
            size=self.size,
            splats=self.splats.to(device),
            cameras=self.cameras.to(device),
            target=self.target.to(device),
        )


def find_sizes(names: list[str] | None) -> list[Size]:
    """The sizes of these names, in the order given; all that are not hidden for None.

    Raises:
        InputError: There is no size of a name.
    """
    if names is None:
        return [size for size in SIZES.values() if not size.hidden]
    shown = [name for name, size in SIZES.items() if not size.hidden]
    for name in names:
        if name not in SIZES:
            raise InputError(f"bench: sizes are {', '.join(shown)}; found {name!r}")
    return [SIZES[name] for name in dict.fromkeys(names)]


def make_scene(size: Size, seed: int = 0) -> BenchScene:
    """The scene of a size on the CPU; the same for the same seed.

    Args:
        size: Number of Gaussians and of pixels.
        seed: Seed of everything random in it.
    """
    random = torch.Generator().manual_seed(seed)
    splats = _furnished_room(size.count, random)
    cameras = _view(size.width, size.height)
    disturbed = Splats(
        means=splats.means + 0.01 * torch.randn(size.count, 3, generator=random),
        quats=splats.quats,
        log_scales=splats.log_scales + 0.2 * torch.randn(size.count, 3, generator=random),
        opacity_logits=splats.opacity_logits + 0.3 * torch.randn(size.count, generator=random),
        sh0=splats.sh0 + 0.1 * torch.randn(size.count, 1, 3, generator=random),
        shN=splats.shN,
    )
    with torch.no_grad():
        target = render(disturbed, cameras)[0].colors.clamp(0, 1).contiguous()
    return BenchScene(size=size, splats=splats, cameras=cameras, target=target)


def _view(width: int, height: int) -> Cameras:
    """A wide view from one corner of the room to the other."""
    eye = torch.tensor([[-2.4, 0.45, -2.6]])
    focal = 0.76 * math.sqrt(width * height)
    K = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    return Cameras(
        viewmats=look_at(eye, torch.tensor([0.5, -0.6, 0.6]), torch.tensor([0.0, 1.0, 0.0])),
        Ks=K[None],
        widths=(width,),
        heights=(height,),
        names=("bench",),
    )


@dataclass(frozen=True)
class _Surface:
    """A parallelogram ``center + a u + b v`` with a and b in [-1, 1], or a ball around it."""

    center: Tensor  # [3]
    u: Tensor  # [3]; of a ball: (radius, 0, 0)
    v: Tensor  # [3]; of a ball: 0
    density: float  # Gaussians per area, relative to the room's
    color: Tensor  # [3] RGB

    @property
    def is_ball(self) -> bool:
        return not bool(self.v.any())

    @property
    def area(self) -> float:
        if self.is_ball:
            return float(4 * math.pi * self.u.norm() ** 2)
        return float(4 * torch.linalg.cross(self.u, self.v).norm())

    def sample(self, count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
        """Points [count, 3] spread evenly over it, and the unit normals there."""
        if self.is_ball:
            normals = normalize(torch.randn(count, 3, generator=random), dim=-1)
            return self.center + self.u.norm() * normals, normals
        a, b = (2 * torch.rand(2, count, 1, generator=random) - 1).unbind(0)
        normal = normalize(torch.linalg.cross(self.u, self.v), dim=-1)
        return self.center + a * self.u + b * self.v, normal.expand(count, 3)


def _box(center: Tensor, half: Tensor, density: float, colors: Tensor) -> list[_Surface]:
    """The six sides of a box with edges along the axes; ``colors`` [6, 3]."""
    sides = []
    for axis in range(3):
        edges = torch.diag(half)
        u, v = edges[(axis + 1) % 3], edges[(axis + 2) % 3]
        for k, sign in enumerate((-1.0, 1.0)):
            sides.append(_Surface(center + sign * edges[axis], u, v, density, colors[2 * axis + k]))
    return sides


def _surfaces(random: torch.Generator) -> list[_Surface]:
    walls = 0.45 + 0.4 * torch.rand(6, 3, generator=random)
    surfaces = _box(torch.zeros(3), _ROOM, 1.0, walls)
    for k in range(_OBJECTS):
        # On a spiral around the middle of the floor, where the camera sees them all.
        angle, away = 2.4 * k, 0.4 + 1.5 * k / _OBJECTS
        half = 0.15 + 0.3 * torch.rand(3, generator=random)
        color = torch.rand(3, generator=random)
        center = torch.tensor([0.6 + away * math.cos(angle), 0.0, 0.6 + away * math.sin(angle)])
        center[1] = half[1] - _ROOM[1] + 0.9 * torch.rand(1, generator=random).item()
        if k % 2:
            surfaces += _box(center, half, _OBJECT_DENSITY, color.expand(6, 3))
        else:
            u = torch.tensor([float(half[1]), 0.0, 0.0])
            surfaces.append(_Surface(center, u, torch.zeros(3), _OBJECT_DENSITY, color))
    return surfaces


def _furnished_room(count: int, random: torch.Generator) -> Splats:
    """Gaussians over all surfaces, in random order."""
    surfaces = _surfaces(random)
    shares = torch.tensor([s.area * s.density for s in surfaces], dtype=torch.float64)
    ends = (shares.cumsum(0) / shares.sum() * count).round().long()
    counts = torch.diff(ends, prepend=torch.zeros(1, dtype=torch.long)).tolist()
    parts = [s.sample(n, random) for s, n in zip(surfaces, counts, strict=True)]
    points, normals = (torch.cat(part) for part in zip(*parts, strict=True))
    sizes = torch.tensor([s.density for s in surfaces]).rsqrt()
    sizes = (sizes * float(shares.sum() / count) ** 0.5).repeat_interleave(torch.tensor(counts))
    colors = torch.stack([s.color for s in surfaces]).repeat_interleave(torch.tensor(counts), 0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random)

    middle = torch.log(_SIZE * sizes) + _SPREAD * normal(count)
    half = _STRETCH / 2 * normal(count)
    thin = middle - half.abs() + math.log(_FLATNESS) + _SPREAD * normal(count)
    checks = torch.floor(2.5 * points).sum(dim=1, keepdim=True) % 2
    colors = (colors * (0.75 + 0.25 * checks) + 0.08 * normal(count, 3)).clamp(0, 1)
    mean, spread = _OPACITY
    splats = Splats(
        means=points + normals * (_LAYER * middle.exp() * normal(count))[:, None],
        quats=_facing(normals, random),
        log_scales=torch.stack([middle + half, middle - half, thin], dim=-1),
        opacity_logits=mean + spread * normal(count),
        sh0=rgb_to_sh0(colors)[:, None],
        shN=0.06 * normal(count, 15, 3),
    )
    return splats.select(torch.randperm(count, generator=random))


def _facing(normals: Tensor, random: torch.Generator) -> Tensor:
    """[N, 4] wxyz rotations of the third axis to nearly ``normals`` [N, 3], at random around it."""
    count = len(normals)
    tilted = normalize(normals + _TILT * torch.randn(count, 3, generator=random), dim=-1)
    # The shortest turn from z to the normal, after a turn around z.
    x, y, z = tilted.unbind(-1)
    zero = torch.zeros_like(z)
    turn = normalize(torch.stack([1 + z + 1e-4, -y, x, zero], dim=-1), dim=-1)
    angle = math.pi * torch.rand(count, generator=random)
    c, s = angle.cos(), angle.sin()
    w, i, j, _ = turn.unbind(-1)
    return torch.stack([w * c, i * c + j * s, j * c - i * s, w * s], dim=-1)
