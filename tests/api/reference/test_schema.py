"""What OpenAPI promises is what is answered: requests that schemathesis makes of the document, to a real server.

Values of the world behind the server are mixed in, so that routes are answered and not only refused.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from urllib.parse import urlsplit

import httpx
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed
from hypothesis import settings as budget
from hypothesis import strategies as st
from requests import Session
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from api.app import create_app
from api.v1 import paging
from store.posix import PosixStore
from tests.api import abundance
from tests.api.abundance import DAY, IMAGE, PLACE, STATION
from tests.api.conftest import TOKEN, serving, settings
from tests.api.v1.dwd.dwd_world import RUN
from tests.api.world import Clock

EVENTS = "/v1/events"
"""A stream without end; it is tested by itself."""

EXAMPLES = 8
"""Requests of each kind to each operation."""

FEWEST_ANSWERED = 0.4
"""Of all requests, those that are to be answered with what was asked for."""

NEEDED = {"dwdSeries": ("points",)}
"""Parameters by operation that stand in for others: none of them is required, one of them is."""

HEADERS = st.sampled_from(
    [
        {},
        {"accept-encoding": "gzip"},
        {"accept-encoding": "identity"},
        {"if-none-match": "*"},
        {"if-none-match": '"other"'},
        {"if-match": '"other"'},
        {"range": "bytes=0-3"},
        {"range": "bytes=-4"},
        {"range": "bytes=999999999-"},
    ]
)
"""What HTTP has beside the parameters: each leads to a status of its own."""

BODIES = st.sampled_from(
    [
        {"updates": {"reflectivity": 1}},
        {"updates": {"hydrometeor": 0, "precipitation": 1}},
        {"updates": {}},
        {},
    ]
)


def known(world) -> dict[str, list]:
    """Values of parameters that there is something of, by name; where an operation differs, with its id ahead."""
    names = [name for level in (2, 3) for name in abundance.addresses(world.store, level)]
    return {
        "site": ["KPDT", "KTLX"],
        "day": [DAY.isoformat()],
        "level": [2],
        "product": ["reflectivity"],
        "dwdForecast product": ["L"],
        "image": [IMAGE],
        "file": [name for name in names if name.endswith(".png")],
        "documentByDigest file": [name for name in names if name.endswith("json")],
        "code": [None],
        "tilt": ["0.5"],
        "start": ["2025-04-09T11:00:00Z"],
        "end": ["2025-04-09T12:00:00Z"],
        "dwdReports start": [DAY.isoformat()],
        "dwdReports end": [DAY.isoformat()],
        "at": ["2025-04-09T12:00:00Z"],
        "lon": [-118.8],
        "lat": [45.7],
        "dwdPoint lon": [PLACE[1]],
        "dwdPoint lat": [PLACE[0]],
        "collection": ["icon-d2"],
        "period": ["2025040909"],
        "parameter": ["t_2m"],
        "station": [STATION],
        "run": ["2025040909"],
        "model": ["icon-d2"],
        "level_type": ["single"],
        "dwdPoint level": [None],
        "dwdSeries level": [None],
        "dwdSeries lat": [None],
        "dwdSeries lon": [None],
        "dwdSeries start": [f"{RUN:%Y-%m-%dT%H:%MZ}"],
        "dwdSeries end": [DAY.isoformat()],
        "dwdSeries step": [None],
        "points": [f"{PLACE[0]},{PLACE[1]};52,8"],
        "stations": [None],
        "qualifiers": [None],
        "format": ["json", "csv"],
        "member": [None],
        "step": [0, 60],
        "state": ["partial", "waiting"],
        "issue": ["2025040909"],
        "element": ["TTT"],
        "columns": [None],
        "path": abundance.paths(world),
        "unpacked": [True, False],
        "bbox": ["5,47,16,56"],
        "near": ["52.1,7.7"],
        "name": ["a"],
        "limit": [1, 5],
        "cursor": [None],
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The address of a server on a store with something of every kind, and what there is."""
    store = PosixStore(tmp_path_factory.mktemp("store"))
    world = abundance.fill(store, abundance.rendered_scans())
    with serving(create_app(settings(rate_per_minute=0), store, Clock())) as address:
        yield address, known(world)


@pytest.fixture(scope="module")
def document(server):
    return httpx.get(f"{server[0]}/openapi.json", trust_env=False).json()


def operations(address):
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    return [found.ok() for found in schema.get_all_operations()]


@st.composite
def real(draw, operation, values):
    """A request whose parameters are of things that there are; optional ones are left out now and then."""
    identity = operation.definition.raw["operationId"]

    def chosen(parameters):
        given_values = {}
        for one in parameters.items:
            value = draw(st.sampled_from(values.get(f"{identity} {one.name}") or values[one.name]))
            is_needed = one.is_required or one.name in NEEDED.get(identity, ())
            if value is not None and (is_needed or draw(st.integers(0, 3)) == 0):
                given_values[one.name] = value
        return given_values

    body = {"body": draw(BODIES), "media_type": "application/json"} if operation.body.items else {}
    return operation.Case(
        path_parameters=chosen(operation.path_parameters), query=chosen(operation.query), **body
    )


def call(case, headers, session):
    """Send a request, with the write token where one is needed, and check the answer against the document."""
    writing = case.operation.method.upper() == "POST"
    token = {"authorization": f"Bearer {TOKEN}"} if writing else {}
    headers = {**headers, **token}
    answer = case.call(session=session, headers=headers)
    # A pattern does not tell which products, days and cursors there are: 400 may be the answer to what fits it.
    case.validate_response(answer, excluded_checks=[positive_data_acceptance], headers=headers)
    return answer


def drive(operation, cases, session, examples=EXAMPLES):
    """The statuses of some requests to an operation."""
    statuses = Counter()

    @seed(20250409)
    @budget(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases, headers=HEADERS)
    def requests(case, headers):
        statuses[call(case, headers, session).status_code] += 1

    requests()
    return statuses


def test_every_operation_answers_as_the_document_says(server):
    """Requests that fit the document, that do not, and that ask for what there is: no 5xx, no surprise."""
    address, values = server
    told: dict[str, Counter] = {}
    with Session() as session:
        session.trust_env = False
        for operation in operations(address):
            if operation.path == EVENTS:
                continue
            counts = drive(operation, real(operation, values), session, 2 * EXAMPLES)
            assert counts[200] + counts[202], f"{operation.label} never answered: {dict(counts)}"
            counts += drive(operation, operation.as_strategy(), session)
            if operation.query.items or operation.path_parameters.items or operation.body.items:
                unfit = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
                counts += drive(operation, unfit, session)
            told[operation.label] = counts
    total = sum(told.values(), Counter())
    assert max(total) < 500
    assert {200, 202, 206, 304, 400, 404, 412, 416} <= set(total)
    answered = sum(count for status, count in total.items() if status < 400)
    assert answered >= FEWEST_ANSWERED * total.total(), told


def test_the_stream_of_events_answers_as_the_document_says(server, document):
    address, _ = server
    promised = document["paths"][EVENTS]["get"]["responses"]
    with httpx.Client(base_url=address, trust_env=False) as client:
        for query in ("", "?site=KPDT", "?site=KPDT,KTLX"):
            with client.stream("GET", EVENTS + query, headers={"Last-Event-ID": "0"}) as stream:
                assert stream.status_code == 200
                assert stream.headers["content-type"].partition(";")[0] in promised["200"]["content"]
                assert next(stream.iter_lines()).startswith("retry:")
        for query in ("?site=kpdt", "?site=" + "KPDT," * 500, "?site=KPDT&site=KTLX", "?x=1", "?site="):
            refused = client.get(EVENTS + query)
            assert refused.status_code == 400
            assert refused.headers["content-type"] in promised["400"]["content"]
            validator(document, "Problem").validate(refused.json())


def test_pages_lead_to_the_end_and_cursors_are_taken(server):
    """What the generated requests cannot know: cursors that were given out."""
    address, _ = server
    with httpx.Client(base_url=address, trust_env=False) as client:
        for path, items in {
            "/v1/dwd/runs?limit=1": "items",
            "/v1/dwd/runs/icon-d2/2025040909/files?limit=2": "items",
            "/v1/dwd/stations?limit=2": "items",
            f"/v1/dwd/stations/{STATION}/reports?start={DAY}&end={DAY}&limit=5": "rows",
            "/v1/scans?product=reflectivity&limit=2": "scans",
        }.items():
            pages, following = 0, path
            while following:
                answer = client.get(following)
                assert answer.status_code == 200, answer.text
                assert answer.json()[items]
                pages += 1
                following = answer.links.get("next", {}).get("url")
                following = following and httpx.URL(urlsplit(path).path).join(following)
            assert pages > 1, path


# The document itself.


def validator(document, model):
    """A validator of one of the document's models, by a library that is none of ours."""
    schema = {"$ref": f"#/components/schemas/{model}", "components": document["components"]}
    return jsonschema_rs.Draft202012Validator(schema)


def parameters(document):
    for path, item in document["paths"].items():
        for operation in item.values():
            for parameter in operation.get("parameters", ()):
                yield f"{path} {parameter['name']}", parameter["schema"]


def speaks_for_itself(schema) -> bool:
    """Whether a parameter is one of a few values, or has one without being given."""
    choices = [schema, *schema.get("anyOf", ())]
    return "default" in schema or any("enum" in each or each.get("type") == "boolean" for each in choices)


def test_every_parameter_has_an_example_that_it_takes(document):
    for name, schema in parameters(document):
        examples = schema.get("examples", [])
        assert examples or speaks_for_itself(schema), name
        check = jsonschema_rs.Draft202012Validator(schema)
        assert all(check.is_valid(example) for example in examples), name


def test_every_answer_in_json_has_an_example_that_its_model_takes(document):
    """Answers that are lists of others have it in these."""
    told = set()
    for name, schema in document["components"]["schemas"].items():
        for example in schema.get("examples", ()):
            validator(document, name).validate(example)
            told.add(name)
    for path, item in document["paths"].items():
        for operation in item.values():
            for status, answer in operation["responses"].items():
                for content in answer.get("content", {}).values():
                    model = content["schema"].get("$ref", "").rpartition("/")[2]
                    assert not model or model in told, (path, status, model)


def test_the_document_is_small_enough_to_read_and_the_same_each_time(server, document):
    again = httpx.get(f"{server[0]}/openapi.json", trust_env=False)
    assert again.json() == document
    assert len(again.content) < 200_000
    assert json.loads(again.content)["openapi"] == "3.1.0"


def test_the_cursors_of_examples_are_such_as_are_given_out(document):
    cursors = {
        name: example["next_cursor"]
        for name, schema in document["components"]["schemas"].items()
        for example in schema.get("examples", ())
        if isinstance(example, dict) and example.get("next_cursor")
    }
    assert len(cursors) >= 3
    for name, text in cursors.items():
        kind, *place = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        assert paging.cursor(kind, *place) == text, name
