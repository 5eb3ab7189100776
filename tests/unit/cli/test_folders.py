"""The folders of a project are where the environment says, as far as that may be believed."""

import os
import pwd
from pathlib import Path

import pytest

from alongside.base import errors
from alongside.engines.local import folders

HOME = {"HOME": "/home/me"}


@pytest.mark.parametrize("value", ["", "here", "./here"])
def test_ignores_a_relative_folder(value: str) -> None:
    found = folders.of_project("p", {**HOME, "XDG_STATE_HOME": value, "XDG_RUNTIME_DIR": value})
    assert found == folders.of_project("p", HOME)


def test_takes_absolute_folders() -> None:
    found = folders.of_project("p", {"XDG_STATE_HOME": "/s", "XDG_RUNTIME_DIR": "/r"})
    assert found == folders.Folders(Path("/s/alongside/p"), Path("/r/alongside/p"))


@pytest.mark.parametrize("name", ["photos-0-0", "n" * 90])
def test_each_incarnation_has_a_socket_and_a_document_of_its_own(name: str) -> None:
    places = folders.Folders(Path("/s"), Path("/run/user/1000/alongside/photos"))
    sockets = [places.admin(name, number) for number in range(12)]
    assert len({*sockets, *[places.document(name, number) for number in range(12)]}) == 24
    assert all(len(bytes(path)) <= folders.SOCKET_PATH_BYTES_MAX for path in sockets)


@pytest.mark.parametrize("runtime", ["/run/user/1000/alongside/photos", f"/{'r' * 69}"])
@pytest.mark.parametrize("name", ["sessions", "n" * 90])
def test_servers_and_ambassadors_have_folders_with_room_for_sockets(
    name: str, runtime: str
) -> None:
    places = folders.of_project("p", {"XDG_RUNTIME_DIR": runtime, "HOME": "/home/me"})
    sockets = [places.server(f"{name}-{at}", name) for at in range(3)]
    assert {path.parent for path in sockets} == {places.servers(name)}
    assert places.ambassador(name) != places.servers(name)
    sockets.append(places.ambassador(name) / "admin.sock")
    assert len(set(sockets)) == 4
    assert all(len(bytes(path)) <= folders.SOCKET_PATH_BYTES_MAX for path in sockets)


def test_what_the_dead_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    places = folders.Folders(tmp_path / "state", tmp_path / "run")
    places.tidy()
    places.make()
    left = [places.control, places.admin("a"), places.admin("a", 3), places.document("a", 3)]
    for path in (*left, places.journal, places.log("a")):
        path.touch()
    places.tidy()
    assert not any(path.exists() for path in left)
    assert places.journal.exists()
    assert places.log("a").exists()


def test_without_a_home_it_is_the_one_that_the_machine_knows() -> None:
    known = Path(pwd.getpwuid(os.geteuid()).pw_dir)
    assert folders.state_of("p", {}) == known / ".local" / "state" / "alongside" / "p"


@pytest.mark.parametrize(
    ("taken", "remedy"), [("s", "set HOME or XDG_STATE_HOME"), ("r", "set XDG_RUNTIME_DIR")]
)
def test_what_cannot_be_made_or_looked_into_is_said_with_its_remedy(
    tmp_path: Path, taken: str, remedy: str
) -> None:
    homes = {"XDG_STATE_HOME": f"{tmp_path}/s", "XDG_RUNTIME_DIR": f"{tmp_path}/r"}
    places = folders.of_project("p", homes)
    assert places.lack() == ""
    places.check()
    (tmp_path / taken).write_text("a file, where even root makes no folder")
    assert f"cannot be made or written: {tmp_path / taken} is not" in places.lack()
    with pytest.raises(errors.PermanentError, match=f"cannot make .*; {remedy}"):
        places.make()
    (tmp_path / taken).unlink()
    places.make()
    (tmp_path / taken).rename(tmp_path / "x")
    (tmp_path / taken).symlink_to(taken)
    with pytest.raises(errors.PermanentError, match=f"cannot look into .*; {remedy}"):
        places.check()
