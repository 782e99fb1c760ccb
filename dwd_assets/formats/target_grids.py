"""The regular grids that Deutscher Wetterdienst published a model on, which fields on its triangles are regridded to.

Source: section 3 of the server's files `icon-d2_germany_regular-lat-lon_*` and `icon-eu_europe_regular-lat-lon_*`.
"""

from __future__ import annotations

from collections.abc import Mapping

from dwd_assets.formats.grib.grid import LatLonGrid

TARGET_GRIDS: Mapping[str, LatLonGrid] = {
    "icon-d2": LatLonGrid(1215, 746, 43_180_000, 356_060_000, 20_000, 20_000),
    "icon-eu": LatLonGrid(1097, 657, 29_500_000, 336_500_000, 62_500, 62_500),
}
"""By model: of ICON-D2 43.18 to 58.08 N, 3.94 W to 20.34 E, 0.02 degrees; of ICON-EU 29.5 to 70.5 N, 23.5 W to 45 E,
0.0625 degrees.
"""
