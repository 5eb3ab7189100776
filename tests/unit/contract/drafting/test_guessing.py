"""Names and defaults tell the kind, and what they cannot tell becomes a question."""

from __future__ import annotations

import pytest

from alongside.contract import promise
from alongside.contract.drafting import guessing

Kind = promise.Kind


@pytest.mark.parametrize(
    ("name", "default", "kind", "unit"),
    [
        ("PORT", "80", Kind.PORT, ""),
        ("HTTP_PORT_PUBLIC", "8443", Kind.PORT, ""),
        ("PORT_COUNT", "99999", Kind.INTEGER, ""),
        ("WORKERS", "4", Kind.INTEGER, ""),
        ("OFFSET", "-4", Kind.INTEGER, ""),
        ("RATIO", "0.5", Kind.NUMBER, ""),
        ("API_LEVEL", "info", Kind.TEXT, ""),
        ("VERBOSE", "false", Kind.BOOLEAN, ""),
        ("CACHE_TTL", "30s", Kind.DURATION, ""),
        ("WAIT_MS", "150", Kind.DURATION, "ms"),
        ("WAIT_SECONDS", "0", Kind.DURATION, "s"),
        ("MAX_BYTES", "1024", Kind.SIZE, "B"),
        ("MEMORY", "64Mi", Kind.SIZE, ""),
        ("MEMORY", "5m", Kind.TEXT, ""),
        ("CACHE_TTL", "5m", Kind.DURATION, ""),
        ("LISTEN", "0.0.0.0:80", Kind.ADDRESS, ""),
        ("NET", "10.0.0.0/8", Kind.CIDR, ""),
        ("ORIGIN", "http://a:80", Kind.URL, ""),
        ("ORIGIN", "http://a/path", Kind.URL, ""),
        ("DB", "postgres://u:p@h/d", Kind.TEXT, ""),
        ("DATA", "/var/lib", Kind.PATH, ""),
        ("SEARCH", "/a:/b", Kind.TEXT, ""),
        ("DATA_DIR", None, Kind.PATH, ""),
        ("GRACE_SECONDS", None, Kind.DURATION, "s"),
        ("ANYTHING", None, Kind.TEXT, ""),
    ],
)
def test_a_kind_is_guessed(name: str, default: str | None, kind: Kind, unit: str) -> None:
    found = guessing.guess(name, default)
    assert (found.kind, found.unit) == (kind, unit)


@pytest.mark.parametrize(
    ("name", "default", "choices"),
    [("DEBUG", "0", ("0", "1")), ("SAVE", "no", ("yes", "no")), ("LOG", "on", ("on", "off"))],
)
def test_switches_are_choices_in_their_own_words(
    name: str, default: str, choices: tuple[str, ...]
) -> None:
    assert guessing.guess(name, default).choices == choices


@pytest.mark.parametrize(
    ("name", "default", "question"),
    [
        ("TIMEOUT", "30", "seconds, milliseconds"),
        ("TIMEOUT", "0.5", "seconds, milliseconds"),
        ("CACHE_SIZE", "10", "bytes, mebibytes"),
        ("HEAP_MB", "512", "powers of 1000 (M) or 1024 (Mi)"),
        ("HEAP", "512m", "minutes, or mebibytes"),
        ("HEAP", "2gb", "powers of 1000 or of 1024"),
        ("KEEP", "7d", "which units"),
        ("TIMEOUT", None, "in which unit"),
    ],
)
def test_a_unit_that_nobody_wrote_is_asked_for(
    name: str, default: str | None, question: str
) -> None:
    assert question in guessing.guess(name, default).question


@pytest.mark.parametrize(
    "name", ["PASSWORD", "DB_PASS", "API_KEY", "AUTH_TOKEN", "SECRET", "awsSecretAccessKey"]
)
def test_secrets_are_known_by_their_names(name: str) -> None:
    assert guessing.guess(name, "x").is_secret


def test_a_default_with_a_password_is_secret_whatever_its_name() -> None:
    for default in ("postgres://me:hunter2@db/app", "redis://:hunter2@cache:6379"):
        assert guessing.guess("DATABASE_URL", default).is_secret
    for default in ("postgres://db/app", "http://me@db", "//a:b/c@d", "http://a:80/@b"):
        assert not guessing.guess("DATABASE_URL", default).is_secret


@pytest.mark.parametrize("name", ["DB_PWD", "GITHUB_PAT", "dbPwd"])
def test_short_words_for_secrets_are_known(name: str) -> None:
    assert guessing.guess(name, None).is_secret


@pytest.mark.parametrize("name", ["MAX_TOKENS", "TOKENS_MAX", "MAX_INPUT_TOKENS", "PWD", "OLDPWD"])
def test_a_number_of_tokens_and_a_folder_are_no_secrets(name: str) -> None:
    assert not guessing.guess(name, None).is_secret
    assert guessing.guess("MAX_TOKENS", "4096").kind is Kind.INTEGER


@pytest.mark.parametrize(
    "name", ["PASSWORD_FILE", "TOKEN_TTL", "KEY", "COMPASS", "TOKENIZER", "SECRET_NAME", "KEYSPACE"]
)
def test_what_only_sounds_like_a_secret_is_none(name: str) -> None:
    assert not guessing.guess(name, None).is_secret
