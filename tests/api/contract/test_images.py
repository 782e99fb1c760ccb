"""Images and metadata: validators, ranges, damage, memory."""

from datetime import timedelta

import pytest

from store import keys
from tests.api.conftest import eventually
from tests.api.world import NOON, made

NAME = "KPDT20250409_120000_V06_reflectivity_idx0"
PATH = f"/data/2/{NAME}/png"


@pytest.fixture
def scan(publisher):
    scan = made("KPDT", NOON)
    publisher.publish(scan)
    return scan


@pytest.fixture
def image(scan) -> bytes:
    return next(iter(scan.objects.values()))


def test_an_image_comes_with_its_validators(serve, scan, image):
    answer = serve().get(PATH)
    assert (answer.status_code, answer.content) == (200, image)
    digest = scan.scan.layers["reflectivity"].tilts[0].images[0].sha256
    assert answer.headers["etag"] == f'"{digest}"'
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "max-age=60, stale-while-revalidate=3600"
    assert answer.headers["accept-ranges"] == "bytes"
    assert "content-encoding" not in answer.headers


def test_images_of_archive_days_and_other_sites_are_served(serve, publisher):
    old = made("KTLX", NOON - timedelta(days=4000), origin="backfill")
    publisher.publish(made("KTLX", NOON), old)
    client = serve()
    for index, data in enumerate(old.objects.values()):
        assert client.get(f"/data/2/{old.scan.key}_reflectivity_idx{index}/png").content == data


def test_level_three_images_carry_their_code(serve, publisher):
    one = made("KPDT", NOON, product="hydrometeor", suffix="HHC", tilts=1)
    publisher.publish(one)
    client = serve()
    path = "/data/3/KPDT20250409_120000_HHC_hydrometeor_idx0"
    assert client.get(f"{path}/png").content == next(iter(one.objects.values()))
    assert client.get(f"{path}/json").json()["product"] == "hydrometeor"
    assert client.get(path.replace("/3/", "/2/") + "/png").status_code == 404


BAD_PATHS = [
    f"/data/1/{NAME}/png",
    f"/data/x/{NAME}/png",
    f"/data/2/{NAME}/gif",
    f"/data/2/{NAME}/PNG",
    "/data/2/KPDT20250409_120000_reflectivity_idx0/png",
    "/data/2/nonsense/png",
    f"/data/2/{NAME}x/json",
    "/data/2/KPDT20250409_120000_V06_reflectivity_idx/png",
    "/data/2/KPDT20250409_120000_V06_reflectivity_idx-1/png",
    "/data/2/KPDT20250409_120000_V06_reflectivity_idx00/png",
    "/data/2/KPDT20251309_120000_V06_reflectivity_idx0/png",
    "/data/2/KPDT20250409_250000_V06_reflectivity_idx0/json",
    "/data/2/KPDT20250409_120000_V06_reflectivity_idx\u0660/png",
    "/data/2/KPDT\u0662\u0660\u0662\u06650409_120000_V06_reflectivity_idx0/png",
    f"/data/2/{NAME}%0A/png",
    f"/data/2/{NAME}%00/png",
]


def test_bad_addresses_are_400(serve, scan):
    client = serve()
    for path in BAD_PATHS:
        answer = client.get(path)
        assert (answer.status_code, set(answer.json())) == (400, {"error"}), path
        assert answer.headers["cache-control"] == "no-store"


UNLISTED = [
    "KPDT20250409_120000_V06_reflectivity_idx3",
    "KPDT20250409_120000_V06_reflectivity_idx999",
    "KPDT20250409_120001_V06_reflectivity_idx0",
    "KPDT20250409_120000_V06_velocity_idx0",
    "KTLX20250409_120000_V06_reflectivity_idx0",
    "KPDT20010101_120000_V06_reflectivity_idx0",
]


def test_what_is_not_listed_is_404(serve, scan):
    client = serve()
    for name in UNLISTED:
        for kind in ("png", "json"):
            assert client.get(f"/data/2/{name}/{kind}").status_code == 404, name


def test_nothing_but_listed_objects_is_read(serve, scan, posix):
    stray = keys.image(2, "KPDT20250409_110000_V06", "KPDT20250409_110000_V06_reflectivity_idx0.png")
    posix.put(stray, b"stray")
    assert serve().get("/data/2/KPDT20250409_110000_V06_reflectivity_idx0/png").status_code == 404
    assert stray not in posix.reads


def test_a_known_image_is_not_sent_again_nor_read(serve, scan, image, posix):
    digest = f'"{scan.scan.layers["reflectivity"].tilts[0].images[0].sha256}"'
    client = serve()
    for tags in (digest, f"W/{digest}", f'"other", {digest}', "*"):
        answer = client.get(PATH, headers={"if-none-match": tags})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == digest
        assert "cache-control" in answer.headers
        assert "content-length" not in answer.headers
    assert not [key for key in posix.reads if key.startswith("plots")]
    assert client.get(PATH, headers={"if-none-match": '"other"'}).content == image


PARTS = [
    ("bytes=0-9", slice(0, 10)),
    ("bytes=10-", slice(10, None)),
    ("bytes=-7", slice(-7, None)),
    ("bytes=5-5", slice(5, 6)),
    ("bytes=0-99999999999999999999999", slice(0, None)),
    ("bytes=-999999", slice(0, None)),
    ("BYTES=1-2", slice(1, 3)),
]


def test_a_single_range_is_answered_in_part(serve, image):
    client = serve()
    for asked, part in PARTS:
        answer = client.get(PATH, headers={"range": asked})
        first, last, _ = part.indices(len(image))
        assert (answer.status_code, answer.content) == (206, image[part]), asked
        assert answer.headers["content-range"] == f"bytes {first}-{last - 1}/{len(image)}"
        assert answer.headers["content-length"] == str(last - first)


NO_SINGLE_RANGE = [
    "bytes=0-1,5-6",
    "bytes=9-1",
    "bytes=a-b",
    "bytes=-",
    "bytes=",
    "pixels=0-1",
    "0-1",
    "bytes=1",
    "bytes=\u0660-\u0661".encode(),
]


def test_other_ranges_are_answered_whole(serve, image):
    client = serve()
    for asked in NO_SINGLE_RANGE:
        answer = client.get(PATH, headers={"range": asked})
        assert (answer.status_code, answer.content) == (200, image), asked


def test_a_range_past_the_end_is_416(serve, image):
    client = serve()
    for asked in ("bytes=100000-", "bytes=100000-100001", "bytes=-0"):
        answer = client.get(PATH, headers={"range": asked})
        assert answer.status_code == 416, asked
        assert answer.headers["content-range"] == f"bytes */{len(image)}"


def test_if_range_needs_the_same_strong_tag(serve, image):
    client = serve()
    etag = client.get(PATH).headers["etag"]
    for tag, status in (
        (etag, 206),
        (f"W/{etag}", 200),
        ('"other"', 200),
        ("Wed, 09 Apr 2025 12:05:00 GMT", 200),
    ):
        answer = client.get(PATH, headers={"range": "bytes=0-3", "if-range": tag})
        assert answer.status_code == status, tag


def test_if_match_of_other_content_is_412(serve, image):
    client = serve()
    assert client.get(PATH, headers={"if-match": '"other"'}).status_code == 412
    assert client.get(PATH, headers={"if-match": client.get(PATH).headers["etag"]}).status_code == 200
    assert client.get(PATH, headers={"if-match": "*"}).status_code == 200


def test_head_tells_of_the_whole_without_its_bytes(serve, image):
    answer = serve().head(PATH, headers={"range": "bytes=0-3"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(image))


def test_other_bytes_than_the_snapshot_promises_are_never_served(serve, scan, image, posix):
    key = next(iter(scan.objects))
    posix.put(key, image[:-1] + b"x")
    client = serve()
    for _ in range(2):
        answer = client.get(PATH)
        assert answer.status_code == 503
        assert answer.headers["cache-control"] == "no-store"
        assert "error" in answer.json()
    posix.put(key, image)
    assert client.get(PATH).content == image


def test_an_image_rendered_again_is_found_before_the_next_look(serve, scan, publisher):
    client = serve(poll_seconds=600)
    again = made("KPDT", NOON, edition=1)
    publisher.publish(again)
    for index, data in enumerate(again.objects.values()):
        answer = client.get(f"/data/2/{again.scan.key}_reflectivity_idx{index}/png")
        assert (answer.status_code, answer.content) == (200, data)


def test_an_image_removed_since_the_last_look_is_404(serve, scan, publisher):
    client = serve(poll_seconds=600)
    publisher.remove(scan.scan.key)
    assert client.get(PATH).status_code == 404


def test_images_stay_in_memory_up_to_a_bound(serve, publisher, posix, image):
    publisher.publish(*(made("KPDT", NOON - timedelta(minutes=m)) for m in range(1, 20)))
    client = serve(image_cache_bytes=3 * len(image) + 30)
    for path in (PATH, PATH, PATH.replace("idx0", "idx1"), PATH):
        assert client.get(path).status_code == 200
    key = next(key for key in posix.reads if "120000_V06_reflectivity_idx0" in key)
    assert posix.reads.count(key) == 1
    for minute in range(41, 60):
        assert client.get(PATH.replace("120000", f"11{minute:02}00")).status_code == 200
    assert client.get(PATH).status_code == 200
    assert posix.reads.count(key) == 2


def test_images_in_memory_outlive_the_store(serve, image, posix):
    client = serve()
    client.get(PATH)
    posix.away = True
    assert client.get(PATH).content == image
    eventually(lambda: client.get("/readyz").status_code == 503)
    assert client.get(PATH.replace("idx0", "idx1")).status_code == 503
    assert client.get(PATH.replace("png", "json")).status_code == 200
