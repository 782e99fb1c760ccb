"""What MOSMIX elements are, and their units.

Source: DWD's `MetElementDefinition.xml` (https://opendata.dwd.de/weather/lib/MetElementDefinition.xml). Units are
SI, but percent, degrees of wind direction and kJ/m²; a kilogram of water on a square metre is a millimetre.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PURE_NUMBER = "1"
"""The unit of codes."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """An element's unit (`1` for codes) and what it is."""

    unit: str
    description: str


_K, _PA, _MS, _DEGREES, _S, _WATER, _ENERGY, _PERCENT = "K", "Pa", "m/s", "°", "s", "kg/m²", "kJ/m²", "%"

_MEANINGS = {
    "PPPP": Meaning(_PA, "surface pressure, reduced to sea level"),
    "TTT": Meaning(_K, "temperature 2 m above the surface"),
    "Td": Meaning(_K, "dew point 2 m above the surface"),
    "TX": Meaning(_K, "highest temperature within the last 12 hours"),
    "TN": Meaning(_K, "lowest temperature within the last 12 hours"),
    "TG": Meaning(_K, "lowest temperature 5 cm above the surface within the last 12 hours"),
    "TM": Meaning(_K, "mean temperature within the last 24 hours"),
    "T5cm": Meaning(_K, "temperature 5 cm above the surface"),
    "DD": Meaning(_DEGREES, "wind direction"),
    "FF": Meaning(_MS, "wind speed"),
    "FX1": Meaning(_MS, "highest gust within the last hour"),
    "FX3": Meaning(_MS, "highest gust within the last 3 hours"),
    "FXh": Meaning(_MS, "highest gust within the last 12 hours"),
    "N": Meaning(_PERCENT, "total cloud cover"),
    "Neff": Meaning(_PERCENT, "effective cloud cover"),
    "Nlm": Meaning(_PERCENT, "cloud cover below 7 km"),
    "Nh": Meaning(_PERCENT, "high cloud cover"),
    "Nm": Meaning(_PERCENT, "mid-level cloud cover"),
    "Nl": Meaning(_PERCENT, "low cloud cover"),
    "N05": Meaning(_PERCENT, "cloud cover below 500 ft"),
    "H_BsC": Meaning("m", "cloud base of convective clouds"),
    "VV": Meaning("m", "visibility"),
    "VV10": Meaning(_PERCENT, "probability of a visibility below 1 km"),
    "ww": Meaning(PURE_NUMBER, "significant weather, code"),
    "ww3": Meaning(PURE_NUMBER, "significant weather within the last 3 hours, code"),
    "W1W2": Meaning(PURE_NUMBER, "past weather within the last 6 hours, code"),
    "WPc11": Meaning(PURE_NUMBER, "optional significant weather of the last hour, code"),
    "WPc31": Meaning(PURE_NUMBER, "optional significant weather of the last 3 hours, code"),
    "WPc61": Meaning(PURE_NUMBER, "optional significant weather of the last 6 hours, code"),
    "WPch1": Meaning(PURE_NUMBER, "optional significant weather of the last 12 hours, code"),
    "WPcd1": Meaning(PURE_NUMBER, "optional significant weather of the last 24 hours, code"),
    "DRR1": Meaning(_S, "duration of precipitation within the last hour"),
    "RR1o1": Meaning(_PERCENT, "probability of more than 10 mm of precipitation within the last hour"),
    "RR1w1": Meaning(_PERCENT, "probability of more than 15 mm of precipitation within the last hour"),
    "RR1u1": Meaning(_PERCENT, "probability of more than 25 mm of precipitation within the last hour"),
    "SunD": Meaning(_S, "sunshine duration of the day before"),
    "SunD1": Meaning(_S, "sunshine duration within the last hour"),
    "SunD3": Meaning(_S, "sunshine duration within the last 3 hours"),
    "RSunD": Meaning(_PERCENT, "relative sunshine duration within the last 24 hours"),
    "PSd00": Meaning(_PERCENT, "probability of a relative sunshine duration above 0 % within 24 hours"),
    "PSd30": Meaning(_PERCENT, "probability of a relative sunshine duration above 30 % within 24 hours"),
    "PSd60": Meaning(_PERCENT, "probability of a relative sunshine duration above 60 % within 24 hours"),
    "Rad1h": Meaning(_ENERGY, "global irradiance within the last hour"),
    "RadS3": Meaning(_ENERGY, "short-wave radiation balance within the last 3 hours"),
    "RadL3": Meaning(_ENERGY, "long-wave radiation balance within the last 3 hours"),
    "RRad1": Meaning(_PERCENT, "global irradiance within the last hour, of the clear-sky one"),
    "PEvap": Meaning(_WATER, "potential evapotranspiration within the last 24 hours"),
    "E_TTT": Meaning(_K, "absolute error of the temperature 2 m above the surface"),
    "E_Td": Meaning(_K, "absolute error of the dew point 2 m above the surface"),
    "E_PPP": Meaning(_PA, "absolute error of the surface pressure"),
    "E_FF": Meaning(_MS, "absolute error of the wind speed"),
    "E_DD": Meaning(_DEGREES, "absolute error of the wind direction"),
}

_SPANS = {"": "hour", "1": "hour", "3": "3 hours", "6": "6 hours", "h": "12 hours", "d": "24 hours"}

_WATERS = {"RR": "precipitation", "RRS": "snow-rain-equivalent", "RRL": "liquid precipitation"}

_WEATHERS = {
    "M": "fog",
    "P": "precipitation",
    "Z": "drizzle",
    "D": "stratiform precipitation",
    "C": "convective precipitation",
    "T": "thunderstorms",
    "S": "solid precipitation",
    "L": "liquid precipitation",
    "F": "freezing rain",
}

_AMOUNT = re.compile(r"(?P<what>RR[SL]?)(?P<span>[136hd])c", re.ASCII)
_WEATHER = re.compile(r"ww(?P<what>[MPZDCTSLF])(?P<span>[6hd]?)", re.ASCII)
_EXCEEDED = re.compile(r"R(?P<span>[16hd])(?P<tenths>\d\d)", re.ASCII)
_GUST = re.compile(r"FX(?P<span>[6h])(?P<knots>\d\d)", re.ASCII)


def meaning(element: str) -> Meaning | None:
    """What an element is, none for one that is not known here."""
    return _MEANINGS.get(element) or _of_a_family(element)


def _of_a_family(element: str) -> Meaning | None:
    """The meaning of a name that says it: an amount, a kind of weather, an amount or gust that is exceeded."""
    if match := _AMOUNT.fullmatch(element):
        return Meaning(_WATER, f"{_WATERS[match['what']]} within the last {_SPANS[match['span']]}")
    if match := _WEATHER.fullmatch(element):
        told = f"probability of {_WEATHERS[match['what']]} within the last {_SPANS[match['span']]}"
        return Meaning(_PERCENT, told)
    if match := _EXCEEDED.fullmatch(element):
        amount = f"{int(match['tenths']) / 10:g} mm"
        told = f"probability of more than {amount} of precipitation within the last {_SPANS[match['span']]}"
        return Meaning(_PERCENT, told)
    if match := _GUST.fullmatch(element):
        told = f"probability of gusts of {int(match['knots'])} kn and more within the last {_SPANS[match['span']]}"
        return Meaning(_PERCENT, told)
    return None
