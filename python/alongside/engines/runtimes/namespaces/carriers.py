"""Know the two programs that carry what leaves the hub: when each can be used, and its words."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alongside.engines.runtimes.namespaces import hub, ranges, setting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Name = setting.WayOut
NAMES = setting.WAYS_OUT
PACKAGES: Mapping[Name, str] = {"slirp4netns": "slirp4netns", "pasta": "passt"}
TUN = "/dev/net/tun"
DEVICE = "tap0"
_MTU = 1500
_RULES = """table ip alongside {{
  chain out {{
    type nat hook postrouting priority 100;
    ip saddr {network} oifname "{device}" masquerade
  }}
}}
"""
_RESOLVER = "169.254.1.1"
"""Of pasta's: an address that leads out of the hub, and nowhere else."""


@dataclass(frozen=True, slots=True)
class Carrier:
    """How one of them is used for a network."""

    words: tuple[str, ...]
    gateway: str
    """The next hop of pods."""
    resolver: str
    """Who answers their questions for names."""
    links: str
    """Lines for `ip` in the hub, when it is ready; they fail until it is."""
    masquerade: tuple[str, ...] = ()
    """Words, to be run in the hub, that let all pods have one address on the way out."""
    rules: str = ""
    """What these read."""


def lack(name: Name, environment: Mapping[str, str], *, is_privileged: bool) -> str:
    """Return why one cannot be used, with the remedy; nothing where it can."""
    if hub.tool(name, environment) is None:
        return f"there is no {name}; apt-get install -y {PACKAGES[name]}"
    if not os.access(TUN, os.R_OK | os.W_OK):
        return f"{TUN} is not there or may not be opened; as root: modprobe tun, chmod 666 {TUN}"
    if name == "pasta" and is_privileged:
        return "pasta enters no namespaces of root's; apt-get install -y slirp4netns"
    if name == "pasta" and not any(hub.tool(one, environment) for one in ("nft", "iptables")):
        return "pasta needs nft for more than one pod; apt-get install -y nftables"
    return ""


def choose(
    wanted: Sequence[Name], environment: Mapping[str, str], *, is_privileged: bool
) -> tuple[Name | None, str]:
    """Return the first that can be used, and else why none can."""
    lacks = [(one, lack(one, environment, is_privileged=is_privileged)) for one in wanted]
    usable = next((one for one, why in lacks if not why), None)
    return usable, "" if usable or not lacks else lacks[0][1]


def of_slirp(
    environment: Mapping[str, str], range_: ranges.Range, namespaces: Mapping[str, str]
) -> Carrier:
    """Return how slirp4netns is used: a port of the bridge, with which every pod speaks.

    The host's loopback is not reached.

    Args:
        environment: whose PATH finds it.
        range_: the hub's.
        namespaces: the paths of the hub's, by kind.
    """
    words = [hub.tool("slirp4netns", environment) or "slirp4netns", f"--mtu={_MTU}"]
    words += [f"--cidr={range_.network}", "--netns-type=path", "--disable-host-loopback"]
    words += [f"--userns-path={namespaces['user']}"] if "user" in namespaces else []
    return Carrier(
        (*words, namespaces["net"], DEVICE),
        gateway=range_.gateway,
        resolver=range_.resolver,
        links=f"link set {DEVICE} master {hub.BRIDGE} up\n",
    )


def of_pasta(
    environment: Mapping[str, str],
    range_: ranges.Range,
    namespaces: Mapping[str, str],
) -> Carrier:
    """Return how pasta is used: a device of the hub's, which forwards for the pods.

    The host's loopback is not reached.

    Args:
        environment: whose PATH finds it.
        range_: the hub's.
        namespaces: the paths of the hub's, by kind.
    """
    words = [hub.tool("pasta", environment) or "pasta", "--config-net", "--foreground", "--quiet"]
    words += [f"--ns-ifname={DEVICE}", f"--dns-forward={_RESOLVER}"]
    words += ["-t", "none", "-u", "none", "-T", "none", "-U", "none"]
    words += ["--no-map-gw"]
    words += ["--userns", namespaces["user"]] if "user" in namespaces else []
    return Carrier(
        (*words, "--netns", namespaces["net"]),
        gateway=range_.bridge,
        resolver=_RESOLVER,
        links=f"link set {DEVICE} up\n",
        masquerade=_masquerading(environment, range_),
        rules=_RULES.format(network=range_.network, device=DEVICE),
    )


def _masquerading(environment: Mapping[str, str], range_: ranges.Range) -> tuple[str, ...]:
    """Return what makes the rule, by nft or, where only that is there, by iptables."""
    forward = "echo 1 > /proc/sys/net/ipv4/ip_forward && "
    if nft := hub.tool("nft", environment):
        return ("/bin/sh", "-c", forward + 'exec "$0" -f -', nft)
    iptables = hub.tool("iptables", environment) or "iptables"
    rule = f"-s {range_.network} -o {DEVICE} -j MASQUERADE"
    return ("/bin/sh", "-c", f'{forward} exec "$0" -w -t nat -A POSTROUTING {rule}', iptables)
