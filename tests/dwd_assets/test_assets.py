"""The archive in Dagster: a real instance, a simulated server, assets, sensors and checks as they are launched."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from dwd_assets import jobs, sensors
from dwd_assets.definitions import build_definitions
from dwd_assets.jobs import live_job_name
from dwd_assets.kinds.table import begin, collections
from dwd_assets.partitions import partitions_of, recent_periods
from dwd_assets.periods.progress import Due
from dwd_assets.settings import DwdSettings
from dwd_assets.simulator.catalogue import Parameter, every
from dwd_assets.simulator.faults import Fault
from dwd_assets.tags import DUE, LOST, MODE_TAG, WHY_TAG
from orchestration import runs
from orchestration.runs import LIVE
from store import keys
from store.dwd import ledger
from tests.dagster_homes import new_instance
from tests.dwd_assets.fields.model_world import CATALOGUE, FIELDS, V1_FILES, World, opened, remember

NOON = datetime(2026, 9, 16, 12, tzinfo=UTC)
PERIOD = "2026091612"
ALL_THERE = NOON + timedelta(hours=2, minutes=15)
FIRST = date(2026, 9, 1)
ICON = dg.AssetKey("icon_d2_files")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback is reached directly, whatever proxy the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


class Dagster:
    """Definitions and an instance over a world."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        settings = world.office.settings
        self.collections = {one.name: one for one in collections(settings)}
        self.definitions = build_definitions({"office": world.office}, settings)
        self.instance = new_instance(folder)
        self.cursors: dict[str, str | None] = {}

    def run(self, period: str, asset: str = "icon_d2_files", tags=None) -> dg.ExecuteInProcessResult:
        job = self.definitions.resolve_job_def(live_job_name(asset))
        return job.execute_in_process(
            partition_key=period, instance=self.instance, raise_on_error=False, tags=tags
        )

    def tick(self, name: str = "icon-d2") -> dg.SensorResult:
        with dg.build_sensor_context(instance=self.instance, cursor=self.cursors.get(name)) as context:
            result = sensors.tick(context, self.world.office, self.collections[name], FIRST)
        self.cursors[name] = result.cursor
        return result

    def asked(self, name: str = "icon-d2") -> list[str]:
        return [one.partition_key for one in self.tick(name).run_requests]

    def green(self, asset: dg.AssetKey = ICON) -> set[str]:
        return set(self.instance.get_materialized_partitions(asset))

    def observed(self, asset: dg.AssetKey = ICON) -> dict[str, object]:
        (record,) = self.instance.fetch_observations(asset, limit=1).records
        return {name: value.value for name, value in record.asset_observation.metadata.items()}


@pytest.fixture
def dagster(local_store, tmp_path) -> Iterator[Dagster]:
    with opened(local_store, ALL_THERE, mosmix=("L",), start_day=FIRST) as world:
        yield Dagster(world, tmp_path / "dagster")


def checks_of(result: dg.ExecuteInProcessResult) -> dict[str, tuple[bool, str]]:
    return {one.check_name: (one.passed, one.severity.value) for one in result.get_asset_check_evaluations()}


def test_a_whole_run_is_green_with_its_numbers(dagster):
    result = dagster.run(PERIOD)
    assert result.success
    assert dagster.green() == {PERIOD}
    (event,) = result.get_asset_materialization_events()
    told = {name: value.value for name, value in event.materialization.metadata.items()}
    assert (told["state"], told["expected"], told["kept"], told["missing"]) == (
        "complete",
        V1_FILES,
        V1_FILES,
        0,
    )
    assert {name: passed for name, (passed, _) in checks_of(result).items()} == {
        "everything_expected_is_kept": True,
        "nothing_is_strange": True,
    }


def test_a_run_that_is_not_whole_yet_is_not_green_but_observed_and_warned_of(dagster):
    dagster.world.simulator.fail("*T_2M*PT004H*", Fault.NOT_FOUND)
    result = dagster.run(PERIOD)
    assert result.success
    assert dagster.green() == set()
    told = dagster.observed()
    assert (told["state"], told["kept"], told["missing"]) == ("partial", V1_FILES - 1, 1)
    assert "t_2m" in told["missing_files"]
    assert told["minutes_left"] > 0
    assert checks_of(result)["everything_expected_is_kept"] == (False, "WARN")
    dagster.world.simulator.heal()
    dagster.world.simulator.clock.advance(timedelta(minutes=6))
    assert dagster.run(PERIOD).success
    assert dagster.green() == {PERIOD}


def told_of(dagster: Dagster, why: str, name: str = "icon-d2") -> list[str]:
    """The periods that a sensor asks for to say one thing, while nobody works on the others."""
    asked = []
    for _ in range(20):
        for one in dagster.tick(name).run_requests:
            asked += [one.partition_key] if one.tags[WHY_TAG] == why else []
    return asked


def test_a_run_whose_files_the_server_deleted_fails_and_says_what_is_lost(dagster):
    dagster.world.simulator.fail("*T_2M*PT004H*", Fault.NOT_FOUND)
    dagster.run(PERIOD)
    dagster.world.simulator.clock.turn(NOON + timedelta(hours=28))
    asked = told_of(dagster, LOST)
    assert asked == [PERIOD]
    result = dagster.run(PERIOD)
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "1 of" in failure.step_failure_data.user_failure_data.description
    assert checks_of(result)["everything_expected_is_kept"] == (False, "ERROR")
    assert PERIOD not in dagster.asked(), "a loss is told once"


def test_a_run_of_which_nobody_took_notice_is_told_as_lost(dagster):
    dagster.run(PERIOD)
    dagster.world.simulator.clock.turn(NOON + timedelta(hours=40))
    lost = told_of(dagster, LOST)
    assert lost == ["2026091615", "2026091618", "2026091621", "2026091700"]
    result = dagster.run(lost[0])
    assert not result.success
    assert checks_of(result)["everything_expected_is_kept"] == (False, "ERROR")


def test_what_was_lost_long_ago_is_told_too(dagster):
    dagster.run(PERIOD)
    dagster.asked()
    dagster.world.simulator.clock.turn(NOON + timedelta(days=6))
    dagster.world.simulator.fail("*", Fault.UNAVAILABLE)
    assert dagster.asked() == ["2026091615"]
    assert dagster.asked() == ["2026091618"]


def test_what_was_never_seen_on_the_server_is_a_warning_and_no_failure(dagster):
    """The server's own listing, made long after the run's last file, does not have what earlier runs had."""
    more = (Parameter("t_2m", steps=(*every(60, 4), 210)), *CATALOGUE.parameters[1:])
    remember(dagster.world.store, replace(CATALOGUE, parameters=more))
    dagster.run(PERIOD)
    assert dagster.world.ledger(NOON).unseen == ()
    dagster.world.simulator.clock.turn(NOON + timedelta(hours=6))
    dagster.run(PERIOD)
    (missing,) = dagster.world.ledger(NOON).missing
    assert "_00330_2d_t_2m" in missing
    assert dagster.world.ledger(NOON).unseen == (missing,)
    dagster.world.simulator.clock.turn(NOON + timedelta(hours=28))
    assert told_of(dagster, LOST) == [PERIOD]
    result = dagster.run(PERIOD)
    assert result.success
    assert dagster.green() == set()
    assert dagster.observed()["state"] == "unseen"
    assert checks_of(result)["everything_expected_is_kept"] == (False, "WARN")


def test_what_can_still_be_fetched_goes_before_the_telling_of_losses(dagster):
    dagster.run(PERIOD)
    dagster.world.simulator.clock.turn(NOON + timedelta(hours=40))
    first = [dagster.tick().run_requests[0].tags[WHY_TAG] for _ in range(3)]
    assert first == [DUE, DUE, DUE]


def test_a_damaged_ledger_is_mended_by_a_run_and_holds_up_no_other_period(dagster):
    dagster.run(PERIOD)
    whole = dagster.world.ledger(NOON)
    dagster.world.store.put(keys.ledger("icon-d2", "2026091609"), b"{")
    dagster.world.store.put(keys.ledger_summary("icon-d2", "2026091609"), b"{")
    assert dagster.asked() == ["2026091609"]
    assert dagster.run("2026091609").success
    assert "2026091609" in dagster.green()
    assert dagster.world.ledger(NOON) == whole


@pytest.mark.parametrize(
    ("name", "key"), [("icon-d2", keys.model_catalogue("icon-d2")), ("poi", keys.REPORTS_KNOWN)]
)
def test_a_sensor_puts_aside_what_it_cannot_read_and_goes_on(dagster, name, key):
    dagster.world.store.put(key, b"{")
    assert dagster.asked(name) == []
    (period,) = dagster.asked(name)
    assert dagster.run(period, dagster.collections[name].asset).success
    assert dagster.world.store.get(key).data != b"{"


def test_a_run_that_tells_of_a_loss_outlives_the_routine_ones(dagster, monkeypatch):
    monkeypatch.setattr(jobs, "KEEP_ROUTINE_RUNS", timedelta(0))
    ended = [
        dagster.run(PERIOD, tags={MODE_TAG: LIVE, WHY_TAG: why}).run_id for why in (DUE, LOST, DUE, LOST)
    ]
    job = dagster.definitions.resolve_job_def("dwd_prune_runs")
    for keep, left in ((timedelta(days=30), {ended[1], ended[3]}), (timedelta(0), set())):
        monkeypatch.setattr(jobs, "KEEP_RUNS_OF_LOSSES", keep)
        assert job.execute_in_process(instance=dagster.instance).success
        assert {run_id for run_id in ended if dagster.instance.has_run(run_id)} == left


def test_a_file_that_fails_verification_is_a_warning_with_its_reason(dagster):
    dagster.world.simulator.fail("*T_2M*PT004H*", Fault.PAGE)
    result = dagster.run(PERIOD)
    assert checks_of(result)["nothing_is_strange"] == (False, "WARN")
    assert "t_2m" in dagster.observed()["failures"]


def test_after_an_outage_the_oldest_run_goes_first_and_one_at_a_time(dagster):
    dagster.world.simulator.clock.turn(NOON + timedelta(hours=20))
    order = []
    while asked := dagster.asked():
        assert len(asked) == 1
        order.append(asked[0])
        assert dagster.run(asked[0], tags={MODE_TAG: LIVE}).success
        assert len(order) < 20
    whole = [period for period in order if period in dagster.green()]
    assert whole == sorted(whole)
    assert len(whole) >= 7
    assert PERIOD in dagster.green()


def turns(files: dict[str, int], memory: sensors.Memory, of: list[str]) -> tuple[str, sensors.Memory]:
    due = [Due(begin(period) + timedelta(hours=24), "icon-d2", period) for period in of]
    following, memory = sensors.next_turn(due, memory, files.__getitem__, ALL_THERE)
    return following.period, memory


def test_a_run_that_brings_nothing_lets_the_others_go_first():
    old, new = "2026091600", PERIOD
    files, memory, order = {old: 7, new: 0}, sensors.Memory(), []
    for _ in range(5):
        asked, memory = turns(files, memory, [old, new])
        files[new] += asked == new and files[new] < 2
        order.append(asked)
    assert order == [old, new, new, new, old], "the newer one has turns as long as it grows"


def test_a_run_that_grows_goes_on_before_later_ones():
    old, new = "2026091600", PERIOD
    files, memory = {old: 7, new: 0}, sensors.Memory()
    for _ in range(3):
        asked, memory = turns(files, memory, [old, new])
        assert asked == old
        files[old] += 1


def test_a_run_that_rests_does_not_get_ahead_again():
    rests, new = "2026091600", PERIOD
    files, memory = {rests: 7, new: 3}, sensors.Memory()
    _, memory = turns(files, memory, [rests])
    _, memory = turns({rests: 7, new: 2}, memory, [new])
    asked, _ = turns(files, memory, [rests, new])
    assert asked == new


def test_what_a_sensor_remembers_does_not_grow(dagster):
    memory = sensors.Memory(asked={"2026090100": 5, PERIOD: 1})
    _, after = turns({PERIOD: 2}, memory, [PERIOD])
    assert after.asked == {PERIOD: 2}


def test_a_run_that_always_fails_does_not_keep_the_others_from_being_asked_for(dagster):
    dagster.world.simulator.clock.turn(NOON + timedelta(hours=5))
    asked = {dagster.asked()[0] for _ in range(3)}
    assert len(asked) == 3, "none of them brought anything"


def test_nothing_that_is_no_partition_is_asked_for(local_store, tmp_path):
    with opened(local_store, ALL_THERE, start_day=FIRST) as world:
        dagster = Dagster(world, tmp_path / "dagster")
        world.simulator.fail("*T_2M*PT004H*", Fault.NOT_FOUND)
        dagster.run(PERIOD)
        world.simulator.clock.turn(NOON + timedelta(hours=28))
        icon, now = dagster.collections["icon-d2"], world.office.clock()
        lost, _ = sensors.newly_lost(world.office, icon, sensors.Memory(), now, date(2026, 9, 16))
        assert lost == [PERIOD]
        lost, _ = sensors.newly_lost(world.office, icon, sensors.Memory(), now, date(2026, 9, 17))
        assert lost == []


def test_a_run_that_is_at_work_for_long_is_not_taken_for_lost(dagster, monkeypatch):
    monkeypatch.setattr(runs, "SIGN_OF_LIFE_S", 0.05)
    dagster.world.simulator.fail("*T_2M*PT001H*", Fault.SLOW)
    result = dagster.run(PERIOD)
    messages = [entry.user_message for entry in dagster.instance.all_logs(result.run_id)]
    assert "still at work" in messages


@pytest.mark.parametrize(("level", "told"), [("info", True), ("warn", False)])
def test_a_run_tells_of_itself_as_the_log_level_says(local_store, tmp_path, level, told):
    with opened(local_store, ALL_THERE, start_day=FIRST, log_level=level) as world:
        world.simulator.fail("*T_2M*PT004H*", Fault.PAGE)
        dagster = Dagster(world, tmp_path / "dagster")
        result = dagster.run(PERIOD)
        messages = [entry.user_message for entry in dagster.instance.all_logs(result.run_id)]
        assert any("t_2m" in message for message in messages) == told


def test_a_sensor_waits_for_the_run_under_way(dagster):
    job = dagster.definitions.resolve_job_def(live_job_name("icon_d2_files"))
    run = dagster.instance.create_run_for_job(job, tags={MODE_TAG: LIVE})
    result = dagster.tick()
    assert not result.run_requests
    assert "under way" in result.skip_reason.skip_message
    dagster.instance.report_run_failed(run)
    assert dagster.asked()


def test_below_the_floor_nothing_is_asked_for_and_a_run_says_why(local_store, tmp_path):
    with opened(local_store, ALL_THERE, floor_bytes=1 << 60, start_day=FIRST) as world:
        dagster = Dagster(world, tmp_path / "dagster")
        result = dagster.tick()
        assert not result.run_requests
        assert "paused" in result.skip_reason.skip_message
        assert "STORE_FREE_FLOOR_BYTES" in result.skip_reason.skip_message
        failed = dagster.run(PERIOD)
        assert not failed.success
        assert not [each for each in world.simulator.requests if each.path.endswith(".grib2")]


def test_forecasts_and_reports_are_archived_by_the_same_mechanism(dagster):
    (issue,) = set(dagster.asked("mosmix-l")) or [None]
    assert dagster.run(issue, "mosmix_forecasts").success
    assert issue in dagster.green(dg.AssetKey("mosmix_forecasts"))
    (day,) = dagster.asked("poi")
    assert day == "20260916"
    assert dagster.run(day, "poi_reports").success
    assert dagster.asked("poi") == []
    assert day not in dagster.green(dg.AssetKey("poi_reports")), "the day is not over"


def test_a_day_of_reports_turns_green_when_it_is_over(dagster):
    dagster.run("20260916", "poi_reports")
    dagster.world.simulator.clock.turn(datetime(2026, 9, 17, 3, tzinfo=UTC))
    dagster.run("20260917", "poi_reports")
    assert "20260916" in dagster.green(dg.AssetKey("poi_reports"))


def test_an_old_day_of_reports_is_made_anew_of_the_raw_ones(dagster):
    dagster.run("20260916", "poi_reports")
    dagster.world.simulator.clock.turn(datetime(2026, 9, 17, 3, tzinfo=UTC))
    dagster.run("20260917", "poi_reports")
    dagster.world.simulator.clock.turn(datetime(2026, 9, 20, 3, tzinfo=UTC))
    asked = len(dagster.world.simulator.requests)
    assert dagster.run("20260916", "poi_reports").success
    assert len(dagster.world.simulator.requests) == asked


def test_a_day_of_reports_from_before_the_archive_began_is_not_called_lost(dagster):
    assert dagster.run("20260903", "poi_reports").success
    assert ledger.read_summary(dagster.world.store, "poi", "20260903") is None


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("icon-d2", "2026090100", PERIOD),
        ("mosmix-l", "2026090103", "2026091609"),
        ("poi", "20260901", "20260916"),
    ],
)
def test_partitions_are_the_periods_of_the_ledger_up_to_the_one_that_has_begun(dagster, name, first, last):
    partitions = partitions_of(dagster.collections[name], FIRST)
    now = datetime(2026, 9, 16, 14, tzinfo=UTC)
    keys = partitions.get_partition_keys(current_time=now)
    assert (keys[0], keys[-1]) == (first, last)
    recent = recent_periods(dagster.collections[name], now, timedelta(days=4))
    assert list(recent) == [key for key in keys if now - timedelta(days=4) <= begin(key)]


def test_a_backfill_policy_makes_a_run_a_partition():
    definitions = build_definitions(settings=DwdSettings(_env_file=None, fields=FIELDS))
    asset = definitions.get_assets_def(ICON)
    assert asset.backfill_policy == dg.BackfillPolicy.multi_run(max_partitions_per_run=1)


def test_sensors_run_by_themselves_only_where_the_settings_say_live():
    for live, status in ((False, dg.DefaultSensorStatus.STOPPED), (True, dg.DefaultSensorStatus.RUNNING)):
        definitions = build_definitions(settings=DwdSettings(_env_file=None, live=live))
        assert {one.default_status for one in definitions.sensors} == {status}
        assert len(definitions.sensors) >= 3


def test_importing_the_definitions_brings_no_decoder_and_no_plotting():
    program = "import sys, json, dwd_assets.definitions; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    modules = set(json.loads(done.stdout.splitlines()[-1]))
    assert not modules & {"eccodes", "gribapi", "matplotlib", "pyart", "boto3"}


def test_fields_are_regridded_as_they_come_and_the_run_turns_green_when_both_are_whole(local_store, tmp_path):
    cache = tmp_path / "cells"
    with opened(
        local_store,
        ALL_THERE,
        mosmix=(),
        reports=False,
        start_day=FIRST,
        regular_grid=True,
        geometry_cache=cache,
    ) as world:
        dagster = Dagster(world, tmp_path / "dagster")
        regular = dg.AssetKey("icon_d2_regular_files")
        collection = next(one for one in collections(world.office.settings) if one.made_of)
        dagster.collections["regular"] = collection
        assert dagster.tick("regular").skip_reason.skip_message == (
            "no run of icon-d2 of the last 2 days is in the archive"
        )
        world.simulator.fail("*T_2M*PT004H*", Fault.NOT_FOUND)
        dagster.run(PERIOD)
        assert dagster.asked("regular") == [PERIOD]
        assert dagster.run(PERIOD, "icon_d2_regular_files").success
        waits = "hours that wait for fields (1): t_2m of hour 004 waits for 004:00"
        assert waits in dagster.observed(regular)["not_made"]
        assert f"{PERIOD}: {waits}" in dagster.tick("regular").skip_reason.skip_message
        assert dagster.green(regular) == set()
        world.simulator.heal()
        world.simulator.clock.advance(timedelta(minutes=6))
        dagster.run(PERIOD)
        assert dagster.asked("regular") == [PERIOD]
        assert dagster.run(PERIOD, "icon_d2_regular_files").success
        assert dagster.green(regular) == {PERIOD}
        made = [path for path in world.ledger(NOON).kept if "regular-lat-lon" in path]
        # Five hours of four parameters (of the last quarters the first alone is selected), and HSURF.
        assert len(made) == 4 * 5 + 1
