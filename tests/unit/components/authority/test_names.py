"""Names of certificates are hosts and addresses, and mistakes are told what to write."""

from __future__ import annotations

import pytest

from alongside.base import errors
from alongside.components.authority import names


def test_the_usual_names_come_last_and_none_twice() -> None:
    found = names.read(["Shop.Localhost", "*.shop.localhost", "[::1]", "localhost", "10.0.0.7"])
    wanted = ("shop.localhost", "*.shop.localhost", "::1", "localhost", "10.0.0.7", "127.0.0.1")
    assert found == wanted
    assert names.read([]) == ("localhost", "127.0.0.1", "::1")


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("", "write for example"),
        ("a b", "write for example"),
        ("a..b", "write for example"),
        ("-a", "write for example"),
        ("a" * 64, "write for example"),
        (".".join(["a" * 60] * 5), "write for example"),
        ("a.*.b", "write for example"),
        ("https://shop.localhost/", 'write the host alone, "shop.localhost"'),
        ("https://shop.localhost:8443/x", 'write the host alone, "shop.localhost"'),
        ("shop.localhost:8443", 'write it without the port, "shop.localhost"'),
        ("b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.test", "xn--bcher-kva.test"),
        ("shop.localhost.", 'write it without the last dot, "shop.localhost"'),
        ("300.1.1.1", "is no address; check its numbers"),
        ("fe80::1%eth0", "has a zone; leave it out"),
        ("a\0b", "write for example"),
    ],
)
def test_what_is_no_name_is_told_what_to_write(text: str, remedy: str) -> None:
    with pytest.raises(errors.UsageError) as caught:
        names.read([text, "fine.localhost"])
    [line] = caught.value.problems
    assert remedy in line


def test_all_mistakes_are_told_at_once_and_too_many_names_too() -> None:
    with pytest.raises(errors.UsageError) as caught:
        names.read(["a b", "c d", *(f"h{at}.test" for at in range(101))])
    assert len(caught.value.problems) == 3


def test_a_certificate_is_called_like_its_first_name() -> None:
    assert names.folder_of("shop.localhost") == "shop.localhost"
    assert names.folder_of("*.shop.localhost") == "_.shop.localhost"
    assert names.folder_of("::1") == "1"
    assert names.folder_of("::") == "address"
    for name in ("shop.localhost", "*.shop.localhost", "::1", "10.0.0.7"):
        names.check_folder(names.folder_of(name))


@pytest.mark.parametrize("name", ["", "..", ".a", "a/b", "../a", "a b", "a" * 101, "-a"])
def test_a_name_that_could_lead_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(errors.UsageError, match="is no name of a certificate"):
        names.check_folder(name)
