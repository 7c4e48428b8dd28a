"""Settings of an evaluation. Light: drawing the graph reads them without loading torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ProtocolName = Literal["splatworks", "graphdeco", "gsplat", "nerfbaselines"]
LpipsNet = Literal["alex", "vgg"]
NoReference = Literal[
    "niqe", "brisque", "piqe", "ilniqe", "musiq", "metaiqa_livec", "metaiqa_prior"
]


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """How held-out views are scored."""

    protocol: ProtocolName = "splatworks"
    """Whose rules to follow, see ``ops/evaluation/protocols.py``: they differ in whether renders
    are rounded to 8 bits first, in the borders of SSIM and in what LPIPS is fed."""
    metrics: tuple[Literal["psnr", "ssim", "lpips"], ...] = ("psnr", "ssim", "lpips")
    """Which metrics against the photo to compute."""
    lpips_nets: tuple[LpipsNet, ...] = ()
    """Backbones of LPIPS; empty takes those of the protocol."""
    no_reference: tuple[NoReference, ...] = ("niqe", "brisque", "piqe")
    """Scores of the render alone, through the package pyiqa; all but piqe need weights."""
    background: Literal["dataset", "black", "white"] = "dataset"
    """Colour behind photos that have alpha; ``dataset`` is the layout's habit."""
