"""The Dagster code location: every scene's assets in a group, and a job per scene."""

from __future__ import annotations

import sys

import dagster as dg

from assets.factory import scene_assets
from assets.graph import CORE_TOPICS, scenes_of
from assets.refresh_job import keep_fresh, refresh_job
from assets.scenes import EVERYTHING
from ops.errors import InputError
from storage.home import Home


def build() -> dg.Definitions:
    """Everything there is, for the scenes in the home folder now.

    A scene whose file cannot be read shows as one external asset that says what is wrong.
    """
    assets: list[dg.AssetsDefinition | dg.AssetSpec] = []
    jobs = []
    for name, scene in scenes_of(Home.find()).items():
        try:
            if isinstance(scene, InputError):
                raise scene
            assets += list(scene_assets(scene))
        except InputError as error:
            assets.append(
                dg.AssetSpec([name, "cannot_be_read"], group_name=name, description=str(error))
            )
            continue
        core = dg.AssetSelection.key_prefixes(*([name, topic] for topic in CORE_TOPICS))
        jobs.append(
            dg.define_asset_job(name, core, description=f"The core of {name}: photos to numbers.")
        )
    jobs.append(dg.define_asset_job(EVERYTHING, description="All artifacts of all scenes."))
    return dg.Definitions(
        assets=assets, jobs=[*jobs, refresh_job], sensors=[keep_fresh], executor=one_at_a_time
    )


# Each step in its own process, which frees the GPU's memory, and one after the other. Where
# forking is safe the libraries are imported once for all steps of a run, which saves seconds per
# step; our own modules are not, so that every step runs the code as it is on disk.
_LIBRARIES = [
    *("dagster", "dagster._core.storage.sqlite_storage", "torch", "xarray", "zarr", "icechunk"),
    *("numba", "scipy.optimize"),
]
_START = (
    {"forkserver": {"preload_modules": _LIBRARIES}} if sys.platform == "linux" else {"spawn": {}}
)
one_at_a_time = dg.multiprocess_executor.configured(
    {"max_concurrent": 1, "start_method": _START}, name="one_at_a_time"
)

defs = build()
