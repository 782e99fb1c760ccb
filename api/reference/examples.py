"""An answer of each kind, as OpenAPI shows them: those of a server on simulated data, with lists cut short."""

from __future__ import annotations

from typing import Any

from api.v1 import paging
from api.v1.dwd.models import unchanged

Json = dict[str, Any]

_CURSOR = paging.cursor("scans", "2025-04-09T12:00:00+00:00", "KPDT20250409_120000_V06", 0.0)
_FOLDER = "weather/icon-d2/grib/2025040909/clat/"
_FIELD = f"{_FOLDER}icon-d2_icosahedral_single_2025040909_00000_2d_clat.grib2.lz4"


def _credit(changes: str) -> Json:
    return unchanged(changes).model_dump()


_SCAN: Json = {
    "image": "KPDT20250409_120000_V06_reflectivity_idx0",
    "key": "KPDT20250409_120000_V06",
    "site": "KPDT",
    "product": "reflectivity",
    "code": None,
    "level": 2,
    "idx": 0,
    "tilt_deg": 0.48,
    "elevation_deg": 0.527,
    "tilts": 7,
    "valid_time": "2025-04-09T12:00:00Z",
    "scan_start": "2025-04-09T12:00:00Z",
    "scan_end": "2025-04-09T12:03:00.487000Z",
    "vcp": 212,
    "status": "whole",
    "missing": [],
    "sha256": "8ffb8749b4b162472a49e887f065a8b7b0e2b5be2ecc326d076bdb2f5b235806",
    "bytes": 36883,
    "pixels": 900,
    "canvas_km": 460,
    "range_km": 459.303,
    "corners": {
        "nw": [-124.7937, 49.8279],
        "ne": [-112.9121, 49.8279],
        "se": [-112.9121, 41.5504],
        "sw": [-124.7937, 41.5504],
    },
    "href": "/v1/images/KPDT20250409_120000_V06_reflectivity_idx0.8ffb8749.png",
    "repeats": [
        {
            "valid_time": "2025-04-09T12:02:28.194000Z",
            "sweep_number": 11,
            "sha256": "d48119339f19a50fa5b9c2b833d5a0d552ebee927c8fcaf6233007df763ff37a",
            "bytes": 36762,
            "href": "/v1/images/KPDT20250409_120000_V06_reflectivity_idx0.d4811933.png",
        }
    ],
    "documents": {},
}

EXAMPLES: dict[str, Json] = {
    "FlagsUpdated": {"updated": True, "message": "flags of KPDT updated"},
    "Nudged": {"nudged": True},
    "AllLists": {
        "hydrometeor": {"KPDT20250409_120000_HHC": {"sweeps": 1}},
        "precipitation": {},
        "reflectivity": {"KPDT20250409_115000_V06": {"sweeps": 3}, "KPDT20250409_120000_V06": {"sweeps": 7}},
    },
    "ScanList": {"KPDT20250409_115000_V06": {"sweeps": 3}, "KPDT20250409_120000_V06": {"sweeps": 7}},
    "Options": {
        "hydrometeor": [{"value": "N0H", "label": "Hydrometeor classification (about 0.5°)", "count": 0}],
        "precipitation": [{"value": "OHA", "label": "One-hour accumulation (16 levels)", "count": 0}],
        "reflectivity": [{"value": None, "label": None, "count": 0}],
    },
    "FlagSet": {"updates": {"reflectivity": 1, "hydrometeor": 0, "precipitation": 0}},
    "SweepMetadata": {
        "original_sweep_number": 1,
        "elevation_index": 1,
        "elevation_angle_degrees": 0.527,
        "azimuth_angle_degrees": 131.759,
        "bounding_box_lon_lat": _SCAN["corners"],
        "site": "KPDT",
        "scan": "KPDT20250409_120000_V06",
        "product": "reflectivity",
        "code": None,
        "label": None,
        "commanded_elevation_degrees": 0.48,
        "valid_time": "2025-04-09T12:00:00.000Z",
        "sweep_end": "2025-04-09T12:00:13.089Z",
        "scan_start": "2025-04-09T12:00:00.000Z",
        "scan_end": "2025-04-09T12:03:00.487Z",
        "vcp": 212,
        "status": "whole",
        "missing": [],
        "unit": "dBZ",
        "scale": 0.5,
        "offset": -33.0,
        "first_value_index": 2,
        "codes": {"0": "below threshold or no data", "1": "range folded"},
        "values": None,
        "colour_table": "NWSRef",
        "value_range": [-20.0, 60.0],
        "code_colours": {},
        "colour_rungs": None,
        "canvas_range_km": 460,
        "sweep_range_km": 459.303,
        "pixels": 900,
        "sha256": "8ffb8749b4b162472a49e887f065a8b7b0e2b5be2ecc326d076bdb2f5b235806",
        "bytes": 36883,
        "repeats": [
            {
                "valid_time": "2025-04-09T12:00:00.000Z",
                "sweep_number": 1,
                "sha256": "8ffb8749b4b162472a49e887f065a8b7b0e2b5be2ecc326d076bdb2f5b235806",
            }
        ],
        "source": {
            "key": "2025/04/09/KPDT/KPDT20250409_120000_V06",
            "etag": "9f86d081884c7d65",
            "bytes": 4408530,
        },
        "credit": "NOAA/NWS NEXRAD",
    },
    "Error": {"error": "site must be a four-letter id like KPDT"},
    "Problem": {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "detail": "colour: unknown; there are: none",
        "instance": "/v1/sites",
        "request_id": "0f1e2d3c4b5a6978",
        "errors": [{"name": "colour", "location": "query", "message": "unknown; there are: none"}],
    },
    "Alive": {"alive": True},
    "Readiness": {
        "ready": True,
        "store_answered_s": 0.5,
        "fault": None,
        "sites": 2,
        "newest": {
            "site": "KPDT",
            "time": "2025-04-09T12:00:00Z",
            "age_s": 0.0,
            "levels": {"2": "2025-04-09T12:00:00Z", "3": "2025-04-09T12:00:00Z"},
        },
        "primary": {
            "site": "KPDT",
            "time": "2025-04-09T12:00:00Z",
            "age_s": 0.0,
            "levels": {"2": "2025-04-09T12:00:00Z", "3": "2025-04-09T12:00:00Z"},
        },
        "archive": {
            "fault": None,
            "free_bytes": 72000000000,
            "floor_bytes": 10000000000,
            "paused": False,
            "newest": [
                {
                    "collection": "icon-d2",
                    "period": "2025040909",
                    "state": "complete",
                    "kept": 5,
                    "missing": 0,
                    "failed": 0,
                    "looked_at": "2025-04-09T12:00:00Z",
                }
            ],
        },
    },
    "Sites": {
        "sites": [
            {
                "id": "KPDT",
                "name": "Pendleton",
                "state": "OR",
                "longitude_deg": -118.8529,
                "latitude_deg": 45.6906,
                "height_m": 481.6,
                "kind": "WSR-88D",
                "newest": {"2": "2025-04-09T12:00:00Z", "3": "2025-04-09T12:00:00Z"},
                "days": ["2025-04-09"],
            }
        ],
        "primary": "KPDT",
        "attribution": "NOAA/NWS NEXRAD, rendered here. Not for safety of life.",
    },
    "Products": {
        "site": "KPDT",
        "products": [
            {
                "id": "reflectivity",
                "level": 2,
                "code": None,
                "group": "reflectivity",
                "label": "Reflectivity",
                "unit": "dBZ",
                "count": 6,
                "tilts": [0.48, 0.5, 0.88],
                "legend": {
                    "scale": 0.5,
                    "offset": -33.0,
                    "first_value_index": 2,
                    "values": None,
                    "codes": {"0": "below threshold or no data", "1": "range folded"},
                    "value_range": [-20.0, 60.0],
                    "colours": [[0, 0, 0, 0], [0, 0, 0, 0], [0, 236, 236, 255]],
                },
            }
        ],
        "attribution": "NOAA/NWS NEXRAD, rendered here. Not for safety of life.",
    },
    "Scans": {
        "scans": [_SCAN],
        "next": f"/v1/scans?product=reflectivity&limit=1&cursor={_CURSOR}",
        "newest": "2025-04-09T12:00:00Z",
        "attribution": "NOAA/NWS NEXRAD, rendered here. Not for safety of life.",
    },
    "Latest": {"scan": _SCAN, "attribution": "NOAA/NWS NEXRAD, rendered here. Not for safety of life."},
    "ScanFeature": {
        "type": "Feature",
        "id": "KPDT20250409_120000_V06_reflectivity_idx0",
        "geometry": {
            "type": "Polygon",
            "coordinates": [
                [
                    [-124.7937, 49.8279],
                    [-124.7937, 41.5504],
                    [-112.9121, 41.5504],
                    [-112.9121, 49.8279],
                    [-124.7937, 49.8279],
                ]
            ],
        },
        "properties": {
            **_SCAN,
            "sweep_number": 1,
            "source": {
                "key": "2025/04/09/KPDT/KPDT20250409_120000_V06",
                "etag": "9f86d081884c7d65",
                "bytes": 4408530,
            },
            "links": [
                {
                    "rel": "self",
                    "href": "/v1/scans/KPDT20250409_120000_V06_reflectivity_idx0",
                    "type": "application/geo+json",
                }
            ],
        },
        "attribution": "NOAA/NWS NEXRAD, rendered here. Not for safety of life.",
    },
    "Vectors": {
        "documents": [
            {
                "name": "NST",
                "kind": "storm_tracks",
                "valid_time": "2025-04-09T12:00:00Z",
                "key": "KPDT20250409_120000_NST",
                "href": "/v1/documents/KPDT20250409_120000_NST_storms.f1c2a3f1.geojson",
                "count": 17,
                "bytes": 15574,
            }
        ],
        "attribution": "NOAA/NWS NEXRAD, rendered here. Not for safety of life.",
    },
    "Values": {
        "point": {"lon": -118.5, "lat": 45.9, "azimuth_deg": 49.576, "ground_range_km": 35.977},
        "values": [
            {
                "tilt_deg": 0.48,
                "elevation_deg": 0.527,
                "idx": 0,
                "index": 0,
                "value": None,
                "meaning": "below threshold or no data",
                "step": 0.5,
                "unit": "dBZ",
                "beam_height_above_radar_m": 407.1,
                "beam_height_above_sea_m": 888.7,
                "valid_time": "2025-04-09T12:02:28.194000Z",
            }
        ],
        "scan": {
            "key": "KPDT20250409_120000_V06",
            "site": "KPDT",
            "product": "reflectivity",
            "code": None,
            "level": 2,
            "scan_start": "2025-04-09T12:00:00Z",
            "scan_end": "2025-04-09T12:03:00.487000Z",
            "vcp": 212,
        },
        "attribution": "NOAA/NWS NEXRAD, rendered here. Not for safety of life.",
    },
    "Runs": {
        "items": [
            {
                "collection": "mosmix-l",
                "period": "2025040909",
                "kind": "issue",
                "start": "2025-04-09T09:00:00Z",
                "state": "complete",
                "expected": 1,
                "kept": 1,
                "missing": 0,
                "failed": 0,
                "changed": 0,
                "corrections": 0,
                "bytes_kept": 10180,
                "expects_more": False,
                "minutes_left": None,
                "deadline": None,
                "looked_at": "2025-04-09T12:00:00Z",
                "warnings": [],
                "revision": 1,
                "href": "/v1/dwd/runs/mosmix-l/2025040909",
                "files_href": "/v1/dwd/runs/mosmix-l/2025040909/files",
            }
        ],
        "next_cursor": paging.cursor("runs", "2025040909", "mosmix-l"),
        "attribution": _credit("counts of an archive; DWD's files themselves are unchanged"),
    },
    "RunDetail": {
        "collection": "icon-d2",
        "period": "2025040909",
        "kind": "run",
        "start": "2025-04-09T09:00:00Z",
        "state": "complete",
        "expected": 5,
        "kept": 5,
        "missing": 0,
        "failed": 0,
        "changed": 0,
        "corrections": 0,
        "bytes_kept": 15289,
        "expects_more": False,
        "minutes_left": None,
        "deadline": None,
        "looked_at": "2025-04-09T12:00:00Z",
        "warnings": [],
        "revision": 1,
        "href": "/v1/dwd/runs/icon-d2/2025040909",
        "files_href": "/v1/dwd/runs/icon-d2/2025040909/files",
        "missing_paths": [],
        "failures": [],
        "latest_corrections": [],
        "sources": [
            {
                "server": "https://opendata.dwd.de",
                "files": 5,
                "first_fetched_at": "2025-04-09T12:00:00Z",
                "last_fetched_at": "2025-04-09T12:00:00Z",
            }
        ],
        "made_here": 0,
        "attribution": _credit("counts of an archive; DWD's files themselves are unchanged"),
    },
    "Files": {
        "items": [
            {
                "path": _FIELD,
                "sha256": "72d7edc720622b09779e310d81329f769e4647f9468f47c60c2366c7cf80801e",
                "size": 4855,
                "stored_bytes": 856,
                "kept_at": "2025-04-09T12:00:00Z",
                "field": {
                    "parameter": "clat",
                    "level_type": "time-invariant",
                    "level": None,
                    "step_minutes": 0,
                    "member": None,
                    "grid": "icosahedral",
                    "qualifiers": "",
                },
                "station": None,
                "source": {
                    "url": f"https://opendata.dwd.de/{_FIELD}",
                    "fetched_at": "2025-04-09T12:00:00Z",
                    "length": 4855,
                    "sha256": "523e57978e5a78eb9928e9e23cbf129e0e7122b84b721757e693c960d7c8f8c9",
                    "etag": '"5f3a-64"',
                    "modified": "2025-04-09T11:50:00Z",
                    "codec": "none",
                },
                "made_from": [],
                "as_of": None,
                "notes": [],
                "earlier": [],
                "href": f"/v1/dwd/files/{_FIELD}",
            }
        ],
        "next_cursor": paging.cursor("files", _FIELD),
        "attribution": _credit("packed anew; made of other files where `made_from` names them"),
    },
    "Stations": {
        "items": [
            {
                "id": "10315",
                "name": "MUENSTER/OSNABR.",
                "latitude_deg": 52.13,
                "longitude_deg": 7.7,
                "height_m": 48.0,
                "distance_km": 3.34,
                "reports_href": "/v1/dwd/stations/10315/reports",
                "forecast_href": "/v1/dwd/stations/10315/forecast",
            }
        ],
        "next_cursor": paging.cursor("stations", 3.34, "10315"),
        "attribution": _credit("gathered from forecasts and reports"),
    },
    "Reports": {
        "station": "10315",
        "start": "2025-04-09",
        "end": "2025-04-09",
        "columns": [
            {"name": "dry_bulb_temperature_at_2_meter_above_ground", "unit": "°C", "source_unit": "Grad C"}
        ],
        "rows": [{"time": "2025-04-09T00:00:00Z", "values": [1.9]}],
        "missing": [
            {
                "start": "2025-04-09T01:00:00Z",
                "end": "2025-04-09T02:00:00Z",
                "reason": "no_row",
                "detail": "the day's file has no row of these hours",
                "ledger_href": "/v1/dwd/runs/poi/20250409",
            }
        ],
        "warnings": [],
        "next_cursor": paging.cursor("reports", "2025-04-09T01:00:00+00:00"),
        "attribution": _credit("hourly files merged into days; values as published"),
    },
    "Forecast": {
        "station": "10315",
        "name": "MUENSTER/OSNABR.",
        "latitude_deg": 52.13,
        "longitude_deg": 7.7,
        "height_m": 48.0,
        "product": "L",
        "issue": "2025040909",
        "issued": "2025-04-09T09:00:00Z",
        "times": ["2025-04-09T10:00:00Z", "2025-04-09T11:00:00Z", "2025-04-09T12:00:00Z"],
        "series": [
            {
                "element": "TTT",
                "unit": "K",
                "description": "temperature 2 m above the surface",
                "values": [298.12, 299.33, 300.54],
            }
        ],
        "elements": [],
        "file_href": "/v1/dwd/files/weather/local_forecasts/mos/2025040909/10315-MOSMIX.kmz",
        "attribution": _credit("an extract; values as published"),
    },
    "PointSeries": {
        "model": "icon-d2",
        "run": "2025040909",
        "reference_time": "2025-04-09T09:00:00Z",
        "run_state": "complete",
        "parameter": "t_2m",
        "level_type": "single",
        "level": None,
        "qualifiers": "",
        "member": None,
        "unit": "K",
        "grid": "regular",
        "requested": {"latitude_deg": 51.034, "longitude_deg": 9.366},
        "position": {"latitude_deg": 51.234, "longitude_deg": 9.414},
        "distance_km": 22.495,
        "steps": [{"lead_minutes": 0, "valid_time": "2025-04-09T09:00:00Z", "value": 307.8447}],
        "missing_steps": 0,
        "unreadable": [],
        "attribution": _credit("the value of the nearest grid point, unchanged"),
    },
    "FieldSeries": {
        "model": "icon-d2",
        "parameter": "t_2m",
        "level_type": "single",
        "level": None,
        "qualifiers": "",
        "member": None,
        "unit": "K",
        "run": None,
        "times": [
            {"valid_time": "2025-04-09T09:00:00Z", "run": "2025040909", "lead_minutes": 0},
            {"valid_time": "2025-04-09T10:00:00Z", "run": "2025040909", "lead_minutes": 60},
        ],
        "points": [
            {
                "name": "10315",
                "station_name": "MUENSTER/OSNABR.",
                "requested": {"latitude_deg": 52.13, "longitude_deg": 7.7},
                "grid_points": [
                    {
                        "latitude_deg": 52.12,
                        "longitude_deg": 7.7,
                        "grid": "regular",
                        "distance_km": 1.112,
                        "runs": ["2025040909"],
                    }
                ],
                "values": [281.25, None],
            }
        ],
        "missing": [
            {
                "valid_time": "2025-04-09T11:00:00Z",
                "run": "2025040909",
                "lead_minutes": 120,
                "path": "weather/icon-d2/grib/2025040909/t_2m/"
                "icon-d2_germany_regular-lat-lon_single-level_2025040909_002_2d_t_2m.grib2.lz4",
                "reason": "not kept",
            }
        ],
        "attribution": _credit("the value of the nearest grid point, unchanged"),
    },
}
"""Examples by the names of the models."""
