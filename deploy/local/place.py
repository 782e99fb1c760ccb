"""Where a local deployment keeps its things, and where it listens."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a local deployment keeps its things, and where it listens."""

    home: Path
    ui_port: int
    api_port: int
    api_host: str = "127.0.0.1"

    @property
    def volumes(self) -> Path:
        """Where the demo's radars put their volumes."""
        return self.home / "source"

    @property
    def products(self) -> Path:
        """Where the demo's radars put their Level 3 products."""
        return self.home / "source-level3"

    @property
    def dagster_home(self) -> Path:
        """Dagster's own folder: runs, events, schedules in SQLite."""
        return self.home / "dagster"

    @property
    def ui(self) -> str:
        """The address of Dagster's UI."""
        return f"http://127.0.0.1:{self.ui_port}"

    @property
    def api(self) -> str:
        """The address at which this machine reaches the API."""
        reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.api_host, self.api_host)  # noqa: S104
        return f"http://{f'[{reached}]' if ':' in reached else reached}:{self.api_port}"
