"""An authority of a test: Pebble, which refuses every other nonce, and names that lead to loopback.

In:    a folder; the ports where it finds what has to answer its challenges.
Out:   its directory, what its certificates come from, and its death and return.
Not:   the tests; a machine without Go skips them.
Next:  test_acme.py.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from tests import ports
from tests.e2e import sidecar

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "alongside-tests"
MODULE = "github.com/letsencrypt/pebble/v2/cmd"
VERSION = "v2.10.3"
FETCH_S = 600.0
WAIT_S = 30.0
TRIES = 50
GONE = {"status": "deactivated"}


def coded(data: bytes) -> str:
    """Return base64 as signatures of the web have it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def plain(text: str) -> bytes:
    """Return what was coded."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def program(name: str) -> str:
    """Return a program of Pebble; it is built once, by whoever has Go."""
    folder = CACHE / f"pebble-{VERSION}"
    if not (folder / name).exists():
        go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
        if go is None:
            pytest.skip("waits for go: Pebble is built with it")
        subprocess.run(
            [go, "install", f"{MODULE}/{name}@{VERSION}"],
            env={**os.environ, "GOBIN": str(folder)},
            check=True,
            timeout=FETCH_S,
        )
    return str(folder / name)


@dataclass(slots=True)
class Pebble:
    """An authority; it forgets everything when it dies."""

    folder: Path
    validity_s: int
    authority: sidecar.Authority
    ports: list[int] = field(default_factory=lambda: ports.free_ports(6))
    process: subprocess.Popen[bytes] | None = None

    @property
    def tls_port(self) -> int:
        """Where it asks by TLS-ALPN-01."""
        return self.ports[0]

    @property
    def http_port(self) -> int:
        """Where it asks by HTTP-01."""
        return self.ports[1]

    def flags(self, *domains: str) -> list[str]:
        """Return the sidecar's parameters for a certificate from here."""
        return [
            f"--acme=https://127.0.0.1:{self.ports[2]}/dir",
            f"--acme-ca={self.authority.store.certificate}",
            f"--acme-folder={self.folder / 'kept'}",
            *(f"--acme-domain={domain}" for domain in domains),
        ]

    def begin(self) -> None:
        """Start it, and wait until it answers."""
        made = self.authority.made("pebble", "127.0.0.1", "localhost")
        profile = {"description": "short", "validityPeriod": self.validity_s}
        config = {
            "listenAddress": f"127.0.0.1:{self.ports[2]}",
            "managementListenAddress": f"127.0.0.1:{self.ports[3]}",
            "certificate": str(made / "tls.crt"),
            "privateKey": str(made / "tls.key"),
            "httpPort": self.http_port,
            "tlsPort": self.tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
            "retryAfter": {"authz": 1, "order": 1},
            "keyAlgorithm": "ecdsa",
            "profiles": {"default": profile},
        }
        path = self.folder / "pebble.json"
        path.write_text(json.dumps({"pebble": config}))
        errors = {
            "PEBBLE_VA_NOSLEEP": "1",
            "PEBBLE_WFE_NONCEREJECT": "50",
            "PEBBLE_AUTHZREUSE": "0",
        }
        with (self.folder / "pebble.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    program("pebble"),
                    "-strict",
                    f"-config={path}",
                    f"-dnsserver=127.0.0.1:{self.ports[4]}",
                ],
                env={**os.environ, **errors},
                stdout=log,
                stderr=log,
            )
        sidecar.until(self._root, "Pebble answers")

    def end(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(WAIT_S)
        self.process = None

    def _root(self) -> str | None:
        url = f"https://127.0.0.1:{self.ports[3]}/roots/0"
        try:
            with urllib.request.urlopen(url, context=self.authority.client(), timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            return None

    def client(self) -> ssl.SSLContext:
        """Return what believes its certificates alone."""
        context = ssl.create_default_context(cadata=self._root())
        # Pebble's certificates are as an authority's are, but for what this flag asks beyond them.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context

    def deactivate(self) -> None:
        """End the sidecar's account, as somebody does who has its key."""
        kept = json.loads((self.folder / "kept" / "account.json").read_text())["credentials"]
        key = serialization.load_der_private_key(plain(kept["key_pkcs8"]), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        with httpx2.Client(verify=self.authority.client()) as client:
            directory = client.get(kept["directory"]).json()
            for _ in range(TRIES):
                nonce = client.head(directory["newNonce"]).headers["replay-nonce"]
                head = {"alg": "ES256", "kid": kept["id"], "nonce": nonce, "url": kept["id"]}
                head_64, body_64 = (coded(json.dumps(it).encode()) for it in (head, GONE))
                signature = key.sign(f"{head_64}.{body_64}".encode(), ec.ECDSA(hashes.SHA256()))
                numbers = utils.decode_dss_signature(signature)
                signed = b"".join(number.to_bytes(32, "big") for number in numbers)
                content = {"protected": head_64, "payload": body_64, "signature": coded(signed)}
                kind = {"content-type": "application/jose+json"}
                if client.post(kept["id"], json=content, headers=kind).status_code == 200:
                    return
        pytest.fail("the account is not deactivated")

    def resolve(self, host: str, address: str) -> None:
        """Let a name lead elsewhere than to 127.0.0.1."""
        for call in ("clear-a", "add-a"):
            url = f"http://127.0.0.1:{self.ports[5]}/{call}"
            data = json.dumps({"host": host, "addresses": [address]}).encode()
            with urllib.request.urlopen(url, data=data, timeout=5):
                pass


@contextlib.contextmanager
def running(folder: Path, validity_s: int) -> Iterator[Pebble]:
    """Yield an authority whose certificates are short-lived; end its processes by their ids."""
    pebble = Pebble(folder, validity_s, sidecar.Authority(folder / "authority"))
    with (folder / "names.log").open("wb") as log:
        names = subprocess.Popen(
            [
                program("pebble-challtestsrv"),
                f"-dnsserver=127.0.0.1:{pebble.ports[4]}",
                f"-management=127.0.0.1:{pebble.ports[5]}",
                "-defaultIPv4=127.0.0.1",
                "-defaultIPv6=",
                *("-http01=", "-https01=", "-tlsalpn01=", "-doh="),
            ],
            stdout=log,
            stderr=log,
        )
    try:
        pebble.begin()
        yield pebble
    finally:
        pebble.end()
        names.terminate()
        names.wait(WAIT_S)
