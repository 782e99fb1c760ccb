"""Numbers of this process for Prometheus: requests, bytes, caches, event clients, and how fresh the data are.

Counters are of one process; with several workers each is scraped, or answers, for itself.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.fast.shortpath import ROUTE
from api.memory.cache import BoundedCache
from api.paths import EVENTS
from api.replies.envelope import HEAD
from api.state.catalog import Catalog, Clock

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
NO_ROUTE = "none"
"""The route of what no route answers; and of addresses that name nothing, so that no client can invent labels."""


class Metrics(Collector):
    """Counts of one application, which counts in one thread, the loop's, and so without locks."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str, int], int] = {}
        self._routes: dict[str, _Route] = {}
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def count(self, route: str, method: str, status: int, sent: int, seconds: float) -> None:
        """Take an answer into account."""
        answer = (route, method, status)
        self._answers[answer] = self._answers.get(answer, 0) + 1
        counts = self._routes.get(route)
        if counts is None:
            counts = self._routes[route] = _Route()
        counts.sent += sent
        counts.seconds += seconds
        counts.buckets[bisect_left(BUCKETS_S, seconds)] += 1

    def collect(self) -> Iterable[Metric]:
        """The counts as they are now."""
        requests = CounterMetricFamily(
            "api_requests", "Requests answered.", labels=["route", "method", "status"]
        )
        for (route, method, status), number in list(self._answers.items()):
            requests.add_metric([route, method, str(status)], number)
        sent = CounterMetricFamily("api_response_bytes", "Bytes of bodies sent.", labels=["route"])
        seconds = HistogramMetricFamily(
            "api_request_seconds", "From a request to the end of its answer.", labels=["route"]
        )
        for route, counts in list(self._routes.items()):
            sent.add_metric([route], counts.sent)
            if route != EVENTS:  # its answers last for hours: they are no latencies
                seconds.add_metric([route], counts.cumulated(), counts.seconds)
        yield from (requests, sent, seconds)


class _Route:
    """Bytes and seconds of the answers of one route, and how many took how long (`BUCKETS_S`, and longer)."""

    __slots__ = ("buckets", "seconds", "sent")

    def __init__(self) -> None:
        self.sent = 0
        self.seconds = 0.0
        self.buckets = [0] * (len(BUCKETS_S) + 1)

    def cumulated(self) -> list[tuple[str, float]]:
        """How many took at most so long."""
        bounds = [*map(floatToGoString, BUCKETS_S), "+Inf"]
        return list(zip(bounds, map(float, accumulate(self.buckets)), strict=True))


class Measured:
    """ASGI middleware that counts every answer, inside of `Envelope`."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and count."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        heard = _Heard(send)
        try:
            await self._app(scope, receive, heard)
        finally:
            method = "HEAD" if HEAD in scope else scope["method"]
            sent = 0 if method == "HEAD" else heard.sent
            self._metrics.count(
                _route(scope), _METHODS.get(method, "other"), heard.status, sent, time.perf_counter() - began
            )


_METHODS = {name: name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")}


class _Heard:
    """A `send` that remembers the status, 500 where none came, and counts bytes."""

    __slots__ = ("_send", "sent", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 500
        self.sent = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.sent += len(message.get("body", b""))
        await self._send(message)


def _route(scope: Scope) -> str:
    template: str | None = scope.get(ROUTE)
    return template or getattr(scope.get("route"), "path", None) or NO_ROUTE


class State(Collector):
    """What is known at the moment of a scrape: caches, event clients, the store, the newest scans."""

    def __init__(
        self,
        catalog: Catalog,
        clock: Clock,
        caches: Mapping[str, BoundedCache[Any, Any]],
        event_clients: Callable[[], int],
    ) -> None:
        self._catalog = catalog
        self._clock = clock
        self._caches = caches
        self._event_clients = event_clients

    def collect(self) -> Iterable[Metric]:
        """The metrics as they are now."""
        yield GaugeMetricFamily(
            "api_event_clients", "Clients that listen to events.", value=self._event_clients()
        )
        yield from self._cache_metrics()
        yield from self._data_metrics()

    def _cache_metrics(self) -> Iterable[Metric]:
        lookups = CounterMetricFamily("api_cache_lookups", "Lookups in caches.", labels=["cache", "result"])
        weight = GaugeMetricFamily("api_cache_bytes", "Bytes kept in caches.", labels=["cache"])
        for name, cache in self._caches.items():
            lookups.add_metric([name, "hit"], cache.hits)
            lookups.add_metric([name, "miss"], cache.misses)
            weight.add_metric([name], cache.weight)
        yield from (lookups, weight)

    def _data_metrics(self) -> Iterable[Metric]:
        health = self._catalog.health()
        if health.answered_s is not None:
            yield GaugeMetricFamily(
                "store_answered_age_seconds", "Since the store last answered.", value=health.answered_s
            )
        ages = GaugeMetricFamily(
            "radar_newest_scan_age_seconds",
            "Since the newest listed scan of a site began.",
            labels=["site", "level"],
        )
        now = self._clock()
        index = self._catalog.index
        for site, line in ({} if index is None else index.sites).items():
            for level, newest in line.newest.items():
                ages.add_metric([site, str(level)], (now - newest).total_seconds())
        yield ages


def router(metrics: Metrics) -> APIRouter:
    """The route of one application."""
    routes = APIRouter(tags=["health"])

    @routes.get(
        "/metrics",
        operation_id="metrics",
        summary="Numbers of this process, in Prometheus's text format",
        response_class=Response,
        responses={
            200: {"description": "The numbers.", "content": {"text/plain": {"schema": {"type": "string"}}}}
        },
    )
    async def show_metrics() -> Response:
        headers = {"cache-control": "no-store"}
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST, headers=headers)

    return routes
