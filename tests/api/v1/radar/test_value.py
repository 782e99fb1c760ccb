"""`/v1/value`: what the published images have at a point, compared with the volume that they were made of."""

import math
from datetime import datetime, timedelta

import numpy as np
import pytest
from pyproj import Geod, Transformer

from api.v1.radar.place import LonLat, antenna, beam_height_m, pixel
from api.v1.radar.planes import DamagedImage, plane
from nexrad_assets.radar import tilts
from nexrad_assets.radar.image import png as encoder
from nexrad_assets.radar.level3.products import CLASSES
from tests.api import rendered
from tests.api.world import NOON, made, png

GEOD = Geod(ellps="WGS84")
EARTH_M = 4 / 3 * 6_371_000


def gate_at(sweep, lon, lat):
    """The code of the gate that a point lies well inside of, and its slant range; none near its edges."""
    volume = rendered.volume()
    azimuth, _, ground = GEOD.inv(volume.longitude_deg, volume.latitude_deg, lon, lat)
    moment = sweep.moments["REF"]
    off = np.abs((sweep.azimuth_deg - azimuth + 180) % 360 - 180)
    slant = moment.first_gate_m + np.arange(moment.codes.shape[1]) * moment.gate_spacing_m
    tilt = math.radians(sweep.measured_deg)
    height = np.sqrt(slant**2 + EARTH_M**2 + 2 * slant * EARTH_M * math.sin(tilt)) - EARTH_M
    arcs = EARTH_M * np.arcsin(slant * math.cos(tilt) / (EARTH_M + height))
    ray, gate = int(off.argmin()), int(np.abs(arcs - ground).argmin())
    inside = off[ray] < 0.3 * sweep.spacing_deg and abs(arcs[gate] - ground) < 0.3 * moment.gate_spacing_m
    return (int(moment.codes[ray, gate]), float(height[gate])) if inside else None


def pixel_centres(image, corners, count, seed):
    """Places in the middle of pixels, by EPSG:3857 as PROJ has it."""
    to_metres = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True)
    west, north = to_metres.transform(*corners.nw)
    east, south = to_metres.transform(*corners.se)
    random = np.random.default_rng(seed)
    for row, column in random.integers(image.pixels // 3, image.pixels * 2 // 3, (count, 2)):
        x = west + (column + 0.5) / image.pixels * (east - west)
        y = north - (row + 0.5) / image.pixels * (north - south)
        yield to_metres.transform(x, y, direction="INVERSE")


@pytest.fixture(scope="module")
def scan():
    return rendered.level2().scan


@pytest.fixture
def client(publisher, serve):
    publisher.publish(rendered.level2(), rendered.level3("HHC"))
    return serve(rate_per_minute=0)


BEFORE_THE_REPEAT = {"at": "2025-04-09T12:02:28Z"}


def ask(client, lon, lat, **more):
    answer = client.get("/v1/value", params={"product": "reflectivity", "lon": lon, "lat": lat, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_every_tilt_has_the_value_of_the_gate_that_the_volume_holds_there(client, scan):
    layer = scan.layers["reflectivity"]
    by_tilt = tilts.tilts(rendered.volume(), "REF")
    image = layer.tilts[0].images[0]
    compared, amounts = 0, 0
    for lon, lat in pixel_centres(image, scan.corners[image.canvas_km], 80, seed=1):
        told = ask(client, lon, lat, **BEFORE_THE_REPEAT)["values"]
        assert [one["idx"] for one in told] == list(range(len(by_tilt)))
        # Of the other canvases the point is not the middle of a pixel.
        gate = gate_at(by_tilt[0].sweeps[0], lon, lat)
        if gate is None or told[0]["index"] is None:
            continue
        compared += 1
        assert told[0]["index"] == gate[0]
        amounts += gate[0] > 1
        moment = by_tilt[0].sweeps[0].moments["REF"]
        expected = (gate[0] - moment.offset) / moment.scale if gate[0] > 1 else None
        assert told[0]["value"] == expected
        assert (told[0]["meaning"] is None) == (gate[0] > 1)
    assert compared > 15
    assert amounts > 3


WHEN_THE_LOWEST_TILT_IS_READ = {
    "the newest": ({}, 1),
    "as the repeat begins": ({"at": "2025-04-09T12:02:28.194Z"}, 1),
    "after the volume": ({"at": "2025-04-09T12:30:00Z"}, 1),
    "just before the repeat": ({"at": "2025-04-09T12:02:28.193Z"}, 0),
    "as the volume begins": ({"at": "2025-04-09T12:00:00Z"}, 0),
}


@pytest.mark.parametrize("when", WHEN_THE_LOWEST_TILT_IS_READ)
def test_of_a_tilt_that_a_volume_repeats_the_sweep_valid_at_that_time_is_read(client, scan, when):
    asked, expected = WHEN_THE_LOWEST_TILT_IS_READ[when]
    sweeps = tilts.tilts(rendered.volume(), "REF")[0].sweeps
    first, repeat = scan.layers["reflectivity"].tilts[0].images
    assert (len(sweeps), repeat.start - first.start) == (2, timedelta(seconds=148, milliseconds=194))
    differing = 0
    for lon, lat in pixel_centres(first, scan.corners[first.canvas_km], 120, seed=11):
        gates = [gate_at(sweep, lon, lat) for sweep in sweeps]
        if None in gates or gates[0][0] == gates[1][0]:
            continue
        told, *higher = ask(client, lon, lat, **asked)["values"]
        assert told["index"] == gates[expected][0]
        assert datetime.fromisoformat(told["valid_time"]) == (first, repeat)[expected].start
        assert told["elevation_deg"] == pytest.approx(sweeps[expected].measured_deg, abs=0.001)
        assert len(higher) == 6
        differing += 1
    assert differing > 5


def test_higher_tilts_are_read_on_their_own_canvas(client, scan):
    layer = scan.layers["reflectivity"]
    by_tilt = tilts.tilts(rendered.volume(), "REF")
    compared = 0
    for rank in (3, 5, 6):
        image = layer.tilts[rank].images[0]
        for lon, lat in pixel_centres(image, scan.corners[image.canvas_km], 25, seed=rank):
            gate = gate_at(by_tilt[rank].sweeps[0], lon, lat)
            told = ask(client, lon, lat)["values"][rank]
            if gate is not None and told["index"] is not None:
                assert told["index"] == gate[0]
                compared += 1
    assert compared > 15


def test_the_beam_is_as_high_as_at_the_gate_and_the_antenna_on_top_of_the_sea(client, scan):
    here = rendered.antenna()
    by_tilt = tilts.tilts(rendered.volume(), "REF")
    lon, lat, _ = GEOD.fwd(here.longitude_deg, here.latitude_deg, 90.25, 100_000)
    for one, tilt in zip(ask(client, lon, lat, **BEFORE_THE_REPEAT)["values"], by_tilt, strict=True):
        sweep = tilt.sweeps[0]
        above = one["beam_height_above_radar_m"]
        gates = [
            gate_at(sweep, *GEOD.fwd(here.longitude_deg, here.latitude_deg, 90.25, metres)[:2])
            for metres in np.arange(99_700, 100_300, 20)
        ]
        heights = [gate[1] for gate in gates if gate]
        if heights:
            assert min(heights) - 80 < above < max(heights) + 80
        assert one["beam_height_above_sea_m"] == pytest.approx(above + here.height_m, abs=0.11)
        assert one["elevation_deg"] == pytest.approx(sweep.measured_deg, abs=0.001)


def test_the_beam_height_is_the_exact_one_of_a_round_earth():
    # Doviak and Zrnic, (2.28b) and (2.28c), the other way round: from a slant range to ground and height.
    for elevation in (-0.2, 0.48, 4.0, 19.5):
        for slant in (1_000.0, 60_000.0, 230_000.0):
            tilt = math.radians(elevation)
            height = math.sqrt(slant**2 + EARTH_M**2 + 2 * slant * EARTH_M * math.sin(tilt)) - EARTH_M
            ground = EARTH_M * math.asin(slant * math.cos(tilt) / (EARTH_M + height))
            assert beam_height_m(ground, elevation) == pytest.approx(height, abs=1e-3)


def test_the_point_is_told_as_the_radar_sees_it(client):
    here = rendered.volume()
    lon, lat, _ = GEOD.fwd(here.longitude_deg, here.latitude_deg, 303.0, 71_500)
    point = ask(client, lon, lat)["point"]
    assert point["azimuth_deg"] == pytest.approx(303.0, abs=0.001)
    assert point["ground_range_km"] == pytest.approx(71.5, abs=0.001)


def test_the_antenna_is_where_the_volume_says(scan):
    volume = rendered.volume()
    for range_km, corners in scan.corners.items():
        found = antenna(corners, range_km)
        assert found.lat == pytest.approx(volume.latitude_deg, abs=1e-9)
        assert found.lon == pytest.approx(volume.longitude_deg, abs=1e-9)


def test_a_point_out_of_range_has_no_value_and_says_so(client, scan):
    here = rendered.antenna()
    reach = {one["idx"]: one for one in ask(client, here.longitude_deg + 3.5, here.latitude_deg)["values"]}
    km = (
        GEOD.inv(here.longitude_deg, here.latitude_deg, here.longitude_deg + 3.5, here.latitude_deg)[2] / 1000
    )
    for rank, tilt in enumerate(scan.layers["reflectivity"].tilts):
        out = km > tilt.images[0].range_km
        assert (reach[rank]["meaning"] == "out of range") == out
        assert (reach[rank]["index"] is None) == out
    assert {True, False} == {one["index"] is None for one in reach.values()}
    for lon, lat in ((0.0, 0.0), (180.0, 90.0), (-180.0, -90.0)):
        assert all(one["value"] is None for one in ask(client, lon, lat)["values"])


def test_classes_are_told_in_words_and_products_without_an_angle_have_no_height(client):
    image = rendered.level3("HHC").scan.layers["hydrometeor"].tilts[0].images[0]
    corners = rendered.level3("HHC").scan.corners[image.canvas_km]
    meanings = set()
    for lon, lat in pixel_centres(image, corners, 150, seed=3):
        (one,) = ask(client, lon, lat, product="hydrometeor", code="HHC")["values"]
        assert one["value"] is None
        assert one["beam_height_above_radar_m"] is one["beam_height_above_sea_m"] is None
        if one["index"] in CLASSES:
            assert one["meaning"] == CLASSES[one["index"]].name
        meanings.add(one["meaning"])
    assert meanings & {"rain", "heavy rain", "dry snow", "wet snow", "big drops", "ice crystals", "graupel"}


def test_the_scan_is_the_one_valid_at_that_time(client, publisher):
    early = ask(client, -118.5, 45.9, at="2025-04-09T12:30:00Z")
    assert early["scan"]["key"] == "KPDT20250409_120000_V06"
    none = ask(client, -118.5, 45.9, at="2025-04-09T11:59:00Z")
    assert (none["scan"], none["values"], none["point"]) == (None, [], None)


def test_a_damaged_image_is_a_503_and_no_value(publisher, serve):
    one = made("KPDT", NOON, tilts=1)
    publisher.publish(one)
    answer = serve().get("/v1/value?product=reflectivity&lon=-119&lat=45")
    assert answer.status_code == 200
    (key,) = one.objects
    publisher.store.put(key, b"nothing of it", "image/png")
    other = serve().get("/v1/value?product=reflectivity&lon=-119&lat=45")
    assert (other.status_code, other.headers["content-type"]) == (503, "application/problem+json")


def test_who_asks_too_often_is_told_when_to_come_back(publisher, serve):
    publisher.publish(made("KPDT", NOON, tilts=1))
    client = serve(rate_per_minute=2)
    address = "/v1/value?product=reflectivity&lon=-119&lat=45"
    answers = [client.get(address) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[-1].headers["retry-after"]) >= 1
    for free in ("/v1/scans?product=reflectivity", "/v1/sites", "/list-all/"):
        assert client.get(free).status_code == 200


@pytest.mark.parametrize("full", [False, True])
def test_planes_of_both_row_filters_give_the_encoders_indices(full):
    random = np.random.default_rng(5)
    rows = encoder.blank_rows(64)
    rows[:, 1:] = random.integers(0, 256, (64, 64)) if full else 0
    rows[7, 9] = 200
    data = encoder.encode(rows, np.zeros((256, 4), np.uint8))
    found = plane(data)
    assert found.rows[0] == (2 if full else 0)
    for row, column in [(0, 0), (7, 8), (63, 63), *random.integers(0, 64, (50, 2)).tolist()]:
        assert found.index(row, column) == rows[row, column + 1]


def test_other_bytes_than_an_image_are_refused():
    whole = png("x")
    for data in (b"", whole[:20], whole[:60], b"\x89PNG\r\n\x1a\n", whole.replace(b"IDAT", b"IDXT")):
        with pytest.raises(DamagedImage):
            plane(data)


def test_pixels_end_where_the_image_does(scan):
    corners = scan.corners[460]
    west, north = corners.nw
    east, south = corners.se
    assert pixel(corners, 900, LonLat(west, north)) == (0, 0)
    assert pixel(corners, 900, LonLat(west + 360 + 1e-9, north)) == (0, 0)
    assert pixel(corners, 900, LonLat(east, south)) is None
    assert pixel(corners, 900, LonLat(west - 1e-6, north)) is None
    assert pixel(corners, 900, LonLat(east - 1e-9, south + 1e-9)) == (899, 899)
