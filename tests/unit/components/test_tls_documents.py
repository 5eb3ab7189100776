"""The values of `tls` become the document of a sidecar, and mistakes name their parameter."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alongside import document
from alongside.base import environment, errors
from alongside.components.dataplane import checking, tls_documents
from alongside.contract import values
from alongside.contract.catalogue import tls

CHAIN = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """Return a folder that looks like a pair; whether it is one, the data plane finds out."""
    return folder(tmp_path / "tls")


def folder(path: Path) -> Path:
    path.mkdir()
    (path / "tls.crt").write_text(CHAIN)
    (path / "tls.key").write_text(KEY)
    return path


def resolved(*words: str, **variables: str) -> values.Values:
    return values.gather(tls.CONTRACT, words, environment.Environment(variables))


def made(pair: Path, *words: str) -> document.Document:
    given = ("--proxy-port", "8000", "--certificate-path", str(pair))
    found = tls_documents.of_tls(resolved(*given, *words))
    assert document.read(document.write(found)) == found
    return found


def problems(*words: str, **variables: str) -> tuple[str, ...]:
    with pytest.raises(errors.UsageError) as caught:
        tls_documents.of_tls(resolved(*words, **variables))
    return caught.value.problems


def of_tls(found: document.Document) -> document.Tls:
    tls_ = found.listeners[0].tls
    assert tls_ is not None
    return tls_


def test_two_variables_are_all_that_is_needed(pair: Path) -> None:
    found = tls_documents.of_tls(resolved(PROXY_PORT="8000", CERTIFICATE_PATH=str(pair)))
    [listener] = found.listeners
    [program] = found.programs
    assert (listener.name, listener.address, listener.serves) == ("web", "0.0.0.0:8443", "program")
    assert program == document.Program(name="program", address="127.0.0.1:8000")
    certificate = document.Certificate(name="default", path=str(pair))
    assert listener.tls == document.Tls(certificates=(certificate,), default="default")
    assert (found.redirects, found.limits, found.threads) == ((), document.Limits(), 1)
    assert document.read(document.write(found)) == found


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("8000", "127.0.0.1:8000"),
        ("65535", "127.0.0.1:65535"),
        ("localhost:8000", "localhost:8000"),
        ("[::1]:80", "[::1]:80"),
    ],
)
def test_a_program_is_named_by_its_port_or_its_address(text: str, address: str) -> None:
    assert tls_documents.program_address(text) == address


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("http", "is not a port; write its number, 80,"),
        ("HTTPS", "write its number, 443,"),
        ("0", "write a number from 1 to 65535"),
        ("65536", "write a number from 1 to 65535"),
        ("9" * 200, "write a number from 1 to 65535"),
        ("http://127.0.0.1:8000/", "is a URL; write 127.0.0.1:8000"),
        ("http://legacy", "is a URL; write legacy:80"),
        (":8000", "has no host; write 8000"),
        ("legacy", "write for example 8000 or 127.0.0.1:8000"),
        ("-1", "write for example 8000"),
        ("\N{ARABIC-INDIC DIGIT THREE}", "write for example 8000"),
        ("legacy:x", "has no valid port"),
        ("::1:8000", "[::1]:8000"),
    ],
)
def test_a_wrong_port_is_answered_with_what_to_write(text: str, remedy: str) -> None:
    with pytest.raises(errors.UsageError) as caught:
        tls_documents.program_address(text)
    assert remedy in str(caught.value)


def test_a_mistake_names_the_variable_that_it_came_by(pair: Path) -> None:
    [line] = problems(PROXY_PORT="http", CERTIFICATE_PATH=str(pair))
    assert line.startswith('PROXY_PORT: "http" is not a port; write its number, 80')


def test_an_unknown_variable_is_told_the_nearest() -> None:
    with pytest.raises(errors.UsageError) as caught:
        resolved(TLS_REDIRCT="0.0.0.0:80")
    assert str(caught.value) == '"TLS_REDIRCT": is no variable of tls; did you mean TLS_REDIRECT?'


def test_every_variable_but_two_begins_alike() -> None:
    names = [tls.CONTRACT.variable(one) or "" for one in tls.CONTRACT.parameters]
    others = [name for name in names if not name.startswith("TLS_")]
    assert others == ["PROXY_PORT", "CERTIFICATE_PATH"]
    assert "TLS_MIN_VERSION" in names


def test_what_is_missing_is_told_all_at_once() -> None:
    assert problems() == (
        "--proxy-port: is missing; write --proxy-port 8000 or set PROXY_PORT",
        "--certificate-path: is missing; write --certificate-path /etc/tls or set CERTIFICATE_PATH",
    )


def test_a_program_at_a_socket_is_reached_there(pair: Path) -> None:
    words = ("--proxy-socket", "/run/a.sock", "--proxy-protocol", "h2c")
    found = tls_documents.of_tls(resolved(*words, "--certificate-path", str(pair)))
    [program] = found.programs
    assert (program.address, program.speaks) == ("unix:/run/a.sock", "h2c")
    [line] = problems(*words, "--proxy-port", "80", "--certificate-path", str(pair))
    assert line.startswith("--proxy-port and --proxy-socket: ")


@pytest.mark.parametrize("listen", ["0.0.0.0:8000", "[::]:8000", "127.0.0.1:8000"])
def test_a_sidecar_in_front_of_itself_is_refused(pair: Path, listen: str) -> None:
    words = ("--proxy-port", "8000", "--certificate-path", str(pair))
    [line] = problems(*words, "--listen", listen)
    assert line == '--proxy-port: "127.0.0.1:8000" is where the sidecar listens itself'


def test_certificates_keep_their_names_keys_and_staples(pair: Path, tmp_path: Path) -> None:
    chain, key, staple = tmp_path / "a.pem", tmp_path / "a.key", tmp_path / "a.ocsp"
    chain.write_text(CHAIN)
    key.write_text(KEY)
    staple.write_bytes(b"\x30")
    words = (
        *("--certificate-path", f"shop={chain}", "--key-path", f"shop={key}"),
        *("--staple", f"shop={staple}"),
    )
    found = of_tls(made(pair, *words))
    assert found.certificates == (
        document.Certificate(name="default", path=str(pair)),
        document.Certificate(name="shop", path=str(chain), key=str(key), staple=str(staple)),
    )
    assert found.default == "default"
    assert of_tls(made(pair, *words, "--default-certificate", "shop")).default == "shop"


def test_with_names_alone_nobody_is_the_default(tmp_path: Path) -> None:
    a, b = folder(tmp_path / "a"), folder(tmp_path / "b")
    paths = ("--certificate-path", f"a={a}", "--certificate-path", f"b={b}")
    assert of_tls(tls_documents.of_tls(resolved("--proxy-port", "1", *paths))).default is None


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--key-path", "shpo=/k"), '--key-path: "shpo" is no certificate of certificate-path; '),
        (("--certificate-path", "other"), "--certificate-path: two are without a name; "),
        (("--certificate-path", "a="), '--certificate-path: "a=" is not NAME=PATH; write both'),
        (("--staple", "=x"), '--staple: "=x" is not NAME=PATH; write both'),
        (("--client-ca", "/x"), "--client-ca: has no effect while client-certificates is off; "),
        (("--client-certificates", "asked"), "--client-ca: is missing; "),
        (("--acme-domain", "a.example"), "--acme-domain: needs an authority beside it; "),
        (("--acme", "https://a.example/d"), "--acme-domain: is missing; "),
        (("--acme", "https://a.example/d"), "--acme-folder: is missing; "),
        (("--redirect-port", "443"), "--redirect-port: needs a plain listener; "),
        (("--redirect", "127.0.0.1:0", "--listen", "127.0.0.1:0"), "--redirect: listen has port 0"),
        (("--hsts", "1500ms"), "--hsts: 1.5s is not in whole seconds"),
        (("--session", "1ms"), "--session: 1ms is not in whole seconds"),
        (("--acme", "https://a.example/d", "--acme-challenge", "http-01"), "--acme-challenge: "),
        (
            ("--acme", "https://a.example/d", "--acme-contact", "a@b"),
            "--acme-contact: write mailto:",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(
    pair: Path, words: tuple[str, ...], line: str
) -> None:
    found = problems("--proxy-port", "8000", "--certificate-path", str(pair), *words)
    assert [one for one in found if one.startswith(line)] != [], found


def test_what_is_asked_of_clients_reaches_the_document(pair: Path, tmp_path: Path) -> None:
    authorities, revoked = tmp_path / "ca.pem", tmp_path / "ca.crl"
    authorities.write_text(CHAIN)
    revoked.write_text("x")
    words = (
        *("--client-certificates", "asked", "--client-ca", str(authorities)),
        *("--client-crl", str(revoked), "--client-hosts", "admin.example"),
    )
    assert of_tls(made(pair, *words)).clients == document.Clients(
        mode="asked",
        authorities=str(authorities),
        revoked=str(revoked),
        hosts=("admin.example",),
    )
    required = ("--client-certificates", "required", "--client-ca", str(authorities))
    assert of_tls(made(pair, *required)).clients == document.Clients(
        mode="required", authorities=str(authorities)
    )


def test_an_authority_needs_no_files() -> None:
    words = (
        *("--proxy-port", "8000", "--acme", "https://acme.example/directory"),
        *("--acme-domain", "a.example", "--acme-domain", "b.example"),
        *("--acme-contact", "mailto:ops@example.org", "--acme-folder", "/var/acme"),
    )
    found = of_tls(tls_documents.of_tls(resolved(*words)))
    plain = document.Acme(
        directory="https://acme.example/directory",
        domains=("a.example", "b.example"),
        contacts=("mailto:ops@example.org",),
        folder="/var/acme",
    )
    assert (found.certificates, found.acme) == ((), plain)
    more = ("--acme-challenge", "http-01", "--redirect", "0.0.0.0:80")
    acme = of_tls(tls_documents.of_tls(resolved(*words, *more))).acme
    assert acme is not None
    assert acme.challenge == "http01"


def test_a_redirect_sends_to_the_listener_s_own_port_or_the_one_named(pair: Path) -> None:
    found = made(pair, "--redirect", "0.0.0.0:8080", "--proxy-from", "10.0.0.0/8")
    _, plain = found.listeners
    assert (plain.name, plain.address, plain.tls) == ("plain", "0.0.0.0:8080", None)
    assert plain.proxies == found.listeners[0].proxies == ("10.0.0.0/8",)
    assert found.redirects == (document.Redirect(name=plain.serves, port=8443),)
    found = made(pair, "--redirect", "0.0.0.0:8080", "--redirect-port", "443")
    assert found.redirects[0].port == 443


def test_the_rest_reaches_the_document(pair: Path) -> None:
    found = made(
        pair,
        *("--hsts", "8760h", "--trusted", "10.0.0.0/8", "--tls-min-version", "1.3"),
        *("--session", "0", "--ready-expiry", "24h", "--handshake-timeout", "1500ms"),
        *("--status", "127.0.0.1:0", "--connections-max", "9"),
    )
    tls_ = of_tls(found)
    assert found.programs[0].hsts_s == 31_536_000
    assert found.listeners[0].inner == ("10.0.0.0/8",)
    assert (tls_.version_min, tls_.session_s, tls_.ready_expiry_s) == ("1.3", 0, 86_400)
    assert tls_.handshake_timeout_ms == 1500
    assert found.status == document.Status(address="127.0.0.1:0")
    assert found.limits.connections_max == 9


def test_files_that_cannot_be_right_are_told_with_the_nearest_name(
    pair: Path, tmp_path: Path
) -> None:
    def told(path: Path, *more: str) -> str:
        [line] = problems("--proxy-port", "8000", "--certificate-path", str(path), *more)
        return line.removeprefix("--certificate-path: ")

    assert told(tmp_path / "tsl") == f'"{tmp_path}/tsl" does not exist; did you mean {pair}?'
    assert "does not exist; check the name" in told(tmp_path / "nothing-like-it")
    (tmp_path / "empty").mkdir()
    assert "holds no tls.crt and no tls.key; " in told(tmp_path / "empty")
    (tmp_path / "certbot").mkdir()
    for name in ("fullchain.pem", "privkey.pem"):
        (tmp_path / "certbot" / name).write_text("x")
    assert f"--key-path {tmp_path}/certbot/privkey.pem" in told(tmp_path / "certbot")
    alone = tmp_path / "alone.pem"
    alone.write_text(CHAIN)
    assert told(alone) == f'"{alone}" holds no key; name the key\'s file by --key-path'
    alone.write_text(KEY)
    assert "holds no certificate" in told(alone)
    alone.write_text("")
    assert "is empty" in told(alone)
    alone.write_text("x" * (2**20 + 1))
    assert "is longer than" in told(alone)
    (pair / "tls.key").write_text("not yet")
    assert told(pair) == f'"{pair}/tls.key" holds no key; put one there, in PEM'
    (pair / "tls.key").write_text(KEY)
    line = told(pair, "--key-path", f"{tmp_path}/no.key")
    assert line.startswith(f'--key-path: "{tmp_path}/no.key" does not exist')


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--acme", "http://a.example/d"), '--acme: "http://a.example/d" does not start with'),
        (("--acme-domain", "A.example"), '--acme-domain: "A.example" is no host\'s name'),
        (("--default-certificate", "sohp"), '--default-certificate: "sohp": no certificate'),
        (("--redirect", "0.0.0.0:8443"), "--redirect: "),
    ],
)
def test_what_the_data_plane_finds_wrong_names_the_parameter(
    pair: Path, words: tuple[str, ...], line: str
) -> None:
    given = ["--certificate-path", str(pair), *words]
    if words[0] == "--acme-domain":
        given += ["--acme", "https://a.example/d"]
    if words[0].startswith("--acme"):
        given += ["--acme-folder", "/var/acme"]
    if words[0] == "--acme":
        given += ["--acme-domain", "a.example"]
    said = resolved("--proxy-port", "8000", *given)
    content = json.dumps(tls_documents.of_tls(said).to_json()).encode()
    with pytest.raises(errors.UsageError) as caught:
        checking.check(content, said)
    assert [one for one in caught.value.problems if one.startswith(line)], caught.value.problems


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("listeners[0].address", "listen"),
        ("listeners[1].address", "redirect"),
        ("listeners[0].inner[2]", "trusted"),
        ("listeners[1].proxies[0]", "proxy_from"),
        ("listeners[0].tls.certificates[3].path", "certificate_path"),
        ("listeners[0].tls.certificates", "certificate_path"),
        ("listeners[0].tls.certificates[3].key", "key_path"),
        ("listeners[0].tls.certificates[3].staple", "staple"),
        ("listeners[0].tls.clients.revoked", "client_crl"),
        ("listeners[0].tls.acme.domains[1]", "acme_domain"),
        ("programs[0].address", "proxy_port"),
        ("programs[0].hsts_s", "hsts"),
        ("redirects[0].port", "redirect_port"),
        ("limits.head_bytes_max", "head_max"),
        ("schema", None),
    ],
)
def test_a_place_in_the_document_leads_back_to_its_parameter(
    path: str, parameter: str | None
) -> None:
    said = resolved("--proxy-port", "8000")
    assert tls_documents.parameter_of(path, said) == parameter
