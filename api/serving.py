"""Running the application by uvicorn, with its bounds.

It is one process: events have ids that a process gives for itself, by which they are sent again after a break. Requests
are not logged: `/metrics` counts them, and a proxy in front knows who asked.
"""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import Any

import uvicorn

from api.fast.direct import DirectAnswers
from api.settings import ApiSettings

APP = "api.app:app"

LAST_ANSWERS_S = 10
"""How long answers that are under way at the end may take."""

MOST_OPEN = 65_536
"""How many files and connections may be open, where the system lets us: it begins with 1,024 for programs that use
`select`, and a thousand clients of events have one each."""


def serve(settings: ApiSettings) -> None:
    """Serve until the process is sent SIGTERM or SIGINT."""
    _allow_open(MOST_OPEN)
    uvicorn.run(APP, host=settings.host, port=settings.port, **uvicorn_options())


def uvicorn_options() -> dict[str, Any]:
    """How uvicorn is run, but for where: with a middleware of its own around it, nothing would be answered directly."""
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
