"""What a real Docker engine is given where it does not see what we mount."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import docker, pods_in_docker
from tests.e2e.pods_in_docker import IMAGE, opened, shell

from alongside.engines.pods import memory
from alongside.plan import pods

pytestmark = [pytest.mark.needs("dockerd", "debootstrap"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def engine() -> Iterator[docker.Engine]:
    with docker.daemon() as daemon:
        daemon.own.take_base(IMAGE)
        yield daemon.own


def test_an_engine_that_does_not_see_our_mounts_is_given_no_stand_in(
    engine: docker.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container that is over at once writes into the volume, and not into an empty folder."""
    volume = tmp_path / "volume"
    volume.mkdir()
    writes = shell("touch /data/mine", mounts=(pods.Mount("data", "/data", sub_path="a"),))

    def unseen(source: str, target: Path) -> None:
        """A mount of another namespace than the engine's is as none for it."""

    async def body() -> None:
        monkeypatch.setattr(memory, "bind", unseen)
        async with opened(engine, tmp_path) as project:
            assert not project.opened().sees_mounts
            await project.ran(writes, {"data": volume})
            assert (volume / "a" / "mine").exists()

    pods_in_docker.run(body())
