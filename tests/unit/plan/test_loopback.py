"""Addresses on the loopback network are derived, and no two Services of a project share one."""

from __future__ import annotations

import ipaddress

from alongside.plan import loopback


def test_is_equal_for_equal_names_and_another_for_another_project() -> None:
    first = loopback.of_services("shop", ["web", "db"])
    assert first == loopback.of_services("shop", ["web", "db"])
    assert first["db"] == loopback.of_services("shop", ["db"])["db"]
    assert set(first.values()).isdisjoint(loopback.of_services("blog", ["web", "db"]).values())
    assert loopback.of_pod("shop", "web") == loopback.of_pod("shop", "web")
    assert loopback.of_pod("shop", "web") not in first.values()


def test_gives_thousands_each_its_own_on_the_loopback_network() -> None:
    found = loopback.of_services("shop", [f"web-{number}" for number in range(5000)])
    assert len(set(found.values())) == len(found) == 5000
    network = ipaddress.ip_network("127.64.0.0/10")
    for text in found.values():
        address = ipaddress.ip_address(text)
        assert address in network
        assert address.packed[3] not in {0, 255}


def test_leaves_an_address_that_somebody_has() -> None:
    (first,) = loopback.of_services("shop", ["web"]).values()
    (other,) = loopback.of_services("shop", ["web"], taken={first}).values()
    assert other != first
