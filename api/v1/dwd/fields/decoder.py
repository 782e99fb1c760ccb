"""The process that decodes GRIB for the API: one for all series, started with the first request that needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # numpy, which an API that serves no series need not import
    from dwd_assets.formats.grib.worker import GribWorker


class Decoder:
    """Starts the worker when it is first asked for; `close` ends its process."""

    def __init__(self) -> None:
        self._worker: GribWorker | None = None

    @property
    def worker(self) -> GribWorker:
        """The worker."""
        from dwd_assets.formats.grib.worker import GribWorker  # noqa: PLC0415 - numpy

        if self._worker is None:
            self._worker = GribWorker()
        return self._worker

    def close(self) -> None:
        """End the decoder's process."""
        if self._worker is not None:
            self._worker.close()
