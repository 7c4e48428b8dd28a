"""What can be seen of splats from a pose, drawn by the renderer that trained them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch

from assets.previews import spread
from notebooks.pixels import as_array
from notebooks.style import DEPTH_MAP, ERROR_MAP
from notebooks.widgets.planes import Plane, plane_of
from ops.cameras import Cameras
from ops.device import pick_device
from ops.errors import InputError
from ops.rendering.fisher import Fisher, fisher_information, uncertainty_maps
from ops.rendering.render import render
from ops.rendering.settings import RenderSettings
from ops.splats.model import Splats

RenderFunction = Callable[[np.ndarray, np.ndarray, int, int], Any]
_INFORMANTS, _INFORMANT_SIZE = 20, 320  # views that uncertainty is taken from, and their pixels
_SEEN = 0.5  # alpha from which a pixel has a number under the cursor


@dataclass(frozen=True, kw_only=True)
class Pose:
    """From where, and how large."""

    viewmat: np.ndarray  # [4, 4] world to camera, OpenCV axes
    K: np.ndarray  # [3, 3] pixels
    width: int
    height: int

    def camera(self) -> Cameras:
        """The same as a batch of one."""
        return Cameras(
            viewmats=torch.tensor(self.viewmat, dtype=torch.float32)[None],
            Ks=torch.tensor(self.K, dtype=torch.float32)[None],
            widths=(self.width,),
            heights=(self.height,),
            names=("view",),
        )


class Source(Protocol):
    """Draws what it names."""

    kinds: dict[str, str]  # name -> words
    adjustable: bool  # whether the settings of the renderer mean anything to it

    def draw(self, what: str, pose: Pose, settings: RenderSettings) -> Plane | np.ndarray:
        """A plane, or colours [H, W, 3] uint8."""
        ...

    def depth_at(self, pose: Pose, x: float, y: float, settings: RenderSettings) -> float | None:
        """World units along the optical axis at a pixel; None where nothing is."""
        ...


class FunctionSource:
    """A user's own function as a renderer."""

    adjustable = False

    def __init__(self, function: RenderFunction) -> None:
        self.kinds = {"colors": "picture"}
        self._function = function

    def draw(self, what: str, pose: Pose, settings: RenderSettings) -> Plane | np.ndarray:
        """What the function gives for the pose."""
        picture = self._function(pose.viewmat.copy(), pose.K.copy(), pose.width, pose.height)
        return plane_of(picture, pose.height, pose.width)

    def depth_at(self, pose: Pose, x: float, y: float, settings: RenderSettings) -> float | None:
        """Not known."""
        return None


class SplatSource:
    """Splats, drawn by the project's renderer on the device that is there."""

    adjustable = True

    def __init__(
        self,
        splats: Splats,
        *,
        cameras: Cameras | None,
        quantities: Mapping[str, Any],
        features: Any,
        information: Fisher | None,
        background: tuple[float, float, float],
    ) -> None:
        splats = splats.detach()
        given = splats.features if features is None else features
        self._splats = replace(splats, features=None).to(pick_device())
        self._cameras = cameras
        self._information = information and replace(information, features=None, blocks=None)
        self._background = torch.tensor(background)
        self._quantities = {n: _per_gaussian(n, v, len(splats)) for n, v in quantities.items()}
        self._colors_of_features: torch.Tensor | None = None
        self._features = None if given is None else _features(given, len(splats))
        self._from = ""  # where uncertainty comes from
        self.kinds = {
            "colors": "colours",
            "depth": "depth, expected",
            "median depth": "depth, median",
            "alpha": "alpha",
        }
        if information is not None or (cameras is not None and len(cameras)):
            self.kinds["uncertainty"] = "uncertainty"
        if self._features is not None:
            self.kinds["features"] = "features, PCA"
        clash = sorted(set(self.kinds) & set(quantities))
        if clash:
            raise InputError(f"quantities: {clash[0]!r} is the name of something else; rename it")
        self.kinds |= {name: name for name in quantities}

    def draw(self, what: str, pose: Pose, settings: RenderSettings) -> Plane | np.ndarray:
        """Colours or a plane of one of ``kinds``."""
        with torch.no_grad():
            if what == "colors":
                colors = self._render(pose, settings).colors.clamp(0, 1)
                return (colors * 255).round().byte().cpu().numpy()
            if what == "uncertainty":
                return self._uncertainty(pose, settings)
            if what == "features":
                blended = self._render(pose, settings, self._pca()).features
                assert blended is not None
                return (blended.clamp(0, 1) * 255).round().byte().cpu().numpy()
            if what in self._quantities:
                return self._quantity(what, pose, settings)
            return self._geometry(what, pose, settings)

    def depth_at(self, pose: Pose, x: float, y: float, settings: RenderSettings) -> float | None:
        """The median depth of a picture of one pixel: cheap however large the whole one is."""
        K = pose.K.copy()
        K[:2, 2] += 0.5 - np.array([x, y])
        one = replace(pose, K=K, width=1, height=1)
        with torch.no_grad():
            seen = self._render(one, replace(settings, median_depth=True))
        assert seen.median_depth is not None
        return float(seen.median_depth[0, 0]) if float(seen.alphas[0, 0]) > _SEEN else None

    def _render(
        self, pose: Pose, settings: RenderSettings, features: torch.Tensor | None = None
    ) -> Any:
        splats = self._splats
        if features is not None:
            splats = replace(splats, features=features.to(splats.means))
        [seen] = render(splats, pose.camera(), settings, self._background)
        return seen

    def _geometry(self, what: str, pose: Pose, settings: RenderSettings) -> Plane:
        settings = replace(
            settings, expected_depth=what == "depth", median_depth=what == "median depth"
        )
        seen = self._render(pose, settings)
        alpha = seen.alphas.cpu().numpy()
        if what == "alpha":
            return Plane(values=alpha, colors="gray", limits=(0.0, 1.0), meaning="alpha")
        depth = seen.expected_depth if what == "depth" else seen.median_depth
        return _plane(depth, alpha, colors=DEPTH_MAP, meaning="depth, world units")

    def _quantity(self, name: str, pose: Pose, settings: RenderSettings) -> Plane:
        value = self._quantities[name]
        known = torch.isfinite(value)
        two = torch.stack([torch.where(known, value, 0.0), known.to(value)], 1)
        seen = self._render(pose, settings, two)
        assert seen.features is not None
        mean = seen.features[:, :, 0] / seen.features[:, :, 1]
        cover = seen.features[:, :, 1].clamp(0, 1).cpu().numpy()
        return _plane(mean, cover, colors="viridis", meaning=name)

    def _uncertainty(self, pose: Pose, settings: RenderSettings) -> Plane:
        if self._information is None:
            self._information = self._inform(settings)
        splats = self._splats.to("cpu")
        [values] = uncertainty_maps(
            splats, pose.camera(), self._information, settings, background=self._background
        )
        variance = values.cpu().numpy()
        return Plane(
            values=np.where(variance > 0, variance, np.nan).astype(np.float32),
            colors=ERROR_MAP,
            log=True,
            meaning=f"variance of a pixel{self._from}",
        )

    def _inform(self, settings: RenderSettings) -> Fisher:
        """The information of some of the cameras, at a size that takes seconds."""
        assert self._cameras is not None
        chosen = self._cameras[spread(len(self._cameras), _INFORMANTS)]
        scales = [
            min(1.0, _INFORMANT_SIZE / max(w, h))
            for w, h in zip(chosen.widths, chosen.heights, strict=True)
        ]
        chosen = chosen.resized(
            [max(1, round(w * s)) for w, s in zip(chosen.widths, scales, strict=True)],
            [max(1, round(h * s)) for h, s in zip(chosen.heights, scales, strict=True)],
        )
        splats = self._splats.to("cpu")
        total: Fisher | None = None
        for i in range(len(chosen)):
            [one] = fisher_information(splats, chosen[i], settings)
            if total is not None:
                before = total.tensors()
                summed: dict[str, Any] = {n: v + before[n] for n, v in one.tensors().items()}
                one = replace(one, **summed)
            total = one
        assert total is not None
        most = max(*chosen.widths, *chosen.heights)
        self._from = f", given {len(chosen)} of {len(self._cameras)} views at {most} px"
        return total

    def _pca(self) -> torch.Tensor:
        """[N, 3] colours: the three directions in which the features of Gaussians differ most."""
        if self._colors_of_features is None:
            assert self._features is not None
            self._colors_of_features = principal_colors(self._features)
        return self._colors_of_features


def principal_colors(features: torch.Tensor) -> torch.Tensor:
    """[N, 3] in [0, 1] of features [N, F]: the first three principal components.

    Each reaches from its 1st to its 99th percentile. Signs are such that the third moment is
    positive, so that the same features always have the same colours.
    """
    x = features.double()
    x = x - x.mean(0)
    values, vectors = torch.linalg.eigh(x.T @ x)
    del values  # ascending
    count = min(3, x.shape[1])
    parts = x @ vectors.flip(1)[:, :count]
    parts = parts * torch.where((parts**3).sum(0) < 0, -1.0, 1.0)
    low, high = torch.tensor(
        np.percentile(parts.cpu().numpy(), [1, 99], axis=0), dtype=parts.dtype, device=parts.device
    )
    colors = ((parts - low) / (high - low).clamp_min(1e-12)).clamp(0, 1)
    grey = torch.full((len(x), 3 - count), 0.5, dtype=colors.dtype, device=colors.device)
    return torch.cat([colors, grey], 1).float()


def _plane(values: torch.Tensor, alpha: np.ndarray, *, colors: str, meaning: str) -> Plane:
    numbers = values.cpu().numpy().astype(np.float32)
    known = np.where(alpha > 1e-3, numbers, np.nan)
    return Plane(values=known, alpha=alpha, colors=colors, meaning=meaning)


def _per_gaussian(name: str, values: Any, count: int) -> torch.Tensor:
    found = as_array(values)
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.shape != (count,) or found.dtype.kind not in "fiub":
        raise InputError(
            f"quantities: {name!r} should be one number per Gaussian, shape ({count},), found "
            f"{found.dtype} of shape {found.shape}"
        )
    return torch.as_tensor(found.astype(np.float32)).to(pick_device())


def _features(values: Any, count: int) -> torch.Tensor:
    found = as_array(values)
    if found.ndim != 2 or len(found) != count or not found.shape[1]:
        raise InputError(
            f"features: expected an array [N, F] for {count} Gaussians, found shape {found.shape}"
        )
    if not np.isfinite(found).all():
        raise InputError("features: expected finite numbers, found NaN or infinity")
    return torch.as_tensor(found.astype(np.float32))
