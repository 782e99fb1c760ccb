"""Settings that the pipelines and the API share: where the stores are, which sites, and what counts as live.

Each is read from the environment or a `.env` file, an empty one as if it were not there; names of the
replaced system are taken where ours are not set (`.env.example` lists both). Credentials of S3 (`AWS_NAMES`)
are no settings: the S3 clients take them from the environment themselves.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AliasChoices, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

AWS_NAMES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION")
"""Variables of the environment that S3 clients read beside our settings."""

DEFAULT_SITE = "KPDT"
ALL_SITES = "ALL"

Names = Annotated[tuple[str, ...], NoDecode]
"""Several names; in the environment separated by commas."""


class StoreSettings(BaseSettings):
    """The store, the sites and the live window."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", populate_by_name=True, env_ignore_empty=True
    )

    store: str = Field(default="data/store", validation_alias="STORE")
    """A folder, or `s3://bucket[/prefix]`."""

    bucket: str | None = Field(default=None, validation_alias="PROJECT_S3_BUCKET")
    """The bucket of the replaced system, bare or as `s3://bucket`: the store where none is set."""

    store_endpoint: str | None = Field(
        default=None, validation_alias=AliasChoices("STORE_ENDPOINT", "AWS_ENDPOINT_URL")
    )
    """The address of an S3 server that is not Amazon's."""

    sites: Names = Field(default=(), validation_alias="NEXRAD_SITES")
    """The sites to follow, four-letter ids in capitals; here as named, `NexradSettings` has them checked."""

    primary_site: str = Field(
        default="", validation_alias=AliasChoices("NEXRAD_PRIMARY_SITE", "RADAR_SITE_L2")
    )
    """The site that requests without `?site=` speak of: by default the first of `NEXRAD_SITES`, else KPDT."""

    list_minutes: float = Field(
        default=180, gt=0, validation_alias=AliasChoices("NEXRAD_LIST_MINUTES", "PROCESSING_WINDOW_MINUTES")
    )
    """Length of the live window that default lists show."""

    @field_validator("sites", mode="before")
    @classmethod
    def _sites_apart(cls, value: object) -> object:
        names = split_names(value)
        return tuple(dict.fromkeys(str(name).upper() for name in names)) if names is not None else value

    @field_validator("primary_site")
    @classmethod
    def _site_in_capitals(cls, value: str) -> str:
        return value.strip().upper()

    @model_validator(mode="after")
    def _old_names_and_defaults(self) -> Self:
        if self.bucket and "store" not in self.model_fields_set:
            self.store = f"s3://{self.bucket.removeprefix('s3://')}"
        if not self.primary_site:
            named = self.sites if self.sites and ALL_SITES not in self.sites else (DEFAULT_SITE,)
            self.primary_site = named[0]
        return self


class ArchiveSettings(BaseSettings):
    """Where the DWD archive is, which the API reads too, and how full its disk may get."""

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", populate_by_name=True, env_ignore_empty=True
    )

    archive: str = Field(
        default="",
        validation_alias=AliasChoices("DWD_STORE", "DOWNLOAD_DIRECTORY_BASE_PATH"),
    )
    """A folder, or `s3://bucket[/prefix]`; unset: the store of `StoreSettings`."""

    store_endpoint: str | None = Field(
        default=None, validation_alias=AliasChoices("STORE_ENDPOINT", "AWS_ENDPOINT_URL")
    )
    """The address of an S3 server that is not Amazon's."""

    free_floor_bytes: int = Field(default=10_000_000_000, ge=0, validation_alias="STORE_FREE_FLOOR_BYTES")
    """With less than this free on the disk of a store that is a folder, nothing more is fetched into it."""

    @model_validator(mode="after")
    def _beside_the_images(self) -> Self:
        if not self.archive:
            self.archive = StoreSettings().store
        return self


def split_names(value: object) -> tuple[object, ...] | None:
    """The items of a list, or of a text that separates them by commas; None for anything else."""
    if isinstance(value, str):
        return tuple(item.strip() for item in value.split(",") if item.strip())
    return tuple(value) if isinstance(value, (list, tuple)) else None
