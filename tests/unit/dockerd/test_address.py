"""An engine's socket is where DOCKER_HOST says, else at one of the usual places."""

import contextlib
import os
import socket
from pathlib import Path

import pytest

from alongside.dockerd import address


def test_the_variable_names_a_socket_and_nothing_else_is_looked_at() -> None:
    assert address.named({}) == Path(address.SOCKET)
    assert address.named({"DOCKER_HOST": "unix:///a/b"}) == Path("/a/b")
    assert address.candidates({"DOCKER_HOST": "unix:///a/b", "HOME": "/h"}) == (Path("/a/b"),)
    for other in ("tcp://127.0.0.1:1", "unix://a", "ssh://host"):
        assert address.named({"DOCKER_HOST": other}) is None
        assert address.candidates({"DOCKER_HOST": other}) == ()


def test_the_first_socket_of_the_usual_places_is_taken(tmp_path: Path) -> None:
    variables = {"XDG_RUNTIME_DIR": str(tmp_path)}
    (tmp_path / "docker.sock").touch()
    (tmp_path / "podman").mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "podman" / "podman.sock"))
        wanted = tmp_path / "podman" / "podman.sock"
        usual = {path for path in address.candidates(variables) if tmp_path not in path.parents}
        if not any(path.is_socket() for path in usual):
            assert address.found(variables) == wanted
        assert address.found({"DOCKER_HOST": f"unix://{wanted}"}) == wanted
    assert address.found({"DOCKER_HOST": f"unix://{tmp_path}/docker.sock"}) is None


def test_a_socket_that_this_user_may_not_use_comes_after_one_that_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}
    refused, own = tmp_path / "docker.sock", tmp_path / ".docker" / "run" / "docker.sock"
    own.parent.mkdir(parents=True)
    monkeypatch.setattr(address, "SOCKET", str(tmp_path / "none"))
    # Root may use every socket, so that the system's answer is what a test can replace.
    monkeypatch.setattr(os, "access", lambda path, _: path != refused)
    with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
        first.bind(str(refused))
        refused.chmod(0o660)
        assert address.found(variables) == refused
        second.bind(str(own))
        assert address.found(variables) == own
    assert address.refusal(own) == ""
    assert address.refusal(tmp_path / "none") == ""
    for group, told in ((0, "run as its owner, root"), (54321, "--groups 54321 ")):
        with contextlib.suppress(PermissionError):  # of an ordinary user
            os.chown(refused, -1, group)
            assert told in address.refusal(refused)
