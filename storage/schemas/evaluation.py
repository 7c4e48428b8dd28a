"""An evaluation: the metrics of held-out views, and the renders they were computed from."""

from storage.schema import Attribute, Schema, register
from storage.schemas.renders import RENDERS
from storage.schemas.tables import METRICS

EVALUATION = register(
    Schema(
        name="evaluation",
        version=1,
        children={"metrics": METRICS, "renders": RENDERS},
        optional_children=frozenset({"renders"}),
        attrs=(Attribute("notes", list, "What a user should know.", optional=True),),
    )
)
