"""Make certificates and say what is in them; nothing else knows X.509."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid

from alongside.base import errors
from alongside.components.authority import names as names_

if TYPE_CHECKING:
    from collections.abc import Sequence

AUTHORITY_DAYS = 3650
LEAF_DAYS = 90
SKEW = datetime.timedelta(minutes=5)
"""How much earlier certificates begin, for clocks that go after ours."""
COMMON_NAME_MAX = 64


class Pair(NamedTuple):
    """A certificate's chain and its key, both in PEM."""

    chain: bytes
    key: bytes


class Told(NamedTuple):
    """What a certificate says."""

    subject: str
    names: tuple[str, ...]
    begins_s: float
    ends_s: float
    """Both in seconds since 1970."""
    fingerprint: str
    """The SHA-256 of the whole, in hexadecimal."""


def authority(name: str, now_s: float) -> Pair:
    """Return an authority of its own, for ten years, which may sign no other authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(oid.NameOID.ORGANIZATION_NAME, "alongside development authority"),
            x509.NameAttribute(oid.NameOID.COMMON_NAME, name[:COMMON_NAME_MAX]),
        ]
    )
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        _begun(subject, key, now_s, AUTHORITY_DAYS)
        .issuer_name(subject)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(own, critical=False)
    )
    return Pair(_pem(builder.sign(key, hashes.SHA256())), _pem_of_key(key))


def leaf(issuer: Pair, names: Sequence[str], now_s: float) -> Pair:
    """Return a certificate for a server of these names, for 90 days or as long as its issuer has.

    Raises:
        errors.UsageError: the issuer cannot be read, or has expired.
    """
    parent = _certificate(issuer.chain)
    signer = _key(issuer.key)
    if told(issuer.chain).ends_s <= now_s:
        raise errors.UsageError("the authority has expired")
    key = ec.generate_private_key(ec.SECP256R1())
    common = next((name for name in names if len(name) <= COMMON_NAME_MAX), "alongside")
    subject = x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, common)])
    known = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    server = x509.ExtendedKeyUsage([oid.ExtendedKeyUsageOID.SERVER_AUTH])
    builder = (
        _begun(subject, key, now_s, LEAF_DAYS, at_most=parent.not_valid_after_utc)
        .issuer_name(parent.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(server, critical=False)
        .add_extension(
            x509.SubjectAlternativeName([_general(one) for one in names]), critical=False
        )
        .add_extension(own, critical=False)
        .add_extension(known, critical=False)
    )
    return Pair(_pem(builder.sign(signer, hashes.SHA256())), _pem_of_key(key))


def told(chain: bytes) -> Told:
    """Return what the first certificate of a chain says.

    Raises:
        errors.UsageError: it cannot be read.
    """
    found = _certificate(chain)
    try:
        extension = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        hosts = extension.value.get_values_for_type(x509.DNSName)
        addresses = extension.value.get_values_for_type(x509.IPAddress)
        named = (*hosts, *(str(one) for one in addresses))
    except (x509.ExtensionNotFound, ValueError):
        named = ()
    commons = found.subject.get_attributes_for_oid(oid.NameOID.COMMON_NAME)
    return Told(
        subject=str(commons[0].value) if commons else "",
        names=named,
        begins_s=found.not_valid_before_utc.timestamp(),
        ends_s=found.not_valid_after_utc.timestamp(),
        fingerprint=found.fingerprint(hashes.SHA256()).hex(),
    )


def problem(pair: Pair, issuer: Pair | None = None) -> str:
    """Return what is wrong with a pair, such as another issuer; empty where nothing is."""
    try:
        certificate, key = _certificate(pair.chain), _key(pair.key)
    except errors.UsageError as error:
        return str(error)
    if _point(certificate.public_key()) != _point(key.public_key()):
        return "the key is not the certificate's"
    if issuer is not None:
        try:
            certificate.verify_directly_issued_by(_certificate(issuer.chain))
        except Exception:  # whatever it is, it was not signed by it
            return "the authority that signed it is another"
    return ""


def _begun(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now_s: float,
    days: int,
    *,
    at_most: datetime.datetime | None = None,
) -> x509.CertificateBuilder:
    now = datetime.datetime.fromtimestamp(now_s, datetime.UTC).replace(microsecond=0)
    end = now + datetime.timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(min(end, at_most) if at_most else end)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    found = names_.address(name)
    return x509.DNSName(name) if found is None else x509.IPAddress(found)


def _certificate(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificates(pem)[0]
    except (ValueError, IndexError) as error:
        raise errors.UsageError("the certificate cannot be read") from error


def _key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        found = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise errors.UsageError("the key cannot be read") from error
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise errors.UsageError("the key is of another kind than ours are")
    return found


def _point(key: object) -> bytes:
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return b""
    kind = serialization.PublicFormat.UncompressedPoint
    return key.public_bytes(serialization.Encoding.X962, kind)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _pem_of_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
