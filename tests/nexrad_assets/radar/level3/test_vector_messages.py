"""Messages built byte by byte: vortex signatures, hail that no sample has, damage, and noise."""

import io
import json
import struct
import subprocess
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nexrad_assets.radar.level3.message import read_message
from nexrad_assets.radar.level3.vectors import VECTOR_CODES, read_vectors
from nexrad_assets.radar.volume import VolumeError
from tests.nexrad_assets.radar.level3.vector_messages import LATITUDE_DEG, LONGITUDE_DEG, km, message, packet
from tests.samples import SAMPLES, needs_samples

FILE = "TLX_NTV_2013_05_20_20_21_01"
TABLE = (
    "                            Tornado Vortex Signature",
    "     Radar Id  17   Date/Time  05:20:13/20:21:01   Number of TVS/ETVS    2/  1",
    "",
    " Feat  Storm   AZ/RAN  AVGDV  LLDV  MXDV/Hgt   Depth    Base/Top   MXSHR/Hgt",
    " Type    ID   (deg,nm)  (kt)  (kt)  (kt,kft)   (kft)     (kft)     (E-3/s,kft)",
    "",
    "  TVS    F0    90/ 20    35    52    52/ 4.9   >11.1  < 4.9/ 16.0    16/ 4.9",
    "  TVS    R7   180/ 50    29    57    57/ 6.5    15.9    6.5/ 22.4    18/ 6.5",
    " ETVS    Y5   270/ 35    14    62    62/19.8     9.1   19.8/ 28.9    28/19.8",
)
EAST, SOUTH, WEST = (km(20 * 1.852), 0), (0, km(-50 * 1.852)), (km(-35 * 1.852), 0)


def document(data, file=FILE):
    return read_vectors(read_message(data, file), LATITUDE_DEG, LONGITUDE_DEG)


def features(data):
    return document(data).content["features"]


def text(code, column, row, words):
    """A text packet; with colour 1 for code 8."""
    padded = words.encode("ascii") + b" " * (len(words) % 2)
    return packet(code, *([1] if code == 8 else []), column, row, text=padded)


def page(*rows):
    return b"".join(text(8, 0, 1 + 10 * at, row) for at, row in enumerate(rows))


def vortices(table=TABLE):
    return message(61, packet(12, *EAST, *SOUTH) + packet(26, *WEST), tables=[table])


def test_the_built_message_is_one_that_metpy_reads_alike():
    from metpy.io import Level3File

    theirs = Level3File(io.BytesIO(vortices()))
    marks = [(item["type"], item["x"], item["y"]) for item in theirs.sym_block[0]]
    assert marks == [
        ("TVS", [37.0, 0.0], [0.0, -92.5]),
        ("ETVS", -64.75, 0.0),
    ]
    assert theirs.tab_pages[0].splitlines()[6].rstrip() == TABLE[6]


def test_vortex_signatures_have_kind_position_and_the_row_of_their_position():
    found = document(vortices())
    assert (found.name, found.count) == ("tornadoes", 3)
    first, second, elevated = found.content["features"]
    assert first["properties"] == {
        "kind": "TVS",
        "storm_id": "F0",
        "mean_delta_velocity_kt": 35,
        "low_level_delta_velocity_kt": 52,
        "max_delta_velocity_kt": 52,
        "max_delta_velocity_height_kft": 4.9,
        "depth_kft": 11.1,
        "depth_bound": ">",
        "base_kft": 4.9,
        "base_bound": "<",
        "top_kft": 16.0,
        "max_shear_per_s": 0.016,
        "max_shear_height_kft": 4.9,
        "azimuth_deg": 90.0,
        "range_km": 37.0,
    }
    assert (second["properties"]["storm_id"], elevated["properties"]["storm_id"]) == ("R7", "Y5")
    assert elevated["properties"]["kind"] == "ETVS"
    longitude, latitude = second["geometry"]["coordinates"]
    assert longitude == pytest.approx(LONGITUDE_DEG, abs=1e-5)
    assert latitude == pytest.approx(LATITUDE_DEG - 92.5 / 110.95, abs=1e-3)


def test_rows_in_another_order_still_find_their_signatures():
    shuffled = (*TABLE[:6], TABLE[8], TABLE[7], TABLE[6])
    assert [one["properties"]["storm_id"] for one in features(vortices(shuffled))] == ["F0", "R7", "Y5"]


def test_a_row_of_another_place_is_given_to_no_signature():
    far = tuple(line.replace(" 90/ 20", " 95/ 20") for line in TABLE)
    first, second, _ = features(vortices(far))
    assert first["properties"] == {"kind": "TVS", "azimuth_deg": 90.0, "range_km": 37.0}
    assert second["properties"]["storm_id"] == "R7"


@pytest.mark.parametrize("code", sorted(VECTOR_CODES))
def test_a_message_without_blocks_is_an_empty_document(code):
    found = document(message(code))
    assert (found.name, found.count) == (VECTOR_CODES[code], 0)


HAIL_PAGE = (
    "  STORM ID            A0       B1       C2",
    "  AZ/RAN          90/ 20  180/ 50  270/ 35",
    "  POSH/POH        50/ 90    0/ 20  UNKNOWN",
    "  MAX HAIL SIZE     1.75    <0.50  UNKNOWN",
)
HAIL_PACKETS = packet(19, *EAST, 90, 50, 2, *SOUTH, 20, 0, 0) + packet(19, *WEST, -999, -999, 0)


def test_hail_has_the_packets_chances_and_the_displays_size():
    big, small, unknown = (
        one["properties"] for one in features(message(59, HAIL_PACKETS, pages=[page(*HAIL_PAGE)]))
    )
    assert (big["poh_percent"], big["posh_percent"], big["max_hail_size_in"]) == (90, 50, 1.75)
    assert (small["max_hail_size_in"], small["max_hail_size_bound"]) == (0.5, "<")
    assert unknown == {"kind": "hail", "storm_id": "C2", "azimuth_deg": 270.0, "range_km": 64.75}


def test_hail_without_a_display_has_whole_inches_and_no_storm():
    big, _, unknown = features(message(59, HAIL_PACKETS))
    assert big["properties"]["max_hail_size_in"] == 2
    assert "storm_id" not in big["properties"]
    assert "max_hail_size_in" not in unknown["properties"]


STORM = (
    packet(2, 40, 80, text=b'" ')
    + packet(15, 40, 80, text=b"A0")
    + packet(23, text=packet(2, 36, 80, text=b"! ") + packet(6, 40, 80, 36, 80))
    + packet(24, text=packet(2, 48, 80, text=b"# ") + packet(6, 40, 80, 48, 80))
)


@pytest.mark.parametrize(
    ("broken", "lost"),
    [
        ("  STORM ID        A0        B1", "max_reflectivity_dbz"),
        ("", "max_reflectivity_dbz"),
        ("  DBZM HGT   ?? **", "max_reflectivity_dbz"),
        ("  DBZM HGT   44", "max_reflectivity_dbz"),
    ],
)
def test_a_page_that_cannot_be_read_costs_no_position(broken, lost):
    rows = ["  STORM ID        A0", "  FCST MVT  270/ 10", "  DBZM HGT   44  7.2"]
    whole, damaged = (
        features(message(58, STORM, pages=[page(*some)])) for some in (rows, [broken, *rows[1:2], broken])
    )
    assert whole[0]["properties"][lost] == 44
    assert lost not in damaged[0]["properties"]
    assert [one["geometry"] for one in damaged] == [one["geometry"] for one in whole]


def test_a_page_of_damaged_text_costs_its_attributes_and_spares_the_other_pages():
    rows = page("  STORM ID        A0", "  DBZM HGT   44  7.2")
    noise = packet(8, 1, 0, 1, text=b"\xff\xfe")
    cell, *_ = features(message(58, STORM, pages=[noise, rows]))
    assert cell["properties"]["max_reflectivity_dbz"] == 44


def test_without_the_adaptation_page_a_forecast_keeps_its_order_and_has_no_minutes():
    cell, past, forecast = features(message(58, STORM))
    assert (cell["id"], past["id"], forecast["id"]) == ("A0", "A0:past_track", "A0:forecast_track")
    assert past["geometry"]["coordinates"][-1] == cell["geometry"]["coordinates"]
    assert forecast["geometry"]["coordinates"][0] == cell["geometry"]["coordinates"]
    assert "minutes" not in forecast["properties"]
    told = features(
        message(58, STORM, tables=[("   20   (MIN) TIME (MAXIMUM)   10   (MIN) FORECAST INTERVAL",)])
    )
    assert told[2]["properties"]["minutes"] == [0, 10]


def test_point_features_that_are_no_circulations_are_passed_over():
    packets = packet(20, 40, 80, 7, 0) + packet(20, 40, 80, 11, 8) + text(8, 40, 80, "12")
    found = document(message(141, packets))
    assert found.count == 1
    assert found.content["features"][0]["properties"] == {
        "kind": "weak",
        "circulation_id": "12",
        "radius_km": 2.0,
        "azimuth_deg": 26.6,
        "range_km": 22.36,
    }


def test_a_circulation_row_without_storm_motion_or_a_flag_is_read():
    row = (" 12   27/ 12  4S     20   30  < 3   >10   50       3     41    999",)
    packets = packet(20, 40, 80, 11, 8) + text(8, 40, 80, "12")
    properties = features(message(141, packets, tables=[row]))[0]["properties"]
    assert properties["strength_rank_method"] == "shallow"
    assert (properties["base_kft"], properties["strength_index"]) == (3, 999)
    assert not {"storm_id", "speed_kt", "tornado_vortex_signature"} & properties.keys()


def test_winds_before_midnight_belong_to_the_day_before():
    chart = b"".join(
        [text(8, 460, 490, "2021"), text(8, 421, 490, "2359"), text(8, 31, 451, " 1"), text(8, 31, 436, " 2")]
    )
    barbs = packet(4, 1, 474, 455, 90, 10) + packet(4, 2, 435, 440, 180, 20)
    history = document(message(48, chart + barbs)).content["history"]
    assert [profile["time"] for profile in history] == ["2013-05-19T23:59:00Z", "2013-05-20T20:21:00Z"]
    assert history[0]["levels"] == [
        {
            "height_ft": 2000, "height_m": 610, "direction_deg": 180, "speed_kt": 20, "speed_mps": 10.3,
            "u_mps": 0.0, "v_mps": 10.3,
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "packets", "fault"),
    [
        (59, packet(19, 1, 2, 3), "packet 19 holds 6 bytes, no multiple of 10"),
        (61, packet(12, 1, 2, 3), "packet 12 holds 6 bytes, no multiple of 4"),
        (141, packet(20, 1, 2, 3), "packet 20 holds 6 bytes, no multiple of 8"),
        (48, packet(4, 1, 2, 3), "packet 4 holds 6 bytes, no multiple of 10"),
        (48, packet(8, 1, 2), "packet 8 is too short for a text: 6 bytes"),
        (58, packet(15, 1, 2, text=b"\xff\x80"), "a label is no text"),
        (
            58,
            packet(15, 1, 2, text=b"A0") + packet(23, text=struct.pack(">HHhh", 2, 6, 1, 2)),
            "past its layer",
        ),
        (58, packet(15, 1, 2, text=b"A0") + packet(24, text=b"\x00\x00\x00\x00"), "packet code 0"),
    ],
)
def test_a_damaged_packet_is_an_error_that_names_file_and_fault(code, packets, fault):
    with pytest.raises(VolumeError, match=fault) as caught:
        document(message(code, packets))
    assert str(caught.value).startswith(FILE)


BUILT = (
    vortices(),
    message(59, HAIL_PACKETS, pages=[page(*HAIL_PAGE)]),
    message(58, STORM, pages=[page("  STORM ID        A0", "  DBZM HGT   44  7.2")]),
    message(
        141,
        packet(20, 40, 80, 11, 8) + text(8, 40, 80, "12"),
        tables=[(" 12   27/ 12  4S     20   30  < 3   >10   50       3     41  N  270/ 9 999",)],
    ),
    message(48, text(8, 460, 490, "2021") + text(8, 31, 451, " 1") + packet(4, 1, 474, 455, 90, 10)),
)


def assert_read_or_refused(data):
    content, fault = {}, FILE
    try:
        content = json.loads(json.dumps(document(data).content, allow_nan=False))
    except VolumeError as error:
        fault = str(error)
    assert fault.startswith(FILE)
    for feature in content.get("features", []):
        assert feature["geometry"]["type"] in ("Point", "LineString")


@settings(max_examples=300, deadline=None)
@given(
    which=st.integers(0, len(BUILT) - 1),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=12),
)
@example(which=0, changes=[])
def test_changed_bytes_are_read_or_refused_by_name_and_never_crash(which, changes):
    data = bytearray(BUILT[which])
    for place, value in changes:
        data[int(place * len(data))] = value
    assert_read_or_refused(bytes(data))


@settings(max_examples=200, deadline=None)
@given(
    code=st.sampled_from(sorted(VECTOR_CODES)),
    bodies=st.lists(
        st.tuples(st.sampled_from([2, 4, 8, 12, 15, 19, 20, 23, 24, 25, 26]), st.binary(max_size=40)),
        max_size=6,
    ),
    lines=st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=78), max_size=4),
)
def test_packets_and_tables_of_noise_are_read_or_refused_by_name(code, bodies, lines):
    packets = b"".join(packet(kind, text=body + b"\0" * (len(body) % 2)) for kind, body in bodies)
    assert_read_or_refused(message(code, packets, pages=[page(*lines)], tables=[tuple(lines)]))


@needs_samples
@pytest.mark.parametrize(
    "file", ["BMX_NST_2015_01_02_02_05_00", "LOT_NMD_2021_06_21_04_27_31", "AMX_NVW_2026_07_10_04_57_17"]
)
@settings(max_examples=25, deadline=None)
@given(changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=20))
def test_real_products_with_changed_bytes_are_read_or_refused_by_name(file, changes):
    data = bytearray((SAMPLES / "nexrad" / "level3" / file).read_bytes())
    for place, value in changes:
        data[int(place * len(data))] = value
    assert_read_or_refused(bytes(data))


def test_reading_imports_neither_the_oracles_nor_pyproj_before_it_is_needed():
    script = (
        "import sys, nexrad_assets.radar.level3.vectors\n"
        "print(sorted({'metpy', 'pyart', 'pyproj', 'dagster'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
