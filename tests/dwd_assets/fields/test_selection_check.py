"""Selections that a model cannot satisfy, and folders that no level stands for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from dwd_assets.fields.catalogue import read_catalogue
from dwd_assets.formats.paths import parse_archive_path
from dwd_assets.simulator.catalogue import Catalogue, Parameter, constant
from dwd_assets.simulator.pages import index_page
from dwd_assets.simulator.world import Entry
from tests.dwd_assets.fields.model_world import CATALOGUE, opened

NOON = datetime(2026, 9, 16, 12, tzinfo=UTC)
ALL_THERE = NOON + timedelta(hours=2, minutes=15)
POSITIONS = (constant("clat"), constant("clon"))


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback is reached directly, whatever proxy the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("icon-d2/single/t2m", "icon-d2 has no parameter 't2m'; nearest: t_2m, td_2m"),
        ("icon-d2/single/qqqq", "icon-d2 has no parameter 'qqqq'"),
        ("icon-d2/pressure:500/t_2m", "icon-d2 has 't_2m' at no level of type pressure; it has: single"),
        ("icon-d2/single/u", "icon-d2 has 'u' at no level of type single; it has: pressure"),
    ],
)
def test_what_a_model_does_not_have_is_an_error_with_the_nearest_names_in_the_first_pass(
    local_store, row, told
):
    with opened(local_store, ALL_THERE, fields=("icon-d2/single/td_2m", row), is_new=True) as world:
        done = world.archive(NOON)
        assert told in done.faults
        assert f"not read: {told}" in world.ledger(NOON).warnings
        assert world.state(NOON) != "complete"


def test_a_selection_that_a_model_satisfies_reports_nothing(local_store):
    rows = ("icon-d2/single,time-invariant/*", "icon-d2/pressure/u", "icon-d2/single/t_2m,td*")
    with opened(local_store, ALL_THERE, fields=rows) as world:
        assert world.archive(NOON).faults == ()
        assert world.state(NOON) == "complete"


def test_a_model_that_the_server_does_not_have_is_an_error_with_the_nearest_names(local_store):
    with opened(local_store, ALL_THERE, fields=("icon-d3/single/*",), is_new=True) as world:
        done = world.archive(NOON, "icon-d3")
        assert any(
            "lists no parameters in its v1 tree; nearest models: icon-d2" in line for line in done.faults
        )
        assert world.state(NOON, "icon-d3") != "complete"


ART = Catalogue(
    "icon-art",
    parameters=(
        Parameter("aod_dust", "wavelength", None, qualifiers="wvl1/550"),
        Parameter("aod_dust", "wavelength", None, qualifiers="wvl1/1064/lvt1/150/lv1/120"),
        Parameter("srh", "layer", None, qualifiers="lvt1/103/lv1/3000/lvt2/103/lv2/0"),
        Parameter("t", "other", None, qualifiers="lvt1/117/lv1/2000"),
        Parameter("t", "pressure", 850),
        Parameter("t_2m"),
        *POSITIONS,
    ),
    columns=5,
    rows=4,
)


def test_wavelengths_second_surfaces_and_unknown_surfaces_are_found_and_kept(local_store):
    rows = ("icon-art/single,pressure,layer,wavelength,other/*",)
    with opened(local_store, NOON + timedelta(hours=6), catalogue=ART, fields=rows, is_new=True) as world:
        done = world.archive(NOON, "icon-art")
        assert (done.faults, done.failed) == ((), {})
        assert world.state(NOON, "icon-art") == "complete"
        keys = [parse_archive_path(path) for path in world.ledger(NOON, "icon-art").kept]
        assert {key.qualifiers for key in keys} == {each.qualifiers for each in ART.parameters}
        assert len(keys) == 6 * 5 + 2
        world.audit(NOON, "icon-art")


def test_what_is_not_selected_below_a_parameter_is_not_looked_through(local_store):
    with opened(local_store, ALL_THERE, catalogue=ART, fields=("icon-art/single/*",)) as world:
        world.archive(NOON, "icon-art")
        assert not [path for path in world.asked() if "wvl1" in path or "lvt2" in path]


def test_a_folder_that_no_key_stands_for_is_reported_by_its_address(local_store, monkeypatch):
    """A parameter whose folders are named as nobody saw before."""
    with opened(local_store, ALL_THERE, is_new=True) as world:
        folder = "/weather/nwp/v1/m/icon-d2/p/T_2M/"
        entries = world.simulator.world.folder(folder, world.now)
        strange = (*entries, Entry("Quantile@90", world.now, None))
        page = index_page(folder, strange, "seconds")
        answer = world.simulator._answer

        def answered(fault, path, headers, at):
            given = answer(fault, path, headers, at)
            return replace(given, body=page) if path == folder else given

        monkeypatch.setattr(world.simulator, "_answer", answered)
        done = world.archive(NOON)
        assert f"icon-d2: no key stands for {folder}Quantile@90/" in done.faults
        assert read_catalogue(local_store, "icon-d2").unknown == (f"{folder}Quantile@90/",)
        assert any("Quantile@90" in line for line in world.ledger(NOON).warnings)


def test_a_run_in_the_future_is_refused(local_store):
    with opened(local_store, ALL_THERE, catalogue=CATALOGUE) as world:
        with pytest.raises(
            ValueError, match="icon-d2 2026091618 is in the future: it is 2026-09-16 14:15 UTC"
        ):
            world.archive(NOON + timedelta(hours=6))
        assert not world.simulator.requests
