"""An engine's socket is where DOCKER_HOST says, else at one of the usual places."""

import socket
from pathlib import Path

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
