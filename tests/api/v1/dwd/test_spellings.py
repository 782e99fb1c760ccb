"""What people type for times, stations, parameters and collections is taken; what is not there has near names."""

import pytest

from store.posix import PosixStore
from tests.api.conftest import api
from tests.api.v1.dwd.dwd_world import RUN, World, icon

DAY = RUN.date()
FILES = "/v1/dwd/runs/icon-d2/2025040909/files"
POINT = "/v1/dwd/point?lat=51.034&lon=9.366"

ALIKE = [
    (
        "/v1/dwd/runs?collection=icon-d2",
        ["/v1/dwd/runs?collection=ICON-D2", "/v1/dwd/runs?collection=Icon-d2"],
    ),
    (
        "/v1/dwd/runs/icon-d2/2025040909",
        [
            "/v1/dwd/runs/ICON-D2/2025-04-09T09",
            "/v1/dwd/runs/icon-d2/2025-04-09T09:00Z",
            "/v1/dwd/runs/icon-d2/2025-04-09T09:00:00.000Z",
            "/v1/dwd/runs/icon-d2/2025-04-09%2009:00",
        ],
    ),
    ("/v1/dwd/runs/poi/20250409", ["/v1/dwd/runs/POI/2025-04-09"]),
    (f"{FILES}?parameter=t_2m", [f"{FILES}?parameter=T_2M"]),
    (
        "/v1/dwd/runs/mosmix-l/2025040909/files?station=01001",
        ["/v1/dwd/runs/MOSMIX-L/2025-04-09T09/files?station=1001"],
    ),
    (
        "/v1/dwd/stations/K611/reports?start=2025-04-09&end=2025-04-09",
        [
            "/v1/dwd/stations/k611/reports?start=20250409&end=20250409",
            "/v1/dwd/stations/K611_/reports?start=2025-04-09&end=20250409",
        ],
    ),
    (
        "/v1/dwd/stations/01001/forecast?element=TTT&issue=2025040909",
        ["/v1/dwd/stations/1001/forecast?element=ttt&issue=2025-04-09T09:00Z"],
    ),
    (
        f"{POINT}&parameter=t_2m&run=2025040909&model=icon-d2",
        [f"{POINT}&parameter=T_2M&run=2025-04-09T09:00Z&model=ICON-D2"],
    ),
    (
        "/v1/dwd/series?stations=10315,K611&parameter=t_2m&run=2025040909&start=2025-04-09T09:00Z&end=2025-04-09T23:59Z",
        [
            "/v1/dwd/series?stations=10315,%20k611_&parameter=T_2M&run=2025-04-09T09&start=2025040909&end=20250409",
            "/v1/dwd/series?stations=10315,K611,10315&parameter=t_2m&run=2025-04-09T09&start=2025-04-09&end=2025-04-09",
        ],
    ),
]

REFUSED = [
    (
        "/v1/dwd/runs/icon-d2/2025-04-09T09:30Z",
        "period",
        "must be a UTC hour or, of reports, a UTC day, e.g.",
    ),
    ("/v1/dwd/runs/icon-d2/2025-0409", "period", "must be a UTC hour"),
    ("/v1/dwd/runs/icon-d2/2025-04-09T09:00+02:00", "period", "must be a UTC hour"),
    (f"{POINT}&parameter=t_2m&run=2025-04-09", "run", "must be a UTC hour, e.g."),
    ("/v1/dwd/stations/10315/reports?start=yesterday", "start", "must be a UTC day, e.g. 2026-11-30"),
    ("/v1/dwd/stations/10%20315/reports", "station", "must be a station's id"),
    (f"{POINT}&parameter=2t", "parameter", "must be a parameter's name, e.g. t_2m"),
    ("/v1/dwd/runs?collection=icon_d2", "collection", "must be a model, mosmix-l, mosmix-s or poi"),
    (
        "/v1/dwd/series?lat=51&lon=9&parameter=t_2m&start=2025-04-09T09:65Z",
        "start",
        "must be a UTC time or day",
    ),
    ("/v1/dwd/series?stations=10315,1%2F2&parameter=t_2m", "stations", "must be a station's id"),
]

UNKNOWN = [
    ("/v1/dwd/runs?collection=icon-d3", "no collection 'icon-d3'; nearest: icon-d2"),
    ("/v1/dwd/runs?collection=xyz", "no collection 'xyz'; there are: icon-d2, mosmix-l, poi"),
    ("/v1/dwd/runs/icon-d3/2025040909", "no collection 'icon-d3'; nearest: icon-d2"),
    ("/v1/dwd/runs/icon-d2/2025040908", "icon-d2; nearest: 2025040906, 2025040909"),
    ("/v1/dwd/runs/icon-d2/2026040908", "icon-d2; newest: 2025040909"),
    ("/v1/dwd/runs/icon-d2/2024040908/files", "icon-d2; nearest: 2025040906"),
    ("/v1/dwd/runs/poi/20260101", "poi; newest: 20250409"),
    (f"{FILES}?parameter=t_3m", "no parameter of icon-d2 2025040909 't_3m'; nearest: t_2m"),
    ("/v1/dwd/runs/poi/20250409/files?station=10316", "no station '10316'; nearest: 10315"),
    ("/v1/dwd/stations/10316/reports", "no station '10316'; nearest: 10315"),
    ("/v1/dwd/stations/10316/forecast", "no station '10316'; nearest: 10315"),
    ("/v1/dwd/stations/10384/forecast", "no MOSMIX_L of station '10384' in the newest 8 issues"),
    ("/v1/dwd/stations/10315/forecast?issue=2026040909", "mosmix-l; newest: 2025040909"),
    ("/v1/dwd/stations/10315/forecast?product=S", "no collection 'mosmix-s'; nearest: mosmix-l"),
    (f"{POINT}&parameter=t_3m", "no parameter in the newest runs of icon-d2 't_3m'; nearest: t_2m"),
    (f"{POINT}&parameter=t_2m&model=icon-d3", "no collection 'icon-d3'; nearest: icon-d2"),
    (f"{POINT}&parameter=t_2m&run=2025040907", "icon-d2; nearest: 2025040906, 2025040909"),
    (f"{POINT}&parameter=t_2m&member=3", "no t_2m of icon-d2 of member 3; omit member"),
    (
        f"{POINT}&parameter=t_2m&step=90&run=2025040909",
        "no step 90 (minutes) in run 2025040909; steps of its files: 0, 60",
    ),
    ("/v1/dwd/series?stations=10316&parameter=t_2m", "no station '10316'; nearest: 10315"),
    ("/v1/dwd/series?lat=51&lon=9&parameter=t_3m", "nearest: t_2m"),
    ("/v1/dwd/series?lat=51&lon=9&parameter=t_2m&run=2026010100", "icon-d2; newest: 2025040909"),
]


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A server on an archive that nothing here changes."""
    world = World(PosixStore(tmp_path_factory.mktemp("store")))
    world.keep_fields(
        *(icon(step=step, grid="regular") for step in (0, 60)), icon("vmax_10m", grid="regular")
    )
    world.keep_fields(icon(run=RUN.replace(hour=6), grid="regular"))
    for station in ("10315", "01001"):
        world.keep_forecast(RUN, station)
    world.keep_reports(DAY, "K611")
    world.keep_stations()
    with api(world.store, rate_per_minute=0) as client:
        yield client


@pytest.mark.parametrize(("address", "others"), ALIKE, ids=[each[0].partition("?")[0] for each in ALIKE])
def test_every_spelling_has_the_answer_of_the_canonical_one(client, address, others):
    canonical = client.get(address)
    assert canonical.status_code == 200, canonical.text
    for other in others:
        answer = client.get(other)
        assert (answer.status_code, answer.json()) == (200, canonical.json()), other


def test_answers_have_the_canonical_spelling(client):
    page = client.get("/v1/dwd/stations/k611_/reports?start=20250409&end=20250409").json()
    assert (page["station"], len(page["rows"])) == ("K611", 24)
    assert client.get("/v1/dwd/stations/1001/forecast").json()["station"] == "01001"
    point = client.get(f"{POINT}&parameter=T_2M&model=ICON-D2&run=2025-04-09T09").json()
    assert (point["model"], point["parameter"], point["run"]) == ("icon-d2", "t_2m", "2025040909")


@pytest.mark.parametrize(("address", "name", "allowed"), REFUSED)
def test_what_is_no_spelling_is_refused_with_what_is_allowed(client, address, name, allowed):
    answer = client.get(address)
    (fault,) = answer.json()["errors"]
    assert (answer.status_code, fault["name"]) == (400, name)
    assert allowed in fault["message"]


@pytest.mark.parametrize(("address", "detail"), UNKNOWN)
def test_what_is_not_there_is_a_404_with_the_nearest_names(client, address, detail):
    answer = client.get(address)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json"), (
        answer.text
    )
    assert detail in answer.json()["detail"]


def test_one_step_of_a_run_can_be_asked_for(client):
    whole = client.get(f"{POINT}&parameter=t_2m&run=2025040909").json()
    assert [step["lead_minutes"] for step in whole["steps"]] == [0, 60]
    for step in whole["steps"]:
        one = client.get(f"{POINT}&parameter=t_2m&run=2025040909&step={step['lead_minutes']}").json()
        assert one["steps"] == [step]
