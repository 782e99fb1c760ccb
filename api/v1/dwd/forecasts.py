"""MOSMIX forecasts of a station: series of elements, from the station's own file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from api.memory.cache import BoundedCache
from api.replies.errors import NotFound, Unavailable
from api.replies.problems import bad
from api.v1.dwd.archive import Archive, LedgerView
from api.v1.dwd.downloads import Downloads
from api.v1.dwd.files import href
from api.v1.dwd.known import ledger_of, periods, station
from api.v1.dwd.models import Element, ElementSeries, Forecast, unchanged
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.mosmix.units import meaning
from dwd_assets.formats.spelling import nearest, station_key
from store.objects import StoreError

if TYPE_CHECKING:  # numpy, which an API that serves no forecasts need not import
    from dwd_assets.formats.mosmix.forecasts import StationForecast

log = logging.getLogger(__name__)

ISSUES_LOOKED_AT = 8
"""Without `issue`, so many of the newest issues are looked at for the station."""

FORECASTS_KEPT = 128
"""Parsed forecasts that are kept, a quarter of a megabyte each."""

USUAL = ("TTT", "Td", "FF", "FX1", "DD", "N", "PPPP", "RR1c", "ww", "SunD1")
"""Elements whose series a forecast has where none is asked for, as far as the forecast has them."""

ALL = "*"
"""What asks for the series of every element."""

Product = Literal["L", "S"]


class Forecasts:
    """Reads forecasts through a bounded cache."""

    def __init__(self, archive: Archive, downloads: Downloads) -> None:
        self._archive = archive
        self._downloads = downloads
        self._parsed: BoundedCache[str, StationForecast] = BoundedCache(FORECASTS_KEPT)
        self._turns = asyncio.Semaphore(2)

    async def forecast(
        self, name: str, product: Product, issue: str | None, elements: Sequence[str], base: str
    ) -> Forecast:
        """A station's forecast: of the elements, of all of them for `ALL`, without any of the usual ones.

        Raises `NotFound`, `BadParameters` for an element it does not have, `Unavailable`.
        """
        view, path = await self._file(name, product, issue)
        parsed = await self._read(view, path)
        names = _names(parsed, elements)
        return Forecast(
            station=station_key(parsed.station),
            name=parsed.name,
            latitude_deg=parsed.latitude_deg,
            longitude_deg=parsed.longitude_deg,
            height_m=parsed.height_m,
            product=product,
            issue=view.ledger.period,
            issued=parsed.issued,
            times=list(parsed.steps),
            series=[_series(parsed, name) for name in names],
            elements=[] if elements else [_element(name) for name in parsed.elements],
            file_href=href(path, base),
            attribution=unchanged("an extract; values as published"),
        )

    async def _file(self, name: str, product: Product, issue: str | None) -> tuple[LedgerView, str]:
        collection = f"mosmix-{product.lower()}"
        views = await self._views(collection, issue)
        for view in views:
            path = view.by_station.get(name)
            if path is not None:
                return view, path
        await station(self._archive, name, views)
        where = f"issue {issue}" if issue else f"the newest {ISSUES_LOOKED_AT} issues"
        raise NotFound(f"no MOSMIX_{product} of station {name!r} in {where}")

    async def _views(self, collection: str, issue: str | None) -> list[LedgerView]:
        if issue is not None:
            return [await ledger_of(self._archive, collection, issue)]
        newest = (await periods(self._archive, collection))[:ISSUES_LOOKED_AT]
        views = [await self._archive.ledger(collection, entry.period) for entry in newest]
        return [view for view in views if view is not None]

    async def _read(self, view: LedgerView, path: str) -> StationForecast:
        kept = view.ledger.kept[path]
        parsed = self._parsed.get(kept.sha256)
        if parsed is not None:
            return parsed
        try:
            stored = await self._downloads.at_rest(path, kept)
            async with self._turns:
                parsed = await asyncio.to_thread(_parse, stored, path)
        except (StoreError, FormatError) as fault:
            log.warning("%s cannot be read as its ledger says: %s", path, fault)
            raise Unavailable("the archive does not answer, or holds what cannot be read") from fault
        self._parsed.put(kept.sha256, parsed)
        return parsed


def _names(parsed: StationForecast, elements: Sequence[str]) -> Sequence[str]:
    """The elements that are asked for as the forecast spells them. Raises `BadParameters`."""
    if ALL in elements:
        return tuple(parsed.elements)
    if not elements:
        return [name for name in USUAL if name in parsed.elements]
    return tuple(dict.fromkeys(_name(parsed, element) for element in elements))


def _name(parsed: StationForecast, element: str) -> str:
    """An element as the forecast spells it, or else the only one of the same letters in another case."""
    if element in parsed.elements:
        return element
    alike = [name for name in parsed.elements if name.casefold() == element.casefold()]
    if len(alike) == 1:
        return alike[0]
    near = ", ".join(alike or nearest(element, parsed.elements))
    hint = f"; nearest: {near}" if near else ""
    raise bad("element", f"this forecast has no {element[:80]!r}{hint}; omit element for a list, * is all")


def _parse(stored: bytes, path: str) -> StationForecast:
    from dwd_assets.formats.mosmix.forecasts import read_station  # noqa: PLC0415 - numpy

    return read_station(stored, path)


def _series(parsed: StationForecast, name: str) -> ElementSeries:
    from dwd_assets.formats.mosmix.forecasts import series  # noqa: PLC0415 - numpy

    return ElementSeries(**_element(name).model_dump(), values=[value for _, value in series(parsed, name)])


def _element(name: str) -> Element:
    known = meaning(name)
    return Element(
        element=name,
        unit=None if known is None else known.unit,
        description=None if known is None else known.description,
    )
