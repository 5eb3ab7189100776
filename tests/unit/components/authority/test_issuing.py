"""What an authority signs is for a server, for a while, and for nobody else."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from alongside.base import errors
from alongside.components.authority import issuing

NOW_S = 1_800_000_000.0
DAY_S = 86_400
NAMES = ("shop.localhost", "*.shop.localhost", "localhost", "127.0.0.1", "::1")


@pytest.fixture(scope="module")
def authority() -> issuing.Pair:
    return issuing.authority("me@here", NOW_S)


def test_an_authority_signs_certificates_and_no_authority(authority: issuing.Pair) -> None:
    found = x509.load_pem_x509_certificate(authority.chain)
    constraints = found.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (
        True,
        True,
        0,
    )
    usage = found.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.key_cert_sign, usage.crl_sign, usage.digital_signature) == (True, True, False)
    assert "alongside development authority" in found.subject.rfc4514_string()
    told = issuing.told(authority.chain)
    assert (told.subject, told.names) == ("me@here", ())
    assert told.ends_s == NOW_S + 3650 * DAY_S
    assert issuing.problem(authority) == ""


def test_a_leaf_is_for_its_names_for_90_days(authority: issuing.Pair) -> None:
    pair = issuing.leaf(authority, NAMES, NOW_S)
    told = issuing.told(pair.chain)
    assert (told.subject, set(told.names)) == ("shop.localhost", set(NAMES))
    assert (told.begins_s, told.ends_s) == (NOW_S - 300, NOW_S + 90 * DAY_S)
    assert issuing.problem(pair, authority) == ""
    found = x509.load_pem_x509_certificate(pair.chain)
    assert found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    [use] = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert use == x509.oid.ExtendedKeyUsageOID.SERVER_AUTH
    key = found.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"


def test_no_two_have_one_key_or_one_number(authority: issuing.Pair) -> None:
    both = [issuing.leaf(authority, NAMES, NOW_S) for _ in range(2)]
    assert len({pair.key for pair in both}) == 2
    numbers = {x509.load_pem_x509_certificate(pair.chain).serial_number for pair in both}
    assert len(numbers) == 2


def test_a_leaf_does_not_outlive_its_authority(authority: issuing.Pair) -> None:
    late_s = NOW_S + 3640 * DAY_S
    assert issuing.told(issuing.leaf(authority, NAMES, late_s).chain).ends_s == (
        issuing.told(authority.chain).ends_s
    )
    with pytest.raises(errors.UsageError, match="has expired"):
        issuing.leaf(authority, NAMES, NOW_S + 3650 * DAY_S)


def test_a_first_name_too_long_for_the_subject_gives_way(authority: issuing.Pair) -> None:
    long = ".".join(["a" * 40] * 3)
    told = issuing.told(issuing.leaf(authority, (long, "localhost"), NOW_S).chain)
    assert (told.subject, told.names) == ("localhost", (long, "localhost"))
    assert issuing.told(issuing.authority("x" * 200, NOW_S).chain).subject == "x" * 64


def test_pairs_that_do_not_belong_together_are_told(authority: issuing.Pair) -> None:
    other = issuing.authority("other@here", NOW_S)
    pair = issuing.leaf(authority, NAMES, NOW_S)
    assert "is not the certificate's" in issuing.problem(issuing.Pair(pair.chain, other.key))
    assert "is another" in issuing.problem(pair, other)
    assert "cannot be read" in issuing.problem(issuing.Pair(b"x", pair.key))
    assert "cannot be read" in issuing.problem(issuing.Pair(pair.chain, b"x"))
    half = pair.chain[: len(pair.chain) // 2]
    assert "cannot be read" in issuing.problem(issuing.Pair(half, pair.key))
