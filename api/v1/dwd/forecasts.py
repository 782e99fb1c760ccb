"""MOSMIX forecasts of a station: series of elements, from the station's own file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from api.cache import BoundedCache
from api.errors import NotFound, Unavailable
from api.v1.dwd.archive import Archive, LedgerView
from api.v1.dwd.downloads import Downloads
from api.v1.dwd.files import href
from api.v1.dwd.models import Element, ElementSeries, Forecast, unchanged
from api.v1.problems import bad
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.mosmix_units import meaning
from store.objects import StoreError

if TYPE_CHECKING:  # numpy, which an API that serves no forecasts need not import
    from dwd_assets.formats.mosmix import StationForecast

log = logging.getLogger(__name__)

ISSUES_LOOKED_AT = 8
"""Without `issue`, so many of the newest issues are looked at for the station."""

FORECASTS_KEPT = 128
"""Parsed forecasts that are kept, a quarter of a megabyte each."""

Product = Literal["L", "S"]


class Forecasts:
    """Reads forecasts through a bounded cache."""

    def __init__(self, archive: Archive, downloads: Downloads) -> None:
        self._archive = archive
        self._downloads = downloads
        self._parsed: BoundedCache[str, StationForecast] = BoundedCache(FORECASTS_KEPT)
        self._turns = asyncio.Semaphore(2)

    async def forecast(
        self, station: str, product: Product, issue: str | None, elements: Sequence[str], base: str
    ) -> Forecast:
        """A station's forecast. Raises `NotFound`, `BadParameters` for an element it has not, `Unavailable`."""
        view, path = await self._file(station, product, issue)
        parsed = await self._read(view, path)
        for element in elements:
            if element not in parsed.elements:
                raise bad("element", f"{element!r} is none of this forecast; without element it lists them")
        return Forecast(
            station=parsed.station,
            name=parsed.name,
            latitude_deg=parsed.latitude_deg,
            longitude_deg=parsed.longitude_deg,
            height_m=parsed.height_m,
            product=product,
            issue=view.ledger.period,
            issued=parsed.issued,
            times=list(parsed.steps) if elements else [],
            series=[_series(parsed, element) for element in elements],
            elements=[] if elements else [_element(name) for name in parsed.elements],
            file_href=href(path, base),
            attribution=unchanged("an extract; values as published"),
        )

    async def _file(self, station: str, product: Product, issue: str | None) -> tuple[LedgerView, str]:
        collection = f"mosmix-{product.lower()}"
        if issue is not None:
            issues = [issue]
        else:
            newest = (await self._archive.index()).of(collection)[:ISSUES_LOOKED_AT]
            issues = [entry.period for entry in newest]
        for period in issues:
            view = await self._archive.ledger(collection, period)
            path = None if view is None else view.by_station.get(station.rstrip("_"))
            if view is not None and path is not None:
                return view, path
        raise NotFound(
            f"the archive has no MOSMIX_{product} of {station}" + (f" of {issue}" if issue else "")
        )

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


def _parse(stored: bytes, path: str) -> StationForecast:
    from dwd_assets.formats.mosmix import read_station  # noqa: PLC0415 - numpy

    return read_station(stored, path)


def _series(parsed: StationForecast, name: str) -> ElementSeries:
    from dwd_assets.formats.mosmix import series  # noqa: PLC0415 - numpy

    return ElementSeries(**_element(name).model_dump(), values=[value for _, value in series(parsed, name)])


def _element(name: str) -> Element:
    known = meaning(name)
    return Element(
        element=name,
        unit=None if known is None else known.unit,
        description=None if known is None else known.description,
    )
