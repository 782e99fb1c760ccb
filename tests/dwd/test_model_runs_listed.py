"""Runs of ensembles, and of models whose steps are not known beforehand but listed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from dwd_assets.formats.paths import parse_archive_path
from dwd_assets.opendata.addresses import parse_v1, v1_path
from dwd_assets.simulator.catalogue import Catalogue, Parameter, every
from dwd_assets.simulator.faults import Fault
from dwd_assets.simulator.fields import FieldWriter
from dwd_assets.simulator.trees import V1Tree
from dwd_assets.simulator.world import File
from tests.dwd.model_world import World, opened

NOON = datetime(2026, 9, 16, 12, tzinfo=UTC)
ALL_THERE = NOON + timedelta(hours=2, minutes=5)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback is reached directly, whatever proxy the environment names."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def model(name: str) -> Catalogue:
    return Catalogue(
        name,
        parameters=(
            Parameter("t_2m", steps=every(60, 2)),
            Parameter("tot_prec", steps=every(30, 2)),
            Parameter("u", "pressure", 850, every(60, 2)),
        ),
        columns=5,
        rows=4,
    )


@dataclass(frozen=True)
class Members:
    """A v1 tree whose every file is there for each member."""

    tree: V1Tree
    members: tuple[int, ...]

    def find(self, path: str, at: datetime) -> File | None:
        key = parse_v1(path)
        if key is None or key.member not in self.members:
            return None
        alone = v1_path(replace(key, member=None)).replace("%3A", ":")
        file = self.tree.find(alone, at)
        return None if file is None else replace(file, path=path)

    def files(self, prefix: str, at: datetime) -> Iterator[File]:
        for file in self.tree.files("/weather/nwp/v1/", at):
            for member in self.members:
                path = file.path.replace("/s/PT", f"/e/{member:02d}/s/PT")
                if path.startswith(prefix):
                    yield replace(file, path=path)


def give_members(world: World, catalogue: Catalogue, members: range) -> None:
    tree = Members(V1Tree(FieldWriter(3, catalogue)), tuple(members))
    world.simulator.world._trees = (tree,)


def test_an_ensemble_is_archived_by_member(local_store):
    eps = model("icon-d2-eps")
    eps = replace(eps, parameters=eps.parameters[:1] + eps.parameters[2:])
    with opened(
        local_store, ALL_THERE, catalogue=eps, fields=("icon-d2-eps/single,pressure/*/0-2",)
    ) as world:
        give_members(world, eps, range(1, 21))
        world.archive(NOON, "icon-d2-eps")
        assert world.state(NOON, "icon-d2-eps") == "complete"
        keys = [parse_archive_path(path) for path in world.ledger(NOON, "icon-d2-eps").kept]
        assert len(keys) == 2 * 3 * 20
        assert {key.member for key in keys} == set(range(1, 21))
        world.audit(NOON, "icon-d2-eps")


def test_members_of_a_model_that_is_not_known_are_listed(local_store):
    eps = model("icon-d2-ruc-eps")
    with opened(local_store, ALL_THERE, catalogue=eps, fields=("icon-d2-ruc-eps/single/*",)) as world:
        give_members(world, eps, range(1, 4))
        world.archive(NOON, "icon-d2-ruc-eps")
        told = world.ledger(NOON, "icon-d2-ruc-eps")
        assert len(told.kept) == (3 + 5) * 3
        assert told.missing == ()
        assert told.expects_more
        assert world.state(NOON, "icon-d2-ruc-eps") == "partial"


def test_a_listed_run_is_whole_when_nothing_came_for_three_hours(local_store):
    with opened(
        local_store, NOON + timedelta(minutes=70), catalogue=model("icon-eu"), fields=("icon-eu/single/*",)
    ) as world:
        states = []
        while world.now < NOON + timedelta(hours=5, minutes=30):
            if "2026091612" in world.due("icon-eu"):
                world.archive(NOON, "icon-eu")
            states.append(world.state(NOON, "icon-eu"))
            world.simulator.clock.advance(timedelta(minutes=20))
        assert states[-1] == "complete"
        assert "complete" not in states[:11]  # until 3 h after the last file, which came at 14:00
        assert len(world.ledger(NOON, "icon-eu").kept) == 3 + 5
        world.audit(NOON, "icon-eu")


def test_a_listed_run_is_whole_when_it_is_as_that_of_the_day_before(local_store):
    with opened(local_store, ALL_THERE, catalogue=model("icon-eu"), fields=("icon-eu/single/*",)) as world:
        world.simulator.clock.advance(timedelta(hours=4))
        world.archive(NOON, "icon-eu")
        assert world.state(NOON, "icon-eu") == "complete"
        world.simulator.clock.turn(NOON + DAY + timedelta(minutes=100))
        assert "2026091712" in world.due("icon-eu")
        world.archive(NOON + DAY, "icon-eu")
        assert world.state(NOON + DAY, "icon-eu") == "partial"
        world.simulator.clock.turn(NOON + DAY + timedelta(minutes=125))
        assert "2026091712" in world.due("icon-eu")
        world.archive(NOON + DAY, "icon-eu")
        assert world.state(NOON + DAY, "icon-eu") == "complete"
        assert "2026091712" not in world.due("icon-eu")


def test_a_listed_run_that_has_not_begun_is_asked_for_by_three_listings_at_most(local_store):
    with opened(
        local_store,
        NOON + timedelta(minutes=5),
        catalogue=model("icon-eu"),
        fields=("icon-eu/single,pressure/*",),
    ) as world:
        world.archive(NOON - timedelta(hours=3), "icon-eu")
        done = world.archive(NOON, "icon-eu")
        assert done.requests <= 3
        assert world.state(NOON, "icon-eu") == "waiting"


def test_a_run_that_could_not_be_listed_is_not_taken_for_whole(local_store):
    with opened(local_store, ALL_THERE, catalogue=model("icon-eu"), fields=("icon-eu/single/*",)) as world:
        world.simulator.clock.advance(timedelta(hours=5))
        world.archive(NOON - timedelta(hours=3), "icon-eu")
        world.simulator.fail("*/p/T_2M/r/2026-09-16T12:00/s/", Fault.PAGE, times=1)
        world.archive(NOON, "icon-eu")
        assert world.state(NOON, "icon-eu") == "partial"
        world.archive(NOON, "icon-eu")
        assert world.state(NOON, "icon-eu") == "complete"
        assert len(world.ledger(NOON, "icon-eu").kept) == 3 + 5
