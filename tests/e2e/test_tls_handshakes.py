"""Handshakes: what is let in, what is refused by which word, and who does not wait for whom."""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import plane, secure, test_engine_many_clients, upstream, wire

HALF_OPEN = 500
HALF_OPEN_IN_SOAK = 10_000
SERVED_S_MAX = 5.0


def echo(request: wire.Message) -> bytes:
    return wire.answer(request.target.encode())


@contextlib.contextmanager
def served(
    certificates: dict[str, Path], limits: dict[str, int] | None = None, **tls: object
) -> Iterator[tuple[wire.Address, upstream.Upstream, plane.Plane]]:
    with (
        upstream.Upstream.answering(echo) as origin,
        plane.running(secure.document(origin.address, certificates, limits, tls)) as process,
    ):
        yield process.address, origin, process


@pytest.fixture
def authority(tmp_path: Path) -> secure.Authority:
    return secure.Authority(tmp_path)


@pytest.fixture
def folder(authority: secure.Authority, tmp_path: Path) -> Path:
    return authority.pair("a.example", "127.0.0.1").put(tmp_path / "tls")


def says(address: wire.Address, *arguments: str, text: bytes = b"") -> str:
    """Return what OpenSSL's client says."""
    host = f"{address[0]}:{address[1]}"
    command = ["openssl", "s_client", "-connect", host, "-servername", "a.example", *arguments]
    done = subprocess.run(command, input=text, capture_output=True, timeout=30, check=False)
    return (done.stdout + done.stderr).decode("latin-1")


@pytest.mark.needs("openssl")
def test_old_versions_and_weak_ciphers_are_refused(folder: Path) -> None:
    with served({"default": folder}) as (address, origin, _):
        for version in ("-tls1", "-tls1_1"):
            text = says(address, version, "-cipher", "ALL:@SECLEVEL=0")
            assert "alert protocol version" in text or "alert handshake failure" in text, text
        weak = says(address, "-tls1_2", "-cipher", "NULL:EXP:RC4:3DES:ADH:AECDH:@SECLEVEL=0")
        assert "handshake failure" in weak or "no ciphers available" in weak, weak
        for version in ("-tls1_2", "-tls1_3"):
            assert "Verification" in says(address, version)
        assert origin.requests == []


@pytest.mark.needs("openssl")
def test_a_client_cannot_renegotiate(folder: Path) -> None:
    with served({"default": folder}) as (address, origin, _):
        text = says(address, "-tls1_2", "-legacy_renegotiation", text=b"R\n")
        assert "RENEGOTIATING" in text
        assert "no renegotiation" in text or "unexpected message" in text, text
        assert origin.requests == []


@pytest.mark.needs("openssl")
def test_early_data_is_refused(folder: Path, tmp_path: Path) -> None:
    kept, early = tmp_path / "session.pem", tmp_path / "early"
    early.write_bytes(wire.request("/early"))
    with served({"default": folder}) as (address, origin, _):
        asked = wire.request("/first", "Connection: close")
        says(address, "-tls1_3", "-sess_out", str(kept), "-ign_eof", text=asked)
        assert kept.exists()
        assert "Max Early Data: 0" in kept.read_text() + says(
            address,
            "-tls1_3",
            "-sess_in",
            str(kept),
            "-sess_out",
            str(kept),
            "-ign_eof",
            text=asked,
        )
        text = says(address, "-tls1_3", "-sess_in", str(kept), "-early_data", str(early))
        assert "Early data was accepted" not in text
        assert "/early" not in origin.targets()


def refusal(address: wire.Address, context: ssl.SSLContext, host: str | None) -> str:
    """Return the word by which a client is refused, at the handshake or with its first answer."""
    try:
        with secure.Client(address, context, host) as client:
            return str(client.ask("/in").status)
    except ssl.SSLError as error:
        return str(error.reason)
    except (OSError, wire.CutError) as error:
        return repr(error)


def test_names_get_their_certificate_and_nobody_gets_anothers(
    authority: secure.Authority, tmp_path: Path
) -> None:
    pairs = {
        "a": authority.pair("a.example"),
        "wild": authority.pair("*.b.example"),
        "exact": authority.pair("x.b.example"),
        "address": authority.pair("127.0.0.1"),
    }
    folders = {name: pair.put(tmp_path / name) for name, pair in pairs.items()}
    with served(folders) as (address, _, process):
        rows = [
            ("a.example", "a"),
            ("A.Example", "a"),
            ("y.b.example", "wild"),
            ("x.b.example", "exact"),
            (None, "address"),
            ("127.0.0.1", "address"),
        ]
        for host, name in rows:
            assert secure.shown(address, host) == pairs[name].der, host
        for host in ("c.example", "b.example", "z.y.b.example", "a.example.evil"):
            word = refusal(address, secure.context(None), host)
            assert "UNRECOGNIZED_NAME" in word, (host, word)
        assert process.metric("alongside_tls_handshakes", outcome="unknown_name") == 4


def test_one_certificate_serves_every_name_and_none(folder: Path) -> None:
    with served({"default": folder}) as (address, _, _):
        for host in ("a.example", "other.example", None):
            assert secure.shown(address, host)


@pytest.mark.needs("openssl")
def test_protocols_that_nobody_speaks_are_refused(folder: Path) -> None:
    with served({"default": folder}) as (address, origin, process):
        assert "no application protocol" in says(address, "-alpn", "foo")
        assert process.metric("alongside_tls_handshakes", outcome="protocol") == 1
        with secure.Client(address, secure.context(None, ("foo", "http/1.1"))) as client:
            assert client.ask("/").status == 200
        assert origin.targets() == ["/"]


def test_plain_http_at_the_door_of_tls_reaches_nobody(folder: Path) -> None:
    with served({"default": folder}) as (address, origin, process), wire.Wire(address) as client:
        client.send(wire.request("/plain"))
        assert b"200" not in client.rest()
        assert origin.requests == []
        name = "alongside_tls_handshakes"
        wire.eventually(lambda: process.metric(name, outcome="not_tls") == 1, "it is counted")


def test_certificates_of_clients_that_are_not_good_let_nobody_in(
    authority: secure.Authority, folder: Path, tmp_path: Path
) -> None:
    stranger = secure.Authority(tmp_path, "strangers")
    half = secure.DAY / 2
    client = secure.CLIENT
    revoked = authority.pair("revoked", use=client)
    shown = {
        "expired": authority.pair("old", use=client, ends=-half),
        "not yet": authority.pair("young", use=client, begins=half),
        "of strangers": stranger.pair("who", use=client),
        "for servers": authority.pair("server", use=secure.SERVER),
        "revoked": revoked,
    }
    words = {
        "expired": "CERTIFICATE_EXPIRED",
        "not yet": "CERTIFICATE",
        "of strangers": "UNKNOWN_CA",
        "for servers": "CERTIFICATE",
        "revoked": "CERTIFICATE_REVOKED",
    }
    authority.revoke(tmp_path / "revoked.crl", revoked)
    clients = {
        "mode": "required",
        "authorities": str(authority.path),
        "revoked": str(tmp_path / "revoked.crl"),
    }
    with served({"default": folder}, clients=clients) as (address, origin, process):
        assert "REQUIRED" in refusal(address, secure.context(authority.path), "a.example")
        for name, pair in shown.items():
            context = secure.context(authority.path, shown=pair.put(tmp_path / name))
            word = refusal(address, context, "a.example")
            assert words[name] in word, (name, word)
        assert origin.requests == []
        # It is counted when the client has its word already.
        until_s = time.monotonic() + 10.0
        count = len(shown) + 1
        while process.metric("alongside_tls_handshakes", outcome="client_certificate") != count:
            assert time.monotonic() < until_s
            time.sleep(0.01)
        good = authority.pair("good", use=client).put(tmp_path / "good")
        with secure.Client(address, secure.context(authority.path, shown=good)) as connection:
            assert connection.ask("/in").status == 200


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_who_resumes_is_judged_by_the_rules_of_now(
    authority: secure.Authority, folder: Path, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    pair = authority.pair("friend", use=secure.CLIENT)
    listed = tmp_path / "revoked.crl"
    authority.revoke(listed)
    clients = {"mode": "required", "authorities": str(authority.path), "revoked": str(listed)}
    context = ssl.create_default_context(cafile=str(authority.path))
    context.maximum_version = version
    shown = pair.put(tmp_path / "friend")
    context.load_cert_chain(shown / "tls.crt", shown / "tls.key")
    with served({"default": folder}, clients=clients) as (address, origin, process):

        def session(before: ssl.SSLSession | None = None) -> tuple[ssl.SSLSession | None, bool]:
            with wire.Wire(secure.secure(address, context, session=before)) as client:
                assert client.ask("/in").status == 200
                assert isinstance(client.socket, ssl.SSLSocket)
                return client.socket.session, bool(client.socket.session_reused)

        first, _ = session()
        kept, is_reused = session(first)
        assert is_reused
        asked = len(origin.requests)
        authority.revoke(listed, pair)
        wire.eventually(
            lambda: process.metric("alongside_tls_reloads", certificate="clients.authorities") == 1,
            "the list is taken",
        )
        with pytest.raises((OSError, wire.CutError)):
            session(kept)
        assert len(origin.requests) == asked


def test_hosts_of_another_policy_are_misdirected(
    authority: secure.Authority, folder: Path, tmp_path: Path
) -> None:
    clients = {
        "mode": "required",
        "authorities": str(authority.path),
        "hosts": ["inner.example", "*.in.example"],
    }
    friend = authority.pair("friend", use=secure.CLIENT).put(tmp_path / "friend")
    with served({"default": folder}, clients=clients) as (address, origin, _):
        anybody = secure.context(None)
        for host in ("inner.example", "INNER.example:8443", "inner.example.", "x.in.example"):
            with secure.Client(address, anybody, "a.example") as client:
                assert client.ask("/", f"Host: {host}").status == 421, host
        with secure.Client(address, anybody, None) as client:
            assert client.ask("/", "Host: inner.example").status == 421
        with secure.Client(address, anybody, "a.example") as client:
            client.send(b"GET http://inner.example/ HTTP/1.1\r\nHost: inner.example\r\n\r\n")
            assert client.answer().status == 421
        assert origin.requests == []
        with secure.Client(address, anybody, "a.example") as client:
            assert client.ask("/a", "Host: b.example").status == 200
        assert "REQUIRED" in refusal(address, anybody, "inner.example")
        with secure.Client(address, secure.context(None, shown=friend), "inner.example") as client:
            assert client.ask("/in", "Host: inner.example").status == 200
        assert origin.targets() == ["/a", "/in"]


def hello() -> bytes:
    """Return a client's first message."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    made = secure.context(None).wrap_bio(incoming, outgoing, server_hostname="a.example")
    with contextlib.suppress(ssl.SSLWantReadError):
        made.do_handshake()
    return outgoing.read()


def test_half_a_greeting_is_given_up_in_time(folder: Path) -> None:
    with (
        served({"default": folder}, handshake_timeout_ms=600) as (address, _, process),
        wire.Wire(address) as client,
    ):
        began = time.monotonic()
        client.send(hello()[:100])
        assert client.is_over()
        assert time.monotonic() - began > 0.5
        name = "alongside_tls_handshakes"
        wire.eventually(lambda: process.metric(name, outcome="timeout") == 1, "it is counted")


def half_open(folder: Path, count: int, limits: dict[str, int]) -> None:
    test_engine_many_clients.raise_descriptors()
    begun = hello()
    with (
        served({"default": folder}, limits) as (address, origin, process),
        contextlib.ExitStack() as stack,
    ):
        for number, source in enumerate(test_engine_many_clients.sources(count)):
            client = stack.enter_context(wire.Wire(address, source=source))
            # Some say nothing, some half of their first word, some all of it and nothing more.
            with contextlib.suppress(OSError):
                client.send((b"", begun[:100], begun)[number % 3])
            if number % (count // 10) == 0:
                began = time.monotonic()
                with secure.Client(address, secure.context(None)) as served_one:
                    assert served_one.ask(f"/{number}").status == 200
                assert time.monotonic() - began < SERVED_S_MAX
        assert len(origin.requests) >= 10
        assert process.metric("alongside_http_connections", listener="web") <= count


def test_half_open_handshakes_do_not_stop_new_clients(folder: Path) -> None:
    half_open(folder, HALF_OPEN, {})


def test_half_open_handshakes_make_room_for_new_clients(folder: Path) -> None:
    half_open(folder, HALF_OPEN, {"connections_max": HALF_OPEN // 5})


@pytest.mark.soak
def test_ten_thousand_half_open_handshakes_do_not_stop_new_clients(folder: Path) -> None:
    half_open(folder, HALF_OPEN_IN_SOAK, {"connections_max": HALF_OPEN_IN_SOAK // 2})


def test_who_asks_outlives_a_flood_of_handshakes(folder: Path) -> None:
    limits = {"connections_max": 60}
    with (
        served({"default": folder}, limits) as (address, _, _),
        contextlib.ExitStack() as stack,
        secure.Client(address, secure.context(None)) as client,
    ):
        assert client.ask("/before").status == 200
        for _ in range(200):
            with contextlib.suppress(OSError):
                stack.enter_context(socket.create_connection(address))
        with secure.Client(address, secure.context(None)) as late:
            assert late.ask("/late").status == 200
