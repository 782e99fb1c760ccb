"""KML by expat, without a tree: the texts that are wanted, and whether a document is well-formed.

No document type definition is accepted: DWD's files have none, and entities are a way to blow a parser up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from xml.parsers import expat

from dwd_assets.formats.errors import FormatError

Place = tuple[str, str]
"""The local names of an element's parent and of the element."""


_ENCODING_FAULTS = frozenset(
    expat.errors.codes[message]
    for message in (expat.errors.XML_ERROR_UNKNOWN_ENCODING, expat.errors.XML_ERROR_INCORRECT_ENCODING)
)
_UNSUPPORTED = "its XML declaration names an encoding that is not supported"
_SUPPORTED = "UTF-8, UTF-16 and single-byte encodings such as ISO-8859-1 are"


@contextmanager
def expat_faults(name: str) -> Iterator[None]:
    """Translate what expat raises into a `FormatError` that names the file."""
    try:
        yield
    except expat.ExpatError as fault:
        if fault.code in _ENCODING_FAULTS:
            raise FormatError(f"{name}: {_UNSUPPORTED} ({fault}); {_SUPPORTED}") from fault
        raise FormatError(f"{name}: not well-formed XML: {fault}") from fault
    except (
        LookupError,
        ValueError,
    ) as fault:  # by Python's own handler of encodings that expat does not know
        raise FormatError(f"{name}: {_UNSUPPORTED} ({fault}); {_SUPPORTED}") from fault


def new_parser(name: str, *, namespaces: bool = True) -> expat.XMLParserType:
    """An expat parser that refuses a document type definition with `FormatError`.

    With `namespaces`, names are given as address, space, local name, and an undeclared prefix is a fault;
    without, they are given as they are written.
    """

    def refuse(doctype: str, *_: object) -> None:
        raise FormatError(f"{name}: a document type definition ({doctype}), which KML has not")

    parser = expat.ParserCreate(namespace_separator=" " if namespaces else None)
    parser.StartDoctypeDeclHandler = refuse
    return parser


def check_document(parts: Iterable[bytes], name: str) -> None:
    """Raise `FormatError` unless the parts together are a well-formed XML document."""
    parser = new_parser(name)
    with expat_faults(name):
        for part in parts:
            parser.Parse(part, False)
        parser.Parse(b"", True)


def local(name: str) -> str:
    """An element's or attribute's name without its namespace (an address and a space) or prefix."""
    return name.rpartition(" ")[2].rpartition(":")[2]


@dataclass(slots=True)
class KmlTexts:
    """What `read_texts` found, in document order, by place: stripped texts, and attributes."""

    texts: dict[Place, list[str]] = field(default_factory=lambda: defaultdict(list))
    attributes: dict[Place, list[Mapping[str, str]]] = field(default_factory=lambda: defaultdict(list))


def read_texts(kml: bytes, name: str, wanted: frozenset[Place], *, namespaces: bool = True) -> KmlTexts:
    """The texts and attributes of the elements that are wanted; an empty element has the text ''.

    Attributes go by their local names. Without `namespaces`, prefixes need not be declared. Raises `FormatError`
    for what is not well-formed.
    """
    found = KmlTexts()
    path: list[str] = [""]
    text: list[str] = []
    parser = new_parser(name, namespaces=namespaces)
    parser.buffer_text = True

    def start(element: str, attributes: dict[str, str]) -> None:
        place = (path[-1], local(element))
        path.append(place[1])
        if place in wanted:
            text.clear()
            found.attributes[place].append({local(key): value for key, value in attributes.items()})
            parser.CharacterDataHandler = text.append

    def end(_: str) -> None:
        here = path.pop()
        if (path[-1], here) in wanted:
            parser.CharacterDataHandler = None
            found.texts[path[-1], here].append("".join(text).strip())

    parser.StartElementHandler, parser.EndElementHandler = start, end
    with expat_faults(name):
        parser.Parse(kml, True)
    return found


def first_text(parts: Iterable[bytes], name: str, watched: int, place: Place) -> str:
    """The text at the first `place` in part number `watched` of a document; '' if there is none.

    Once it is found, the rest is checked at the speed of expat alone, 0.8 GB/s. Raises `FormatError` for
    what is not well-formed.
    """
    finder = _Finder(new_parser(name), place)
    with expat_faults(name):
        for number, part in enumerate(parts):
            if number == watched:
                finder.watch()
            finder.parser.Parse(part, False)
            if number == watched:
                finder.leave()
        finder.parser.Parse(b"", True)
    return "".join(finder.text).strip()


@dataclass(slots=True)
class _Finder:
    """Collects the text of the first element at a place, and unhooks itself then."""

    parser: expat.XMLParserType
    place: Place
    text: list[str] = field(default_factory=list)
    _path: list[str] = field(default_factory=lambda: [""])

    def watch(self) -> None:
        self.parser.StartElementHandler, self.parser.EndElementHandler = self._start, self._end

    def leave(self) -> None:
        self.parser.StartElementHandler = self.parser.EndElementHandler = None
        self.parser.CharacterDataHandler = None

    def _start(self, element: str, _: dict[str, str]) -> None:
        self._path.append(local(element))
        if (self._path[-2], self._path[-1]) == self.place:
            self.parser.CharacterDataHandler = self.text.append

    def _end(self, _: str) -> None:
        here = self._path.pop()
        if (self._path[-1], here) == self.place:
            self.leave()
