"""`alongside tls` before a real program: who comes in, what the program sees, what is refused."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.e2e import fleets, sidecar

from alongside.components.authority import issuing

pytestmark = [fleets.NEEDS_DATA_PLANE]
DAY_S = 86_400
Harm = Callable[[Path], str]


@pytest.fixture
def authority(tmp_path: Path) -> sidecar.Authority:
    return sidecar.Authority(tmp_path / "authority")


@pytest.fixture
def program() -> Iterator[int]:
    with sidecar.legacy() as port:
        yield port


def flags(port: int, *folders: object) -> list[str]:
    return [f"--proxy-port={port}", *(f"--certificate-path={one}" for one in folders)]


def test_two_variables_make_a_plain_program_speak_https(
    tmp_path: Path, authority: sidecar.Authority, program: int
) -> None:
    variables = {"PROXY_PORT": str(program), "CERTIFICATE_PATH": str(authority.made("site"))}
    with sidecar.running(tmp_path, variables=variables) as running:
        status, _, body = sidecar.asked(running.address(), authority.client())
        assert (status, json.loads(body)["path"]) == (200, "/page")
        with socket.create_connection(running.address(), timeout=30) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
            assert not plain.recv(100).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("offered", "chosen"), [(["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1"), ([], None)]
)
def test_clients_choose_among_what_is_offered(
    tmp_path: Path,
    authority: sidecar.Authority,
    program: int,
    offered: list[str],
    chosen: str | None,
) -> None:
    context = authority.client()
    if offered:
        context.set_alpn_protocols(offered)
    with (
        sidecar.running(tmp_path, *flags(program, authority.made("site"))) as running,
        sidecar.connected(running.address(), context) as stream,
    ):
        assert stream.selected_alpn_protocol() == chosen
        assert stream.version() == "TLSv1.3"


def test_the_oldest_version_is_as_said(
    tmp_path: Path, authority: sidecar.Authority, program: int
) -> None:
    old = authority.client()
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    words = flags(program, authority.made("site"))
    with sidecar.running(tmp_path, *words) as running:
        assert sidecar.asked(running.address(), old)[0] == 200
    with sidecar.running(tmp_path, *words, "--tls-min-version=1.3") as running:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            sidecar.asked(running.address(), old)
        assert sidecar.asked(running.address(), authority.client())[0] == 200


def test_the_program_is_told_who_the_client_is_and_by_nobody_else(
    tmp_path: Path, authority: sidecar.Authority, program: int
) -> None:
    lies = {
        "x-forwarded-for": "6.6.6.6",
        "X-Forwarded-Proto": "http",
        "x-forwarded-host": "evil.example",
        "forwarded": "for=6.6.6.6",
    }
    words = flags(program, authority.made("site"))
    with sidecar.running(tmp_path, *words) as running:
        fields = json.loads(sidecar.asked(running.address(), authority.client(), lies)[2])["fields"]
    assert fields["x-forwarded-for"] == "127.0.0.1"
    assert fields["x-forwarded-proto"] == "https"
    assert fields["x-forwarded-host"] == fields["host"] == "localhost"
    assert "6.6.6.6" not in str(fields)
    with sidecar.running(tmp_path, *words, "--trusted=127.0.0.0/8") as running:
        fields = json.loads(sidecar.asked(running.address(), authority.client(), lies)[2])["fields"]
    assert "6.6.6.6" in fields["x-forwarded-for"]


def test_a_name_chooses_its_certificate_and_an_unknown_one_is_refused(
    tmp_path: Path, authority: sidecar.Authority, program: int
) -> None:
    a, b = authority.made("a", "a.localhost"), authority.made("b", "b.localhost", "*.b.localhost")
    words = flags(program, f"a={a}", f"b={b}")
    context = authority.client()
    with sidecar.running(tmp_path, *words) as running:
        for name in ("a.localhost", "b.localhost", "x.b.localhost"):
            assert sidecar.asked(running.address(), context, name=name)[0] == 200
        with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
            sidecar.asked(running.address(), context, name="c.localhost")
    context.check_hostname = False
    with sidecar.running(tmp_path, *words, "--default-certificate=a") as running:
        assert sidecar.asked(running.address(), context, name="c.localhost")[0] == 200


def test_one_certificate_serves_every_name_and_none(
    tmp_path: Path, authority: sidecar.Authority, program: int
) -> None:
    context = authority.client()
    context.check_hostname = False
    with sidecar.running(tmp_path, *flags(program, authority.made("a", "a.localhost"))) as running:
        for name in ("c.localhost", "127.0.0.1"):
            assert sidecar.asked(running.address(), context, name=name)[0] == 200


def test_the_plain_listener_sends_to_https_and_browsers_are_told_to_stay(
    tmp_path: Path, authority: sidecar.Authority, program: int
) -> None:
    words = flags(program, authority.made("site"))
    words += ["--redirect=127.0.0.1:0", "--redirect-port=443", "--hsts=8760h"]
    with sidecar.running(tmp_path, *words) as running:
        client = http.client.HTTPConnection(*running.address("plain"), timeout=30)
        client.request("GET", "/a?b=c", headers={"host": "localhost:80"})
        answer = client.getresponse()
        assert (answer.status, answer.headers["location"]) == (308, "https://localhost/a?b=c")
        client.close()
        _, fields, _ = sidecar.asked(running.address(), authority.client())
        assert "max-age=31536000" in fields["strict-transport-security"]


def test_clients_show_certificates_where_they_must(
    tmp_path: Path, authority: sidecar.Authority, program: int
) -> None:
    other = sidecar.Authority(tmp_path / "other")
    words = flags(program, authority.made("site"))
    words += [f"--client-ca={authority.store.certificate}", "--client-certificates=required"]
    with sidecar.running(tmp_path, *words) as running:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            sidecar.asked(running.address(), authority.client())
        stranger = authority.client()
        folder = other.made("stranger")
        stranger.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            sidecar.asked(running.address(), stranger)


def test_a_program_at_a_socket_is_reached_there(
    tmp_path: Path, authority: sidecar.Authority
) -> None:
    path = tmp_path / "p.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        threading.Thread(target=_answer_once, args=(listener,), daemon=True).start()
        words = [f"--proxy-socket={path}", f"--certificate-path={authority.made('site')}"]
        with sidecar.running(tmp_path, *words) as running:
            status, _, body = sidecar.asked(running.address(), authority.client())
    assert (status, body) == (200, b"ok")


def _answer_once(listener: socket.socket) -> None:
    peer, _ = listener.accept()
    with peer:
        while b"\r\n\r\n" not in peer.recv(65_536):
            pass
        peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")


def test_a_program_that_is_not_there_is_an_error_and_then_none(
    tmp_path: Path, authority: sidecar.Authority
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = int(taken.getsockname()[1])
    with sidecar.running(tmp_path, *flags(port, authority.made("site"))) as running:
        assert sidecar.asked(running.address(), authority.client())[0] == 502


def test_ready_fails_while_a_certificate_is_about_to_expire(
    tmp_path: Path, authority: sidecar.Authority, program: int
) -> None:
    words = flags(program, authority.made("site"))
    for threshold, status in (("2000h", 200), ("2200h", 503)):  # it has 90 days, 2160 hours
        with sidecar.running(tmp_path, *words, f"--ready-expiry={threshold}") as running:
            client = http.client.HTTPConnection(*running.address("status"), timeout=30)
            client.request("GET", "/readyz")
            assert client.getresponse().status == status
            client.close()
            left_s = running.metric("alongside_tls_certificate_expiry_seconds", listener="web")
            assert 89 * DAY_S < left_s <= 90 * DAY_S


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"PROXY_PORT": "http"}, 'PROXY_PORT: "http" is not a port; write its number, 80'),
        ({"PROXY_PORT": "8000", "TLS_REDIRCT": "x"}, '"TLS_REDIRCT": is no variable of tls; did'),
        ({}, "--proxy-port: is missing; write --proxy-port 8000 or set PROXY_PORT"),
    ],
)
def test_wrong_variables_start_nothing(
    authority: sidecar.Authority, variables: dict[str, str], told: str
) -> None:
    given = {"CERTIFICATE_PATH": str(authority.made("site")), **variables}
    assert f"alongside tls: {told}" in sidecar.refused(variables=given)


def blamed(told: str) -> list[str]:
    """Return what each line is about, but for the last, which says where to read on."""
    lines = [line.removeprefix("alongside tls: ") for line in told.splitlines()]
    assert lines[-1] == "see alongside tls --help"
    return [line.partition(": ")[0] for line in lines[:-1]]


def test_an_unknown_variable_hides_no_other_mistake(
    tmp_path: Path, authority: sidecar.Authority
) -> None:
    unknown = {"TLS_MIN_VERSIN": "1.3", "TLS_LISTN": "127.0.0.1:0"}
    names = ['"TLS_LISTN"', '"TLS_MIN_VERSIN"']
    # What does not go together, and a file that is not there.
    absent = {"CERTIFICATE_PATH": str(tmp_path / "none"), "TLS_REDIRECT_PORT": "443"}
    told = sidecar.refused(variables={**unknown, **absent})
    assert blamed(told) == [*names, "--proxy-port", "CERTIFICATE_PATH", "TLS_REDIRECT_PORT"]
    # What only who reads the files finds.
    folder, other = authority.made("site"), authority.made("other")
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    (mixed / "tls.crt").write_bytes((folder / "tls.crt").read_bytes())
    (mixed / "tls.key").write_bytes((other / "tls.key").read_bytes())
    told = sidecar.refused(
        "--lisen", "x", variables={**unknown, "PROXY_PORT": "8000", "CERTIFICATE_PATH": str(mixed)}
    )
    assert blamed(told) == ['"--lisen"', *names, "CERTIFICATE_PATH"]


def test_a_wrong_value_hides_no_mistake_that_it_has_no_part_in(tmp_path: Path) -> None:
    variables = {
        "PROXY_PORT": "http",
        "CERTIFICATE_PATH": str(tmp_path / "none"),
        "TLS_HEAD_MAX": "64",
        "TLS_CLIENT_CERTIFICATES": "always",
        "TLS_CLIENT_CRL": str(tmp_path / "list"),
        "TLS_ACME_DOMAIN": "a.example",
        "TLS_THREDS": "2",
    }
    assert blamed(sidecar.refused(variables=variables)) == [
        "TLS_CLIENT_CERTIFICATES",
        "TLS_HEAD_MAX",
        '"TLS_THREDS"',
        "PROXY_PORT",
        "CERTIFICATE_PATH",
        "TLS_ACME_DOMAIN",
    ]


def missing(folder: Path) -> str:
    (folder / "tls.key").unlink()
    return "holds no tls.key"


def cut(folder: Path) -> str:
    whole = (folder / "tls.crt").read_bytes()
    _replace(folder / "tls.crt", whole[: len(whole) // 2])
    return "tls.crt"


def emptied(folder: Path) -> str:
    _replace(folder / "tls.key", b"")
    return "is empty"


def of_another(folder: Path) -> str:
    _replace(folder / "tls.key", issuing.authority("other", time.time()).key)
    return "key"


def closed(folder: Path) -> str:
    (folder / "tls.key").chmod(0)
    return "Permission denied"


def _replace(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [missing, emptied, closed])
def test_files_that_are_plainly_wrong_at_the_start_are_told_by_parameter_and_path(
    authority: sidecar.Authority, harm: Harm
) -> None:
    if harm is closed and os.geteuid() == 0:
        pytest.skip("root may read what is closed")
    folder = authority.made("site")
    reason = harm(folder)
    told = sidecar.refused(variables={"PROXY_PORT": "8000", "CERTIFICATE_PATH": str(folder)})
    assert "CERTIFICATE_PATH: " in told
    assert str(folder) in told
    assert reason in told


@pytest.mark.parametrize("harm", [cut, of_another])
def test_pairs_that_are_not_good_are_told_by_parameter_and_path(
    authority: sidecar.Authority, harm: Harm
) -> None:
    folder = authority.made("site")
    reason = harm(folder)
    told = sidecar.refused(*flags(8000, folder))
    assert f"--certificate-path: {folder}" in told
    assert reason in told
    told = sidecar.refused(variables={"PROXY_PORT": "8000", "CERTIFICATE_PATH": str(folder)})
    assert f"CERTIFICATE_PATH: {folder}" in told


def test_an_expired_certificate_is_refused_at_the_start(tmp_path: Path) -> None:
    old = sidecar.Authority(tmp_path / "old", time.time() - 100 * DAY_S)
    folder = old.made("site")
    told = sidecar.refused(*flags(8000, folder))
    assert f"--certificate-path: {folder}" in told
    assert "expired" in told


def test_a_sidecar_ends_when_it_is_told_and_finishes_what_runs(
    tmp_path: Path, authority: sidecar.Authority, program: int
) -> None:
    with (
        sidecar.running(tmp_path, *flags(program, authority.made("site"))) as running,
        contextlib.ExitStack() as stack,
    ):
        stream = stack.enter_context(sidecar.connected(running.address(), authority.client()))
        running.process.terminate()
        stream.sendall(b"GET /last HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert stream.recv(100).startswith(b"HTTP/1.1 200")
        assert running.process.wait(30) == 0
