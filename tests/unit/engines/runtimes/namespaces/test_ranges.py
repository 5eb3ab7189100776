"""Which addresses a project's pods and Services get."""

from __future__ import annotations

import ipaddress

import pytest

from alongside.base import errors
from alongside.engines.runtimes.namespaces import ranges

HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"


def route(network: str) -> str:
    """Return a line of /proc/net/route, whose numbers have this machine's order of bytes."""
    found = ipaddress.IPv4Network(network)
    words = [int.from_bytes(one.packed, "little") for one in (found.network_address, found.netmask)]
    return f"eth0\t{words[0]:08X}\t00000000\t0001\t0\t0\t0\t{words[1]:08X}\t0\t0\t0\n"


def test_reads_the_networks_of_the_host_but_not_the_default_route() -> None:
    routes = HEAD + route("0.0.0.0/0") + route("10.8.0.0/16") + route("192.0.2.0/24")
    assert [str(one) for one in ranges.host_networks(routes)] == ["10.8.0.0/16", "192.0.2.0/24"]


def test_a_project_keeps_its_range_and_avoids_what_the_host_uses() -> None:
    first = ranges.choose("p", HEAD)
    assert ranges.choose("p", HEAD) == first
    other = ranges.choose("p", HEAD + route(f"10.{first.second}.7.0/24"))
    assert other.second == (first.second + 1) % 256


def test_refuses_where_the_host_uses_all() -> None:
    with pytest.raises(errors.PermanentError, match=r"all of 10\.0\.0\.0/8"):
        ranges.choose("p", HEAD + route("10.0.0.0/8"))


def test_pods_and_services_never_share_an_address() -> None:
    own = ranges.Range(7)
    of_pods = {own.pod(number) for number in range(40_000)}
    assert len(of_pods) == 127 * 256
    taken: set[str] = set()
    for number in range(200):
        taken.add(own.service(f"s{number}", taken))
    assert len(taken) == 200
    assert not taken & of_pods
    reserved = {own.bridge, own.gateway, own.resolver, "10.7.255.255"}
    assert not (taken | of_pods) & reserved
    assert own.service("s0", set()) == own.service("s0", set())
