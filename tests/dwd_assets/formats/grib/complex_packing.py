"""GRIB messages of complex packing with missing values of its own, written here: eccodes writes one kind alone.

Source: WMO Manual on Codes, volume I.2, FM 92 GRIB edition 2, data representation templates 5.2 and 5.3, data
templates 7.2 and 7.3, code table 5.5.
"""

import struct
from pathlib import Path

import numpy as np

from dwd_assets.formats.grib.sections import framed, section, split

BITS = 12
PRIMARY, SECONDARY = 2**BITS - 1, 2**BITS - 2
"""In a group of so many bits, the missing values of the packing."""


def complex_message(template: Path, codes: np.ndarray, management: int, reference: float = 250.0) -> bytes:
    """The field of another file with whole numbers above a reference, in groups whose own reference is 0.

    codes: of shape (points,), points a multiple of 60; PRIMARY, and SECONDARY if `management` is 2, are missing.
    """
    groups = codes.size // 60
    head = struct.pack(">IHfHHBB", codes.size, 2, reference, 0x8003, 0, BITS, 0)  # steps of 2**-3
    head += struct.pack(">BBII", 1, management, 0xFFFFFFFF, 0xFFFFFFFE)
    head += struct.pack(">IBBIBIB", groups, BITS, 1, 60, 1, 60, 1)  # widths of BITS + 0, lengths of 60 + 0
    references = bytes((groups * BITS + 7) // 8)
    nothing = bytes((groups + 7) // 8)
    bits = np.unpackbits(codes.astype(">u2").view(np.uint8)).reshape(-1, 16)[:, 16 - BITS :]
    data = references + nothing + nothing + np.packbits(bits).tobytes()
    ((_, parts),) = split(template.read_bytes(), template.name)
    return framed(
        parts.discipline,
        (
            *(parts.identification, parts.local, parts.grid, parts.product),
            *(section(5, head), section(6, b"\xff"), section(7, data)),
        ),
    )
