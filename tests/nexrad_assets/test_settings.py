from __future__ import annotations

import importlib
import os
import re
from datetime import date
from pathlib import Path

import pytest
from dagster._core.secrets.env_file import get_env_var_dict
from pydantic import AliasChoices, ValidationError
from pydantic_settings import BaseSettings

from nexrad_assets.radar.sites import sites
from nexrad_assets.settings import NexradSettings
from store.settings import AWS_NAMES, StoreSettings

EXAMPLE = Path(__file__).parents[2] / ".env.example"
MODULES = ("store.settings", "nexrad_assets.settings", "dwd_assets.settings", "api.settings")
TODAY = date(2026, 7, 14)


def settings_classes() -> list[type[BaseSettings]]:
    """Every class of settings of ours."""
    found = (kind for module in MODULES for kind in vars(importlib.import_module(module)).values())
    ours = (kind for kind in found if isinstance(kind, type) and issubclass(kind, BaseSettings))
    return [kind for kind in dict.fromkeys(ours) if kind is not BaseSettings]


def names_read() -> set[str]:
    """Every variable that a setting of ours reads."""
    found = set()
    for field in (field for kind in settings_classes() for field in kind.model_fields.values()):
        alias = field.validation_alias
        found.update(alias.choices if isinstance(alias, AliasChoices) else [alias])
    return found - {None}


def example_lines() -> list[str]:
    return EXAMPLE.read_text(encoding="ascii").splitlines()


SETTING = re.compile(r"#([A-Z][A-Z0-9_]*)=(\S*)")
"""A line of the example that becomes a setting when its # is taken away."""


def example_values() -> dict[str, str]:
    return dict(found.groups() for line in example_lines() if (found := SETTING.fullmatch(line)))


def example_switched_on() -> str:
    return "".join(f"{name}={value}\n" for name, value in example_values().items())


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # away from anyone's .env
    for name in set(os.environ) & (names_read() | set(AWS_NAMES)):
        monkeypatch.delenv(name)


@pytest.fixture
def read(monkeypatch):
    def read(**variables: str) -> NexradSettings:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return NexradSettings()

    return read


def test_the_example_has_exactly_the_names_that_are_read():
    assert set(example_values()) == names_read() | set(AWS_NAMES)


def test_each_line_of_the_example_has_a_reason_above_it():
    lines = example_lines()
    for number, line in enumerate(lines):
        if SETTING.fullmatch(line):
            assert lines[number - 1].startswith("# "), line
    assert all(SETTING.fullmatch(line) or re.fullmatch("(# .+)?", line) for line in lines)


@pytest.mark.parametrize("kind", settings_classes(), ids=lambda kind: kind.__name__)
def test_the_values_of_the_example_are_the_defaults(kind, tmp_path):
    (tmp_path / ".env").write_text(example_switched_on())
    example = kind().model_dump()
    bare = kind(_env_file=None).model_dump()
    # Naming the one site that is followed anyway is the one line that shows a value where the default is none.
    assert example.pop("sites", ("KPDT",)) == ("KPDT",)
    bare.pop("sites", None)
    assert example == bare


@pytest.mark.parametrize(
    ("old", "value", "name", "expected"),
    [
        ("PROJECT_S3_BUCKET", "radar-images", "store", "s3://radar-images"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:8333", "store_endpoint", "http://127.0.0.1:8333"),
        ("RADAR_SITE_L2", "KRTX", "primary_site", "KRTX"),
        ("RADAR_SITE_L2", "KRTX", "sites", ("KRTX",)),
        ("RADAR_SITE_L3", "KRTX", "sites", ("KPDT", "KRTX")),
        ("PROCESSING_WINDOW_MINUTES", "200", "list_minutes", 200),
        ("CLEANUP_WINDOW_MINUTES", "500", "keep_minutes", 500),
    ],
)
@pytest.mark.parametrize("loader", ["settings", "dagster"])
def test_a_copy_of_the_example_leaves_the_old_names_of_the_environment_alone(
    monkeypatch, tmp_path, loader, old, value, name, expected
):
    (tmp_path / ".env").write_bytes(EXAMPLE.read_bytes())
    monkeypatch.setenv(old, value)
    if loader == "dagster":  # its commands put the file over the environment, empty lines too
        for variable, given in get_env_var_dict(str(tmp_path)).items():
            monkeypatch.setenv(variable, given)
    assert getattr(NexradSettings(), name) == expected


def test_without_anything_set_it_follows_the_default_site_from_the_public_bucket(read):
    settings = read()
    assert settings.source == "s3://unidata-nexrad-level2"
    assert (settings.sites, settings.primary_site) == (("KPDT",), "KPDT")
    assert (settings.store, settings.live) == ("data/store", False)
    assert 1 <= settings.jobs <= 4


@pytest.mark.parametrize("bucket", ["radar-images", "s3://radar-images"])
def test_the_bucket_of_the_replaced_system_is_a_bucket(read, bucket):
    assert read(PROJECT_S3_BUCKET=bucket).store == "s3://radar-images"


@pytest.mark.parametrize("store", ["/var/lib/radar", "s3://mine/prefix"])
def test_our_store_wins_over_the_old_bucket(read, store):
    assert read(PROJECT_S3_BUCKET="radar-images", STORE=store).store == store


def test_a_store_given_in_code_wins_over_both(read, monkeypatch):
    monkeypatch.setenv("PROJECT_S3_BUCKET", "radar-images")
    assert NexradSettings(store="here").store == "here"


def test_an_empty_variable_is_as_good_as_none(read):
    settings = read(
        STORE="", PROJECT_S3_BUCKET="", NEXRAD_SITES="", NEXRAD_ARCHIVE_KEEP_DAYS="", NEXRAD_LIVE=""
    )
    assert (settings.store, settings.sites, settings.archive_keep_days) == ("data/store", ("KPDT",), None)


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("CLEANUP_WINDOW_MINUTES", "NEXRAD_KEEP_MINUTES", "keep_minutes"),
        ("PROCESSING_WINDOW_MINUTES", "NEXRAD_LIST_MINUTES", "list_minutes"),
    ],
)
def test_old_names_are_taken_where_ours_are_not_set(read, old, new, name):
    assert getattr(read(**{old: "200"}), name) == 200
    assert getattr(read(**{new: "220"}), name) == 220


def test_the_old_names_of_sites_name_the_sites(read):
    settings = read(RADAR_SITE_L2="KRTX", RADAR_SITE_L3="KPDT")
    assert (settings.sites, settings.primary_site) == (("KRTX", "KPDT"), "KRTX")


def test_our_sites_win_over_the_old_names(read):
    settings = read(RADAR_SITE_L2="KLOT", RADAR_SITE_L3="KPDT", NEXRAD_SITES="KRTX,KLOT")
    assert (settings.sites, settings.primary_site) == (("KRTX", "KLOT"), "KLOT")


@pytest.mark.parametrize("variable", ["NEXRAD_PRIMARY_SITE", "RADAR_SITE_L2"])
def test_a_primary_site_that_is_not_followed_is_refused(read, variable):
    with pytest.raises(ValidationError) as fault:
        read(**{variable: "KRTX", "NEXRAD_SITES": "KLOT,KTLX"})
    assert all(name in str(fault.value) for name in (variable, "KRTX", "NEXRAD_SITES", "KLOT,KTLX"))


def test_a_primary_site_named_by_three_letters_is_one_of_the_sites(read):
    assert read(NEXRAD_PRIMARY_SITE="lot", NEXRAD_SITES="ktlx,klot").primary_site == "KLOT"


def test_all_cores_count_where_the_system_does_not_tell_which_may_be_used(read, monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert read().jobs == 3
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert read().jobs == 1


def test_sites_are_read_as_people_write_them(read):
    assert read(NEXRAD_SITES=" ktlx, KLOT,pdt ,,KTLX").sites == ("KTLX", "KLOT", "KPDT")


def test_all_sites_are_all(read):
    settings = read(NEXRAD_SITES="all")
    assert settings.sites == tuple(sites())
    assert settings.primary_site == "KPDT"


def test_the_first_named_site_is_the_primary_one_for_pipeline_and_api_alike(read):
    assert read(NEXRAD_SITES="KTLX,KLOT").primary_site == "KTLX"
    assert StoreSettings().primary_site == "KTLX"
    assert read(NEXRAD_PRIMARY_SITE="klot").primary_site == "KLOT"
    assert StoreSettings().primary_site == "KLOT"


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("NEXRAD_SITES", "KTLX,KPDX", "no radar site 'KPDX'; did you mean K"),
        ("NEXRAD_SITES", "all,KTLX", "no radar site 'ALL'"),
        ("NEXRAD_PRIMARY_SITE", "NOPE", "no radar site 'NOPE'"),
        ("RADAR_SITE_L3", "XXXX", "no radar site 'XXXX'"),
        ("NEXRAD_LIVE", "perhaps", "boolean"),
        ("NEXRAD_START_DATE", "1990-01-01", "1991-06-05"),
        ("NEXRAD_START_DATE", "yesterday", "date"),
        ("NEXRAD_KEEP_MINUTES", "-5", "greater than 0"),
        ("NEXRAD_KEEP_MINUTES", "100", "less than the 180 of NEXRAD_LIST_MINUTES"),
        ("NEXRAD_ARCHIVE_KEEP_DAYS", "0", "greater than or equal to 1"),
        ("NEXRAD_RAW_KEEP_MINUTES", "-1", "greater than or equal to 0"),
        ("NEXRAD_IMAGE_SIZE", "20000", "less than or equal to 8192"),
        ("NEXRAD_IMAGE_SIZE", "901", "multiple of 2"),
        ("NEXRAD_PRODUCTS", "reflectivity,rain", "rain is no product"),
        ("NEXRAD_PRODUCTS", ",", "nothing is no product"),
        ("NEXRAD_COLOURS", "rainbows", "'rainbows' is no colour table"),
        ("NEXRAD_VALUE_RANGE", "60,-20", "lowest value comes first"),
        ("NEXRAD_VALUE_RANGE", "nan,20", "lowest value comes first"),
        ("NEXRAD_VALUE_RANGE", "20", "required"),
        ("NEXRAD_JOBS", "0", "greater than or equal to 1"),
        ("NEXRAD_DOWNLOADS", "many", "integer"),
        ("NEXRAD_MAX_VOLUME_BYTES", "0", "greater than 0"),
        ("NEXRAD_GEOMETRY_CACHE_BYTES", "-1", "greater than or equal to 0"),
    ],
)
def test_a_wrong_value_is_told_with_the_name_of_its_variable(read, variable, value, told):
    with pytest.raises(ValidationError) as fault:
        read(**{variable: value})
    assert variable in str(fault.value)
    assert told in str(fault.value)


def test_values_are_read_from_the_environment(read):
    settings = read(
        NEXRAD_VALUE_RANGE="-20, 60.5",
        NEXRAD_COLOURS="NWSRef",
        NEXRAD_PRODUCTS="reflectivity",
        NEXRAD_LIVE="true",
    )
    assert (settings.value_range, settings.colours, settings.live) == ((-20.0, 60.5), "NWSRef", True)


def test_values_are_read_from_a_file_and_the_environment_goes_before_it(read, tmp_path):
    (tmp_path / ".env").write_text("NEXRAD_IMAGE_SIZE=900\nNEXRAD_DOWNLOADS=2\n")
    settings = read(NEXRAD_DOWNLOADS="8")
    assert (settings.image_size, settings.downloads) == (900, 8)


@pytest.mark.parametrize(
    ("variables", "first"),
    [
        ({}, date(1991, 6, 5)),
        ({"NEXRAD_SITES": "KTLX,KLOT,KPDT,KRTX,KATX,KMUX,KDAX"}, date(1991, 6, 5)),
        ({"NEXRAD_SITES": "KTLX,KLOT,KPDT,KRTX,KATX,KMUX,KDAX,TJUA"}, date(2026, 1, 1)),
        ({"NEXRAD_SITES": "all"}, date(2026, 1, 1)),
        ({"NEXRAD_SITES": "all", "NEXRAD_START_DATE": "2020-02-29"}, date(2020, 2, 29)),
    ],
)
def test_the_first_day_depends_on_how_many_sites_there_are(read, variables, first):
    assert read(**variables).start_date(TODAY) == first


def test_on_new_years_day_yesterday_is_still_a_day(read):
    assert read(NEXRAD_SITES="all").start_date(date(2026, 1, 1)) == date(2025, 1, 1)


def test_the_default_days_of_seven_sites_are_fewer_than_a_hundred_thousand(read):
    assert 7 * (TODAY - read().start_date(TODAY)).days < 100_000
