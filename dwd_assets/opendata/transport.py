"""Connections to the server: kept alive for a while, certificates verified, through the environment's proxy if any.

What belongs here: how a connection is made and how long it is kept. What does not: what is asked over it (`client`),
and what an answer means (`answers`).
"""

from __future__ import annotations

import os
import ssl
import time
from urllib.parse import unquote
from urllib.request import getproxies, proxy_bypass

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.response import HTTPResponse
from urllib3.util import Url, make_headers, parse_url

KEEP_ALIVE_S = 30.0
"""How long an idle connection is kept: less than the 75 s after which nginx closes its end, unless told otherwise."""


def open_pools(base_url: str, connections: int) -> urllib3.PoolManager:
    """Connections to a server, of which so many are kept; the bound of those in use is the caller's to hold.

    HTTP/1.1. `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` of the environment are heeded, and, instead of
    the authorities of certifi, `SSL_CERT_FILE` and `SSL_CERT_DIR`. Raises `OSError` where those cannot be read.
    """
    trusted = _trusted()
    proxy = _proxy(parse_url(base_url))
    if proxy is None:
        pools = urllib3.PoolManager(maxsize=connections, ssl_context=trusted)
    else:
        pools = urllib3.ProxyManager(
            proxy._replace(auth=None).url,
            proxy_headers=make_headers(proxy_basic_auth=unquote(proxy.auth)) if proxy.auth else None,
            proxy_ssl_context=trusted,
            maxsize=connections,
            ssl_context=trusted,
        )
    pools.pool_classes_by_scheme = {"http": Pool, "https": SecurePool}
    return pools


class Connection(HTTPConnection):
    """A connection that counts as closed when its last answer began too long ago."""

    _answered_s = 0.0

    @property
    def is_connected(self) -> bool:
        """Whether another request may be sent over it."""
        return super().is_connected and time.monotonic() - self._answered_s < KEEP_ALIVE_S

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as in urllib3 itself
        """The next answer."""
        answer = super().getresponse()
        self._answered_s = time.monotonic()
        return answer


class SecureConnection(Connection, HTTPSConnection):
    """Such a connection over TLS."""


class Pool(HTTPConnectionPool):
    """Such connections to one address."""

    ConnectionCls = Connection


class SecurePool(HTTPSConnectionPool):
    """Such connections to one address over TLS."""

    ConnectionCls = SecureConnection


def _trusted() -> ssl.SSLContext:
    """What certificates are verified against."""
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if file:
        return ssl.create_default_context(cafile=file)
    if folder:
        return ssl.create_default_context(capath=folder)
    return ssl.create_default_context(cafile=certifi.where())


def _proxy(server: Url) -> Url | None:
    """The proxy that the environment names for a server."""
    named = getproxies()
    proxy = named.get(server.scheme or "http") or named.get("all")
    if not proxy or proxy_bypass(server.netloc or ""):
        return None
    return parse_url(proxy if "://" in proxy else f"http://{proxy}")
