"""The `dwd` command: what a person types, sees and scripts, on real stores and the simulated server."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from dwd_assets.archive.storing import Archive, Content
from dwd_assets.commands.main import main
from dwd_assets.formats.paths import version_path
from dwd_assets.mosmix.issues import Issue
from dwd_assets.opendata.client import Manners
from dwd_assets.simulator.catalogue import Catalogue, Parameter, constant, every
from dwd_assets.simulator.faults import Fault
from dwd_assets.simulator.server import Plan, Simulator
from store.dwd import ledger
from store.dwd.ledger import Corrected, Failed, Kept, Ledger, Source
from store.posix import PosixStore
from store.retry import Retry
from tests.dwd_assets.formats.grib.grid_cells import needs_eccodes
from tests.dwd_assets.formats.mosmix.mosmix_files import ISSUED, document, kmz, placemark, simple
from tests.dwd_assets.opendata.faulty_http import ELSEWHERE, FaultyHttp, serving
from tests.samples import SAMPLES, needs_samples
from tests.servers import free_ports

DWD = SAMPLES / "dwd"
REPORT = DWD / "poi_beob/10315-BEOB.csv"
MOSMIX_L = DWD / "mosmix_l/MOSMIX_L_2023041209_P0036.kmz"

FIELDS = "icon-d2/single/t_2m,vmax_10m/0-4;icon-d2/time-invariant/*"
FEW = Catalogue(
    parameters=(
        Parameter("t_2m", steps=every(60, 4)),
        Parameter("vmax_10m", steps=every(60, 4)),
        constant("hsurf"),
        constant("clat"),
        constant("clon"),
    )
)
RUN_FILES = 13


@dataclass(frozen=True)
class Ran:
    """What a command line came to."""

    status: int
    lines: tuple[str, ...]
    errors: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


Dwd = Callable[..., Ran]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty archive's folder that the environment names; no `.env` is in reach."""
    for name in [
        name for name in os.environ if name.startswith(("DWD_", "STORE", "ICON_", "FORECAST_", "REPORT_"))
    ]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("DWD_STORE", str(tmp_path / "archive"))
    monkeypatch.setenv("DWD_FIELDS", FIELDS)
    monkeypatch.setenv("STORE_FREE_FLOOR_BYTES", "0")
    return tmp_path / "archive"


@pytest.fixture
def dwd(folder: Path, capsys: pytest.CaptureFixture[str]) -> Dwd:
    """Runs a command line in this process."""

    def run(*arguments: object) -> Ran:
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as ended:
            status = ended.code
        told = capsys.readouterr()
        return Ran(status, tuple(told.out.splitlines()), tuple(told.err.splitlines()))

    return run


@pytest.fixture
def simulator(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """The server, standing still a little while ago, so that all that it has is settled."""
    with Simulator(datetime.now(UTC) - timedelta(minutes=2), seed=3, plan=Plan(catalogue=FEW)) as running:
        monkeypatch.setenv("DWD_SERVER", running.url)
        yield running


def whole_run(hours_ago: int = 9) -> str:
    """A run that is long whole, and still on the server."""
    run = datetime.now(UTC) - timedelta(hours=hours_ago)
    return f"{run.replace(hour=run.hour - run.hour % 3):%Y%m%d%H}"


def store(folder: Path) -> PosixStore:
    return PosixStore(folder)


# read


@needs_eccodes
@needs_samples
def test_every_sample_of_a_readable_kind_is_read_and_the_others_are_one_line_each(dwd: Dwd):
    files = sorted(path for path in DWD.rglob("*") if path.is_file())
    ran = dwd("read", *files)
    assert ran.status == 1
    heads = [line for line in ran.lines if line.startswith(str(DWD))]
    assert len(heads) == len(files) - 2
    assert [line.split(": ")[1] for line in ran.errors] == [
        str(DWD / "icon-d2/icon-d2_description.txt"),
        str(DWD / "index_html/dwd_opendata_index.html"),
    ]
    assert sum("GRIB2, 1 field" in line for line in heads) == 5
    assert "station   P0036 MUENSTER ZENTRUM" in ran.text
    assert "rows      25, 2023-04-11 11:00 UTC to 2023-04-12 11:00 UTC" in ran.text


@needs_samples
def test_a_column_is_printed_as_csv_finds_it(dwd: Dwd):
    english, _, _, *rows = csv.reader(io.StringIO(REPORT.read_text("latin-1")), delimiter=";")
    column = "maximum_wind_speed_last_hour"
    cells = [row[english.index(column)].replace(",", ".") for row in rows]
    ran = dwd("read", REPORT, "--column", column)
    assert ran.lines[0] == f"{REPORT}: {column} (km/h), 25 values"
    got = [line.split()[1] for line in ran.lines[1:]]
    assert [None if value == "-" else float(value) for value in got] == [
        None if cell == "---" else float(cell) for cell in cells
    ]
    assert ran.lines[1].startswith("2023-04-12T11:00Z  ")


@needs_eccodes
@needs_samples
def test_as_json_each_file_is_one_line(dwd: Dwd):
    grib = next((DWD / "icon-d2-v1").iterdir())
    ran = dwd("read", "--json", MOSMIX_L, grib, REPORT)
    forecast, fields, reports = (json.loads(line) for line in ran.lines)
    assert (forecast["kind"], forecast["station"], len(forecast["steps"])) == ("mosmix", "P0036", 247)
    assert forecast["elements"]["TTT"] == 247
    assert (fields["fields"][0]["packing"], fields["fields"][0]["points"]) == ("CCSDS", 542_040)
    assert (reports["kind"], reports["rows"], len(reports["columns"])) == ("reports", 25, 41)
    series = json.loads(dwd("read", "--json", "--element", "TTT", MOSMIX_L).lines[0])
    assert (len(series["values"]), series["values"][0]) == (247, ["2023-04-12T10:00:00Z", 282.75])


@needs_samples
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([MOSMIX_L, "--element", "TTTT"], "has no 'TTTT'; it has PPPP, E_PPP"),
        ([DWD / "nowhere.kmz"], "No such file or directory"),
        ([DWD], "Is a directory"),
    ],
)
def test_what_cannot_be_read_is_one_line(dwd: Dwd, arguments, told):
    ran = dwd("read", *arguments)
    assert (ran.status, len(ran.errors)) == (1, 1)
    assert ran.errors[0].startswith(f"dwd: {arguments[0]}: ")
    assert told in ran.errors[0]


def test_an_element_of_one_station_is_read_out_of_the_file_of_all(dwd: Dwd, tmp_path: Path):
    path = tmp_path / "MOSMIX_L_2026091609.kmz"
    path.write_bytes(kmz(document([simple("10315", 280.0), simple("K611", 290.0)])))
    ran = dwd("read", path, "--station", "k611", "--element", "TTT")
    assert (ran.status, ran.lines) == (
        0,
        (
            f"{path}: TTT (K), 3 values",
            "2026-09-16T10:00Z  290",
            "2026-09-16T11:00Z  291",
            "2026-09-16T12:00Z  292",
        ),
    )
    assert dwd("read", path, "--station", "10315").lines[1] == "  station   10315 ORT"
    missing = dwd("read", path, "--station", "10351", "--element", "TTT")
    assert (missing.status, missing.errors) == (
        1,
        (f"dwd: {path}: has no station '10351'; it has 2 others, nearest: 10315",),
    )


def test_grib_of_edition_1_is_named_as_such(dwd: Dwd, tmp_path: Path):
    path = tmp_path / "old.grib"
    path.write_bytes(b"GRIB" + (100).to_bytes(3) + b"\x01" + bytes(88) + b"7777")
    ran = dwd("read", path)
    assert (ran.status, len(ran.errors)) == (1, 1)
    assert "GRIB edition 1" in ran.errors[0]
    assert "only edition 2" in ran.errors[0]


# status

AT = datetime(2026, 9, 16, 14, tzinfo=UTC)
PATH = "weather/icon-d2/grib/2026091612/t_2m/a.grib2.lz4"


def told(folder: Path, collection: str, period: str, **changes: object) -> Ledger:
    return ledger.update(
        store(folder),
        collection,
        period,
        lambda before: msgspec.structs.replace(before, looked_at=AT, **changes),
    )


def kept(**changes: object) -> Kept:
    source = Source("http://x/", AT, 10, "0" * 64)
    return msgspec.structs.replace(Kept("a" * 64, 12, 2_000_000, AT, source), **changes)


def test_an_empty_archive_says_so(dwd: Dwd):
    ran = dwd("status")
    assert (ran.status, ran.lines[0]) == (0, "nothing of DWD is archived here yet")
    assert re.fullmatch(
        r"free: [\d.]+ GB; fetching pauses below the 0.00 GB of STORE_FREE_FLOOR_BYTES", ran.lines[1]
    )


def test_a_disk_below_the_floor_is_told(dwd: Dwd, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STORE_FREE_FLOOR_BYTES", str(10**18))
    assert dwd("status").lines[-1].endswith(": nothing more is fetched")


def test_the_newest_periods_of_each_collection_come_first(dwd: Dwd, folder: Path):
    soon = datetime.now(UTC) + timedelta(minutes=90, seconds=30)
    for hour in ("00", "03", "06", "09"):
        told(folder, "icon-d2", f"20260916{hour}", kept={PATH: kept()})
    told(folder, "icon-d2", "2026091612", kept={PATH: kept()}, missing=("x", "y"), deadline=soon)
    told(folder, "poi", "20260916", kept={"x": kept()}, missing=("y",), deadline=AT)
    ran = dwd("status", "--limit", 3)
    rows = [line.split() for line in ran.lines if line.startswith("  20")]
    assert [row[0] for row in rows] == ["2026091612", "2026091609", "2026091606", "20260916"]
    assert rows[0][1:8] == ["partial", "1/3", "2", "0", "0", "0.002", "90"]
    assert [row[1] for row in rows[1:]] == ["complete", "complete", "lost"]
    only = dwd("status", "poi", "--json")
    data = json.loads(only.text)
    assert list(data["collections"]) == ["poi"]
    assert data["collections"]["poi"][0]["state"] == "lost"
    assert data["collections"]["poi"][0]["expected"] == 2
    assert data["free_bytes"] > data["floor_bytes"] == 0


def test_a_period_is_told_whole(dwd: Dwd, folder: Path):
    told(
        folder,
        "poi",
        "20260916",
        kept={PATH: kept(notes=("a row is cut",))},
        missing=("b", "c"),
        failed={"b": Failed("b: an HTML page", AT, attempts=3)},
        warnings=("no report covers 05 UTC",),
        corrections=(Corrected("10315", AT, "dew_point", "8,3", "8,4", AT),),
    )
    ran = dwd("status", "poi", "20260916")
    assert ran.status == 0
    assert ran.lines[0].startswith(
        "poi 20260916: partial: 1/3 files kept, 2 missing, 1 failed, 0 changed, 1 values"
    )
    assert ran.text.split("\n", 2)[2] == (
        "missing (2):\n  b\n  c\n"
        "failed (1):\n  b: b: an HTML page (attempt 3, 2026-09-16 14:00:00 UTC)\n"
        "strange (1):\n  no report covers 05 UTC\n"
        f"noted (1):\n  {PATH}: a row is cut\n"
        "corrected (1):\n  10315 2026-09-16 14:00:00 UTC dew_point: 8,3 to 8,4 (2026-09-16 14:00:00 UTC)"
    )
    data = json.loads(dwd("status", "poi", "20260916", "--json").text)
    assert (data["state"], data["missing"], data["failed"]["b"]["attempts"]) == ("partial", ["b", "c"], 3)


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("icon-d2", "2026091612"), 1, "there is no ledger of icon-d2 2026091612"),
        (("..", "x"), 2, "'..' is not a known collection; poi, mosmix-l, mosmix-s, or a model: icon-d2"),
        (("icon-d2", "../../x"), 2, "'../../x' is not a run or issue YYYYMMDDHH (or 2026-11-21T06)"),
        (("icond2",), 2, "'icond2' is not a known collection; nearest: icon-d2, icon"),
        (("mosmix",), 2, "nearest: mosmix-l, mosmix-s"),
    ],
)
def test_a_period_or_collection_that_is_none_is_one_line(dwd: Dwd, arguments, status, told):
    ran = dwd("status", *arguments)
    assert (ran.status, ran.lines, len(ran.errors)) == (status, (), 1)
    assert told in ran.errors[0]


@pytest.mark.parametrize("spelled", ["2026091612", "2026-09-16T12", "2026-09-16T12:00Z", "2026-09-16 12:00"])
def test_a_period_may_be_spelled_as_people_do(dwd: Dwd, folder: Path, spelled):
    keep_one = keep(folder, PATH, b"one")
    told(folder, "icon-d2", "2026091612", kept={PATH: keep_one})
    ran = dwd("status", "icon-d2", spelled)
    assert (ran.status, ran.lines[0].split(":")[0]) == (0, "icon-d2 2026091612")
    assert dwd("verify", "icon-d2", spelled).lines[0].startswith("icon-d2 2026091612: 1 files")


def test_a_collection_that_only_the_archive_knows_is_no_unknown_one(dwd: Dwd, folder: Path):
    told(folder, "old-model", "2026091612", missing=("x",))
    assert dwd("status", "old-model").status == 0


@pytest.mark.s3
@pytest.mark.parametrize("command", [("status",), ("fetch", "mosmix-l"), ("fetch", "poi"), ("verify",)])
def test_a_bucket_that_does_not_exist_is_named(
    dwd: Dwd, simulator: Simulator, s3_server, monkeypatch: pytest.MonkeyPatch, command
):
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    ran = dwd(*command, "--store", "s3://nope")
    assert (ran.status, ran.lines, len(ran.errors)) == (1, (), 1)
    assert ran.errors[0].startswith("dwd: the bucket 'nope' does not exist (NoSuchBucket)")


# fetch, verify, and what is made here


def test_a_whole_run_is_fetched_and_the_second_pass_fetches_nothing(
    dwd: Dwd, simulator: Simulator, folder: Path
):
    run = whole_run()
    ran = dwd("fetch", "icon-d2", "--run", run)
    assert ran.status == 0, ran
    assert ran.lines[-1].startswith(f"icon-d2 {run}: complete: {RUN_FILES}/{RUN_FILES} files kept, 0 missing")
    assert f"{RUN_FILES} fetched" in ran.lines[-1]
    assert ledger.read(store(folder), "icon-d2", run).state(datetime.now(UTC)) == "complete"
    again = dwd("fetch", "icon-d2", "--run", run)
    assert (again.status, "this pass: 0 fetched" in again.lines[-1]) == (0, True)


def test_what_is_not_there_yet_gives_3_and_what_is_gone_4(dwd: Dwd, simulator: Simulator):
    simulator.fail("*/T_2M/*PT002H00M.grib2", Fault.NOT_FOUND)
    ran = dwd("fetch", "icon-d2", "--run", whole_run())
    assert (ran.status, "partial: 12/13 files kept, 1 missing" in ran.lines[-1]) == (3, True)
    gone = dwd("fetch", "icon-d2", "--run", "2026010100")
    assert (gone.status, gone.errors) == (4, ())
    assert gone.lines[-1] == "icon-d2 2026010100: nothing of it is kept, and the server has no more of it"


def test_only_the_fields_that_are_asked_for_are_fetched(dwd: Dwd, simulator: Simulator, folder: Path):
    run = whole_run()
    spelled = f"{run[:4]}-{run[4:6]}-{run[6:8]}T{run[8:]}:00Z"
    ran = dwd("fetch", "icon-d2", "--run", spelled, "--param", "T_2M,clat", "--hours", "0-1")
    assert ran.status == 3
    names = sorted(path.split("/")[4] for path in ledger.read(store(folder), "icon-d2", run).kept)
    assert names == ["clat", "clon", "t_2m", "t_2m"], "positions are what a field needs to be read"


def test_all_that_is_due_is_fetched_the_one_that_is_deleted_first_before_the_others(
    dwd: Dwd, simulator: Simulator
):
    ran = dwd("fetch", "mosmix-l")
    assert ran.status == 0
    told = [line.split()[1].rstrip(":") for line in ran.lines if ": complete: 5/5 files" in line]
    assert told == sorted(told)
    assert len(told) >= 7
    assert ran.lines[-1] == f"mosmix-l: {len(told)} periods, {len(told)} of them complete"
    assert dwd("fetch", "mosmix-l").lines == ("mosmix-l: nothing is due",)


NEXT_YEAR = f"{datetime.now(UTC).year + 1}"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["icon-d2", "--run", "2026091613"], "its hours are 00, 03"),
        (["icon-d2", "--run", "20260916"], "which are YYYYMMDDHH (or 2026-11-21T06)"),
        (["icon-d2", "--run", "yesterday"], "'yesterday' is not a period of icon-d2"),
        (["icon-d2", "--run", "2026-09-16T12:30"], "'2026-09-16T12:30' is not a period of icon-d2"),
        (["poi", "--day", "2026091612"], "which are YYYYMMDD (or 2026-11-21)"),
        (["icon-d2", "--run", f"{NEXT_YEAR}010100"], f"icon-d2 {NEXT_YEAR}010100 is in the future: it is "),
        (["mosmix-l", "--run", f"{NEXT_YEAR}-01-01T03"], "is in the future"),
        (["poi", "--day", f"{NEXT_YEAR}-01-01"], "is in the future"),
        (["poi", "--param", "t_2m"], "poi has no --param; allowed: --day, --station, --recheck"),
        (
            ["mosmix-s", "--levels", "single", "--hours", "0-1"],
            "mosmix-s has no --levels, --hours; allowed: --run, --station, --recheck",
        ),
        (
            ["icon-d2", "--station", "10315"],
            "icon-d2 has no --station; allowed: --run, --param, --levels, --hours, --recheck",
        ),
        (["poi", "--station", ", "], "has no names"),
        (["icon-eu"], "icon-eu is not in DWD_FIELDS: name its fields by --param"),
        (["icon-ue"], "'icon-ue' is not a known collection; nearest: icon"),
        (["mosmix"], "'mosmix' is not a known collection; nearest: mosmix-l, mosmix-s"),
        (["mosmixl", "--station", "10315"], "nearest: mosmix-l"),
        (["icon-d2", "--levels", "sky"], "not valid level types"),
        (["icon-d2", "--hours", "5-1"], "not valid hours"),
        (["../etc", "--param", "x"], "'..' is not a valid model"),
    ],
)
def test_what_makes_no_sense_is_wrong_usage(dwd: Dwd, arguments, told):
    ran = dwd("fetch", *arguments)
    assert (ran.status, ran.lines) == (2, ())
    assert told in ran.errors[-1]


ALL_STATIONS = "weather/local_forecasts/mos/MOSMIX_L/all_stations/kml/MOSMIX_L_{}.kmz"


def forecasts_kept(folder: Path, collection: str) -> dict[str, set[str]]:
    """The stations that the ledgers of forecasts have, by period; without an issue that did not come yet."""
    found = {}
    for period in (info.key[-15:-5] for info in store(folder).list(f"ledger/summaries/{collection}/")):
        kept = ledger.read(store(folder), collection, period).kept
        found[period] = {path.rpartition("/")[2].removesuffix("-MOSMIX.kmz") for path in kept}
    return {period: stations for period, stations in found.items() if stations}


def test_single_stations_are_fetched_of_every_issue_and_the_issue_still_expects_the_others(
    dwd: Dwd, simulator: Simulator, folder: Path
):
    ran = dwd("fetch", "mosmix-l", "--station", "10315,k611")
    assert ran.status == 3, ran
    kept = forecasts_kept(folder, "mosmix-l")
    assert len(kept) >= 7
    assert set(map(frozenset, kept.values())) == {frozenset({"10315", "K611"})}
    assert not any("all_stations" in asked.path for asked in simulator.requests if asked.method == "GET")
    assert all(": partial: 2/2+ files kept" in line for line in ran.lines if ": partial:" in line)

    again = dwd("fetch", "mosmix-l", "--station", "10315,K611")
    assert (again.status, again.lines) == (0, ("mosmix-l: nothing is due",))
    assert dwd("fetch", "mosmix-l").status == 0
    assert {len(stations) for stations in forecasts_kept(folder, "mosmix-l").values()} == {5}
    assert all(
        ledger.read(store(folder), "mosmix-l", period).state(datetime.now(UTC)) == "complete"
        for period in forecasts_kept(folder, "mosmix-l")
    )


def test_stations_of_a_product_without_single_files_are_taken_out_of_the_file_of_all(
    dwd: Dwd, simulator: Simulator, folder: Path
):
    issue = f"{simulator.clock.now() - timedelta(hours=2):%Y%m%d%H}"
    ran = dwd("fetch", "mosmix-s", "--run", issue, "--station", "1001")
    assert (ran.status, "partial: 1/5 files kept, 4 missing" in ran.lines[-1]) == (3, True), ran
    assert forecasts_kept(folder, "mosmix-s") == {issue: {"01001"}}
    before = len(simulator.requests)
    assert dwd("fetch", "mosmix-s", "--run", issue, "--station", "01001").status == 3
    assert len(simulator.requests) == before, "it is kept"
    assert dwd("fetch", "mosmix-s", "--run", issue).status == 0
    assert forecasts_kept(folder, "mosmix-s")[issue] == {"01001", "10315", "10384", "10637", "K611"}


@pytest.mark.parametrize("collection", ["mosmix-l", "mosmix-s", "poi"])
def test_a_station_that_the_server_does_not_have_is_wrong_usage_with_the_nearest_ones(
    dwd: Dwd, simulator: Simulator, folder: Path, collection
):
    ran = dwd("fetch", collection, "--station", "10315,K61,10348")
    assert (ran.status, ran.lines) == (2, ())
    assert ran.errors == (
        "dwd: unknown station 'K61' (nearest: K611); unknown station '10348' (nearest: 10384, 10637, 10315): "
        f"not among the stations of {collection} on the server",
    )
    (only,) = {asked.path for asked in simulator.requests}
    assert only.endswith("/poi/" if collection == "poi" else "/MOSMIX_L/single_stations/")
    odd = dwd("fetch", collection, "--station", "../x")
    assert (odd.status, "'../x' is not a valid station id" in odd.errors[0]) == (2, True)


def test_an_issue_is_fetched_again_with_recheck_and_another_content_is_kept_with_the_earlier_one_beside(
    dwd: Dwd, simulator: Simulator, folder: Path
):
    assert dwd("fetch", "mosmix-l").status == 0
    period = max(forecasts_kept(folder, "mosmix-l"))
    # A while ago, so that it is settled: if the clock went on, another issue might come.
    simulator.world.overwrite(f"/{ALL_STATIONS.format(period)}", simulator.clock.now() - timedelta(minutes=2))
    assert dwd("fetch", "mosmix-l").lines == ("mosmix-l: nothing is due",)
    ran = dwd("fetch", "mosmix-l", "--recheck")
    assert ran.status == 0, ran
    changed = [line for line in ran.lines if "files kept, 5 of them changed" in line]
    assert [line.split()[1] for line in changed] == [f"{period}:"]
    for path, each in ledger.read(store(folder), "mosmix-l", period).kept.items():
        (earlier,) = each.earlier
        assert (folder / version_path(path, earlier.sha256)).exists()
    assert dwd("verify", "mosmix-l").status == 0


def test_a_single_station_is_asked_for_again_with_recheck_without_a_condition(
    dwd: Dwd, simulator: Simulator, folder: Path
):
    assert dwd("fetch", "mosmix-l", "--station", "10315").status == 3
    period = max(forecasts_kept(folder, "mosmix-l"))
    path = f"weather/local_forecasts/mos/{period}/10315-MOSMIX.kmz"
    (folder / path).unlink()
    ran = dwd("fetch", "mosmix-l", "--run", period, "--station", "10315", "--recheck")
    assert ran.status == 3
    assert simulator.requests[-1].status == 200
    assert (folder / path).exists()


def test_reports_of_named_stations_alone_are_fetched_and_again_with_recheck(
    dwd: Dwd, simulator: Simulator, folder: Path
):
    def fetched() -> set[str]:
        asked = [each.path.rpartition("/")[2] for each in simulator.requests]
        return {name for name in asked if name.endswith(".csv")}

    assert dwd("fetch", "poi", "--station", "10315,K611").status == 3
    assert fetched() == {"10315-BEOB.csv", "K611_-BEOB.csv"}
    before = len(simulator.requests)
    assert dwd("fetch", "poi", "--station", "k611").status == 3
    assert {asked.path for asked in simulator.requests[before:]} == {"/weather/weather_reports/poi/"}
    before = len(simulator.requests)
    assert dwd("fetch", "poi", "--station", "k611", "--recheck").status == 3
    answers = {asked.path.rpartition("/")[2]: asked.status for asked in simulator.requests[before:]}
    assert answers["K611_-BEOB.csv"] == 200
    assert "10315-BEOB.csv" not in answers


def test_runs_that_are_complete_are_rechecked(dwd: Dwd, simulator: Simulator, folder: Path):
    run = whole_run()
    assert dwd("fetch", "icon-d2", "--run", run).status == 0
    assert run not in dwd("fetch", "icon-d2").text
    before = len(simulator.requests)
    ran = dwd("fetch", "icon-d2", "--recheck")
    assert any(line.startswith(f"icon-d2 {run}: complete") for line in ran.lines), ran
    of_run = f"/T_2M/r/{run[:4]}-{run[4:6]}-{run[6:8]}T{run[8:]}:00/"
    asked = [each for each in simulator.requests[before:] if of_run in each.path and each.method == "GET"]
    assert [each.status for each in asked] == [304] * 5


def test_a_model_that_the_server_does_not_have_is_wrong_usage(dwd: Dwd, simulator: Simulator):
    ran = dwd("fetch", "icon-d3", "--param", "t_2m")
    assert (ran.status, ran.errors) == (
        2,
        ("dwd: 'icon-d3' is not a known collection; nearest: icon-d2, icon, icon-eu",),
    )


def test_an_issue_that_is_not_there_yet_is_waited_for_and_not_called_gone(dwd: Dwd, simulator: Simulator):
    simulator.fail("*/MOSMIX_S_*", Fault.NOT_FOUND)
    ran = dwd("fetch", "mosmix-s", "--run", f"{datetime.now(UTC):%Y-%m-%dT%H}")
    assert (ran.status, ": waiting: 0/0 files kept" in ran.lines[-1]) == (3, True), ran


def test_half_an_issue_gives_3_and_what_is_odd_in_a_whole_one_1(
    dwd: Dwd, simulator: Simulator, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    issues = [simulator.clock.now() - timedelta(hours=hours) for hours in (3, 2)]
    assert dwd("fetch", "mosmix-s", "--run", f"{issues[0]:%Y%m%d%H}").status == 0
    simulator.fail("*/all_stations/kml/MOSMIX_S_*", Fault.HALF_ISSUE, 1)
    ran = dwd("fetch", "mosmix-s", "--run", f"{issues[1]:%Y%m%d%H}")
    assert (ran.status, "partial: 2/5 files kept, 3 missing" in ran.lines[-1]) == (3, True), ran
    status = dwd("status", "mosmix-s", f"{issues[1]:%Y%m%d%H}")
    assert "strange (1):\n  3 of 5 expected stations are not in the file: 10384, 10637, K611" in status.text
    assert dwd("fetch", "mosmix-s", "--run", f"{issues[1]:%Y%m%d%H}").status == 0

    data = kmz(document([simple("10315"), placemark("K611", {"TTT": [1, 2, 3]}, at="nowhere")]))
    issue = Issue("L", ISSUED)
    with serving(FaultyHttp(files={issue.address: data})) as server:
        ran = dwd("fetch", "mosmix-l", "--run", issue.period, "--server", server.url)
    line = f"{issue.name}: 1 stations without a readable name and position: K611"
    assert (ran.status, ran.errors) == (1, (f"dwd: mosmix-l {issue.period}: {line}",))


def test_a_redirect_is_named_with_its_target_and_the_setting(dwd: Dwd, folder: Path):
    with serving(FaultyHttp()) as server:
        server.faults["/weather/"] = ["301"]
        ran = dwd("fetch", "mosmix-l", "--server", server.url)
    assert (ran.status, len(ran.errors)) == (1, 1)
    assert f"301 Moved Permanently, a redirect to {ELSEWHERE}" in ran.errors[0]
    assert "set DWD_SERVER" in ran.errors[0]


def test_a_server_that_is_not_there_is_a_fault_and_never_nothing_is_due(
    dwd: Dwd, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("dwd_assets.periods.context.manners", lambda settings: Manners(retry=Retry(1)))
    ran = dwd("fetch", "mosmix-l", "--server", f"http://127.0.0.1:{free_ports(1)[0]}")
    assert (ran.status, ran.lines, len(ran.errors)) == (1, (), 1)
    assert "Connection refused" in ran.errors[0]


def test_below_the_floor_nothing_is_fetched(dwd: Dwd, simulator: Simulator, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("STORE_FREE_FLOOR_BYTES", str(10**18))
    ran = dwd("fetch", "icon-d2", "--run", whole_run())
    assert (ran.status, len(ran.errors)) == (1, 1)
    assert "STORE_FREE_FLOOR_BYTES" in ran.errors[0]


def test_a_setting_that_is_wrong_is_one_line_with_its_name(dwd: Dwd, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DWD_FIELDS", "icon-d2")
    monkeypatch.setenv("DWD_CONNECTIONS", "0")
    ran = dwd("status")
    assert (ran.status, len(ran.errors)) == (1, 1)
    assert "DWD_CONNECTIONS: " in ran.errors[0]
    assert "DWD_FIELDS: " in ran.errors[0]


def test_the_command_line_goes_before_the_environment(
    dwd: Dwd, simulator: Simulator, tmp_path: Path, monkeypatch
):
    monkeypatch.setenv("DWD_SERVER", "http://127.0.0.1:1")
    ran = dwd("fetch", "poi", "--server", simulator.url, "--store", tmp_path / "other")
    assert ran.status == 3, ran
    assert list((tmp_path / "other/weather/weather_reports/poi").rglob("*-BEOB.csv"))
    assert not (tmp_path / "archive/weather").exists()


def test_a_day_of_reports_is_made_again_of_the_raw_ones(dwd: Dwd, simulator: Simulator, folder: Path):
    assert dwd("fetch", "poi").status == 3
    day = f"{simulator.clock.now() - timedelta(days=1):%Y%m%d}"
    path = folder / f"weather/weather_reports/poi/{day}/10315-BEOB.csv"
    before = path.read_bytes()
    path.unlink()
    ran = dwd("rebuild", "poi", day)
    assert (ran.status, path.read_bytes()) == (0, before)
    assert dwd("verify", "poi").status == 0


@needs_eccodes
def test_a_run_is_made_on_the_regular_grid(dwd: Dwd, simulator: Simulator, folder: Path):
    run = whole_run()
    assert dwd("fetch", "icon-d2", "--run", run).status == 0
    ran = dwd("regrid", run)
    assert ran.status == 0, ran
    made = [path for path in ledger.read(store(folder), "icon-d2", run).kept if "regular-lat-lon" in path]
    assert len(made) == 11
    assert f"{len(made)} files written" in ran.lines[-1]
    field = dwd("read", folder / made[0])
    assert "1215 x 746 of 0.02 x 0.02 deg" in field.text


def test_a_run_that_is_not_there_is_not_regridded_and_that_is_said(dwd: Dwd):
    ran = dwd("regrid", "2026091612", "--model", "icon-eu")
    assert ran.status == 1
    assert "no such run: the archive has no ledger of icon-eu 2026091612" in ran.text


@pytest.mark.parametrize(
    "arguments",
    [
        ("regrid", "2026091612", "--model", "icon-eps"),
        ("rebuild", "poi", "2026-09-16T00"),
        ("verify", "icon-d2", "2026-9-16"),
        ("regrid", "2026-09-16"),
        ("rebuild", "poi", "2026916"),
        ("regrid", "20260916"),
        ("regrid", "x"),
    ],
)
def test_days_and_runs_are_checked(dwd: Dwd, arguments):
    assert dwd(*arguments).status == 2


@pytest.mark.parametrize("command", ["status", "verify", "rebuild"])
def test_an_unknown_collection_is_named_with_the_nearest_one(dwd: Dwd, command):
    ran = dwd(command, "pio", "20260916")
    assert (ran.status, ran.errors) == (2, ("dwd: 'pio' is not a known collection; nearest: poi",))


# verify


def keep(folder: Path, path: str, content: bytes, before: Kept | None = None) -> Kept:
    return Archive(store(folder)).keep(path, Content.packed(content), None, before, AT)


@pytest.fixture
def two_files(folder: Path) -> tuple[str, str]:
    """Two files in a ledger, the second with an earlier version."""
    first, second = PATH, PATH.replace("a.grib2", "b.grib2")
    changed = keep(folder, second, b"new", keep(folder, second, b"old"))
    told(folder, "icon-d2", "2026091612", kept={first: keep(folder, first, b"one"), second: changed})
    return first, second


def test_what_is_as_the_ledger_says_is_verified(dwd: Dwd, two_files):
    ran = dwd("verify")
    assert (ran.status, ran.lines[-1]) == (0, "1 periods, 3 files, 0 not as the ledger says")


def test_missing_damaged_and_exchanged_files_are_told(dwd: Dwd, folder: Path, two_files):
    first, second = two_files
    (folder / first).write_bytes((folder / first).read_bytes()[:-1])
    earlier = next((folder / second).parent.glob("b.grib2.lz4.*"))
    earlier.unlink()
    ran = dwd("verify", "icon-d2", "2026091612")
    assert ran.status == 1
    assert [line.strip().split(": ")[0] for line in ran.lines[1:-1]] == [
        first,
        str(earlier.relative_to(folder)),
    ]
    assert "damaged: " in ran.lines[1]
    assert ran.lines[2].endswith(": missing")
    store(folder).put(first, Content.packed(b"another").stored)
    assert "the ledger says" in dwd("verify").lines[1]


def test_a_file_that_a_kill_left_ahead_of_its_ledger_is_no_damage(dwd: Dwd, folder: Path, two_files):
    first, _ = two_files
    known = ledger.read(store(folder), "icon-d2", "2026091612").kept[first]
    keep(folder, first, b"newer", known)
    assert (folder / version_path(first, known.sha256)).exists()
    assert dwd("verify").status == 0


def test_a_constant_that_is_held_elsewhere_is_read_there(dwd: Dwd, folder: Path):
    held = "weather/icon-d2/grib/2026091600/hsurf/h.grib2.lz4"
    other = held.replace("2026091600", "2026091612")
    original = keep(folder, held, b"heights")
    told(folder, "icon-d2", "2026091612", kept={other: msgspec.structs.replace(original, held_at=held)})
    assert dwd("verify").status == 0
    (folder / held).unlink()
    ran = dwd("verify")
    assert (ran.status, ran.lines[1].strip()) == (1, f"{held}: missing")


def test_a_period_without_a_ledger_cannot_be_verified(dwd: Dwd, two_files):
    ran = dwd("verify", "icon-d2", "2026091600")
    assert (ran.status, ran.errors) == (1, ("dwd: nothing is recorded of icon-d2 2026091600",))


# As a process of its own


def child(*arguments: object, **kwargs) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "dwd_assets.commands.main", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
        **kwargs,
    )


def test_the_script_that_is_installed_is_this_command():
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert project["project"]["scripts"]["dwd"] == "dwd_assets.commands.main:main"
    process = child("--help")
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert all(
        name in text for name in ("status", "fetch", "read", "verify", "rebuild", "regrid", "simulate")
    )


@needs_samples
def test_a_reader_that_goes_away_and_a_bad_file_leave_no_traceback():
    process = child("read", *[MOSMIX_L] * 200, "--element", "TTT")
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(timeout=60) == 128 + signal.SIGPIPE
    bad = child("read", DWD / "index_html/dwd_opendata_index.html")
    _, errors = bad.communicate(timeout=60)
    assert (bad.returncode, errors.count("\n"), "Traceback" in errors) == (1, 1, False)


def test_the_server_plays_until_it_is_interrupted():
    process = child("simulate", "--port", 0, "--speed", 100_000, "--start", "2026-09-16T12:00")
    try:
        head = process.stdout.readline()
        url = re.match(r"(http://127\.0\.0\.1:\d+) plays DWD's server from 2026-09-16 12:00 UTC on", head)[1]
        assert f"DWD_SERVER={url}" in process.stdout.readline()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{url}/weather/weather_reports/poi/", timeout=10) as page:
            assert b"10315-BEOB.csv" in page.read()
        hours = list(iter(lambda: re.sub(r".*: (\d+) requests.*", r"\1", process.stdout.readline()), "1\n"))
        assert set(hours) <= {"0\n"}
        assert re.match(
            r"2026-\d\d-\d\d \d\d:\d\d UTC, newest run 2026\d{6}: 0 requests, 0.0 MB",
            process.stdout.readline(),
        )
    finally:
        process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, "")


def test_a_port_that_is_taken_is_one_line(dwd: Dwd, simulator: Simulator):
    ran = dwd("simulate", "--port", simulator.url.rpartition(":")[2])
    assert (ran.status, len(ran.errors)) == (1, 1)
    assert "in use" in ran.errors[0]
