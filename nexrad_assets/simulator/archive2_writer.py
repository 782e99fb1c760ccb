"""Writes radar volumes as Archive II files, byte for byte laid out as operational radars of the 2020s do.

Documents: ICD 2620010 (the file: volume header, bzip2 records with a size in front) and ICD 2620002 (the
messages). Numbers are big-endian. Record 1 holds 134 segments of 2432 bytes (messages 15, 18, 3, 5, 2
and empty ones); every later record holds 120 rays as message 31.
"""

from __future__ import annotations

import bz2
import struct
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from nexrad_assets.radar.volume import Moment, Sweep, Volume
from nexrad_assets.simulator.coverage import CoveragePattern, Cut, Waveform

RAYS_PER_RECORD = 120
METADATA_SEGMENTS = 134
SEGMENT_BYTES = 2432

_CTM_BYTES = 12
_MESSAGE_HEADER = struct.Struct(">HBBHHIHH")
_SEGMENT_PAYLOAD_BYTES = 2400
_POINTER_SLOTS = 10
_CHANNEL = 8
_DAY_MS = 86_400_000
_FEEDHORN_ABOVE_GROUND_M = 20
_ADAPTATION_NAME = b"simulated"
_CALIBRATION_DBZ = -42.75
_INITIAL_PHASE_DEG = 60.0
_STATUS_AFTER_RAY = 28

_HEADER_FIELDS: list[tuple[str, str, tuple[int, ...]]] = [
    ("ctm", "V12", ()),
    ("size", ">u2", ()),
    ("channel", "u1", ()),
    ("type", "u1", ()),
    ("sequence", ">u2", ()),
    ("date", ">u2", ()),
    ("ms", ">u4", ()),
    ("segments", ">u2", ()),
    ("segment", ">u2", ()),
    ("icao", "S4", ()),
    ("collect_ms", ">u4", ()),
    ("collect_date", ">u2", ()),
    ("azimuth_number", ">u2", ()),
    ("azimuth", ">f4", ()),
    ("compression", "u1", ()),
    ("spare", "u1", ()),
    ("length", ">u2", ()),
    ("spacing", "u1", ()),
    ("status", "u1", ()),
    ("elevation_number", "u1", ()),
    ("cut_sector", "u1", ()),
    ("elevation", ">f4", ()),
    ("spot_blanking", "u1", ()),
    ("index_mode", "u1", ()),
    ("block_count", ">u2", ()),
    ("pointers", ">u4", (_POINTER_SLOTS,)),
    ("volume_block", "V52", ()),
    ("elevation_block", "V12", ()),
    ("radial_block", "V28", ()),
]
_RADIAL_START = _CTM_BYTES + _MESSAGE_HEADER.size
_FIRST_MOMENT = np.dtype(_HEADER_FIELDS).itemsize - _RADIAL_START
_MOMENT_HEADER = struct.Struct(">4sIHHHHhBBff")


def archive2_bytes(volume: Volume, pattern: CoveragePattern, number: int) -> bytes:
    """A volume as the bytes of an Archive II file; `number` (1-999) is its place in the radar's count.

    `volume.sweeps` are the cuts of `pattern` in order; a sweep beyond them, or another number of them,
    raises `ValueError`.
    """
    records = [_metadata(volume, pattern), *_ray_records(volume, pattern)]
    return _volume_header(volume, number) + b"".join(_framed(records))


def is_simulated(head: bytes) -> bool:
    """Whether a file that begins with `head` (at least its first record) was written by this module."""
    try:
        metadata = bz2.BZ2Decompressor().decompress(head[28:])
    except (OSError, EOFError):
        return False
    name_at = 126 * SEGMENT_BYTES + _RADIAL_START
    return metadata[name_at : name_at + len(_ADAPTATION_NAME)] == _ADAPTATION_NAME


def _volume_header(volume: Volume, number: int) -> bytes:
    date, ms = _date_and_ms(volume.start)
    return struct.pack(">9s3sII4s", b"AR2V0006.", b"%03d" % number, date, ms, volume.site.encode("ascii"))


def _framed(records: Iterable[bytes]) -> Iterator[bytes]:
    """Each record compressed, with its size in front; the size of the last one is negative."""
    packed = [bz2.compress(record, 9) for record in records]
    for place, record in enumerate(packed, start=1):
        sign = -1 if place == len(packed) else 1
        yield struct.pack(">i", sign * len(record)) + record


def _date_and_ms(moment: datetime) -> tuple[int, int]:
    """Modified Julian day (1 is 1970-01-01) and milliseconds since midnight UTC."""
    total_ms = round(moment.timestamp() * 1000.0)
    return total_ms // _DAY_MS + 1, total_ms % _DAY_MS


# The metadata record.


def _metadata(volume: Volume, pattern: CoveragePattern) -> bytes:
    """The first record; empty segments are all zero."""
    messages = {
        0: (15, _clutter_map(volume)),
        126: (18, _adaptation_data(volume)),
        131: (3, bytes(960)),
        132: (5, _coverage_message(pattern)),
        133: (2, _status_message(volume, pattern)),
    }
    record = bytearray(METADATA_SEGMENTS * SEGMENT_BYTES)
    for place, (kind, payload) in messages.items():
        segments = b"".join(_segments(kind, payload, volume.start))
        start = place * SEGMENT_BYTES
        record[start : start + len(segments)] = segments
    return bytes(record)


def _segments(kind: int, payload: bytes, when: datetime) -> Iterator[bytes]:
    """A message cut into segments of 2432 bytes (ICD 2620002, table II)."""
    date, ms = _date_and_ms(when)
    pieces = [payload[i : i + _SEGMENT_PAYLOAD_BYTES] for i in range(0, len(payload), _SEGMENT_PAYLOAD_BYTES)]
    for number, piece in enumerate(pieces, start=1):
        halfwords = (_MESSAGE_HEADER.size + len(piece)) // 2
        header = _MESSAGE_HEADER.pack(halfwords, _CHANNEL, kind, 0, date, ms, len(pieces), number)
        yield (bytes(_CTM_BYTES) + header + piece).ljust(SEGMENT_BYTES, b"\0")


def _clutter_map(volume: Volume) -> bytes:
    """Message 15: five elevation segments of 360 azimuths, the bypass map in control out to 511 km."""
    date, ms = _date_and_ms(volume.start)
    one_azimuth = struct.pack(">HHH", 1, 1, 511)
    return struct.pack(">HHH", date, ms // 60_000, 5) + one_azimuth * (5 * 360)


def _adaptation_data(volume: Volume) -> bytes:
    """Message 18, of which only the names, the position and the antenna's height are filled."""
    data = bytearray(9468)
    struct.pack_into(">12s4s4s12s12s", data, 0, _ADAPTATION_NAME, b"14", b"19", b"01/01/22", b"00-00-00")
    latitude, longitude = _sexagesimal(volume.latitude_deg), _sexagesimal(volume.longitude_deg)
    struct.pack_into(">ff", data, 1288, latitude[2], longitude[2])
    struct.pack_into(">IIII", data, 1300, *latitude[:2], *longitude[:2])
    north = b"N" if volume.latitude_deg >= 0 else b"S"
    east = b"E" if volume.longitude_deg >= 0 else b"W"
    struct.pack_into(">4s4s", data, 1316, north, east)
    struct.pack_into(">4s", data, 8368, volume.site.encode("ascii"))
    struct.pack_into(">ii", data, 8388, _ground_height_m(volume), _FEEDHORN_ABOVE_GROUND_M)
    return bytes(data)


def _sexagesimal(angle_deg: float) -> tuple[int, int, float]:
    """Degrees, minutes and seconds of an angle without its sign."""
    minutes, seconds = divmod(abs(angle_deg) * 3600.0, 60.0)
    return int(minutes) // 60, int(minutes) % 60, seconds


def _ground_height_m(volume: Volume) -> int:
    return round(volume.height_m) - _FEEDHORN_ABOVE_GROUND_M


def _status_message(volume: Volume, pattern: CoveragePattern) -> bytes:
    """Message 2: operating, on line, all moments sent, this pattern, build 20.1, no alarm."""
    date, ms = _date_and_ms(volume.start)
    state = (16, 2, 4, 2, 1371, 15, 28, pattern.number, 0, 2010, 4, 2, 63, 4, 0, 0, 0, 0)
    maps = (date, ms // 60_000, date, ms // 60_000)
    return struct.pack(">18H4HhHHH", *state, *maps, 24, 3, 0, 0) + bytes(28 + 38) + struct.pack(">H", 9)


def _coverage_message(pattern: CoveragePattern) -> bytes:
    """Message 5 (table XI): pattern header of 11 halfwords, then 23 halfwords a cut."""
    halfwords = 11 + 23 * len(pattern.cuts)
    repeats = max(cut.sails for cut in pattern.cuts)
    supplement = _sails_flags(repeats)
    head = struct.pack(
        ">HHHHBBBBIHHH", halfwords, 2, pattern.number, len(pattern.cuts), 1, 1, 2, 2, 0, 0, supplement, 0
    )
    return head + b"".join(_cut_entry(cut) for cut in pattern.cuts)


def _sails_flags(number: int) -> int:
    """Bit 0: SAILS; bits 1 to 3: how many repeats (pattern) or which one (cut)."""
    return 1 | number << 1 if number else 0


_CHANNEL_PHASE = {
    Waveform.SURVEILLANCE: 2,
    Waveform.DOPPLER_SZ2: 2,
    Waveform.DOPPLER: 0,
    Waveform.BATCH: 0,
}
_RESOLUTION_FLAGS = {
    Waveform.SURVEILLANCE: 0b1011,
    Waveform.DOPPLER_SZ2: 0b0111,
    Waveform.DOPPLER: 0b1010,
    Waveform.BATCH: 0b1110,
}
_BATCH_PULSES = (3, 3)
_SECTOR_EDGES = (0x1558, 0x9558, 0xEE38)


def _cut_entry(cut: Cut) -> bytes:
    """One cut of message 5: angle, waveform, rate, thresholds in 1/8 dB, and three Doppler sectors."""
    doppler = cut.waveform is not Waveform.SURVEILLANCE
    own = (cut.prf, cut.pulses)
    surveillance = {Waveform.SURVEILLANCE: own, Waveform.BATCH: _BATCH_PULSES}.get(cut.waveform, (0, 0))
    head = struct.pack(
        ">HBBBBHh6h",
        cut.angle_code,
        _CHANNEL_PHASE[cut.waveform],
        cut.waveform,
        _RESOLUTION_FLAGS[cut.waveform],
        *surveillance,
        cut.rate_code,
        *(_threshold_eighths(cut),) * 6,
    )
    edges = _SECTOR_EDGES if doppler else (0, 0, 0)
    prf, pulses = own if doppler else (0, 0)
    tails = (_sails_flags(cut.sails), 0, 0)
    sectors = (struct.pack(">4H", edges[i], prf, pulses, tails[i]) for i in range(3))
    return head + b"".join(sectors)


def _threshold_eighths(cut: Cut) -> int:
    """The signal-to-noise threshold of a cut in eighths of a decibel."""
    return 16 if cut.waveform is Waveform.SURVEILLANCE else 28


# The records of rays.


def _ray_records(volume: Volume, pattern: CoveragePattern) -> Iterator[bytes]:
    """The records after the metadata; a status message comes within the first repeated cut."""
    sequence = 1
    status_due = True
    for sweep, cut in zip(volume.sweeps, pattern.cuts, strict=True):
        rays = _rays(volume, pattern, sweep, cut, sequence)
        sequence += len(rays)
        for start in range(0, len(rays), RAYS_PER_RECORD):
            record = rays[start : start + RAYS_PER_RECORD]
            if cut.sails and status_due:
                status_due = False
                yield _with_status(record, volume, pattern, sweep)
            else:
                yield record.tobytes()


def _with_status(record: NDArray[np.void], volume: Volume, pattern: CoveragePattern, sweep: Sweep) -> bytes:
    """A record with message 2 between two of its rays."""
    when = datetime.fromtimestamp(float(sweep.time_s[_STATUS_AFTER_RAY]), UTC)
    (status,) = _segments(2, _status_message(volume, pattern), when)
    return record[:_STATUS_AFTER_RAY].tobytes() + status + record[_STATUS_AFTER_RAY:].tobytes()


def _rays(
    volume: Volume, pattern: CoveragePattern, sweep: Sweep, cut: Cut, sequence: int
) -> NDArray[np.void]:
    """The rays of one sweep as an array of message 31, each with its channel header."""
    rays = np.zeros(len(sweep.azimuth_deg), dtype=_ray_dtype(sweep))
    _fill_headers(rays, volume, sweep, sequence)
    rays["status"] = _ray_status(len(rays), sweep.number, len(volume.sweeps))
    rays["volume_block"] = np.void(_volume_block(volume, pattern))
    rays["elevation_block"] = np.void(struct.pack(">4sHhf", b"RELV", 12, -12, _CALIBRATION_DBZ))
    rays["radial_block"] = np.void(_radial_block(cut))
    pointers = [72, 124, 136]
    for name, moment in sweep.moments.items():
        pointers.append(_field_offset(rays.dtype, f"{name}_head") - _RADIAL_START)
        rays[f"{name}_head"] = np.void(_moment_header(moment, cut))
        rays[name] = moment.codes
    rays["pointers"][:, : len(pointers)] = pointers
    rays["block_count"] = len(pointers)
    return rays


def _ray_dtype(sweep: Sweep) -> np.dtype[np.void]:
    """The layout of one ray of this sweep."""
    fields = list(_HEADER_FIELDS)
    for name, moment in sweep.moments.items():
        fields.append((f"{name}_head", f"V{_MOMENT_HEADER.size}", ()))
        fields.append((name, f">u{moment.codes.itemsize}", (moment.codes.shape[1],)))
    return np.dtype(fields)


def _field_offset(dtype: np.dtype[np.void], name: str) -> int:
    fields = dtype.fields
    if fields is None:
        raise ValueError("a ray's layout has named fields")
    return fields[name][1]


def _fill_headers(rays: NDArray[np.void], volume: Volume, sweep: Sweep, sequence: int) -> None:
    """The message and data headers (tables II and XVII-A)."""
    total_ms = np.rint(sweep.time_s * 1000.0).astype(np.int64)
    length = rays.dtype.itemsize - _RADIAL_START
    rays["size"] = (length + _MESSAGE_HEADER.size) // 2
    rays["channel"], rays["type"] = _CHANNEL, 31
    rays["segments"], rays["segment"] = 1, 1
    rays["sequence"] = (sequence + np.arange(len(rays))) & 0x7FFF
    rays["date"] = rays["collect_date"] = total_ms // _DAY_MS + 1
    rays["ms"] = rays["collect_ms"] = total_ms % _DAY_MS
    rays["icao"] = volume.site.encode("ascii")
    rays["azimuth_number"] = np.arange(1, len(rays) + 1)
    rays["azimuth"] = sweep.azimuth_deg
    rays["length"] = length
    rays["spacing"] = 1 if sweep.spacing_deg < 1.0 else 2
    rays["elevation_number"] = sweep.number
    rays["cut_sector"] = 1
    rays["elevation"] = sweep.elevation_deg
    rays["index_mode"] = 25 if sweep.spacing_deg < 1.0 else 50


def _ray_status(count: int, number: int, last: int) -> NDArray[np.uint8]:
    """3 begins the volume, 0 a cut, 2 ends a cut, 4 the volume; 1 is in between."""
    status = np.ones(count, dtype=np.uint8)
    status[0] = 3 if number == 1 else 0
    status[-1] = 4 if number == last else 2
    return status


def _volume_block(volume: Volume, pattern: CoveragePattern) -> bytes:
    """Table XVII-E: position, calibration, transmitter power in kW, pattern."""
    position = (volume.latitude_deg, volume.longitude_deg, _ground_height_m(volume), _FEEDHORN_ABOVE_GROUND_M)
    block = struct.pack(
        ">4sHBBffhHfffffHH",
        b"RVOL",
        52,
        3,
        0,
        *position,
        _CALIBRATION_DBZ,
        200.0,
        200.0,
        0.0,
        _INITIAL_PHASE_DEG,
        pattern.number,
        3,
    )
    return block.ljust(52, b"\0")


def _radial_block(cut: Cut) -> bytes:
    """Table XVII-H: unambiguous range in 100 m, noise in dBm, Nyquist velocity in cm/s, calibration."""
    reach, nyquist = round(cut.unambiguous_range_m / 100.0), round(cut.nyquist_mps * 100.0)
    noise, calibration = (-82.25, -81.75), (_CALIBRATION_DBZ, _CALIBRATION_DBZ)
    return struct.pack(">4sHHffHHff", b"RRAD", 28, reach, *noise, nyquist, 0, *calibration)


def _moment_header(moment: Moment, cut: Cut) -> bytes:
    """Table XVII-B: gates, range to the first one, spacing, thresholds, word size, scale and offset."""
    return _MOMENT_HEADER.pack(
        b"D" + moment.name.ljust(3).encode("ascii"),
        0,
        moment.codes.shape[1],
        round(moment.first_gate_m),
        round(moment.gate_spacing_m),
        50,
        _threshold_eighths(cut),
        0,
        moment.codes.itemsize * 8,
        moment.scale,
        moment.offset,
    )
