"""Settings of the API, beside those it shares with the pipeline."""

from __future__ import annotations

from pydantic import Field, SecretStr

from store.settings import StoreSettings


class ApiSettings(StoreSettings):
    """Where the API listens, who may write, and what it keeps in memory."""

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

    poll_seconds: float | None = Field(default=None, gt=0, validation_alias="API_POLL_SECONDS")
    """Seconds between two looks at the head index; unset: 1 on a filesystem, 2 on S3."""

    body_limit_bytes: int = Field(default=65_536, gt=0, validation_alias="API_BODY_LIMIT_BYTES")
    """The longest request body that a write route reads."""

    @property
    def origins(self) -> tuple[str, ...]:
        """The allowed origins, one by one."""
        return tuple(origin.strip() for origin in self.allowed_origins.split(",") if origin.strip())

    @property
    def token(self) -> str | None:
        """The write token, none where it is unset or empty."""
        return self.write_token.get_secret_value() or None if self.write_token else None
