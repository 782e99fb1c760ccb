"""How much one address may ask for of what is expensive: token buckets, bounded in number."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from fastapi import Request

from api.replies.conditional import headers_of
from api.replies.problems import TooManyRequests

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

ADDRESSES_KEPT = 20_000
"""Addresses that are remembered; the one that asked longest ago is forgotten first."""

_V6_SITE_BITS = 64
"""Of an IPv6 address, what a household has in common: more addresses than that are no more clients."""


class Buckets:
    """A bucket for each name, which holds a minute's tokens and fills up evenly."""

    def __init__(
        self, per_minute: int, clock: Callable[[], float] = time.monotonic, kept: int = ADDRESSES_KEPT
    ) -> None:
        self._size = float(per_minute)
        self._clock = clock
        self._kept = kept
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> float:
        """Take a token: 0, or the seconds until there is one."""
        now = self._clock()
        tokens, at = self._buckets.pop(name, (self._size, now))
        tokens = min(self._size, tokens + (now - at) * self._size / 60)
        wait_s = 0.0 if tokens >= 1 else (1 - tokens) * 60 / self._size
        self._buckets[name] = (tokens if wait_s else tokens - 1, now)
        if len(self._buckets) > self._kept:
            self._buckets.popitem(last=False)
        return wait_s


class Limit:
    """A dependency that lets pass who has a token left; with 0 a minute, everyone."""

    def __init__(
        self, per_minute: int, proxies: Sequence[str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._buckets = Buckets(per_minute, clock) if per_minute else None
        self._proxies = tuple(ip_network(proxy) for proxy in proxies)

    async def __call__(self, request: Request) -> None:
        """Raise `TooManyRequests` where none is left."""
        if self._buckets is None:
            return
        peer = request.client.host if request.client else ""
        forwarded = headers_of(request.scope).get(b"x-forwarded-for", b"").decode("latin-1")
        wait_s = self._buckets.take(client(peer, forwarded, self._proxies))
        if wait_s:
            raise TooManyRequests(math.ceil(wait_s))


def client(peer: str, forwarded: str, proxies: Sequence[Network]) -> str:
    """Who asks: the peer, or, as long as that is one of our proxies, who it says that it speaks for.

    `forwarded` is `X-Forwarded-For`; each proxy appends whom it heard, so that only what our own ones wrote is read.
    """
    hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()]
    address = _address(peer)
    while hops and address is not None and any(address in proxy for proxy in proxies):
        earlier = _address(hops.pop())
        if earlier is None:
            break
        address = earlier
    return peer if address is None else _household(address)


def _address(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _household(address: Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(ip_network((address, _V6_SITE_BITS), strict=False))
