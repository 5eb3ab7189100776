"""Volumes are made as Kubernetes makes them, nothing leads out of them, nothing is left."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from alongside.base import errors
from alongside.engines.pods import memory, notes, volumes
from alongside.plan import pods

CONFIG = pods.Volume(
    "config", "files", sources=("ConfigMap/app",), files=(pods.File("app.yaml", b"one"),)
)
SECRET = pods.Volume(
    "keys", "files", files=(pods.File("key", b"hush", 0o400),), is_secret=True
)  # fmt: skip


def pod(*made: pods.Volume, name: str = "web-0") -> pods.Pod:
    return pods.Pod(name, (), volumes=made, place="web.yaml:1: Pod/web-0")


def refuse(folder: Path, options: str) -> None:
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Give a folder for volumes, whose mounts do not outlive the test."""
    yield tmp_path / "volumes"
    for point in memory.mounts_below(tmp_path):
        memory.unmount(point)


def is_root() -> bool:
    return os.geteuid() == 0


def test_makes_empty_folders_that_every_user_of_the_pod_may_write(folder: Path) -> None:
    before = os.umask(0o077)
    try:
        made = asyncio.run(volumes.Volumes(folder).make(pod(pods.Volume("data", "empty"))))
    finally:
        os.umask(before)
    assert made == {"data": folder / "web-0" / "data"}
    assert stat.S_IMODE(made["data"].stat().st_mode) == 0o777
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(made["data"].iterdir()) == []


def test_publishes_files_and_then_others_live(folder: Path) -> None:
    async def work() -> None:
        ours = volumes.Volumes(folder)
        made = await ours.make(pod(CONFIG))
        assert (made["config"] / "app.yaml").read_bytes() == b"one"
        assert not await ours.publish(pod(CONFIG))
        later = pods.Volume("config", "files", files=(pods.File("app.yaml", b"two"),))
        assert await ours.publish(pod(later))
        assert (made["config"] / "app.yaml").read_bytes() == b"two"

    asyncio.run(work())


def test_publishes_nothing_for_a_pod_that_is_not_there(folder: Path) -> None:
    assert not asyncio.run(volumes.Volumes(folder).publish(pod(CONFIG)))
    assert not folder.exists()


def test_keeps_what_it_has_made_for_a_pod_that_starts_again(folder: Path) -> None:
    async def work() -> None:
        ours, data = volumes.Volumes(folder), pods.Volume("data", "empty")
        made = await ours.make(pod(data, CONFIG))
        (made["data"] / "kept").write_text("")
        later = pods.Volume("config", "files", files=(pods.File("app.yaml", b"two"),))
        assert await ours.make(pod(data, later)) == made
        assert os.listdir(made["data"]) == ["kept"]
        assert (made["config"] / "app.yaml").read_bytes() == b"two"
        await ours.remove(pod())
        assert os.listdir((await ours.make(pod(data, later)))["data"]) == []

    asyncio.run(work())


def test_begins_anew_for_a_pod_that_a_dead_supervisor_left(folder: Path) -> None:
    async def work() -> None:
        made = await volumes.Volumes(folder).make(pod(pods.Volume("data", "empty"), SECRET))
        (made["data"] / "left").write_text("behind")
        made = await volumes.Volumes(folder).make(pod(pods.Volume("data", "empty"), SECRET))
        assert list(made["data"].iterdir()) == []
        assert len(memory.mounts_below(folder)) <= 1
        await volumes.Volumes(folder).remove(pod())
        assert os.listdir(folder) == []

    asyncio.run(work())


@pytest.mark.skipif(not is_root(), reason="a tmpfs is root's to mount")
def test_memory_is_a_tmpfs_of_the_size_that_was_asked_for(folder: Path) -> None:
    async def work() -> None:
        said = notes.Notes()
        ours = volumes.Volumes(folder, said)
        made = await ours.make(pod(pods.Volume("cache", "memory", size_bytes=128 * 1024)))
        with pytest.raises(OSError, match="No space"):
            (made["cache"] / "large").write_bytes(b"x" * 200_000)
        assert stat.S_IMODE(made["cache"].stat().st_mode) == 0o777
        assert said.all() == []
        await ours.remove(pod())
        assert memory.mounts_below(folder) == []
        assert os.listdir(folder) == []

    asyncio.run(work())


def test_memory_of_others_is_a_folder_in_a_tmpfs_that_is_there(folder: Path) -> None:
    async def work() -> None:
        said = notes.Notes()
        fallback = memory.Memory(folder, mount=refuse)
        ours = volumes.Volumes(folder, said, memory_=fallback)
        wanted = pod(pods.Volume("cache", "memory", size_bytes=1024), pods.Volume("b", "memory"))
        made = await ours.make(wanted)
        assert made["cache"] == fallback.beside / "web-0" / "cache"
        assert stat.S_IMODE(fallback.beside.stat().st_mode) == 0o700
        assert len(said.all()) == 1
        assert "sizeLimit" in said.all()[0]
        assert "web-0: volumes.cache" in said.all()[0]
        await ours.remove(wanted)
        assert not fallback.beside.exists()

    if not Path("/dev/shm").is_dir():  # noqa: S108 - looked at only
        pytest.skip("there is no /dev/shm")
    asyncio.run(work())


def test_memory_is_on_disk_where_there_is_no_other_and_that_is_said_once(
    folder: Path, tmp_path: Path
) -> None:
    async def work() -> None:
        said = notes.Notes()
        none = memory.Memory(folder, mount=refuse, shared=tmp_path)
        ours = volumes.Volumes(folder, said, memory_=none)
        for _ in range(2):
            await ours.remove(pod())
            made = await ours.make(pod(pods.Volume("cache", "memory")))
            assert made["cache"] == folder / "web-0" / "cache"
        assert [text for text in said.all() if "on disk" in text] == said.all()
        assert len(said.all()) == 1

    asyncio.run(work())


@pytest.mark.parametrize("kind", ["link", "open", "file"])
def test_a_strangers_folder_in_the_shared_tmpfs_is_not_used(
    folder: Path, tmp_path: Path, kind: str
) -> None:
    fallback = memory.Memory(folder, mount=refuse)
    (tmp_path / "web-0").mkdir()
    try:
        if kind == "link":
            fallback.beside.symlink_to(tmp_path)
        elif kind == "open":
            fallback.beside.mkdir()
            fallback.beside.chmod(0o777)
            (fallback.beside / "web-0").mkdir()
        else:
            fallback.beside.write_text("")
        made = asyncio.run(volumes.Volumes(folder, memory_=fallback).make(pod(SECRET)))
        assert made["keys"] == folder / "web-0" / "keys"
        asyncio.run(volumes.Volumes(folder, memory_=fallback).sweep())
        assert os.listdir(tmp_path / "web-0") == []
    finally:
        if kind == "open":
            (fallback.beside / "web-0").rmdir()
            fallback.beside.rmdir()
        else:
            fallback.beside.unlink()


def test_secrets_are_in_memory_and_below_a_folder_of_ours_alone(folder: Path) -> None:
    async def work() -> None:
        made = await volumes.Volumes(folder).make(pod(SECRET))
        assert (made["keys"] / "key").read_bytes() == b"hush"
        assert stat.S_IMODE((made["keys"] / "key").stat().st_mode) == 0o400
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
        if is_root():
            assert memory.mounts_below(folder) == [made["keys"]]

    asyncio.run(work())


def test_a_full_disk_leaves_nothing_and_says_that_room_helps(tmp_path: Path) -> None:
    place = tmp_path / "tiny"
    place.mkdir()
    try:
        memory.mount_tmpfs(place, "size=64k,mode=700")
    except OSError as error:
        pytest.skip(f"a tmpfs may not be mounted here: {error.strerror}")
    try:
        large = pods.Volume("large", "files", files=(pods.File("a", b"x" * 100_000),))
        with pytest.raises(errors.TemporaryError, match="make room"):
            asyncio.run(volumes.Volumes(place / "v").make(pod(CONFIG, SECRET, large)))
        assert list((place / "v").iterdir()) == []
        assert memory.mounts_below(place) == [place]
    finally:
        memory.unmount(place)


def test_sweep_takes_all_of_a_dead_supervisor_away(folder: Path) -> None:
    async def work() -> None:
        ours = volumes.Volumes(folder)
        memory_ = pods.Volume("cache", "memory")
        await ours.make(pod(CONFIG, SECRET, memory_, name="a"))
        await ours.make(pod(CONFIG, SECRET, memory_, name="b"))
        other = volumes.Volumes(folder)
        assert await other.sweep() == 2
        assert memory.mounts_below(folder) == []
        assert await other.sweep() == 0

    asyncio.run(work())
    assert not folder.exists()


def test_removes_what_a_program_made_unwritable(folder: Path) -> None:
    async def work() -> None:
        ours = volumes.Volumes(folder)
        made = await ours.make(pod(pods.Volume("data", "empty")))
        (made["data"] / "module").mkdir()
        (made["data"] / "module" / "file").write_text("")
        (made["data"] / "module").chmod(0o500)
        await ours.remove(pod())
        assert os.listdir(folder) == []

    asyncio.run(work())


def host(path: Path, kind: str) -> pods.Pod:
    return pod(pods.Volume("host", "host", path=str(path), host_type=kind))


@pytest.mark.parametrize(
    ("kind", "there", "is_good"),
    [
        ("", "folder", True), ("", "file", True), ("", "none", False),
        ("Directory", "folder", True), ("Directory", "file", False), ("Directory", "none", False),
        ("DirectoryOrCreate", "none", True), ("DirectoryOrCreate", "file", False),
        ("File", "file", True), ("File", "folder", False), ("File", "none", False),
        ("FileOrCreate", "none", True), ("FileOrCreate", "folder", False),
        ("Socket", "socket", True), ("Socket", "file", False), ("Socket", "none", False),
        ("CharDevice", "char", True), ("CharDevice", "file", False),
        ("BlockDevice", "file", False),
    ],
)  # fmt: skip
def test_a_path_of_the_host_is_looked_at_as_its_type_says(
    tmp_path: Path, kind: str, there: str, is_good: bool
) -> None:
    path = tmp_path / "it"
    with socket.socket(socket.AF_UNIX) as door:
        match there:
            case "folder":
                path.mkdir()
            case "file":
                path.write_text("")
            case "socket":
                door.bind(str(path))
            case "none":
                pass
            case _:
                path = Path(os.devnull)
        found = volumes.problems(host(path, kind))
        assert (found == []) == is_good
        ours = volumes.Volumes(tmp_path / "volumes")
        if is_good:
            assert asyncio.run(ours.make(host(path, kind))) == {"host": path}
            assert path.exists()
            asyncio.run(ours.remove(host(path, kind)))
            assert path.exists()
        else:
            assert found[0].startswith("web.yaml:1: Pod/web-0: volumes.host: ")
            with pytest.raises(errors.PermanentError):
                asyncio.run(ours.make(host(path, kind)))


def test_a_file_is_created_only_in_a_folder_that_is_there(tmp_path: Path) -> None:
    assert volumes.problems(host(tmp_path / "no" / "file", "FileOrCreate"))


@pytest.mark.parametrize(
    "made",
    [
        pods.Volume("../out", "empty"), pods.Volume("..", "memory"), pods.Volume("a/b", "empty"),
        pods.Volume("config", "files", files=(pods.File("../../out", b""),)),
        pods.Volume("config", "files", files=(pods.File("a", b""), pods.File("a/b", b""))),
        pods.Volume("host", "host", path="etc"), pods.Volume("host", "host", path="/srv/../etc"),
    ],
)  # fmt: skip
def test_nothing_leads_out_of_a_pods_folder(folder: Path, made: pods.Volume) -> None:
    assert volumes.problems(pod(made))
    with pytest.raises(errors.PermanentError):
        asyncio.run(volumes.Volumes(folder).make(pod(made)))
    assert not folder.exists()


@pytest.mark.parametrize("name", ["..", "../out", "a/b", "", "/etc"])
def test_a_pods_name_leads_nowhere_else(folder: Path, name: str) -> None:
    with pytest.raises(errors.PermanentError):
        asyncio.run(volumes.Volumes(folder).make(pod(name=name)))
    with pytest.raises(errors.PermanentError):
        asyncio.run(volumes.Volumes(folder).remove(pod(name=name)))
