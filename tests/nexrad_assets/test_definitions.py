"""What the code locations define, and that they load fast, truthfully and without what they do not need."""

import json
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml
from dagster import DagsterInstance
from dagster._core.instance.config import PoolGranularity

from nexrad_assets.assets import FETCH_POOL, RENDER_POOL
from nexrad_assets.definitions import build_definitions
from nexrad_assets.settings import NexradSettings

PROJECT = Path(__file__).parents[2]


def fresh(code: str, **environment: str) -> str:
    """What a new interpreter prints, which has imported nothing yet."""
    answer = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(PROJECT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_loading_the_definitions_imports_neither_pyart_nor_matplotlib():
    code = "import nexrad_assets.definitions, sys, json; print(json.dumps(sorted(sys.modules)))"
    modules = json.loads(fresh(code).splitlines()[-1])
    assert "nexrad_assets.definitions" in modules
    for unwanted in ("pyart", "matplotlib", "metpy", "PIL", "boto3", "api", "fastapi"):
        assert unwanted not in modules


def test_the_workspace_loads_both_code_locations():
    workspace = yaml.safe_load((PROJECT / "workspace.yaml").read_text())
    modules = [one["python_module"]["module_name"] for one in workspace["load_from"]]
    assert modules == ["nexrad_assets.definitions", "dwd_assets.definitions"]
    for module in modules:
        fresh(f"import dagster, {module} as m; dagster.Definitions.validate_loadable(m.defs)")


def test_no_pyproject_table_makes_bare_dagster_dev_ignore_the_workspace():
    import tomllib

    tools = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]
    assert not {"dagster", "dg"} & tools.keys()


def test_the_definitions_are_loadable_and_complete():
    definitions = build_definitions(settings=NexradSettings(_env_file=None, sites=("KPDT",)))
    dg.Definitions.validate_loadable(definitions)
    repository = definitions.get_repository_def()
    assert {key.to_user_string() for key in repository.assets_defs_by_key} == {
        "nexrad_level2_volumes",
        "nexrad_level2_sweeps",
        "nexrad_level3_files",
        "nexrad_level3_products",
        "nexrad_scan_list",
    }
    assert {one.name for one in repository.asset_graph.asset_check_keys} == {
        "a_file_was_readable",
        "everything_listed_exists",
    }
    assert {one.name for one in repository.sensor_defs} == {"nexrad_live_level2", "nexrad_live_level3"}
    assert {one.job_name for one in repository.schedule_defs} == {
        "nexrad_retention",
        "nexrad_reconcile",
        "nexrad_prune_runs",
    }


@pytest.mark.parametrize(("live", "status"), [(True, "RUNNING"), (False, "STOPPED")])
def test_the_sensor_runs_by_itself_only_where_the_settings_say_live(live, status):
    settings = NexradSettings(_env_file=None, sites=("KPDT",), live=live)
    sensors = build_definitions(settings=settings).get_repository_def().sensor_defs
    assert [sensor.default_status.value for sensor in sensors] == [status, status]


def test_without_codes_to_follow_the_sensor_of_level_3_stays_stopped():
    settings = NexradSettings(_env_file=None, sites=("KPDT",), live=True, level3_products=())
    sensors = build_definitions(settings=settings).get_repository_def().sensor_defs
    status = {sensor.name: sensor.default_status.value for sensor in sensors}
    assert status == {"nexrad_live_level2": "RUNNING", "nexrad_live_level3": "STOPPED"}


def test_every_run_has_one_process():
    definitions = build_definitions(settings=NexradSettings(_env_file=None, sites=("KPDT",)))
    for job in ("nexrad_live_level2", "nexrad_live_level3", "nexrad_retention"):
        assert definitions.resolve_job_def(job).executor_def is dg.in_process_executor


def test_a_backfill_is_one_run_a_partition():
    definitions = build_definitions(settings=NexradSettings(_env_file=None, sites=("KPDT",)))
    for asset in definitions.get_repository_def().assets_defs_by_key.values():
        assert asset.backfill_policy == dg.BackfillPolicy.multi_run(max_partitions_per_run=1)


def test_only_the_blocking_check_blocks():
    definitions = build_definitions(settings=NexradSettings(_env_file=None, sites=("KPDT",)))
    graph = definitions.get_repository_def().asset_graph
    blocking = {key.name: graph.get(key).blocking for key in graph.asset_check_keys}
    assert blocking == {"a_file_was_readable": True, "everything_listed_exists": False}


def test_the_shipped_instance_sends_no_telemetry_and_bounds_what_runs_at_once(tmp_path):
    (tmp_path / "dagster.yaml").write_text((PROJECT / "deploy" / "dagster.yaml").read_text())
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.telemetry_enabled is False
        assert instance.run_monitoring_enabled
        concurrency = instance.get_concurrency_config()
        assert concurrency.pool_config.pool_granularity is PoolGranularity.RUN
        assert concurrency.pool_config.default_pool_limit == 4
        limits = {one["key"]: one["limit"] for one in concurrency.run_queue_config.tag_concurrency_limits}
        assert limits == {"dagster/backfill": 2}
        assert limits["dagster/backfill"] < concurrency.pool_config.default_pool_limit


def test_fetching_and_rendering_have_a_pool_each():
    definitions = build_definitions(settings=NexradSettings(_env_file=None, sites=("KPDT",)))
    pools = {op.name: op.pool for op in definitions.resolve_job_def("nexrad_live_level2").all_node_defs}
    assert pools["nexrad_level2_volumes"] == FETCH_POOL
    assert pools["nexrad_level2_sweeps"] == RENDER_POOL


@dg.op
def talk() -> None:
    print("heard in the bucket")


@dg.job
def talkative() -> None:
    talk()
