"""The levels of NEXRAD data: where each one's files come from, how they are named, what becomes of them.

Whatever is done with files (fetching, rendering, publishing, upkeep) is done the same way for every level; what
differs is here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nexrad_assets.levels.results import Mode
from nexrad_assets.levels.scans import Recipe
from nexrad_assets.names import FileName
from nexrad_assets.sources.source import Source

IN_NO_HURRY = 16
"""How many times larger the batches of an archived day are."""


@dataclass(frozen=True, slots=True)
class Level:
    """One level: its source, the names of its files, the recipe of its images.

    `files` is what messages call its files; `together` is how many scans are published at once: a volume is
    awaited, and the many small files of a product suite share a rewrite of their day's snapshot.
    """

    files: str
    source: Source
    parse: Callable[[str], FileName | None]
    recipe: Recipe
    together: int

    @property
    def number(self) -> int:
        """2 or 3."""
        return self.recipe.level

    @property
    def told_singly(self) -> bool:
        """Whether each file is published by itself and has its own line in the log."""
        return self.together == 1

    def batch(self, mode: Mode) -> int:
        """How many scans are published at once; a day's archive is in no hurry, and its snapshot large."""
        return self.together if mode == "live" or self.told_singly else self.together * IN_NO_HURRY
