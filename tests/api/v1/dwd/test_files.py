"""`/v1/dwd/files`: exactly what a ledger lists, and never a byte of anything else."""

import base64
import csv
import hashlib
import http.client
import io
import zipfile
from datetime import timedelta

import lz4.frame
import pytest

from dwd_assets.archive.storing import Content
from dwd_assets.formats.paths import MosmixKey, PoiForecastKey, ReportsKey, archive_path, version_path
from dwd_assets.formats.poi.beob_merge import write
from store import keys
from store.posix import PosixStore
from tests.api.conftest import api
from tests.api.v1.dwd.dwd_world import RUN, World, icon

FILES = "/v1/dwd/files/"


AHEAD, GROWN, DAMAGED, GONE = 600, "10315", (660, 720, 780), 840
"""Steps and a station whose files a test changes; it alone looks at them."""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """What is kept before anyone asks. Who changes a file has one of its own."""
    world = World(PosixStore(tmp_path_factory.mktemp("archive") / "store"))
    world.keep_fields(icon(), *(icon(step=step) for step in (AHEAD, *DAMAGED, GONE)))
    world.keep_fields(icon("hsurf"))
    world.keep_forecast(RUN, "10315")
    world.keep_forecast(RUN, "10315", "S")
    world.keep_reports(RUN.date(), "K611")
    world.keep_reports(RUN.date(), GROWN)
    return world


@pytest.fixture(scope="module")
def client(world):
    with api(world.store) as client:
        yield client


PATH = archive_path(icon())


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def raw(client, target, method="GET"):
    """The answer to a request line that no client library has made decent."""
    connection = http.client.HTTPConnection(client.base_url.host, client.base_url.port)
    connection.putrequest(method, target, skip_host=False)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def test_a_field_comes_packed_and_with_unpacked_as_grib(client, world):
    path = PATH
    grib = world.grib(icon())
    packed = client.get(FILES + path)
    assert lz4.frame.decompress(packed.content) == grib
    assert packed.headers["content-type"] == "application/octet-stream"
    assert packed.headers["content-disposition"] == f'attachment; filename="{path.rpartition("/")[2]}"'
    assert packed.headers["etag"].startswith(f'"{sha256(grib)}-')
    plain = client.get(FILES + path, params={"unpacked": "true"})
    assert plain.content == grib
    assert plain.headers["etag"] == f'"{sha256(grib)}"'
    assert plain.headers["content-type"] == "application/x-grib2"
    assert plain.headers["content-disposition"].endswith('_t_2m.grib2"')
    digest = base64.b64encode(hashlib.sha256(grib).digest()).decode()
    assert plain.headers["repr-digest"] == f"sha-256=:{digest}:"
    assert 'rel="license"' in plain.headers["link"]


def test_a_file_is_fetched_in_ranges_that_make_the_whole(client):
    path = PATH
    whole = client.get(FILES + path)
    tag, size = whole.headers["etag"], len(whole.content)
    parts = []
    for start in range(0, size, 1000):
        asked = {"range": f"bytes={start}-{start + 999}", "if-range": tag}
        part = client.get(FILES + path, headers=asked)
        assert part.status_code == 206
        parts.append(part.content)
    assert b"".join(parts) == whole.content
    beyond = client.get(FILES + path, headers={"range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    assert beyond.headers["content-type"] == "application/problem+json"
    changed = client.get(FILES + path, headers={"range": "bytes=0-9", "if-range": '"other"'})
    assert (changed.status_code, changed.content) == (200, whole.content)


def test_a_client_that_has_it_is_sent_nothing(client):
    path = PATH
    tag = client.get(FILES + path).headers["etag"]
    again = client.get(FILES + path, headers={"if-none-match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = client.get(FILES + path, headers={"if-match": '"other"'})
    assert (other.status_code, other.json()["title"]) == (412, "Precondition Failed")
    head = client.head(FILES + path)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", tag)


def test_a_forecast_comes_as_kmz_and_unpacked_as_kml(client, world):
    path, kmz = archive_path(MosmixKey(RUN, "10315", "L")), world.kmz(RUN, "10315")
    answer = client.get(FILES + path)
    assert answer.content == kmz
    assert answer.headers["content-type"] == "application/vnd.google-earth.kmz"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        kml = archive.read(archive.namelist()[0])
    plain = client.get(FILES + path, params={"unpacked": "true"})
    assert plain.content == kml
    assert plain.headers["content-disposition"] == 'attachment; filename="10315-MOSMIX.kml"'
    assert plain.headers["etag"] == f'"{sha256(kml)}"'


def test_a_forecast_of_mosmix_s_is_in_its_own_ledger(client, world):
    path, kmz = archive_path(MosmixKey(RUN, "10315", "S")), world.kmz(RUN, "10315")
    assert client.get(FILES + path).content == kmz


def test_reports_come_as_they_are(client, world):
    path, data = archive_path(ReportsKey(RUN.date(), "K611_")), write(world.day(RUN.date(), "K611"))
    answer = client.get(FILES + path)
    assert answer.content == data
    assert answer.headers["etag"] == f'"{sha256(data)}"'
    assert answer.headers["content-type"] == "text/csv; charset=iso-8859-1"
    assert len(list(csv.reader(answer.text.splitlines(), delimiter=";"))) == 3 + 24


def test_the_historic_csv_is_served_though_no_ledger_knows_it(client, world):
    path = archive_path(PoiForecastKey(RUN, "10315"))
    assert client.get(FILES + path).status_code == 404
    world.store.put(path, b"old;csv\n")
    answer = client.get(FILES + path)
    assert (answer.status_code, answer.content) == (200, b"old;csv\n")


def test_what_is_in_the_store_and_in_no_ledger_is_not_served(client, world):
    path = PATH
    (other,) = (archive_path(icon(step=60)),)
    world.store.put(other, world.store.get(path).data)
    assert client.get(FILES + other).status_code == 404
    assert client.get(FILES + version_path(path, "0" * 64)).status_code == 404
    quarantined = keys.quarantined(path, "0" * 64)
    world.store.put(quarantined, b"bad")
    for secret in (quarantined, keys.ledger("icon-d2", "2025040909"), keys.STATIONS):
        assert client.get(FILES + secret).status_code == 404


def test_a_constant_that_is_stored_once_is_followed_to_where_it_is_held(client, world):
    path = archive_path(icon("hsurf"))
    kept = world.ledger("icon-d2", "2025040909").kept[path]
    later = archive_path(icon("hsurf", run=RUN + timedelta(hours=3)))
    pointer = type(kept)(kept.sha256, kept.size, kept.stored_bytes, kept.kept_at, held_at=path)
    world.tell("icon-d2", "2025040912", {later: pointer})
    answer = client.get(FILES + later)
    assert answer.content == world.store.get(path).data
    assert answer.headers["content-disposition"].endswith(f'{later.rpartition("/")[2]}"')


def test_while_the_ledger_is_behind_its_file_the_listed_content_is_served(client, world):
    path = archive_path(icon(step=AHEAD))
    before = world.store.get(path).data
    kept = world.ledger("icon-d2", "2025040909").kept[path]
    newer = Content.packed(world.grib(icon(step=AHEAD), revision=1))
    world.archive.keep(path, newer, None, kept, world.now)
    answer = client.get(FILES + path)
    assert (answer.status_code, answer.content) == (200, before)


def test_a_day_that_grew_before_its_ledger_was_told_is_served_grown(client, world):
    path = archive_path(ReportsKey(RUN.date(), GROWN))
    data = world.store.get(path).data
    lines = data.splitlines(keepends=True)
    world.store.put(path, b"".join(lines[:10]))
    kept = world.ledger("poi", "20250409").kept[path]
    assert kept.sha256 == sha256(data)
    answer = client.get(FILES + path)
    assert (answer.status_code, answer.content) == (200, b"".join(lines[:10]))


def test_damaged_bytes_are_never_served(client, world):
    paths = [archive_path(icon(step=step)) for step in DAMAGED]
    damages = [lambda data: data[:-1], lambda _: b"", lambda _: b"<html>"]
    for path, damage in zip(paths, damages, strict=True):
        world.store.put(path, damage(world.store.get(path).data))
        answer = client.get(FILES + path)
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")


def test_a_file_that_is_gone_is_a_problem_that_may_pass(client, world):
    path = archive_path(icon(step=GONE))
    world.store.delete([path])
    answer = client.get(FILES + path)
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)


ESCAPES = [
    "../secret",
    "%2e%2e/secret",
    "..%2fsecret",
    "%2e%2e%2fsecret",
    "/etc/passwd",
    "//etc/passwd",
    "%2Fetc%2Fpasswd",
    "{path}/../../../../../../secret",
    "{path}%00",
    "{path}%00.lz4",
    "{path}/",
    "//{path}",
    "./{path}",
    "{folder}//{name}",
    "{folder}/./{name}",
    "{folder}/%2e%2e/t_2m/{name}",
    "{path}%0a",
    "{path}%20",
    "{path}%c2%a0",
    "{unicode}",
    "{fullwidth}",
    "..%c0%af..%c0%afsecret",
    "%ff%fe",
    "{path}?x",
    "{path}.000000000000",
    "{path}.g00000000000",
    "{path}%5c..%5csecret",
    "~root/.ssh/id_rsa",
    "ledger/periods/icon-d2/2025040909.json",
    "",
    "a" * 3000,
]


def test_no_spelling_leads_out_of_the_archive(client, world):
    path = PATH
    (world.store.root.parent / "secret").write_bytes(b"SECRET")
    folder, _, name = path.rpartition("/")
    spelled = {
        "path": path,
        "folder": folder,
        "name": name,
        "unicode": path.replace("2025040909", "202504090%D9%A9"),
        "fullwidth": path.replace("2025040909", "%EF%BC%92025040909"),
    }
    begin = world.store.get(path).data[:64]
    leaks = []
    for attempt in ESCAPES:
        for method in ("GET", "HEAD"):
            status, body = raw(client, FILES + attempt.format(**spelled), method)
            if not 400 <= status < 500 or b"SECRET" in body or begin in body:
                leaks.append((method, attempt, status))
    assert leaks == []
