"""Datasets of every layout from the same cameras, a scene with known geometry, real captures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.spatial.transform import Rotation

from ops.cameras import Cameras, look_at
from ops.capture.model import Split

GL = np.diag([1.0, -1.0, -1.0, 1.0])  # OpenCV camera axes to OpenGL's and back


@dataclass
class Shot:
    """Cameras as all layouts can state them: one focal length, centred."""

    root: Path
    camtoworlds: list[np.ndarray]  # OpenCV
    width: int = 16
    height: int = 12
    focal: float = 20.0
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.names = self.names or [f"{i:03d}.png" for i in range(len(self.camtoworlds))]

    def photos(self, folder: str = "images", mode: str = "RGB") -> None:
        (self.root / folder).mkdir(parents=True, exist_ok=True)
        for i, name in enumerate(self.names):
            noise = np.random.default_rng(i).integers(0, 256, (self.height, self.width, 4))
            image = Image.fromarray(noise.astype(np.uint8), "RGBA").convert(mode)
            image.save(self.root / folder / name)

    def frames(self, prefix: str = "images/", suffix: bool = True) -> list[dict]:
        return [
            {
                "file_path": prefix + (name if suffix else Path(name).stem),
                "transform_matrix": (pose @ GL).tolist(),
            }
            for name, pose in zip(self.names, self.camtoworlds, strict=True)
        ]

    def transforms(self, **extra: object) -> dict:
        self.photos()
        content = {
            "w": self.width,
            "h": self.height,
            "fl_x": self.focal,
            "fl_y": self.focal,
            "cx": self.width / 2,
            "cy": self.height / 2,
            "frames": self.frames(),
            **extra,
        }
        (self.root / "transforms.json").write_text(json.dumps(content))
        return content

    def blender(self, split: str = "train", **extra: object) -> dict:
        self.photos(split, "RGBA")
        content = {
            "camera_angle_x": 2 * math.atan(self.width / 2 / self.focal),
            "frames": self.frames(f"./{split}/", suffix=False),
            **extra,
        }
        (self.root / f"transforms_{split}.json").write_text(json.dumps(content))
        return content

    def colmap(self, folder: str = "sparse/0", camera: str | None = None) -> Path:
        self.photos()
        model = self.root / folder
        model.mkdir(parents=True, exist_ok=True)
        camera = camera or (
            f"1 PINHOLE {self.width} {self.height} {self.focal} {self.focal} "
            f"{self.width / 2} {self.height / 2}"
        )
        (model / "cameras.txt").write_text(f"# cameras\n{camera}\n")
        lines = ["# images\n"]
        for i, (name, pose) in enumerate(zip(self.names, self.camtoworlds, strict=True)):
            w2c = np.linalg.inv(pose)
            q = quaternion_of(w2c[:3, :3])
            numbers = " ".join(repr(float(v)) for v in [*q, *w2c[:3, 3]])
            lines.append(f"{i + 1} {numbers} 1 {name}\n\n")
        (model / "images.txt").write_text("".join(lines))
        (model / "points3D.txt").write_text(
            "# points\n7 1 2 3 10 20 30 0.5 1 0 2 0\n3 4 5 6 40 50 60 1.5\n"
        )
        return model

    def llff(self) -> np.ndarray:
        self.photos()
        rows = []
        for pose in self.camtoworlds:
            right, down, forward, centre = pose[:3, 0], pose[:3, 1], pose[:3, 2], pose[:3, 3]
            hwf = np.array([self.height, self.width, self.focal])
            matrix = np.stack([down, right, -forward, centre, hwf], axis=-1)
            rows.append([*matrix.ravel(), 0.5, 9.0])
        np.save(self.root / "poses_bounds.npy", np.array(rows))
        return np.array(rows)


def quaternion_of(R: np.ndarray) -> np.ndarray:
    """wxyz, independent of the code under test."""
    x, y, z, w = Rotation.from_matrix(R).as_quat()
    return np.array([w, x, y, z])


@pytest.fixture(scope="session")
def orbit_poses() -> Callable[[int], list[np.ndarray]]:
    """Camera-to-world matrices of cameras on a circle that look at the origin."""

    def make(count: int) -> list[np.ndarray]:
        angles = torch.linspace(0.1, 1.2, count, dtype=torch.float64)
        eyes = 4 * torch.stack([angles.sin(), -0.2 + 0 * angles, -angles.cos()], dim=-1)
        up = torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64)
        viewmats = look_at(eyes, torch.zeros(3, dtype=torch.float64), up)
        return [np.linalg.inv(v.numpy()) for v in viewmats]

    return make


@pytest.fixture
def shot(tmp_path: Path, orbit_poses: Callable[[int], list[np.ndarray]]) -> Shot:
    """Four cameras; call one of its layouts to write files."""
    return Shot(tmp_path, orbit_poses(4))


@pytest.fixture(scope="session")
def new_shot() -> type[Shot]:
    """For tests that need a dataset of their own making."""
    return Shot


@dataclass
class MemoryViews:
    """Views held in memory."""

    cameras: Cameras
    splits: tuple[Split, ...]
    images: list[torch.Tensor]
    alphas: list[torch.Tensor] | None = None
    masks: list[torch.Tensor] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def image(self, index: int) -> torch.Tensor:
        return self.images[index]

    def alpha(self, index: int) -> torch.Tensor | None:
        return None if self.alphas is None else self.alphas[index]

    def mask(self, index: int) -> torch.Tensor | None:
        return None if self.masks is None else self.masks[index]


@pytest.fixture(scope="session")
def corner_views() -> MemoryViews:
    """Eight views 320x240 of a corner of three textured planes x = 0, y = 0 and z = 0.

    The cameras are in the octant where all coordinates are above 0. Each pixel is the texture
    where its ray meets the first plane: geometry and poses are exact.
    """
    count, width, height, focal = 8, 320, 240, 300.0
    angles = torch.linspace(0.55, 1.05, count, dtype=torch.float64)
    wave = 0.25 * torch.sin(torch.arange(count, dtype=torch.float64) * 2)
    eyes = 5 * torch.stack([angles.cos(), angles.sin(), 0.6 + wave], dim=-1)
    up = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
    target = torch.full((3,), 0.8, dtype=torch.float64)
    viewmats = look_at(eyes, target, up)
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    textures = [_texture(seed) for seed in range(3)]
    images = [
        torch.from_numpy(_corner_photo(np.linalg.inv(v.numpy()), K, width, height, textures))
        for v in viewmats
    ]
    cameras = Cameras(
        viewmats=viewmats.float(),
        Ks=torch.from_numpy(K).float().repeat(count, 1, 1),
        widths=(width,) * count,
        heights=(height,) * count,
        names=tuple(f"{i}.png" for i in range(count)),
    )
    splits: tuple[Split, ...] = ("test", *("train",) * (count - 1))
    return MemoryViews(cameras, splits, images)


def _texture(seed: int) -> np.ndarray:
    """[1024, 1024, 3] of random values at several scales."""
    rng = np.random.default_rng(seed)
    total = np.zeros((1024, 1024, 3))
    for cells, weight in ((16, 1.0), (64, 1.0), (200, 0.8)):
        coarse = Image.fromarray(rng.integers(0, 256, (cells, cells, 3)).astype(np.uint8))
        total += weight * np.asarray(coarse.resize((1024, 1024), Image.Resampling.BICUBIC))
    total -= total.min()
    return total / total.max() * 255


def _corner_photo(
    camtoworld: np.ndarray, K: np.ndarray, width: int, height: int, textures: list[np.ndarray]
) -> np.ndarray:
    fine = 3  # rays per pixel and axis, for some anti-aliasing
    xs = (np.arange(width * fine) + 0.5) / fine
    ys = (np.arange(height * fine) + 0.5) / fine
    u, v = np.meshgrid(xs, ys)
    rays = np.stack([(u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1], np.ones_like(u)], -1)
    rays = rays @ camtoworld[:3, :3].T
    eye = camtoworld[:3, 3]
    with np.errstate(divide="ignore"):
        t = np.where(rays < 0, -eye / rays, np.inf)
    axis = t.argmin(axis=-1)
    hit = eye + rays * np.minimum(t.min(axis=-1), 100)[..., None]
    colour = np.zeros((*axis.shape, 3))
    for k in range(3):
        i, j = (n for n in range(3) if n != k)
        rows = np.clip(hit[..., i] / 4 * 1023, 0, 1023).astype(int)
        columns = np.clip(hit[..., j] / 4 * 1023, 0, 1023).astype(int)
        colour = np.where((axis == k)[..., None], textures[k][rows, columns], colour)
    blocks = colour.reshape(height, fine, width, fine, 3).mean(axis=(1, 3))
    return np.rint(blocks).astype(np.uint8)


@pytest.fixture(scope="session")
def capture_folder() -> Callable[[str], Path]:
    """A real capture beside the repository; the test is skipped where it is absent."""

    def find(name: str) -> Path:
        folder = Path(__file__).parents[3] / ".." / "shared" / "captures" / name
        if not folder.is_dir():
            pytest.skip(f"the capture {name} is not at {folder.parent.resolve()}")
        return folder.resolve()

    return find
