"""How long work tells what it is doing, without knowing who listens."""

from collections.abc import Mapping
from typing import Protocol


class Progress(Protocol):
    """Called often by long work; an implementation decides what to show and how often."""

    def __call__(
        self,
        done: int,
        total: int,
        what: str,
        values: Mapping[str, float] | None = None,
    ) -> None:
        """Report progress.

        Args:
            done: Steps finished, from 0 to ``total``.
            total: Steps in all; 0 where it is not known.
            what: The work in a few words, as a person would read it beside a bar ("training").
            values: Numbers worth watching, by short name (``{"loss": 0.03, "psnr": 24.1}``).
        """
        ...


def silent(done: int, total: int, what: str, values: Mapping[str, float] | None = None) -> None:
    """A progress that shows nothing."""
