"""What is killed has an end, and what cannot be is named."""

from __future__ import annotations

import asyncio
import subprocess

import pytest

from alongside.base import clock, errors
from alongside.engines.processes import groups
from alongside.engines.runtimes.namespaces import members


def test_what_starts_others_as_quickly_as_it_is_killed_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(members, "KILL_WAIT_S", 1.0)
    monkeypatch.setattr(members, "STORM_COUNT", 3)
    started: list[subprocess.Popen[bytes]] = []

    def find() -> list[groups.Entry]:
        started.append(subprocess.Popen(["sleep", "60"]))
        found = groups.entry(started[-1].pid)
        return [found] if found is not None else []

    try:
        with pytest.raises(errors.TemporaryError, match="start others as quickly"):
            asyncio.run(members.kill(find, clock.SystemClock()))
    finally:
        for one in started:
            one.kill()
            one.wait()


def test_what_is_found_no_more_was_killed_and_is_dead() -> None:
    process = subprocess.Popen(["sleep", "60"])
    found = groups.entry(process.pid)
    assert found is not None
    looks = iter([[found], []])
    killed = asyncio.run(members.kill(lambda: next(looks, []), clock.SystemClock()))
    assert killed == {found.identity}
    assert not groups.is_alive(found.identity)
    process.wait()
