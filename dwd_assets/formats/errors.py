"""The one way the formats of Deutscher Wetterdienst fail."""

from __future__ import annotations


class FormatError(Exception):
    """Bytes are not what their format says; the message names the file and the fault, in one line."""
