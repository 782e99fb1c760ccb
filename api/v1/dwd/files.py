"""The files of a run, issue or day, as its ledger lists them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from api.v1.dwd.archive import Archive, LedgerView
from api.v1.dwd.known import check_parameter, station
from api.v1.dwd.models import ArchiveFile, EarlierContent, FieldName, FileSource
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.paths import version_path
from dwd_assets.formats.spelling import station_key
from store.dwd.ledger import Earlier, Kept, Source


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which files are asked for; none is all. `step` is in minutes after the run."""

    parameter: str | None = None
    step: int | None = None
    station: str | None = None

    def takes(self, path: str, view: LedgerView) -> bool:
        """Whether a file is asked for."""
        key = view.fields.get(path)
        if self.station is not None and _station(path, key) != self.station:
            return False
        if self.parameter is not None and (key is None or key.parameter != self.parameter):
            return False
        return self.step is None or (key is not None and key.step_minutes == self.step)


async def check(archive: Archive, view: LedgerView, wanted: Wanted) -> None:
    """Raise `NotFound`, which names the nearest ones, for a parameter or station that is not known; `Unavailable`."""
    if wanted.parameter is not None:
        check_parameter(view, wanted.parameter)
    if wanted.station is not None:
        await station(archive, wanted.station, [view])


def page(
    view: LedgerView, wanted: Wanted, limit: int, after: str | None, base: str
) -> tuple[list[ArchiveFile], str | None]:
    """Files by path, and the path after which the next page begins."""
    found = list(_first(_wanted(view, wanted, after), limit + 1))
    items = [_file(path, view.ledger.kept[path], view.fields.get(path), base) for path in found[:limit]]
    return items, found[limit - 1] if len(found) > limit else None


def href(path: str, base: str) -> str:
    """The address of a file."""
    return f"{base}/files/{quote(path)}"


def _wanted(view: LedgerView, wanted: Wanted, after: str | None) -> Iterator[str]:
    return (path for path in view.paths if (after is None or path > after) and wanted.takes(path, view))


def _first(paths: Iterator[str], count: int) -> Iterator[str]:
    return (path for path, _ in zip(paths, range(count), strict=False))


def _station(path: str, key: FieldKey | None) -> str | None:
    return None if key is not None else station_key(path.rpartition("/")[2].partition("-")[0])


def _file(path: str, kept: Kept, key: FieldKey | None, base: str) -> ArchiveFile:
    return ArchiveFile(
        path=path,
        sha256=kept.sha256,
        size=kept.size,
        stored_bytes=kept.stored_bytes,
        kept_at=kept.kept_at,
        field=None if key is None else _field(key),
        station=_station(path, key),
        source=_source(kept.source),
        made_from=list(kept.made_from),
        as_of=kept.as_of,
        notes=list(kept.notes),
        earlier=[_earlier(path, each, base) for each in kept.earlier],
        href=href(path, base),
    )


def _field(key: FieldKey) -> FieldName:
    return FieldName(
        parameter=key.parameter,
        level_type=key.level_type,
        level=key.level,
        step_minutes=key.step_minutes,
        member=key.member,
        grid=key.grid,
        qualifiers=key.qualifiers,
    )


def _earlier(path: str, earlier: Earlier, base: str) -> EarlierContent:
    return EarlierContent(
        sha256=earlier.sha256,
        size=earlier.size,
        replaced_at=earlier.replaced_at,
        source=_source(earlier.source),
        href=href(version_path(path, earlier.sha256), base),
    )


def _source(source: Source | None) -> FileSource | None:
    if source is None:
        return None
    return FileSource(
        url=source.url,
        fetched_at=source.fetched_at,
        length=source.length,
        sha256=source.sha256,
        etag=source.etag,
        modified=source.modified,
        codec=source.codec,
    )
