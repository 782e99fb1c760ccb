"""A day of storms at KTLX: radar images of the simulator, and all marks that the viewer knows, at chosen places."""

from __future__ import annotations

from nexrad_assets import names
from nexrad_assets.levels.level3 import Level3Recipe
from tests.api import rendered
from tests.api.world import NOON, Publisher
from tests.nexrad_assets.radar.level3.vector_messages import HEADER, km, message, packet

SITE = "KTLX"
DAY = f"{NOON:%Y-%m-%d}"

CELL, TORNADO, HAIL, MESOCYCLONE = (
    (km(-30), km(25)),
    (km(-55), km(-20)),
    (km(40), km(40)),
    (km(25), km(-35)),
)
"""Quarter kilometres east and north of the radar."""

PAST, FORECAST = (km(-60), km(10)), (km(5), km(40))


def _track() -> bytes:
    past = packet(23, text=packet(2, *PAST, text=b"! ") + packet(6, *CELL, *PAST))
    forecast = packet(24, text=packet(2, *FORECAST, text=b"# ") + packet(6, *CELL, *FORECAST))
    return packet(2, *CELL, text=b'" ') + packet(15, *CELL, text=b"A0") + past + forecast


MESSAGES = {
    "NST": (58, _track()),
    "NHI": (59, packet(19, *HAIL, 90, 50, 2)),
    "NTV": (61, packet(12, *TORNADO)),
    "NMD": (141, packet(20, *MESOCYCLONE, 11, 8)),
}


def publish(publisher: Publisher) -> None:
    """Publish a scan with each of its products."""
    publisher.publish(rendered.level2(SITE, NOON))
    for code, (number, packets) in MESSAGES.items():
        data = message(number, packets).replace(HEADER, HEADER.replace(b"NTV", code.encode()), 1)
        name = names.parse_product_name(names.product_file_name(SITE, code, NOON))
        publisher.publish(rendered._made(data, name, Level3Recipe(rendered.PIXELS)))
