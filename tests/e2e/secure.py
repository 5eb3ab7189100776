"""Certificates, documents and clients for what is served by TLS.

In:    names; folders of the test.
Out:   authorities that nobody else trusts, pairs in files, connections of clients.
Not:   any check of what the data plane says: the tests that use it do that.
Next:  test_tls_rotation.py.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import ipaddress
import secrets
import socket
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.e2e import wire

Json = dict[str, object]
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
DAY = datetime.timedelta(days=1)
SERVER = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key, as PEM."""

    chain: bytes
    key: bytes
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        """The certificate as clients see it."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    def put(self, folder: Path) -> Path:
        """Place both in a folder, each by a rename; return the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in (("tls.crt", self.chain), ("tls.key", self.key)):
            place(folder / name, content)
        return folder

    def swap(self, folder: Path, *, lacks: str = "") -> Path:
        """Place both in a folder at one moment, as a Secret's volume does; return the folder.

        `lacks` is the file that is forgotten.
        """
        folder.mkdir(parents=True, exist_ok=True)
        inner = folder / f"..{self.certificate.serial_number}-{secrets.token_hex(4)}"
        self.put(inner)
        if lacks:
            (inner / lacks).unlink()
        link = folder / "..data_new"
        link.symlink_to(inner.name)
        link.rename(folder / "..data")
        for name in ("tls.crt", "tls.key"):
            if not (folder / name).is_symlink():
                beside = folder / f".{name}.new"
                beside.symlink_to(f"..data/{name}")
                beside.rename(folder / name)
        return folder


def place(path: Path, content: bytes) -> None:
    """Write a file and rename it to where it belongs."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(content)
    beside.rename(path)


def pem(key: Key) -> bytes:
    """Return a key as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def title(common: str) -> x509.Name:
    """Return a name of one part."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


class Authority:
    """One that the test alone trusts."""

    def __init__(self, folder: Path, name: str = "tests") -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = title(f"authority of {name}")
        self._key_id = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder(self._name, self._name, self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + 30 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(self._key_id, critical=False)
            .add_extension(usage(signs=True), critical=True)
        )
        self.certificate = builder.sign(self._key, hashes.SHA256())
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def pair(
        self,
        *names: str,
        use: x509.ObjectIdentifier = SERVER,
        begins: datetime.timedelta = -DAY,
        ends: datetime.timedelta = 7 * DAY,
        key: Key | None = None,
    ) -> Pair:
        """Return a certificate for names and addresses, and its key; a new one if none is given."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder(self._name, title(names[0]), key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begins)
            .not_valid_after(now + ends)
            .add_extension(x509.SubjectAlternativeName([known_as(n) for n in names]), False)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._key_id), False
            )
            .add_extension(usage(signs=False), critical=True)
        )
        certificate = builder.sign(self._key, hashes.SHA256())
        chain = certificate.public_bytes(serialization.Encoding.PEM)
        return Pair(chain, pem(key), certificate)

    def answer(
        self,
        pair: Pair,
        *,
        ends: datetime.timedelta = DAY,
        status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    ) -> bytes:
        """Return what it says of a certificate (OCSP), which is two days old, as DER."""
        now = datetime.datetime.now(datetime.UTC)
        is_revoked = status is ocsp.OCSPCertStatus.REVOKED
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=pair.certificate,
            issuer=self.certificate,
            algorithm=hashes.SHA256(),
            cert_status=status,
            this_update=now - 2 * DAY,
            next_update=now + ends,
            revocation_time=now - DAY if is_revoked else None,
            revocation_reason=None,
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, self.certificate)
        made = builder.sign(self._key, hashes.SHA256())
        return made.public_bytes(serialization.Encoding.DER)

    def revoke(self, path: Path, *pairs: Pair) -> None:
        """Write a list of what is good no more."""
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateRevocationListBuilder(self._name, now - DAY, now + DAY)
        builder = builder.add_extension(x509.CRLNumber(1), critical=False).add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(self._key_id), False
        )
        for pair in pairs:
            revoked = x509.RevokedCertificateBuilder(pair.certificate.serial_number, now - DAY)
            builder = builder.add_revoked_certificate(revoked.build())
        place(path, builder.sign(self._key, hashes.SHA256()).public_bytes(_PEM))


_PEM = serialization.Encoding.PEM


def known_as(name: str) -> x509.GeneralName:
    """Return a name or an address as certificates hold it."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def usage(*, signs: bool) -> x509.KeyUsage:
    """Return what a key may do."""
    off = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
    )
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
        **off,
    )


def document(
    program: str | Mapping[str, object],
    certificates: Mapping[str, Path],
    limits: Mapping[str, int] | None = None,
    tls: Mapping[str, object] | None = None,
    listener: Mapping[str, object] | None = None,
) -> Json:
    """Return a document of one listener with TLS, `web`, in front of one program, `legacy`."""
    known = program if isinstance(program, dict) else {"address": program}
    listed = [{"name": name, "path": str(path)} for name, path in certificates.items()]
    web = {
        "name": "web",
        "address": "127.0.0.1:0",
        "serves": "legacy",
        "tls": {"certificates": listed, **(tls or {})},
        **(listener or {}),
    }
    return {
        "schema": 1,
        "epoch": 0,
        "generation": 1,
        "limits": {"drain_timeout_ms": 2000, **(limits or {})},
        "listeners": [web],
        "programs": [{"name": "legacy", **known}],
    }


@functools.cache
def context(
    authority: Path | None,
    protocols: Sequence[str] = ("http/1.1",),
    shown: Path | None = None,
) -> ssl.SSLContext:
    """Return what a client trusts, offers and shows; with no authority it trusts everybody."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authority is None:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    else:
        made.load_verify_locations(authority)
    made.set_alpn_protocols(list(protocols))
    if shown is not None:
        made.load_cert_chain(shown / "tls.crt", shown / "tls.key")
    return made


def secure(
    address: wire.Address,
    context: ssl.SSLContext,
    host: str | None = "a.example",
    *,
    session: ssl.SSLSession | None = None,
    first: bytes = b"",
) -> ssl.SSLSocket:
    """Open a connection; `first` is sent before TLS begins.

    Raises:
        OSError: it cannot be opened, or TLS refuses it.
    """
    plain = socket.create_connection(address, timeout=wire.TIMEOUT_S)
    tls = context.wrap_socket(
        plain, server_hostname=host, session=session, do_handshake_on_connect=False
    )
    try:
        socket.socket.sendall(tls, first)
        tls.do_handshake()
    except BaseException:
        tls.close()
        raise
    return tls


class Client(wire.Wire):
    """A connection of HTTP/1.1 over TLS."""

    def __init__(
        self, address: wire.Address, context: ssl.SSLContext, host: str | None = "a.example"
    ) -> None:
        self.tls = secure(address, context, host)
        super().__init__(self.tls)

    def certificate(self) -> bytes:
        """Return what the server showed, as DER."""
        shown = self.tls.getpeercert(binary_form=True)
        assert shown
        return shown


def shown(address: wire.Address, host: str | None = "a.example") -> bytes:
    """Return the certificate that a new connection gets, as DER."""
    with Client(address, context(None), host) as client:
        return client.certificate()
