"""The example of an old program behind HTTPS, by the lines of its README; all who come to it."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright import sync_api
from tests.e2e import browser, fleets, legacy, sidecar

pytestmark = [fleets.NEEDS_DATA_PLANE, pytest.mark.timeout(600)]

SHOTS = os.environ.get("SCREENSHOTS")
"""A folder for pictures of the page, as the docs show them."""
URL = f"https://{legacy.NAME}:{legacy.PODS['legacy']}"
# A client's own process, whose threads are where this one is now.
CALLER = """
import grpc, sys
address, ca, name = sys.argv[1:]
trusted = grpc.ssl_channel_credentials(open(ca, "rb").read())
options = [("grpc.ssl_target_name_override", name)]
with grpc.secure_channel(address, trusted, options) as channel:
    echo = channel.unary_unary("/t.T/Echo")
    assert echo(b"y" * 3_000_000, timeout=60) == b"y" * 3_000_000
    try:
        channel.unary_unary("/t.T/Fail")(b"", timeout=20)
        raise SystemExit("it did not fail")
    except grpc.RpcError as failed:
        assert (failed.code(), failed.details()) == (grpc.StatusCode.NOT_FOUND, "nope"), failed
        assert ("k", "v") in failed.trailing_metadata(), failed
    call = channel.stream_stream("/t.T/Chat")(iter([b"a", b"b", b"c"]), timeout=20)
    assert list(call) == [b"a", b"b", b"c"]
    many = [echo.future(b"z" * 1000, timeout=60) for _ in range(200)]
    assert sum(len(one.result()) for one in many) == 200_000
    print(channel.unary_unary("/t.T/Told")(b"", timeout=20).decode())
"""
TALKING = """
(url) => new Promise((done, fail) => {
    const socket = new WebSocket(url);
    const sent = ["first", "x".repeat(70000), "last"], got = [];
    socket.onopen = () => sent.forEach((one) => socket.send(one));
    socket.onmessage = (event) => {
        got.push(event.data);
        if (got.length === sent.length) socket.close(1000);
    };
    const same = () => got.every((one, at) => one === sent[at]);
    socket.onclose = (event) => done([event.code, same(), got.length]);
    socket.onerror = () => fail(new Error("it fails"));
})
"""
# As root, whom the system believes is changed where nobody else sees it.
COVER = """
for folder in /etc/ssl /usr/local/share/ca-certificates; do
  mkdir -p "$HOME/room/$(basename $folder)"
  cp -a $folder/. "$HOME/room/$(basename $folder)"
  mount --bind "$HOME/room/$(basename $folder)" $folder
done
"""


@pytest.fixture(scope="module", params=["process", "namespaces", "docker"])
def stage(request: pytest.FixtureRequest) -> Iterator[legacy.Stage]:
    with legacy.stage(request.param) as made:
        yield made


@pytest.fixture(scope="module")
def context(stage: legacy.Stage) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(stage.example.ca))


def told(stage: legacy.Stage, context: ssl.SSLContext, **fields: str) -> list[str]:
    """Return what the program says that it was told."""
    given = {name.replace("_", "-"): value for name, value in fields.items()}
    status, _, body = sidecar.asked(stage.example.service(), context, given, name=legacy.NAME)
    assert status == 200
    return body.decode().splitlines()


def of(lines: list[str], name: str) -> str:
    """Return the value of a field that the program was told."""
    [found] = [line.partition(": ")[2] for line in lines if line.startswith(f"{name}: ")]
    return found


def test_the_program_is_told_who_came_and_believes_no_stranger(
    stage: legacy.Stage, context: ssl.SSLContext
) -> None:
    lines = told(stage, context, x_forwarded_for="192.0.2.7", x_forwarded_proto="http")
    assert lines[0].endswith("of /page")
    assert {"Host: legacy", "X-Forwarded-Proto: https", "X-Forwarded-Host: legacy"} <= set(lines)
    # A Service passes connections on, so that the one who comes is its balancer.
    who = ipaddress.ip_address(of(lines, "X-Forwarded-For"))
    assert who.is_loopback == (stage.engine == "process")
    assert who.is_private


def test_only_the_sidecar_is_reached_where_the_pod_has_a_network(stage: legacy.Stage) -> None:
    if stage.engine == "process":
        pytest.skip("processes share this machine's loopback")
    hosts = ["127.0.0.1"]
    if stage.engine == "docker":  # in a network of the test's own, which has bridges to its pods
        status = json.loads(stage.example.run("alongside status --json"))
        hosts += [one["address"] for one in status["processes"] if one["name"] == legacy.NAME]
        socket.create_connection((hosts[1], 8443), timeout=30).close()
    for host in hosts:
        with pytest.raises(ConnectionRefusedError), socket.create_connection((host, 8000), 30):
            pass


@pytest.mark.needs("curl")
def test_curl_asks_by_both_versions(stage: legacy.Stage) -> None:
    host, port = stage.example.service()
    for version, flag in (("2", "--http2"), ("1.1", "--http1.1")):
        said = stage.example.run(
            f"curl -sS --noproxy '*' {flag} --cacert {stage.example.ca} "
            f"--connect-to legacy:8443:{host}:{port} -w '%{{http_version}}' {URL}/curl"
        )
        assert said.splitlines()[0].endswith("of /curl")
        assert of(said.splitlines(), "X-Forwarded-Proto") == "https"
        assert said.splitlines()[-1] == version


@pytest.mark.needs("h2load")
def test_h2load_sees_no_failure(stage: legacy.Stage) -> None:
    host, port = stage.example.service()
    said = stage.example.run(f"h2load -n 500 -c 2 -m 2 --connect-to={host}:{port} {URL}/load")
    assert "500 succeeded, 0 failed, 0 errored, 0 timeout" in said, said
    assert "Application protocol: h2" in said, said


def test_grpc_passes_to_a_program_of_it(stage: legacy.Stage) -> None:
    host, port = stage.example.service("echo")
    words = [sys.executable, "-c", CALLER, f"{host}:{port}", str(stage.example.ca), legacy.NAME]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=200, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "key='x-forwarded-proto', value='https'" in ran.stdout
    assert "key='x-forwarded-for', value=" in ran.stdout


def chromium(stage: legacy.Stage) -> contextlib.AbstractContextManager[sync_api.Browser]:
    """Run a browser of the example's home that finds every pod at one name."""
    found = {port: stage.example.service(name) for name, port in legacy.PODS.items()}
    rules = [f"MAP {legacy.NAME}:{port} {host}:{at}" for port, (host, at) in found.items()]
    flag = f"--host-resolver-rules={','.join(rules)}"
    return browser.opened(flag, "--no-proxy-server", home=stage.example.home)


@pytest.fixture(scope="module")
def page(stage: legacy.Stage) -> Iterator[sync_api.Page]:
    """Yield a page of a browser whose user said whom to believe."""
    refused = "net::ERR_CERT_AUTHORITY_INVALID"
    with (
        chromium(stage) as stranger,
        stranger.new_page() as empty,
        pytest.raises(sync_api.Error, match=refused),
    ):
        empty.goto(f"{URL}/")
    in_private = ["unshare", "--mount"] if os.geteuid() == 0 else []
    ran = subprocess.run(
        [*in_private, "bash", "-c", (COVER if in_private else "") + "alongside certs trust"],
        env=stage.example.variables,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert "Chromium: believes it" in ran.stdout, ran.stdout + ran.stderr
    with chromium(stage) as made, made.new_page() as shown:
        shown.set_viewport_size({"width": 800, "height": 300})
        yield shown


@pytest.mark.needs("chromium", "certutil", "update-ca-certificates")
def test_chromium_shows_the_page_once_its_user_trusts_the_authority(
    stage: legacy.Stage, page: sync_api.Page
) -> None:
    answer = page.goto(f"{URL}/page")
    assert answer is not None
    assert answer.status == 200
    security = answer.security_details()
    assert security is not None
    assert (security["protocol"], security["subjectName"]) == ("TLS 1.3", legacy.NAME)
    assert page.evaluate("[isSecureContext, performance.getEntries()[0].nextHopProtocol]") == [
        True,
        "h2",
    ]
    lines = page.inner_text("body").splitlines()
    assert lines[0].endswith("of /page")
    assert of(lines, "X-Forwarded-Proto") == "https"
    if SHOTS:
        page.screenshot(path=str(Path(SHOTS) / f"legacy-https-{stage.engine}.png"))


@pytest.mark.needs("chromium", "certutil", "update-ca-certificates")
def test_websockets_of_pages_are_opened_by_both_versions(page: sync_api.Page) -> None:
    place = f"{legacy.NAME}:{legacy.PODS['talk']}"
    # From elsewhere, on a connection of its own; then on the one that brought its page.
    page.goto(f"{URL}/page")
    assert page.evaluate(TALKING, f"wss://{place}/") == [1000, True, 3]
    page.goto(f"https://{place}/")
    assert page.evaluate("performance.getEntries()[0].nextHopProtocol") == "h2"
    assert page.evaluate(TALKING, f"wss://{place}/") == [1000, True, 3]


def test_a_new_certificate_is_taken_and_the_program_runs_on(
    stage: legacy.Stage, context: ssl.SSLContext
) -> None:
    number = int(told(stage, context)[0].split()[1])
    address = stage.example.service()
    before = sidecar.fingerprint(address, context)
    assert (stage.example.folder / "certificate.yaml").stat().st_mode & 0o077 == 0
    stage.example.run(f"alongside certs renew legacy\n{stage.make}\n{stage.up}")
    sidecar.until(
        lambda: sidecar.fingerprint(address, context) != before, "the new certificate is shown"
    )
    # The program was not started anew.
    assert told(stage, context)[0] == f"visitor {number + 1} of /page"
