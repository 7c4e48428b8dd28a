"""torch with one thread, the renderer with as many as before."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from ops.threads import one_torch_thread, threads


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_the_renderer_keeps_its_threads() -> None:
    assert threads() == 3
    with one_torch_thread():
        assert (torch.get_num_threads(), threads()) == (1, 3)
        with one_torch_thread():
            assert (torch.get_num_threads(), threads()) == (1, 3)
        assert (torch.get_num_threads(), threads()) == (1, 3)
    assert (torch.get_num_threads(), threads()) == (3, 3)


def test_an_error_leaves_things_as_they_were() -> None:
    with pytest.raises(ValueError, match="inside"), one_torch_thread():
        raise ValueError("inside")
    assert (torch.get_num_threads(), threads()) == (3, 3)
    torch.set_num_threads(2)
    assert threads() == 2


def test_other_threads_have_their_own() -> None:
    found = []

    def look() -> None:
        torch.set_num_threads(1)
        found.append(threads())

    with one_torch_thread():
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert threads() == 3
    assert found == [1]
