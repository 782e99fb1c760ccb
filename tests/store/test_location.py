"""From a setting to a store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from store.location import open_store
from store.posix import PosixStore
from store.s3 import S3Store
from tests.servers import S3Server


@pytest.mark.parametrize("form", ["{}", "file://{}", "file://localhost{}"])
def test_a_folder_may_be_a_path_or_a_url(tmp_path: Path, form: str):
    folder = tmp_path / "with space" / "store"
    store = open_store(form.format(folder))
    assert isinstance(store, PosixStore)
    assert store.root == folder
    assert folder.is_dir()


def test_an_escaped_url_is_the_folder_it_means(tmp_path: Path):
    store = open_store(f"file://{tmp_path}/with%20space")
    assert isinstance(store, PosixStore)
    assert store.root == tmp_path / "with space"


def test_a_relative_path_is_taken_from_the_working_folder_at_once(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = open_store("data/store")
    monkeypatch.chdir("/")
    store.put("a", b"1")
    assert (tmp_path / "data" / "store" / "a").read_bytes() == b"1"


@pytest.mark.parametrize("form", ["s3://{}", "s3://{}/", "s3://{}/deep/er", "s3://{}/deep/er/"])
@pytest.mark.s3
def test_a_bucket_may_have_a_prefix(s3_server: S3Server, s3_store: S3Store, monkeypatch, form: str):
    environment = s3_server.environment
    endpoint = environment.pop("AWS_ENDPOINT_URL")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    store = open_store(form.format(s3_store.bucket), endpoint)
    store.put("a", b"1")
    expected = "deep/er/a" if "deep" in form else "a"
    assert [info.key for info in s3_store.list("")] == [expected]


@pytest.mark.parametrize(
    "location",
    ["", "gs://bucket", "http://host/path", "s3://", "s3:///prefix", "s3://b/../up", "s3://b/a//b", "file://",
     "file://otherhost/folder", "file:///folder?query", "S3://bucket", "://", "memory://"],
)  # fmt: skip
def test_any_other_location_is_refused_and_named(location: str):
    with pytest.raises(
        ValueError, match="location is empty" if not location else location.replace("?", r"\?")
    ):
        open_store(location)


def test_a_folder_is_opened_without_importing_an_s3_client(tmp_path: Path):
    code = "import sys, store.location as l; l.open_store(sys.argv[1]); sys.exit('obstore' in sys.modules)"
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", code, str(tmp_path)]
    assert subprocess.run(command, cwd=root, env=os.environ, check=False).returncode == 0
