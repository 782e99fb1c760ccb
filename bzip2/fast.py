"""bzip2 unpacked in half the time that the standard library takes, once that is worth its start.

The kernels take over half a second to load, in which the standard library unpacks some six fields or volumes. So
a process begins with that, and loads the kernels when it has unpacked `WORTH_BYTES`. What they refuse is for the
standard library to judge, and to tell what is wrong with it.
"""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

WORTH_BYTES = 4 << 20
"""Packed bytes after which a process loads the kernels: the standard library takes as long for them as loading does."""

_log = logging.getLogger(__name__)


class Kernels:
    """The kernels of a process, once it has need of them; may be used from many threads."""

    def __init__(self, worth_bytes: int = WORTH_BYTES) -> None:
        self._bytes_left = worth_bytes
        self._loading = threading.Lock()
        self._tried = False
        self._streams: ModuleType | None = None
        self._rooms: list[Any] = []

    def first_stream(self, packed: bytes | memoryview, limit_bytes: int) -> tuple[bytes, int] | None:
        """The content of the first bzip2 stream in `packed`, verified, and how many bytes of that it is in.

        None where the standard library is to be asked instead: as long as loading the kernels is not worth it or
        where they cannot be had, for a stream that is damaged or cut, and for one that unpacks to more than
        `limit_bytes`.
        """
        streams = self._loaded(len(packed))
        if streams is None:
            return None
        with self._room(streams) as room:
            try:
                unpacked: tuple[bytes, int] = streams.unpack(packed, limit_bytes, room)
            except streams.RefusedError:
                return None
        return unpacked

    def expect(self, packed_bytes: int) -> None:
        """Be told that so many packed bytes are to come: where they are worth it, load beside what else is done."""
        self._bytes_left -= packed_bytes
        if self._bytes_left < 0 and not self._tried:
            threading.Thread(target=self._loaded, args=(0,), name="bzip2-kernels", daemon=True).start()

    def _loaded(self, wanted_bytes: int) -> ModuleType | None:
        """The module, if it is loaded or now worth loading.

        Who comes while it is loaded waits: threads that went on without would take the processor from the loading.
        """
        self._bytes_left -= wanted_bytes
        if self._bytes_left < 0 and not self._tried:
            with self._loading:
                if not self._tried:
                    self._streams = _load()
                    self._tried = True
        return self._streams

    @contextmanager
    def _room(self, streams: ModuleType) -> Iterator[Any]:
        try:
            room = self._rooms.pop()
        except IndexError:
            room = streams.Room()
        try:
            yield room
        finally:
            self._rooms.append(room)


def _load() -> ModuleType | None:
    """The kernels, compiled; none where numba is missing or finds no folder for what it compiles."""
    try:
        streams = importlib.import_module("bzip2.streams")
        streams.warm_up()
    except (ImportError, RuntimeError, OSError) as fault:
        _log.warning("bzip2 is unpacked by the standard library, at half the speed: %s", fault)
        return None
    return streams


_KERNELS = Kernels()
first_stream = _KERNELS.first_stream
expect = _KERNELS.expect
