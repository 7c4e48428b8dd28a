"""The sheet of what differs: what it draws, by its pixels."""

from __future__ import annotations

import numpy as np
import pytest

from ops.errors import InputError
from ops.evaluation.difference_sheet import Compared, Section, amplification, difference_sheet


def row(old: np.ndarray, new: np.ndarray, name: str = "000.png") -> Compared:
    return Compared(name=name, caption="mean difference 1", old=old, new=new)


def grey(value: int, size: tuple[int, int] = (60, 80)) -> np.ndarray:
    return np.full((*size, 3), value, np.uint8)


def has(sheet: np.ndarray, colour: tuple[int, int, int], at_least: int) -> bool:
    return int((sheet == colour).all(axis=-1).sum()) >= at_least


@pytest.mark.parametrize(("gap", "gain"), [(1, 64), (3, 64), (8, 16), (16, 8), (100, 2), (255, 1)])
def test_amplification_is_the_power_of_two_that_does_not_clip(gap: int, gain: int) -> None:
    assert amplification([row(grey(0), grey(gap))]) == gain


def test_few_different_pixels_are_amplified_too() -> None:
    new = grey(0)
    new[0, 0] = 4
    assert amplification([row(grey(0), new)]) == 32


def test_old_new_and_amplified_difference_are_there() -> None:
    sections = [Section(title="colors", rows=[row(grey(100), grey(110))])]
    sheet = difference_sheet(sections, title="x", labels=("v1", "v2"), cell_width=160)
    assert sheet.dtype == np.uint8
    cell = 160 * 120
    for level in (100, 110, 10 * 16):
        assert has(sheet, (level,) * 3, cell * 9 // 10)
    assert not has(sheet, (10,) * 3, cell // 10)


def test_a_negative_difference_is_as_bright() -> None:
    there = [Section(title="c", rows=[row(grey(100), grey(110))])]
    back = [Section(title="c", rows=[row(grey(110), grey(100))])]
    sheets = [difference_sheet(s, title="x", labels=("a", "b")) for s in (there, back)]
    third = sheets[0].shape[1] * 2 // 3 + 20
    np.testing.assert_array_equal(sheets[0][120:, third:], sheets[1][120:, third:])


def test_numbers_share_one_scale() -> None:
    old = np.linspace(1, 2, 60 * 80, dtype=np.float32).reshape(60, 80)
    new = old.copy()
    new[:30] += 1
    new[-5:] = np.nan
    sections = [Section(title="depth", rows=[row(old, new)], units="world units")]
    sheet = difference_sheet(sections, title="x", labels=("v1", "v2"), cell_width=160)
    colours = difference_sheet(
        [Section(title="c", rows=[row(grey(1), grey(2))])],
        title="x",
        labels=("v1", "v2"),
        cell_width=160,
    )
    assert sheet.shape[0] > colours.shape[0]  # the legends
    assert has(sheet, (236, 238, 241), 2 * 160 * 8)  # what is not finite, in new and difference


def test_rows_of_several_sizes_and_upright_ones_fit() -> None:
    rows = [row(grey(1, (60, 80)), grey(9, (60, 80))), row(grey(1, (200, 20)), grey(9, (200, 20)))]
    sheet = difference_sheet([Section(title="c", rows=rows)], title="x", labels=("a", "b"))
    assert sheet.shape[0] < 1200


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(InputError, match="at least one view"):
        difference_sheet([], title="x", labels=("a", "b"))
    wrong = Section(title="c", rows=[row(grey(1), grey(1, (60, 81)), "007.png")])
    with pytest.raises(InputError, match=r"007\.png.*one shape"):
        difference_sheet([wrong], title="x", labels=("a", "b"))
