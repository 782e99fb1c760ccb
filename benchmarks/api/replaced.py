"""The replaced server's way, in a process of its own: `python -m benchmarks.api.replaced PORT BUCKET ENDPOINT`.

Flask under Waitress, objects of a bucket through boto3: an image is fetched and sent, a list is read and written anew,
each time. One client serves the whole process, which is what boto3 recommends: one a request would be slower still.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import boto3
import waitress
from flask import Flask, Response, jsonify

GROUPS = {"hydrometeor": 3, "precipitation": 3, "reflectivity": 2}
TYPES = {"png": "image/png", "json": "application/json"}


def application(client: Any, bucket: str) -> Flask:  # noqa: ANN401 - boto3 has no type of it
    """The routes that are measured."""
    app = Flask(__name__)

    @app.get("/data/<int:level>/<name>/<form>")
    def data(level: int, name: str, form: str) -> Response:
        product = name.rsplit("_", 2)[1]
        key = f"plots_level{level}_{product}/{name}.{form}"
        return Response(client.get_object(Bucket=bucket, Key=key)["Body"].read(), mimetype=TYPES[form])

    @app.get("/list-all/")
    def list_all() -> Response:
        """The lists, from an object of each group."""
        found = {name: client.get_object(Bucket=bucket, Key=f"lists/{name}.json") for name in GROUPS}
        return jsonify({name: json.loads(each["Body"].read()) for name, each in found.items()})

    @app.get("/list-bucket/")
    def list_bucket() -> Response:
        """The same lists, from the names in the bucket."""
        return jsonify({name: _listed(client, bucket, level, name) for name, level in GROUPS.items()})

    return app


def _listed(client: Any, bucket: str, level: int, product: str) -> dict[str, dict[str, int]]:  # noqa: ANN401
    prefix = f"plots_level{level}_{product}/"
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    found: dict[str, dict[str, int]] = {}
    for name in (entry["Key"] for page in pages for entry in page.get("Contents", ())):
        if name.endswith(".png"):
            key = name.removeprefix(prefix).rsplit("_", 2)[0]
            found.setdefault(key, {"sweeps": 0})["sweeps"] += 1
    return found


def main(port: str, bucket: str, endpoint: str) -> None:
    """Serve until killed; credentials are of the environment."""
    client = boto3.client("s3", endpoint_url=endpoint)
    waitress.serve(application(client, bucket), host="127.0.0.1", port=int(port), threads=16, _quiet=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
