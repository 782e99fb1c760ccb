"""The `dwd` command: look at the archive, fetch, read and verify files, make days and grids anew, play the server.

Each command imports only what it needs; none imports Dagster.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dwd_assets.archive.storing import Archive
    from dwd_assets.formats.grib.worker import GribWorker
    from dwd_assets.periods.context import Office
    from dwd_assets.periods.progress import Done
    from dwd_assets.settings import DwdSettings
    from store.objects import Store

_BROKEN_PIPE = 128 + 13
_INTERRUPTED = 128 + 2

_COLLECTIONS = "a model (icon-d2), mosmix-l, mosmix-s or poi"
_PERIODS = "a run or issue YYYYMMDDHH (or 2026-11-21T06), of poi a day YYYYMMDD (or 2026-11-21)"
_FASTEST = 1_000_000.0

_log = partial(print, flush=True)
"""Lines of work under way, seen at once also through a pipe."""


class _Usage(Exception):  # noqa: N818 - reads as the state it reports
    """What was asked for makes no sense; the message tells why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; gives the exit status: 0 all well, 1 a fault, 2 wrong usage; of `fetch` also 3 and 4."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.command(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:  # `| head`; what Python flushes at its end must not fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except _Usage as fault:
        return _fail(str(fault), 2)
    except _faults() as fault:
        return _fail(_in_one_line(fault))
    return status


def _faults() -> tuple[type[Exception], ...]:
    """What a command may end with; `ValueError` is what settings and names raise. Imported when one has come."""
    from dwd_assets.formats.errors import FormatError  # noqa: PLC0415
    from dwd_assets.formats.grib.process import DecoderError  # noqa: PLC0415
    from dwd_assets.opendata.errors import OpendataError  # noqa: PLC0415
    from store.objects import StoreError  # noqa: PLC0415

    return (StoreError, OpendataError, FormatError, DecoderError, OSError, ValueError)


def _in_one_line(fault: Exception) -> str:
    from pydantic import ValidationError  # noqa: PLC0415

    if isinstance(fault, ValidationError):
        return "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'settings'}: {each['msg']}" for each in fault.errors()
        )
    return " ".join(str(fault).split("\n"))


def _fail(message: str, status: int = 1) -> int:
    print(f"dwd: {message}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dwd", description="The archive of DWD's open data.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    stored = argparse.ArgumentParser(add_help=False)
    stored.add_argument("--store", metavar="STORE", help="a folder or s3://bucket[/prefix], not DWD_STORE's")
    _add_status(commands.add_parser("status", parents=[stored], help="how complete the archive is"))
    _add_fetch(commands.add_parser("fetch", parents=[stored], help="fetch now what is due, or one period"))
    _add_read(commands.add_parser("read", help="tell what is in files of the archive or the server"))
    _add_verify(commands.add_parser("verify", parents=[stored], help="read kept files again and compare"))
    _add_rebuild(
        commands.add_parser(
            "rebuild", parents=[stored], help="make a ledger, or a day of reports, from what is kept"
        )
    )
    _add_regrid(
        commands.add_parser(
            "regrid",
            parents=[stored],
            help="make the files of a run of ICON-D2 or ICON-EU on its regular grid",
        )
    )
    _add_simulate(commands.add_parser("simulate", help="play DWD's server"))
    return parser


# The commands, in the order of the help


def _add_status(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("collection", nargs="?", metavar="COLLECTION", help=_COLLECTIONS)
    parser.add_argument("period", nargs="?", metavar="PERIOD", help=f"all about {_PERIODS}")
    parser.add_argument(
        "--limit", type=_positive, default=8, metavar="N", help="newest periods of a collection (default 8)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.set_defaults(command=_status)


def _status(options: argparse.Namespace) -> int:
    from dwd_assets.archive.storing import Archive  # noqa: PLC0415
    from store.location import open_store  # noqa: PLC0415

    settings = _settings(options)
    archive = Archive(open_store(settings.archive, settings.store_endpoint), settings.free_floor_bytes)
    _check_collection(options, settings, archive.store)
    if options.period:
        options.period = _period(options.period)
        _tell_period(archive, options)
    else:
        _tell_newest(archive, options)
    return 0


def _tell_newest(archive: Archive, options: argparse.Namespace) -> None:
    from dwd_assets.commands import status  # noqa: PLC0415

    now = datetime.now(UTC)
    found = status.newest(archive.store, options.collection, options.limit)
    if options.json:
        print(status.newest_data(found, archive, now, options.collection).decode())
        return
    if not found:
        print(f"nothing of {options.collection or 'DWD'} is archived here yet")
    damage = status.damage(archive.store, options.collection)
    for line in (*status.table(found, now), *damage, status.free_space(archive)):
        print(line)


def _tell_period(archive: Archive, options: argparse.Namespace) -> None:
    from dwd_assets.commands import status  # noqa: PLC0415
    from store.dwd import ledger  # noqa: PLC0415

    known = ledger.read(archive.store, options.collection, options.period)
    if not known.revision:
        raise ValueError(f"there is no ledger of {options.collection} {options.period}")
    if options.json:
        print(status.period_data(known, datetime.now(UTC)).decode())
        return
    for line in status.period_lines(known, datetime.now(UTC)):
        print(line)


def _add_fetch(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "One pass over a run, issue or day, or over all that are due, the one that the server deletes first before "
        "the others. Exit status: 0 complete, 3 something is missing that may still come, 4 something is lost, "
        "1 a fault. It tells of the whole period, also where only some fields were asked for."
    )
    parser.add_argument("collection", metavar="COLLECTION", help=_COLLECTIONS)
    parser.add_argument("--run", "--day", dest="period", metavar="PERIOD", help=_PERIODS)
    parser.add_argument("--server", metavar="URL", help="the server, not DWD_SERVER's")
    parser.add_argument("--param", metavar="NAMES", help="of a model, in place of DWD_FIELDS: t_2m,tot_prec")
    parser.add_argument(
        "--levels", metavar="LEVELS", help="of which levels (default single,time-invariant): pressure:500,850"
    )
    parser.add_argument("--hours", metavar="FIRST-LAST", help="of which hours after the run (default all)")
    parser.add_argument(
        "--station", type=_names, default=(), metavar="IDS", help="of forecasts and reports: 10315,P0036"
    )
    parser.add_argument(
        "--recheck",
        action="store_true",
        help="ask again for what is kept; another content is kept, with the earlier one beside it",
    )
    parser.set_defaults(command=_fetch)


def _fetch(options: argparse.Namespace) -> int:
    from dwd_assets.commands import fetch  # noqa: PLC0415

    settings = _settings(options)
    narrowed = fetch.Narrowed(options.param, options.levels, options.hours, options.station, options.recheck)
    with _usage():
        fetch.check_options(options.collection, settings, narrowed)
        asked = fetch.named(options.collection, settings)
        period = fetch.checked(asked, options.period, datetime.now(UTC)) if options.period else None
    with _office(settings) as office:
        with _usage():
            collection = fetch.chosen(office, options.collection, narrowed)
        return fetch.fetch(office, collection, period, office.telling(_log), _complain)


def _add_read(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "GRIB2 (plain, .bz2, .lz4), MOSMIX KMZ (or its KML) of one station or of all, reports (<ID>-BEOB.csv) and the "
        "historic <ID>-MOSMIX.csv; earlier versions (<path>.<12 digits>) too."
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument(
        "--element", "--column", dest="series", metavar="NAME", help="the values of this element or column"
    )
    parser.add_argument("--station", metavar="ID", help="of this station, out of a file of all of them")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each file")
    parser.set_defaults(command=_read)


def _read(options: argparse.Namespace) -> int:
    from dwd_assets.formats.grib.worker import GribWorker  # noqa: PLC0415

    with closing(GribWorker()) as worker:
        statuses = [_read_one(path, worker, options) for path in options.files]
    return max(statuses)


def _read_one(path: Path, worker: GribWorker, options: argparse.Namespace) -> int:
    from dwd_assets.commands import describe  # noqa: PLC0415
    from dwd_assets.formats import reading  # noqa: PLC0415
    from dwd_assets.formats.errors import FormatError  # noqa: PLC0415

    name = str(path)
    try:
        content = reading.read_file(path, worker, options.station)
        series = reading.series(content, name, options.series) if options.series else None
    except OSError as fault:
        return _fail(f"{name}: {fault.strerror or fault}")
    except FormatError as fault:
        return _fail(str(fault))
    if options.json:
        told = describe.data(name, content) if series is None else describe.series_data(name, series)
        print(told.decode())
        return 0
    for line in describe.lines(name, content) if series is None else describe.series_lines(name, series):
        print(line)
    return 0


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.description = "Exit status: 0 where every kept file is what its ledger says, 1 where one is not."
    parser.add_argument("collection", nargs="?", metavar="COLLECTION", help=_COLLECTIONS)
    parser.add_argument("period", nargs="?", metavar="PERIOD", help=_PERIODS)
    parser.set_defaults(command=_verify)


def _verify(options: argparse.Namespace) -> int:
    from dwd_assets.archive.verifying import verify_period  # noqa: PLC0415
    from dwd_assets.commands.status import recorded  # noqa: PLC0415
    from store.location import open_store  # noqa: PLC0415

    settings = _settings(options)
    store = open_store(settings.archive, settings.store_endpoint)
    _check_collection(options, settings, store)
    options.period = _period(options.period) if options.period else None
    periods = [each for each in recorded(store, options.collection) if options.period in {None, each[1]}]
    if not periods:
        raise ValueError(
            f"nothing is recorded of {options.collection or 'DWD'} {options.period or ''}".rstrip()
        )
    files = faults = 0
    for collection, period in periods:
        verified = verify_period(store, collection, period)
        _log(
            f"{collection} {period}: {verified.files} files, {verified.bytes_read / 1e6:.1f} MB, "
            f"{len(verified.faults)} not as the ledger says"
        )
        for fault in verified.faults:
            _log(f"  {fault.key}: {fault.reason}")
        files, faults = files + verified.files, faults + len(verified.faults)
    _log(f"{len(periods)} periods, {files} files, {faults} not as the ledger says")
    return 1 if faults else 0


def _add_rebuild(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "A day of reports is merged anew from the raw ones. The ledger of a run or issue is told of the files that the "
        "store has and it does not know; a damaged one is set aside before. Nothing is fetched."
    )
    parser.add_argument("collection", metavar="COLLECTION", help=_COLLECTIONS)
    parser.add_argument("period", metavar="PERIOD", help=_PERIODS)
    parser.set_defaults(command=_rebuild)


def _rebuild(options: argparse.Namespace) -> int:
    from dwd_assets.commands import fetch  # noqa: PLC0415
    from dwd_assets.kinds import repair  # noqa: PLC0415

    settings = _settings(options)
    with _office(settings) as office:
        _check_collection(options, settings, office.store)
        with _usage():
            collection = fetch.named(options.collection, settings)
            period = fetch.checked(collection, options.period, office.clock())
        return _tell_made(
            repair.mended(
                office,
                partial(collection.deadline, office),
                _log,
                lambda: repair.make_again(office, collection, period, _log),
            )
        )


def _add_regrid(parser: argparse.ArgumentParser) -> None:
    from dwd_assets.formats.target_grids import TARGET_GRIDS  # noqa: PLC0415

    parser.add_argument("run", type=_run, metavar="RUN", help="YYYYMMDDHH, UTC")
    parser.add_argument(
        "--model", choices=tuple(TARGET_GRIDS), default="icon-d2", help="whose run (default %(default)s)"
    )
    parser.set_defaults(command=_regrid)


def _regrid(options: argparse.Namespace) -> int:
    from dwd_assets.fields.regular_grid import regrid_run  # noqa: PLC0415

    with _office(_settings(options)) as office:
        return _tell_made(regrid_run(office, options.model, options.run, _log))


def _tell_made(done: Done) -> int:
    summary = done.summary
    _log(
        f"{summary.collection} {summary.period}: {done.fetched} files written, {done.changed} of them in place of "
        f"others, {len(done.failed)} failed, {done.seconds:.1f} s"
    )
    return 1 if done.failed else 0


def _add_simulate(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "A small server with a model, forecasts and reports, until Ctrl-C. The archive believes the real clock, so "
        "that what it fetches from here has to be played at the real speed; a faster day is for looking at."
    )
    parser.add_argument("--host", default="127.0.0.1", help="where it listens (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8650, help="its port, 0 for any (default 8650)")
    parser.add_argument(
        "--speed",
        type=_speed,
        default=1.0,
        help="simulated seconds a second; 1440 is a day in a minute (default 1)",
    )
    parser.add_argument(
        "--start", type=_moment, metavar="TIME", help="UTC time at which it begins (default now)"
    )
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same files (default 1)")
    parser.set_defaults(command=_simulate)


def _simulate(options: argparse.Namespace) -> int:
    from dwd_assets.commands.simulate import open_server, play  # noqa: PLC0415

    start = options.start or datetime.now(UTC)
    with open_server(start, options.speed, options.seed, options.host, options.port) as simulator:
        try:
            play(simulator, start, options.speed, _log)
        except KeyboardInterrupt:
            return 0


# What they share


def _settings(options: argparse.Namespace) -> DwdSettings:
    """The settings, with what the command line says in place of them. Raises `ValueError`."""
    from dwd_assets.settings import DwdSettings  # noqa: PLC0415

    named = {"archive": options.store, "server": getattr(options, "server", None)}
    return DwdSettings(**{name: value for name, value in named.items() if value is not None})


@contextmanager
def _usage() -> Iterator[None]:
    """Turn a `ValueError` into wrong usage."""
    try:
        yield
    except ValueError as fault:
        raise _Usage(str(fault)) from fault


def _check_collection(options: argparse.Namespace, settings: DwdSettings, store: Store) -> None:
    """Raise `_Usage`, which names the nearest ones, for a collection that is neither known nor in the store."""
    from dwd_assets.commands import fetch  # noqa: PLC0415
    from dwd_assets.commands.status import recorded  # noqa: PLC0415

    if options.collection is not None:
        with _usage():
            fetch.check_name(options.collection, settings, (name for name, _ in recorded(store)))


@contextmanager
def _office(settings: DwdSettings) -> Iterator[Office]:
    from dwd_assets.periods.context import open_office  # noqa: PLC0415

    with closing(open_office(settings)) as office:
        yield office


def _complain(message: str) -> None:
    _fail(message)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _speed(text: str) -> float:
    speed = float(text)
    if not 0 < speed <= _FASTEST:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and up to {_FASTEST}")
    return speed


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise argparse.ArgumentTypeError(f"{text!r} has no names; e.g. 10315,P0036")
    return names


def _period(text: str) -> str:
    from dwd_assets.formats.spelling import parse_period  # noqa: PLC0415

    period = parse_period(text)
    if period is None:
        raise _Usage(f"{text!r} is not {_PERIODS}")
    return period


def _run(text: str) -> datetime:
    from dwd_assets.formats.checks import parse_run  # noqa: PLC0415
    from dwd_assets.formats.spelling import parse_run_time  # noqa: PLC0415

    run = parse_run(parse_run_time(text) or "")
    if run is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a run such as 2026091612 or 2026-09-16T12")
    return run


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time like 2026-09-16T12:00") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


if __name__ == "__main__":
    sys.exit(main())
