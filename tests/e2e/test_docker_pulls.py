"""Images that a real Docker engine pulls, from a registry of the test's own on loopback."""

import asyncio
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import docker, pods_in_docker, registry
from tests.e2e.pods_in_docker import opened

from alongside.base import errors
from alongside.engines.runtimes.docker import image
from alongside.plan import pods

pytestmark = [pytest.mark.needs("dockerd"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.Engine]:
    with docker.daemon() as daemon:
        yield daemon.own


def test_an_image_is_pulled_as_its_policy_says(engine: docker.Engine, tmp_path: Path) -> None:
    async def body() -> None:
        with registry.serving() as far:
            far.let.set()
            never = pods.Container("main", image=far.image)
            missing, always = (
                dataclasses.replace(never, pull=pull) for pull in ("missing", "always")
            )
            told: list[str] = []
            async with opened(engine, tmp_path) as project:
                made = await project.pod(pods.Pod("one", (never,)))
                await made.fetch(never, told.append)
                with pytest.raises(errors.PermanentError, match="the engine has no image"):
                    await made.start(never, 0)
                assert (far.manifests, told) == (0, [])
                await made.fetch(missing, told.append)
                assert await image.has(project.opened().asked, far.image)
                assert told[0] == f"pulling {far.image}"
                asked = far.manifests
                assert asked > 0
                await made.fetch(missing, told.append)
                assert far.manifests == asked
                await made.fetch(always, told.append)
                assert far.manifests > asked
        engine.docker("rmi", "--force", far.image)

    pods_in_docker.run(body())


def test_a_pull_that_is_slow_shows_itself_and_one_that_stands_still_is_given_up(
    engine: docker.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body() -> None:
        with registry.serving() as far:
            main = pods.Container("main", image=far.image, pull="missing")
            told: list[str] = []
            async with opened(engine, tmp_path) as project:
                made = await project.pod(pods.Pod("one", (main,)))
                fetching = asyncio.create_task(made.fetch(main, told.append))
                async with asyncio.timeout(pods_in_docker.WAIT_S):
                    while not told:  # noqa: ASYNC110 - told by a callback
                        await asyncio.sleep(0.01)
                assert not fetching.done()
                far.let.set()
                await fetching
                engine.docker("rmi", "--force", far.image)
                far.let.clear()
                monkeypatch.setattr(image, "PULL_SILENT_S_MAX", 0.5)
                with pytest.raises(errors.PermanentError, match="says nothing more"):
                    await made.fetch(main, told.append)

    pods_in_docker.run(body())


def test_a_registry_that_is_not_there_is_one_message(engine: docker.Engine, tmp_path: Path) -> None:
    async def body() -> None:
        main = pods.Container("main", image="127.0.0.1:1/gone:9", pull="always")
        async with opened(engine, tmp_path) as project:
            made = await project.pod(pods.Pod("one", (main,)))
            with pytest.raises(errors.PermanentError) as caught:
                await made.fetch(main, lambda _: None)
            assert str(caught.value).count("cannot be pulled") == 1
            assert str(caught.value).startswith('image "127.0.0.1:1/gone:9" cannot be pulled: ')
            assert "imagePullPolicy" in str(caught.value)

    pods_in_docker.run(body())
