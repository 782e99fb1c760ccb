"""An application for granian that does nothing but return bytes that it has: no application can be faster than this.

Its own interface, RSGI, is the quickest that it has. `IMAGES` in the environment is the folder of the images.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


class Bytes:
    """Each image by its name."""

    def __init__(self) -> None:
        self._images = {f"/{path.name}": path.read_bytes() for path in Path(os.environ["IMAGES"]).iterdir()}

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:  # noqa: ANN401 - granian's have no types
        """Answer with an image, or that there is none."""
        image = self._images.get(scope.path)
        status = 404 if image is None else 200
        protocol.response_bytes(status, [("content-type", "image/png")], image or b"")
