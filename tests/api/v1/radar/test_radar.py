"""`/v1`: sites, products, scans, latest, features and vectors."""

import gzip
import json
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from urllib.parse import parse_qs, urlsplit

import msgspec
import numpy as np
import pytest
from PIL import Image as PillowImage

from api.v1.radar import models
from nexrad_assets.radar.sites import sites
from tests.api import rendered
from tests.api.conftest import eventually
from tests.api.world import NOON, made

SCANS = "/v1/scans?product=reflectivity"


def at(hour, minute=0, day=9):
    return datetime(2025, 4, day, hour, minute, tzinfo=UTC)


def ids(answer):
    assert answer.status_code == 200, answer.text
    return [one["image"] for one in answer.json()["scans"]]


def names(starts, rank=0):
    return [f"KPDT{start:%Y%m%d_%H%M%S}_V06_reflectivity_idx{rank}" for start in starts]


def walk(client, address):
    """The images of all pages, and how many pages there were."""
    found, pages = [], 0
    while address:
        answer = client.get(address)
        found += ids(answer)
        pages += 1
        address = answer.json()["next"]
        assert (answer.links.get("next") is None) == (address is None)
    return found, pages


@pytest.fixture
def live(publisher):
    """Twelve live scans, one every ten minutes, the last at noon; and one of another site."""
    starts = [NOON - timedelta(minutes=10 * count) for count in range(11, -1, -1)]
    publisher.publish(*(made("KPDT", start) for start in starts), made("KTLX", NOON))
    return starts


# Every document.


def test_answers_have_exactly_the_fields_of_their_models(publisher, serve):
    publisher.publish(rendered.level2(), rendered.level3("HHC"), rendered.level3("NST"))
    client = serve()
    image = "KPDT20250409_120000_V06_reflectivity_idx0"
    for path, model in {
        "/v1/sites": models.Sites,
        "/v1/products": models.Products,
        "/v1/products?site=KPDT": models.Products,
        SCANS: models.Scans,
        "/v1/latest?product=reflectivity": models.Latest,
        f"/v1/scans/{image}": models.ScanFeature,
        "/v1/vectors": models.Vectors,
        "/v1/value?product=reflectivity&lon=-118.8&lat=45.7": models.Values,
    }.items():
        answer = client.get(path)
        assert answer.status_code == 200, answer.text
        model.model_validate_json(answer.content, extra="forbid")
        assert "NOAA/NWS" in answer.json()["attribution"]
        assert not re.search(r'"(x-)?(data_)?age(_s)?"', answer.text), (
            "a body that changes while its data do not"
        )


PATHS = [
    "/v1/sites",
    "/v1/products",
    "/v1/products?site=KPDT",
    SCANS,
    "/v1/latest?product=reflectivity",
    "/v1/scans/KPDT20250409_120000_V06_reflectivity_idx0",
    "/v1/vectors",
]


@pytest.mark.parametrize("path", PATHS)
def test_documents_have_validators_and_are_not_sent_twice(live, serve, clock, path):
    client = serve()
    first = client.get(path, headers={"accept-encoding": "identity"})
    assert (first.status_code, first.headers["x-data-stale"], first.headers["x-data-age"]) == (
        200,
        "false",
        "0",
    )
    assert first.headers["cache-control"] == "public, max-age=2, stale-while-revalidate=5"
    clock.now += timedelta(minutes=1)
    again = client.get(path, headers={"if-none-match": first.headers["etag"], "accept-encoding": "identity"})
    assert (again.status_code, again.content, again.headers["x-data-age"]) == (304, b"", "60")
    packed = client.get(path, headers={"accept-encoding": "gzip"})
    assert packed.content == first.content
    if "content-encoding" in packed.headers:
        assert packed.headers["etag"] != first.headers["etag"]
    head = client.head(path, headers={"accept-encoding": "identity"})
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", first.headers["etag"])
    assert head.headers["content-length"] == str(len(first.content))


def test_large_documents_come_compressed(live, serve):
    with serve().stream("GET", "/v1/sites", headers={"accept-encoding": "gzip"}) as answer:
        data = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(data))["sites"]) == len(sites())


BAD = [
    "/v1/sites?x=1",
    "/v1/products?level=2",
    "/v1/products?site=kpdt",
    "/v1/products?site=KXXX",
    "/v1/products?day=2025-04-09",
    "/v1/products?site=KPDT&day=20250409",
    "/v1/products?site=KPDT&day=2025-02-30",
    "/v1/scans",
    "/v1/scans?product=nonsense",
    "/v1/scans?product=..%2f..",
    f"{SCANS}&unknown=1",
    f"{SCANS}&limit=0",
    f"{SCANS}&limit=1001",
    f"{SCANS}&limit=5&limit=6",
    f"{SCANS}&cursor=nonsense",
    f"{SCANS}&cursor=WyJzY2FucyIsIngiLCJ5IiwwLjBd",
    f"{SCANS}&tilt=low",
    f"{SCANS}&tilt=nan",
    f"{SCANS}&tilt=1e9",
    f"{SCANS}&tilt={','.join(['1.5', *map(str, range(40))])}",
    f"{SCANS}&start=yesterday",
    f"{SCANS}&start=2025-04-09",
    f"{SCANS}&start=0001-01-01T00:00:00Z",
    f"{SCANS}&end=9999-12-31T23:59:59-12:00",
    f"{SCANS}&start=2025-04-09T12:00:00Z&end=2025-04-09T11:00:00Z",
    f"{SCANS}&at=2025-04-09T12:00:00Z&start=2025-04-09T11:00:00Z",
    f"{SCANS}&at=2025-04-09T25:00:00Z",
    f"{SCANS}&site=KXXX",
    "/v1/latest",
    "/v1/latest?product=reflectivity&tilt=inf",
    "/v1/scans/nonsense",
    "/v1/scans/KPDT20259999_120000_V06_reflectivity_idx0",
    "/v1/vectors?at=now",
    "/v1/value?product=reflectivity&lon=200&lat=0",
    "/v1/value?product=reflectivity&lon=0",
    "/v1/value?product=reflectivity&lon=nan&lat=0",
    "/v1/images/KPDT20250409_120000_V06_reflectivity_idx0.00000000.png?x=1",
    "/v1/events?what=1",
    "/v1/events?site=KPDT,",
    "/v1/events?site=KPDT&site=KTLX",
]


@pytest.mark.parametrize("path", BAD)
def test_what_is_not_understood_is_a_problem_document(live, serve, path):
    answer = serve().get(path, headers={"x-request-id": "asked-1"})
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["request_id"], problem["title"]) == (400, "asked-1", "Bad Request")
    assert problem["errors"][0]["name"]
    assert answer.headers["cache-control"] == "no-store"


def test_an_unknown_site_is_told_with_those_like_it(live, serve):
    assert "KPDT" in serve().get("/v1/scans?product=reflectivity&site=KPDX").json()["detail"]


def test_before_the_store_was_ever_read_it_is_a_problem_with_retry_after(posix, serve):
    posix.away = True
    client = serve()
    for path in PATHS[:1] + PATHS[3:]:
        answer = client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json"), path
        assert answer.json()["detail"]
        assert int(answer.headers["retry-after"]) > 0


def test_while_the_store_is_away_the_last_good_state_is_served_as_stale(live, serve, posix):
    client = serve()
    before = {path: client.get(path).content for path in PATHS}
    posix.away = True
    eventually(lambda: client.get("/v1/sites").headers["x-data-stale"] == "true")
    for path in PATHS:
        answer = client.get(path)
        assert (answer.status_code, answer.content, answer.headers["x-data-stale"]) == (
            200,
            before[path],
            "true",
        )


# Sites.


def test_sites_are_all_of_the_table_with_what_there_is_of_each(live, publisher, serve):
    publisher.publish(made("KPDT", at(12, day=1), origin="backfill"))
    document = serve().get("/v1/sites").json()
    told = {one["id"]: one for one in document["sites"]}
    assert list(told) == list(sites())
    assert document["primary"] == "KPDT"
    pendleton = told["KPDT"]
    assert (pendleton["name"], pendleton["state"], pendleton["kind"]) == ("Pendleton", "OR", "WSR-88D")
    assert pendleton["latitude_deg"] == sites()["KPDT"].latitude_deg
    assert pendleton["newest"] == {"2": "2025-04-09T12:00:00Z"}
    assert pendleton["days"] == ["2025-04-09", "2025-04-01"]
    assert (told["KABR"]["newest"], told["KABR"]["days"]) == ({}, [])
    assert {one["kind"] for one in told.values()} == {"WSR-88D", "TDWR"}


def test_sites_follow_the_store(live, publisher, serve):
    client = serve()
    client.get("/v1/sites")
    publisher.publish(made("KABR", at(11, 30)))

    def told():
        return next(one for one in client.get("/v1/sites").json()["sites"] if one["id"] == "KABR")

    eventually(lambda: told()["newest"] == {"2": "2025-04-09T11:30:00Z"})
    assert told()["days"] == ["2025-04-09"]


# Products.


def test_legends_have_the_colours_that_the_images_have(publisher, serve, tmp_path):
    whole = {("reflectivity", None): rendered.level2()}
    whole |= {
        (group, code): rendered.level3(code)
        for group, code in (("hydrometeor", "HHC"), ("precipitation", "DAA"), ("reflectivity", "N0B"))
    }
    publisher.publish(*whole.values())
    told = {(one["id"], one["code"]): one for one in serve().get("/v1/products?site=KPDT").json()["products"]}
    assert told.keys() == whole.keys()
    for place, one in whole.items():
        path = tmp_path / "image.png"
        path.write_bytes(next(iter(one.objects.values())))
        with PillowImage.open(path) as image:
            used = sorted(set(np.asarray(image).ravel().tolist()))
            # Pillow gives the index where a single one is transparent, else an alpha of each.
            alphas = image.info.get("transparency", b"")
            alphas = b"\xff" * alphas + b"\0" if isinstance(alphas, int) else alphas
            flat = image.getpalette()
        colours = told[place]["legend"]["colours"]
        assert len(colours) == 256
        for index in used:
            alpha = alphas[index] if index < len(alphas) else 255
            assert colours[index][3] == alpha, (place, index)
            assert not alpha or colours[index][:3] == flat[3 * index : 3 * index + 3]
        layer = one.scan.layers[place[0]]
        assert told[place]["legend"]["scale"] == layer.scale
        assert told[place]["legend"]["codes"] == layer.codes
        assert told[place]["unit"] == layer.unit


def test_products_are_counted_with_their_tilts(live, publisher, serve):
    publisher.publish(made("KPDT", NOON, product="hydrometeor", suffix="HHC", tilts=1))
    client = serve()
    first, second = client.get("/v1/products?site=KPDT").json()["products"]
    assert (first["id"], first["level"], first["code"], first["count"]) == ("reflectivity", 2, None, 12)
    assert first["tilts"] == [0.5, 1.5, 2.5]
    assert (second["id"], second["level"], second["code"], second["count"]) == ("hydrometeor", 3, "HHC", 1)
    assert second["label"] == "Hybrid hydrometeor classification"
    (other,) = client.get("/v1/products?site=KPDT&day=2001-01-01").json()["products"]
    assert (other["count"], other["tilts"], other["legend"]) == (0, [], None)


def test_without_a_site_all_products_are_named(live, serve):
    products = serve().get("/v1/products").json()["products"]
    assert len(products) > 40
    assert {one["count"] for one in products} == {None}
    assert (products[0]["id"], products[0]["level"]) == ("reflectivity", 2)


# Scans.


def test_scans_are_those_of_the_live_window_oldest_first(live, serve):
    answer = serve().get(SCANS)
    assert ids(answer) == names(live)
    document = answer.json()
    assert (document["next"], document["newest"]) == (None, "2025-04-09T12:00:00Z")
    (other,) = serve().get(f"{SCANS}&site=KTLX").json()["scans"]
    assert other["site"] == "KTLX"


def test_a_scan_tells_what_the_snapshot_has(publisher, serve):
    one = rendered.level2()
    publisher.publish(one)
    (told,) = serve().get(SCANS).json()["scans"]
    layer = one.scan.layers["reflectivity"]
    image = layer.tilts[0].images[0]
    corners = one.scan.corners[image.canvas_km]
    expected = {
        "image": "KPDT20250409_120000_V06_reflectivity_idx0",
        "key": "KPDT20250409_120000_V06",
        "site": "KPDT",
        "product": "reflectivity",
        "code": None,
        "level": 2,
        "idx": 0,
        "tilt_deg": 0.48,
        "tilts": 7,
        "vcp": 212,
        "status": "whole",
        "missing": [],
        "sha256": image.sha256,
        "bytes": image.size,
        "pixels": rendered.PIXELS,
        "canvas_km": 460,
        "range_km": image.range_km,
        "href": f"/v1/images/{image.name}",
        "documents": {},
    }
    assert {name: told[name] for name in expected} == expected
    assert told["corners"] == {name: list(getattr(corners, name)) for name in ("nw", "ne", "se", "sw")}
    assert datetime.fromisoformat(told["valid_time"]) == image.start
    assert told["valid_time"].endswith("Z")
    (repeat,) = told["repeats"]  # SAILS
    assert repeat["href"] == f"/v1/images/{layer.tilts[0].images[1].name}" != told["href"]
    assert repeat["valid_time"] > told["valid_time"]


def test_the_nearest_tilt_within_a_quarter_of_a_degree_is_taken(live, serve):
    client = serve()
    assert ids(client.get(f"{SCANS}&tilt=1.7")) == names(live, rank=1)
    assert ids(client.get(f"{SCANS}&tilt=1.9")) == []
    both = client.get(f"{SCANS}&tilt=0.5,2.4").json()["scans"]
    assert [one["idx"] for one in both] == [0, 2] * 12


def test_level_three_is_asked_for_by_code(publisher, serve):
    publisher.publish(
        made("KPDT", NOON),
        made("KPDT", NOON, product="reflectivity", suffix="N0B", tilts=1),
        made("KPDT", NOON, product="hydrometeor", suffix="HHC", tilts=1),
        made("KPDT", NOON, product="hydrometeor", suffix="N0H", tilts=1),
    )
    client = serve()
    assert ids(client.get(SCANS)) == ["KPDT20250409_120000_V06_reflectivity_idx0"]
    assert ids(client.get(f"{SCANS}&code=N0B")) == ["KPDT20250409_120000_N0B_reflectivity_idx0"]
    assert len(ids(client.get("/v1/scans?product=hydrometeor"))) == 2
    assert ids(client.get("/v1/scans?product=hydrometeor&code=N0H")) == [
        "KPDT20250409_120000_N0H_hydrometeor_idx0"
    ]
    assert ids(client.get("/v1/scans?product=hydrometeor&code=N1H")) == []


def test_a_range_goes_over_days_and_both_its_ends_are_in_it(publisher, serve):
    starts = [at(23, 50, day=day) for day in (3, 4, 5, 6, 7)]
    publisher.publish(*(made("KPDT", start, origin="backfill") for start in starts), made("KPDT", NOON))
    client = serve()
    found = client.get(f"{SCANS}&start=2025-04-04T23:50:00Z&end=2025-04-06T23:50:00Z")
    assert ids(found) == names(starts[1:4])
    assert ids(client.get(f"{SCANS}&start=2025-04-06T23:50:01Z")) == names([starts[4], NOON])
    assert ids(client.get(f"{SCANS}&end=2025-04-03T23:49:59Z")) == []
    # The highest tilt of the scan of 23:50 begins half a minute later; other zones are as good as UTC.
    late = f"{SCANS}&tilt=2.5&start=2025-04-05T01:50:30%2B02:00&end=2025-04-05T01:51:00%2B02:00"
    assert ids(client.get(late)) == names([starts[1]], rank=2)


def test_sweeps_after_midnight_are_found_in_the_scan_of_the_day_before(publisher, serve):
    start = datetime(2025, 4, 8, 23, 59, 45, tzinfo=UTC)
    publisher.publish(made("KPDT", start), made("KPDT", NOON))
    found = serve().get(f"{SCANS}&tilt=2.5&start=2025-04-09T00:00:00Z&end=2025-04-09T01:00:00Z")
    assert ids(found) == names([start], rank=2)


@pytest.mark.parametrize("limit", [1, 5, 12, 1000])
def test_pages_have_everything_once_and_in_order(live, serve, limit):
    for more in ("", "&start=2025-04-09T00:00:00Z"):
        found, pages = walk(serve(), f"{SCANS}&limit={limit}{more}")
        assert found == names(live)
        assert pages == -(-12 // limit)


def test_pages_neither_skip_nor_repeat_while_scans_arrive_and_go(live, publisher, serve, clock):
    client = serve()
    first = client.get(f"{SCANS}&limit=5")
    publisher.remove("KPDT20250409_101000_V06")
    clock.now += timedelta(minutes=5)
    publisher.publish(made("KPDT", NOON + timedelta(minutes=5)))
    eventually(lambda: names([NOON + timedelta(minutes=5)])[0] in ids(client.get(SCANS)))
    rest, _ = walk(client, first.json()["next"])
    assert ids(first) + rest == names([*live, NOON + timedelta(minutes=5)])


def test_a_page_that_reads_many_days_in_vain_is_short_and_goes_on(publisher, serve):
    days = [made("KPDT", at(12, day=1) - timedelta(days=back), origin="backfill") for back in range(25)]
    odd = made("KPDT", at(13, day=1), product="reflectivity", origin="backfill", tilts=1)
    steep = msgspec.structs.replace(
        odd.scan.layers["reflectivity"],
        tilts=tuple(
            msgspec.structs.replace(t, angle_deg=19.5) for t in odd.scan.layers["reflectivity"].tilts
        ),
    )
    odd.scan = msgspec.structs.replace(odd.scan, layers={"reflectivity": steep})
    publisher.publish(*days, odd)
    found, pages = walk(serve(), f"{SCANS}&tilt=19.5&start=2025-01-01T00:00:00Z")
    assert found == names([at(13, day=1)])
    assert pages == 3


def test_the_next_page_keeps_what_was_asked(live, serve):
    following = serve().get(f"{SCANS}&limit=5&tilt=1.5&site=KPDT").json()["next"]
    query = parse_qs(urlsplit(following).query)
    assert (urlsplit(following).path, query["tilt"], query["limit"], query["site"]) == (
        "/v1/scans",
        ["1.5"],
        ["5"],
        ["KPDT"],
    )


def test_at_gives_the_newest_that_is_not_later(live, serve):
    client = serve()
    for moment, expected in {
        "2025-04-09T11:05:00Z": [at(11)],
        "2025-04-09T11:10:00Z": [at(11, 10)],
        "2025-04-09T11:09:59.999Z": [at(11)],
        "2026-01-01T00:00:00Z": [NOON],
        "2025-04-09T10:00:00Z": [],
    }.items():
        assert ids(client.get(f"{SCANS}&at={moment}")) == names(expected)


def test_at_counts_from_the_start_of_each_sweep(live, serve):
    answer = serve().get(f"{SCANS}&at=2025-04-09T11:10:20Z&tilt=0.5,1.5,2.5").json()["scans"]
    # The third tilt of the scan of 11:10 begins 30 s after it.
    assert [(one["idx"], one["scan_start"][11:16]) for one in answer] == [
        (0, "11:10"),
        (1, "11:10"),
        (2, "11:00"),
    ]


def test_at_looks_at_the_day_before_and_into_the_archive(publisher, serve):
    publisher.publish(made("KPDT", at(23, 55, day=2), origin="backfill"), made("KPDT", NOON))
    client = serve()
    assert ids(client.get(f"{SCANS}&at=2025-04-03T00:03:00Z")) == names([at(23, 55, day=2)])


def test_latest_is_the_newest_image_of_the_tilt(live, publisher, serve):
    client = serve()
    assert (
        client.get("/v1/latest?product=reflectivity&tilt=2.5").json()["scan"]["image"] == names([NOON], 2)[0]
    )
    publisher.publish(made("KPDT", NOON + timedelta(minutes=4)))
    eventually(
        lambda: (
            client.get("/v1/latest?product=reflectivity").json()["scan"]["key"] == "KPDT20250409_120400_V06"
        )
    )
    assert client.get("/v1/latest?product=hydrometeor").json()["scan"] is None
    assert client.get("/v1/latest?product=reflectivity&site=KABR").json()["scan"] is None


# Features.


def test_a_feature_is_a_polygon_of_the_corners_with_links_that_lead_somewhere(publisher, serve):
    publisher.publish(rendered.level2())
    client = serve()
    name = "KPDT20250409_120000_V06_reflectivity_idx1"
    answer = client.get(f"/v1/scans/{name}")
    assert answer.headers["content-type"] == "application/geo+json"
    feature = answer.json()
    (ring,) = feature["geometry"]["coordinates"]
    corners = feature["properties"]["corners"]
    assert ring == [corners[name] for name in ("nw", "sw", "se", "ne", "nw")]
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring))
    assert area > 0, "RFC 7946: counterclockwise"
    assert (feature["type"], feature["id"], feature["properties"]["image"]) == ("Feature", name, name)
    assert feature["properties"]["sweep_number"] == 3
    assert feature["properties"]["source"]["bytes"] == len(rendered.volume_file())
    links = {link["rel"]: link for link in feature["properties"]["links"]}
    for link in links.values():
        there = client.get(link["href"])
        assert (there.status_code, there.headers["content-type"]) == (200, link["type"])


def test_features_of_archive_days_are_found_and_others_are_404(live, publisher, serve):
    publisher.publish(made("KTLX", at(12, day=2), origin="backfill"))
    client = serve()
    assert client.get("/v1/scans/KTLX20250402_120000_V06_reflectivity_idx0").status_code == 200
    for name in (
        "KPDT20250409_120000_V06_reflectivity_idx3",
        "KPDT20250409_120001_V06_reflectivity_idx0",
        "KABR20250409_120000_V06_reflectivity_idx0",
        "KPDT20250409_120000_V06_velocity_idx0",
    ):
        answer = client.get(f"/v1/scans/{name}")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


# Vectors.


def test_vectors_are_the_newest_of_each_kind_and_lead_to_their_documents(publisher, serve):
    early, late = (rendered.level3("NST", start=start) for start in (at(11, 50), NOON))
    publisher.publish(early, late, made("KPDT", NOON))
    client = serve()
    (told,) = client.get("/v1/vectors").json()["documents"]
    (document,) = late.scan.documents.values()
    assert (told["name"], told["kind"], told["key"]) == ("NST", "storm_tracks", "KPDT20250409_120000_NST")
    assert (told["count"], told["bytes"]) == (document.count, document.size)
    answer = client.get(told["href"])
    assert answer.content == next(iter(late.objects.values()))
    assert answer.headers["content-type"] == "application/geo+json"
    assert (
        len([one for one in answer.json()["features"] if one["geometry"]["type"] == "Point"]) == told["count"]
    )
    (before,) = client.get("/v1/vectors?at=2025-04-09T11:59:59Z").json()["documents"]
    assert before["key"] == "KPDT20250409_115000_NST"
    assert client.get("/v1/vectors?at=2025-04-09T11:00:00Z").json()["documents"] == []
