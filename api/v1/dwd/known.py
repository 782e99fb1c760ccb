"""What the archive has, and the answer where a name is none of it: 404 with the nearest names that there are.

What belongs here: collections, periods, stations and parameters by name. What does not: how a name may be spelled
(`api.v1.dwd.spelled`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from api.replies.errors import NotFound
from api.v1.dwd.archive import Archive, Entry, LedgerView, place_of
from dwd_assets.formats.spelling import nearest
from store.dwd.stations import Station

SHOWN = 10
"""Names that a refusal lists where none is near."""


def unknown(what: str, name: str, known: Iterable[str]) -> NotFound:
    """The answer for a name that is not known: with those that are near, or, of a few, with all."""
    names = sorted(set(known))
    near = nearest(name, names)
    if near:
        return NotFound(f"no {what} {name!r}; nearest: {', '.join(near)}")
    if not names:
        return NotFound(f"no {what} {name!r}; the archive has none")
    more = ", ..." if len(names) > SHOWN else ""
    return NotFound(f"no {what} {name!r}; there are: {', '.join(names[:SHOWN])}{more}")


async def periods(archive: Archive, collection: str) -> tuple[Entry, ...]:
    """The periods of a collection, newest first. Raises `NotFound` if it has none, `Unavailable`."""
    index = await archive.index()
    found = index.of(collection)
    if not found:
        raise unknown("collection", collection, index.collections)
    return found


async def ledger_of(archive: Archive, collection: str, period: str) -> LedgerView:
    """The ledger of a period. Raises `NotFound`, which names the nearest periods, and `Unavailable`."""
    view = await archive.ledger(collection, period)
    if view is None:
        raise _unknown_period(collection, period, await periods(archive, collection))
    return view


def _unknown_period(collection: str, period: str, entries: Sequence[Entry]) -> NotFound:
    """The answer for a period without a ledger: with the one before and the one after it."""
    place = place_of(collection, period)
    after = [entry.period for entry in entries if entry.place > place][-1:]
    before = [entry.period for entry in entries if entry.place < place][:1]
    near = f"nearest: {', '.join(before + after)}" if after else f"newest: {entries[0].period}"
    return NotFound(f"no run, issue or day {period} of {collection}; {near}")


async def station(archive: Archive, name: str, views: Iterable[LedgerView] = ()) -> Station | None:
    """A station by its key as the catalogue has it; None if files of the ledgers alone are known of it.

    Raises `NotFound`, which names the nearest stations, and `Unavailable`.
    """
    catalogue = await archive.stations_by_key()
    found = catalogue.get(name)
    if found is not None:
        return found
    listed = frozenset[str]().union(*(view.stations for view in views))
    if name not in listed:
        raise unknown("station", name, listed | catalogue.keys())
    return None


def check_parameter(view: LedgerView, parameter: str) -> None:
    """Raise `NotFound`, which names the nearest parameters, unless a run has or expects one of this name."""
    if parameter not in view.parameters:
        what = f"parameter of {view.ledger.collection} {view.ledger.period}"
        raise unknown(what, parameter, view.parameters)


def unknown_parameter(model: str, parameter: str, views: Collection[LedgerView]) -> NotFound:
    """The answer for a parameter that none of some runs has."""
    names = frozenset[str]().union(*(view.parameters for view in views))
    which = f"run {next(iter(views)).ledger.period}" if len(views) == 1 else "newest runs"
    return unknown(f"parameter in the {which} of {model}", parameter, names)
