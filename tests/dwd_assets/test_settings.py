"""Settings of the DWD archive: defaults, the replaced crawler's names, and how a wrong value is told."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest
from dagster._core.secrets.env_file import get_env_var_dict
from pydantic import AliasChoices, ValidationError

from dwd_assets.periods.context import manners
from dwd_assets.settings import DwdSettings
from store.settings import ArchiveSettings, StoreSettings

EXAMPLE = Path(__file__).parents[2] / ".env.example"

OLD_NAMES = [
    ("DOWNLOAD_DIRECTORY_BASE_PATH", "DWD_STORE", "archive", "/srv/opendata", "/srv/opendata"),
    ("ICON_D2_COMPLETE_CYCLE_WAIT_MINUTES", "DWD_FIELDS_WAIT_MINUTES", "fields_wait_minutes", "10", 10),
    ("ICON_D2_CRAWL_RETRY_WAIT_MINUTES", "DWD_FIELDS_RETRY_MINUTES", "fields_retry_minutes", "1", 1),
    (
        "FORECAST_COMPLETE_CYCLE_WAIT_MINUTES",
        "DWD_FORECASTS_WAIT_MINUTES",
        "forecasts_wait_minutes",
        "120",
        120,
    ),
    ("FORECAST_CRAWL_RETRY_WAIT_MINUTES", "DWD_FORECASTS_RETRY_MINUTES", "forecasts_retry_minutes", "1", 1),
    ("REPORT_COMPLETE_CYCLE_WAIT_MINUTES", "DWD_REPORTS_WAIT_MINUTES", "reports_wait_minutes", "30", 30),
    ("REPORT_CRAWL_RETRY_WAIT_MINUTES", "DWD_REPORTS_RETRY_MINUTES", "reports_retry_minutes", "1", 1),
    ("LOG_LEVEL", "DWD_LOG_LEVEL", "log_level", "debug", "debug"),
]


def names_read() -> set[str]:
    found: set[str] = set()
    for field in (*DwdSettings.model_fields.values(), *StoreSettings.model_fields.values()):
        alias = field.validation_alias
        found.update(map(str, alias.choices if isinstance(alias, AliasChoices) else [alias]))
    return found


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # away from anyone's .env
    for name in set(os.environ) & names_read():
        monkeypatch.delenv(name)


@pytest.fixture
def read(monkeypatch):
    def read(**variables: str) -> DwdSettings:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return DwdSettings()

    return read


def test_without_anything_set_it_keeps_what_the_replaced_crawler_kept(read):
    settings = read()
    assert settings.fields == ("icon-d2/single,time-invariant/*",)
    assert (settings.v1_tree, settings.old_tree, settings.mosmix, settings.reports) == (
        True,
        False,
        ("L",),
        True,
    )
    assert (settings.server, settings.live, settings.report_stations) == (
        "https://opendata.dwd.de",
        False,
        (),
    )
    assert (settings.archive, settings.free_floor_bytes) == ("data/store", 10_000_000_000)


@pytest.mark.parametrize(("old", "new", "name", "given", "expected"), OLD_NAMES)
def test_the_replaced_crawlers_names_are_taken_where_ours_are_not_set(read, old, new, name, given, expected):
    assert getattr(read(**{old: given}), name) == expected
    other = {"DWD_STORE": "s3://mine", "DWD_LOG_LEVEL": "error"}.get(new, "77")
    assert str(getattr(read(**{new: other}), name)).removesuffix(".0") == other


@pytest.mark.parametrize("loader", ["settings", "dagster"])
@pytest.mark.parametrize(("old", "new", "name", "given", "expected"), OLD_NAMES)
def test_a_copy_of_the_example_leaves_the_old_names_of_the_environment_alone(
    monkeypatch, tmp_path, loader, old, new, name, given, expected
):
    (tmp_path / ".env").write_bytes(EXAMPLE.read_bytes())
    monkeypatch.setenv(old, given)
    if loader == "dagster":
        for variable, value in get_env_var_dict(str(tmp_path)).items():
            monkeypatch.setenv(variable, value)
    assert getattr(DwdSettings(), name) == expected


@pytest.mark.parametrize("old", [old for old, *_ in OLD_NAMES])
def test_the_example_names_what_an_old_name_became_in_the_line_above_it(old):
    lines = EXAMPLE.read_text(encoding="ascii").splitlines()
    assert lines[lines.index(f"#{old}=") - 1].startswith("# The replaced crawler's name for it")


def test_the_archive_lies_beside_the_images_unless_it_has_a_place_of_its_own(read, monkeypatch):
    assert read(STORE="/srv/radar").archive == "/srv/radar"
    assert ArchiveSettings().archive == "/srv/radar"
    assert read(DWD_STORE="s3://archive/dwd").archive == "s3://archive/dwd"
    monkeypatch.delenv("STORE")
    monkeypatch.delenv("DWD_STORE")
    assert read(PROJECT_S3_BUCKET="radar-images").archive == "s3://radar-images"


def test_an_empty_variable_is_as_good_as_none(read):
    settings = read(
        DWD_STORE="", DWD_FIELDS="", DWD_MOSMIX="", DWD_REPORT_STATIONS="", DWD_START_DATE="", LOG_LEVEL=""
    )
    assert settings == DwdSettings(_env_file=None)
    assert settings.log_level == "info"


def test_rows_are_separated_by_spaces_or_semicolons_and_have_commas_of_their_own(read):
    rows = ("icon-d2/single,time-invariant/t_2m,tot_prec", "icon-eu/pressure:500,850/t/0-24")
    assert read(DWD_FIELDS=" ; ".join(rows)).fields == rows
    assert read(DWD_FIELDS=" ".join(rows)).selection.models == ("icon-d2", "icon-eu")


def test_none_archives_none(read):
    settings = read(DWD_FIELDS="none", DWD_MOSMIX="none", DWD_V1_TREE="false")
    assert (settings.fields, settings.mosmix, settings.selection.rows) == ((), (), ())


@pytest.mark.parametrize(
    ("given", "expected"),
    [("L,S", ("L", "S")), ("mosmix_s", ("S",)), ("l,l", ("L",)), (" s , MOSMIX_L", ("S", "L"))],
)
def test_mosmix_products_are_read_as_people_write_them(read, given, expected):
    assert read(DWD_MOSMIX=given).mosmix == expected


def test_stations_are_read_as_people_write_them(read):
    settings = read(DWD_MOSMIX_STATIONS=" 10315,k611 ,,10315", DWD_REPORT_STATIONS="k611_")
    assert (settings.mosmix_stations, settings.report_stations) == (("10315", "K611"), ("K611_",))


def test_both_trees_off_are_refused_unless_no_field_is_wanted(read):
    with pytest.raises(ValidationError, match="DWD_V1_TREE and DWD_OLD_TREE are both off"):
        read(DWD_V1_TREE="false")
    assert read(DWD_OLD_TREE="true").old_tree


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("DWD_FIELDS", "icon-d2/surface/*", "'surface' are not valid level types"),
        ("DWD_FIELDS", "everything", "is not <model>/"),
        ("DWD_MOSMIX", "L,X", "'L' or 'S'"),
        ("DWD_MOSMIX_STATIONS", "10315,../etc", "../ETC: no station's id"),
        ("DWD_REPORT_STATIONS", "10 315", "10 315: no station's id"),
        ("DWD_CONNECTIONS", "0", "greater than or equal to 1"),
        ("DWD_CONNECTIONS", "65", "less than or equal to 64"),
        ("DWD_REQUESTS_PER_SECOND", "0", "greater than 0"),
        ("DWD_START_DATE", "yesterday", "date"),
        ("DWD_REPORTS_RETRY_MINUTES", "-1", "greater than 0"),
        ("STORE_FREE_FLOOR_BYTES", "-1", "greater than or equal to 0"),
        ("DWD_LIVE", "perhaps", "boolean"),
        ("DWD_LOG_LEVEL", "loud", "loud"),
    ],
)
def test_a_wrong_value_is_told_with_the_name_of_its_variable(read, variable, value, told):
    with pytest.raises(ValidationError) as fault:
        read(**{variable: value})
    assert variable in str(fault.value)
    assert told in str(fault.value)


@pytest.mark.parametrize("level", ["trace", "debug", "info", "warn", "error", "fatal", "INFO"])
def test_the_log_levels_of_the_replaced_crawler_are_taken(read, level):
    assert read(LOG_LEVEL=level).log_level == level.lower()


def test_what_began_before_new_years_eve_ended_is_a_partition_as_long_as_the_server_has_it(read):
    assert read().first_day(date(2027, 1, 1)) == date(2026, 1, 1)
    assert read().first_day(date(2027, 1, 6)) == date(2026, 1, 1)


def test_the_first_day_is_this_years_unless_one_is_named(read):
    assert read().first_day(date(2026, 9, 16)) == date(2026, 1, 1)
    assert read().first_day(date(2026, 1, 8)) == date(2026, 1, 1)
    assert read(DWD_START_DATE="2024-02-29").first_day(date(2026, 9, 16)) == date(2024, 2, 29)


def test_the_user_agent_names_the_project_and_the_contact(read):
    plain, named = manners(read()), manners(read(DWD_CONTACT="ops@example.org", DWD_CONNECTIONS="3"))
    assert plain.user_agent == "radar-forecast-backend (archive of open data)"
    assert named.user_agent == "radar-forecast-backend (archive of open data; ops@example.org)"
    assert (plain.connections, named.connections) == (16, 3)
