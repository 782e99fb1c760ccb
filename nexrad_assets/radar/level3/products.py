"""The table of Level 3 products by AWIPS code: group, label, unit, range, colours, and which are dead.

Groups, and the order of their codes, are those of the API contract; what goes beyond the contract has groups of its
own. Units are as the products send them: knots are knots, a depth is no rate. Classes are numbered as in ICD
2620003, product 165; their colours are those of the National Weather Service's own displays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from nexrad_assets.radar.image.products import REFLECTIVITY, CodeClass, Product

VECTORS: Mapping[str, str] = {
    "NST": "Storm cells and tracks",
    "NMD": "Mesocyclones",
    "NVW": "Wind profile",
    "NHI": "Hail index",
    "NTV": "Tornado vortex signatures",
}
"""The codes of products that are no images, and what they tell."""

MESSAGES: Mapping[str, int] = {
    code: message
    for message, codes in {
        19: "N0R N1R N2R N3R",
        48: "NVW",
        56: "N0S",
        58: "NST",
        59: "NHI",
        61: "NTV",
        78: "N1P",
        79: "N3P",
        80: "NTP",
        94: "N0Q NAQ N1Q NBQ N2Q N3Q",
        99: "N0U NAU N1U NBU N2U N3U",
        134: "DVL",
        135: "EET",
        138: "DSP",
        141: "NMD",
        153: "N0B NAB N1B NBB N2B N3B",
        154: "N0G NAG N1G",
        159: "N0X",
        161: "N0C",
        163: "N0K",
        165: "N0H N1H NAH NBH N2H N3H NXH NYH NZH",
        169: "OHA",
        170: "DAA",
        171: "PTA",
        172: "DTA",
        173: "DU3 DU6",
        174: "DOD",
        175: "DSD",
        176: "DPR",
        177: "HHC",
    }.items()
    for code in codes.split()
}
"""The message code of each product."""

RANGE_FOLDED = "range folded"
PURPLE = (119, 0, 125)

CLASSES: Mapping[int, CodeClass] = {
    10: CodeClass("biological", (156, 156, 156)),
    20: CodeClass("ground clutter", (118, 118, 118)),
    30: CodeClass("ice crystals", (255, 176, 176)),
    40: CodeClass("dry snow", (0, 255, 255)),
    50: CodeClass("wet snow", (0, 144, 255)),
    60: CodeClass("rain", (0, 251, 144)),
    70: CodeClass("heavy rain", (0, 187, 0)),
    80: CodeClass("big drops", (208, 208, 96)),
    90: CodeClass("graupel", (210, 132, 132)),
    100: CodeClass("hail", (255, 0, 0)),
    110: CodeClass("large hail", (160, 20, 20)),
    120: CodeClass("giant hail", (255, 255, 0)),
    140: CodeClass("unknown", (231, 0, 255)),
    150: CodeClass(RANGE_FOLDED, PURPLE),
}

_TILTS = {
    "0": "about 0.5\u00b0",
    "A": "about 0.9\u00b0",
    "1": "about 1.5\u00b0",
    "B": "about 1.8\u00b0",
    "2": "about 2.4\u00b0",
    "3": "about 3.4\u00b0",
    "X": "tilt X",
    "Y": "tilt Y",
    "Z": "tilt Z",
}
"""What the second letter of a code says of the angle; the metadata has the measured one."""


@dataclass(frozen=True, slots=True)
class CodedProduct:
    """A product code and how its image looks; `look.name` is the group.

    One that is not `offered` is dead: given up between 2021 and 2023, its files are in the archive alone.
    """

    code: str
    look: Product
    offered: bool = True

    @property
    def label(self) -> str:
        """What a menu calls it."""
        return self.look.label


def _by_tilt(codes: str, look: Product, offered: bool = True) -> Iterator[CodedProduct]:
    for code in codes.split():
        label = f"{look.label} ({_TILTS[code[1]]})"
        yield CodedProduct(code, replace(look, label=label), offered)


_HOUR = (0.0, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0)
_HOURS = (0.0, 0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
_STORM = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0)
_RATE = (0.0, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0)
"""Rungs of the colours of precipitation, in inches and inches an hour: most of it is light."""


def _rain(
    code: str,
    label: str,
    rungs: tuple[float, ...],
    offered: bool = True,
    unit: str = "inch",
    nothing_is_a_value: bool = False,
) -> CodedProduct:
    """Precipitation from nothing up; nothing is not seen, also where a product codes it as a value."""
    look = Product(
        name="precipitation",
        label=label,
        moment=code,
        unit=unit,
        value_range=(rungs[0], rungs[-1]),
        colours="HomeyerRainbow",
        rungs=rungs,
        unseen=(0.0, 0.0) if nothing_is_a_value else None,
    )
    return CodedProduct(code, look, offered)


def _difference(code: str, label: str, most_inches: float) -> CodedProduct:
    """A difference of two estimates; where they all but agree, nothing is seen."""
    look = Product(
        name="precipitation",
        label=label,
        moment=code,
        unit="inch",
        value_range=(-most_inches, most_inches),
        colours="balance",
        unseen=(-0.015, 0.015),
    )
    return CodedProduct(code, look)


_HYDROMETEOR = Product(
    "hydrometeor", "Hydrometeor classification", "class", "class", (0.0, 150.0), None, classes=CLASSES
)
_VELOCITY = Product(
    "velocity",
    "Radial velocity",
    "velocity",
    "m/s",
    (-40.0, 40.0),
    "NWSVel",
    flag_colours={RANGE_FOLDED: PURPLE},
)
_STORM_VELOCITY = replace(
    _VELOCITY,
    name="storm_relative_velocity",
    label="Storm-relative velocity",
    unit="kt",
    value_range=(-60.0, 60.0),
)


def _table() -> Iterator[CodedProduct]:
    yield from _by_tilt("N0H N1H NAH NBH N2H N3H NXH NYH NZH", _HYDROMETEOR)
    yield CodedProduct("HHC", replace(_HYDROMETEOR, label="Hybrid hydrometeor classification"))
    yield _rain("N1P", "One-hour precipitation (16 levels)", _HOUR, offered=False)
    yield _rain("N3P", "Three-hour precipitation (16 levels)", _HOURS, offered=False)
    yield _rain("OHA", "One-hour accumulation (16 levels)", _HOUR)
    yield _rain("DAA", "One-hour accumulation", _HOUR)
    yield _difference("DOD", "One-hour difference to the single-polarization estimate", 1.0)
    yield _rain("DPR", "Precipitation rate", _RATE, unit="inch/h", nothing_is_a_value=True)
    yield _rain("NTP", "Storm total precipitation (16 levels)", _STORM, offered=False)
    yield _rain(
        "DSP",
        "Storm total precipitation, single polarization",
        _STORM,
        offered=False,
        nothing_is_a_value=True,
    )
    yield _rain("PTA", "Storm total accumulation (16 levels)", _STORM)
    yield _rain("DTA", "Storm total accumulation", _STORM)
    yield _difference("DSD", "Storm total difference to the single-polarization estimate", 3.0)
    yield _rain("DU3", "Three-hour accumulation", _HOURS)
    yield _rain("DU6", "User-selected accumulation", _STORM)
    yield from _by_tilt("N0B NAB N1B NBB N2B N3B", REFLECTIVITY)
    yield from _by_tilt("N0Q NAQ N1Q NBQ N2Q N3Q N0R N1R N2R N3R", REFLECTIVITY, offered=False)
    yield from _by_tilt("N0G NAG N1G", _VELOCITY)
    yield from _by_tilt("N0U NAU N1U NBU N2U N3U", _VELOCITY, offered=False)
    yield from _by_tilt("N0S", _STORM_VELOCITY)
    yield from _by_tilt("N0X", _look("differential_reflectivity"))
    yield from _by_tilt("N0C", _look("correlation_coefficient"))
    yield from _by_tilt("N0K", _look("specific_differential_phase"))
    yield CodedProduct("EET", _look("echo_tops"))
    yield CodedProduct("DVL", _look("vil"))


def _look(name: str) -> Product:
    label, unit, value_range, colours = {
        "differential_reflectivity": ("Differential reflectivity", "dB", (-2.0, 6.0), "RefDiff"),
        "correlation_coefficient": ("Correlation coefficient", "1", (0.2, 1.05), "NWS_CC"),
        "specific_differential_phase": ("Specific differential phase", "deg/km", (-1.0, 7.0), "Theodore16"),
        "echo_tops": ("Enhanced echo tops", "kft", (0.0, 70.0), "HomeyerRainbow"),
        "vil": ("Vertically integrated liquid", "kg/m2", (0.0, 70.0), "HomeyerRainbow"),
    }[name]
    return Product(name, label, name, unit, value_range, colours)


PRODUCTS: Mapping[str, CodedProduct] = {one.code: one for one in _table()}
"""Every Level 3 image product by its code, the contract's groups first, in the order of their menus."""

CODES: tuple[str, ...] = (*(code for code, one in PRODUCTS.items() if one.offered), *VECTORS)
"""Every code that new files are expected of, images first."""

DEAD_CODES: tuple[str, ...] = tuple(code for code, one in PRODUCTS.items() if not one.offered)
"""The codes of the archive alone."""


def _menus() -> Mapping[str, tuple[CodedProduct, ...]]:
    groups = ("hydrometeor", "precipitation")
    return {group: tuple(one for one in PRODUCTS.values() if one.look.name == group) for group in groups}


MENUS = _menus()
"""The codes of the contract's groups, in the order of their menus."""
