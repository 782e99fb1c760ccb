"""Images and documents by digest: immutable addresses, conditional and partial answers, nothing but what is listed."""

import hashlib

import pytest

from tests.api import rendered
from tests.api.conftest import eventually
from tests.api.world import NOON, made

FOR_EVER = "public, max-age=31536000, immutable"


@pytest.fixture
def scan(publisher):
    scan = made("KPDT", NOON)
    publisher.publish(scan)
    return scan


def address(scan, rank=0):
    return f"/v1/images/{scan.scan.layers['reflectivity'].tilts[rank].images[0].name}"


def test_an_image_is_immutable_at_its_digest(serve, scan):
    client = serve()
    for rank, data in enumerate(scan.objects.values()):
        answer = client.get(address(scan, rank))
        assert (answer.status_code, answer.content) == (200, data)
        assert answer.headers["etag"] == f'"{hashlib.sha256(data).hexdigest()}"'
        assert answer.headers["cache-control"] == FOR_EVER
        assert answer.headers["content-type"] == "image/png"
        assert answer.headers["accept-ranges"] == "bytes"
        assert "content-encoding" not in answer.headers


def test_conditions_and_ranges_hold(serve, scan):
    client, path = serve(), address(scan)
    data = next(iter(scan.objects.values()))
    etag = f'"{hashlib.sha256(data).hexdigest()}"'
    known = client.get(path, headers={"if-none-match": etag})
    assert (known.status_code, known.content, known.headers["cache-control"]) == (304, b"", FOR_EVER)
    part = client.get(path, headers={"range": "bytes=5-14"})
    assert (part.status_code, part.content) == (206, data[5:15])
    assert part.headers["content-range"] == f"bytes 5-14/{len(data)}"
    head = client.head(path, headers={"range": "bytes=5-14"})
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(data)))
    past = client.get(path, headers={"range": f"bytes={len(data)}-"})
    assert (past.status_code, past.headers["content-range"]) == (416, f"bytes */{len(data)}")
    assert past.headers["content-type"] == "application/problem+json"
    assert client.get(path, headers={"if-match": '"other"'}).status_code == 412
    assert client.post(path).status_code == 405


def test_repeats_within_a_volume_are_served_too(serve, publisher):
    publisher.publish(rendered.level2())
    client = serve()
    first, second = rendered.level2().scan.layers["reflectivity"].tilts[0].images
    for image in (first, second):
        data = client.get(f"/v1/images/{image.name}").content
        assert hashlib.sha256(data).hexdigest() == image.sha256


def test_a_scan_that_was_rendered_again_has_new_addresses(serve, publisher, scan):
    client = serve()
    other = made("KPDT", NOON, edition=1)
    old, new = address(scan), address(other)
    assert (client.get(old).status_code, client.get(new).status_code) == (200, 404)
    publisher.publish(other)
    eventually(lambda: client.get(new).status_code == 200)
    assert client.get(old).status_code == 404


UNLISTED = [
    "/v1/images/KPDT20250409_120000_V06_reflectivity_idx0.00000000.png",
    "/v1/images/KPDT20250409_120000_V06_reflectivity_idx9.00000000.png",
    "/v1/images/KTLX20250409_120000_V06_reflectivity_idx0.00000000.png",
    "/v1/images/KPDT20250409_120000_V06_reflectivity_idx0.png",
    "/v1/images/KPDT20259999_120000_V06_reflectivity_idx0.00000000.png",
    "/v1/images/..%2f..%2fheads%2findex.json",
    "/v1/images/%2e%2e",
    "/v1/images/index.json",
    "/v1/images/",
    "/v1/images",
    "/v1/images/a/b",
    "/v1/images/KPDT\u0662\u0660250409_120000_V06_reflectivity_idx0.00000000.png",
    "/v1/images/KPDT20250409_120000_V06_reflectivity_idx0.00000000.png%00",
    "/v1/documents/KPDT20250409_120000_NST_storms.00000000.geojson",
    "/v1/documents/KPDT20250409_120000_V06_storms.00000000.geojson",
    "/v1/documents/snapshots",
    "/v1/nothing",
]


@pytest.mark.parametrize("path", UNLISTED)
def test_what_is_not_listed_is_a_404_problem_and_no_object_is_read(serve, scan, posix, path):
    client = serve()
    before = len(posix.reads)
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert answer.headers["cache-control"] == "no-store"
    assert not [key for key in posix.reads[before:] if key.startswith("plots")]


def test_an_image_that_was_read_is_served_while_the_store_is_away_others_are_503(serve, scan, posix):
    client = serve()
    data = client.get(address(scan)).content
    posix.away = True
    assert client.get(address(scan)).content == data
    answer = client.get(address(scan, 1))
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert "retry-after" in answer.headers
