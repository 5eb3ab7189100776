"""Certificates that are replaced while clients ask: nobody fails, and bad ones are left alone."""

from __future__ import annotations

import contextlib
import datetime
import functools
import os
import shutil
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.e2e import plane, secure, steady, streams, upstream, wire

SWAPS = 20
SWAPS_IN_SOAK = 1000
# Generous: 300 ms are promised where the machine has a moment for it; what it took is printed.
SEEN_S = 10.0
WORKERS = 4
UPGRADE = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: x")
SWITCHED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: y\r\n\r\n"
)


def talk(peer: upstream.Peer) -> None:
    """Answer with the target, and send back what comes in a tunnel."""
    while (request := peer.next()) is not None:
        if request.field("upgrade"):
            peer.send(SWITCHED)
            while peer.fill():
                peer.send(peer.take(len(peer.buffer)))
            return
        peer.send(wire.answer(request.target.encode()))


class Load(steady.Crowd):
    """Clients over TLS: half keep their connections, half open one for each; one asks by HTTP/2."""

    def __init__(self, address: wire.Address, authority: Path) -> None:
        works = [functools.partial(self._run, at) for at in range(WORKERS)]
        super().__init__(*works, self._run_streams)
        self.address = address
        self.context = secure.context(authority)
        self.streams = secure.context(authority, ("h2",))
        self.failed: list[str] = []

    def _run(self, at: int) -> None:
        while not self.is_over.is_set():
            try:
                with secure.Client(self.address, self.context) as client:
                    self._ask(at, client)
            except (OSError, wire.CutError) as error:
                self.failed.append(f"{'kept' if at % 2 else 'new'} after {self.counts}: {error!r}")

    def _run_streams(self) -> None:
        while not self.is_over.is_set():
            try:
                with streams.Client(self.address, self.streams) as client:
                    self._fetch(client)
            except (OSError, AssertionError) as error:
                self.failed.append(f"by HTTP/2 after {self.counts}: {error!r}")

    def _fetch(self, client: streams.Client) -> None:
        """Ask until the connection has brought as many requests as one may."""
        while client.goaway is None and not self.is_over.is_set():
            self.counts[WORKERS] += 1
            target = f"/two/{self.counts[WORKERS]}"
            got = client.fetch(target)
            if (got.status, got.body) != (200, target.encode()):
                self.failed.append(f"{got.status} {got.body[:80]!r} on a stream")

    def _ask(self, at: int, client: wire.Wire) -> None:
        is_kept = True
        while is_kept and not self.is_over.is_set():
            self.counts[at] += 1
            target = f"/{at}/{self.counts[at]}"
            got = client.ask(target)
            if (got.status, got.body) != (200, target.encode()):
                self.failed.append(f"{got.status} {got.body[:80]!r}")
            is_kept = bool(at % 2) and got.field("connection") != "close"


def await_shown(address: wire.Address, pair: secure.Pair) -> float:
    """Wait until a new connection gets this certificate; return how long it took."""
    began = time.monotonic()
    wire.eventually(lambda: secure.shown(address) == pair.der, "it is shown", deadline_s=SEEN_S)
    return time.monotonic() - began


def taken_s(process: plane.Plane, times: int) -> float:
    """Return when the last pair was taken, by the process's own word, in seconds since 1970.

    It waits until this was said so many times.
    """
    time_of_day = str(process.told("certificate_taken", times)[-1]["time"])
    return datetime.datetime.fromisoformat(time_of_day).timestamp()


def ends(answer: streams.Answer, number: int) -> bool:
    """Whether what came on a stream ends with this number."""
    return answer.body.endswith(b"%d." % number)


def swap_under_load(tmp_path: Path, put: Callable[[secure.Pair, Path], Path], swaps: int) -> None:
    authority = secure.Authority(tmp_path)
    pairs = [authority.pair("a.example") for _ in range(min(swaps, 20))]
    folder = put(pairs[-1], tmp_path / "tls")
    context = secure.context(authority.path)
    with (
        upstream.Upstream(talk) as origin,
        plane.running(secure.document(origin.address, {"default": folder})) as process,
        secure.Client(process.address, context) as socket,
        streams.Client(process.address, secure.context(authority.path, ("h2",))) as client,
    ):
        stream = client.ask("/chat", method="CONNECT", ends=False, protocol="websocket")
        socket.send(wire.request("/chat", *UPGRADE))
        assert socket.head().status == 101
        seen_s, in_force_s = list[float](), list[float]()
        with Load(process.address, authority.path) as load:
            wire.eventually(load.more(2), "all have begun")
            for number in range(swaps):
                pair = pairs[number % len(pairs)]
                before = set(folder.glob("..[0-9]*"))
                put(pair, folder)
                renamed_s = time.time()
                seen_s.append(await_shown(process.address, pair))
                in_force_s.append(taken_s(process, number + 1) - renamed_s)
                for old in before:
                    shutil.rmtree(old)
                socket.send(b"%d." % number)
                assert socket.until(b".") == b"%d." % number
                client.send(stream, b"%d." % number)
                client.until(
                    functools.partial(ends, client.answers[stream], number), "it is sent back"
                )
            goes_on = load.more(2)
            wire.eventually(lambda: load.failed or goes_on(), "all go on")
        # The clients wait for one another too: the process says what is its own.
        for what, took_s in (("in force", in_force_s), ("seen by a client", seen_s)):
            told = f"median {statistics.median(took_s):.3f} s, longest {max(took_s):.3f} s"
            print(f"{swaps} swaps, {sum(load.counts)} requests: {what} after {told}")  # noqa: T201
        assert load.failed == []
        assert max(in_force_s) < SEEN_S
        taken = {"listener": "web", "certificate": "default"}
        assert process.metric("alongside_tls_reloads", outcome="taken", **taken) == swaps
        assert stale(process) == 0
        # Between two renames the pair does not match; who takes his time there may read of it.
        if put is secure.Pair.swap:
            assert process.metric("alongside_tls_reloads", outcome="refused", **taken) == 0


@pytest.mark.parametrize("put", [secure.Pair.put, secure.Pair.swap], ids=["renames", "a link"])
def test_swaps_under_load_fail_no_request(
    tmp_path: Path, put: Callable[[secure.Pair, Path], Path]
) -> None:
    swap_under_load(tmp_path, put, SWAPS)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_thousand_swaps_under_load_fail_no_request(tmp_path: Path) -> None:
    swap_under_load(tmp_path, secure.Pair.swap, SWAPS_IN_SOAK)


class Held:
    """A served pair that somebody replaces by something bad."""

    def __init__(self, process: plane.Plane, folder: Path, authority: secure.Authority) -> None:
        self.process = process
        self.folder = folder
        self.authority = authority
        self.good = authority.pair("a.example")

    def put(self, name: str, content: bytes) -> None:
        """Replace one file by a rename."""
        secure.place(self.folder / name, content)

    def truncated(self) -> None:
        """Cut the chain off."""
        self.put("tls.crt", self.good.chain[: len(self.good.chain) // 2])

    def other_key(self) -> None:
        """Place a key of another certificate."""
        self.put("tls.key", self.authority.pair("a.example").key)

    def empty(self) -> None:
        """Leave nothing in the chain's file."""
        self.put("tls.crt", b"")

    def empty_in_place(self) -> None:
        """Leave nothing in the chain's file, without a rename."""
        (self.folder / "tls.crt").write_bytes(b"")

    def swapped(self) -> None:
        """Lead the folder's link to where the key is missing."""
        self.authority.pair("a.example").swap(self.folder, lacks="tls.key")

    def deleted(self) -> None:
        """Delete the chain."""
        (self.folder / "tls.crt").unlink()

    def no_folder(self) -> None:
        """Delete all of it."""
        shutil.rmtree(self.folder)

    def expired(self) -> None:
        """Place a pair that is over."""
        self.authority.pair("a.example", ends=-secure.DAY / 2).put(self.folder)

    def too_early(self) -> None:
        """Place a pair that has not begun."""
        self.authority.pair("a.example", begins=secure.DAY).put(self.folder)

    def no_pem(self) -> None:
        """Place what is no certificate."""
        self.put("tls.crt", b"\0" * 4096)

    def a_pipe(self) -> None:
        """Place what would block its reader."""
        (self.folder / "tls.crt").unlink()
        os.mkfifo(self.folder / "tls.crt")

    def half_key(self) -> None:
        """Cut the key off."""
        self.put("tls.key", self.good.key[: len(self.good.key) // 2])


BAD: list[Callable[[Held], None]] = [
    Held.truncated,
    Held.other_key,
    Held.empty,
    Held.empty_in_place,
    Held.swapped,
    Held.deleted,
    Held.no_folder,
    Held.expired,
    Held.too_early,
    Held.no_pem,
    Held.a_pipe,
    Held.half_key,
]


@contextlib.contextmanager
def held(tmp_path: Path) -> Iterator[tuple[Held, secure.Pair]]:
    authority = secure.Authority(tmp_path)
    first = authority.pair("a.example")
    folder = first.put(tmp_path / "tls")
    with (
        upstream.Upstream(talk) as origin,
        plane.running(secure.document(origin.address, {"default": folder})) as process,
    ):
        assert secure.shown(process.address) == first.der
        yield Held(process, folder, authority), first


def stale(process: plane.Plane) -> float:
    return process.metric("alongside_tls_certificate_stale", listener="web", certificate="default")


@pytest.mark.parametrize("spoil", BAD, ids=lambda spoil: spoil.__name__)
def test_a_bad_pair_leaves_the_old_one_says_so_once_and_recovers(
    tmp_path: Path, spoil: Callable[[Held], None]
) -> None:
    with held(tmp_path) as (pair, first):
        process = pair.process
        spoil(pair)
        wire.eventually(lambda: stale(process) == 1, "it is told")
        assert secure.shown(process.address) == first.der
        with secure.Client(process.address, secure.context(pair.authority.path)) as client:
            assert client.ask("/on").body == b"/on"
        told = process.told("certificate_refused")
        assert len(told) == 1, told
        assert told[0]["listener"] == "web"
        assert str(pair.folder) in str(told[0]["reason"])
        assert process.metric("alongside_tls_reloads", outcome="refused") == 1
        expiry = process.metric("alongside_tls_certificate_expiry_seconds", certificate="default")
        assert 6 * 86400 < expiry <= 7 * 86400
        if spoil is Held.swapped:
            pair.good.swap(pair.folder)
        else:
            pair.good.put(pair.folder)
        await_shown(process.address, pair.good)
        assert stale(process) == 0
        assert process.end() == 0
        assert len(process.events("certificate_refused")) <= 2


def test_the_old_pair_in_its_place_again_is_good(tmp_path: Path) -> None:
    with held(tmp_path) as (pair, first):
        pair.truncated()
        wire.eventually(lambda: stale(pair.process) == 1, "it is told")
        first.put(pair.folder)
        wire.eventually(lambda: stale(pair.process) == 0, "it is good again")
        assert secure.shown(pair.process.address) == first.der
        assert pair.process.end() == 0
        assert len(pair.process.events("certificate_good_again")) == 1


def test_a_pair_that_is_written_slowly_is_taken_when_it_is_whole(tmp_path: Path) -> None:
    with held(tmp_path) as (pair, first):
        seen = set[bytes]()
        is_over = threading.Event()

        def look() -> None:
            while not is_over.is_set():
                seen.add(secure.shown(pair.process.address))

        looking = threading.Thread(target=look)
        looking.start()
        try:
            for name, content in (("tls.crt", pair.good.chain), ("tls.key", pair.good.key)):
                with (pair.folder / name).open("wb") as file:
                    for at in range(0, len(content), 100):
                        file.write(content[at : at + 100])
                        file.flush()
                        time.sleep(0.005)  # the slowness is the input
            await_shown(pair.process.address, pair.good)
        finally:
            is_over.set()
            looking.join()
        assert seen <= {first.der, pair.good.der}
        assert stale(pair.process) == 0


def test_readiness_can_ask_for_days_that_are_left(tmp_path: Path) -> None:
    authority = secure.Authority(tmp_path)
    folder = authority.pair("a.example", ends=30 * secure.DAY).put(tmp_path / "tls")
    with upstream.Upstream(talk) as origin:
        contents = secure.document(
            origin.address, {"default": folder}, tls={"ready_expiry_s": 8 * 86400}
        )
        with plane.running(contents) as process:
            authority.pair("a.example").put(folder)
            wire.eventually(lambda: process.knock("GET", "/readyz")[0] == 503, "it is not ready")
            assert "default" in process.knock("GET", "/readyz")[1]
            authority.pair("a.example", ends=30 * secure.DAY).put(folder)
            wire.eventually(lambda: process.knock("GET", "/readyz")[0] == 200, "it is ready")
