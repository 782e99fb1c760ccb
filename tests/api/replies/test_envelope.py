"""What every answer carries, and how methods and addresses are treated."""

import gzip

import httpx
import pytest

from api.app import create_app
from store.posix import PosixStore
from tests.api.conftest import serving, settings
from tests.api.world import NOON, Clock, Publisher, made

KEY = "KPDT20250409_120000_V06"
PATHS = [
    "/list-all/",
    "/list/2/reflectivity/",
    "/code/",
    "/flag/",
    f"/data/2/{KEY}_reflectivity_idx0/png",
    f"/data/2/{KEY}_reflectivity_idx0/json",
    "/livez",
    "/readyz",
    "/openapi.json",
    "/docs",
]
REFUSED = ["/data/9/x/png", "/list/9/x/", "/nothing", "/list-all/?site=x"]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    store = PosixStore(tmp_path_factory.mktemp("store"))
    scans = (made("KPDT", NOON.replace(hour=10, minute=minute)) for minute in range(50))
    Publisher(store).publish(*scans, made("KPDT", NOON))
    with (
        serving(create_app(settings(), store, Clock())) as address,
        httpx.Client(base_url=address, trust_env=False) as client,
    ):
        yield client


@pytest.mark.parametrize("path", PATHS + REFUSED)
def test_every_answer_has_its_common_headers(client, path):
    headers = client.get(path).headers
    assert headers["access-control-allow-origin"] == "*"
    assert headers["timing-allow-origin"] == "*"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-request-id"]
    exposed = {name.strip() for name in headers["access-control-expose-headers"].split(",")}
    assert exposed >= {"ETag", "Content-Range", "Retry-After", "X-Request-Id", "X-Data-Age", "X-Data-Stale"}


@pytest.mark.parametrize("path", PATHS + REFUSED)
def test_head_is_get_without_the_body(client, path):
    got, headed = client.get(path), client.head(path)
    assert headed.status_code == got.status_code
    assert headed.content == b""
    lasting = () if path == "/readyz" else ("content-length",)
    for name in ("content-type", "etag", "cache-control", "vary", *lasting):
        assert headed.headers.get(name) == got.headers.get(name), name


@pytest.mark.parametrize("path", PATHS[:5])
def test_lists_and_images_have_strong_tags_that_give_304(client, path):
    etag = client.get(path).headers["etag"]
    assert etag.startswith('"')
    again = client.get(path, headers={"if-none-match": etag})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == etag
    assert client.head(path, headers={"if-none-match": etag}).status_code == 304


def test_each_encoding_has_its_own_tag(client):
    plain = client.get("/list-all/", headers={"accept-encoding": "identity"})
    with client.stream("GET", "/list-all/", headers={"accept-encoding": "gzip"}) as packed:
        raw = b"".join(packed.iter_raw())
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content) / 3
    assert packed.headers["etag"] != plain.headers["etag"]
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    crossed = client.get(
        "/list-all/", headers={"accept-encoding": "gzip", "if-none-match": plain.headers["etag"]}
    )
    assert crossed.status_code == 200


def test_lists_are_kept_for_less_than_a_poll(client):
    assert client.get("/list-all/").headers["cache-control"] == "max-age=2, stale-while-revalidate=5"


@pytest.mark.parametrize("path", ["/list-all/", "/list/2/reflectivity/", "/code/", "/flag/"])
def test_the_slashless_form_redirects_and_keeps_the_query(client, path):
    answer = client.get(f"{path[:-1]}?site=KPDT")
    assert answer.status_code == 308
    followed = client.get(f"{path[:-1]}?site=KPDT", follow_redirects=True)
    assert followed.status_code == 200
    assert str(followed.url).endswith(f"{path}?site=KPDT")
    assert client.head(path[:-1]).status_code == 308


def test_a_redirected_post_is_still_a_post(client):
    assert client.post("/flag").status_code == 308
    assert client.post("/flag", content=b"{}", follow_redirects=True).status_code == 401


@pytest.mark.parametrize(
    "path", ["/list/2/..", "/list/2/%0d%0aSet-Cookie:x", "//evil.example/list-all", "/list/2/a:b"]
)
def test_no_redirect_leads_elsewhere(client, path):
    answer = client.get(client.base_url.copy_with(raw_path=path.encode()))
    assert answer.status_code in (400, 404)


def test_other_methods_are_refused(client):
    for path in ("/list-all/", "/code/", PATHS[4]):
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            answer = client.request(method, path)
            assert answer.status_code == 405
            assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert client.delete("/flag/").headers["allow"] == "GET, HEAD, OPTIONS, POST"


def test_a_preflight_is_answered_everywhere(client):
    asked = {
        "origin": "https://map.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    for path in ("/flag/", "/list-all/", "/data/2/x/png"):
        answer = client.options(path, headers=asked)
        assert answer.status_code == 204
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert "Authorization" in answer.headers["access-control-allow-headers"]
        assert answer.headers["access-control-allow-origin"] == "*"


def test_only_allowed_origins_may_read(serve):
    client = serve(allowed_origins="https://a.example, https://b.example")
    for origin, allowed in (
        ("https://b.example", "https://b.example"),
        ("https://c.example", None),
        (None, None),
    ):
        answer = client.get("/list-all/", headers={"origin": origin} if origin else {})
        assert answer.headers.get("access-control-allow-origin") == allowed
        assert "Origin" in answer.headers["vary"]


def test_a_request_id_is_kept_where_it_is_one(client):
    assert client.get("/livez", headers={"x-request-id": "abc-123"}).headers["x-request-id"] == "abc-123"
    for bad in ("", "x" * 65, "a b", "é".encode("latin-1")):
        given = client.get("/livez", headers={"x-request-id": bad}).headers["x-request-id"]
        assert len(given) == 16
    assert client.get("/livez").headers["x-request-id"] != client.get("/livez").headers["x-request-id"]


def test_a_fault_of_ours_is_json_with_a_request_id(client, monkeypatch):
    monkeypatch.setattr("api.replies.answers.gzip_wanted", lambda _: 1 / 0)
    answer = client.get("/list-all/", headers={"accept-encoding": "none has asked so before"})
    assert answer.status_code == 500
    assert answer.json() == {"error": "internal error"}
    assert answer.headers["x-request-id"]
    assert answer.headers["access-control-allow-origin"] == "*"
