"""How the viewer's files are served, built or not."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import JSONResponse

from api import viewer_files
from api.app import create_app
from api.replies.errors import ApiError
from tests.api.conftest import serving, settings


def served(folder: Path) -> FastAPI:
    """The viewer's routes alone."""
    app = FastAPI()
    app.include_router(viewer_files.router(folder))
    app.exception_handler(ApiError)(lambda _, error: JSONResponse({"error": str(error)}, error.status))
    return app


@pytest.fixture
def client(tmp_path) -> Iterator[httpx.Client]:
    built = tmp_path / "dist"
    (built / "assets").mkdir(parents=True)
    for name, text in {"index.html": "<title>Radar</title>", "assets/index-4f2a.js": "go();" * 99}.items():
        (built / name).write_text(text)
        (built / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "secret.txt").write_text("secret")
    (built / "secret.txt").symlink_to(tmp_path / "secret.txt")
    with serving(served(built)) as address, httpx.Client(base_url=address, trust_env=False) as client:
        yield client


def test_the_page_is_asked_for_each_time_and_runs_nothing_of_others(client):
    answer = client.get("/")
    assert answer.text == "<title>Radar</title>"
    assert answer.headers["cache-control"] == "no-cache"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in policy
    assert "http" not in policy
    again = client.get("/", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_file_with_a_digest_in_its_name_is_kept_for_ever(client):
    answer = client.get("/assets/index-4f2a.js")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"


def test_the_compressed_copy_is_sent_to_who_takes_it(client):
    packed = client.get("/assets/index-4f2a.js", headers={"accept-encoding": "gzip"})
    plain = client.get("/assets/index-4f2a.js", headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"])
    assert packed.text == plain.text == "go();" * 99
    assert packed.headers["etag"] != plain.headers["etag"]
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../secret.txt",
        "/assets/%2e%2e%2fsecret.txt",
        "/assets/..%5csecret.txt",
        "/secret.txt",
        "/assets/x.js",
        "/assets//etc/passwd",
        "/assets/index-4f2a.js.gz",
        "/assets/%00",
    ],
)
def test_nothing_but_the_files_of_the_build_is_served(client, path):
    answer = client.get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_without_a_build_the_page_says_how_to_get_one(tmp_path):
    with serving(served(tmp_path / "dist")) as address:
        answer = httpx.get(address)
    assert answer.status_code == 404
    assert "make viewer" in answer.json()["error"]


def test_the_application_has_the_viewer_and_the_old_routes(tmp_path):
    built = (viewer_files.BUILT / viewer_files.PAGE).is_file()
    app = create_app(settings(store=str(tmp_path)))
    with serving(app) as address, httpx.Client(base_url=address, trust_env=False) as client:
        assert client.get("/").status_code == client.head("/").status_code == (200 if built else 404)
        assert client.get("/flag/").json() == {}
        assert client.get("/docs").status_code == 200
