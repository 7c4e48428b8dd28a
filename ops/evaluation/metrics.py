"""What is measured of a render: metrics by name, what each needs, and how to compute it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ops.errors import InputError, UnavailableError
from ops.evaluation import weights
from ops.evaluation.protocols import EvalProtocol, protocol
from ops.evaluation.settings import EvaluationSettings, LpipsNet, NoReference

Score = Callable[[Tensor, Tensor, Tensor | None], float]
Doubles = NDArray[np.float64]

WINDOW, SIGMA = 11, 1.5  # of SSIM (Wang et al. 2004)
C1, C2 = 0.01**2, 0.03**2


@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """A metric, before anything of it is loaded."""

    key: str
    """Its full name, with net and input range: ``lpips_alex[-1,1]``."""
    metric: str
    """Its short name."""
    net: str = ""
    """Network or weights; empty where there are none."""
    input_range: str = "[0,1]"
    """Range of the values it is given."""
    units: str = "1"
    """``dB``, or 1."""
    lower_better: bool = False
    """Whether small is good."""
    alone: bool = False
    """Whether it looks at the image alone, whatever that is compared with."""
    smallest: tuple[int, int] = (1, 1)
    """The shorter and the longer side it needs, pixels."""
    weights: str = ""
    """The key of its file in :data:`ops.evaluation.weights.FILES`; empty where it needs none."""
    load: Callable[[torch.device], Score]
    """Makes it ready; raises :class:`~ops.errors.UnavailableError`."""

    def missing(self, sizes: Sequence[tuple[int, int]] = ()) -> str | None:
        """Why it cannot be computed here for views of these (width, height), and what to do."""
        sentence = weights.missing(self.weights) if self.weights else None
        if sentence is not None:
            return sentence
        for width, height in sizes:
            short, long = sorted((width, height))
            if short < self.smallest[0] or long < self.smallest[1]:
                return (
                    f"it needs images of at least {self.smallest[0]} x {self.smallest[1]} pixels, "
                    f"found a view of {width} x {height}: evaluate at a larger size"
                )
        return None


def wanted(settings: EvaluationSettings) -> list[MetricSpec]:
    """The metrics that settings ask for, in the order of the table."""
    rules = protocol(settings.protocol)
    specs = []
    if "psnr" in settings.metrics:
        specs.append(MetricSpec(key="psnr", metric="psnr", units="dB", load=lambda _: psnr))
    if "ssim" in settings.metrics:
        specs.append(_ssim_spec(rules))
    if "lpips" in settings.metrics:
        specs += [_lpips_spec(net, rules) for net in settings.lpips_nets or rules.lpips]
    specs += [_no_reference_spec(name) for name in settings.no_reference]
    return specs


def unavailable(
    settings: EvaluationSettings, sizes: Sequence[tuple[int, int]] = ()
) -> dict[str, str]:
    """The metrics that settings ask for and that cannot be computed here: name -> sentence.

    Looks at files only; loads nothing and never touches the network.

    Args:
        settings: What is asked for.
        sizes: (width, height) of the views, where they are known.
    """
    sentences = {spec.key: spec.missing(sizes) for spec in wanted(settings)}
    return {key: why for key, why in sentences.items() if why is not None}


def load(
    settings: EvaluationSettings,
    sizes: Sequence[tuple[int, int]],
    device: torch.device,
    *,
    allow_download: bool = False,
) -> tuple[list[tuple[MetricSpec, Score]], dict[str, str]]:
    """The metrics that can be computed, ready to use, and sentences about those that cannot.

    Args:
        settings: What is asked for.
        sizes: (width, height) of the views.
        device: Where networks run.
        allow_download: Fetch weights that are not on the machine.
    """
    ready, absent = [], {}
    for spec in wanted(settings):
        try:
            if allow_download and spec.weights:
                weights.fetch(spec.weights)
            why = spec.missing(sizes)
            if why is None:
                ready.append((spec, spec.load(device)))
            else:
                absent[spec.key] = why
        except UnavailableError as error:
            absent[spec.key] = str(error)
    return ready, absent


def psnr(image: Tensor, truth: Tensor, mask: Tensor | None = None) -> float:
    """Peak signal-to-noise ratio, dB, of images in [0, 1]; infinite where they are equal.

    Args:
        image: [H, W, 3].
        truth: [H, W, 3].
        mask: [H, W] bool, the pixels that count; None: all.

    Returns:
        NaN where no pixel counts.
    """
    x, y, keep = _arrays(image, truth, mask)
    error = (x - y) ** 2
    mse = float(error.mean() if keep is None else error[keep].mean() if keep.any() else math.nan)
    return math.inf if mse == 0 else -10 * math.log10(mse)


def ssim(
    image: Tensor, truth: Tensor, mask: Tensor | None = None, *, padding: str = "zero"
) -> float:
    """Structural similarity (Wang et al. 2004) with the 11 x 11 Gaussian window of sigma 1.5.

    The mean over pixels and channels, in float64. A pixel that does not count is 0 in both images
    where the window reaches it, as pixels outside the image are; no mean includes it.

    Args:
        image: [H, W, 3] in [0, 1].
        truth: [H, W, 3] in [0, 1].
        mask: [H, W] bool, the pixels that count; None: all.
        padding: ``zero`` has zeros outside the image (3DGS); ``valid`` takes only the pixels whose
            window lies inside it (torchmetrics, nerfbaselines).

    Returns:
        NaN where no pixel counts.

    Raises:
        InputError: With ``valid``, an image smaller than the window.
    """
    x, y, keep = _arrays(image, truth, mask)
    if keep is not None:
        x, y = np.where(keep[..., None], x, 0), np.where(keep[..., None], y, 0)
    mx, my = _blur(x), _blur(y)
    vx, vy = _blur(x * x) - mx * mx, _blur(y * y) - my * my
    cov = _blur(x * y) - mx * my
    similarity = (2 * mx * my + C1) * (2 * cov + C2)
    similarity /= (mx * mx + my * my + C1) * (vx + vy + C2)
    if padding == "valid":
        if min(x.shape[:2]) < WINDOW:
            raise InputError(
                f"ssim: expected images of at least {WINDOW} x {WINDOW} pixels, found "
                f"{x.shape[1]} x {x.shape[0]}"
            )
        inner = slice(WINDOW // 2, -(WINDOW // 2))
        similarity = similarity[inner, inner]
        keep = None if keep is None else keep[inner, inner]
    if keep is None:
        return float(similarity.mean())
    return float(similarity[keep].mean()) if keep.any() else math.nan


def _arrays(
    image: Tensor, truth: Tensor, mask: Tensor | None
) -> tuple[Doubles, Doubles, NDArray[np.bool_] | None]:
    """As numpy arrays, whose means do not depend on the number of threads."""
    if image.shape != truth.shape or image.ndim != 3:
        raise InputError(
            f"metrics: expected two images [H, W, C] of one size, found {tuple(image.shape)} and "
            f"{tuple(truth.shape)}"
        )
    x, y = (v.detach().to("cpu", torch.float64).numpy() for v in (image, truth))
    return x, y, None if mask is None else mask.detach().cpu().numpy().astype(bool)


def _blur(values: Doubles) -> Doubles:
    """SSIM's window over every channel, with zeros outside the image."""
    kernel = np.exp(-((np.arange(WINDOW) - WINDOW // 2) ** 2) / (2 * SIGMA**2))
    kernel /= kernel.sum()
    out = cv2.sepFilter2D(values, cv2.CV_64F, kernel, kernel, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(out, np.float64).reshape(values.shape)


def _ssim_spec(rules: EvalProtocol) -> MetricSpec:
    def score(image: Tensor, truth: Tensor, mask: Tensor | None) -> float:
        return ssim(image, truth, mask, padding=rules.ssim_padding)

    side = WINDOW if rules.ssim_padding == "valid" else 1
    return MetricSpec(key="ssim", metric="ssim", smallest=(side, side), load=lambda _: score)


def _lpips_spec(net: LpipsNet, rules: EvalProtocol) -> MetricSpec:
    smallest = {"alex": 31, "vgg": 16}[net]  # what the pooling of the backbone leaves a pixel of

    def load_score(device: torch.device) -> Score:
        from ops.evaluation.perceptual import load_lpips

        distance = load_lpips(net, rules.lpips_range, device)

        def score(image: Tensor, truth: Tensor, mask: Tensor | None) -> float:
            # A network has no masks: what does not count is made equal in both.
            if mask is not None:
                image = torch.where(mask[..., None], image, truth)
            return distance(image, truth)

        return score

    return MetricSpec(
        key=f"lpips_{net}{rules.lpips_range}",
        metric="lpips",
        net=net,
        input_range=rules.lpips_range,
        lower_better=True,
        smallest=(smallest, smallest),
        weights=f"lpips_{net}",
        load=load_score,
    )


def _no_reference_spec(name: NoReference) -> MetricSpec:
    from ops.evaluation.no_reference import SPECS, load_no_reference

    if name not in SPECS:
        raise InputError(
            f"evaluation: no_reference should hold some of {', '.join(SPECS)}, found {name!r}"
        )
    spec = SPECS[name]

    def load_score(device: torch.device) -> Score:
        alone = load_no_reference(name, device)
        return lambda image, truth, mask: alone(image)

    return MetricSpec(
        key=name,
        metric=name,
        net=spec.weights,
        lower_better=spec.lower_better,
        alone=True,
        smallest=spec.smallest,
        weights=name if name in weights.FILES else "",
        load=load_score,
    )
