import hashlib
import io
import struct
import subprocess
import tracemalloc
import zipfile
import zlib
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.mosmix.forecasts import Place, read_station
from dwd_assets.formats.mosmix.kml_stream import PlacemarkCutter
from dwd_assets.formats.mosmix.kmz import KmzCut
from dwd_assets.formats.mosmix.split import split, verify
from tests.dwd_assets.formats.mosmix.mosmix_files import (
    BETWEEN,
    TAIL,
    document,
    head,
    kmz,
    placemark,
    simple,
    write_all_stations,
)
from tests.samples import SAMPLES, needs_samples

REAL = sorted((SAMPLES / "dwd").glob("mosmix_*/*.kmz"))

KML = "{http://www.opengis.net/kml/2.2}"
DWD = "{https://opendata.dwd.de/weather/lib/pointforecast_dwd_extension_V1_0.xsd}"


def run(data):
    taken = []
    return split(io.BytesIO(data), taken.append), taken


def ids(taken):
    return [station.station for station in taken]


def unpacked(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        (entry,) = archive.namelist()
        return entry, archive.read(entry)


@needs_samples
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_a_real_single_station_comes_back_byte_for_byte(path, tmp_path):
    taken = []
    told = split(path, taken.append)

    (station,) = taken
    assert told.complete
    assert told.stations == (station.station,)
    entry, kml = unpacked(station.kmz)
    assert kml == unpacked(path.read_bytes())[1]
    assert (station.sha256, station.size) == (hashlib.sha256(kml).hexdigest(), len(kml))
    forecast = read_station(path.read_bytes())
    assert station.place == Place(
        forecast.name, forecast.longitude_deg, forecast.latitude_deg, forecast.height_m
    )
    assert entry == station.entry == f"{path.name[:8]}_{station.issued:%Y%m%d%H}_{station.station}.kml"
    (tmp_path / "one.kmz").write_bytes(station.kmz)
    subprocess.run(["unzip", "-t", tmp_path / "one.kmz"], capture_output=True, check=True)


@needs_samples
def test_every_one_of_many_stations_reads_as_elementtree_reads_it_in_the_whole(tmp_path):
    _, one = unpacked(REAL[0].read_bytes())
    path = tmp_path / "MOSMIX_L_2023041209.kmz"
    write_all_stations(path, one, 40)
    taken = []
    told = split(path, taken.append)

    tree = ET.fromstring(unpacked(path.read_bytes())[1])
    steps = [step.text for step in tree.iter(f"{DWD}TimeStep")]
    placemarks = tree.findall(f".//{KML}Placemark")
    assert told.complete
    assert told.stations == tuple(f"S{number:04d}" for number in range(40))
    for station, wanted in zip(taken, placemarks, strict=True):
        assert station.sha256 == hashlib.sha256(unpacked(station.kmz)[1]).hexdigest()
        forecast = read_station(station.kmz, station.entry)
        assert forecast.station == wanted.findtext(f"{KML}name")
        assert [f"{step:%Y-%m-%dT%H:%M:%S.000Z}" for step in forecast.steps] == steps
        for row in wanted.iter(f"{DWD}Forecast"):
            words = row.findtext(f"{DWD}value").split()
            values = [float("nan" if word == "-" else word) for word in words]
            np.testing.assert_array_equal(forecast.elements[row.get(f"{DWD}elementName")], values)


@needs_samples
def test_memory_does_not_grow_with_the_number_of_stations(tmp_path):
    _, one = unpacked(REAL[0].read_bytes())
    path = tmp_path / "MOSMIX_L_2023041209.kmz"
    assert write_all_stations(path, one, 100) > 30 << 20
    tracemalloc.start()
    told = split(path, lambda _: None)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(told.stations) == 100
    assert peak < 8 << 20


PLACES = {
    "as DWD writes it": (simple("10488"), Place("ORT", 7.63, 51.97, 60.0)),
    "an entity": (
        placemark("1", {"N": [1, 2, 3]}, "A &amp; B", "-0.5,-51,0"),
        Place("A & B", -0.5, -51.0, 0.0),
    ),
    "the file's encoding": (placemark("1", {"N": [1, 2, 3]}, "KÖLN"), Place("KÖLN", 7.63, 51.97, 60.0)),
    "the position first": (
        simple("1")
        .replace(
            b"<kml:name>",
            b"<kml:Point><kml:coordinates>1,2,3</kml:coordinates></kml:Point><kml:name>",
        )
        .replace(b"<kml:coordinates>7.63,51.97,60.0</kml:coordinates>", b""),
        Place("ORT", 1.0, 2.0, 3.0),
    ),
    "no values": (
        b"<kml:Placemark><kml:name>1</kml:name><kml:description>O</kml:description>"
        b"<kml:Point><kml:coordinates>1,2,3</kml:coordinates></kml:Point></kml:Placemark>",
        Place("O", 1.0, 2.0, 3.0),
    ),
    "no position": (placemark("1", {"N": [1, 2, 3]}, at=""), None),
    "no place on Earth": (placemark("1", {"N": [1, 2, 3]}, at="7.63,151.97,60.0"), None),
    "no name": (placemark("1", {"N": [1, 2, 3]}, name=""), None),
}


@pytest.mark.parametrize(("station", "place"), PLACES.values(), ids=PLACES.keys())
def test_a_station_is_told_with_its_place_where_it_has_one(station, place):
    told, taken = run(kmz(document([station])))
    assert told.complete
    assert taken[0].place == place


def test_a_file_that_is_whole_is_verified(tmp_path):
    verify(io.BytesIO(WHOLE))
    (tmp_path / "x.kmz").write_bytes(WHOLE)
    verify(tmp_path / "x.kmz")


@pytest.mark.parametrize("length", [0, 20, 600, 2000, -1, -100])
def test_a_file_that_was_cut_is_not_verified(length):
    with pytest.raises(FormatError, match=r"^L\.kmz: "):
        verify(io.BytesIO(WHOLE[:length]), "L.kmz")
    if length not in {0, 20}:
        with pytest.raises(KmzCut):
            verify(io.BytesIO(WHOLE[:length]))


def test_the_same_file_gives_the_same_bytes():
    data = kmz(document([simple("10488"), simple("P0036")]))
    assert run(data) == run(data)


def test_a_station_is_told_with_its_issue_time_and_a_name_like_dwds():
    told, taken = run(kmz(document([simple("10488"), simple("P0036")]), "MOSMIX_S_2026091609_240.kml"))
    assert told.issued == datetime(2026, 9, 16, 9, tzinfo=UTC)
    assert [station.entry for station in taken] == [
        "MOSMIX_S_2026091609_10488.kml",
        "MOSMIX_S_2026091609_P0036.kml",
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 700), min_size=1, max_size=60), st.integers(0, 4))
def test_placemarks_are_found_wherever_the_pieces_of_the_file_end(sizes, count):
    # long before short: an end tag may be nearer to the begin than where the last search ended
    stations = [placemark("10488", {"N": [1, 2, 3]}, "O" * 500 * length) for length in range(count, 0, -1)]
    kml = document([*stations, simple("P0036")])
    cutter = PlacemarkCutter("x")
    found, at = [], 0
    for size in (*sizes, len(kml)):
        found += cutter.feed(kml[at : at + size])
        at += size
    assert found == [*stations, simple("P0036")]
    assert cutter.frame.head == head()
    assert cutter.frame.foot == TAIL == cutter.rest()
    assert not cutter.strays


def test_placemarks_are_found_in_a_file_that_comes_byte_by_byte():
    kml = document([simple("10488"), simple("P0036")])
    cutter = PlacemarkCutter("x")
    found = [piece for byte in kml for piece in cutter.feed(bytes((byte,)))]
    assert found == [simple("10488"), simple("P0036")]


MANY = [simple(f"S{number:03d}", 1.37 * number) for number in range(200)]
WHOLE = kmz(document(MANY))
DATA_AT = 30 + len("MOSMIX_L_2026091609.kml")


@pytest.mark.parametrize("length", range(600, len(WHOLE), 389))
def test_a_file_that_was_cut_off_gives_all_that_came_whole_and_is_never_complete(length):
    came = zlib.decompressobj(-15).decompress(WHOLE[DATA_AT:length])
    count = came.count(b"</kml:Placemark>")
    if count == 0:
        with pytest.raises(FormatError):
            run(WHOLE[:length])
        return
    told, taken = run(WHOLE[:length])
    assert ids(taken) == [f"S{number:03d}" for number in range(count)]
    assert not told.complete
    assert not told.damaged
    assert f"{count} Placemarks came whole" in told.faults[-1]
    for station, piece in zip(taken, MANY, strict=False):
        assert unpacked(station.kmz)[1] == head() + piece + TAIL


def test_a_cut_names_the_station_it_went_through():
    kml = document(MANY)
    at = kml.index(b"S100") + 300
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = WHOLE[:DATA_AT] + packer.compress(kml[:at]) + packer.flush(zlib.Z_SYNC_FLUSH)
    told, taken = run(data)
    assert len(taken) == 100
    assert len(told.faults) == 1
    assert "number 101 ('S100') did not" in told.faults[0]


def test_a_file_whose_directory_alone_is_missing_gives_all_and_is_not_complete():
    told, taken = run(WHOLE[: WHOLE.rindex(b"PK\x01\x02")])
    assert len(taken) == 200
    assert not told.complete
    assert "directory did not come" in told.faults[0]


def test_a_kml_that_was_cut_before_it_was_zipped_is_not_complete():
    kml = document(MANY)
    told, taken = run(kmz(kml[: kml.index(b"S100") + 300]))
    assert len(taken) == 100
    assert "ends within a Placemark" in told.faults[0]
    told, taken = run(kmz(kml[: -len(TAIL)]))
    assert len(taken) == 200
    assert "not well-formed" in told.faults[0]


def test_a_mark_of_a_zips_end_among_the_stations_does_not_hide_them_when_the_rest_is_cut():
    marked = simple("X").replace(b"ORT", b"PK\x05\x06" + b"A" * 18)
    packer = zlib.compressobj(0, zlib.DEFLATED, -15)
    whole = packer.compress(document([simple("10488"), marked, simple("P0036")])) + packer.flush()
    data = WHOLE[:DATA_AT] + whole
    told, taken = run(data[: data.index(b"P0036")])
    assert ids(taken) == ["10488"]
    assert not told.complete
    assert "2 Placemarks came whole" in told.faults[-1]


@pytest.mark.parametrize(("field", "fault"), [(16, "CRC-32"), (20, "left over"), (24, "the directory says")])
def test_another_checksum_or_length_than_the_directorys_is_damage(field, fault):
    at = WHOLE.rindex(b"PK\x01\x02") + field
    (value,) = struct.unpack_from("<L", WHOLE, at)
    told, taken = run(WHOLE[:at] + struct.pack("<L", value + 1) + WHOLE[at + 4 :])
    assert len(taken) == 200
    assert told.damaged
    assert not told.complete
    assert fault in told.faults[0]


@pytest.mark.parametrize("at", range(700, len(WHOLE) - 200, 997))
def test_bytes_that_were_turned_are_never_called_complete(at):
    data = WHOLE[:at] + bytes(byte ^ 0x55 for byte in WHOLE[at : at + 4]) + WHOLE[at + 4 :]
    try:
        told, _ = run(data)
    except FormatError:
        return
    assert told.damaged
    assert not told.complete
    with pytest.raises(FormatError):
        verify(io.BytesIO(data))


STRANGE = ["../../etc/passwd", "A B", "", ".hidden", "K\u00d6LN", "X" * 17, "a/b", "a&#10;b", "-P0036"]


@pytest.mark.parametrize("station", STRANGE)
def test_a_strange_station_is_refused_and_the_others_are_not(station):
    told, taken = run(kmz(document([simple("10488"), simple(station), simple("P0036")])))
    assert ids(taken) == ["10488", "P0036"]
    assert not told.complete
    assert not told.damaged
    assert "Placemark 2: " in told.faults[0]
    assert "is no station" in told.faults[0]
    assert told.malformed == {}
    assert "\n" not in told.faults[0]


def test_a_station_that_comes_twice_is_handed_on_twice_and_told():
    told, taken = run(kmz(document([simple("10488"), simple("P0036"), simple("10488", 300.0)])))
    assert told.duplicates == ("10488",)
    assert ids(taken) == ["10488", "P0036", "10488"]
    assert read_station(taken[2].kmz).elements["TTT"][0] == 300.0
    assert told.complete


BROKEN = {
    "a tag that is not closed": simple("X").replace(b"</kml:Point>", b""),
    "an undeclared prefix": simple("X").replace(b"kml:description", b"gx:description"),
    "an end tag in a CDATA section": simple("X").replace(b"ORT", b"<![CDATA[</kml:Placemark>]]>"),
    "a bare ampersand": simple("X").replace(b"ORT", b"A & B"),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_placemark_that_is_not_well_formed_is_refused_and_the_others_are_not(broken):
    told, taken = run(kmz(document([simple("10488"), broken, simple("P0036")])))
    assert ids(taken) == ["10488", "P0036"]
    assert not told.complete
    assert "Placemark 2: not well-formed" in told.faults[0]
    assert told.malformed == {"X": told.faults[0]}


@pytest.mark.parametrize("stray", ["<kml:Folder/>", "<kml:PlacemarkStyle/>", "text"])
def test_what_is_between_placemarks_is_told(stray):
    told, taken = run(kmz(document([simple("10488"), stray.encode() + simple("P0036")])))
    assert [unpacked(station.kmz)[1] for station in taken] == [
        head() + simple(station) + TAIL for station in ("10488", "P0036")
    ]
    assert not told.complete
    assert stray in told.faults[0]
    assert told.strays == told.faults


def test_what_follows_the_last_placemark_has_to_end_the_document():
    told, _ = run(kmz(head() + simple("10488") + b"\n<!-- end -->" + TAIL))
    assert told.complete
    told, _ = run(kmz(head() + simple("10488") + b"</kml:Document></kml:kml><more/>"))
    assert not told.complete


def test_a_placemark_inside_a_comment_of_the_head_is_no_station():
    comment = b"<!-- " + simple("00000") + b" -->"
    told, taken = run(kmz(head() + comment + simple("10488") + TAIL))
    assert ids(taken) == ["10488"]
    assert told.complete
    assert comment in unpacked(taken[0].kmz)[1]


@pytest.mark.parametrize("prefix", [b"", b"k:"])
def test_prefixes_are_the_files_own(prefix):
    declared = b"xmlns:" + prefix[:-1] if prefix else b"xmlns"
    kml = document([simple("10488"), simple("P0036")])
    kml = kml.replace(b"xmlns:kml", declared).replace(b"kml:", prefix)
    assert ET.fromstring(kml).tag == f"{KML}kml"
    told, taken = run(kmz(kml))
    assert ids(taken) == ["10488", "P0036"]
    assert told.complete
    for station in taken:
        assert ET.fromstring(unpacked(station.kmz)[1]).findtext(f".//{KML}name") == station.station


def test_attributes_and_blanks_in_tags_are_no_obstacle():
    station = simple("10488").replace(b"<kml:Placemark>", b'<kml:Placemark id="a">')
    station = station.replace(b"</kml:Placemark>", b"</kml:Placemark\n >")
    told, taken = run(kmz(document([station, simple("P0036")])))
    assert ids(taken) == ["10488", "P0036"]
    assert told.complete
    assert station in unpacked(taken[0].kmz)[1]


HOPELESS = {
    "a web page": b"<!DOCTYPE html><html>404</html>" + b" " * 100,
    "nothing": b"",
    "no KML inside": kmz(b"hello", "readme.txt"),
    "a web page in the ZIP": kmz(b"<html><body>Not found</body></html>"),
    "no station": kmz(head() + TAIL),
    "no issue time": kmz(document([simple("10488")]).replace(b"IssueTime", b"OtherTime")),
    "two bytes a character": kmz(
        document([simple("10488")]).decode("latin-1").replace("ISO-8859-1", "UTF-16").encode("utf-16")
    ),
    "a document type": kmz(document([simple("10488")]).replace(b"<kml:kml", b"<!DOCTYPE k><kml:kml")),
}


@pytest.mark.parametrize("data", HOPELESS.values(), ids=HOPELESS.keys())
def test_what_has_no_station_is_refused_with_the_files_name_and_nothing_is_handed_on(data, tmp_path):
    path = tmp_path / "MOSMIX_L_X.kmz"
    path.write_bytes(data)
    taken = []
    with pytest.raises(FormatError, match=r"MOSMIX_L_X\.kmz: "):
        split(path, taken.append)
    assert not taken


def test_a_fault_of_the_taker_goes_through():
    def refuse(_):
        raise FormatError("the taker's own")

    with pytest.raises(FormatError, match="the taker's own"):
        split(io.BytesIO(WHOLE), refuse)


def test_a_placemark_without_end_does_not_fill_the_memory():
    endless = placemark("X", {"TTT": [1, 2, 3]}).replace(b"</kml:Placemark>", b" " * (40 << 20))
    told, taken = run(kmz(head() + simple("10488") + BETWEEN + endless + TAIL))
    assert ids(taken) == ["10488"]
    assert "no end of a Placemark" in told.faults[0]


def test_a_kml_without_placemark_does_not_fill_the_memory():
    with pytest.raises(FormatError, match="no Placemark in the first"):
        run(kmz(head() + b" " * (10 << 20) + TAIL))
