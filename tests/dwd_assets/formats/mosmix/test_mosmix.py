import io
import math
import struct
import subprocess
import zipfile
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.mosmix.forecasts import LONGEST_STATION, read_station, read_station_kml, series
from dwd_assets.formats.mosmix.kmz import KmzCut, find_kml, inflate, pack, read_kml
from tests.dwd_assets.formats.mosmix.mosmix_files import ISSUED, TAIL, document, head, kmz, placemark, simple
from tests.samples import SAMPLES, needs_samples

REAL = sorted((SAMPLES / "dwd").glob("mosmix_*/*.kmz"))

KML = "{http://www.opengis.net/kml/2.2}"
DWD = "{https://opendata.dwd.de/weather/lib/pointforecast_dwd_extension_V1_0.xsd}"


def tree_of(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return ET.fromstring(archive.read(archive.namelist()[0]))


@needs_samples
@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_a_real_file_reads_as_elementtree_reads_it(path):
    tree = tree_of(path.read_bytes())
    forecast = read_station(path.read_bytes(), path.name)
    station = tree.find(f".//{KML}Placemark")

    assert forecast.station == station.findtext(f"{KML}name")
    assert forecast.name == station.findtext(f"{KML}description")
    position = (forecast.longitude_deg, forecast.latitude_deg, forecast.height_m)
    assert ",".join(map(str, position)) == station.findtext(f".//{KML}coordinates")
    stamps = [step.text for step in tree.iter(f"{DWD}TimeStep")]
    assert [f"{step:%Y-%m-%dT%H:%M:%S.000Z}" for step in forecast.steps] == stamps
    assert f"{forecast.issued:%Y-%m-%dT%H:%M:%S.000Z}" == tree.findtext(f".//{DWD}IssueTime")
    rows = {row.get(f"{DWD}elementName"): row.findtext(f"{DWD}value") for row in tree.iter(f"{DWD}Forecast")}
    assert list(forecast.elements) == list(rows)
    for element, text in rows.items():
        words = ["-" if math.isnan(value) else f"{value:.2f}" for value in forecast.elements[element]]
        assert words == text.split()


@needs_samples
def test_the_real_files_have_the_shape_that_dwd_announces():
    large, small = (read_station(path.read_bytes(), path.name) for path in REAL)
    assert (len(large.elements), len(large.steps)) == (114, 247)
    assert (len(small.elements), len(small.steps)) == (40, 240)
    assert large.steps[0] == datetime(2023, 4, 12, 10, tzinfo=UTC)
    assert large.elements["TTT"][0] == 282.75
    assert small.name == "BJORNOYA"


numbers = st.decimals(-99_999, 999_999, places=2, allow_nan=False).map(float)
rows = st.lists(numbers | st.none(), min_size=3, max_size=3)


@settings(max_examples=50)
@given(st.dictionaries(st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,8}", fullmatch=True), rows, min_size=1))
def test_what_is_written_is_read(elements):
    station = placemark("P0036", elements)
    forecast = read_station(kmz(document([station])))
    assert forecast.elements.keys() == elements.keys()
    for element, row in elements.items():
        assert [value for _, value in series(forecast, element)] == row


def test_a_series_has_the_time_of_each_value_and_none_where_it_is_missing():
    forecast = read_station(kmz(document([simple("10488")])))
    hour = timedelta(hours=1)
    assert series(forecast, "N") == (
        (ISSUED + hour, 0.0),
        (ISSUED + 2 * hour, None),
        (ISSUED + 3 * hour, 100.0),
    )
    assert math.isnan(forecast.elements["N"][1])


def test_a_series_of_an_element_that_is_not_there_is_a_key_error():
    with pytest.raises(KeyError):
        series(read_station(kmz(document([simple("10488")]))), "Nothing")


def test_values_cannot_be_changed_by_a_reader():
    values = read_station(kmz(document([simple("10488")]))).elements["TTT"]
    assert values.dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        values[0] = 0


def test_names_are_read_in_the_encoding_that_the_file_declares():
    station = placemark("10488", {"N": [1, 2, 3]}, name="M\u00dcNSTER &amp; K\u00d6LN")
    assert read_station(kmz(document([station]))).name == "M\u00dcNSTER & K\u00d6LN"


def test_times_are_told_in_utc_whatever_zone_they_are_written_in():
    forecast = read_station(altered(b"T10:00:00.000Z", b"T12:00:00.000+02:00"))
    assert str(forecast.steps[0]) == "2026-09-16 10:00:00+00:00"


def test_the_sign_of_a_missing_value_is_the_files_own():
    kml = head(missing="---") + simple("10488").replace(b"         - ", b"       --- ") + TAIL
    assert math.isnan(read_station(kmz(kml)).elements["N"][1])


def test_a_minus_is_no_missing_value_and_no_fault():
    forecast = read_station(kmz(document([placemark("10488", {"TTT": [-1.5, None, -0.01]})])))
    assert [value for _, value in series(forecast, "TTT")] == [-1.5, None, -0.01]


def altered(old, new, count=1):
    kml = document([simple("10488")])
    assert old in kml
    return kmz(kml.replace(old, new, count))


BAD_KML = {
    "a value less than time steps": (altered(b"282.00<", b"<"), "TTT: 2 values for 3 time steps"),
    "a word among the values": (altered(b"281.00", b"warm"), "could not convert"),
    "a value that is not finite": (altered(b"281.00", b"nan"), "not finite"),
    "an element twice": (altered(b'"N"', b'"TTT"'), "2 elements of 1 names"),
    "an element without name": (altered(b' dwd:elementName="N"', b""), "has no name"),
    "a time without zone": (altered(b"10:00:00.000Z", b"10:00:00.000"), "time zone"),
    "a time that is none": (altered(b"2026-09-16T10", b"2026-09-31T10"), "is no time"),
    "time steps out of order": (
        altered(b"T11:00", b"T22:00"),
        "the time step 2026-09-16T12:00:00+00:00 comes after 2026-09-16T22:00:00+00:00",
    ),
    "no issue time": (altered(b"IssueTime>", b"OtherTime>", 2), "no IssueTime in ProductDefinition"),
    "an empty issue time": (
        altered(b"2026-09-16T09:00:00.000Z", b" "),
        "IssueTime is empty (in ProductDefinition)",
    ),
    "two issue times": (
        altered(b"<dwd:IssueTime>", b"<dwd:IssueTime>x</dwd:IssueTime><dwd:IssueTime>"),
        "2 times IssueTime in ProductDefinition",
    ),
    "no time steps": (kmz(head(steps=0) + simple("10488") + TAIL), "ForecastTimeSteps has no TimeStep"),
    "an encoding that nobody knows": (altered(b"ISO-8859-1", b"klingon"), "unknown encoding: klingon"),
    "an encoding of several bytes": (
        altered(b"ISO-8859-1", b"shift_jis"),
        "that is not supported (multi-byte",
    ),
    "an encoding that is no extension of ASCII": (
        altered(b"ISO-8859-1", b"ibm037"),
        "that is not supported (",
    ),
    "an encoding that it is not in": (altered(b"ISO-8859-1", b"UTF-16"), "that is not supported ("),
    "a place off the Earth": (altered(b"51.97", b"151.97"), "no place on Earth"),
    "no place": (altered(b"7.63,51.97,60.0", b"M\xfcnster"), "no longitude,latitude,height"),
    "a tag that is not closed": (altered(b"</kml:name>", b""), "not well-formed"),
    "an undeclared prefix": (altered(b"kml:description", b"gx:description", 2), "not well-formed"),
    "a document type": (altered(b"<kml:kml", b'<!DOCTYPE k [<!ENTITY a "b">]><kml:kml'), "document type"),
    "two stations": (kmz(document([simple("10488"), simple("10489")])), "2 times name in Placemark"),
    "no station": (kmz(head() + TAIL), "no name in Placemark"),
    "a web page in the ZIP": (
        kmz(b"<html><body>Not found</body></html>"),
        "ForecastTimeSteps has no TimeStep",
    ),
}


@pytest.mark.parametrize(("data", "fault"), BAD_KML.values(), ids=BAD_KML.keys())
def test_a_kml_with_a_fault_is_refused_with_the_files_name_and_the_fault(data, fault):
    with pytest.raises(FormatError, match=r"^MOSMIX_L_X\.kmz: ") as raised:
        read_station(data, "MOSMIX_L_X.kmz")
    assert fault in str(raised.value)
    assert "\n" not in str(raised.value)


def test_an_encoding_of_single_bytes_that_python_knows_is_read():
    station = placemark("10488", {"N": [1, 2, 3]}, name="K\u00d6LN")
    kml = document([station]).replace(b"ISO-8859-1", b"windows-1252")
    assert read_station(kmz(kml)).name == "K\u00d6LN"


def test_a_kml_without_its_zip_is_read_as_such():
    kml = document([simple("10488")])
    packed, plain = read_station(kmz(kml)), read_station_kml(kml, "x.kml")
    assert (plain.station, plain.issued, plain.steps) == (packed.station, packed.issued, packed.steps)
    assert series(plain, "TTT") == series(packed, "TTT")


def zip_of(**entries):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return file.getvalue()


def with_wrong_crc(data):
    at = data.rindex(b"PK\x01\x02") + 16
    return data[:at] + struct.pack("<L", 1) + data[at + 4 :]


GOOD = kmz(document([simple("10488")]))

BAD_ZIP = {
    "nothing": (b"", "empty"),
    "a web page": (b"<!DOCTYPE html><html>404</html>" + b" " * 100, "a page or XML instead of a ZIP"),
    "a bare KML": (document([simple("10488")]), "an unpacked KML, not a KMZ: the ZIP around it is missing"),
    "a bare KML behind a byte order mark": (b"\xef\xbb\xbf<kml>" + bytes(60), "an unpacked KML, not a KMZ"),
    "a bare KML behind a comment": (b"<!-- DWD -->\n<kml:kml >" + bytes(60), "an unpacked KML, not a KMZ"),
    "XML that is not KML": (b"<?xml version='1.0'?><kmlx>" + bytes(60), "a page or XML instead of a ZIP"),
    "something else": (b"GRIB" + bytes(100), "no ZIP"),
    "two entries": (zip_of(**{"a.kml": b"<a/>", "b.kml": b"<b/>"}), "2 entries"),
    "no entry": (zip_of(), "0 entries"),
    "no KML inside": (zip_of(**{"readme.txt": b"hello"}), "no KML inside, but 'readme.txt'"),
    "an entry that is not deflated": (kmz(b"<a/>", packing=zipfile.ZIP_STORED), "other means than deflate"),
    "a wrong checksum": (with_wrong_crc(GOOD), "CRC-32"),
    "bytes that are turned": (GOOD[:60] + bytes(20) + GOOD[80:], ""),
}


@pytest.mark.parametrize(("data", "fault"), BAD_ZIP.values(), ids=BAD_ZIP.keys())
def test_what_is_no_good_kmz_is_refused_with_the_files_name_and_the_fault(data, fault):
    with pytest.raises(FormatError, match=r"^MOSMIX_L_X\.kmz: ") as raised:
        read_station(data, "MOSMIX_L_X.kmz")
    assert fault in str(raised.value)


@pytest.mark.parametrize("length", range(0, len(GOOD), 37))
def test_a_kmz_that_was_cut_off_anywhere_is_never_read(length):
    with pytest.raises(FormatError):
        read_station(GOOD[:length])


def test_a_cut_is_told_from_damage():
    with pytest.raises(KmzCut):
        read_kml(GOOD[:-1], "x", 1 << 20)
    with pytest.raises(FormatError) as raised:
        read_kml(with_wrong_crc(GOOD), "x", 1 << 20)
    assert not isinstance(raised.value, KmzCut)


def test_a_bomb_is_left_before_it_grows():
    bomb = kmz(bytes(2 * LONGEST_STATION))
    assert len(bomb) < LONGEST_STATION // 100
    with pytest.raises(FormatError, match="more than"):
        read_station(bomb)


def test_a_zip_of_the_zip_program_is_read(tmp_path):
    (tmp_path / "a.kml").write_bytes(document([simple("10488")]))
    subprocess.run(["zip", "-q", "a.kmz", "a.kml"], cwd=tmp_path, check=True)
    assert read_station((tmp_path / "a.kmz").read_bytes()).station == "10488"


def test_a_zip_that_was_streamed_has_its_lengths_in_the_directory_alone():
    class Unseekable(io.BytesIO):
        def seekable(self):
            return False

        def seek(self, *_):
            raise OSError

        def tell(self):
            raise OSError

    file = Unseekable()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.kml", document([simple("10488")]))
    assert struct.unpack_from("<L", file.getvalue(), 14) == (0,)
    assert read_station(file.getvalue()).station == "10488"


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=5000), max_size=4))
def test_what_is_packed_is_what_other_programs_unpack(parts):
    packed = pack("a.kml", parts, ISSUED)
    assert packed == pack("a.kml", parts, ISSUED)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
        assert [entry.date_time for entry in archive.infolist()] == [(2026, 9, 16, 9, 0, 0)]
        assert archive.read("a.kml") == b"".join(parts)
    assert read_kml(packed, "a.kmz", 1 << 20) == b"".join(parts)


def test_a_packed_kmz_passes_the_unzip_program(tmp_path):
    path = tmp_path / "a.kmz"
    path.write_bytes(pack("a.kml", [document([simple("10488")])], ISSUED))
    told = subprocess.run(["unzip", "-t", path], capture_output=True, text=True, check=True).stdout
    assert "No errors detected" in told


def test_pieces_are_small_whatever_they_were_deflated_from():
    data = kmz(bytes(5 << 20))
    file = io.BytesIO(data)
    sizes = [len(piece) for piece in inflate(file, find_kml(file, "x"), "x", 6 << 20)]
    assert sum(sizes) == 5 << 20
    assert max(sizes) <= 1 << 20
