"""Tables: columns along one dimension, ``row``."""

from storage.schema import Attribute, Schema, Variable, register

NOTES = Attribute("notes", list, "What else a user should know.", optional=True)


def column(
    name: str,
    dtype: str | tuple[str, ...],
    units: str = "",
    meaning: str = "",
    optional: bool = False,
    values: tuple[float | None, float | None] | None = None,
) -> Variable:
    """One column of a table."""
    return Variable(name, ("row",), dtype, units, "", meaning, optional=optional, values=values)


def table(
    name: str, version: int, *columns: Variable, attrs: tuple[Attribute, ...] = (NOTES,)
) -> Schema:
    """The schema of a table, made known by its name; every table is made here."""
    return register(Schema(name=name, version=version, variables=columns, attrs=attrs))


METRICS = table(
    "metrics",
    1,
    column("view", "str", meaning="Name of the view, or mean."),
    column("metric", "str", meaning="psnr, ssim, lpips, ..."),
    column("net", "str", meaning="Network and weights of a learned metric; empty without one."),
    column("input_range", "str", meaning="Range of values that the metric was given, as [0, 1]."),
    column("value", "float64", meaning="NaN where the metric could not be computed."),
    column("units", "str", meaning="dB, or 1 for plain numbers.", optional=True),
    column("note", "str", meaning="Why there is no value, or what stood in.", optional=True),
    attrs=(
        Attribute("protocol", str, "Name of the evaluation protocol."),
        Attribute("protocol_details", dict, "What the protocol fixes.", optional=True),
        Attribute("unavailable", dict, "Why, by metric, and how to get it.", optional=True),
        NOTES,
    ),
)

HISTORY = table(
    "history",
    1,
    column("iteration", "int64", "1", "Training steps done.", values=(0, None)),
    column("loss", "float64", "1", "Training loss."),
    column("psnr", "float64", "dB", "Of the training view of this step."),
    column("count", "int64", "1", "Number of Gaussians.", values=(0, None)),
    column("means_lr", "float64", "world units", "Learning rate of the means.", optional=True),
    column("seconds", "float64", "s", "Time since training began.", optional=True),
)

FILES = table(
    "files",
    1,
    column("path", "str", meaning="Path inside the folder the files are in, with '/'."),
    column("sha256", "str", meaning="Hash of the bytes, hexadecimal."),
    column("bytes", "int64", "B", "Size.", values=(0, None)),
    attrs=(
        Attribute(
            "missing", list, "Files that the dataset lists and that are not there.", optional=True
        ),
        NOTES,
    ),
)
