"""Resources: the workshop, opened once a process from the settings."""

from __future__ import annotations

from functools import lru_cache

import dagster as dg

from nexrad_assets.pipeline.context import Workshop, open_workshop
from nexrad_assets.settings import NexradSettings


class WorkshopResource(dg.ConfigurableResource[Workshop]):
    """Gives assets, sensors and jobs the one workshop of their process.

    It has no configuration of its own: store, source and sites are settings of the environment, which the
    API reads too. Tests put an open `Workshop` in its place.
    """

    def create_resource(self, context: dg.InitResourceContext) -> Workshop:  # noqa: ARG002
        """The workshop, opened at the first call."""
        return _workshop()


@lru_cache(maxsize=1)
def _workshop() -> Workshop:
    return open_workshop(NexradSettings())
