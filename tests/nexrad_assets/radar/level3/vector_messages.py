"""Level 3 messages of points and text, built byte by byte after ICD 2620001, figures 3-3 to 3-16."""

import struct

HEADER = b"SDUS64 KTLX 202021\r\r\nNTVTLX\r\r\n"
LATITUDE_DEG, LONGITUDE_DEG = 35.333, -97.278


def message(code, packets=b"", pages=(), tables=(), dependent=None):
    """A whole file: packets of one layer, pages of packets, tables as pages of text lines."""
    symbology = _symbology(packets) if packets else b""
    graphic = _graphic(pages) if pages else b""
    offsets, at = [], 60
    for block in (symbology, graphic):
        offsets.append(at if block else 0)
        at += len(block) // 2
    offsets.append(at if tables else 0)
    head = _description(code, offsets, dependent or {})
    tabular = _tabular(code, head, tables) if tables else b""
    body = head + symbology + graphic + tabular
    return HEADER + _message_header(code, 18 + len(body)) + body


def packet(code, *halfwords, text=b""):
    """A packet with its length field."""
    body = struct.pack(f">{len(halfwords)}h", *halfwords) + text
    return struct.pack(">HH", code, len(body)) + body


def km(value):
    """Kilometres as a packet's quarter kilometres."""
    return round(value * 4)


def _message_header(code, length):
    return struct.pack(">HHIIHHH", code, 15846, 73319, length, 17, 0, 5)


def _description(code, offsets, dependent):
    times = struct.pack(">HIHI", 15846, 73261, 15846, 73319)
    head = struct.pack(">hiihHhhHH", -1, 35333, -97278, 1277, code, 2, 12, 1, 7) + times
    words = [dependent.get(number, 0) for number in range(27, 54)]
    tail = struct.pack(">27hBB", *words, 0, 0) + struct.pack(">III", *offsets)
    assert len(head + tail) == 102
    return head + tail


def _symbology(packets):
    layer = struct.pack(">hI", -1, len(packets)) + packets
    return _even(struct.pack(">hhIh", -1, 1, 10 + len(layer), 1) + layer)


def _graphic(pages):
    body = b"".join(
        struct.pack(">hH", number, len(page)) + page for number, page in enumerate(pages, start=1)
    )
    return _even(struct.pack(">hhIh", -1, 2, 10 + len(body), len(pages)) + body)


def _tabular(code, head, tables):
    text = struct.pack(">hh", -1, len(tables))
    for lines in tables:
        for line in lines:
            padded = line.ljust(80).encode("ascii")
            text += struct.pack(">h", len(padded)) + padded
        text += struct.pack(">h", -1)
    repeated = _message_header(code, 120 + len(text)) + head
    return struct.pack(">hhI", -1, 3, 8 + len(repeated) + len(text)) + repeated + text


def _even(block):
    assert len(block) % 2 == 0
    return block
