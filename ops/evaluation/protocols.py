"""The rules by which numbers of different projects were made; they are not comparable otherwise."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

from ops.errors import InputError
from ops.evaluation.settings import LpipsNet, ProtocolName

InputRange = Literal["[0,1]", "[-1,1]"]


@dataclass(frozen=True, kw_only=True)
class EvalProtocol:
    """What an evaluation does with a render and a photo before and while it compares them."""

    id: ProtocolName
    """Goes into every table of metrics."""
    quantised: bool
    """Whether render and photo are rounded to 8 bits first, as files of them would be."""
    ssim_padding: Literal["zero", "valid"]
    """SSIM at the border: with zeros outside the image, or only where the window fits."""
    lpips: tuple[LpipsNet, ...]
    """Backbones of LPIPS."""
    lpips_range: InputRange
    """What LPIPS is fed. It was trained on [-1,1]; several published tables fed it [0,1]."""
    source: str
    """Where the rules come from."""

    def details(self) -> dict[str, object]:
        """The rules as plain values, to be stored beside the numbers."""
        return {**asdict(self), "lpips": list(self.lpips)}


_PROTOCOLS = (
    EvalProtocol(
        id="splatworks",
        quantised=True,
        ssim_padding="zero",
        lpips=("alex", "vgg"),
        lpips_range="[-1,1]",
        source="8-bit images, SSIM as 3DGS trains with it, LPIPS as its authors mean it",
    ),
    EvalProtocol(
        id="graphdeco",
        quantised=True,
        ssim_padding="zero",
        lpips=("vgg",),
        lpips_range="[0,1]",
        source="graphdeco-inria/gaussian-splatting metrics.py, which reads PNG files",
    ),
    EvalProtocol(
        id="gsplat",
        quantised=False,
        ssim_padding="valid",
        lpips=("alex",),
        lpips_range="[-1,1]",
        source="gsplat examples/simple_trainer.py with torchmetrics, normalize=True",
    ),
    EvalProtocol(
        id="nerfbaselines",
        quantised=True,
        ssim_padding="valid",
        lpips=("alex", "vgg"),
        lpips_range="[-1,1]",
        source="nerfbaselines evaluation protocol 'default'",
    ),
)


def protocol(name: str) -> EvalProtocol:
    """A protocol by its name.

    Raises:
        InputError: There is none of that name.
    """
    for known in _PROTOCOLS:
        if known.id == name:
            return known
    names = ", ".join(known.id for known in _PROTOCOLS)
    raise InputError(f"evaluation: protocol should be one of {names}, found {name!r}")
