"""The schemas of Splatworks: cameras, images, points, splats, renders and tables, one of each.

Variables have the names of the fields of the dataclasses in ``ops``. Importing this package makes
every schema known by its name; it imports nothing heavy.
"""

from storage.schemas.cameras import CAMERAS
from storage.schemas.capture import CAPTURE
from storage.schemas.evaluation import EVALUATION
from storage.schemas.images import IMAGES, PICTURE
from storage.schemas.mipmap import ABLATIONS, ADAPTED, MULTISCALE, PRIOR, SCALED_PICTURES
from storage.schemas.points import POINTS
from storage.schemas.renders import RENDERS
from storage.schemas.splats import SPLATS
from storage.schemas.structure import LENSES, STRUCTURE
from storage.schemas.tables import FILES, HISTORY, METRICS, table
from storage.schemas.training import TRAINING

__all__ = [
    "ABLATIONS",
    "ADAPTED",
    "CAMERAS",
    "CAPTURE",
    "EVALUATION",
    "FILES",
    "HISTORY",
    "IMAGES",
    "LENSES",
    "METRICS",
    "MULTISCALE",
    "PICTURE",
    "POINTS",
    "PRIOR",
    "RENDERS",
    "SCALED_PICTURES",
    "SPLATS",
    "STRUCTURE",
    "TRAINING",
    "table",
]
