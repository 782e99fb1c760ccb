"""Real files of Level 3 products, and the same as if another radar had sent them."""

import struct

from nexrad_assets.radar.sites import site

PRODUCT_SAMPLES = {
    "HHC": "LOT_HHC_2021_01_31_11_06_30",
    "N0H": "LOT_N0H_2021_01_31_11_06_30",
    "DAA": "AMX_DAA_2026_07_10_04_57_17",
    "DTA": "AMX_DTA_2026_07_10_04_57_17",
    "N1P": "LOT_N1P_2021_01_31_11_06_30",
    "N0S": "LOT_N0S_2021_01_31_11_06_30",
    "EET": "AMX_EET_2026_07_10_04_57_17",
    "NST": "AMX_NST_2026_07_10_04_57_17",
    "NMD": "LOT_NMD_2021_06_21_04_27_31",
    "NVW": "AMX_NVW_2026_07_10_04_57_17",
    "NHI": "BMX_NHI_2015_01_02_02_05_00",
}
"""A real file of each product that the tests let arrive."""

NULL_DAA = "LOT_DAA_2021_05_08_03_40_29"
"""An hour in which nothing fell."""

_LINE = b"\r\r\n"
_POSITION = 20
"""Where a message tells its antenna's place, in thousandths of a degree (ICD 2620001, halfwords 11 to 14)."""


def moved(data: bytes, site_id: str) -> bytes:
    """A product as the radar of this site would have sent it; what has no header of two lines stays as it is."""
    header, line, message = data.partition(_LINE)
    code, second, message = message.partition(_LINE)
    if not second:
        return data
    radar = site(site_id)
    place = struct.pack(">2i", round(radar.latitude_deg * 1000), round(radar.longitude_deg * 1000))
    code = code[:3] + radar.short_id.encode()
    return b"".join((header, line, code, second, message[:_POSITION], place, message[_POSITION + 8 :]))
