"""Keys of fields to draw from, as both trees have them."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from dwd_assets.formats.fields import FieldKey
from dwd_assets.formats.levels import CONSTANTS

# Some names that a careless spelling would confuse with a level, a member, or another part of a name.
PARAMETERS = [
    "t_2m",
    "u",
    "tot_prec",
    "ww",
    "e05_t",
    "t",
    "synmsg_bt_cl_ir10.8",
    "echotopinm",
    "single",
    "d2d",
]
names = st.sampled_from(PARAMETERS) | st.from_regex(
    r"[a-z][a-z0-9_]{0,12}(\.[a-z0-9_]{1,3})?", fullmatch=True
)
changing = names.filter(lambda name: name not in CONSTANTS)
runs = st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1)).map(
    lambda time: time.replace(minute=0, second=0, microsecond=0, tzinfo=UTC)
)
no_member = st.none()
hours = st.integers(0, 180).map(lambda hour: hour * 60)


@st.composite
def levels(draw, kinds):
    kind = draw(st.sampled_from(kinds))
    return kind, None if kind == "single" else draw(st.integers(0, 1500))


@st.composite
def changing_fields(draw, models, grid, kinds, steps, members):
    kind, level = draw(levels(kinds))
    model = draw(st.sampled_from(models))
    return FieldKey(model, draw(runs), draw(changing), kind, level, draw(steps), draw(members), grid)


@st.composite
def constant_fields(draw, models, grid, members):
    name = draw(st.sampled_from(sorted(CONSTANTS)))
    level = draw(st.integers(1, 121)) if name == "hhl" else None
    model = draw(st.sampled_from(models))
    return FieldKey(model, draw(runs), name, "time-invariant", level, 0, draw(members), grid)


def _of_tree(models, grid, kinds, steps=hours, members=no_member):
    return changing_fields(models, grid, kinds, steps, members) | constant_fields(models, grid, members)


_OLD_KINDS = ["single", "pressure", "model", "soil"]
old_regular = _of_tree(["icon-d2", "icon-eu"], "regular", _OLD_KINDS)
old_icosahedral = _of_tree(
    ["icon", "icon-eps", "icon-eu-eps", "icon-d2", "icon-d2-eps"], "icosahedral", _OLD_KINDS
)
v1_fields = _of_tree(
    ["icon", "icon-eu", "icon-d2", "icon-d2-ruc", "icon-d2-ruc-eps", "aicon", "icon-eu-eps"],
    "icosahedral",
    ["single", "pressure", "height", "model", "soil", "reflectivity"],
    st.integers(0, 181 * 60),
    st.none() | st.integers(0, 120),
)


@st.composite
def qualified_fields(draw):
    """What ICON-ART and a second surface need, and surfaces that no table has."""
    number = st.integers(0, 90_000).map(str)
    pairs = draw(
        st.sampled_from(
            [
                ("wvl1",),
                ("wvl1", "lvt1", "lv1"),
                ("lvt1", "lv1", "lvt2", "lv2"),
                ("lvt1", "lv1", "wvl1"),
                ("cc1",),
            ]
        )
    )
    value = number | st.from_regex(r"-?[0-9]{1,3}\.[0-9]{1,3}", fullmatch=True)
    folders = "/".join(f"{name}/{draw(value)}" for name in pairs)
    names = set(pairs)
    kind = "wavelength" if "wvl1" in names else "layer" if "lvt2" in names else "other"
    model = draw(st.sampled_from(["icon-art", "icon-d2-ruc"]))
    step, member = draw(st.integers(0, 181 * 60)), draw(st.none() | st.integers(0, 120))
    return FieldKey(model, draw(runs), draw(changing), kind, None, step, member, "icosahedral", folders)


v1_fields = v1_fields | qualified_fields()
old_fields = old_regular | old_icosahedral
archived_fields = old_regular | v1_fields
