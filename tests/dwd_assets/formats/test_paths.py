"""The archive's layout: one path for each key, one key for each path."""

from datetime import UTC, date, datetime
from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.paths import (
    MosmixKey,
    PoiForecastKey,
    ReportsKey,
    archive_path,
    parse_archive_path,
    parse_version_path,
    version_path,
)
from dwd_assets.opendata.addresses import old_path, parse_old, parse_v1
from store.objects import checked
from tests.dwd_assets import keys

RUN = datetime(2026, 9, 16, 3, tzinfo=UTC)
DIGEST = "0123456789abcdef" * 4
stations = st.sampled_from(["10315", "K611_", "P0036", "E", "01001"]) | st.from_regex(
    r"[A-Z0-9][A-Z0-9_]{0,15}", fullmatch=True
)
days = st.dates(date(1990, 1, 1), date(2200, 1, 1))
archived = (
    keys.archived_fields
    | st.builds(MosmixKey, keys.runs, stations, st.sampled_from(["L", "S"]))
    | st.builds(PoiForecastKey, keys.runs, stations)
    | st.builds(ReportsKey, days, stations)
)


@pytest.mark.parametrize(
    ("key", "path"),
    [
        (
            FieldKey("icon-d2", RUN, "u_10m", "single", None, 0, None, "regular"),
            "weather/icon-d2/grib/2026091603/u_10m/"
            "icon-d2_germany_regular-lat-lon_single-level_2026091603_000_2d_u_10m.grib2.lz4",
        ),
        (
            FieldKey("icon-eu", RUN, "u_10m", "single", None, 0, None, "regular"),
            "weather/icon-eu/grib/2026091603/u_10m/"
            "icon-eu_europe_regular-lat-lon_single-level_2026091603_000_U_10M.grib2.lz4",
        ),
        (
            FieldKey("icon-d2", RUN, "tot_prec", "single", None, 1455, None, "icosahedral"),
            "weather/icon-d2/grib/2026091603/tot_prec/icon-d2_icosahedral_single_2026091603_02415_2d_tot_prec.grib2.lz4",
        ),
        (
            FieldKey("icon-d2-eps", RUN, "t", "pressure", 850, 60, 7, "icosahedral"),
            "weather/icon-d2-eps/grib/2026091603/t/icon-d2-eps_icosahedral_100_2026091603_00100_85000_e07_t.grib2.lz4",
        ),
        (
            FieldKey("icon-eu", RUN, "t_so", "soil", 5, 0, None, "icosahedral"),
            "weather/icon-eu/grib/2026091603/t_so/icon-eu_icosahedral_106_2026091603_00000_0.005_t_so.grib2.lz4",
        ),
        (
            FieldKey("icon-d2", RUN, "hhl", "time-invariant", 66, 0, None, "icosahedral"),
            "weather/icon-d2/grib/2026091603/hhl/icon-d2_icosahedral_150_2026091603_00000_66_hhl.grib2.lz4",
        ),
        (MosmixKey(RUN, "10315"), "weather/local_forecasts/mos/2026091603/10315-MOSMIX.kmz"),
        (MosmixKey(RUN, "10315", "S"), "weather/local_forecasts/mos_s/2026091603/10315-MOSMIX.kmz"),
        (PoiForecastKey(RUN, "K611_"), "weather/local_forecasts/poi/2026091603/K611_-MOSMIX.csv"),
        (ReportsKey(date(2026, 9, 16), "K611_"), "weather/weather_reports/poi/20260916/K611_-BEOB.csv"),
    ],
)
def test_the_layout_is_the_one_that_readers_rely_on(key, path):
    assert archive_path(key) == path
    assert parse_archive_path(path) == key


@given(keys.old_regular)
def test_a_regular_field_is_named_as_the_server_named_it(key):
    original = PurePosixPath(old_path(key)).name
    assert PurePosixPath(archive_path(key)).name == original.removesuffix(".bz2") + ".lz4"


@given(archived)
def test_a_path_gives_back_its_key(key):
    assert parse_archive_path(archive_path(key)) == key


@settings(max_examples=400)
@given(archived, archived)
def test_two_keys_never_share_a_path_even_where_capitals_do_not_count(one, other):
    assert (one == other) == (archive_path(one).casefold() == archive_path(other).casefold())


@settings(max_examples=200)
@given(
    st.lists(
        st.builds(
            FieldKey,
            model=st.sampled_from(["icon-d2", "icon-d2-eps", "icon"]),
            run=st.just(RUN),
            parameter=st.sampled_from(["t", "e05_t", "2d_t", "u", "e05_u"]),
            level_type=st.sampled_from(["single", "pressure", "model", "soil", "height"]),
            level=st.none() | st.integers(0, 6),
            step_minutes=st.sampled_from([0, 5, 60]),
            member=st.none() | st.integers(1, 6),
            grid=st.sampled_from(["regular", "icosahedral"]),
        ),
        unique=True,
    )
)
def test_neighbouring_keys_never_share_a_path(fields):
    paths = []
    for key in fields:
        try:
            paths.append(archive_path(key).casefold())
        except ValueError:
            continue
    assert len(paths) == len(set(paths))


@given(archived)
def test_no_path_leaves_the_base_and_every_path_is_a_key_of_the_store(key):
    path = archive_path(key)
    assert checked(path) == path
    assert path.startswith("weather/")
    assert not {"", ".", ".."} & set(path.split("/"))


@given(archived)
def test_versions_lie_beside_their_path_and_are_told_from_it(key):
    path = archive_path(key)
    version = version_path(path, DIGEST)
    assert version == f"{path}.0123456789ab"
    assert checked(version) == version
    assert parse_archive_path(version) is None
    assert parse_version_path(version) == (key, "0123456789ab")
    assert parse_version_path(path) is None


@pytest.mark.parametrize("digest", ["", "0123456789ab", DIGEST.upper(), "g" * 64, DIGEST + "\n"])
def test_a_version_needs_a_whole_sha256(digest):
    with pytest.raises(ValueError, match="is not a SHA-256"):
        version_path("weather/x", digest)


@pytest.mark.parametrize(
    "station", ["", "../10315", "10315/..", "k611_", "_", "A.B", "A" * 17, "10315\n", "Ä1"]
)
def test_a_station_of_strange_characters_has_no_path(station):
    for key in (
        MosmixKey(RUN, station),
        PoiForecastKey(RUN, station),
        ReportsKey(date(2026, 9, 16), station),
    ):
        with pytest.raises(ValueError, match="is not a station id"):
            archive_path(key)


@pytest.mark.parametrize(
    "key",
    [
        FieldKey("../icon", RUN, "t", "single", None, 0, None, "icosahedral"),
        FieldKey("icon-d2", RUN, "../t", "single", None, 0, None, "regular"),
        FieldKey("icon-d2-ruc", RUN, "t", "single", None, 0, None, "regular"),
        FieldKey("icon-d2", RUN, "hsurf", "single", None, 0, None, "icosahedral"),
        MosmixKey(RUN.replace(tzinfo=None), "10315"),
        MosmixKey(RUN.replace(minute=30), "10315"),
        ReportsKey(date(26, 9, 16), "10315"),
    ],
)
def test_what_neither_tree_has_is_kept_nowhere(key):
    with pytest.raises(ValueError, match=r"is not|tree|cannot"):
        archive_path(key)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "weather",
        "/weather/local_forecasts/mos/2026091603/10315-MOSMIX.kmz",
        "weather/local_forecasts/mos/2026091699/10315-MOSMIX.kmz",
        "weather/local_forecasts/mos/20260916/10315-MOSMIX.kmz",
        "weather/local_forecasts/mos/2026091603/10315-MOSMIX.csv",
        "weather/local_forecasts/mos/2026091603/../10315-MOSMIX.kmz",
        "weather/local_forecasts/mos_l/2026091603/10315-MOSMIX.kmz",
        "weather/local_forecasts/mos_s/2026091603/10315-MOSMIX.csv",
        "weather/weather_reports/poi/2026091603/10315-BEOB.csv",
        "weather/weather_reports/poi/20260230/10315-BEOB.csv",
        "weather/icon-d2/grib/2026091603/t/icon-d2_icosahedral_single_2026091603_00000_2d_u.grib2.lz4",
        "weather/icon-d2/grib/2026091600/t/icon-d2_icosahedral_single_2026091603_00000_2d_t.grib2.lz4",
        "weather/icon-d2/grib/2026091603/t/icon-d2_icosahedral_single_2026091603_00000_3_t.grib2.lz4",
        "weather/icon-d2/grib/2026091603/t/icon-d2_icosahedral_150_2026091603_00000_2d_t.grib2.lz4",
        "weather/icon-d2/grib/2026091603/t/icon-d2_icosahedral_single_2026091603_00060_2d_t.grib2.lz4",
        "weather/icon-d2/grib/2026091603/t/icon-d2_icosahedral_single_2026091603_00000_2d_t.grib2",
        "weather/icon-d2/grib/2026091603/t_2m/"
        "icon-d2_germany_regular-lat-lon_single-level_2026091600_000_2d_t_2m.grib2.lz4",
    ],
)
def test_what_is_no_path_of_the_archive_has_no_key(path):
    assert parse_archive_path(path) is None
    assert parse_version_path(version_path(path, DIGEST)) is None


def test_a_field_from_either_tree_is_kept_in_one_place():
    old = "/weather/nwp/icon-d2/grib/03/t/icon-d2_germany_icosahedral_pressure-level_2026091603_001_850_t.grib2.bz2"
    new = "/weather/nwp/v1/m/icon-d2/p/T/lvt1/100/lv1/85000/r/2026-09-16T03%3A00/s/PT001H00M.grib2"
    assert archive_path(parse_old(old)) == archive_path(parse_v1(new))
