"""What the components of a run stand in front of."""

import pytest

from alongside.engines.foreground import chain

CACHE = chain.Link("cache", "cache", ("--listen=a:1",), "a:1", "--origin=http://{address}")
SECOND = chain.Link("cache-2", "cache", ("--listen=b:2",), "b:2", "--origin=http://{address}")
OWN = chain.Link("cache", "cache", ("--origin=http://x",), "c:3", "")
TLS = chain.Link("tls", "tls", (), "d:4", "--proxy-port={address}", "https")


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        ([], ()),
        ([TLS], ("program",)),
        ([CACHE, TLS], ("program", "a:1")),
        ([CACHE, SECOND, TLS], ("program", "a:1", "b:2")),
        ([OWN, TLS], ("", "c:3")),
        ([CACHE, OWN], ("program", "")),
    ],
)
def test_each_stands_in_front_of_the_one_before(
    links: list[chain.Link], expected: tuple[str, ...]
) -> None:
    assert chain.behind(links, "program") == expected


def test_the_program_is_waited_for_where_the_first_asks_for_it() -> None:
    assert not chain.waits([])
    assert chain.waits([CACHE, OWN])
    assert not chain.waits([OWN, TLS])


def test_a_component_is_told_in_its_own_words() -> None:
    assert CACHE.argv("p:9") == ("--listen=a:1", "--origin=http://p:9")
    assert TLS.argv("p:9") == ("--proxy-port=p:9",)
    assert OWN.argv("") == ("--origin=http://x",)


@pytest.mark.parametrize(
    ("links", "ready", "expected"),
    [
        ([CACHE, TLS], (True, True), (True, True)),
        ([CACHE, TLS], (False, True), (False, False)),
        ([CACHE, TLS], (True, False), (True, False)),
        ([CACHE, OWN], (False, True), (False, True)),
    ],
)
def test_one_can_be_used_when_all_behind_it_can(
    links: list[chain.Link], ready: tuple[bool, ...], expected: tuple[bool, ...]
) -> None:
    assert chain.reached(links, ready) == expected
