"""What an HTTP request for a path is answered with, as nginx answers for files: pure, without a connection.

Conditions and ranges are those of RFC 9110, sections 13 and 14, with nginx's ways: an ETag of time and length, and
`If-Modified-Since` compared for equality (`if_modified_since exact`).
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from http import HTTPStatus

from dwd_assets.simulator.pages import IndexForm, index_page
from dwd_assets.simulator.world import File, World

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.ASCII)
_TYPES = {".csv": "text/csv", ".kmz": "application/vnd.google-earth.kmz"}


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers without those of the connection, and the body that a GET has."""

    status: HTTPStatus
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Viewed:
    """The server's files at one time; `spoil` is what happens to the content of each on its way."""

    world: World
    at: datetime
    form: IndexForm
    spoil: Callable[[bytes], bytes] = bytes

    def answer(self, path: str, headers: Mapping[str, str]) -> Answer:
        """The answer to a GET of a decoded path; `headers` have lower-case names."""
        if path.endswith("/"):
            entries = self.world.folder(path, self.at)
            page = index_page(path, entries, self.form)
            return _html(HTTPStatus.OK, page) if entries else error(HTTPStatus.NOT_FOUND)
        file = self.world.find(path, self.at)
        if file is not None:
            return _file(file, self.spoil(self.world.content(file)), headers)
        if next(self.world.files(f"{path}/", self.at), None) is not None:
            moved = error(HTTPStatus.MOVED_PERMANENTLY)
            return Answer(moved.status, {**moved.headers, "Location": f"{path}/"}, moved.body)
        return error(HTTPStatus.NOT_FOUND)


def error(status: HTTPStatus) -> Answer:
    """A status with the page that tells it."""
    told = f"{status.value} {status.phrase}"
    return _html(status, _page(told))


def unexpected_page() -> Answer:
    """An HTML page in the place of a file, with status 200."""
    return _html(HTTPStatus.OK, _page("Wartungsarbeiten"))


def packed(answer: Answer) -> Answer:
    """An answer with its whole file packed with gzip; as it is where it has none."""
    if answer.status is not HTTPStatus.OK:
        return answer
    headers = {name: value for name, value in answer.headers.items() if name != "Accept-Ranges"}
    return Answer(answer.status, {**headers, "Content-Encoding": "gzip"}, gzip.compress(answer.body, mtime=0))


def _page(told: str) -> bytes:
    head = f"<html>\r\n<head><title>{told}</title></head>\r\n"
    return f"{head}<body>\r\n<center><h1>{told}</h1></center>\r\n</body>\r\n</html>\r\n".encode()


def _html(status: HTTPStatus, page: bytes) -> Answer:
    return Answer(status, {"Content-Type": "text/html"}, page)


def _file(file: File, content: bytes, headers: Mapping[str, str]) -> Answer:
    modified = format_datetime(file.modified, usegmt=True)
    version = {"ETag": f'"{int(file.modified.timestamp()):x}-{len(content):x}"', "Last-Modified": modified}
    if _is_younger(file, headers.get("if-unmodified-since", "")):
        return error(HTTPStatus.PRECONDITION_FAILED)
    if _is_known(headers, version):
        return Answer(HTTPStatus.NOT_MODIFIED, version)
    suffix = file.path[file.path.rfind(".") :]
    described = version | {
        "Content-Type": _TYPES.get(suffix, "application/octet-stream"),
        "Accept-Ranges": "bytes",
    }
    wanted = headers.get("range", "")
    if not wanted or headers.get("if-range", version["ETag"]) not in version.values():
        return Answer(HTTPStatus.OK, described, content)
    return _part(described, content, wanted)


def _is_younger(file: File, date: str) -> bool:
    """Whether a file changed after the date of a condition; what is no date is none."""
    try:
        return bool(date) and file.modified > parsedate_to_datetime(date)
    except ValueError:
        return False


def _is_known(headers: Mapping[str, str], version: Mapping[str, str]) -> bool:
    """Whether the client has this version; an ETag counts more than a date."""
    tags = headers.get("if-none-match")
    if tags is None:
        return headers.get("if-modified-since") == version["Last-Modified"]
    return tags.strip() == "*" or version["ETag"] in (
        tag.strip().removeprefix("W/") for tag in tags.split(",")
    )


def _part(described: Mapping[str, str], content: bytes, wanted: str) -> Answer:
    """One range of bytes; several ranges, or what is none, give all of the file."""
    match = _RANGE.fullmatch(wanted.strip())
    if match is None or match[0] == "bytes=-":
        return Answer(HTTPStatus.OK, described, content)
    begin, end = _bounds(match[1], match[2], len(content))
    if begin >= end:
        refused = error(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
        return Answer(
            refused.status, {**refused.headers, "Content-Range": f"bytes */{len(content)}"}, refused.body
        )
    headers = {**described, "Content-Range": f"bytes {begin}-{end - 1}/{len(content)}"}
    return Answer(HTTPStatus.PARTIAL_CONTENT, headers, content[begin:end])


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    """Begin and end of a range, the end not in it."""
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size
