"""The command line: ``splatworks``."""

from assets.cli.app import main

__all__ = ["main"]
