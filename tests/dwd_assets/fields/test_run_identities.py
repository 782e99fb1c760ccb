"""Files that are sound and not what their path says: another parameter, two messages, positions of another grid."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dwd_assets.fields import storing
from dwd_assets.fields.history import read_history, update_history
from dwd_assets.fields.identity import (
    FieldIdentities,
    Identity,
    KnownField,
    Observed,
    changed,
    differences,
    observe,
    odd_steps,
)
from dwd_assets.fields.run_identities import _note_change
from dwd_assets.fields.verification import check_field
from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.grib.sections import split
from dwd_assets.formats.paths import archive_path, parse_archive_path, version_path
from dwd_assets.simulator import server
from dwd_assets.simulator.catalogue import QUANTITIES, Catalogue, Parameter, constant, every
from dwd_assets.simulator.faults import Fault
from dwd_assets.simulator.fields import FieldWriter
from dwd_assets.simulator.server import Plan
from tests.dwd_assets.fields.model_world import CATALOGUE, V1_FILES, World, opened
from tests.samples import SAMPLES, needs_samples

NOON = datetime(2026, 9, 16, 12, tzinfo=UTC)
ALL_THERE = NOON + timedelta(hours=2, minutes=15)
RUN = timedelta(hours=3)
RETRY = timedelta(minutes=6)
T_2M = "weather/icon-d2/grib/{0}/t_2m/icon-d2_icosahedral_single_{0}_00100_2d_t_2m.grib2.lz4"
FR_LAND = "weather/icon-d2/grib/{0}/fr_land/icon-d2_icosahedral_single_{0}_00000_2d_fr_land.grib2.lz4"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback is reached directly, whatever proxy the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def wait(world: World, by: timedelta = RETRY) -> None:
    world.simulator.clock.advance(by)


def address(parameter: str, run: str, step: str) -> str:
    return f"/weather/nwp/v1/m/icon-d2/p/{parameter}/r/{run}/s/{step}.grib2"


# One file


@needs_samples
def test_gusts_served_as_temperature_are_refused_by_the_height_that_the_name_gives():
    data = (SAMPLES / "cases" / "dwd" / "VMAX_10M_served_as_T_2M.grib2").read_bytes()
    key = FieldKey(
        "icon-d2", datetime(2026, 11, 30, 12, tzinfo=UTC), "t_2m", "single", None, 180, None, "icosahedral"
    )
    with pytest.raises(FormatError, match=r"height is Surface\(type=103, value=10.0\)"):
        check_field(data, key, "T_2M", None)
    assert check_field(data, replace(key, parameter="vmax_10m"), "VMAX_10M", None).notes == ()


@needs_samples
def test_gusts_served_as_temperature_differ_from_the_other_steps_in_numbers_and_process():
    gusts = (SAMPLES / "cases" / "dwd" / "VMAX_10M_served_as_T_2M.grib2").read_bytes()
    temperature = (SAMPLES / "dwd/icon-d2-v1/T_2M_2020-07-28T00_PT000H00M.made-ccsds.grib2").read_bytes()
    (came,), (known,) = (
        [observe([message], None) for message, _ in split(data, "f")] for data in (gusts, temperature)
    )
    found = differences(KnownField(known.identity), came, 180)
    assert [line.split(" ")[0] for line in found] == ["category", "number", "process", "first"]
    assert "number is 22, in other steps and runs 0" in found


# A run


def test_another_parameter_is_refused_and_kept_beside_and_the_run_is_not_complete(store):
    with opened(store, ALL_THERE) as world:
        world.archive(NOON)
        assert world.state(NOON) == "complete"
        later = NOON + RUN
        path, place = T_2M.format("2026091615"), address("T_2M", "2026-09-16T15:00", "PT001H00M")
        world.simulator.fail(place, Fault.WRONG_PARAMETER)
        world.simulator.clock.turn(later + timedelta(hours=2, minutes=15))
        done = world.archive(later)
        assert list(done.failed) == [path]
        assert "is not what its path says" in done.failed[path] or "height is" in done.failed[path]
        assert world.state(later) == "partial"
        assert path not in world.stored_files()
        world.simulator.heal()
        wait(world)
        world.archive(later)
        assert world.state(later) == "complete"
        world.audit(later)


def test_what_differs_in_numbers_alone_is_kept_beside_its_path(store):
    catalogue = replace(CATALOGUE, parameters=(*CATALOGUE.parameters, Parameter("clct"), Parameter("pmsl")))
    with opened(store, ALL_THERE, catalogue=catalogue) as world:
        world.archive(NOON)
        later = NOON + RUN
        path = "weather/icon-d2/grib/2026091615/clct/icon-d2_icosahedral_single_2026091615_00100_2d_clct.grib2.lz4"
        world.simulator.fail(address("CLCT", "2026-09-16T15:00", "PT001H00M"), Fault.WRONG_PARAMETER)
        world.simulator.clock.turn(later + timedelta(hours=2, minutes=15))
        done = world.archive(later)
        assert "number is" in done.failed[path]
        beside = done.failed[path].rpartition("kept as ")[2]
        assert beside in world.stored_files()
        assert path not in world.stored_files()
        assert beside.startswith(f"{path}.")
        assert world.ledger(later).missing == (path,)


def test_of_a_new_archive_the_first_to_come_may_be_the_wrong_one(local_store):
    """Nothing is known before: one wrong file against four right ones."""
    catalogue = Catalogue(
        parameters=(
            Parameter("clct"),
            Parameter("pmsl"),
            Parameter("relhum"),
            constant("clat"),
            constant("clon"),
        ),
        columns=5,
        rows=4,
    )
    run = "2026-09-16T12:00"
    with opened(
        local_store,
        NOON + timedelta(minutes=66),
        catalogue=catalogue,
        fields=("icon-d2/single/clct,relhum",),
        is_new=True,
    ) as world:
        world.simulator.fail(address("CLCT", run, "PT001H00M"), Fault.WRONG_PARAMETER, times=1)
        world.archive(NOON)
        path = "weather/icon-d2/grib/2026091612/clct/icon-d2_icosahedral_single_2026091612_00100_2d_clct.grib2.lz4"
        assert path in world.ledger(NOON).kept, "nothing says yet that it is wrong"
        while world.now < NOON + timedelta(hours=6):
            world.archive(NOON)
            wait(world, timedelta(minutes=15))
        assert world.state(NOON) == "complete"
        world.audit(NOON)
        assert any("differs from most steps" in line for line in world.lines)
        assert [each for each in world.stored_files() if each.startswith(f"{path}.")], (
            "nothing is thrown away"
        )


def test_two_constants_with_the_same_bytes_are_both_asked_for_again(local_store):
    catalogue = replace(CATALOGUE, parameters=(*CATALOGUE.parameters, constant("fr_land")))
    with opened(local_store, ALL_THERE, catalogue=catalogue) as world:
        place = address("FR_LAND", "2026-09-16T12:00", "PT000H00M")
        world.simulator.fail(place, Fault.WRONG_PARAMETER, times=1)
        done = world.archive(NOON)
        assert {path.split("/")[-2] for path in done.failed} == {"fr_land", "hsurf"}
        assert all("same bytes as" in reason for reason in done.failed.values())
        assert FR_LAND.format("2026091612") not in world.stored_files()
        assert world.state(NOON) == "partial"
        wait(world)
        world.archive(NOON)
        assert world.state(NOON) == "complete"
        world.audit(NOON)


@pytest.mark.parametrize("is_new", [False, True])
def test_the_same_message_twice_is_refused_and_named(local_store, is_new):
    with opened(local_store, ALL_THERE, is_new=is_new) as world:
        world.simulator.fail(address("T_2M", "2026-09-16T12:00", "PT001H00M"), Fault.TWO_MESSAGES)
        done = world.archive(NOON)
        assert list(done.failed) == [T_2M.format("2026091612")]
        assert "has the same message more than once, in 2 messages" in done.failed[T_2M.format("2026091612")]
        assert world.state(NOON) == "partial"


_STATUS = 35
"""Where the production status of the data stands in a file."""


@pytest.mark.parametrize("is_new", [False, True])
def test_two_messages_where_the_layout_says_one_are_reported_and_refused_where_more_is_known(
    local_store, monkeypatch, is_new
):
    def doubled(content: bytes) -> bytes:
        return content + content[:_STATUS] + bytes([content[_STATUS] ^ 1]) + content[_STATUS + 1 :]

    monkeypatch.setitem(server._SPOILS, Fault.TWO_MESSAGES, doubled)
    if not is_new:
        with opened(local_store, ALL_THERE - RUN) as world:
            world.archive(NOON - RUN)
    with opened(local_store, ALL_THERE, is_new=is_new) as world:
        world.simulator.fail(address("T_2M", "2026-09-16T12:00", "PT00[1-4]*"), Fault.TWO_MESSAGES)
        done = world.archive(NOON)
        if is_new:
            assert done.failed == {}
            assert (
                "t_2m: 4 files have several messages where the layout has one" in world.ledger(NOON).warnings
            )
        else:
            assert len(done.failed) == 4
            assert all("messages is 2, in other steps and runs 1" in each for each in done.failed.values())
            assert world.state(NOON) == "partial"


def test_a_parameter_that_changes_for_good_is_reported_twice_and_then_expected(local_store, monkeypatch):
    with opened(local_store, ALL_THERE) as world:
        for number in range(2):
            world.simulator.clock.turn(NOON + number * RUN + timedelta(hours=2, minutes=15))
            world.archive(NOON + number * RUN)
            assert world.state(NOON + number * RUN) == "complete"
        monkeypatch.setitem(QUANTITIES, "td_2m", replace(QUANTITIES["td_2m"], number=7))
        states = []
        for number in range(2, 5):
            run = NOON + number * RUN
            world.simulator.clock.turn(run + timedelta(hours=2, minutes=15))
            done = world.archive(run)
            states.append((world.state(run), len(done.failed)))
        assert states == [("partial", 5), ("partial", 5), ("complete", 0)]


@pytest.mark.parametrize(
    ("ranges", "odd"),
    [
        ({60: 60, 120: 120, 180: 60, 240: 240, 300: 300}, (180,)),
        ({60: 60, 120: 60, 180: 180, 240: 60, 300: 60}, (180,)),
        ({60: 60, 120: 120, 180: 60, 240: 240}, ()),
        ({hour * 60: (hour % 6 or 6) * 60 for hour in range(1, 25)}, ()),
        ({60: 60, 120: 120, 180: 180, 240: 240}, ()),
        ({}, ()),
    ],
)
def test_of_a_first_run_the_interval_of_one_step_is_compared_with_the_others(ranges, odd):
    assert odd_steps(ranges) == odd


def test_an_odd_interval_of_a_first_run_is_put_aside_and_the_right_file_is_taken(local_store, monkeypatch):
    """As a server does that accumulates from another time at one step."""
    real = storing.check_field

    def shortened(data, key, name, decoder):
        found = real(data, key, name, decoder)
        if key.parameter == "tot_prec" and key.step_minutes == 90:
            return replace(found, observed=replace(found.observed, range_minutes=15))
        return found

    monkeypatch.setattr(storing, "check_field", shortened)
    with opened(local_store, ALL_THERE, is_new=True) as world:
        done = world.archive(NOON)
        (path,) = done.failed
        assert "tot_prec" in path
        assert done.failed[path] == "covers 15 minutes, unlike the other steps of the run"
        assert path not in world.ledger(NOON).kept
        monkeypatch.undo()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        wait(world)
        assert world.archive(NOON).failed == {}
        assert path in world.ledger(NOON).kept


def test_faults_of_intervals_that_are_far_apart_or_few_are_no_change():
    known = proven_field(ranges={60 * hour: 60 * hour for hour in range(1, 9)})
    other = Identity(0, 1, 53, 1)
    once = changed(known, other, NOON)
    assert changed(once, other, NOON + timedelta(days=30)).identity == known.identity
    assert changed(once, other, NOON + timedelta(hours=6)).identity == other
    identities = FieldIdentities({"tot_prec single  icosahedral": known})
    odd = Observed(known.identity, 60, None)
    with pytest.raises(FormatError, match="it covers 60 minutes at step 180, by other steps and runs 180"):
        identities.check("tot_prec single  icosahedral", 180, "a", odd, "f")
    _note_change(NOON, "tot_prec single  icosahedral", ["a"], 8, identities)
    assert identities.learned["tot_prec single  icosahedral"] == known


def proven_field(ranges: dict[int, int]) -> KnownField:
    return KnownField(Identity(0, 1, 52, 1), ranges, proven=True)


def test_two_passes_at_the_same_time_keep_what_each_has_learned():
    start = {"a": KnownField(Identity(0, 0, 0)), "b": KnownField(Identity(0, 0, 1))}
    one, other = FieldIdentities(dict(start)), FieldIdentities(dict(start))
    one.replace("a", KnownField(Identity(0, 0, 0), proven=True))
    other.replace("b", None)
    other.replace("c", KnownField(Identity(0, 0, 2)))
    stored = other.merged(one.merged(start))
    assert stored == {"a": KnownField(Identity(0, 0, 0), proven=True), "c": KnownField(Identity(0, 0, 2))}


def test_another_parameter_under_a_name_is_never_taken_for_a_change_of_that_parameter(local_store):
    """The one file of step 0 is all of its kind in a run: that it comes in many runs proves nothing."""
    with opened(local_store, ALL_THERE) as world:
        for number in range(2):
            world.simulator.clock.turn(NOON + number * RUN + timedelta(hours=2, minutes=15))
            world.archive(NOON + number * RUN)
        world.simulator.fail("*/p/TOT_PREC/r/*/s/PT000H00M.grib2", Fault.WRONG_PARAMETER)
        for number in range(2, 6):
            run = NOON + number * RUN
            world.simulator.clock.turn(run + timedelta(hours=2, minutes=15))
            done = world.archive(run)
            assert [path.split("/")[-2] for path in done.failed] == ["tot_prec"]
            assert world.state(run) == "partial"


def test_an_interval_that_differs_from_other_steps_and_runs_is_named():
    known = KnownField(Identity(0, 1, 52, 1), {step: step for step in range(0, 300, 60)}, proven=True)
    came = replace(observed(known.identity), range_minutes=60)
    assert differences(known, came, 120) == ("it covers 60 minutes at step 120, by other steps and runs 120",)
    assert differences(known, replace(came, range_minutes=900), 900) == ()
    assert differences(known, came, 900) == ("it covers 60 minutes at step 900, by other steps and runs 900",)


def test_extremes_that_start_again_every_six_hours_are_no_change():
    ranges = {step: (step - 1) % 360 + 1 for step in range(60, 1500, 60)}
    known = KnownField(Identity(0, 0, 0, 2), ranges, proven=True)
    assert differences(known, replace(observed(known.identity), range_minutes=300), 1500) == ()
    assert differences(known, replace(observed(known.identity), range_minutes=60), 720) != ()


def observed(identity: Identity):
    (message,) = [message for message, _ in split(FieldWriter(1, CATALOGUE).grib(KEY, "ccsds", 0), "f")]
    return replace(observe([message], None), identity=identity)


KEY = FieldKey("icon-d2", NOON, "t_2m", "single", None, 60, None, "icosahedral")


def test_a_change_is_adopted_after_two_runs_that_agree():
    known = KnownField(Identity(0, 0, 0), proven=True)
    other, third = Identity(0, 0, 6), Identity(0, 0, 7)
    once = changed(known, other, NOON)
    assert once.identity == known.identity
    assert changed(once, other, NOON) == once, "the same run says nothing more"
    assert changed(once, third, NOON + RUN).identity == known.identity
    assert changed(once, other, NOON + RUN).identity == other


# What a field needs to be read


def test_positions_come_with_every_selection_of_triangles(local_store):
    with opened(local_store, ALL_THERE, fields=("icon-d2/single/t_2m/0-4",)) as world:
        world.archive(NOON)
        assert world.state(NOON) == "complete"
        kept = {parse_archive_path(path).parameter for path in world.ledger(NOON).kept}
        assert kept == {"t_2m", "clat", "clon"}


def test_without_positions_a_run_is_not_complete(local_store):
    catalogue = replace(CATALOGUE, parameters=(Parameter("t_2m"),))
    with opened(local_store, NOON + timedelta(hours=6), catalogue=catalogue) as world:
        world.archive(NOON)
        missing = {parse_archive_path(path).parameter for path in world.ledger(NOON).missing}
        assert missing == {"clat", "clon"}
        assert world.state(NOON) == "partial"


def test_heights_come_with_model_levels(local_store):
    catalogue = replace(
        CATALOGUE,
        parameters=(
            Parameter("t", "model", 65),
            Parameter("t", "pressure", 850),
            *(constant("hhl", level) for level in (1, 2)),
            constant("clat"),
            constant("clon"),
        ),
    )
    for fields, heights in (("icon-d2/model/t", 2), ("icon-d2/pressure/t", 0)):
        with opened(local_store, ALL_THERE + heights * RUN, catalogue=catalogue, fields=(fields,)) as world:
            run = NOON + heights * RUN
            world.archive(run)
            assert world.state(run) == "complete"
            kept = [parse_archive_path(path).parameter for path in world.ledger(run).kept]
            assert kept.count("hhl") == heights


def test_after_a_change_of_grid_runs_are_whole_with_the_positions_of_their_own_grid(local_store):
    plan = Plan(catalogue=CATALOGUE, lag=timedelta(minutes=2), new_grid_from=NOON + RUN)
    with opened(local_store, ALL_THERE, plan=plan) as world:
        for number in range(3):
            run = NOON + number * RUN
            world.simulator.clock.turn(run + timedelta(hours=2, minutes=15))
            world.archive(run)
            assert world.state(run) == "complete"
            assert len(world.ledger(run).kept) == V1_FILES
            world.audit(run)
        grids = [
            {kept.grid for kept in world.ledger(NOON + number * RUN).kept.values()} for number in range(3)
        ]
        assert [len(each) for each in grids] == [1, 1, 1]
        assert grids[0] != grids[1] == grids[2]


def test_positions_of_another_grid_than_the_fields_are_named_and_not_enough(local_store):
    """The server gives the CLAT of the grid before."""
    plan = Plan(catalogue=CATALOGUE, lag=timedelta(minutes=2), new_grid_from=NOON + RUN)
    later = NOON + RUN
    with opened(local_store, later + timedelta(hours=2, minutes=15), plan=plan) as world:
        key = FieldKey("icon-d2", NOON, "clat", "time-invariant", None, 0, None, "icosahedral")
        old = FieldWriter(3, CATALOGUE).grib(key, "ccsds", 0)
        path = archive_path(replace(key, run=later))
        place = address("CLAT", "2026-09-16T15:00", "PT000H00M")
        file = world.simulator.world.find(place, world.now)
        world.simulator.world._content = lambda each: old if each.path == place else each.build(each.revision)
        assert file is not None
        world.archive(later)
        told = world.ledger(later)
        assert path in told.kept
        assert "there are fields on grid 99-" in told.failed[path].reason
        assert world.state(later) == "partial"


def test_what_was_learned_of_fields_is_kept_for_the_next_run(local_store):
    with opened(local_store, ALL_THERE, old_tree=True) as world:
        world.archive(NOON)
        fields = read_history(local_store, "icon-d2").fields
        assert fields["t_2m single  icosahedral"].proven
        assert fields["tot_prec single  icosahedral"].ranges[75] == 75
        assert not fields["hsurf time-invariant  icosahedral @0"].proven, "one file alone proves nothing"
        assert update_history(local_store, "icon-d2", lambda before: before).fields == fields
        later = NOON + RUN
        world.simulator.clock.turn(later + timedelta(hours=2, minutes=15))
        world.archive(later)
        assert read_history(local_store, "icon-d2").fields["hsurf time-invariant  icosahedral @0"].proven


def test_a_version_beside_is_that_of_its_digest(local_store):
    with opened(local_store, ALL_THERE) as world:
        world.archive(NOON)
        later = NOON + RUN
        world.simulator.fail(address("TOT_PREC", "2026-09-16T15:00", "PT001H00M"), Fault.WRONG_PARAMETER)
        world.simulator.clock.turn(later + timedelta(hours=2, minutes=15))
        (reason,) = world.archive(later).failed.values()
        beside = reason.rpartition("kept as ")[2]
        other = world.ledger(later).kept[T_2M.format("2026091615")]
        assert beside == version_path(beside[:-13], other.sha256)


STEPS = every(60, 4)
