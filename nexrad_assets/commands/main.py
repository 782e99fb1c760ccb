"""The `nexrad` command: render files, simulate a network, list sites, backfill and remove days.

Each command imports only what it needs: rendering a file starts without Dagster, Py-ART and Matplotlib.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; gives the exit status: 0 all well, 1 something failed, 2 wrong usage."""
    options = _parser().parse_args(arguments)
    try:
        status: int = options.command(options)
    except KeyboardInterrupt:
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nexrad", description="NEXRAD volumes to georeferenced images.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_render(commands.add_parser("render", help="render files to PNG and JSON, or to GeoJSON"))
    _add_simulate(commands.add_parser("simulate", help="write simulated volumes, laid out as the bucket is"))
    _add_sites(commands.add_parser("sites", help="list the radar sites"))
    _add_backfill(commands.add_parser("backfill", help="fetch and render whole days of a site"))
    _add_remove(commands.add_parser("remove", help="remove a day of a site, of both levels, from the store"))
    return parser


def _add_render(parser: argparse.ArgumentParser) -> None:
    from nexrad_assets.radar.image.products import PRODUCTS  # noqa: PLC0415

    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE", help="Level 2 volumes, Level 3 products"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the images go")
    parser.add_argument("--product", choices=sorted(PRODUCTS), default="reflectivity", help="of volumes")
    parser.add_argument("--size", type=_even_size, default=2700, help="pixels a side (even; default 2700)")
    parser.add_argument("--jobs", type=_positive, default=None, metavar="N", help="sweeps rendered at once")
    parser.set_defaults(command=_render)


def _render(options: argparse.Namespace) -> int:
    from nexrad_assets.commands.render import render_files  # noqa: PLC0415

    return render_files(options.files, options.out, options.product, options.size, options.jobs)


def _add_simulate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the folder to lay out as a bucket"
    )
    parser.add_argument(
        "--site", action="append", metavar="SITE", help="a site (again for more; default KPDT)"
    )
    parser.add_argument("--start", type=_moment, help="UTC time of the first volume (default: an hour ago)")
    parser.add_argument("--minutes", type=_positive, default=60, help="how long (default 60)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same bytes (default 1)")
    parser.add_argument(
        "--products", type=Path, metavar="DIR", help="also write the volumes' Level 3 products here"
    )
    parser.add_argument("--clear-air", action="store_true", help="no rain: pattern 35 in place of 212")
    parser.set_defaults(command=_simulate)


def _simulate(options: argparse.Namespace) -> int:
    from nexrad_assets.radar.sites import UnknownSite, site  # noqa: PLC0415
    from nexrad_assets.simulator.coverage import VCP_35, VCP_212  # noqa: PLC0415
    from nexrad_assets.simulator.network import write_volumes  # noqa: PLC0415

    try:
        sites = [site(name) for name in options.site or ["KPDT"]]
    except UnknownSite as fault:
        return _fail(str(fault))
    length = timedelta(minutes=options.minutes)
    start = options.start or datetime.now(UTC) - length
    written = write_volumes(
        options.out,
        sites,
        start,
        start + length,
        options.seed,
        pattern=VCP_35 if options.clear_air else VCP_212,
        progress=_progress,
        products_out=options.products,
    )
    products = f", their products in {options.products}" if options.products else ""
    print(f"{len(written)} volumes of {len(sites)} sites in {options.out}{products}")
    return 0


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done}/{total} volumes", end="" if done < total else "\n", file=sys.stderr, flush=True)


def _add_sites(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("pattern", nargs="?", default="", help="part of an id or name")
    parser.set_defaults(command=_sites)


def _sites(options: argparse.Namespace) -> int:
    from nexrad_assets.radar.sites import sites  # noqa: PLC0415

    wanted = options.pattern.casefold()
    found = [one for one in sites().values() if wanted in f"{one.id} {one.name}".casefold()]
    for one in found:
        place = f"{one.latitude_deg:9.4f} {one.longitude_deg:10.4f} {one.height_m:6.0f} m"
        print(f"{one.id}  {place}  {one.kind:8}  {one.name}")
    return 0 if found else _fail(f"no site matches {options.pattern!r}")


def _add_backfill(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--site", required=True, help="four-letter site id")
    parser.add_argument("--day", type=_day, required=True, help="UTC day, YYYY-MM-DD")
    parser.add_argument("--until", type=_day, help="last day of a range (default: the one day)")
    parser.add_argument(
        "--level", type=int, choices=(2, 3), default=2, help="2: volumes, 3: products (default 2)"
    )
    parser.add_argument("--force", action="store_true", help="fetch and render again what is there already")
    parser.set_defaults(command=_backfill)


def _backfill(options: argparse.Namespace) -> int:
    from nexrad_assets.commands.backfill import backfill  # noqa: PLC0415

    until = options.until or options.day
    days = [options.day + timedelta(days=n) for n in range((until - options.day).days + 1)]
    if not days:
        return _fail("--until is before --day")
    return backfill(options.site, days, options.level, force=options.force)


def _add_remove(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--site", required=True, help="four-letter site id")
    parser.add_argument("--day", type=_day, required=True, help="UTC day, YYYY-MM-DD")
    parser.set_defaults(command=_remove)


def _remove(options: argparse.Namespace) -> int:
    from nexrad_assets.commands.backfill import remove  # noqa: PLC0415

    return remove(options.site, options.day)


def _fail(message: str) -> int:
    print(f"nexrad: {message}", file=sys.stderr)
    return 1


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


def _even_size(text: str) -> int:
    size = _positive(text)
    if size % 2 or not 64 <= size <= 8192:
        raise argparse.ArgumentTypeError(f"{text} is not an even number from 64 to 8192")
    return size


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day like 2013-05-20") from None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time like 2025-04-09T12:00") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
