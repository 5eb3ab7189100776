"""What others say of our TLS and our HTTP/2: suites that know nothing of us."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e import plane, secure, upstream, wire

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "alongside-tests"
H2SPEC = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible"
# Each with its reason: they come from an authority that nobody knows, not from the server.
ACCEPTED = {
    "cert_chain_of_trust": "nobody else trusts the authority of a test",
    "cert_revocation": "it publishes no list of what it revoked",
    "DNS_CAArecord": "the host has no record, as it is in no zone",
}
SEVERE = {"MEDIUM", "HIGH", "CRITICAL", "FATAL"}
# What a program says of its pages is its own matter; this one says what it should.
SAID = ("X-Frame-Options: DENY", "X-Content-Type-Options: nosniff")


@contextlib.contextmanager
def served(tmp_path: Path) -> Iterator[tuple[str, int]]:
    pair = secure.Authority(tmp_path).pair("localhost", "127.0.0.1", ends=90 * secure.DAY)
    folder = pair.put(tmp_path / "tls")

    def answer(_: wire.Message) -> bytes:
        return wire.answer(b"x", *SAID)

    with upstream.Upstream.answering(answer) as origin:
        program = {"address": origin.address, "hsts_s": 31_536_000}
        with plane.running(secure.document(program, {"default": folder})) as process:
            yield process.address


@pytest.fixture(scope="session")
def h2spec() -> Path:
    """Return the suite's program, which is built once and kept."""
    program = CACHE / "bin" / "h2spec"
    if program.is_file():
        return program
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        pytest.skip("waits for go, which builds the suite")
    environment = {**os.environ, "GOBIN": str(program.parent), "GOFLAGS": "-modcacherw"}
    command = [go, "install", H2SPEC]
    built = subprocess.run(command, env=environment, capture_output=True, timeout=600, check=False)
    if built.returncode != 0:
        pytest.skip(f"waits for the suite's modules: {built.stderr.decode()[-300:]}")
    return program


@pytest.mark.timeout(700)
def test_an_independent_suite_of_http2_finds_nothing(h2spec: Path, tmp_path: Path) -> None:
    with served(tmp_path) as (host, port):
        command = [str(h2spec), "-t", "-k", "-S", "-o", "5", "-h", host, "-p", str(port)]
        done = subprocess.run(command, capture_output=True, timeout=300, check=False)
    text = done.stdout.decode()
    counted = re.search(r"(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed", text)
    assert counted, text[-2000:]
    assert int(counted[2]) >= 145
    assert int(counted[4]) == 0, text[-4000:]


def findings(tmp_path: Path, *checks: str) -> dict[str, tuple[str, str]]:
    """Return what testssl finds, by its id."""
    out = tmp_path / "found.json"
    with served(tmp_path) as (host, port):
        command = [
            *("testssl", "--quiet", "--warnings", "off", "--color", "0", "--nodns", "none"),
            *("--jsonfile", str(out), *checks, f"{host}:{port}"),
        ]
        done = subprocess.run(command, capture_output=True, timeout=900, check=False)
    assert out.exists(), done.stderr.decode()
    return {row["id"]: (row["severity"], row["finding"]) for row in json.loads(out.read_text())}


def severe(found: dict[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Return what is severe and not accepted."""
    return {key: row for key, row in found.items() if row[0] in SEVERE and key not in ACCEPTED}


@pytest.mark.needs("testssl")
def test_testssl_finds_nothing_in_versions_and_ciphers(tmp_path: Path) -> None:
    found = findings(tmp_path, "--protocols", "--std", "--headers")
    assert found["TLS1_3"][0] == "OK"
    assert found["TLS1"][0] in {"INFO", "OK"}
    assert severe(found) == {}


@pytest.mark.soak
@pytest.mark.timeout(1000)
@pytest.mark.needs("testssl")
def test_testssl_finds_nothing_at_all(tmp_path: Path) -> None:
    found = findings(tmp_path)
    assert len(found) > 50
    assert severe(found) == {}
