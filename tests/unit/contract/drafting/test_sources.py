"""What a user names is a Dockerfile, a contract, an archive or an image, and is told apart."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from alongside.base import environment, errors
from alongside.contract.drafting import images, sources

DOCKERFILE = 'FROM x\nCOPY run.sh /\nENTRYPOINT ["/run.sh"]\n'


def image(name: str, **variables: str) -> images.Image:
    return sources.image(name, sources.Wishes(), environment.Environment(variables))


@contextmanager
def engine(folder: Path, answer: bytes) -> Iterator[str]:
    """Answer each connection on a UNIX socket with some bytes, and yield its DOCKER_HOST."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            self.wfile.write(answer)

    path = folder / "s"
    with socketserver.UnixStreamServer(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"unix://{path}"
        finally:
            server.shutdown()
            thread.join()


def http(status: str, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (
        status.encode(),
        len(body),
        body,
    )


def test_scripts_are_read_from_the_build_context_alone(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "in" / "run.sh").write_text("#!/bin/sh\nrun ${A:-1}")
    assert len(image(str(tmp_path / "in" / "Dockerfile")).scripts) == 1
    (tmp_path / "in" / "run.sh").unlink()
    (tmp_path / "run.sh").write_text("#!/bin/sh\nrun ${A:-1}")
    (tmp_path / "in" / "run.sh").symlink_to(tmp_path / "run.sh")
    assert image(str(tmp_path / "in" / "Dockerfile")).scripts == ()


@pytest.mark.parametrize("source", ["../run.sh", "/../../run.sh", "run\0.sh", "a/" * 3000 + "b"])
def test_no_path_leads_out_of_the_context(tmp_path: Path, source: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "in" / "Dockerfile").write_text(f'FROM x\nCOPY {source} /run.sh\nCMD ["/run.sh"]\n')
    assert image(str(tmp_path / "in" / "Dockerfile")).scripts == ()


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("contract: 1\n", True), ('{"contract": 1}', True), ("FROM x\n", False), ("a: b\n", False)],
)
def test_a_contract_is_told_by_its_first_key(tmp_path: Path, text: str, is_one: bool) -> None:
    (tmp_path / "f").write_text(text)
    assert sources.is_contract(str(tmp_path / "f")) is is_one


@pytest.mark.parametrize(
    "name", ["./app", "Dockerfile", "deploy/Dockerfile", "a.tar", "a b", "x.yaml"]
)
def test_what_looks_like_a_file_is_not_asked_for(name: str) -> None:
    with pytest.raises(errors.UsageError, match="does not exist"):
        image(name, DOCKER_HOST="unix:///nonexistent")


def test_a_folder_is_answered_with_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(errors.UsageError, match="name the Dockerfile in it"):
        image(str(tmp_path))


def test_the_engine_is_asked_for_an_image(tmp_path: Path) -> None:
    body = b'{"Config": {"Env": ["APP_A=1"], "User": "7"}}'
    with engine(tmp_path, http("200 OK", body)) as host:
        found = image("registry.example/app:1", DOCKER_HOST=host)
    assert (list(found.variables), found.user and found.user.text) == (["APP_A"], "7")


def test_an_image_that_the_engine_does_not_have_is_told(tmp_path: Path) -> None:
    with (
        engine(tmp_path, http("404 Not Found", b"{}")) as host,
        pytest.raises(errors.UsageError, match="docker pull"),
    ):
        image("app", DOCKER_HOST=host)


@pytest.mark.parametrize(
    "answer", [http("500 Oh", b"{}"), http("200 OK", b"["), http("200 OK", b"[" * 100_000)]
)
def test_an_engine_that_talks_nonsense_is_told(tmp_path: Path, answer: bytes) -> None:
    with engine(tmp_path, answer) as host, pytest.raises(errors.PeerError):
        image("app", DOCKER_HOST=host)


@pytest.mark.parametrize("answer", [b"", b"hello\r\n\r\n"])
def test_what_is_no_engine_is_told(tmp_path: Path, answer: bytes) -> None:
    with engine(tmp_path, answer) as host, pytest.raises(errors.TemporaryError):
        image("app", DOCKER_HOST=host)


def test_an_engine_elsewhere_is_not_asked() -> None:
    with pytest.raises(errors.UsageError, match="is no UNIX socket"):
        image("app", DOCKER_HOST="tcp://127.0.0.1:1")
