"""A server is told the socket where it is to listen; a router its document."""

from __future__ import annotations

from pathlib import Path

import pytest

from alongside.base import environment
from alongside.engines.local import children, folders, launching
from alongside.plan import shape

PLACES = folders.Folders(Path("/state"), Path("/run/p"))


def launched(process: shape.Process, number: int) -> children.Launch:
    setting = launching.Setting("p", PLACES, Path("/bin/plane"), environment.Environment())
    return launching.launch(setting, process, number, (), ())


@pytest.mark.parametrize("number", [0, 3])
def test_a_server_listens_at_one_path_in_all_its_incarnations(number: int) -> None:
    words = ("memcached", "-s", shape.OWN_SOCKET, "-a", "0600")
    server = shape.Process("sessions-0", "server", argv=words, group="ShardedCache/sessions")
    found = launched(server, number)
    path = "/run/p/p/sessions/sessions-0.sock"
    assert found.program.argv == ("memcached", "-s", path, "-a", "0600")
    assert (str(found.door), found.is_data_plane) == (path, False)


def test_a_router_reads_the_document_of_its_incarnation() -> None:
    found = launched(shape.Process("sessions-router-0", "router"), 3)
    assert found.program.argv[1:] == ("--document", "/state/documents/sessions-router-0~3.json")
    assert (found.door.name, found.is_data_plane) == ("sessions-router-0~3.sock", True)
