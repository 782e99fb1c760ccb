"""Settings that the pipeline and the API share: where the store is, and what counts as live.

Each is read from the environment or a `.env` file; names of the replaced system are taken where ours are
not set (`.env.example` lists both).
"""

from __future__ import annotations

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class StoreSettings(BaseSettings):
    """The store and the live window."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", populate_by_name=True)

    store: str = Field(default="data/store", validation_alias=AliasChoices("STORE", "PROJECT_S3_BUCKET"))
    """A folder, or `s3://bucket[/prefix]`. (A bare `PROJECT_S3_BUCKET` names a bucket.)"""

    store_endpoint: str | None = Field(
        default=None, validation_alias=AliasChoices("STORE_ENDPOINT", "AWS_ENDPOINT_URL")
    )
    """The address of an S3 server that is not Amazon's."""

    primary_site: str = Field(
        default="KPDT", validation_alias=AliasChoices("NEXRAD_PRIMARY_SITE", "RADAR_SITE_L2")
    )
    """The site that requests without `?site=` speak of."""

    list_minutes: float = Field(
        default=180, gt=0, validation_alias=AliasChoices("NEXRAD_LIST_MINUTES", "PROCESSING_WINDOW_MINUTES")
    )
    """Length of the live window that default lists show."""
