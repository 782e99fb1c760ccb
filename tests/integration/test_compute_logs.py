"""What a run prints is kept in S3, by the section for `dagster.yaml` that `deploy/` has."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus, job, op
from dagster._core.storage.compute_log_manager import ComputeIOType

pytestmark = pytest.mark.s3

PROJECT = Path(__file__).parents[2]
PREFIX = "dagster-logs"
PRINTED = "rain over Pendleton"


@op
def prints() -> None:
    print(PRINTED)


@job
def printing() -> None:
    prints()


@pytest.fixture
def deployed(s3_server, tmp_path, monkeypatch) -> str:
    """A Dagster home with its logs in a bucket, and the environment for it; gives the bucket."""
    bucket = s3_server.new_bucket()
    variables = {
        **s3_server.environment,
        "DAGSTER_HOME": str(tmp_path / "home"),
        "DAGSTER_LOGS_BUCKET": bucket,
        "DAGSTER_LOGS_PREFIX": PREFIX,
        "DAGSTER_LOGS_ENDPOINT": s3_server.endpoint,
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "home").mkdir()
    parts = [PROJECT / "deploy" / name for name in ("dagster.yaml", "dagster-s3-logs.yaml")]
    (tmp_path / "home" / "dagster.yaml").write_text("".join(part.read_text() for part in parts))
    return bucket


def run_in_a_process() -> None:
    execute = [sys.executable, "-m", "dagster", "job", "execute", "-m", __name__, "-j", "printing"]
    done = subprocess.run(execute, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def test_what_a_run_prints_is_in_the_bucket_and_read_from_there(deployed, s3_server, tmp_path):
    run_in_a_process()

    client = s3_server.client()
    stored = [each["Key"] for each in client.list_objects_v2(Bucket=deployed).get("Contents", [])]
    (out,) = [key for key in stored if key.endswith(".out")]
    assert out.startswith(f"{PREFIX}/storage/")
    assert client.get_object(Bucket=deployed, Key=out)["Body"].read().decode().strip() == PRINTED

    with DagsterInstance.from_config(str(tmp_path / "home")) as instance:
        (run,) = instance.get_runs()
        assert run.status is DagsterRunStatus.SUCCESS
        logs = instance.compute_log_manager
        (key,) = logs.get_log_keys_for_log_key_prefix([run.run_id, "compute_logs"], ComputeIOType.STDOUT)
        local = Path(logs.local_manager.get_captured_local_path(key, "out"))
        assert not local.exists(), "the process that ran left nothing on this disk to read instead"
        try:
            assert logs.get_log_data(key).stdout.decode().strip() == PRINTED
        finally:
            shutil.rmtree(local.parents[1], ignore_errors=True)  # Dagster's copy, always below /tmp
