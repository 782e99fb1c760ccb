"""What holds for every suite: the fixtures of the modules named here, the order of tests, interrupts."""

from __future__ import annotations

import signal

import pytest

pytest_plugins = ["tests.servers"]


def pytest_configure() -> None:
    """Let an interrupt end what tests start where a shell began the suite in the background.

    Such a shell has interrupts ignored, which children inherit; a handler they do not.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put in front what takes long and mostly waits: daemons, then the browser.

    A worker of `--dist worksteal` begins with its own part of the list, in order, and others take from the end of it.
    So these run one after another beside tests that compute, share what they start, and are done before the end.
    """
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    if item.get_closest_marker("daemon") is not None:
        return 0
    return 1 if item.path.parent.name == "viewer" else 2
