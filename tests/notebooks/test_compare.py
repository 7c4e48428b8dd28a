"""Two pictures against each other: what is shown, when it is read, and without a kernel."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from notebooks.compare import compare, compare_held_out
from ops.errors import InputError
from storage.home import Home

A = np.random.default_rng(1).integers(0, 256, (3, 10, 20, 3), np.uint8)
B = np.random.default_rng(2).integers(0, 256, (3, 10, 20, 3), np.uint8)


def shown(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def wipe(widget: Any) -> np.ndarray:
    return shown(widget.children[-1].children[0].children[1].value)


def error(widget: Any) -> np.ndarray:
    return shown(widget.children[-1].children[1].children[1].value)


def test_the_line_divides_the_two_pictures() -> None:
    widget = compare(A[0], torch.from_numpy(B[0]), ("photo", "render"))
    np.testing.assert_array_equal(wipe(widget)[:, :9], A[0, :, :9])
    np.testing.assert_array_equal(wipe(widget)[:, 11:], B[0, :, 11:])
    widget.line.value = 1.0
    np.testing.assert_array_equal(wipe(widget), A[0])
    widget.line.value = 0.0
    np.testing.assert_array_equal(wipe(widget), B[0])
    ends = [label.value for label in widget.children[-1].children[0].children[2].children]
    assert ends == ["photo", "render"]
    assert len(widget.children) == 1  # one view: nothing to choose


def test_the_view_changes_both_and_the_error() -> None:
    widget = compare(A, B, names=("one", "two", "three"))
    widget.line.value = 0.0
    before = error(widget)
    widget.view.value = 2
    np.testing.assert_array_equal(wipe(widget), B[2])
    assert (error(widget) != before).any()
    _, name = widget.children[0].children
    assert name.value == "three"


def test_equal_pictures_have_no_error_and_all_share_one_scale() -> None:
    b = A.copy()
    b[1, 0, 0] = 255 - b[1, 0, 0]
    widget = compare(A, b, largest_error=0.5)
    assert (error(widget) == error(widget)[0, 0]).all()
    half = np.full((1, 4, 4, 3), 0.5)
    brightest = error(compare(half, half + 0.5, largest_error=0.5))
    assert brightest.min() > error(widget).max()


def test_pictures_are_read_when_they_are_shown() -> None:
    class Counted:
        def __init__(self, pictures: np.ndarray) -> None:
            self.pictures, self.read = pictures, [0] * len(pictures)

        def __len__(self) -> int:
            return len(self.pictures)

        def __getitem__(self, index: int) -> np.ndarray:
            self.read[index] += 1
            return self.pictures[index]

    a, b = Counted(A), Counted(B)
    widget = compare(a, b, largest_error=0.2)
    widget.view.value = 2
    assert a.read == b.read == [1, 0, 1]


def test_without_a_kernel_a_still_picture_is_there() -> None:
    widget = compare(A, B)
    data, metadata = widget._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    still = shown(base64.b64decode(data["image/png"]))
    np.testing.assert_array_equal(still[:, :20], A[0])
    np.testing.assert_array_equal(still[:, 26:46], B[0])
    assert metadata["image/png"]["width"] > 0


@pytest.mark.parametrize(
    ("a", "b", "names", "message"),
    [
        (A, B[:2], (), "as many pictures of a as of b, found 3 and 2"),
        (A[:0], B[:0], (), "found 0 and 0"),
        (A, B, ("one",), "expected 3 names, found 1"),
        (A[0], B[0, :5], (), "one size, found a 20 x 10 and b 20 x 5"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(
    a: np.ndarray, b: np.ndarray, names: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        compare(a, b, names=names)


def test_held_out_views_are_photo_and_render_with_their_score(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    from notebooks.artifacts import open_artifact, open_views

    monkeypatch.setenv("SPLATWORKS_HOME", str(home.root))
    widget = compare_held_out(open_artifact("demo/evaluation/held_out"))
    views = open_views("demo/capture/views")
    held_out = [i for i, split in enumerate(views.splits) if split == "test"]
    np.testing.assert_array_equal(widget.pair[0], views.image(held_out[0]).numpy())
    assert len(widget.view.options) == 3
    assert all(label.endswith(" dB") for label, _ in widget.view.options)
