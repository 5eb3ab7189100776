"""Pods' addresses come from a part of the network in which the engine gives none."""

import ipaddress

import pytest

from alongside.base import errors
from alongside.dockerd import answers
from alongside.engines.runtimes.docker import addresses


def network(subnet: str, gateway: str, **more: str) -> answers.Json:
    return {"IPAM": {"Config": [{"Subnet": subnet, "Gateway": gateway, **more}]}}


def test_no_pod_gets_what_the_engine_gives_or_what_another_has() -> None:
    ours = addresses.of(network("10.7.0.0/22", "10.7.0.1"))
    assert ours is not None
    engines = ipaddress.ip_network(ours.config["IPRange"])
    taken = [ours.take() for _ in range(511)]
    assert len(set(taken)) == len(taken)
    assert not any(ipaddress.ip_address(one) in engines for one in taken)
    assert ipaddress.ip_address(ours.gateway) in engines
    assert "10.7.3.255" not in taken, "it is everybody's"
    with pytest.raises(errors.TemporaryError, match="default-address-pools"):
        ours.take()


def test_an_address_that_was_given_back_comes_again_last() -> None:
    ours = addresses.Addresses(ipaddress.IPv4Network("10.7.0.0/29"), "10.7.0.1")
    first, second = ours.take(), ours.take()
    ours.give_back(first)
    ours.give_back(second)
    assert [ours.take(), ours.take(), ours.take()] == ["10.7.0.6", first, second]


def test_an_address_that_somebody_had_comes_again_when_there_is_no_other() -> None:
    ours = addresses.Addresses(ipaddress.IPv4Network("10.7.0.0/29"), "10.7.0.1")
    taken, second, third = ours.take(), ours.take(), ours.take()
    ours.set_aside(taken)
    ours.give_back(second)
    ours.give_back(third)
    assert [ours.take(), ours.take(), ours.take()] == [second, third, taken]
    with pytest.raises(errors.TemporaryError, match="are used"):
        ours.take()


@pytest.mark.parametrize(
    "told",
    [
        network("10.7.0.0/24", "10.7.0.1"),
        network("fd00::/16", "fd00::1"),
        network("10.7.0.0/16", ""),
        network("?", "10.7.0.1"),
        {"IPAM": {"Config": None}},
        {},
    ],
)
def test_a_network_that_is_small_or_odd_is_the_engines(told: answers.Json) -> None:
    assert addresses.of(told) is None


def test_a_network_is_divided_where_the_engine_says_so() -> None:
    ours = addresses.of(network("10.7.0.0/16", "10.7.0.1"))
    assert ours is not None
    assert not addresses.is_divided(network("10.7.0.0/16", "10.7.0.1"), ours)
    divided = network("10.7.0.0/16", "10.7.0.1", IPRange="10.7.0.0/17")
    assert addresses.is_divided(divided, ours)
