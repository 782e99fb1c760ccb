"""`/metrics`: what was asked, how it was answered, and how fresh the data are."""

from datetime import timedelta

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from api.ops.metrics import BUCKETS_S, EVENTS, Metrics
from tests.api.world import NOON, made


def scraped(client):
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert answer.headers["cache-control"] == "no-store"
    return {
        (sample.name, tuple(sorted(sample.labels.values()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_requests_are_counted_by_template_method_and_status(publisher, serve):
    one = made("KPDT", NOON)
    publisher.publish(one)
    client = serve()
    image = f"/v1/images/{one.scan.layers['reflectivity'].tilts[0].images[0].name}"
    size = len(client.get(image).content)
    client.get(image)
    client.head(image)
    etag = client.head(image).headers["etag"]
    client.get(image, headers={"if-none-match": etag})
    client.get("/v1/images/none")
    client.get("/list-all/")
    client.get("/v1/scans/KPDT20250409_120000_V06_reflectivity_idx0")
    for made_up in ("/made/up/1", "/made/up/2", "/v1/made-up"):
        client.get(made_up)
    client.request("PROPFIND", "/list-all/")
    told = scraped(client)

    def requests(route, method, status):
        return told.get(("api_requests_total", tuple(sorted((route, method, status)))))

    template = "/v1/images/{file}"
    assert requests(template, "GET", "200") == 2
    assert requests(template, "HEAD", "200") == 2
    assert requests(template, "GET", "304") == 1
    assert requests(template, "GET", "404") == 1
    assert requests("/list-all/", "GET", "200") == 1
    assert requests("/list-all/", "other", "405") == 1
    assert requests("/v1/scans/{image}", "GET", "200") == 1
    assert requests("none", "GET", "404") == 3
    assert 2 * size <= told["api_response_bytes_total", (template,)] < 2 * size + 1000
    assert told["api_request_seconds_count", (template,)] == 6


def test_caches_clients_and_ages_are_told(publisher, serve, clock):
    one = made("KPDT", NOON)
    publisher.publish(one, made("KTLX", NOON - timedelta(minutes=30)))
    client = serve()
    clock.now += timedelta(minutes=2)
    image = f"/v1/images/{one.scan.layers['reflectivity'].tilts[0].images[0].name}"
    for _ in range(3):
        assert client.get(image).status_code == 200
    told = scraped(client)
    assert told["api_cache_lookups_total", ("hit", "images")] == 2
    assert told["api_cache_lookups_total", ("images", "miss")] == 1
    assert told["api_cache_bytes", ("images",)] == len(next(iter(one.objects.values())))
    assert told["api_event_clients", ()] == 0
    assert told["radar_newest_scan_age_seconds", ("2", "KPDT")] == 120
    assert told["radar_newest_scan_age_seconds", ("2", "KTLX")] == 32 * 60
    assert 0 <= told["store_answered_age_seconds", ()] < 5


def test_two_applications_count_for_themselves(publisher, serve):
    publisher.publish(made("KPDT", NOON))
    first, second = serve(), serve()
    first.get("/list-all/")
    assert ("api_requests_total", tuple(sorted(("/list-all/", "GET", "200")))) not in scraped(second)


def test_how_long_answers_took_is_told_as_prometheus_own_client_tells_it():
    ours, route = Metrics(), "/v1/images/{file}"
    theirs = CollectorRegistry()
    seen = Histogram("api_request_seconds", "-", ["route"], buckets=BUCKETS_S, registry=theirs)
    for seconds in (0.0, 0.0009, *BUCKETS_S, 0.3, 11.0):
        ours.count(route, "GET", 200, 1, seconds)
        seen.labels(route).observe(seconds)

    def told(registry) -> list[str]:
        lines = generate_latest(registry).decode().splitlines()
        return [line for line in lines if line.startswith("api_request_seconds_") and "_created" not in line]

    assert told(ours.registry) == told(theirs)
    assert len(told(theirs)) == len(BUCKETS_S) + 3


def test_answers_that_last_for_hours_are_no_latencies():
    ours = Metrics()
    ours.count(EVENTS, "GET", 200, 50, 7_200.0)
    told = generate_latest(ours.registry).decode()
    assert f'api_response_bytes_total{{route="{EVENTS}"}} 50.0' in told
    assert "api_request_seconds_count" not in told
