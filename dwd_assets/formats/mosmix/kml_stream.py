"""A KML of many Placemarks, cut into them while it comes, without parsing what is between their tags.

A document is taken for: a head, up to the first Placemark; Placemarks, with blanks between them; a rest. What
a piece holds is for others to check (`dwd_assets.formats.mosmix.kml`): a tag inside a comment or CDATA section
gives pieces that are not well-formed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from dwd_assets.formats.errors import FormatError
from dwd_assets.formats.mosmix.kml import expat_faults, local, new_parser

LONGEST_HEAD = 4 << 20
"""Bytes; DWD's heads have 25 KB."""

LONGEST_PLACEMARK = 16 << 20
"""Bytes; a station of MOSMIX_L has 0.3 MB."""

_INDENT = "    "


@dataclass(frozen=True, slots=True)
class Frame:
    """What is around the Placemarks of a document.

    head: from the first byte to the last one before the first Placemark. tag: a Placemark's, as written.
    foot: the end tags of all that the head leaves open, indented as DWD does.
    """

    head: bytes
    tag: bytes
    foot: bytes


class _PlacemarkBegins(Exception):  # noqa: N818 - a signal out of expat's handler
    """The first Placemark's start tag was met: its name, and the offset of its `<`."""

    def __init__(self, tag: str, at: int) -> None:
        super().__init__(tag)
        self.tag = tag.encode()
        self.at = at


class _FrameFinder:
    """Parses the begin of a document until its first Placemark."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._open: list[str] = []
        # Names as written, so that the end tags can be; prefixes are checked with the first piece.
        self._parser = new_parser(name, namespaces=False)
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end

    def find(self, data: bytes, chunk: bytes) -> Frame | None:
        """The frame, if a Placemark begins in `chunk`, which is the end of all `data` there is yet."""
        try:
            with expat_faults(self._name):
                self._parser.Parse(chunk, False)
        except _PlacemarkBegins as found:
            if not data.startswith(b"<" + found.tag, found.at):
                raise FormatError(f"{self._name}: in an encoding that is no extension of ASCII") from found
            return Frame(data[: found.at], found.tag, self._foot())
        return None

    def _start(self, tag: str, _: dict[str, str]) -> None:
        if not self._open and local(tag) != "kml":
            raise FormatError(f"{self._name}: <{tag}> instead of a KML")
        if local(tag) == "Placemark":
            raise _PlacemarkBegins(tag, self._parser.CurrentByteIndex)
        self._open.append(tag)

    def _end(self, _: str) -> None:
        self._open.pop()

    def _foot(self) -> bytes:
        ends = (f"\n{_INDENT * depth}</{tag}>" for depth, tag in enumerate(self._open))
        return ("".join(reversed(tuple(ends))) + "\n").encode()


@dataclass(slots=True)
class PlacemarkCutter:
    """Cuts a KML, called `name` in messages, into its Placemarks; holds one of them and a chunk at most.

    strays: what was found between Placemarks, other than blanks.
    """

    name: str
    frame: Frame | None = None
    strays: list[str] = field(default_factory=list)
    passed: int = 0
    """Bytes of the KML before those that are held."""
    _held: bytearray = field(default_factory=bytearray)
    _finder: _FrameFinder = field(init=False)
    _inside: bool = False
    _searched: int = 0

    def __post_init__(self) -> None:
        self._finder = _FrameFinder(self.name)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """The Placemarks that end in the next bytes of the document, from `<` to `>`.

        Raises `FormatError` for a begin that is no KML, and for a head or Placemark that is too long.
        """
        self._held += chunk
        frame = self.frame or self._find_frame(chunk)
        if frame is None:
            return
        while (piece := self._next(frame.tag)) is not None:
            yield piece
        if len(self._held) > LONGEST_PLACEMARK:
            raise FormatError(f"{self.name}: no end of a Placemark for {len(self._held)} bytes")

    def rest(self) -> bytes:
        """What is held: the document's end once all has come, or a piece of a Placemark (see `inside`)."""
        return bytes(self._held)

    @property
    def inside(self) -> bool:
        """Whether a Placemark began whose end did not come yet."""
        return self._inside

    def _find_frame(self, chunk: bytes) -> Frame | None:
        self.frame = self._finder.find(bytes(self._held), chunk)
        if self.frame is not None:
            self._drop(len(self.frame.head))
        elif len(self._held) > LONGEST_HEAD:
            raise FormatError(f"{self.name}: no Placemark in the first {len(self._held)} bytes")
        return self.frame

    def _next(self, tag: bytes) -> bytes | None:
        if not self._inside and not self._enter(tag):
            return None
        end_tag = b"</" + tag
        at = self._held.find(end_tag, self._searched)
        end = self._held.find(b">", at) + 1 if at >= 0 else 0
        if end == 0:
            self._searched = at if at >= 0 else max(0, len(self._held) - len(end_tag))
            return None
        piece = bytes(self._held[:end])
        self._drop(end)
        self._inside = False
        return piece

    def _enter(self, tag: bytes) -> bool:
        """Go to the next Placemark's start tag, if there is one."""
        begin = re.search(rb"<" + re.escape(tag) + rb"[\s>]", self._held)
        if begin is None:
            return False
        stray = bytes(self._held[: begin.start()]).strip()
        if stray:
            self.strays.append(f"{self.name}: at byte {self.passed}: between Placemarks {stray[:40]!r}")
        self._drop(begin.start())
        self._inside = True
        return True

    def _drop(self, count: int) -> None:
        del self._held[:count]
        self.passed += count
        self._searched = 0
