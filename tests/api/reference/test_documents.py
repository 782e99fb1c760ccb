"""The API's own documentation says what it answers, offline; and what importing it costs."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import RootModel

from api import models
from tests.api.conftest import TOKEN
from tests.api.world import NOON, made

KEY = "KPDT20250409_120000_V06"


@pytest.fixture
def client(serve, publisher):
    publisher.publish(made("KPDT", NOON), made("KPDT", NOON, product="hydrometeor", suffix="HHC", tilts=1))
    client = serve()
    client.post(
        "/flag/", content=b'{"updates": {"reflectivity": 1}}', headers={"authorization": f"Bearer {TOKEN}"}
    )
    return client


DOCUMENTS = {
    "/list-all/": models.AllLists,
    "/list/2/reflectivity/": models.ScanList,
    "/code/": models.Options,
    "/flag/": models.FlagSet,
    f"/data/2/{KEY}_reflectivity_idx0/json": models.SweepMetadata,
    "/data/3/KPDT20250409_120000_HHC_hydrometeor_idx0/json": models.SweepMetadata,
    "/livez": models.Alive,
    "/readyz": models.Readiness,
    "/nothing": models.Error,
}


def test_answers_have_exactly_the_fields_of_their_models(client):
    for path, model in DOCUMENTS.items():
        rootless = None if issubclass(model, RootModel) else "forbid"
        model.model_validate(client.get(path).json(), extra=rootless)


def test_the_document_names_every_route(client):
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    at_the_root = {path: item for path, item in document["paths"].items() if not path.startswith("/v1/")}
    assert {(path, method) for path, item in at_the_root.items() for method in item} == {
        ("/list-all/", "get"),
        ("/list/{level}/{product}/", "get"),
        ("/code/", "get"),
        ("/flag/", "get"),
        ("/flag/", "post"),
        ("/data/{level}/{image}/png", "get"),
        ("/data/{level}/{image}/json", "get"),
        ("/nudge/", "post"),
        ("/livez", "get"),
        ("/readyz", "get"),
        ("/metrics", "get"),
    }
    ids = [operation["operationId"] for item in document["paths"].values() for operation in item.values()]
    assert len(set(ids)) == len(ids)
    assert document["paths"]["/flag/"]["post"]["security"] == [{"writeToken": []}]


def test_every_reference_of_the_document_resolves(client):
    document = client.get("/openapi.json")
    references = set(re.findall(r'"#/components/schemas/(\w+)"', document.text))
    assert references <= set(document.json()["components"]["schemas"])
    assert "SweepMetadata" in references


def test_the_documentation_page_asks_no_one_else(client):
    page = client.get("/docs")
    assert page.status_code == 200
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert addresses
    for address in addresses:
        assert address.startswith("/"), address
        assert client.get(address).status_code == 200
    assert "//" not in re.sub(r"<!--.*?-->|// .*", "", page.text.split("<body>")[1])
    styles = client.get("/static-offline-docs/swagger-ui.css").text
    assert not re.findall(r"url\(['\"]?(?!['\"]?data:)[^)]+\)|@import", styles)


def test_importing_the_api_imports_neither_dagster_nor_science_and_writes_nothing(tmp_path):
    heavy = {"dagster", "pyart", "matplotlib", "numpy", "numba"}
    code = f"import sys, api.app; print(sorted({heavy} & set(sys.modules)))"
    environment = {"PYTHONPATH": str(Path(__file__).parents[3]), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment)
    assert run.stdout.strip() == "[]"
    assert not list(tmp_path.iterdir())
