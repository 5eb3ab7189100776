"""Certificates change under a running sidecar: nobody notices but new connections."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.e2e import fleets, sidecar

from alongside.components.authority import issuing, names

pytestmark = [fleets.NEEDS_DATA_PLANE]
SWAPS = 20
STALE = "alongside_tls_certificate_stale"
Harm = Callable[[Path, Path], None]


@pytest.fixture
def authority(tmp_path: Path) -> sidecar.Authority:
    return sidecar.Authority(tmp_path / "authority")


@pytest.fixture
def program() -> Iterator[int]:
    with sidecar.legacy() as port:
        yield port


def swap(authority: sidecar.Authority, running: sidecar.Sidecar) -> None:
    """Renew in place, and wait until a new connection sees it."""
    wanted = authority.store.issue("site", names.USUAL).told.fingerprint
    context = authority.client()
    sidecar.until(
        lambda: sidecar.fingerprint(running.address(), context) == wanted, "the new one is shown"
    )


def test_twenty_swaps_under_load_lose_no_request_and_no_tunnel(
    tmp_path: Path, authority: sidecar.Authority, program: int
) -> None:
    words = (f"--proxy-port={program}", f"--certificate-path={authority.made('site')}")
    failures: list[str] = []
    answered: list[int] = []
    over = threading.Event()
    with sidecar.running(tmp_path, *words) as running:
        address = running.address()

        def load() -> None:
            context = authority.client()
            while not over.is_set():
                try:
                    status = sidecar.asked(address, context)[0]
                except OSError as error:
                    failures.append(str(error))
                else:
                    answered.append(status)

        with sidecar.connected(address, authority.client()) as tunnel:
            upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
            upgrade += "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
            tunnel.sendall(f"GET / HTTP/1.1\r\nhost: localhost\r\n{upgrade}\r\n".encode())
            head = b""
            while b"\r\n\r\n" not in head:
                head += tunnel.recv(1000)
            assert head.startswith(b"HTTP/1.1 101")
            clients = [threading.Thread(target=load) for _ in range(2)]
            for client in clients:
                client.start()
            try:
                for _ in range(SWAPS):
                    swap(authority, running)
            finally:
                over.set()
                for client in clients:
                    client.join()
            tunnel.sendall(b"still here")
            assert tunnel.recv(100) == b"still here"
    assert failures == []
    assert len(answered) > SWAPS
    assert set(answered) == {200}


def truncated(folder: Path, _: Path) -> None:
    chain = folder / "tls.crt"
    put(chain, chain.read_bytes()[:100])


def empty(folder: Path, _: Path) -> None:
    put(folder / "tls.key", b"")


def gone(folder: Path, _: Path) -> None:
    (folder / "tls.key").unlink()


def mismatched(folder: Path, _: Path) -> None:
    put(folder / "tls.key", issuing.authority("other", 1_800_000_000).key)


def expired(folder: Path, room: Path) -> None:
    old = sidecar.Authority(room / "old", 1_500_000_000).made("old")
    for name in ("tls.crt", "tls.key"):
        put(folder / name, (old / name).read_bytes())


def put(path: Path, content: bytes) -> None:
    """Replace a file by rename, as whoever writes certificates should."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(content)
    os.replace(new, path)


@pytest.mark.parametrize("harm", [truncated, empty, gone, mismatched, expired])
def test_a_bad_pair_keeps_the_old_one_until_a_good_one_comes(
    tmp_path: Path, authority: sidecar.Authority, program: int, harm: Harm
) -> None:
    made = authority.made("site")
    folder = tmp_path / "tls"
    shutil.copytree(made, folder, ignore=shutil.ignore_patterns("..*"))
    good = {name: (folder / name).read_bytes() for name in ("tls.crt", "tls.key")}
    words = (f"--proxy-port={program}", f"--certificate-path={folder}")
    with sidecar.running(tmp_path, *words) as running:
        before = sidecar.fingerprint(running.address(), authority.client())
        harm(folder, tmp_path)
        sidecar.until(lambda: running.metric(STALE) == 1, "it is seen that they are bad")
        assert sidecar.fingerprint(running.address(), authority.client()) == before
        for name, content in good.items():
            put(folder / name, content)
        sidecar.until(lambda: running.metric(STALE) == 0, "it recovers")
        assert sidecar.asked(running.address(), authority.client())[0] == 200
