"""The colours of a layer's palette indices, as its images have them.

Imported when a legend is first asked for: it needs numpy, which the rest of the API does not.
"""

from __future__ import annotations

from nexrad_assets.radar.image import colours
from nexrad_assets.radar.image.products import Product
from nexrad_assets.radar.level3.products import PRODUCTS as CODED
from nexrad_assets.radar.volume import Meaning
from store.radar.snapshot import Layer


def rgba(product: str, layer: Layer) -> list[tuple[int, int, int, int]]:
    """Red, green, blue and alpha of the 256 indices; of a colour table that is not known, only flags and classes."""
    meaning = Meaning(
        step=layer.scale,
        base=layer.offset,
        first_value=layer.first_value_index,
        flags={int(index): words for index, words in layer.codes.items()},
        values=layer.values,
    )
    coded = CODED.get(layer.code or "")
    look = Product(
        name=product,
        label=layer.label or product,
        moment="",
        unit=layer.unit,
        value_range=layer.value_range,
        colours=layer.colours if layer.colours in colours.names() else None,
        rungs=layer.rungs,
        unseen=None if coded is None else coded.look.unseen,
    )
    palette = colours.of_product(look, meaning)
    for index, colour in layer.code_colours.items():
        palette[int(index)] = (*bytes.fromhex(colour.removeprefix("#")), 255)
    return [(r, g, b, a) for r, g, b, a in palette.tolist()]
