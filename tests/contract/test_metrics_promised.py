"""What the data plane counts is what its contracts say it counts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests import ports

BINARY = Path(sys.executable).parent / "alongside-dataplane"
RUST = Path(__file__).resolve().parents[2] / "rust"
DOCS = Path(__file__).resolve().parents[2] / "docs"
COMPONENTS = ("ambassador", "cache", "route", "tls")
PAGES = [*(DOCS / "contracts" / f"{one}.md" for one in COMPONENTS), DOCS / "balancer.md"]


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Return the names of all metrics of a process that does everything at once."""
    port = ports.free_port()
    document = {
        "schema": 1,
        "epoch": 0,
        "generation": 1,
        "status": {"address": f"127.0.0.1:{port}"},
        "listeners": [
            {"name": "web", "address": "127.0.0.1:0", "serves": "spread"},
            {"name": "store", "address": "127.0.0.1:0", "serves": "kept"},
            {"name": "door", "address": "127.0.0.1:0", "serves": "passed"},
            {"name": "memory", "address": "127.0.0.1:0", "serves": "pooled"},
        ],
        "nodes": [{"id": "a", "address": "127.0.0.1:9"}],
        "routes": [
            {
                "name": "spread",
                "key": "request.uri",
                "function": "ketama",
                "shards": [{"name": "a", "replicas": ["a"]}],
            }
        ],
        "caches": [
            {"name": "kept", "origin": {"address": "127.0.0.1:9"}, "memory_bytes": 1_048_576}
        ],
        "tcp": [{"name": "passed", "backends": [{"id": "a", "address": "127.0.0.1:9"}]}],
        "pools": [
            {
                "name": "pooled",
                "protocol": "memcache",
                "servers": [{"name": "a", "address": "127.0.0.1:9"}],
            }
        ],
    }
    path = tmp_path_factory.mktemp("metrics") / "document.json"
    path.write_text(json.dumps(document))
    process = subprocess.Popen([BINARY, "--document", path], stderr=subprocess.DEVNULL)
    try:
        text = ports.get(f"http://127.0.0.1:{port}/metrics").decode()
    finally:
        process.terminate()
        process.wait(timeout=20)
    types = re.findall(r"^# TYPE (\S+) (\S+)", text, flags=re.M)
    return {
        name + "_total" if kind == "counter" and not name.endswith("_total") else name
        for name, kind in types
    }


def promised() -> set[str]:
    """Return the names that the pages of what the data plane does list."""
    text = "".join(page.read_text() for page in PAGES)
    return set(re.findall(r"^\| `(alongside_\w+)` ", text, flags=re.M))


def test_every_metric_is_promised(counted: set[str]) -> None:
    assert counted
    assert counted - promised() == set()


def registered() -> set[str]:
    """Return the names that the crates register, as written there: with or without their prefix."""
    sources = (path.read_text() for path in RUST.glob("*/src/**/*.rs"))
    return {name for text in sources for name in re.findall(r'register\(\s*"(\w+)"', text)}


def test_every_promised_metric_is_counted(counted: set[str]) -> None:
    # A metric with labels shows itself once it has counted something; before, its source tells.
    silent = {name.removesuffix("_total") for name in promised() - counted}
    assert {name for name in silent if not any(name.endswith(end) for end in registered())} == set()
