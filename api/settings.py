"""Settings of the API, beside those it shares with the pipeline."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from store.settings import ArchiveSettings, Names, StoreSettings, split_names


class ApiSettings(StoreSettings, ArchiveSettings):
    """Where the API listens, who may write, how much one may ask for, and what it keeps in memory."""

    host: str = Field(default="127.0.0.1", validation_alias="API_HOST")
    """The address that `python -m api` binds."""

    port: int = Field(default=4000, ge=0, le=65535, validation_alias="API_PORT")
    """The port that `python -m api` binds."""

    write_token: SecretStr | None = Field(default=None, validation_alias="API_WRITE_TOKEN")
    """The bearer token of the write routes; unset or empty refuses every write."""

    allowed_origins: str = Field(default="*", validation_alias="API_CORS_ORIGINS")
    """Origins that may read answers in a browser, separated by commas; `*` for all."""

    image_cache_bytes: int = Field(default=256_000_000, ge=0, validation_alias="API_IMAGE_CACHE_BYTES")
    """How many bytes of images are kept in memory."""

    plane_cache_bytes: int = Field(default=128_000_000, ge=0, validation_alias="API_PLANE_CACHE_BYTES")
    """How many bytes of inflated images are kept for values at points; one of 2700 pixels has 7.3 MB."""

    event_clients: int = Field(default=2_000, ge=0, validation_alias="API_EVENT_CLIENTS")
    """How many clients may listen to events at once."""

    heartbeat_seconds: float = Field(default=15.0, gt=0, validation_alias="API_HEARTBEAT_SECONDS")
    """Seconds between signs of life in event streams: less than any proxy on the way waits."""

    poll_seconds: float | None = Field(default=None, gt=0, validation_alias="API_POLL_SECONDS")
    """Seconds between two looks at the head index; unset: 1 on a filesystem, 2 on S3."""

    body_limit_bytes: int = Field(default=65_536, gt=0, validation_alias="API_BODY_LIMIT_BYTES")
    """The longest request body that a write route reads."""

    rate_per_minute: int = Field(default=120, ge=0, validation_alias="API_RATE_PER_MINUTE")
    """How many series and points an address may ask for in a minute; 0 lets it ask for any number."""

    trusted_proxies: Names = Field(default=(), validation_alias="API_TRUSTED_PROXIES")
    """Addresses or networks of proxies whose `X-Forwarded-For` tells who asks; from others it is ignored."""

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _proxies_apart(cls, value: object) -> object:
        names = split_names(value)
        return value if names is None else names

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies_are_networks(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            ip_network(name)
        return names

    @model_validator(mode="after")
    def _beside_the_images(self) -> Self:
        """The archive is in this very store where no other is named, whatever the environment says of it."""
        return self

    @property
    def archive_location(self) -> str:
        """Where the DWD archive is."""
        return self.archive or self.store

    @property
    def origins(self) -> tuple[str, ...]:
        """The allowed origins, one by one."""
        return tuple(origin.strip() for origin in self.allowed_origins.split(",") if origin.strip())

    @property
    def token(self) -> str | None:
        """The write token, none where it is unset or empty."""
        return self.write_token.get_secret_value() or None if self.write_token else None
