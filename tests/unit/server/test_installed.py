"""What a plan's servers need is looked for before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from alongside.base import errors
from alongside.plan import building, shape
from alongside.resources import reading, texts
from alongside.server import installed

FILE = """\
apiVersion: alongside.dev/v1alpha1
kind: ShardedCache
metadata: {name: sessions}
spec: {protocol: memcache}
---
apiVersion: alongside.dev/v1alpha1
kind: ShardedCache
metadata: {name: locks}
spec: {protocol: redis}
"""


def plan() -> shape.Plan:
    return building.plan(reading.read([texts.Source("f.yaml", "/data", FILE)]))


def test_names_each_program_that_is_missing_with_its_package(tmp_path: Path) -> None:
    with pytest.raises(errors.UsageError) as caught:
        installed.check(plan(), {"PATH": str(tmp_path)})
    assert list(caught.value.problems) == [
        'f.yaml:4: ShardedCache/sessions: spec.protocol: "memcached" is not on the PATH of this '
        "machine; apt-get install memcached",
        'f.yaml:9: ShardedCache/locks: spec.protocol: "redis-server" is not on the PATH of this '
        "machine; apt-get install redis-server",
    ]


def test_is_content_with_what_is_there(tmp_path: Path) -> None:
    for name in ("memcached", "redis-server"):
        (tmp_path / name).touch(mode=0o755)
    installed.check(plan(), {"PATH": str(tmp_path)})
    installed.check(shape.Plan(), {"PATH": "/nowhere"})
