"""The servers that run the application, by setting: uvicorn, or granian where it is installed.

Each is one process: events are told, and come again after a break, by ids that a process gives for itself. Neither
logs requests: `/metrics` counts them, and a proxy in front knows who asked.
"""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import Any

from api.settings import ApiSettings

APP = "api.app:app"

HEAD_MS = 10_000
"""How long the head of a request may take to come, as `api.server` has it for uvicorn."""

LAST_ANSWERS_S = 10
"""How long answers that are under way at the end may take."""

MOST_OPEN = 65_536
"""How many files and connections may be open, where the system lets us: it begins with 1,024 for programs that use
`select`, and a thousand clients of events have one each."""


def serve(settings: ApiSettings) -> None:
    """Serve until told to end. Raises `SystemExit` where the server of the settings is not installed."""
    _allow_open(MOST_OPEN)
    if settings.server == "granian":
        _granian(settings)
    else:
        _uvicorn(settings)


def uvicorn_options() -> dict[str, Any]:
    """How uvicorn is run, but for where: with a middleware of its own around it, nothing would be answered directly."""
    from api.fast.direct import DirectAnswers  # noqa: PLC0415 - uvicorn's, of which granian's process needs nothing

    return {
        "http": DirectAnswers,
        "ws": "none",
        "server_header": False,
        "proxy_headers": False,
        "access_log": False,
        "timeout_graceful_shutdown": LAST_ANSWERS_S,
    }


def _allow_open(wanted: int) -> None:
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    if now != resource.RLIM_INFINITY and now < allowed:
        with suppress(ValueError, OSError):  # some systems have another bound, which they do not tell
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))


def _uvicorn(settings: ApiSettings) -> None:
    import uvicorn  # noqa: PLC0415 - granian's process needs none of it

    uvicorn.run(APP, host=settings.host, port=settings.port, **uvicorn_options())


def _granian(settings: ApiSettings) -> None:
    try:
        from granian import Granian  # noqa: PLC0415 - an extra
        from granian.constants import HTTPModes, Interfaces  # noqa: PLC0415
        from granian.http import HTTP1Settings  # noqa: PLC0415
    except ImportError as fault:
        raise SystemExit(
            "API_SERVER=granian: it is not installed; pip install 'radar-forecast-backend[granian]'"
        ) from fault
    Granian(
        APP,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEAD_MS),
        websockets=False,
        workers_kill_timeout=LAST_ANSWERS_S,
    ).serve()
