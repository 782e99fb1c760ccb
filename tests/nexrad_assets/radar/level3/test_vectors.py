"""Cells, circulations, hail and winds of real products, against their own tables and MetPy's packets."""

import json
import math
import re
from functools import cache

import pytest
from pyproj import Geod

from nexrad_assets.radar.level3.message import read_message
from nexrad_assets.radar.level3.vectors import VECTOR_CODES, read_vectors
from nexrad_assets.radar.volume import VolumeError
from tests.samples import SAMPLES, needs_samples

pytestmark = needs_samples

LEVEL3 = SAMPLES / "nexrad" / "level3"
STORMS = ("AMX_NST_2026_07_10_04_57_17", "BMX_NST_2015_01_02_02_05_00", "ICT_NST_2026_07_10_05_07_19")
CIRCULATIONS = "LOT_NMD_2021_06_21_04_27_31"
HAIL = "BMX_NHI_2015_01_02_02_05_00"
WINDS = "AMX_NVW_2026_07_10_04_57_17"
EMPTY = ("AMX_NMD_2026_07_10_04_57_17", "BMX_NMD_2015_01_02_02_05_00")
ALL = (*STORMS, CIRCULATIONS, HAIL, WINDS, *EMPTY)
MAPS = tuple(file for file in ALL if file != WINDS)
KM_PER_NM = 1.852
NM_ROUNDING_KM = 0.5 * KM_PER_NM + 0.25
WGS84 = Geod(ellps="WGS84")


@cache
def message(file):
    return read_message((LEVEL3 / file).read_bytes(), file)


@cache
def document(file):
    one = message(file)
    return read_vectors(one, one.latitude_deg, one.longitude_deg)


@cache
def oracle(file):
    from metpy.io import Level3File

    return Level3File(str(LEVEL3 / file))


def points(file):
    return [
        feature for feature in document(file).content["features"] if feature["geometry"]["type"] == "Point"
    ]


def lines(file, kind):
    return {
        feature["properties"]["of"]: feature
        for feature in document(file).content["features"]
        if feature["properties"]["kind"] == kind
    }


def as_seen(file, position):
    """Azimuth (degrees) and range (km) from the antenna of a position on Earth."""
    one = message(file)
    azimuth, _, metres = WGS84.inv(one.longitude_deg, one.latitude_deg, *position)
    return azimuth % 360.0, metres / 1000.0


def plane(file, position):
    azimuth, km = as_seen(file, position)
    return km * math.sin(math.radians(azimuth)), km * math.cos(math.radians(azimuth))


def assert_printed_at(file, position, azimuth_deg, range_nm):
    azimuth, km = as_seen(file, position)
    turn = (azimuth - azimuth_deg + 180.0) % 360.0 - 180.0
    assert abs(turn) <= 0.5 + math.degrees(0.2 / max(km, 1.0))
    assert abs(km - range_nm * KM_PER_NM) <= NM_ROUNDING_KM


def table(file, pattern):
    """The matches of a pattern in the tabular text as MetPy reads it, by their first group."""
    found = re.findall(pattern, "\n".join(oracle(file).tab_pages), re.MULTILINE)
    return {match[0]: match for match in found}


def page_row(file, label, fields):
    """The columns of a row over all pages of the display as MetPy reads them."""
    found = []
    for page in oracle(file).graph_pages:
        text = next(item["text"] for item in page if item.get("text", "").strip().startswith(label))
        found.extend(re.findall(fields, text.strip().removeprefix(label)))
    return found


@pytest.mark.parametrize("file", STORMS)
def test_cells_lie_where_the_tables_of_the_same_product_print_them(file):
    idents = page_row(file, "STORM ID", r"[A-Z]\d")
    printed = dict(zip(idents, page_row(file, "AZ/RAN", r"(\d+)/ *(\d+)"), strict=True))
    assert 0 < len(printed) <= document(file).count
    for feature in points(file):
        where = printed.get(feature["id"])
        if where is not None:
            assert_printed_at(file, feature["geometry"]["coordinates"], *map(int, where))


@pytest.mark.parametrize("file", STORMS)
def test_forecast_positions_and_their_minutes_are_those_of_the_forecast_table(file):
    position = r"(\d+/ *\d+|NO DATA) +"
    rows = table(file, rf"^  ([A-Z]\d) +\d+/ *\d+ +(?:NEW|\d+/ *\d+) +{position * 4}[\d.]+/ *[\d.]+ *$")
    drawn = lines(file, "forecast_track")
    assert rows
    for ident, *row in rows.values():
        forecasts = [entry for entry in row if entry != "NO DATA"]
        track = drawn.get(ident)
        assert (track is not None) or not forecasts
        if track is not None and forecasts:
            assert track["properties"]["minutes"] == [15 * step for step in range(len(forecasts) + 1)]
            for entry, coordinates in zip(forecasts, track["geometry"]["coordinates"][1:], strict=True):
                assert_printed_at(file, coordinates, *map(int, entry.split("/")))


@pytest.mark.parametrize("file", [*STORMS, CIRCULATIONS])
def test_tracks_pass_through_the_packets_points_in_the_order_of_time(file):
    ours = {
        kind: [
            [plane(file, position) for position in feature["geometry"]["coordinates"]]
            for feature in lines(file, kind).values()
        ]
        for kind in ("past_track", "forecast_track")
    }
    theirs = {"past": [], "forecast": []}
    for item in oracle(file).sym_block[0]:
        if "track" in item:
            theirs["past" if "past" in str(item["markers"]) else "forecast"].append(item["track"])
    past = [list(reversed(track)) for track in theirs["past"]]
    for mine, its in ((ours["past_track"], past), (ours["forecast_track"], theirs["forecast"])):
        assert len(mine) == len(its) > 0
        for track, other in zip(mine, its, strict=True):
            assert sum(track, ()) == pytest.approx(sum(other, ()), abs=0.005)


@pytest.mark.parametrize(
    ("file", "kinds"),
    [*((file, ("Storm ID",)) for file in STORMS), (CIRCULATIONS, ("MDA", "MDA (Elev.)")), (HAIL, ("HDA",))],
)
def test_points_lie_where_metpy_reads_their_packets(file, kinds):
    theirs = [(item["x"], item["y"]) for item in oracle(file).sym_block[0] if item.get("type") in kinds]
    ours = [plane(file, feature["geometry"]["coordinates"]) for feature in points(file)]
    assert len(ours) == len(theirs) == document(file).count
    assert sum(ours, ()) == pytest.approx(sum(theirs, ()), abs=0.005)


@pytest.mark.parametrize("file", [*STORMS, CIRCULATIONS])
def test_forecasts_go_the_way_and_at_the_speed_that_the_motion_tells(file):
    tracks = lines(file, "forecast_track")
    moving = [one for one in points(file) if one["properties"].get("speed_kt", 0) >= 20]
    checked = 0
    for feature in moving:
        if feature["id"] in tracks:
            track = tracks[feature["id"]]
            coordinates, minutes = track["geometry"]["coordinates"], track["properties"]["minutes"]
            azimuth, _, metres = WGS84.inv(*coordinates[0], *coordinates[-1])
            properties = feature["properties"]
            assert abs((azimuth - properties["motion_toward_deg"] + 180) % 360 - 180) < 6.0
            assert (properties["motion_from_deg"] + 180) % 360 == properties["motion_toward_deg"]
            assert metres / 1852 / minutes[-1] * 60 == pytest.approx(properties["speed_kt"], rel=0.08)
            checked += 1
    assert checked >= 2


def test_attributes_of_a_cell_are_those_of_its_column():
    cells = {feature["id"]: feature["properties"] for feature in points("BMX_NST_2015_01_02_02_05_00")}
    fast, fresh = cells["V3"], cells["E4"]
    assert fast | {"azimuth_deg": 44.4, "range_km": 36.06} == {
        "kind": "cell",
        "storm_id": "V3",
        "new": False,
        "motion_from_deg": 247,
        "motion_toward_deg": 67,
        "speed_kt": 62,
        "forecast_error_nm": 3.6,
        "mean_error_nm": 3.8,
        "max_reflectivity_dbz": 50,
        "max_reflectivity_height_kft": 8.3,
        "azimuth_deg": 44.4,
        "range_km": 36.06,
    }
    assert fresh["new"] is True
    assert not {"speed_kt", "motion_from_deg", "forecast_error_nm"} & fresh.keys()
    assert document("BMX_NST_2015_01_02_02_05_00").content["mean_motion"]["speed_kt"] == 58


def test_cells_beyond_the_36_of_the_display_keep_their_positions_without_attributes():
    cells = points("ICT_NST_2026_07_10_05_07_19")
    described = [cell for cell in cells if "max_reflectivity_dbz" in cell["properties"]]
    assert (len(cells), len(described)) == (38, 36)
    slow = [cell["id"] for cell in cells if "nearly_stationary" in cell["properties"]]
    assert slow == ["P3"]


def lowest_beam_kft(range_km, elevation_deg=0.48):
    """Height above the antenna in the radar's own refraction model, 1.21 Earth radii."""
    km = range_km * math.sin(math.radians(elevation_deg)) + range_km**2 / (2 * 1.21 * 6371.0)
    return km / 0.3048


def test_cell_heights_are_above_the_antenna_and_not_above_the_sea():
    # At far cells seen by the lowest tilt alone, the height of the maximum is that of the lowest beam;
    # the antenna at ICT stands 1.4 thousand feet above the sea.
    cells = {feature["id"]: feature["properties"] for feature in points("ICT_NST_2026_07_10_05_07_19")}
    for ident in ("Q2", "C2", "D3"):
        height = lowest_beam_kft(cells[ident]["range_km"])
        assert cells[ident]["max_reflectivity_height_kft"] == pytest.approx(height, abs=0.3)


def test_circulation_bases_are_above_the_antenna_and_not_above_the_sea():
    far = [
        feature["properties"]
        for feature in points(CIRCULATIONS)
        if feature["properties"].get("base_bound") == "<" and feature["properties"]["range_km"] > 150
    ]
    assert len(far) >= 10
    off = [lowest_beam_kft(one["range_km"]) - one["base_kft"] for one in far]
    # Whole thousands, cut off: half a thousand feet low in the mean; the antenna stands 0.76 above the sea.
    assert 0.2 < sum(off) / len(off) < 0.8


def test_circulations_lie_where_their_table_prints_them_with_all_its_attributes():
    rows = table(CIRCULATIONS, r"^ (\d+) +(\d+)/ *(\d+) +(\d+)[ LS] ([A-Z]\d) .* (\d+) *$")
    found = {feature["id"]: feature for feature in points(CIRCULATIONS)}
    assert found.keys() == rows.keys()
    for ident, azimuth, range_nm, rank, storm, index in rows.values():
        properties = found[ident]["properties"]
        assert_printed_at(CIRCULATIONS, found[ident]["geometry"]["coordinates"], int(azimuth), int(range_nm))
        read = properties["strength_rank"], properties["storm_id"], properties["strength_index"]
        assert read == (int(rank), storm, int(index))


def test_attributes_of_a_circulation_are_those_of_its_row():
    properties = next(one["properties"] for one in points(CIRCULATIONS) if one["id"] == "265")
    assert {key: value for key, value in properties.items() if key not in ("azimuth_deg", "range_km")} == {
        "kind": "low_based",
        "circulation_id": "265",
        "radius_km": 2.25,
        "storm_id": "T4",
        "strength_rank": 5,
        "strength_rank_method": "low_topped",
        "low_level_rotational_velocity_kt": 37,
        "low_level_gate_to_gate_velocity_kt": 27,
        "base_kft": 2,
        "base_bound": "<",
        "depth_kft": 6,
        "depth_bound": ">",
        "top_kft": 8,
        "storm_relative_depth_percent": 30,
        "max_rotational_velocity_kt": 37,
        "max_rotational_velocity_height_kft": 2,
        "tornado_vortex_signature": False,
        "motion_from_deg": 322,
        "motion_toward_deg": 142,
        "speed_kt": 32,
        "strength_index": 3980,
    }


def test_a_circulation_is_elevated_where_its_table_gives_a_base_without_a_bound():
    for feature in points(CIRCULATIONS):
        elevated = feature["properties"]["kind"] == "elevated"
        assert elevated == ("base_bound" not in feature["properties"])


def test_hail_points_bear_the_storms_that_the_display_prints_at_their_positions():
    idents = page_row(HAIL, "STORM ID", r"[A-Z]\d")
    places = page_row(HAIL, "AZ/RAN", r"(\d+)/ *(\d+)")
    found = {feature["id"]: feature for feature in points(HAIL)}
    assert list(found) == idents
    for ident, place in zip(idents, places, strict=True):
        assert_printed_at(HAIL, found[ident]["geometry"]["coordinates"], *map(int, place))
    content = document(HAIL).content
    assert (content["freezing_level_kft"], content["minus_20_level_kft"]) == (10.4, 23.3)


def test_storms_and_hail_of_one_volume_agree_on_every_position():
    storms = {one["id"]: one["geometry"]["coordinates"] for one in points("BMX_NST_2015_01_02_02_05_00")}
    assert {one["id"]: one["geometry"]["coordinates"] for one in points(HAIL)} == storms


def test_wind_levels_are_every_row_of_the_profile_table():
    rows = re.findall(
        r"^ +(\d{3}) +(-?[\d.]+) +(-?[\d.]+) +\S+ +(\d{3}) +(\d{3}) ",
        oracle(WINDS).tab_pages[0],
        re.MULTILINE,
    )
    levels = document(WINDS).content["levels"]
    keys = ("height_ft", "u_mps", "v_mps", "direction_deg", "speed_kt")
    assert document(WINDS).count == len(levels) == len(rows) == 13
    assert [[level[key] for key in keys] for level in levels] == [
        [100 * int(height), float(u), float(v), int(direction), int(speed)]
        for height, u, v, direction, speed in rows
    ]
    assert levels[3]["divergence_per_s"] == pytest.approx(0.0294e-3)
    assert "divergence_per_s" not in levels[0]


def test_wind_direction_is_where_the_wind_comes_from():
    for level in document(WINDS).content["levels"]:
        toward = math.degrees(math.atan2(level["u_mps"], level["v_mps"]))
        assert abs((toward + 180 - level["direction_deg"] + 180) % 360 - 180) < 2.0
        assert math.hypot(level["u_mps"], level["v_mps"]) == pytest.approx(level["speed_mps"], abs=0.4)


def test_wind_heights_are_above_the_sea_as_slant_range_and_elevation_place_them():
    for level in document(WINDS).content["levels"]:
        km = level["slant_range_nm"] * KM_PER_NM
        up = km * math.sin(math.radians(level["elevation_deg"])) + km**2 / (2 * 1.21 * 6371.0)
        # The table rounds to 100 feet, and the elevation to a tenth of a degree.
        slack = 16 + km * 1000 * math.radians(0.05)
        assert level["height_m"] == pytest.approx(up * 1000 + message(WINDS).height_m, abs=slack)


def test_wind_history_has_each_barb_at_its_time_and_height_and_ends_with_the_newest_profile():
    history = document(WINDS).content["history"]
    theirs = [item for item in oracle(WINDS).sym_block[0] if "direc" in item]
    assert sum(len(profile["levels"]) for profile in history) == len(theirs) == 222
    times = [profile["time"] for profile in history]
    assert times == sorted(times)
    assert (times[0], times[-1]) == ("2026-07-10T04:09:00Z", "2026-07-10T04:57:00Z")
    assert len(times) == 11
    newest = [
        (level["height_ft"], level["direction_deg"], level["speed_kt"]) for level in history[-1]["levels"]
    ]
    printed = {
        (one["height_ft"], one["direction_deg"], one["speed_kt"]) for one in document(WINDS).content["levels"]
    }
    assert newest
    assert set(newest) <= printed


@pytest.mark.parametrize("file", EMPTY)
def test_a_product_without_circulations_is_a_document_without_features(file):
    assert (document(file).count, document(file).content["features"]) == (0, [])


@pytest.mark.parametrize("file", ALL)
def test_documents_tell_product_times_and_units_and_are_the_same_each_time(file):
    one, content = message(file), document(file).content
    again = read_vectors(one, one.latitude_deg, one.longitude_deg)
    assert json.dumps(content, allow_nan=False) == json.dumps(again.content, allow_nan=False)
    assert document(file).name == content["product"] == VECTOR_CODES[one.code]
    assert content["volume_time"] == content["valid_time"] == one.volume_time.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert content["product_time"] >= content["volume_time"]
    assert content["vcp"] == oracle(file).prod_desc.vcp
    assert content["credit"] == "NOAA/NWS"


@pytest.mark.parametrize("file", ALL)
def test_every_measured_property_has_its_unit_told(file):
    content = document(file).content
    plain = {
        "kind", "of", "storm_id", "circulation_id", "new", "nearly_stationary", "tornado_vortex_signature",
    }  # fmt: skip
    used = {key for feature in content.get("features", []) for key in feature["properties"]}
    used |= {key for level in content.get("levels", []) for key in level}
    assert used <= plain | content["units"].keys()


@pytest.mark.parametrize("file", MAPS)
def test_collections_are_valid_geojson(file):
    content = document(file).content
    assert content["type"] == "FeatureCollection"
    assert not {"geometry", "properties", "coordinates", "geometries"} & content.keys()
    idents = [feature["id"] for feature in content["features"]]
    assert len(set(idents)) == len(idents)
    for feature in content["features"]:
        assert feature.keys() == {"type", "id", "geometry", "properties"}
        geometry = feature["geometry"]
        positions = geometry["coordinates"] if geometry["type"] == "LineString" else [geometry["coordinates"]]
        assert geometry["type"] == "Point" or len(positions) >= 2
        for longitude, latitude in positions:
            assert -130.0 < longitude < -60.0
            assert 20.0 < latitude < 50.0
            assert round(longitude, 5) == longitude


def test_positions_follow_the_antenna_that_the_caller_tells():
    one = message(HAIL)
    moved = read_vectors(one, one.latitude_deg + 0.01, one.longitude_deg)
    before, after = (
        content["features"][0]["geometry"]["coordinates"][1]
        for content in (document(HAIL).content, moved.content)
    )
    assert after - before == pytest.approx(0.01, abs=1e-4)


def test_a_product_of_gates_is_refused_by_name():
    file = "AMX_EET_2026_07_10_04_57_17"
    with pytest.raises(VolumeError, match=f"{file}: message 135 is no vector product"):
        document(file)
