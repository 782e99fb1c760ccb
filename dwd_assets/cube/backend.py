"""The engine `dwd` of xarray: `xr.open_dataset(archive, engine="dwd", parameter="t_2m", run="2026113006")`.

What belongs here: xarray's interface and its options. What does not: which files these mean (`dwd_assets.cube.choice`),
and the Dataset (`dwd_assets.cube.dataset`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from numbers import Integral
from pathlib import Path
from typing import Any, ClassVar, cast

import xarray as xr
from xarray.backends import BackendEntrypoint

from dwd_assets.cube.choice import GRIDS, LATEST, LEVEL_TYPES, Wanted, find_fields, find_run
from dwd_assets.cube.dataset import build
from dwd_assets.formats.fields import Grid, LevelType
from dwd_assets.formats.spelling import nearest
from store.location import open_store
from store.objects import Store
from store.settings import ArchiveSettings

Numbers = int | Iterable[int] | None
"""One number, several, or all there are."""


class DwdBackendEntrypoint(BackendEntrypoint):
    """Fields of a model run in an archive, as a Dataset whose values are decoded when they are asked for."""

    description: ClassVar[str] = "Fields of ICON in an archive of DWD's open data"
    open_dataset_parameters: ClassVar[tuple[str, ...] | None] = (
        *("filename_or_obj", "drop_variables", "model", "parameter", "run", "level_type", "level", "member"),
        *("grid", "store_endpoint"),
    )

    def open_dataset(  # type: ignore[override]  # noqa: PLR0913 - each is an option of xr.open_dataset
        self,
        filename_or_obj: str | os.PathLike[Any],
        *,
        drop_variables: str | Iterable[str] | None = None,
        model: str = "icon-d2",
        parameter: str | Iterable[str] = (),
        run: str | int | datetime = LATEST,
        level_type: str | None = None,
        level: Numbers = None,
        member: Numbers = None,
        grid: str | None = None,
        store_endpoint: str | None = None,
    ) -> xr.Dataset:
        """Open fields of one run.

        filename_or_obj: the archive, a folder or `s3://bucket[/prefix]`; store_endpoint: the address of an S3 server
        that is not Amazon's, by default that of the settings (`STORE_ENDPOINT`). model: as the archive names it.
        parameter: one or several. run: its time in UTC in any spelling (`2026113006`, `2026-11-30T06:00Z`), or
        `latest`, the newest that is complete. level_type, level, member: by default the parameter's only type of level
        or `single`, and all levels and members; a single number takes its axis away. Levels have the archive's numbers
        (hPa, metres, model levels). grid: `regular` or `icosahedral`; by default the one that has more hours.

        Steps that are missing are NaN and in the attributes. Raises `FileNotFoundError` for a folder that does not
        exist, `ValueError` that names what there is for what is not, `FormatError` that names a damaged file (also when
        values are read), `StoreError`.
        """
        wanted = Wanted(
            (parameter,) if isinstance(parameter, str) else tuple(parameter),
            cast(LevelType | None, _one_of("level_type", level_type, LEVEL_TYPES)),
            _numbers(level),
            _numbers(member),
            cast(Grid | None, _one_of("grid", grid, GRIDS)),
        )
        store, now = _store(filename_or_obj, store_endpoint), datetime.now(UTC)
        known = find_run(store, model.strip().lower(), str(run), now)
        dataset = build(store, known, find_fields(known, wanted), wanted.members, now)
        single = {"level": level, "number": member}
        dataset = dataset.isel(
            {
                axis: 0
                for axis, asked in single.items()
                if isinstance(asked, int | Integral) and axis in dataset.dims
            }
        )
        dropped = [drop_variables] if isinstance(drop_variables, str) else list(drop_variables or ())
        return dataset.drop_vars(dropped, errors="ignore")


def _store(archive: str | os.PathLike[Any], endpoint: str | None) -> Store:
    """The store of an archive; a folder is not made, as one that is written to would be."""
    location = os.fspath(archive)
    if location.startswith("s3://"):
        return open_store(location, endpoint or ArchiveSettings().store_endpoint)
    if "://" not in location and not Path(location).expanduser().is_dir():
        raise FileNotFoundError(
            f"{location!r} is not a folder; an archive is a folder or s3://bucket[/prefix]"
        )
    return open_store(location)


def _one_of(option: str, value: str | None, known: tuple[str, ...]) -> str | None:
    if value is None or value in known:
        return value
    similar = nearest(value, known)
    hint = f"; did you mean {similar[0]!r}?" if similar else ""
    raise ValueError(f"{option}={value!r} is not valid; allowed: {', '.join(known)}{hint}")


def _numbers(value: Numbers) -> tuple[int, ...] | None:
    if value is None:
        return None
    return (int(value),) if isinstance(value, int | Integral) else tuple(dict.fromkeys(map(int, value)))
