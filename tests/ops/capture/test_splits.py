"""Named splits."""

from pathlib import Path

import pytest

from ops.capture.model import Frame
from ops.capture.splits import assign_splits
from ops.errors import InputError


def frames(count, splits=()):
    own = list(splits) or [None] * count
    return [
        Frame(name=f"{i:03d}", image_path=Path("x"), intrinsics=None, camtoworld=None, split=s)
        for i, s in enumerate(own)
    ]


def test_every_8th_is_the_default():
    splits, protocol = assign_splits(frames(17), "auto")
    assert protocol == "every_8th"
    assert [i for i, s in enumerate(splits) if s == "test"] == [0, 8, 16]


def test_the_datasets_own_split_comes_first():
    own = ["train", "test", "train"]
    assert assign_splits(frames(3, own), "auto") == (tuple(own), "dataset")
    assert assign_splits(frames(3, own), "every_8th")[0] == ("test", "train", "train")


def test_a_dataset_without_held_out_photos_gets_some():
    assert assign_splits(frames(9, ["train"] * 9), "auto")[1] == "every_8th"


def test_fraction_as_nerfstudio_takes_it():
    splits, _ = assign_splits(frames(20), "fraction_0.9")
    # nerfstudio 1.1: i_train = np.linspace(0, 19, ceil(20 * 0.9), dtype=int)
    assert [i for i, s in enumerate(splits) if s == "test"] == [9, 18]
    assert splits[0] == splits[-1] == "train"


def test_all_train():
    assert set(assign_splits(frames(5), "all_train")[0]) == {"train"}


def test_errors_say_what_can_be_chosen():
    with pytest.raises(InputError, match=r'states no split.*"every_8th"'):
        assign_splits(frames(3), "dataset")
    with pytest.raises(InputError, match="holds out all 1"):
        assign_splits(frames(1), "auto")
    with pytest.raises(InputError, match="found 'thirds'"):
        assign_splits(frames(3), "thirds")
