"""Files are published at once; whatever moment it ends at, readers have old or new, whole."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from alongside.engines.pods import memory, publishing
from alongside.plan import pods

OLD = (pods.File("a.yaml", b"old a"), pods.File("gone.yaml", b"old"), pods.File("d/e", b"old e"))
NEW = (pods.File("a.yaml", b"new a"), pods.File("b.yaml", b"new b"), pods.File("d/e", b"new e"))
STEPS = (
    "mkdir", "chmod", "open", "write", "fchmod", "fsync", "close", "rename", "symlink", "replace",
    "unlink", "rmdir",
)  # fmt: skip
DYING = """
import os, sys
from pathlib import Path
from alongside.engines.pods import publishing
from alongside.plan import pods

def publish(folder, at, steps, pairs):
    count = 0
    def dying(call):
        def step(*arguments, **named):
            nonlocal count
            if count == at:
                os._exit(9)
            count += 1
            return call(*arguments, **named)
        return step
    for name in steps:
        setattr(os, name, dying(getattr(os, name)))
    files = [pods.File(*pair.split("=", 1)) for pair in pairs]
    publishing.publish(folder, [pods.File(one.path, one.content.encode()) for one in files])

for line in sys.stdin:
    folder, at = line.rstrip("\\n").rsplit(" ", 1)
    child = os.fork()
    if child == 0:
        publish(Path(folder), int(at), sys.argv[1].split(","), sys.argv[2:])
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""For each line, publishes in a process that dies as by SIGKILL before its n-th call of the system
that changes anything. One Python for all of them: its start takes longer than all that it does."""


def seen(folder: Path) -> dict[str, bytes]:
    """Return what a reader finds by the visible names."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for name in os.listdir(folder)
        if not name.startswith("..")
        for path in ([folder / name] if (folder / name).is_file() else (folder / name).rglob("*"))
        if path.is_file()
    }


def version(folder: Path) -> dict[str, bytes]:
    """Return what a reader finds who opened `..data`."""
    root = folder / publishing.DATA
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*")
            if path.is_file()}  # fmt: skip


def contents(files: Sequence[pods.File]) -> dict[str, bytes]:
    return {one.path: one.content for one in files}


def test_shows_the_files_with_their_modes_through_links(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        published = publishing.publish(tmp_path, [pods.File("key", b"x", 0o640), *NEW])
    finally:
        os.umask(before)
    assert published
    assert seen(tmp_path) == {"key": b"x", **contents(NEW)}
    assert os.readlink(tmp_path / "key") == "..data/key"
    assert (tmp_path / "key").stat().st_mode & 0o7777 == 0o640
    assert (tmp_path / "a.yaml").stat().st_mode & 0o7777 == 0o644
    assert (tmp_path / "d").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / publishing.DATA).stat().st_mode & 0o7777 == 0o755


def test_replaces_all_at_once_and_takes_stale_names_away(tmp_path: Path) -> None:
    publishing.publish(tmp_path, OLD)
    assert publishing.publish(tmp_path, NEW)
    assert seen(tmp_path) == version(tmp_path) == contents(NEW)
    assert not os.path.lexists(tmp_path / "gone.yaml")


def test_changes_nothing_where_the_content_is_equal(tmp_path: Path) -> None:
    publishing.publish(tmp_path, NEW)
    before = os.readlink(tmp_path / publishing.DATA)
    assert not publishing.publish(tmp_path, tuple(reversed(NEW)))
    assert os.readlink(tmp_path / publishing.DATA) == before


def test_publishes_another_mode_as_another_version(tmp_path: Path) -> None:
    publishing.publish(tmp_path, [pods.File("a", b"x", 0o644)])
    assert publishing.publish(tmp_path, [pods.File("a", b"x", 0o600)])
    assert (tmp_path / "a").stat().st_mode & 0o7777 == 0o600


def test_publishes_no_file_at_all(tmp_path: Path) -> None:
    publishing.publish(tmp_path, OLD)
    assert publishing.publish(tmp_path, ())
    assert seen(tmp_path) == version(tmp_path) == {}


def test_keeps_the_last_versions_for_who_reads_them(tmp_path: Path) -> None:
    for number in range(7):
        publishing.publish(tmp_path, [pods.File("a", str(number).encode())])
    kept = sorted(name for name in os.listdir(tmp_path) if name.startswith("..v-"))
    assert [(tmp_path / name / "a").read_bytes() for name in kept] == [b"4", b"5", b"6"]


def test_leaves_what_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "link").symlink_to("elsewhere")
    publishing.publish(tmp_path, OLD)
    publishing.publish(tmp_path, NEW)
    assert (tmp_path / "lost+found").is_dir()
    assert os.readlink(tmp_path / "link") == "elsewhere"


def test_takes_the_place_of_a_file_that_a_container_wrote(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"written by hand")
    publishing.publish(tmp_path, NEW)
    assert seen(tmp_path) == contents(NEW)


@pytest.mark.parametrize(
    "path",
    ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/", "..data", "..x", "a\0b",
     "é" * 128, "/".join(["x" * 200] * 21)],
)  # fmt: skip
def test_refuses_a_path_that_leads_out_or_in_the_way(tmp_path: Path, path: str) -> None:
    publishing.publish(tmp_path, OLD)
    with pytest.raises(ValueError, match=r"'"):
        publishing.publish(tmp_path, [pods.File("fine", b""), pods.File(path, b"bad")])
    assert seen(tmp_path) == contents(OLD)


@pytest.mark.parametrize("path", ["a", "a.yaml", "a..b", ".hidden", "a/b/c", "a/..b", "x" * 255])
def test_allows_the_other_paths(tmp_path: Path, path: str) -> None:
    publishing.publish(tmp_path, [pods.File(path, b"fine")])
    assert seen(tmp_path) == {path: b"fine"}


@pytest.mark.parametrize("paths", [["a", "a"], ["a", "a/b"], ["a/b/c", "a/b"], ["a/b", "a"]])
def test_refuses_paths_that_collide(tmp_path: Path, paths: list[str]) -> None:
    with pytest.raises(ValueError, match="twice"):
        publishing.publish(tmp_path, [pods.File(path, b"") for path in paths])


@pytest.fixture(scope="module")
def die() -> Iterator[Callable[[Path, int], int]]:
    """Give what publishes the new files and dies; it returns how that process ended."""
    words = [f"{one.path}={one.content.decode()}" for one in NEW]
    command = [sys.executable, "-S", "-c", DYING, ",".join(STEPS), *words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, answers = process.stdin, process.stdout

        def one(folder: Path, at: int) -> int:
            asked.write(f"{folder} {at}\n")
            asked.flush()
            return int(answers.readline())

        yield one


def test_converges_after_it_was_killed_before_any_of_its_calls(
    tmp_path: Path, die: Callable[[Path, int], int]
) -> None:
    died = 0
    while True:
        folder = tmp_path / str(died)
        folder.mkdir()
        publishing.publish(folder, OLD)
        code = die(folder, died)
        assert version(folder) in (contents(OLD), contents(NEW)), f"killed before call {died}"
        publishing.publish(folder, NEW)
        assert seen(folder) == version(folder) == contents(NEW), f"killed before call {died}"
        assert not [name for name in os.listdir(folder) if name.startswith("..new-")]
        if code == 0:
            break
        assert code == 9
        died += 1
    assert died > 25  # each of its calls was the last one once


def test_a_first_publication_converges_too(tmp_path: Path, die: Callable[[Path, int], int]) -> None:
    for at in range(0, 30, 3):
        folder = tmp_path / str(at)
        folder.mkdir()
        die(folder, at)
        publishing.publish(folder, NEW)
        assert seen(folder) == version(folder) == contents(NEW), f"killed before call {at}"


def test_readers_of_a_version_never_see_two(tmp_path: Path) -> None:
    def both(number: int) -> list[pods.File]:
        return [pods.File(name, str(number).encode()) for name in ("a", "b")]

    publishing.publish(tmp_path, both(0))
    is_over = threading.Event()
    torn: list[tuple[bytes, bytes]] = []
    passes = 0

    def read() -> None:
        nonlocal passes
        while not is_over.is_set():
            root = os.open(tmp_path / publishing.DATA, os.O_RDONLY)
            try:
                pair = []
                for name in ("a", "b"):
                    descriptor = os.open(name, os.O_RDONLY, dir_fd=root)
                    pair.append(os.read(descriptor, 99))
                    os.close(descriptor)
            except FileNotFoundError:
                continue  # so slow that its version was taken away; it would open it anew
            finally:
                os.close(root)
            passes += 1
            if pair[0] != pair[1]:
                torn.append((pair[0], pair[1]))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 150):
        publishing.publish(tmp_path, both(number))
    is_over.set()
    reader.join()
    assert passes > 0
    assert torn == []


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """Give a file system with room for 64 KiB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    try:
        memory.mount_tmpfs(folder, "size=64k,mode=755")
    except OSError as error:
        pytest.skip(f"a tmpfs may not be mounted here: {error.strerror}")
    yield folder
    memory.unmount(folder)


def test_keeps_the_old_version_where_the_disk_is_full(tiny: Path) -> None:
    publishing.publish(tiny, OLD)
    with pytest.raises(OSError, match="No space"):
        publishing.publish(tiny, [pods.File("a.yaml", b"x"), pods.File("large", b"y" * 100_000)])
    assert seen(tiny) == version(tiny) == contents(OLD)
    assert not [name for name in os.listdir(tiny) if name.startswith("..new-")]
    assert publishing.publish(tiny, NEW)
    assert seen(tiny) == contents(NEW)
