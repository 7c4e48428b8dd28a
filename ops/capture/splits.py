"""Which views are held out: named protocols."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ops.capture.model import Frame, Split
from ops.capture.settings import SplitProtocol
from ops.errors import InputError


def assign_splits(
    frames: Sequence[Frame], protocol: SplitProtocol
) -> tuple[tuple[Split, ...], SplitProtocol]:
    """The split of each frame, frames being sorted by name.

    - ``dataset``: what the dataset states.
    - ``every_8th``: frames 0, 8, 16, ... are held out (Mip-NeRF 360, 3DGS, gsplat).
    - ``fraction_0.9``: nine tenths, evenly spread with the first and the last, are for training,
      the others are held out (nerfstudio's default).
    - ``all_train``: none is held out.
    - ``auto``: ``dataset`` where it states one with held-out frames, else ``every_8th``.

    Returns:
        One split per frame, and the protocol that was followed (never ``auto``).

    Raises:
        InputError: ``dataset`` was asked for and it states none, or nothing is left to train on.
    """
    n = len(frames)
    own = [f.split for f in frames if f.split is not None]
    if protocol == "auto":
        protocol = "dataset" if len(own) == n and "test" in own else "every_8th"
    train: set[int]
    if protocol == "dataset":
        if len(own) != n:
            raise InputError(
                "the dataset states no split into training and held-out photos. "
                'Set split to "every_8th", "fraction_0.9" or "all_train".'
            )
        train = {i for i, f in enumerate(frames) if f.split == "train"}
    elif protocol == "every_8th":
        train = {i for i in range(n) if i % 8 != 0}
    elif protocol == "fraction_0.9":
        train = {int(i) for i in np.linspace(0, n - 1, -(-9 * n // 10), dtype=int)}
    elif protocol == "all_train":
        train = set(range(n))
    else:
        raise InputError(
            'expected a split of "auto", "dataset", "every_8th", "fraction_0.9" or "all_train", '
            f"found {protocol!r}"
        )
    if not train:
        raise InputError(
            f"no photo is left to train on: the split {protocol!r} holds out all {n}. "
            'Add photos, or set split to "all_train".'
        )
    return tuple("train" if i in train else "test" for i in range(n)), protocol
