from __future__ import annotations

import importlib.util
from collections import Counter

import pytest

from nexrad_assets.radar.level2.archive2 import read_volume
from nexrad_assets.radar.sites import UnknownSite, site, site_of_short_id, sites
from tests.samples import LEVEL2, needs_samples

NOT_K = set(
    "PABC PACG PAEC PAHG PAIH PAKC PAPD PHKI PHKM PHMO PHWA PGUA TJUA RKJK RKSG RODN".split()  # noqa: SIM905
)

BOXES = {  # south, north, west, east
    "lower 48 states": (24.5, 49.0, -124.7, -66.9),
    "Alaska": (51.0, 71.5, -170.0, -130.0),
    "Hawaii": (18.9, 22.3, -160.3, -154.8),
    "Puerto Rico": (17.9, 18.6, -67.3, -65.5),
    "Guam": (13.2, 13.7, 144.6, 145.0),
    "South Korea": (33.0, 38.7, 125.0, 130.0),
    "Okinawa": (26.0, 27.0, 127.6, 128.4),
}
ELSEWHERE = {
    "PGUA": "Guam",
    "RKJK": "South Korea",
    "RKSG": "South Korea",
    "RODN": "Okinawa",
    "TJUA": "Puerto Rico",
    "TSJU": "Puerto Rico",
}


def region(site_id: str) -> str:
    by_prefix = {"PA": "Alaska", "PH": "Hawaii"}
    return ELSEWHERE.get(site_id) or by_prefix.get(site_id[:2]) or "lower 48 states"


def pyart_table() -> dict[str, dict[str, float]]:
    """Py-ART's table, without the seconds that importing Py-ART takes."""
    found = importlib.util.find_spec("pyart")
    path = f"{found.submodule_search_locations[0]}/io/nexrad_common.py"
    spec = importlib.util.spec_from_file_location("nexrad_common_alone", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.NEXRAD_LOCATIONS


def test_there_are_160_wsr88d_and_45_tdwr():
    assert Counter(radar.kind for radar in sites().values()) == {"WSR-88D": 160, "TDWR": 45}


def test_sixteen_wsr88d_have_ids_that_do_not_begin_with_k():
    assert {r.id for r in sites().values() if r.kind == "WSR-88D" and not r.id.startswith("K")} == NOT_K


def test_every_tdwr_id_begins_with_t():
    assert all(radar.id.startswith("T") for radar in sites().values() if radar.kind == "TDWR")


def test_no_two_radars_share_a_place_or_a_name_within_their_kind():
    radars = sites().values()
    assert len({(radar.latitude_deg, radar.longitude_deg) for radar in radars}) == 205
    assert len({(radar.kind, radar.name) for radar in radars}) == 205


def test_short_ids_are_unique_and_lead_back():
    assert {site_of_short_id(radar.short_id) for radar in sites().values()} == set(sites().values())


@pytest.mark.parametrize(
    ("short_id", "site_id"),
    [("PDT", "KPDT"), ("JUA", "TJUA"), ("GUA", "PGUA"), ("MSY", "TMSY"), ("ODN", "RODN")],
)
def test_a_short_id_is_inverted_by_the_table_not_by_a_k(short_id, site_id):
    assert site_of_short_id(short_id).id == site_id


def test_the_radar_that_moved_is_there_under_both_ids_at_its_two_places():
    before, after = site("KLIX"), site("KHDC")
    assert (before.latitude_deg, before.longitude_deg) == pytest.approx((30.337, -89.825), abs=0.001)
    assert (after.latitude_deg, after.longitude_deg) == pytest.approx((30.519, -90.407), abs=0.001)


@pytest.mark.parametrize("site_id", sorted(sites()))
def test_each_radar_is_where_its_id_says(site_id):
    radar = site(site_id)
    south, north, west, east = BOXES[region(site_id)]
    assert south <= radar.latitude_deg <= north
    assert west <= radar.longitude_deg <= east
    assert 10 <= radar.height_m <= 3300


def test_the_network_reaches_from_guam_to_fairbanks():
    by_latitude = sorted(sites().values(), key=lambda radar: radar.latitude_deg)
    assert (by_latitude[0].id, by_latitude[-1].id) == ("PGUA", "PAPD")


def test_pyart_has_every_radar_within_a_tenth_of_a_degree():
    located = pyart_table()
    off = {
        radar.id: max(
            abs(radar.latitude_deg - located[radar.id]["lat"]),
            abs(radar.longitude_deg - located[radar.id]["lon"]),
        )
        for radar in sites().values()
    }
    assert {site_id for site_id, degrees in off.items() if degrees > 0.11} == {"RKSG"}  # it moved


@needs_samples
@pytest.mark.parametrize(
    "path",
    [
        "2016/06/01/KLBB/KLBB20160601_150025_V06",
        "2022/03/05/KDMX/KDMX20220305_232324_V06",
        "2022/03/17/KLOT/KLOT20220317_000842_V06",
        "2014/01/01/KTLX/KTLX20140101_000624_V06.gz",
    ],
)
def test_the_table_agrees_with_what_radars_say_of_themselves(path):
    volume = read_volume((LEVEL2 / path).read_bytes(), path)
    radar = site(volume.site)
    assert radar.latitude_deg == pytest.approx(volume.latitude_deg, abs=0.001)
    assert radar.longitude_deg == pytest.approx(volume.longitude_deg, abs=0.001)
    assert radar.height_m == pytest.approx(volume.height_m, abs=5)


@pytest.mark.parametrize(
    ("site_id", "name"),
    [
        ("KPDT", "Pendleton, OR"),
        ("TJUA", "San Juan, PR"),
        ("TORD", "Chicago O'Hare, IL"),
        ("KFDR", "Altus AFB, OK"),
    ],
)
def test_names_are_those_people_know(site_id, name):
    assert site(site_id).name == name


def test_an_unknown_id_is_refused_with_ids_like_it():
    with pytest.raises(UnknownSite, match=r"no radar site 'KPDX'.*KPDT \(Pendleton, OR\)"):
        site("KPDX")


@pytest.mark.parametrize("given", ["kpdt", "PDT", "", "KPDT "])
def test_only_the_exact_id_is_a_site(given):
    with pytest.raises(UnknownSite):
        site(given)


def test_an_unknown_short_id_is_refused():
    with pytest.raises(UnknownSite, match="no radar site 'XYZ'"):
        site_of_short_id("XYZ")


def test_the_table_cannot_be_changed_by_a_reader():
    with pytest.raises(TypeError):
        sites()["KXXX"] = site("KPDT")
