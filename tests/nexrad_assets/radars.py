"""Sweeps and volumes made by hand, for tests that state the truth themselves."""

from datetime import UTC, datetime

import numpy as np

from nexrad_assets.radar.volume import Moment, Sweep, Volume

START = datetime(2025, 4, 9, 12, 34, 56, tzinfo=UTC)


def moment(codes, *, name="REF", scale=2.0, offset=66.0, first_gate_m=2125.0, gate_spacing_m=250.0):
    return Moment(name, np.asarray(codes), scale, offset, first_gate_m, gate_spacing_m)


def sweep(codes, *, number=1, elevation=0.5, commanded=None, jitter=0.0, names=("REF",), seed=0, **gates):
    """A sweep whose moments `names` all have these codes, rays at evenly spread (jittered) azimuths."""
    codes = np.asarray(codes)
    rays = len(codes)
    spacing = 360.0 / rays
    noise = np.random.default_rng(seed).uniform(-jitter, jitter, rays) * spacing
    azimuth = ((np.arange(rays) + 0.5) * spacing + 137.0 + noise) % 360.0
    return Sweep(
        number=number,
        azimuth_deg=azimuth.astype(np.float32),
        elevation_deg=np.full(rays, elevation, np.float32),
        time_s=START.timestamp() + 20.0 * number + np.linspace(0.0, 18.0, rays),
        spacing_deg=spacing,
        commanded_deg=commanded,
        nyquist_mps=None,
        moments={name: moment(codes, name=name, **gates) for name in names},
    )


def volume(*sweeps, site="KPDT", latitude=45.6906, longitude=-118.8529):
    return Volume(
        site=site,
        version="V06",
        start=START,
        vcp=212,
        latitude_deg=latitude,
        longitude_deg=longitude,
        height_m=462.0,
        sweeps=sweeps,
    )
