"""What a client costs that is connected and says nothing, over TLS."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.e2e import plane, secure, streams, test_engine_many_clients, upstream, wire

IDLE = 1000
WARM = 50
HTTP1_BYTES_MAX = 14 * 1024
# The reader of frames takes 28 KiB of buffers for each connection, and never gives them back.
HTTP2_BYTES_MAX = 40 * 1024

Open = Callable[[wire.Address, ssl.SSLContext], contextlib.AbstractContextManager[object]]


def by_http1(address: wire.Address, context: ssl.SSLContext) -> secure.Client:
    client = secure.Client(address, context)
    assert client.ask("/").status == 200
    return client


def by_http2(address: wire.Address, context: ssl.SSLContext) -> streams.Client:
    client = streams.Client(address, context)
    assert client.fetch("/").status == 200
    return client


@pytest.mark.parametrize(
    ("opens", "protocol", "bytes_max"),
    [(by_http1, "http/1.1", HTTP1_BYTES_MAX), (by_http2, "h2", HTTP2_BYTES_MAX)],
    ids=["HTTP/1.1", "HTTP/2"],
)
def test_an_idle_connection_costs_little_memory(
    tmp_path: Path, opens: Open, protocol: str, bytes_max: int
) -> None:
    test_engine_many_clients.raise_descriptors()
    folder = secure.Authority(tmp_path).pair("a.example").put(tmp_path / "tls")
    context = secure.context(None, (protocol,))
    with (
        upstream.Upstream.answering(lambda _: wire.answer(b"ok")) as origin,
        plane.running(secure.document(origin.address, {"default": folder})) as process,
        contextlib.ExitStack() as stack,
    ):
        address = process.address
        for _ in range(WARM):
            stack.enter_context(opens(address, context))
        before = process.resident_bytes()
        for _ in range(IDLE):
            stack.enter_context(opens(address, context))
        name = "alongside_http_connections"
        assert process.metric(name, listener="web") == IDLE + WARM
        # What a stream's task held is given back in a moment.
        wire.eventually(
            lambda: process.resident_bytes() - before <= IDLE * bytes_max,
            f"{(process.resident_bytes() - before) / IDLE:.0f} bytes each become {bytes_max}",
        )
        print(f"{(process.resident_bytes() - before) / IDLE:.0f} bytes each")  # noqa: T201
