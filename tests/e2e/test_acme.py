"""Certificates come from a real authority, and are renewed: nobody notices but new connections."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import signal
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import fleets, pebble, sidecar

pytestmark = [fleets.NEEDS_DATA_PLANE]
HOST = "shop.example"
ORDERS = "alongside_acme_orders_total"


@pytest.fixture
def program() -> Iterator[int]:
    with sidecar.legacy() as port:
        yield port


def done(running: sidecar.Sidecar, outcome: str = "done") -> float:
    """Return how many orders came to this."""
    return running.metric(ORDERS, listener="web", outcome=outcome)


def served(running: sidecar.Sidecar, context: ssl.SSLContext, name: str = HOST) -> bool:
    """Whether the program answers who believes the authority, and checks name and time."""
    return sidecar.asked(running.address(), context, name=name)[0] == 200


def fingerprint(running: sidecar.Sidecar, context: ssl.SSLContext) -> bytes | None:
    """Return the certificate that a new connection gets."""
    with sidecar.connected(running.address(), context, HOST) as stream:
        return stream.getpeercert(binary_form=True)


def events(running: sidecar.Sidecar, name: str) -> list[dict[str, object]]:
    """Return the log's lines of one kind."""
    return [event for event in running.events() if event.get("event") == name]


def files(folder: Path) -> dict[str, int]:
    """Return the mode of each file that is there."""
    listed = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return {path.name: path.stat().st_mode & 0o777 for path in listed}


@pytest.mark.parametrize("flag", ["--acme-folder", "--acme-ca"])
def test_what_cannot_be_used_is_refused_at_the_start(tmp_path: Path, flag: str) -> None:
    file = tmp_path / "file"
    file.write_text("no certificate")
    rest = {"--acme-folder": tmp_path / "kept", flag: file}
    words = [f"{name}={value}" for name, value in rest.items()]
    acme = ("--acme=https://127.0.0.1:9/dir", f"--acme-domain={HOST}")
    told = sidecar.refused("--proxy-port=8000", *acme, *words)
    field = {"--acme-folder": "folder", "--acme-ca": "authorities"}[flag]
    assert f"tls.acme.{field}: {file} cannot be used: " in told


@pytest.mark.parametrize("challenge", ["tls-alpn-01", "http-01"])
def test_a_certificate_is_got_by_either_challenge(
    tmp_path: Path, program: int, challenge: str
) -> None:
    with pebble.running(tmp_path, 3600) as authority:
        more = [f"--redirect=127.0.0.1:{authority.http_port}"] if challenge == "http-01" else []
        flags = [*authority.flags(HOST, "www.shop.example"), f"--acme-challenge={challenge}", *more]
        usual = [f"--proxy-port={program}", f"--listen=127.0.0.1:{authority.tls_port}"]
        with sidecar.running(tmp_path, *usual, *flags) as running:
            sidecar.until(lambda: done(running) == 1, "it is got")
            context = authority.client()
            sidecar.until(lambda: events(running, "certificate_taken"), "it is taken")
            assert served(running, context)
            assert served(running, context, "www.shop.example")
            next_s = running.metric("alongside_acme_next_order_seconds", listener="web")
            assert 0 < next_s < 3600
            expiry = running.metric(
                "alongside_tls_certificate_expiry_seconds", certificate="acme", listener="web"
            )
            assert 3000 < expiry <= 3600
            assert len(events(running, "acme_account_made")) == 1
            sidecar.until(lambda: events(running, "acme_certificate_got"), "it is said")
            assert len(events(running, "acme_certificate_got")) == 1
        kept = tmp_path / "kept"
        assert kept.stat().st_mode & 0o777 == 0o700
        assert {"account.json", "tls.crt", "tls.key"} <= set(files(kept))
        assert set(files(kept).values()) == {0o600}
        assert not (kept / "challenges.json").exists()
        log = running.stderr.read_text()
        key = (kept / "tls.key").read_text().splitlines()[1]
        assert key not in log
        assert "PRIVATE" not in log
        # Who starts with it asks nobody.
        authority.end()
        with sidecar.running(tmp_path, *usual, *flags) as running:
            assert served(running, context)
            assert done(running, "unreachable") == 0


def test_renewals_under_load_lose_no_request(tmp_path: Path, program: int) -> None:
    failures: list[str] = []
    answered: list[int] = []
    over = threading.Event()
    with pebble.running(tmp_path, 24) as authority:
        words = [f"--listen=127.0.0.1:{authority.tls_port}", *authority.flags(HOST)]
        with sidecar.running(tmp_path, f"--proxy-port={program}", *words) as running:
            sidecar.until(lambda: events(running, "certificate_taken"), "the first one is taken")
            address, context = running.address(), authority.client()

            def load() -> None:
                while not over.is_set():
                    try:
                        answered.append(sidecar.asked(address, context, name=HOST)[0])
                    except OSError as error:
                        failures.append(str(error))

            clients = [threading.Thread(target=load) for _ in range(2)]
            for client in clients:
                client.start()
            try:
                sidecar.until(lambda: len(events(running, "certificate_taken")) >= 3, "two more")
            finally:
                over.set()
                for client in clients:
                    client.join()
            assert failures == []
            assert set(answered) == {200}
            assert events(running, "acme_order_failed") == []
            assert running.process.poll() is None


def test_an_authority_that_is_down_and_comes_back_knowing_nobody_is_waited_for(
    tmp_path: Path, program: int
) -> None:
    with pebble.running(tmp_path, 40) as authority:
        words = [f"--listen=127.0.0.1:{authority.tls_port}", *authority.flags(HOST)]
        with sidecar.running(tmp_path, f"--proxy-port={program}", *words) as running:
            sidecar.until(lambda: events(running, "certificate_taken"), "the first one is taken")
            context = authority.client()
            authority.end()
            sidecar.until(lambda: done(running, "unreachable") >= 1, "it is missed")
            assert served(running, context)
            authority.begin()
            sidecar.until(lambda: done(running) == 2, "it is back")
            sidecar.until(lambda: len(events(running, "certificate_taken")) == 2, "it is taken")
            assert served(running, authority.client())
            failed = events(running, "acme_order_failed")
            assert {event["outcome"] for event in failed} == {"unreachable"}
            assert len(events(running, "acme_account_unknown")) == 1
            assert len(events(running, "acme_account_made")) == 2


def test_an_account_that_was_ended_is_made_anew_and_other_hosts_are_ordered_at_once(
    tmp_path: Path, program: int
) -> None:
    with pebble.running(tmp_path, 3600) as authority:
        usual = [f"--proxy-port={program}", f"--listen=127.0.0.1:{authority.tls_port}"]
        with sidecar.running(tmp_path, *usual, *authority.flags(HOST)) as running:
            sidecar.until(lambda: done(running) == 1, "it is got")
        authority.deactivate()
        both = authority.flags(HOST, "www.shop.example")
        with sidecar.running(tmp_path, *usual, *both) as running:
            sidecar.until(lambda: done(running) == 1, "it is got for both")
            sidecar.until(lambda: events(running, "certificate_taken"), "it is taken")
            assert served(running, authority.client(), "www.shop.example")
            assert len(events(running, "acme_account_unknown")) == 1
            assert len(events(running, "acme_account_made")) == 1
            assert events(running, "acme_order_failed") == []


def test_a_host_that_is_not_ours_is_named_and_what_is_there_stays(
    tmp_path: Path, program: int
) -> None:
    with pebble.running(tmp_path, 100) as authority:
        usual = [f"--proxy-port={program}", f"--listen=127.0.0.1:{authority.tls_port}"]
        with sidecar.running(tmp_path, *usual, *authority.flags(HOST)) as running:
            sidecar.until(lambda: events(running, "certificate_taken"), "the first one is taken")
        context = authority.client()
        authority.resolve("gone.example", "127.0.0.77")
        both = authority.flags(HOST, "gone.example")
        with sidecar.running(tmp_path, *usual, *both) as running:
            sidecar.until(lambda: done(running, "refused") >= 1, "it is refused")
            assert served(running, context)
            sidecar.until(lambda: events(running, "acme_order_failed"), "it is said")
            first = events(running, "acme_order_failed")[0]
            assert str(first["reason"]).startswith("gone.example: ")
            assert "shop.example" not in str(first["reason"])
            authority.resolve("gone.example", "127.0.0.1")
            sidecar.until(lambda: done(running) == 1, "it is ours now")
            sidecar.until(lambda: events(running, "certificate_taken"), "it is taken")
            assert served(running, context, "gone.example")


def test_of_two_replicas_one_orders_and_either_answers(tmp_path: Path, program: int) -> None:
    """The authority asks the one that does not order."""
    with pebble.running(tmp_path, 3600) as authority, contextlib.ExitStack() as stack:
        kept = tmp_path / "kept"
        kept.mkdir(mode=0o700)
        lock = stack.enter_context((kept / "lock").open("w"))
        fcntl.flock(lock, fcntl.LOCK_EX)
        both = []
        for name, port in (("asked", authority.tls_port), ("other", 0)):
            folder = tmp_path / name
            folder.mkdir()
            flags = [f"--listen=127.0.0.1:{port}", *authority.flags(HOST)]
            both.append(
                stack.enter_context(sidecar.running(folder, f"--proxy-port={program}", *flags))
            )
        asked, other = both
        assert asked.address()[1] == authority.tls_port
        assert other.address()
        os.kill(asked.process.pid, signal.SIGSTOP)
        try:
            fcntl.flock(lock, fcntl.LOCK_UN)
            sidecar.until((kept / "challenges.json").exists, "the other one orders")
        finally:
            os.kill(asked.process.pid, signal.SIGCONT)
        context = authority.client()
        for one in both:
            taken = functools.partial(events, one, "certificate_taken")
            sidecar.until(taken, "both have it")
            assert served(one, context)
        assert (done(asked), done(other)) == (0, 1)
        assert len({fingerprint(one, context) for one in both}) == 1
