"""LPIPS (Zhang et al. 2018) through the package ``lpips``, with weights that are checked."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ops.errors import UnavailableError
from ops.evaluation import weights
from ops.evaluation.protocols import InputRange
from ops.evaluation.settings import LpipsNet


def load_lpips(
    net: LpipsNet, input_range: InputRange, device: torch.device
) -> Callable[[Tensor, Tensor], float]:
    """LPIPS between two images [H, W, 3] in [0, 1].

    Args:
        net: The backbone; its weights are those torchvision publishes.
        input_range: What the network is fed: images as they are, or scaled to [-1, 1] as it was
            trained.
        device: Where to run it.

    Raises:
        UnavailableError: The backbone's weights are not on the machine, or not the right ones.
    """
    import lpips

    state = weights.load_tensors(f"lpips_{net}")
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # lpips calls torchvision's constructors with an argument of old.
        warnings.filterwarnings("ignore", "The parameter 'pretrained'", UserWarning)
        warnings.filterwarnings("ignore", "Arguments other than a weight enum", UserWarning)
        model = lpips.LPIPS(net=net, version="0.1", pnet_rand=True, verbose=False)
    _fill_backbone(model, net, state)
    _check_heads(model, net, Path(lpips.__file__).parent)
    model.eval().requires_grad_(False).to(device)

    def score(image: Tensor, truth: Tensor) -> float:
        pair = [x.to(device, torch.float32).permute(2, 0, 1)[None] for x in (image, truth)]
        with torch.no_grad():
            # The last digits depend on the number of threads; none of them means anything.
            return round(float(model(*pair, normalize=input_range == "[-1,1]")), 6)

    return score


def _fill_backbone(model: Any, net: str, state: Any) -> None:
    """Copy torchvision's weights into the slices that lpips cuts the backbone into."""
    own = model.net.state_dict()
    # A slice keeps the numbers of the layers: slice2.3.weight is features.3.weight.
    sources = {name: "features." + name.split(".", 1)[1] for name in own}
    absent = [s for s in sources.values() if not isinstance(state, dict) or s not in state]
    wrong = [s for n, s in sources.items() if s not in absent and state[s].shape != own[n].shape]
    if absent or wrong:
        named = ", ".join((absent + wrong)[:3])
        raise UnavailableError(
            f"lpips_{net}: {weights.FILES[f'lpips_{net}'].path} does not hold the weights of the "
            f"backbone (missing or of another shape: {named}): delete it and "
            f"{weights.how_to_get(f'lpips_{net}')}"
        )
    model.net.load_state_dict({name: state[source] for name, source in sources.items()})


def _check_heads(model: Any, net: str, package: Path) -> None:
    """lpips loads its linear layers without insisting that all are there; insist."""
    state = torch.load(
        package / "weights" / "v0.1" / f"{net}.pth", map_location="cpu", weights_only=True
    )
    own = {name: value for name, value in model.state_dict().items() if name.startswith("lin")}
    heads = {name for name in own if not name.startswith("lins.")}
    if set(state) != heads or any(not torch.equal(own[name], state[name]) for name in heads):
        raise UnavailableError(
            f"lpips_{net}: the linear layers in the package lpips do not fit its network; install "
            "it again"
        )
