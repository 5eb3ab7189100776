"""What is shown for a name: a certificate that the client can check, and the authority's answer."""

from __future__ import annotations

import dataclasses
import datetime
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import ocsp
from tests.e2e import plane, secure, upstream, wire

pytestmark = pytest.mark.needs("openssl")


def says(address: wire.Address, *arguments: str, name: str | None = "a.example") -> str:
    """Return what OpenSSL's client says of a handshake."""
    named = ["-noservername"] if name is None else ["-servername", name]
    command = ["openssl", "s_client", "-connect", f"{address[0]}:{address[1]}", *named]
    done = subprocess.run(
        [*command, *arguments], input=b"", capture_output=True, timeout=30, check=False
    )
    return (done.stdout + done.stderr).decode("latin-1")


def signed_by(address: wire.Address, *arguments: str, name: str | None = "a.example") -> str:
    """Return what the certificate that was shown signed with: RSA-PSS, RSA or ECDSA."""
    text = says(address, *arguments, name=name)
    found = [line for line in text.splitlines() if line.startswith("Peer signature type:")]
    assert len(found) == 1, text
    return found[0].partition(": ")[2]


def test_of_two_kinds_of_key_a_client_is_shown_the_one_that_it_can_check(tmp_path: Path) -> None:
    authority = secure.Authority(tmp_path)
    old = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    pairs = {
        "rsa": authority.pair("a.example", "b.example", key=old),
        "curve": authority.pair("a.example", "b.example"),
    }
    folders = {name: pair.put(tmp_path / name) for name, pair in pairs.items()}
    with (
        upstream.Upstream.answering(lambda _: wire.answer(b"x")) as origin,
        plane.running(secure.document(origin.address, folders)) as process,
    ):
        for name in ("a.example", None):
            assert signed_by(process.address, name=name) == "ECDSA"
            alone = ("-sigalgs", "RSA-PSS+SHA256:RSA+SHA256")
            assert signed_by(process.address, *alone, name=name) == "RSA-PSS"
            older = ("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256")
            assert signed_by(process.address, *older, name=name).startswith("RSA")
        # Each is followed by itself.
        pairs["rsa"] = authority.pair("a.example", key=old)
        pairs["rsa"].put(folders["rsa"])
        process.told("certificate_taken")
        assert signed_by(process.address, name="b.example") == "ECDSA"
        assert "handshake failure" in says(process.address, *older, name="b.example")
        assert signed_by(process.address, *older).startswith("RSA")


Answer = Callable[[secure.Authority, secure.Pair], bytes]
LEFT_OUT: dict[str, tuple[Answer, str]] = {
    "over": (
        lambda authority, pair: authority.answer(pair, ends=-datetime.timedelta(seconds=1)),
        "was good until",
    ),
    "revoked": (
        lambda authority, pair: authority.answer(pair, status=ocsp.OCSPCertStatus.REVOKED),
        "says that the certificate is revoked",
    ),
    "of another certificate": (
        lambda authority, _: authority.answer(authority.pair("b.example")),
        "no OCSP answer for this certificate",
    ),
    "of somebody else": (
        lambda authority, pair: secure.Authority(authority.folder, "other").answer(pair),
        "authority did not sign",
    ),
    "broken": (lambda *_: b"\x30\x03\x0a\x01\x06", "is no OCSP answer"),
}


def test_an_answer_of_the_authority_is_stapled_while_it_is_good(tmp_path: Path) -> None:
    authority = secure.Authority(tmp_path)
    pair = authority.pair("a.example")
    whole = dataclasses.replace(pair, chain=pair.chain + authority.path.read_bytes())
    staple = tmp_path / "ocsp"
    certificate = {"name": "a", "path": str(whole.put(tmp_path / "a")), "staple": str(staple)}
    # One that is over does not keep a process from starting.
    secure.place(staple, LEFT_OUT["over"][0](authority, pair))
    with upstream.Upstream.answering(lambda _: wire.answer(b"x")) as origin:
        contents = secure.document(origin.address, {}, tls={"certificates": [certificate]})
        with plane.running(contents) as process:
            told = 1
            assert len(process.told("staple_left_out")) == told
            for name, (answer, reason) in LEFT_OUT.items():
                secure.place(staple, authority.answer(pair))
                wire.eventually(
                    lambda: "Cert Status: good" in says(process.address, "-status"), "it is shown"
                )
                secure.place(staple, answer(authority, pair))
                told += 1
                assert reason in str(process.told("staple_left_out", told)[-1]["reason"]), name
                assert "OCSP response: no response sent" in says(process.address, "-status")
            stale = process.metric("alongside_tls_certificate_stale", certificate="a")
            assert stale == 0
