"""What training leaves: splats and how they came to be."""

from storage.schema import Attribute, Schema, register
from storage.schemas.splats import SPLATS
from storage.schemas.tables import HISTORY

TRAINING = register(
    Schema(
        name="training",
        version=1,
        children={"splats": SPLATS, "history": HISTORY},
        optional_children=frozenset({"history"}),
        attrs=(Attribute("notes", list, "What a user should know.", optional=True),),
    )
)
