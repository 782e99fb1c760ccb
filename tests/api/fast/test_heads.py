"""Plain requests on the wire: whatever is taken for one, httptools reads in the same way."""

import time

import httptools
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.fast import heads

NAMES = frozenset((b"range", b"if-none-match", b"origin"))
PLAIN = b'GET /v1/images/a.png HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\nIf-None-Match: "a"\r\n\r\n'

PIECES = [
    *(
        b"GET",
        b"HEAD",
        b" ",
        b"/",
        b"/a?b#c",
        b" HTTP/1.1",
        b" HTTP/1.0",
        b"\r\n",
        b"\r",
        b"\n",
        b"\t",
        b":",
        b"\0",
    ),
    *(
        b"Host: x",
        b"RANGE:bytes=0-1",
        b"if-none-match :",
        b"Origin: y",
        b"content-length: 3",
        b"Content-Length: 0",
    ),
    *(
        b"transfer-encoding: chunked",
        b"Connection: close",
        b"connection: keep-alive",
        b"Proxy-Connection: close",
        b"upgrade: h2c",
        b"expect: z",
    ),
    *(b" folded", b"\x80\xff", b"a" * 40, b"\r\n\r\n", b"GET /b HTTP/1.1\r\nHost: x\r\n\r\n"),
]


class Reader:
    """What httptools makes of bytes: its messages, and the headers of the last one."""

    def __init__(self, data: bytes) -> None:
        self.begun = self.ended = 0
        self.address = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.body = b""
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(data)
        self.method = self._parser.get_method()
        self.stays = self._parser.should_keep_alive() and not self._parser.should_upgrade()

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_url(self, url: bytes) -> None:
        self.address += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.ended += 1


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """A plain request with some pieces put in, or in place of something, anywhere."""
    request = PLAIN
    for _ in range(draw(st.integers(0, 4))):
        first = draw(st.integers(0, len(request)))
        last = min(len(request), first + draw(st.sampled_from([0, 0, 0, 1, 2, 8])))
        request = request[:first] + draw(st.sampled_from(PIECES) | st.binary(max_size=3)) + request[last:]
    return request


@given(requests())
@example(PLAIN)
@example(PLAIN.replace(b"Host", b"Range"))
@example(PLAIN.replace(b"Host: x", b"Proxy-Connection: close"))
def test_what_is_taken_for_plain_is_one_get_and_nothing_behind_it(request):
    fields = heads.Fields(NAMES).of(*heads.cut(request))
    if fields is None:
        return
    read = Reader(request)
    assert (read.method, read.begun, read.ended, read.body, read.stays) == (b"GET", 1, 1, b"", True)
    assert read.address == heads.cut(request)[0]
    assert [each for each in read.fields if each[0] in NAMES] == list(fields)
    assert not {name for name, _ in read.fields} & (heads.FRAMING - {b"connection"})


def test_a_browsers_request_is_plain():
    request = (
        b"GET /v1/images/a.png HTTP/1.1\r\nHost: map.example\r\nConnection: keep-alive\r\n"
        b'sec-ch-ua: "Chromium";v="140"\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: image/*,*/*;q=0.8\r\n'
        b"Origin: https://map.example\r\nReferer: https://map.example/\r\nAccept-Encoding: gzip, deflate, br\r\n\r\n"
    )
    assert heads.cut(request)[0] == b"/v1/images/a.png"
    assert heads.Fields(NAMES).of(*heads.cut(request)) == ((b"origin", b"https://map.example"),)
    assert heads.Fields([b"range"]).of(*heads.cut(request)) == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"GET", b"HEAD"),
        (b"GET", b"get"),
        (b"1.1", b"1.0"),
        (b"/v1", b"http://x/v1"),
        (b"keep-alive", b"close"),
        (b"keep-alive", b"keep-alive, upgrade"),
        (b"Host: x", b"Content-Length: 0"),
        (b"Host: x", b"Transfer-Encoding: chunked"),
        (b"Host: x", b"Proxy-Connection: close"),
        (b"Host: x", b"Host : x"),
        (b"Host: x", b" Host: x"),
        (b"Host: x", b"Host: x\r\n folded"),
        (b"Host: x", b"Host: x\nRange: bytes=0-1"),
        (b"Host: x", b"Host: x\rRange: bytes=0-1"),
        (b"Host: x", b"Host: \0"),
        (b"\r\n\r\n", b"\r\n"),
        (b"\r\n\r\n", b"\r\n\r\n\r\n"),
        (b"\r\n\r\n", b"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        (b"/v1/images/a.png", b"/v1/images/a b"),
        (b"/v1/images/a.png", "/v1/ü".encode()),
    ],
)
def test_what_is_anything_else_is_not(old, new):
    assert heads.Fields(NAMES).of(*heads.cut(PLAIN.replace(old, new))) is None


def test_a_value_of_many_blanks_is_read_as_fast_as_any_other():
    """Of all that uvicorn is shown at once; an expression that tries where they end takes a minute."""
    value = b"a" + b" " * 200_000 + b"b"
    began = time.process_time()
    fields = heads.Fields(NAMES).of(*heads.cut(PLAIN.replace(b"Host: x", b"Range: \t " + value + b"\t ")))
    assert fields == ((b"range", value), (b"if-none-match", b'"a"'))
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    ("data", "ends"),
    [(PLAIN, True), (PLAIN[:-1], False), (PLAIN * 2, False), (PLAIN + b"x", False), (b"", False)],
)
def test_the_end_of_a_head_ends_what_came(data, ends):
    assert heads.ends_a_head(data) is ends


def test_what_is_remembered_of_heads_is_bounded():
    fields = heads.Fields(NAMES)
    crowd = b"Range: x\r\n" * (heads.MOST_FIELDS + 1)
    assert fields.of(*heads.cut(PLAIN.replace(b"Host: x\r\n", crowd))) is None
    fields = heads.Fields(NAMES)
    long = PLAIN.replace(b"Host: x", b"X: " + b"x" * heads.REMEMBERED_BYTES)
    assert fields.of(*heads.cut(long)) is not None
    assert fields._remembered.cache_info().currsize == 0
    for number in range(heads.REMEMBERED + 10):
        assert fields.of(*heads.cut(PLAIN.replace(b"Host: x", b"X: %d" % number))) is not None
    assert fields._remembered.cache_info().currsize == heads.REMEMBERED
