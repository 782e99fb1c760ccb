"""The OpenAPI document of the radar half of `/v1`: valid, every operation named, parameters with examples."""

import pytest
from openapi_spec_validator import validate

from api.app import create_app
from tests.api.conftest import settings

OPERATIONS = {
    "/v1/sites": "sites",
    "/v1/products": "products",
    "/v1/scans": "scans",
    "/v1/latest": "latest",
    "/v1/scans/{image}": "scan",
    "/v1/images/{file}": "imageByDigest",
    "/v1/documents/{file}": "documentByDigest",
    "/v1/vectors": "vectors",
    "/v1/value": "value",
    "/v1/events": "events",
    "/metrics": "metrics",
}


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    return create_app(settings(store=str(tmp_path_factory.mktemp("store")))).openapi()


def test_the_document_is_valid_openapi(document):
    validate(document)


def test_every_route_has_its_operation(document):
    told = {
        path: item["get"]["operationId"] for path, item in document["paths"].items() if path in OPERATIONS
    }
    assert told == OPERATIONS
    ids = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(set(ids)) == len(ids)


def test_parameters_say_what_they_look_like(document):
    for path in OPERATIONS:
        for parameter in document["paths"][path]["get"].get("parameters", []):
            if parameter["name"] in {"cursor", "limit", "Last-Event-ID"}:
                continue
            schema = parameter["schema"]
            assert "examples" in schema or "examples" in parameter, (path, parameter["name"])


def test_refusals_are_problem_documents(document):
    for path in OPERATIONS.keys() - {"/metrics"}:
        answers = document["paths"][path]["get"]["responses"]
        refusals = {status for status in answers if status == "default" or status >= "400"}
        assert "default" in refusals
        for status in refusals:
            assert list(answers[status]["content"]) == ["application/problem+json"], (path, status)
