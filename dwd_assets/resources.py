"""Resources: the office, opened once a process from the settings."""

from __future__ import annotations

from functools import lru_cache

import dagster as dg

from dwd_assets.periods.context import Office, open_office
from dwd_assets.settings import DwdSettings


class OfficeResource(dg.ConfigurableResource[Office]):
    """Gives assets, sensors and jobs the one office of their process.

    It has no configuration of its own: archive, server and selection are settings of the environment, which
    the API reads too. Tests put an open `Office` in its place.
    """

    def create_resource(self, context: dg.InitResourceContext) -> Office:  # noqa: ARG002
        """The office, opened at the first call."""
        return _office()


@lru_cache(maxsize=1)
def _office() -> Office:
    return open_office(DwdSettings())
