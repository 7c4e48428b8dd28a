"""Errors a user can act on."""


class InputError(ValueError):
    """Something a user gave (a folder, a file, a setting) cannot be used.

    The message names what was expected, what was found and what to do about it. Command lines
    show it without a traceback and end with exit code 2.
    """


class UnavailableError(RuntimeError):
    """Something this machine lacks (weights, a GPU, a package) is needed for what was asked.

    The message says what is missing and how to get it.
    """
