"""Paths of mounts lead to the volumes, and nothing else is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from alongside.engines.runtimes.host import rewriting
from alongside.plan import pods

VOLUMES = {"config": Path("/v/config"), "data": Path("/v/data"), "deep": Path("/v/deep")}
CONTAINER = pods.Container(
    "app",
    mounts=(
        pods.Mount("config", "/etc/config"),
        pods.Mount("data", "/data/"),
        pods.Mount("deep", "/data/deep"),
        pods.Mount("config", "/etc/app.yaml", sub_path="app.yaml"),
        pods.Mount("data", "/"),
        pods.Mount("unknown", "/none"),
    ),
)
PATHS = rewriting.of(CONTAINER, VOLUMES)


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("/etc/config", "/v/config"),
        ("/etc/config/", "/v/config/"),
        ("/etc/config/app.yaml", "/v/config/app.yaml"),
        ("--config=/etc/config/app.yaml", "--config=/v/config/app.yaml"),
        ("-c=/etc/config/app.yaml", "-c=/v/config/app.yaml"),
        ("--log.file=/data/log", "--log.file=/v/data/log"),
        ("/data/x", "/v/data/x"),
        ("/data/deep/x", "/v/deep/x"),
        ("/data/deeper/x", "/v/data/deeper/x"),
        ("/etc/app.yaml", "/v/config/app.yaml"),
        # Not at the beginning, not a whole part of a path, or no path at all.
        ("/etc/configuration", "/etc/configuration"),
        ("/etc/config.d/x", "/etc/config.d/x"),
        ("/mnt/etc/config", "/mnt/etc/config"),
        ("cat /etc/config/app.yaml", "cat /etc/config/app.yaml"),
        ("a=/etc/config", "a=/etc/config"),
        ("file:///etc/config/x", "file:///etc/config/x"),
        ("etc/config", "etc/config"),
        ("--/etc/config", "--/etc/config"),
        ("/none/x", "/none/x"),
        ("/", "/"),
        ("", ""),
        ("--config=", "--config="),
    ],
)
def test_leads_an_argument(argument: str, expected: str) -> None:
    assert PATHS.argument(argument) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/etc/config/app.yaml", "/v/config/app.yaml"),
        ("/data:/usr/bin", "/data:/usr/bin"),
        ("--config=/etc/config", "--config=/etc/config"),
        ("x /data", "x /data"),
    ],
)
def test_leads_a_variable_or_folder(text: str, expected: str) -> None:
    assert PATHS.text(text) == expected


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("cat /etc/config/app.yaml", "/etc/config"),
        ("exec nginx -c '/etc/config/x'", "/etc/config"),
        ("PATH=/data:/bin", "/data"),
        ("/etc/config/app.yaml", None),
        ("cat /etc/configuration", None),
        ("cat /mnt/data/x", None),
        ("nothing", None),
    ],
)
def test_sees_a_path_that_it_cannot_lead(text: str, path: str | None) -> None:
    assert PATHS.hidden(text) == path


def test_says_by_variables_where_volumes_are() -> None:
    mounts = (pods.Mount("my-data.v1", "/data"), pods.Mount("my-data.v1", "/other", "sub"))
    container = pods.Container("app", mounts=mounts)
    told = rewriting.told(container, {"my-data.v1": Path("/v/d"), "other": Path("/v/o")})
    assert told == {"ALONGSIDE_VOLUME_MY_DATA_V1": "/v/d"}


@pytest.mark.parametrize(
    ("sub_path", "expected"),
    [("a", False), ("a/b", False), ("a..b", False), ("..", True), ("a/../..", True), ("/a", True)],
)
def test_knows_a_sub_path_that_leads_out(sub_path: str, expected: bool) -> None:
    assert rewriting.escapes(sub_path) == expected
