"""Every engine keeps every promise of pods: one project of all behaviours on each of them."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conformance import behaviours, engines, world, writing
from tests.e2e import fleets

pytestmark = [fleets.NEEDS_DATA_PLANE, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def worlds() -> Iterator[engines.Worlds]:
    """One world for each engine, made when it is first asked for."""
    with tempfile.TemporaryDirectory(prefix="cf") as text, contextlib.ExitStack() as stack:
        yield engines.Worlds(stack, Path(text), behaviours.ALL)


def _cases() -> list[object]:
    """Return engine by engine the behaviours, in the order of their phases."""
    return [
        pytest.param(engine, one, id=f"{engine}: {one.name}")
        for engine in engines.NAMES
        for one in behaviours.ALL
        if engine in one.engines
    ]


@pytest.mark.parametrize(("engine", "behaviour"), _cases())
def test_keeps(worlds: engines.Worlds, engine: str, behaviour: world.Behaviour) -> None:
    own = worlds.of(engine)
    own.reach(behaviour.phase)
    behaviour.check(own)


@pytest.mark.parametrize("engine", engines.NAMES)
def test_leaves_nothing(worlds: engines.Worlds, engine: str) -> None:
    own = worlds.of(engine)
    own.reach("down")
    assert worlds.left(engine) == []


def test_would_see_what_is_left_in_docker(worlds: engines.Worlds) -> None:
    own = worlds.of("docker")
    own.reach("down")
    assert worlds.docker is not None
    planted = (
        ("network", "create", "planted-network"),
        ("volume", "create", "planted-volume"),
        ("create", "--name", "planted-container", writing.IMAGE, "true"),
    )
    for words in planted:
        assert worlds.docker.docker(*words).returncode == 0
    found = worlds.left("docker")
    for line in (
        "rm planted-container",
        "volume rm planted-volume",
        "network rm planted-network",
    ):
        assert worlds.docker.docker(*line.split()).returncode == 0
    kinds = ("container", "network", "volume")
    assert {f"{kind} planted-{kind}" for kind in kinds} <= set(found)
    assert worlds.left("docker") == []


def test_there_are_enough_of_them() -> None:
    assert len(behaviours.ALL) >= 80
