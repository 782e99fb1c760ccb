"""A site's data made by hand: PNG files, snapshots, heads and the index, written in the pipeline's order."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import msgspec

from store import keys
from store.objects import ObjectMissing, Store, StoredObject, StoreUnavailable
from store.radar import lists
from store.radar.snapshot import (
    Corners,
    DayHead,
    Head,
    HeadIndex,
    Image,
    Layer,
    LevelHead,
    Scan,
    SiteHead,
    Snapshot,
    SourceFile,
    Tilt,
    decode,
    encode,
    ordered,
)

NOON = datetime(2025, 4, 9, 12, 0, tzinfo=UTC)
CORNERS = Corners(nw=(-122.0, 47.0), ne=(-116.0, 47.0), se=(-116.0, 43.0), sw=(-122.0, 43.0))


@dataclass
class Clock:
    """A clock that tests set."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now


def png(seed: str, side: int = 8) -> bytes:
    """A true palette PNG whose pixels depend on `seed`."""
    pixel = hashlib.sha256(seed.encode()).digest()
    rows = b"".join(b"\0" + (pixel * side)[:side] for _ in range(side))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes(range(256)) * 3),
        (b"IDAT", zlib.compress(rows)),
        (b"tEXt", b"seed\0" + seed.encode("latin-1")),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


@dataclass
class Made:
    """A scan with the objects of its images."""

    scan: Scan
    objects: dict[str, bytes] = field(default_factory=dict)


def made(
    site: str,
    start: datetime,
    *,
    product: str = "reflectivity",
    suffix: str = "V06",
    tilts: int = 3,
    origin: str = "live",
    edition: int = 0,
) -> Made:
    """A scan of `tilts` images; another `edition` is the same scan rendered to other bytes."""
    key = f"{site}{start:%Y%m%d_%H%M%S}_{suffix}"
    level = 2 if suffix.startswith("V") else 3
    objects: dict[str, bytes] = {}
    ranked = []
    for index in range(tilts):
        data = png(f"{key} {product} {index} {edition}")
        digest = hashlib.sha256(data).hexdigest()
        name = keys.image_name(key, product, index, digest)
        objects[keys.image(level, key, name)] = data
        moment = start + timedelta(seconds=15 * index)
        image = Image(name, digest, len(data), moment, moment, index + 1, 0.5 + index, 12.5, 460, 459.0, 8)
        ranked.append(Tilt(0.5 + index, (image,)))
    layer = Layer(
        "dBZ",
        0.5,
        -33.0,
        2,
        {"0": "below threshold"},
        product,
        (-20.0, 75.0),
        tuple(ranked),
        None if level == 2 else suffix,
    )
    scan = Scan(
        key=key,
        level=level,
        start=start,
        end=start + timedelta(minutes=4),
        origin=origin,
        status="whole",
        source=SourceFile(f"2025/04/09/{site}/{key}", "etag", 4_000_000),
        fingerprint=f"test {edition}",
        published=start + timedelta(minutes=5),
        vcp=212,
        corners={460: CORNERS},
        layers={product: layer},
    )
    return Made(scan, objects)


class Publisher:
    """Writes images, then snapshot, head and index, and only then deletes what is listed no more."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._revision = 1

    def publish(self, *scans: Made) -> None:
        """Add scans, or put them in place of earlier ones with the same key; who sees one of them sees all."""
        for one in scans:
            for key, data in one.objects.items():
                self.store.put(key, data, "image/png")
        groups: dict[tuple[str, date], list[Scan]] = {}
        for one in scans:
            groups.setdefault((one.scan.key[:4], one.scan.start.date()), []).append(one.scan)
        gone: set[str] = set()
        for (site, day), new in groups.items():
            before = self.snapshot(site, day).scans
            self._write(site, day, {**before, **{scan.key: scan for scan in new}})
            gone |= _objects(before[scan.key] for scan in new if scan.key in before) - _objects(new)
        self._announce({site for site, _ in groups})
        self.store.delete(sorted(gone))

    def remove(self, scan_key: str) -> None:
        """Take a scan out of its day, then its images."""
        site, day = scan_key[:4], keys.scan_day(scan_key)
        scans = dict(self.snapshot(site, day).scans)
        gone = scans.pop(scan_key)
        self._write(site, day, scans)
        self._announce({site})
        self.store.delete(sorted(_objects([gone])))

    def snapshot(self, site: str, day: date) -> Snapshot:
        """The snapshot of a day, empty where there is none."""
        key = keys.snapshot(site, day)
        try:
            return decode(self.store.get(key).data, Snapshot, key)
        except ObjectMissing:
            return Snapshot(site, day, 0)

    def touch(self, site: str, day: date) -> None:
        """Announce a day as changed."""
        self._revision += 1
        line = msgspec.structs.replace(self._head(site).days[day.isoformat()], revision=self._revision)
        self._tell(site, day, line)
        self._announce({site})

    def _write(self, site: str, day: date, scans: dict[str, Scan]) -> None:
        self._revision += 1
        self.store.put(keys.snapshot(site, day), encode(Snapshot(site, day, self._revision, ordered(scans))))
        listed = list(lists.listed(scans.values()))
        by_level = {level: [one for one in listed if one.level == level] for level in lists.LEVELS}
        heads = {level: _level_head(scans) for level, scans in by_level.items() if scans}
        self._tell(site, day, DayHead(self._revision, heads))

    def _tell(self, site: str, day: date, line: DayHead) -> None:
        days = dict(sorted({**self._head(site).days, day.isoformat(): line}.items()))
        self.store.put(keys.head(site), encode(Head(site, self._revision, days)))

    def _announce(self, sites: Iterable[str]) -> None:
        heads = {site: self._head(site) for site in sites}
        told = {site: SiteHead(head.revision, head.newest_of_levels()) for site, head in heads.items()}
        index = HeadIndex(dict(sorted({**self._index().sites, **told}.items())))
        self.store.put(keys.HEAD_INDEX, encode(index))

    def _head(self, site: str) -> Head:
        try:
            return decode(self.store.get(keys.head(site)).data, Head, site)
        except ObjectMissing:
            return Head(site, 0)

    def _index(self) -> HeadIndex:
        try:
            return decode(self.store.get(keys.HEAD_INDEX).data, HeadIndex, keys.HEAD_INDEX)
        except ObjectMissing:
            return HeadIndex()


def _level_head(scans: list[Scan]) -> LevelHead:
    live = [scan.start for scan in scans if scan.origin == "live"]
    newest = max((scan.start for scan in scans), default=None)
    return LevelHead(len(scans), len(live), newest, max(live, default=None))


def _objects(scans: Iterable[Scan]) -> set[str]:
    return {
        keys.image(scan.level, scan.key, image.name)
        for scan in scans
        for layer in scan.layers.values()
        for tilt in layer.tilts
        for image in tilt.images
    }


class Switched:
    """A store that can be switched off, and that counts what is read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.away = False
        self.reads: list[str] = []
        self.refused: list[str] = []

    def get(self, key: str) -> StoredObject:
        self._check(key)
        self.reads.append(key)
        return self._store.get(key)

    def _check(self, key: str) -> None:
        if self.away:
            self.refused.append(key)
            raise StoreUnavailable(f"{key}: switched off")

    def __getattr__(self, name: str):
        method = getattr(self._store, name)

        def checked(*args, **kwargs):
            self._check(str(args[0]) if args else name)
            return method(*args, **kwargs)

        return checked
