"""Addresses: as the server was seen to spell them, and back."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given

from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.levels import key_level
from dwd_assets.opendata.addresses import old_path, parse_old, parse_v1, v1_path
from tests.dwd_assets import keys
from tests.samples import SAMPLES, needs_samples

RUN = datetime(2026, 8, 6, 0, tzinfo=UTC)


def key(model, parameter, level_type="single", level=None, step=0, member=None, grid="icosahedral", run=RUN):
    return FieldKey(model, run, parameter, level_type, level, step, member, grid)


OLD = {
    "icon-d2/grib/00/t_2m/icon-d2_germany_regular-lat-lon_single-level_2026080600_012_2d_t_2m.grib2.bz2": key(
        "icon-d2", "t_2m", step=720, grid="regular"
    ),
    "icon-d2/grib/00/t/icon-d2_germany_icosahedral_pressure-level_2026080600_048_850_t.grib2.bz2": key(
        "icon-d2", "t", "pressure", 850, 2880
    ),
    "icon-d2/grib/00/t/icon-d2_germany_icosahedral_model-level_2026080600_001_65_t.grib2.bz2": key(
        "icon-d2", "t", "model", 65, 60
    ),
    "icon-d2/grib/00/smi/icon-d2_germany_regular-lat-lon_soil-level_2026080600_000_729_smi.grib2.bz2": key(
        "icon-d2", "smi", "soil", 729, grid="regular"
    ),
    "icon-d2/grib/00/clat/icon-d2_germany_icosahedral_time-invariant_2026080600_000_0_clat.grib2.bz2": key(
        "icon-d2", "clat", "time-invariant"
    ),
    "icon-d2/grib/00/hhl/icon-d2_germany_icosahedral_time-invariant_2026080600_000_66_hhl.grib2.bz2": key(
        "icon-d2", "hhl", "time-invariant", 66
    ),
    "icon-d2-eps/grib/00/t/icon-d2-eps_germany_icosahedral_pressure-level_2026080600_006_850_t.grib2.bz2": key(
        "icon-d2-eps", "t", "pressure", 850, 360
    ),
    "icon-eu/grib/00/t/icon-eu_europe_regular-lat-lon_pressure-level_2026080600_000_850_T.grib2.bz2": key(
        "icon-eu", "t", "pressure", 850, grid="regular"
    ),
    "icon-eu/grib/00/t_2m/icon-eu_europe_regular-lat-lon_single-level_2026080600_003_T_2M.grib2.bz2": key(
        "icon-eu", "t_2m", step=180, grid="regular"
    ),
    "icon-eu/grib/00/w_so/icon-eu_europe_regular-lat-lon_soil-level_2026080600_006_243_W_SO.grib2.bz2": key(
        "icon-eu", "w_so", "soil", 243, 360, grid="regular"
    ),
    "icon-eu/grib/00/hsurf/icon-eu_europe_regular-lat-lon_time-invariant_2026080600_HSURF.grib2.bz2": key(
        "icon-eu", "hsurf", "time-invariant", grid="regular"
    ),
    "icon-eu/grib/00/hhl/icon-eu_europe_regular-lat-lon_time-invariant_2026080600_25_HHL.grib2.bz2": key(
        "icon-eu", "hhl", "time-invariant", 25, grid="regular"
    ),
    "icon/grib/00/hhl/icon_global_icosahedral_time-invariant_2026080600_119_HHL.grib2.bz2": key(
        "icon", "hhl", "time-invariant", 119
    ),
    "icon-eu-eps/grib/00/t/icon-eu-eps_europe_icosahedral_pressure-level_2026080600_000_500_t.grib2.bz2": key(
        "icon-eu-eps", "t", "pressure", 500
    ),
    "icon-eu-eps/grib/00/clat/icon-eu-eps_europe_icosahedral_time-invariant_2026080600_clat.grib2.bz2": key(
        "icon-eu-eps", "clat", "time-invariant"
    ),
}
V1 = {
    "icon-d2/p/T_2M/r/2026-08-06T00%3A00/s/PT012H00M.grib2": key("icon-d2", "t_2m", step=720),
    "icon-d2/p/ASWDIR_S/r/2026-08-06T00%3A00/s/PT024H15M.grib2": key("icon-d2", "aswdir_s", step=1455),
    "icon-d2-ruc/p/TOT_PREC/r/2026-08-06T00%3A00/s/PT012H05M.grib2": key("icon-d2-ruc", "tot_prec", step=725),
    "icon-d2-ruc/p/T/lvt1/150/lv1/65/r/2026-08-06T00%3A00/s/PT012H00M.grib2": key(
        "icon-d2-ruc", "t", "model", 65, 720
    ),
    "icon-d2-ruc/p/T/lvt1/100/lv1/85000/r/2026-08-06T00%3A00/s/PT001H00M.grib2": key(
        "icon-d2-ruc", "t", "pressure", 850, 60
    ),
    "icon-d2-ruc/p/WSHEAR_V/lvt1/103/lv1/6000/r/2026-08-06T00%3A00/s/PT000H00M.grib2": key(
        "icon-d2-ruc", "wshear_v", "height", 6000
    ),
    "icon-d2-ruc/p/ECHOTOPinM/lvt1/25/lv1/18/r/2026-08-06T00%3A00/s/PT000H15M.grib2": key(
        "icon-d2-ruc", "echotopinm", "reflectivity", 18, 15
    ),
    "icon-d2-ruc/p/SYNMSG_BT_CL_IR10.8/r/2026-08-06T00%3A00/s/PT000H15M.grib2": key(
        "icon-d2-ruc", "synmsg_bt_cl_ir10.8", step=15
    ),
    "icon-eu/p/T_SO/lvt1/106/lv1/0.005/r/2026-08-06T00%3A00/s/PT002H00M.grib2": key(
        "icon-eu", "t_so", "soil", 5, 120
    ),
    "icon-eu/p/T_SO/lvt1/106/lv1/0.0/r/2026-08-06T00%3A00/s/PT002H00M.grib2": key(
        "icon-eu", "t_so", "soil", 0, 120
    ),
    "icon-eu/p/W_SO/lvt1/106/lv1/0.27/r/2026-08-06T00%3A00/s/PT002H00M.grib2": key(
        "icon-eu", "w_so", "soil", 27, 120
    ),
    "icon-d2-eps/p/U/lvt1/150/lv1/63/r/2026-08-06T00%3A00/e/20/s/PT048H00M.grib2": key(
        "icon-d2-eps", "u", "model", 63, 2880, 20
    ),
    "icon-d2-eps/p/CLAT/r/2026-08-06T00%3A00/e/01/s/PT000H00M.grib2": key(
        "icon-d2-eps", "clat", "time-invariant", member=1
    ),
    "icon-d2/p/HHL/lvt1/150/lv1/66/r/2026-08-06T00%3A00/s/PT000H00M.grib2": key(
        "icon-d2", "hhl", "time-invariant", 66
    ),
}


@pytest.mark.parametrize(("path", "field"), OLD.items())
def test_the_old_tree_is_spelled_as_the_server_spells_it(path, field):
    assert old_path(field) == f"/weather/nwp/{path}"
    assert parse_old(f"/weather/nwp/{path}") == field


@pytest.mark.parametrize(("path", "field"), V1.items())
def test_the_v1_tree_is_spelled_as_the_server_spells_it(path, field):
    assert v1_path(field) == f"/weather/nwp/v1/m/{path}"
    assert parse_v1(f"/weather/nwp/v1/m/{path}") == field


def test_one_field_has_one_key_in_both_trees():
    for parameter, level_type, level in (
        ("t_2m", "single", None),
        ("t", "pressure", 500),
        ("t_so", "soil", 5),
        ("hhl", "time-invariant", 1),
        ("clon", "time-invariant", None),
    ):
        field = key("icon-d2", parameter, level_type, level)
        assert parse_old(old_path(field)) == parse_v1(v1_path(field)) == field


@needs_samples
def test_names_of_real_files_are_understood():
    for folder, names in (
        ("icon-d2", ["u_10m", "clct_mod"]),
        ("icon-eu", ["u_10m"]),
    ):
        files = sorted((SAMPLES / "dwd" / folder).glob("*regular-lat-lon*.grib2"))
        assert len(files) == len(names)
        for file in files:
            run = re.search(r"_([0-9]{10})_", file.name)[1]
            parameter = next(name for name in names if file.stem.lower().endswith("_" + name))
            found = parse_old(f"/weather/nwp/{folder}/grib/{run[8:]}/{parameter}/{file.name}.bz2")
            assert (found.parameter, f"{found.run:%Y%m%d%H}", found.grid) == (parameter, run, "regular")


@given(keys.old_fields)
def test_the_old_tree_gives_back_every_field_it_can_name(field):
    assert parse_old(old_path(field)) == field


@given(keys.v1_fields)
def test_the_v1_tree_gives_back_every_field_it_can_name_with_its_colon_encoded_or_not(field):
    path = v1_path(field)
    assert ":" not in path
    assert (
        parse_v1(path) == parse_v1(path.replace("%3A", ":")) == parse_v1(path.replace("%3A", "%3a")) == field
    )


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/weather/nwp/icon-d2/grib/00/t_2m/",
        "/weather/nwp/icon-d2/grib/03/t_2m/icon-d2_germany_icosahedral_single-level_2026080600_000_2d_t_2m.grib2.bz2",
        "/weather/nwp/icon-d2/grib/00/td_2m/icon-d2_germany_icosahedral_single-level_2026080600_000_2d_t_2m.grib2.bz2",
        "/weather/nwp/icon-d2/grib/00/t_2m/icon-d2_germany_icosahedral_single-level_2026080600_000_2d_t_2m.grib2",
        "/weather/nwp/icon-d2/grib/00/t_2m/icon-d2_germany_icosahedral_single-level_2026080600_000_2d_T_2M.grib2.bz2",
        "/weather/nwp/icon-d2/grib/00/t_2m/icon-d2_europe_icosahedral_single-level_2026080600_000_2d_t_2m.grib2.bz2",
        "/weather/nwp/icon-d2/grib/00/t_2m/icon-d2_germany_icosahedral_single-level_2026080600_2d_t_2m.grib2.bz2",
        "/weather/nwp/icon-d2/grib/00/t/icon-d2_germany_icosahedral_model-level_2026080600_000_2d_t.grib2.bz2",
        "/weather/nwp/icon-d2/grib/25/t_2m/icon-d2_germany_icosahedral_single-level_2026080625_000_2d_t_2m.grib2.bz2",
        "/weather/nwp/icon-eu/grib/00/t/icon-eu_europe_icosahedral_model-level_2026080600_000_1_T.grib2.bz2",
        "/weather/nwp/icon-d2/grib/00/../icon-d2_germany_icosahedral_single-level_2026080600_000_2d_t_2m.grib2.bz2",
        "/weather/nwp/content.log.bz2",
    ],
)
def test_what_the_old_tree_has_not_is_no_field(path):
    assert parse_old(path) is None


@pytest.mark.parametrize(
    "path",
    [
        "icon-d2/p/T_2M/r/2026-08-06T24%3A00/s/PT012H00M.grib2",
        "icon-d2/p/T_2M/r/2026-08-06T00%3A30/s/PT012H00M.grib2",
        "icon-d2/p/T_2M/r/2026-08-06T00%3A00/s/PT012H60M.grib2",
        "icon-d2/p/T_2M/r/2026-08-06T00%3A00/s/PT12H00M.grib2",
        "icon-d2-eps/p/T_2M/r/2026-08-06T00%3A00/e/1/s/PT012H00M.grib2",
        "icon-d2-eps/p/T_2M/r/2026-08-06T00%3A00/e/001/s/PT012H00M.grib2",
        "icon-d2/p/../r/2026-08-06T00%3A00/s/PT012H00M.grib2",
        "icon-d2/p/T/lvt1/r/2026-08-06T00%3A00/s/PT012H00M.grib2",
        "icon-d2/p/T/lvt1/../r/2026-08-06T00%3A00/s/PT012H00M.grib2",
        "icon-d2/p/T/a+b/1/r/2026-08-06T00%3A00/s/PT012H00M.grib2",
        "icon-d2/p/T/lvt1/100/lv1/8_5/r/2026-08-06T00%3A00/s/PT012H00M.grib2",
    ],
)
def test_what_a_key_cannot_say_of_the_v1_tree_is_no_field(path):
    assert parse_v1(f"/weather/nwp/v1/m/{path}") is None


@pytest.mark.parametrize(
    "field",
    [
        key("icon-d2-ruc", "t_2m"),
        key("icon-d2", "tot_prec", step=15),
        key("icon-d2-eps", "t_2m", member=1),
        key("icon-eu", "t_2m", grid="icosahedral"),
        key("icon-eu-eps", "t_2m", grid="regular"),
        key("icon-d2", "wshear_u", "height", 3000),
        key("icon-d2", "hhl", "time-invariant", 0),
    ],
)
def test_a_field_that_the_old_tree_has_not_has_no_path_there(field):
    with pytest.raises(ValueError, match="the old tree"):
        old_path(field)


@pytest.mark.parametrize(
    "field",
    [
        key("icon-d2", "t_2m", grid="regular"),
        key("icon-d2", "hsurf", "single"),
        key("icon-d2", "hsurf", "time-invariant", 3),
        key("icon-d2", "hhl", "model", 3),
        key("icon-d2", "t_2m", "time-invariant"),
    ],
)
def test_a_field_that_the_v1_tree_cannot_tell_from_another_has_no_path_there(field):
    with pytest.raises(ValueError, match="the v1 tree"):
        v1_path(field)


@pytest.mark.parametrize("spell", [old_path, v1_path])
@pytest.mark.parametrize(
    "field",
    [
        key("../icon", "t_2m"),
        key("icon_d2", "t_2m"),
        key("icon-d2", "T_2M"),
        key("icon-d2", "../t_2m"),
        key("icon-d2", "t/2m"),
        key("icon-d2", "t..2m"),
        key("icon-d2", ""),
        key("icon-d2", "t" * 61),
        key("icon-d2", "t", "pressure", -1),
        key("icon-d2", "t", "pressure"),
        key("icon-d2", "t", "single", 3),
        key("icon-d2", "t", member=-1),
        key("icon-d2", "t", member=1000),
        key("icon-d2", "t", step=-60),
        key("icon-d2", "t", step=60_000),
        key("icon-d2", "clat", "time-invariant", step=60),
        key("icon-d2", "t", run=datetime(2026, 8, 6)),
        key("icon-d2", "t", run=datetime(2026, 8, 6, tzinfo=timezone(timedelta(hours=2)))),
        key("icon-d2", "t", run=datetime(2026, 8, 6, 0, 30, tzinfo=UTC)),
        key("icon-d2", "t", run=datetime(202, 8, 6, tzinfo=UTC)),
    ],
)
def test_a_key_that_is_none_has_no_path(spell, field):
    with pytest.raises(ValueError, match=r"cannot be written|is not"):
        spell(field)


@pytest.mark.parametrize(
    ("level", "found"),
    [
        ((100, "85000"), ("pressure", 850)),
        ((100, "85050"), None),
        ((106, "0.005"), ("soil", 5)),
        ((106, "0.05"), None),
        ((106, "0.0049"), None),
        ((106, "14.58"), ("soil", 1458)),
        ((150, "01"), None),
        ((150, "-1"), None),
        ((7, "1"), None),
    ],
)
def test_a_level_between_those_that_a_key_can_say_is_unknown_and_never_rounded(level, found):
    assert key_level("t", 0, level) == found


QUALIFIED = {
    "icon-art/p/SAT_BSC_DUST/wvl1/1064/lvt1/150/lv1/120/r/2026-08-06T00%3A00/s/PT000H00M.grib2": (
        "wavelength",
        "wvl1/1064/lvt1/150/lv1/120",
    ),
    "icon-art/p/AOD_DUST/wvl1/550/r/2026-08-06T00%3A00/s/PT003H00M.grib2": ("wavelength", "wvl1/550"),
    "icon-d2-ruc/p/SRH/lvt1/103/lv1/3000/lvt2/103/lv2/0/r/2026-08-06T00%3A00/e/02/s/PT003H00M.grib2": (
        "layer",
        "lvt1/103/lv1/3000/lvt2/103/lv2/0",
    ),
    "icon-d2/p/T/lvt1/109/lv1/2/r/2026-08-06T00%3A00/s/PT012H00M.grib2": ("other", "lvt1/109/lv1/2"),
    "icon-d2/p/T/lvt1/100/lv1/85050/r/2026-08-06T00%3A00/s/PT012H00M.grib2": ("other", "lvt1/100/lv1/85050"),
}


@pytest.mark.parametrize(("path", "expected"), QUALIFIED.items())
def test_folders_that_no_level_stands_for_become_qualifiers(path, expected):
    found = parse_v1(f"/weather/nwp/v1/m/{path}")
    assert (found.level_type, found.qualifiers) == expected
    assert found.level is None
    assert v1_path(found) == f"/weather/nwp/v1/m/{path}"


def test_a_parameter_is_found_however_its_folder_is_spelled():
    path = "/weather/nwp/v1/m/icon-d2-ruc/p/KeHail_S/r/2026-08-06T00%3A00/s/PT000H15M.grib2"
    found = parse_v1(path)
    assert found.parameter == "kehail_s"
    assert v1_path(found) != path
    assert v1_path(found, "KeHail_S") == path


@pytest.mark.parametrize("folders", ["", "lvt1/100/lv1/85000", "lvt1/103/lv1/2", "a+b/1", "lvt1/100/lv1"])
def test_qualifiers_that_a_level_stands_for_or_that_are_not_folders_have_no_path(folders):
    field = FieldKey("icon-d2", RUN, "t", "other", None, 0, None, "icosahedral", folders)
    with pytest.raises(ValueError, match="qualifiers"):
        v1_path(field)
