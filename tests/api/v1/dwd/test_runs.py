"""`/v1/dwd/runs`: what the ledgers say, newest first, page by page."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from store.dwd.ledger import Corrected
from tests.api.conftest import eventually
from tests.api.v1.dwd.dwd_world import NOON, RUN, SERVER, World, icon
from tests.api.world import Switched

LICENCE = '<https://creativecommons.org/licenses/by/4.0/>; rel="license"'


@pytest.fixture
def world(posix):
    return World(posix)


@pytest.fixture
def client(serve, world):
    return serve()


def hours(count):
    return [RUN - timedelta(hours=3 * index) for index in range(count)]


def walk(client, address):
    """All items of all pages, following the Link headers alone."""
    items = []
    while address:
        answer = client.get(address)
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        following = answer.links.get("next")
        assert (following is None) == (answer.json()["next_cursor"] is None)
        address = following and str(answer.url.join(following["url"]))
    return items


def test_an_archive_that_is_not_there_has_no_runs(client):
    answer = client.get("/v1/dwd/runs")
    assert (answer.status_code, answer.json()["items"], answer.json()["next_cursor"]) == (200, [], None)


def test_a_run_is_told_in_numbers_with_the_time_that_is_left(client, world, clock):
    path, other = world.keep_fields(icon(step=0), icon(step=60), missing=("weather/x", "weather/y"))
    world.fail("icon-d2", "2025040909", "weather/x", "cut")
    world.change(
        "icon-d2", "2025040909", deadline=NOON + timedelta(minutes=90, seconds=59), warnings=("odd",)
    )
    (run,) = client.get("/v1/dwd/runs").json()["items"]
    kept = world.ledger("icon-d2", "2025040909").kept
    told = {name: run[name] for name in ("collection", "period", "kind", "start", "state", "minutes_left")}
    assert told == {
        "collection": "icon-d2",
        "period": "2025040909",
        "kind": "run",
        "start": "2025-04-09T09:00:00Z",
        "state": "partial",
        "minutes_left": 90,
    }
    assert [run[name] for name in ("expected", "kept", "missing", "failed", "changed")] == [4, 2, 2, 1, 0]
    assert run["bytes_kept"] == sum(len(world.store.get(each).data) for each in (path, other))
    assert run["bytes_kept"] == sum(each.stored_bytes for each in kept.values())
    assert (run["warnings"], run["href"]) == (["odd"], "/v1/dwd/runs/icon-d2/2025040909")
    clock.now = NOON + timedelta(hours=2)
    (run,) = client.get("/v1/dwd/runs").json()["items"]
    assert (run["state"], run["minutes_left"]) == ("lost", 0)


def test_all_collections_are_told_together_newest_first(client, world):
    world.keep_fields(icon())
    world.keep_fields(icon(run=RUN - timedelta(hours=3)))
    world.keep_forecast(RUN, "10315")
    world.keep_reports(RUN.date(), "10315")
    told = [(run["collection"], run["period"], run["kind"]) for run in walk(client, "/v1/dwd/runs?limit=1")]
    assert told == [
        ("mosmix-l", "2025040909", "issue"),
        ("icon-d2", "2025040909", "run"),
        ("icon-d2", "2025040906", "run"),
        ("poi", "20250409", "day"),
    ]
    assert [run["kind"] for run in walk(client, "/v1/dwd/runs?collection=poi")] == ["day"]


def test_pages_neither_skip_nor_repeat_while_runs_arrive(client, world):
    for run in hours(7):
        world.keep_fields(icon(run=run))
    first = client.get("/v1/dwd/runs?collection=icon-d2&limit=3").json()
    world.keep_fields(icon(run=RUN + timedelta(hours=3)))
    world.keep_fields(icon(run=RUN + timedelta(hours=6)))
    cursor = first["next_cursor"]
    second = walk(client, f"/v1/dwd/runs?collection=icon-d2&limit=3&cursor={cursor}")
    periods = [run["period"] for run in [*first["items"], *second]]
    assert periods == [f"{run:%Y%m%d%H}" for run in hours(7)]


def test_runs_of_one_state_are_found_whatever_page_they_are_on(client, world):
    for index, run in enumerate(hours(9)):
        missing = ("weather/x",) if index % 3 == 2 else ()
        world.keep_fields(icon(run=run), missing=missing)
    found = walk(client, "/v1/dwd/runs?state=partial&limit=2")
    assert [run["period"] for run in found] == [f"{run:%Y%m%d%H}" for run in hours(9)[2::3]]


def test_one_run_shows_what_it_lacks_and_where_it_came_from(client, world):
    world.keep_fields(icon(), missing=tuple(f"weather/{index}" for index in range(150)))
    world.fail("icon-d2", "2025040909", "weather/7", "cut after 3 bytes")
    correction = Corrected("10315", NOON, "tt", "1,0", "1,5", NOON)
    world.change("icon-d2", "2025040909", corrections=(correction,))
    run = client.get("/v1/dwd/runs/icon-d2/2025040909").json()
    assert (run["missing"], len(run["missing_paths"])) == (150, 100)
    assert run["failures"] == [
        {
            "path": "weather/7",
            "reason": "cut after 3 bytes",
            "at": "2025-04-09T12:00:00Z",
            "attempts": 1,
            "etag": '"bad"',
        }
    ]
    assert (run["corrections"], run["latest_corrections"][0]["after"]) == (1, "1,5")
    (source,) = run["sources"]
    assert (source["server"], source["files"]) == (SERVER, 1)
    assert client.get(run["files_href"]).json()["items"][0]["source"]["url"].startswith(SERVER)


def test_files_are_listed_with_provenance_and_filtered(client, world):
    paths = world.keep_fields(icon(step=0), icon(step=60), icon("vmax_10m", 60), icon("clat"))
    address = "/v1/dwd/runs/icon-d2/2025040909/files"
    assert [file["path"] for file in walk(client, f"{address}?limit=1")] == sorted(paths)
    assert [file["path"] for file in walk(client, f"{address}?parameter=t_2m&limit=1")] == paths[:2]
    assert {file["path"] for file in walk(client, f"{address}?step=60")} == set(paths[1:3])
    (file,) = walk(client, f"{address}?step=60&parameter=t_2m")
    kept = world.ledger("icon-d2", "2025040909").kept[file["path"]]
    assert (file["sha256"], file["size"], file["stored_bytes"]) == (kept.sha256, kept.size, kept.stored_bytes)
    assert file["source"]["etag"] == '"5f-1"'
    assert file["field"]["step_minutes"] == 60
    assert client.head(file["href"]).headers["content-length"] == str(file["stored_bytes"])
    world.keep_stations()
    assert walk(client, f"{address}?station=10315") == []


def test_files_of_a_station_are_found_with_and_without_padding(client, world):
    path, _ = world.keep_reports(RUN.date(), "K611")
    world.keep_reports(RUN.date(), "10315")
    for name in ("K611", "K611_"):
        (file,) = walk(client, f"/v1/dwd/runs/poi/20250409/files?station={name}")
        assert (file["path"], file["station"], file["field"]) == (path, "K611", None)


def test_a_content_that_was_replaced_is_listed_and_served(client, world):
    (path,) = world.keep_fields(icon())
    before = world.store.get(path).data
    world.keep_fields(icon(), revision=1)
    (file,) = walk(client, "/v1/dwd/runs/icon-d2/2025040909/files")
    (earlier,) = file["earlier"]
    answer = client.get(earlier["href"])
    assert (answer.status_code, answer.content) == (200, before)
    assert "immutable" in answer.headers["cache-control"]
    assert client.get(file["href"]).content == world.store.get(path).data != before
    assert client.get("/v1/dwd/runs/icon-d2/2025040909").json()["changed"] == 1


def test_documents_have_tags_that_hold_while_nothing_changes(client, world, clock):
    world.keep_fields(icon())
    answer = client.get("/v1/dwd/runs", headers={"accept-encoding": "identity"})
    tag = answer.headers["etag"]
    assert not tag.startswith("W/")
    assert answer.headers.get_list("link") == [LICENCE]
    assert answer.headers["x-data-stale"] == "false"
    assert answer.headers["cache-control"] == "public, max-age=10, stale-while-revalidate=60"
    clock.now += timedelta(minutes=5)
    again = client.get("/v1/dwd/runs", headers={"if-none-match": tag, "accept-encoding": "identity"})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == tag
    head = client.head("/v1/dwd/runs", headers={"accept-encoding": "identity"})
    assert (head.headers["etag"], head.headers["content-length"]) == (tag, str(len(answer.content)))
    packed = client.get("/v1/dwd/runs", headers={"accept-encoding": "gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["etag"] != tag
    assert packed.json() == answer.json()


def test_every_document_credits_dwd(client, world):
    world.keep_fields(icon())
    for address in ("/v1/dwd/runs", "/v1/dwd/runs/icon-d2/2025040909", "/v1/dwd/stations"):
        attribution = client.get(address).json()["attribution"]
        assert attribution["credit"] == "Deutscher Wetterdienst (DWD), CC BY 4.0"
        assert attribution["changed"] is False


@pytest.mark.parametrize("address", ["/v1/dwd/runs", "/v1/dwd/runs/icon-d2/2025040909"])
def test_the_last_good_answer_outlives_the_store(client, world, posix, monkeypatch, address):
    monkeypatch.setattr("api.v1.dwd.archive.FRESH_S", 0.0)
    monkeypatch.setattr("api.v1.dwd.archive.COSTS_KEPT", 0.0)
    world.keep_fields(icon())
    before = client.get(address)
    posix.away = True
    after = client.get(address)
    assert (after.status_code, after.content) == (200, before.content)
    assert (before.headers["x-data-stale"], after.headers["x-data-stale"]) == ("false", "true")
    posix.away = False
    eventually(lambda: client.get(address).headers["x-data-stale"] == "false")


def test_without_store_and_earlier_answer_there_is_a_problem_that_says_when_to_ask_again(client, posix):
    posix.away = True
    answer = client.get("/v1/dwd/runs")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0


def test_runs_and_files_are_told_alike_on_every_backend(store, serve):
    store = Switched(store)
    world = World(store)
    paths = world.keep_fields(icon(), icon(step=60))
    client = serve(store)
    (run,) = walk(client, "/v1/dwd/runs?limit=1")
    files = walk(client, f"{run['files_href']}?limit=1")
    assert [file["path"] for file in files] == paths
    for file in files:
        answer = client.get(file["href"])
        assert answer.content == store.get(file["path"]).data
        part = client.get(file["href"], headers={"range": "bytes=4-9"})
        assert (part.status_code, part.content) == (206, answer.content[4:10])


def test_the_next_page_keeps_the_question(client, world):
    for run in hours(3):
        world.keep_fields(icon(run=run))
    following = client.get("/v1/dwd/runs?collection=icon-d2&limit=2&state=complete").links["next"]["url"]
    query = parse_qs(urlsplit(following).query)
    assert {name: value for name, value in query.items() if name != "cursor"} == {
        "collection": ["icon-d2"],
        "limit": ["2"],
        "state": ["complete"],
    }
