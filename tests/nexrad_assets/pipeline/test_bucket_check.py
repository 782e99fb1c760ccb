"""Whether a bucket is fit to be the store: tried on real stores, judged by real S3 answers."""

import boto3
import dagster as dg
import moto
import pytest

from nexrad_assets.jobs import check_bucket_job
from nexrad_assets.pipeline.bucket_check import advice, ignored_conditions
from nexrad_assets.pipeline.context import Workshop
from nexrad_assets.settings import NexradSettings

EVERYTHING = dict.fromkeys(
    ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
)


def test_our_stores_honour_every_condition_and_keep_nothing_of_the_trial(store):
    assert ignored_conditions(store) == ()
    assert list(store.list("")) == []


class _Careless:
    """A store on a server that does not know conditional headers."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)

    def create(self, key, data):
        return self._store.put(key, data)

    def replace(self, key, data, _etag):
        return self._store.put(key, data)


def test_a_server_that_ignores_conditions_is_found_out(local_store):
    ignored = ignored_conditions(_Careless(local_store))
    assert [fault.split(":")[0] for fault in ignored] == ["If-None-Match", "If-Match"]
    assert list(local_store.list("")) == []


@pytest.fixture
def client(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with moto.mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="bucket")
        yield s3


def test_a_new_bucket_is_told_what_it_lacks(client):
    assert advice(client, "bucket") == ("public access is not blocked", "no rule aborts incomplete uploads")


def test_a_bucket_set_up_as_advised_has_nothing_to_be_told(client):
    client.put_public_access_block(Bucket="bucket", PublicAccessBlockConfiguration=EVERYTHING)
    abort = {
        "ID": "a",
        "Status": "Enabled",
        "Filter": {},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }
    client.put_bucket_lifecycle_configuration(Bucket="bucket", LifecycleConfiguration={"Rules": [abort]})
    assert advice(client, "bucket") == ()


def test_versioning_is_advised_against(client):
    client.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    assert any("versioning" in words for words in advice(client, "bucket"))


def test_what_may_not_be_asked_is_said(client):
    assert all("NoSuchBucket" in words for words in advice(client, "another"))


@pytest.mark.s3
def test_the_job_runs_on_a_real_server(s3_server, tmp_path, monkeypatch):
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    bucket = s3_server.new_bucket()
    settings = NexradSettings(_env_file=None, store=f"s3://{bucket}", store_endpoint=s3_server.endpoint)
    workshop = Workshop(settings, s3_server.store(bucket), {})
    with dg.DagsterInstance.ephemeral() as instance:
        result = check_bucket_job.execute_in_process(resources={"workshop": workshop}, instance=instance)
    assert result.success
    (told,) = [
        event.event_specific_data.metadata for event in result.filter_events(lambda e: e.is_successful_output)
    ]
    assert told["ignored_conditions"].value == []
