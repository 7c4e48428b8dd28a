"""Every schema of Splatworks keeps the contract of artifacts, and matches the dataclass in ops."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import xarray as xr

from storage import schemas
from storage.schema import Schema
from storage.testing import ArtifactContract


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def cameras(seed: int, views: int = 5) -> xr.Dataset:
    return xr.Dataset(
        {
            "viewmats": (
                ("view", "camera_xyzw", "world_xyzw"),
                rng(seed).random((views, 4, 4)),
            ),
            "Ks": (
                ("view", "image_xyw", "camera_xyz"),
                rng(seed).random((views, 3, 3)),
            ),
            "widths": ("view", np.arange(views) + 5),
            "heights": ("view", np.arange(views) + 7),
            "names": ("view", [f"images/ü{i}.png" for i in range(views)]),
            "splits": ("view", ["train", "test", "train", "train", "test"][:views]),
            "times": ("view", np.linspace(0, 1, views)),
        },
        attrs={"split_protocol": "every 8th"},
    )


def images(seed: int, views: int = 5) -> xr.Dataset:
    pixels = ("view", "y", "x")
    shape = (views, 11, 9)
    r = rng(seed)
    return xr.Dataset(
        {
            "images": ((*pixels, "rgb"), r.integers(0, 256, (*shape, 3), np.uint8)),
            "alpha": (pixels, r.integers(0, 256, shape, np.uint8)),
            "mask": (pixels, r.choice(np.array([0, 255], np.uint8), shape)),
            "depth": (pixels, r.random(shape, np.float32)),
            "normal": ((*pixels, "xyz"), r.random((*shape, 3), np.float32)),
            "label": (pixels, r.integers(0, 4, shape, np.int16)),
        },
        attrs={"labels": ["room", "ball"], "white_background": True},
    )


def points(seed: int) -> xr.Dataset:
    r = rng(seed)
    return xr.Dataset(
        {
            "xyz": (("point", "xyz"), r.random((6, 3), np.float32)),
            "rgb": (("point", "rgb"), r.integers(0, 256, (6, 3), np.uint8)),
            "errors": ("point", np.array([1, np.nan, 2, 3, np.nan, 0], np.float32)),
        },
        attrs={"source": "triangulated"},
    )


def metrics(seed: int) -> xr.Dataset:
    return xr.Dataset(
        {
            "view": ("row", ["a.png", "b.png", "mean"]),
            "metric": ("row", ["psnr", "lpips", "psnr"]),
            "net": ("row", ["", "alex", ""]),
            "input_range": ("row", ["[0, 1]", "[-1, 1]", "[0, 1]"]),
            "value": ("row", np.array([24.5 + seed, np.nan, 24.5])),
        },
        attrs={"protocol": "graphdeco", "unavailable": {"lpips": "weights are not there"}},
    )


def history(seed: int) -> xr.Dataset:
    return xr.Dataset(
        {
            "iteration": ("row", np.arange(4)),
            "loss": ("row", rng(seed).random(4)),
            "psnr": ("row", rng(seed).random(4)),
            "count": ("row", np.full(4, 1000)),
        }
    )


def files(seed: int) -> xr.Dataset:
    return xr.Dataset(
        {
            "path": ("row", ["transforms.json", "images/ü 1.png", ""]),
            "sha256": ("row", [f"{seed:064x}"] * 3),
            "bytes": ("row", np.array([3, 4, 0])),
        },
        attrs={"missing": ["images/2.png"]},
    )


def renders(seed: int) -> xr.Dataset:
    pixels = ("view", "y", "x")
    shape = (2, 6, 7)
    r = rng(seed)
    return xr.Dataset(
        {
            "names": ("view", ["a", "b"]),
            "widths": ("view", np.array([7, 6])),
            "heights": ("view", np.array([6, 6])),
            "colors": ((*pixels, "rgb"), r.integers(0, 256, (*shape, 3), np.uint8)),
            "errors": (pixels, r.random(shape).astype(np.float16)),
            "depth": (pixels, r.random(shape, np.float32)),
            "alpha": (pixels, r.random(shape, np.float32)),
        }
    )


class TestCameras(ArtifactContract):
    schema = schemas.CAMERAS

    def example(self, seed: int) -> xr.Dataset:
        return cameras(seed)


class TestImages(ArtifactContract):
    schema = schemas.IMAGES

    def example(self, seed: int) -> xr.Dataset:
        return images(seed)


class TestPoints(ArtifactContract):
    schema = schemas.POINTS

    def example(self, seed: int) -> xr.Dataset:
        return points(seed)


class TestRenders(ArtifactContract):
    schema = schemas.RENDERS

    def example(self, seed: int) -> xr.Dataset:
        return renders(seed)


class TestPicture(ArtifactContract):
    schema = schemas.PICTURE

    def example(self, seed: int) -> xr.Dataset:
        pixels = rng(seed).integers(0, 256, (8, 9, 3), np.uint8)
        return xr.Dataset({"pixels": (("y", "x", "rgb"), pixels)}, attrs={"title": "a sheet"})


class TestMetrics(ArtifactContract):
    schema = schemas.METRICS

    def example(self, seed: int) -> xr.Dataset:
        return metrics(seed)


class TestFiles(ArtifactContract):
    schema = schemas.FILES

    def example(self, seed: int) -> xr.Dataset:
        return files(seed)


class TestCapture(ArtifactContract):
    schema = schemas.CAPTURE

    def example(self, seed: int) -> xr.DataTree:
        parts = {"cameras": cameras(seed), "images": images(seed), "points": points(seed)}
        tree = xr.DataTree.from_dict(parts | {"files": files(seed)})
        tree.attrs = {"layout": "transforms", "notes": ["17 of 67 photos are missing"]}
        return tree


class TestStructure(ArtifactContract):
    schema = schemas.STRUCTURE

    def example(self, seed: int) -> xr.DataTree:
        r = rng(seed)
        lenses = xr.Dataset(
            {
                "camtoworlds": (("view", "world_xyzw", "camera_xyzw"), r.random((3, 4, 4))),
                "names": ("view", ["a", "b", "c"]),
                "models": ("view", ["pinhole", "opencv", "opencv_fisheye"]),
                "widths": ("view", np.array([4, 5, 6])),
                "heights": ("view", np.array([4, 5, 6])),
                "focals": (("view", "focal"), r.random((3, 2))),
                "centers": (("view", "center"), r.random((3, 2))),
                "distortions": (("view", "coefficient"), r.random((3, 4))),
            }
        )
        tree = xr.DataTree.from_dict({"cameras": lenses, "points": points(seed)})
        tree.attrs = {"notes": []}
        return tree


class TestTraining(ArtifactContract):
    schema = schemas.TRAINING

    @pytest.fixture(autouse=True)
    def _splats(self, splats):
        self.splats = splats

    def example(self, seed: int) -> xr.DataTree:
        return xr.DataTree.from_dict({"splats": self.splats(7, seed), "history": history(seed)})


class TestEvaluation(ArtifactContract):
    schema = schemas.EVALUATION

    def example(self, seed: int) -> xr.DataTree:
        return xr.DataTree.from_dict({"metrics": metrics(seed), "renders": renders(seed)})


def test_splats_of_any_degree_and_of_none(artifact, splats):
    from storage.provenance import Provenance

    for degree in (0, 1, 2, 3):
        version = artifact.write(splats(3, degree=degree), schemas.SPLATS, Provenance())
        assert artifact.open()["shN"].shape == (3, (degree + 1) ** 2 - 1, 3)
    artifact.write(splats(0), schemas.SPLATS, Provenance())
    assert artifact.open()["means"].shape == (0, 3)
    assert artifact.verify().nbytes == 0
    assert artifact.verify(version.tag).nbytes == 3 * 59 * 4


@pytest.mark.parametrize(
    ("schema", "module", "name"),
    [
        (schemas.CAMERAS, "ops.cameras", "Cameras"),
        (schemas.SPLATS, "ops.splats.model", "Splats"),
        (schemas.POINTS, "ops.capture.model", "Points"),
    ],
)
def test_an_artifact_and_its_dataclass_have_the_same_names(schema: Schema, module: str, name: str):
    import importlib

    dataclass = getattr(importlib.import_module(module), name)
    stored = {v.name for v in schema.variables} | {a.name for a in schema.attrs}
    assert {f.name for f in fields(dataclass)} <= stored


def test_everything_stored_says_what_it_means():
    def walk(schema: Schema):
        yield schema
        for child in schema.children.values():
            yield from walk(child)

    for name in schemas.__all__:
        if name == "table":
            continue
        for schema in walk(getattr(schemas, name)):
            for variable in schema.variables:
                assert variable.meaning.endswith("."), f"{schema.name}.{variable.name}"
                assert variable.dims, f"{schema.name}.{variable.name}"
