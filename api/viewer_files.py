"""The viewer at `/`: the files that Vite built, from memory.

What belongs here: which files there are, how long each holds, what the page may do. All are read once, at the start:
an address is looked up among them and never becomes a path.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from fastapi import APIRouter, Request, Response

from api.replies.answers import negotiated
from api.replies.conditional import headers_of
from api.replies.errors import NotFound
from api.replies.reply import VARIES, Body, Header, Representation
from api.v1.routing import as_response

BUILT = Path(__file__).parent / "viewer" / "dist"
"""Where the build is, in a checkout as in a wheel."""

PAGE = "index.html"

NOT_BUILT = "the viewer is not built: run `make viewer`, or see /docs for the API itself"

POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'"
)
"""What the page may load: its own files and this server's answers. Any site may embed it (`#embed=1`)."""

TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".json": b"application/json",
    ".svg": b"image/svg+xml",
    ".md": b"text/plain; charset=utf-8",
}
"""What the files are: not by the machine's own table, which may say otherwise."""

_HASHED = "assets/"
"""What Vite puts here has a digest of its content in its name."""

_FOR_EVER: Header = (b"cache-control", b"public, max-age=31536000, immutable")
_ASK_FIRST: Header = (b"cache-control", b"no-cache")
_PAGE_HEADERS: tuple[Header, ...] = (
    (b"content-security-policy", POLICY.encode("ascii")),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)


def router(built: Path = BUILT) -> APIRouter:
    """The routes of the page and its files; where there are none, `/` says so."""
    files = read(built)
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    async def page(request: Request) -> Response:
        if PAGE not in files:
            raise NotFound(NOT_BUILT)
        return _answer(request, files[PAGE], (_ASK_FIRST, *_PAGE_HEADERS))

    @routes.get("/assets/{name}")
    async def asset(request: Request, name: str) -> Response:
        return _file(request, files, f"{_HASHED}{name}", _FOR_EVER)

    @routes.get("/icon.svg")
    async def icon(request: Request) -> Response:
        return _file(request, files, "icon.svg", _ASK_FIRST)

    @routes.get("/licences.md")
    async def licences(request: Request) -> Response:
        return _file(request, files, "licences.md", _ASK_FIRST)

    return routes


def read(built: Path) -> dict[str, Body]:
    """The files of a build by their paths, each with the compressed copy that lies beside it; none without a build."""
    paths = (path for path in sorted(built.rglob("*")) if path.is_file() and path.suffix != ".gz")
    return {path.relative_to(built).as_posix(): _body(path) for path in paths}


def _body(path: Path) -> Body:
    packed = path.with_name(f"{path.name}.gz")
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    content_type = (b"content-type", TYPES.get(path.suffix, b"application/octet-stream"))
    plain = _representation(data, f'"{digest}"', content_type)
    if not packed.is_file():
        return Body(plain, None)
    encoding = (b"content-encoding", b"gzip")
    return Body(plain, _representation(packed.read_bytes(), f'"{digest}-gzip"', content_type, encoding))


def _representation(data: bytes, tag: str, *headers: Header) -> Representation:
    etag = tag.encode("ascii")
    return Representation(data, etag, ((b"etag", etag), *headers))


def _file(request: Request, files: Mapping[str, Body], name: str, holds: Header) -> Response:
    found = files.get(name)
    if found is None:
        raise NotFound("no such file")
    # Workers take the policy of their own file, not of the page.
    return _answer(request, found, (holds, *_PAGE_HEADERS))


def _answer(request: Request, body: Body, headers: tuple[Header, ...]) -> Response:
    return as_response(negotiated(body, headers_of(request.scope), (*headers, VARIES)))
