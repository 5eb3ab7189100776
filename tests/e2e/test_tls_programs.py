"""The program behind TLS: where it listens, what it is told of clients, whom balancers name."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from tests.e2e import plane, secure, streams, upstream, wire

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
CLIENT = "192.0.2.7"
IDENTITY = (
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-User",
    "Forwarded",
    "X-Forwarded",
    "Forwarded-For",
    "Client-IP",
    "SSL-Client-Verify",
    "X-WebAuth-User",
    "Proxy",
    "X-Real-IP",
    "X-Original-URL",
    "X-Original-Host",
    "X-Rewrite-URL",
    "X-HTTP-Method-Override",
    "X-Alongside-Key",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    return secure.Authority(folder).pair("a.example").put(folder / "tls")


def echo(request: wire.Message) -> bytes:
    return wire.answer(request.target.encode())


@contextlib.contextmanager
def served(
    folder: Path,
    program: Mapping[str, object] | None = None,
    listener: Mapping[str, object] | None = None,
    **more: object,
) -> Iterator[tuple[plane.Plane, upstream.Upstream]]:
    with upstream.Upstream.answering(echo) as origin:
        known = {"address": origin.address, **(program or {})}
        contents = secure.document(known, {"default": folder}, listener=listener)
        web = contents["listeners"]
        assert isinstance(web, list)
        added = more.pop("listeners", [])
        assert isinstance(added, list)
        with plane.running({**contents, "listeners": [*web, *added], **more}) as process:
            yield process, origin


def spellings(name: str) -> Iterator[str]:
    """Return a name as programs may read it all the same."""
    yield from (name, name.lower(), name.upper(), name.replace("-", "_"))
    yield name.replace("-", "_", 1).lower()


Ask = Callable[[wire.Address, list[tuple[str, str]]], None]


def by_h1(address: wire.Address, fields: list[tuple[str, str]]) -> None:
    with secure.Client(address, secure.context(None)) as client:
        lines = [f"{name}: {value}" for name, value in fields]
        assert client.ask("/", "Host: a.example", *lines).status == 200


def by_h2(address: wire.Address, fields: list[tuple[str, str]]) -> None:
    with streams.Client(address, secure.context(None, ("h2",))) as client:
        got = client.fetch("/", *[(name.lower(), value) for name, value in fields])
        assert got.status == 200


def by_trailers(address: wire.Address, fields: list[tuple[str, str]]) -> None:
    with secure.Client(address, secure.context(None)) as client:
        trailers = "".join(f"{name}: {value}\r\n" for name, value in fields).encode()
        head = wire.request("/", "Host: a.example", "Transfer-Encoding: chunked", method="POST")
        client.send(head + wire.chunked(b"x", trailers=trailers))
        assert client.answer().status == 200


def by_nominating(address: wire.Address, fields: list[tuple[str, str]]) -> None:
    """Nominate what we add, so that it would be taken away again."""
    with secure.Client(address, secure.context(None)) as client:
        names = ", ".join(name for name, _ in fields if "_" not in name)
        lines = [f"{name}: {value}" for name, value in fields]
        got = client.ask("/", "Host: a.example", f"Connection: {names}", *lines)
        assert got.status in {200, 400}


@pytest.mark.parametrize("ask", [by_h1, by_h2, by_trailers, by_nominating])
def test_nobody_says_who_he_is_in_any_spelling(folder: Path, ask: Ask) -> None:
    with served(folder) as (process, origin):
        for name in IDENTITY:
            for spelling in spellings(name):
                ask(process.address, [(spelling, "evil.example")])
        for request in origin.requests:
            said = [value for _, value in request.fields] + [request.trailers.decode()]
            assert not any("evil" in value for value in said), request
            assert request.field("x-forwarded-for") == "127.0.0.1"
            assert request.field("x-forwarded-proto") == "https"
            assert request.field("x-forwarded-host") == "a.example"
            assert request.field("forwarded") == 'for=127.0.0.1;proto=https;host="a.example"'


def test_a_trusted_peer_says_who_the_client_is_and_we_do_not_contradict(folder: Path) -> None:
    with served(folder, listener={"inner": ["127.0.0.1/32"]}) as (process, origin):
        by_h1(process.address, [("X-Forwarded-For", CLIENT), ("X_Forwarded_For", "evil")])
        by_h1(process.address, [("Forwarded", f"for={CLIENT}")])
        by_h1(process.address, [])
        first, second, third = origin.requests
        assert first.field("x-forwarded-for") == CLIENT
        assert first.field("forwarded") is None
        assert first.field("x_forwarded_for") is None
        assert second.field("forwarded") == f"for={CLIENT}"
        assert second.field("x-forwarded-for") is None
        assert third.field("x-forwarded-for") == "127.0.0.1"
        assert third.field("forwarded") == 'for=127.0.0.1;proto=https;host="a.example"'


def test_hsts_is_said_over_tls_alone(folder: Path) -> None:
    plain = {"name": "plain", "address": "127.0.0.1:0", "serves": "legacy"}
    redirect = {"name": "door", "address": "127.0.0.1:0", "serves": "to"}
    with served(
        folder,
        {"hsts_s": 3600},
        listeners=[plain, redirect],
        redirects=[{"name": "to", "port": 8443}],
    ) as (process, _):
        found = process.addresses()
        name = "strict-transport-security"
        with secure.Client(found["web"], secure.context(None)) as client:
            assert client.ask("/").field(name) == "max-age=3600"
        with streams.Client(found["web"], secure.context(None, ("h2",))) as h2:
            assert h2.fetch("/").field(name) == "max-age=3600"
        assert wire.fetch(found["plain"], "/").field(name) is None
        with wire.Wire(found["plain"]) as client:
            lying = client.ask("/", "X-Forwarded-Proto: https", "Forwarded: proto=https")
            assert lying.field(name) is None
        sent = wire.fetch(found["door"], "/p?q=1", "Host: a.example:80")
        assert (sent.status, sent.field(name)) == (308, None)
        assert sent.field("location") == "https://a.example:8443/p?q=1"


def test_hosts_of_another_policy_are_misdirected_on_streams_too(
    folder: Path, tmp_path: Path
) -> None:
    authority = secure.Authority(tmp_path)
    clients = {"mode": "required", "authorities": str(authority.path), "hosts": ["in.example"]}
    with upstream.Upstream.answering(echo) as origin:
        contents = secure.document(origin.address, {"default": folder}, tls={"clients": clients})
        with (
            plane.running(contents) as process,
            streams.Client(process.address, secure.context(None, ("h2",))) as client,
        ):
            asked = [client.ask("/in", authority=host) for host in ("in.example", "IN.example:1")]
            for stream in asked:
                assert client.answer(stream).status == 421
            # The connection serves on.
            assert client.fetch("/out").status == 200
            assert origin.targets() == ["/out"]


def test_a_program_may_listen_at_a_path(folder: Path) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="program") as name,
        socket.socket(socket.AF_UNIX) as listener,
    ):
        path = Path(name) / "legacy.sock"
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(wire.TIMEOUT_S)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with wire.Wire(listener_accept()) as peer:
                        while (request := peer.request()) is not None:
                            peer.send(wire.answer(request.target.encode()))

        def listener_accept() -> UnixPeer:
            return UnixPeer(listener.accept()[0])

        threading.Thread(target=serve, daemon=True).start()
        contents = secure.document(f"unix:{path}", {"default": folder})
        with plane.running(contents) as process:
            with secure.Client(process.address, secure.context(None)) as client:
                for number in range(3):
                    assert client.ask(f"/{number}").body == f"/{number}".encode()
            with streams.Client(process.address, secure.context(None, ("h2",))) as h2:
                assert h2.fetch("/two").body == b"/two"


class UnixPeer(socket.socket):
    """A connection that has no delays to switch off."""

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(accepted.family, accepted.type, 0, accepted.detach())

    def setsockopt(self, *_: object) -> None:
        """Leave it as it is."""


def v2(family: int, payload: bytes, *, command: int = 0x21, length: int | None = None) -> bytes:
    """Return a header of version 2."""
    said = len(payload) if length is None else length
    return SIGNATURE + bytes([command, family]) + struct.pack(">H", said) + payload


V4 = socket.inet_aton(CLIENT) + socket.inet_aton("192.0.2.1") + struct.pack(">HH", 1000, 443)
V6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7") * 2 + struct.pack(">HH", 1000, 443)
MAPPED = socket.inet_pton(socket.AF_INET6, f"::ffff:{CLIENT}") * 2 + struct.pack(">HH", 1, 2)

NAMED = {
    "v1": (f"PROXY TCP4 {CLIENT} 192.0.2.1 1000 443\r\n".encode(), CLIENT),
    "v1 of IPv6": (b"PROXY TCP6 2001:db8::7 2001:db8::1 1000 443\r\n", "2001:db8::7"),
    "v1 unknown": (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    "v2": (v2(0x11, V4), CLIENT),
    "v2 with more": (v2(0x11, V4 + b"\x04\0\x01x"), CLIENT),
    "v2 of IPv6": (v2(0x21, V6), "2001:db8::7"),
    "v2 mapped": (v2(0x21, MAPPED), CLIENT),
    "v2 local": (v2(0, b"", command=0x20), "127.0.0.1"),
    "v2 local with addresses": (v2(0x11, V4, command=0x20), "127.0.0.1"),
}
BROKEN = {
    "none": (b"", "proxy_header_missing"),
    "v1 too long": (b"PROXY TCP4 " + b"1" * 100 + b"\r\n", "proxy_header_broken"),
    "v1 without its end": (b"PROXY TCP4 " + b"1" * 200, "proxy_header_broken"),
    "v1 of nothing": (b"PROXY TCP4 999.0.2.7 192.0.2.1 1 2\r\n", "proxy_header_broken"),
    "v1 with LF": (f"PROXY TCP4 {CLIENT} 192.0.2.1 1 2\n".encode(), "proxy_header_broken"),
    "v2 too long": (v2(0x11, V4, length=65_535), "proxy_header_broken"),
    "v2 too short": (v2(0x11, V4[:8]), "proxy_header_broken"),
    "v2 of datagrams": (v2(0x12, V4), "proxy_header_family"),
    "v2 of another version": (v2(0x11, V4, command=0x31), "proxy_header_broken"),
    "v2 of another command": (v2(0x11, V4, command=0x2F), "proxy_header_broken"),
}


def behind(first: bytes, process: plane.Plane, context: ssl.SSLContext) -> wire.Wire:
    """Open a connection that a header comes before."""
    return wire.Wire(secure.secure(process.address, context, first=first))


TRUSTED = {"proxies": ["127.0.0.1/32"]}


def test_a_trusted_balancer_says_who_the_client_is(folder: Path) -> None:
    with served(folder, listener=TRUSTED) as (process, origin):
        for (name, (header, ip)), protocol in itertools.product(NAMED.items(), ("http/1.1", "h2")):
            context = secure.context(None, (protocol,))
            if protocol == "h2":
                with streams.Raw(process.address, context, first=header) as raw:
                    raw.send(raw.ask(1, "/"))
                    wire.eventually(lambda: origin.requests, "it arrives")
            else:
                with behind(header, process, context) as client:
                    assert client.ask("/", "X-Forwarded-For: 1.1.1.1").status == 200
            seen = origin.requests.pop()
            assert seen.field("x-forwarded-for") == ip, name
            assert "1.1.1.1" not in str(seen.field("forwarded"))


def test_who_names_nobody_gets_the_certificate_of_the_address_that_the_balancer_names(
    tmp_path: Path,
) -> None:
    authority = secure.Authority(tmp_path)
    held = {"named": authority.pair("a.example"), "there": authority.pair("192.0.2.1")}
    folders = {name: pair.put(tmp_path / name) for name, pair in held.items()}
    with upstream.Upstream.answering(echo) as origin:
        contents = secure.document(origin.address, folders, listener=TRUSTED)
        with plane.running(contents) as process:
            rows = [(v2(0x11, V4), "there"), (v2(0, b"", command=0x20), "named")]
            for (header, name), host in itertools.product(rows, (None, "a.example")):
                tls = secure.secure(process.address, secure.context(None), host, first=header)
                with wire.Wire(tls):
                    expected = held[name if host is None else "named"].der
                    assert tls.getpeercert(binary_form=True) == expected, (name, host)


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_header_of_a_balancer_ends_the_connection(folder: Path, name: str) -> None:
    header, reason = BROKEN[name]
    with served(folder, listener=TRUSTED) as (process, origin):
        with (
            pytest.raises(OSError, match=r".*"),
            behind(header, process, secure.context(None)) as client,
        ):
            client.ask("/")
        assert origin.requests == []
        counted = "alongside_http_refused"
        wire.eventually(lambda: process.metric(counted, reason=reason) == 1, "it is counted")


def test_half_a_header_is_given_up_and_takes_nothing_of_tls(folder: Path) -> None:
    with served(folder, listener=TRUSTED) as (process, _):
        whole = v2(0x11, V4)
        with wire.Wire(process.address) as slow:
            slow.send(whole[:20])
            assert slow.is_over()
        name = "alongside_http_refused"
        wire.eventually(
            lambda: process.metric(name, reason="proxy_header_timeout") == 1, "it is counted"
        )
        # In two pieces, the second of which holds TLS too.
        with socket.create_connection(process.address, timeout=wire.TIMEOUT_S) as plain:
            plain.sendall(whole[:14])
            plain.sendall(whole[14:])
            made = secure.context(None).wrap_socket(plain, server_hostname="a.example")
            with wire.Wire(made) as client:
                assert client.ask("/").status == 200


def test_who_is_no_balancer_is_not_let_in(folder: Path) -> None:
    with served(folder, listener={"proxies": ["127.0.0.9/32"]}) as (process, origin):
        for header in (b"", v2(0x11, V4)):
            with wire.Wire(process.address) as stranger:
                with contextlib.suppress(OSError):
                    stranger.send(header)
                assert stranger.is_over()
        assert origin.requests == []
        name = "alongside_http_refused"
        wire.eventually(lambda: process.metric(name, reason="proxy_peer") == 2, "it is counted")
        with wire.Wire(process.address, source="127.0.0.9") as plain:
            plain.send(v2(0x11, V4))
            tls = secure.context(None).wrap_socket(plain.socket, server_hostname="a.example")
            with wire.Wire(tls) as client:
                assert client.ask("/").status == 200
        assert origin.requests[0].field("x-forwarded-for") == CLIENT


def test_connections_behind_a_balancer_are_counted_for_who_they_are_of(folder: Path) -> None:
    limits = {"connections_per_address_max": 1}
    other = V4.replace(socket.inet_aton(CLIENT), socket.inet_aton("192.0.2.8"), 1)
    context = secure.context(None)
    with served(folder, limits=limits, listener=TRUSTED) as (process, _):
        with behind(v2(0x11, V4), process, context) as first:
            assert first.ask("/").status == 200
            with pytest.raises(OSError, match=r".*"):
                behind(v2(0x11, V4), process, context)
            with behind(v2(0x11, other), process, context) as second:
                assert second.ask("/").status == 200
                assert first.ask("/").status == 200
        wire.eventually(lambda: answers(process, context), "there is room again")


def answers(process: plane.Plane, context: ssl.SSLContext) -> bool:
    """Whether a further connection of the client is let in."""
    with contextlib.suppress(OSError), behind(v2(0x11, V4), process, context) as client:
        return client.ask("/").status == 200
    return False
