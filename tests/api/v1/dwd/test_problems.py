"""What all of `/v1` has in common: problem documents, ids, HEAD, strict queries, its part of the OpenAPI document."""

import re

import httpx
import msgspec
import pytest
from fastapi import APIRouter
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.app import create_app
from api.replies.problems import Problem
from api.v1.dwd import models
from api.v1.routing import Route
from store.posix import PosixStore
from tests.api.conftest import api, serving, settings
from tests.api.v1.dwd.dwd_world import RUN, World, icon

ROUTES = {
    "/v1/dwd/runs": models.Runs,
    "/v1/dwd/runs/icon-d2/2025040909": models.RunDetail,
    "/v1/dwd/runs/icon-d2/2025040909/files": models.Files,
    "/v1/dwd/stations": models.Stations,
    "/v1/dwd/stations/10315/reports": models.Reports,
    "/v1/dwd/stations/10315/forecast?element=TTT": models.Forecast,
    "/v1/dwd/point?lat=51&lon=9&parameter=t_2m": models.PointSeries,
    "/v1/dwd/series?stations=10315&parameter=t_2m": models.FieldSeries,
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """What all tests here read, and none changes."""
    world = World(PosixStore(tmp_path_factory.mktemp("store")))
    world.keep_fields(icon(grid="regular"))
    world.keep_fields(icon(grid="regular"), revision=1)
    world.keep_forecast(RUN, "10315")
    world.keep_reports(RUN.date(), "10315")
    world.keep_stations()
    return world


@pytest.fixture(scope="module")
def client(world):
    with api(world.store, rate_per_minute=0) as client:
        yield client


def test_documents_have_exactly_the_fields_of_their_models(client):
    for address, model in ROUTES.items():
        model.model_validate(client.get(address).json(), extra="forbid")


def test_every_route_answers_head_as_it_answers_get(client, world):
    path = next(iter(world.ledger("icon-d2", "2025040909").kept))
    for address in [*ROUTES, f"/v1/dwd/files/{path}", "/v1/dwd/nothing", "/v1/dwd/point"]:
        got, head = client.get(address), client.head(address)
        assert (head.status_code, head.content) == (got.status_code, b"")
        for name in ("etag", "content-length", "content-type", "link", "cache-control"):
            assert head.headers.get(name) == got.headers.get(name), (address, name)


def test_every_document_has_a_tag_a_time_and_the_licence(client):
    for address in ROUTES:
        answer = client.get(address)
        assert re.fullmatch(r'"[0-9a-f]{64}(-gzip)?"', answer.headers["etag"])
        assert re.search(r"max-age=\d\d?,", answer.headers["cache-control"])
        assert 'rel="license"' in answer.headers["link"]
        assert answer.json()["attribution"]["licence"] == "https://creativecommons.org/licenses/by/4.0/"
        tag = {"if-none-match": answer.headers["etag"]}
        assert client.get(address, headers=tag).status_code == 304


def test_refusals_are_problems_that_name_field_and_request(client):
    answer = client.get("/v1/dwd/runs?limit=900&limt=3", headers={"x-request-id": "mine-1"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (400, "mine-1")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    told = Problem.model_validate(answer.json(), extra="forbid")
    assert (told.type, told.title, told.status, told.request_id) == (
        "about:blank",
        "Bad Request",
        400,
        "mine-1",
    )
    assert told.instance == "/v1/dwd/runs"
    (fault,) = told.errors
    assert (fault.name, fault.location) == ("limt", "query")
    (fault,) = client.get("/v1/dwd/runs?limit=900").json()["errors"]
    assert (fault["name"], fault["location"]) == ("limit", "query")
    given = client.get("/v1/dwd/runs?limit=x")
    assert given.json()["request_id"] == given.headers["x-request-id"]


def test_bad_parts_of_the_path_are_refused_by_their_names(client):
    for address, name in [
        ("/v1/dwd/runs/ICON_D2/2025040909", "collection"),
        ("/v1/dwd/runs/icon-d2/2025040999", "period"),
        ("/v1/dwd/runs/icon-d2/20250431", "period"),
        ("/v1/dwd/runs/icon-d2/%D9%A2025040909", "period"),
        ("/v1/dwd/stations/%2e%2e/reports", "station"),
    ]:
        answer = client.get(address)
        assert (answer.status_code, answer.json()["errors"][0]["name"]) == (400, name), address
        assert answer.json()["errors"][0]["location"] == "path"


def test_addresses_and_methods_that_are_not_there_are_problems_below_v1_alone(client):
    for address in (
        "/v1/nothing",
        "/v1/dwd/",
        "/v1/dwd/runs/",
        "/v1/dwd/runs%0a",
        "/v1/dwd/runs/icon-d2/2025040906",
    ):
        answer = client.get(address)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json"), (
            address
        )
    refused = client.post("/v1/dwd/runs")
    assert (refused.status_code, refused.json()["title"]) == (405, "Method Not Allowed")
    assert "GET" in refused.headers["allow"]
    assert set(client.get("/nothing").json()) == {"error"}


def test_what_nobody_foresaw_is_a_problem_that_tells_nothing_but_its_id(posix, clock):
    routes = APIRouter(route_class=Route)

    @routes.get("/v1/broken")
    async def broken() -> None:
        raise RuntimeError("a secret")

    app = create_app(settings(), posix, clock)
    app.fastapi.include_router(routes)
    with serving(app) as address:
        answer = httpx.get(f"{address}/v1/broken", trust_env=False)
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert "secret" not in answer.text
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_cursors_are_of_the_list_that_gave_them(client, world):
    mine = client.get("/v1/dwd/runs?limit=1").json()["next_cursor"]
    for address in (
        "/v1/dwd/stations",
        "/v1/dwd/runs/icon-d2/2025040909/files",
        "/v1/dwd/stations/10315/reports",
    ):
        answer = client.get(address, params={"cursor": mine})
        assert (answer.status_code, answer.json()["errors"][0]["name"]) == (400, "cursor")
    for other in (
        "",
        "x",
        "é",
        "A" * 1024,
        "A" * 1025,
        mine[:-1],
        "bnVsbA",
        "W10",
        "WyJydW5zIiwxLDJd",
    ):
        assert client.get("/v1/dwd/runs", params={"cursor": other}).status_code == 400, other


def test_answers_may_be_read_by_pages_of_other_origins(client):
    headers = client.get("/v1/dwd/runs").headers
    exposed = headers["access-control-expose-headers"]
    assert all(name in exposed for name in ("ETag", "Link", "Content-Range", "Retry-After", "X-Request-Id"))
    assert headers["access-control-allow-origin"] == "*"


def test_the_openapi_document_is_valid_and_tells_of_problems(client):
    document = client.get("/openapi.json").json()
    OpenAPIV31SpecValidator(document).validate()
    operations = {path: item["get"] for path, item in document["paths"].items() if path.startswith("/v1/dwd")}
    assert len(operations) == 9
    assert len({operation["operationId"] for operation in operations.values()}) == 9
    for path, operation in operations.items():
        assert operation["summary"], path
        assert "422" not in operation["responses"], path
        assert {"304", "503", "default"} <= set(operation["responses"]), path
        for status, response in operation["responses"].items():
            if status not in {"200", "206", "304"}:
                content = response["content"]
                assert content == {
                    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
                }, (path, status)
    schema = operations["/v1/dwd/point"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/PointSeries"}
    # examples of parameters are those that a reader of the page tries first
    assert "icon-d2" in msgspec.json.encode(operations["/v1/dwd/runs"]["parameters"]).decode()
