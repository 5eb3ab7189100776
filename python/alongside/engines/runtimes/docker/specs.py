"""Say, in an engine's words, what containers are made from: pure functions of a plan's values."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from alongside.engines.pods import dns
from alongside.plan import variables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from alongside.dockerd import answers
    from alongside.engines.runtimes.docker import subpaths
    from alongside.plan import pods

IDLE = "/etc/alongside/idle.json"
"""In our image: a document that asks for nothing, which is how a sandbox stays and costs little."""
USER = "65532:65532"
"""Nobody's on any usual system, as in our published images."""
MEMORY_BYTES_MIN = 6 * 2**20
"""What engines accept as a limit."""
_PERIOD_US = 100_000
_QUOTA_US_MIN = 1_000
_LOGS = {"Type": "json-file", "Config": {"max-size": "8m", "max-file": "2"}}
"""Bounded, and of a kind that can be read; what it holds is copied as it comes."""
# A container's first process is the engine's init, which hands a signal on to the group of the
# program that it started, and reaps orphans. Otherwise a program that says nothing about SIGTERM
# would not hear it, as the first process of its process ids.
_INIT = {"TINI_KILL_PROCESS_GROUP": "1"}
_RESTRICTED: Mapping[str, object] = {"CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges"]}
_UNPRIVILEGED = {"net.ipv4.ip_unprivileged_port_start": "0"}

Binding = tuple[str, int]
"""An address of this machine, and a port; 0 for any free one."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a container is put into."""

    image: str
    """Of its container, as written."""
    image_user: str
    """As the image says it."""
    sandbox: str
    """The id of the pod's sandbox; empty where the container holds its network itself."""
    binds: Sequence[Bind]
    labels: Mapping[str, str]
    links: Mapping[str, str]
    """Variables that say where Services are."""
    user: str
    """As whom our own data plane runs, where the container is that."""
    network: str = ""
    """Without a sandbox: the project's network."""
    address: str = ""
    """Without a sandbox: the pod's."""


@dataclasses.dataclass(frozen=True, slots=True)
class Bind:
    """A file or folder of this machine in a container."""

    source: Path
    target: str
    is_read_only: bool = False
    is_slave: bool = True
    """What is mounted in it later appears in the container; not where the system forbids it."""

    def mount(self) -> dict[str, object]:
        """Return it in an engine's words."""
        return {
            "Type": "bind",
            "Source": str(self.source),
            "Target": self.target,
            "ReadOnly": self.is_read_only,
            "BindOptions": {"Propagation": "rslave" if self.is_slave else "rprivate"},
        }


def sandbox(
    pod: pods.Pod,
    image: str,
    network: str,
    *,
    labels: Mapping[str, str],
    bindings: Mapping[int, Sequence[Binding]],
    address: str = "",
) -> answers.Json:
    """Return what a pod's sandbox is made from: our binary, idle, that holds what is shared.

    Without an address the engine gives one.
    """
    host: dict[str, object] = {
        "NetworkMode": "host" if pod.uses_host_network else network,
        "IpcMode": "shareable",
        **_small(bindings),
    }
    made: dict[str, object] = {**_ours(image, labels, bindings), "Cmd": ["--document", IDLE]}
    if pod.uses_host_network:
        return {**made, "HostConfig": host}
    host["Sysctls"] = _UNPRIVILEGED
    return {**made, "HostConfig": host, **_standing(pod, network, address)}


def is_alone(pod: pods.Pod) -> bool:
    """Return whether a pod is one container that shares nothing with others."""
    return len(pod.containers) == 1 and not (pod.shares_pids or pod.uses_host_network)


def balancer(
    name: str,
    image: str,
    network: str,
    *,
    labels: Mapping[str, str],
    bindings: Mapping[int, Sequence[Binding]],
    folder: Bind,
) -> answers.Json:
    """Return what a Service's balancer is made from: our binary and the folder of its document."""
    return {
        **_ours(image, labels, bindings),
        "Cmd": ["--document", f"{folder.target}/document.json"],
        "HostConfig": {
            "NetworkMode": network,
            "Sysctls": _UNPRIVILEGED,
            "Mounts": [folder.mount()],
            "LogConfig": _LOGS,
            **_small(bindings),
        },
        "NetworkingConfig": _joined(network, dns.of_service(name)),
    }


def told(one: pods.Container) -> dict[str, str]:
    """Return the variables that say where a container's volumes are: at their mounts' paths."""
    return {variables.of_volume(mount.volume): mount.path for mount in reversed(one.mounts)}


def container(one: pods.Container, pod: pods.Pod, around: Surroundings) -> answers.Json:
    """Return what a container of a pod is made from; its variables are filled in already."""
    environment = {} if pod.shares_pids else dict(_INIT)
    environment |= {**around.links, **told(one)}
    environment |= {variable.name: variable.value for variable in one.variables}
    made: dict[str, object] = {
        "Image": around.image,
        "Labels": dict(around.labels),
        "Env": [f"{name}={value}" for name, value in environment.items()],
        "User": around.user if one.is_ours else _user(one, around.image_user),
        "Tty": one.is_terminal,
        "HostConfig": _host(one, pod, around),
    }
    # Kubernetes' `command` is Docker's entry point and its `args` Docker's command; an entry
    # point that is given makes the engine forget the image's command too.
    if one.command:
        made["Entrypoint"] = list(one.command)
    if one.args:
        made["Cmd"] = list(one.args)
    if one.directory:
        made["WorkingDir"] = one.directory
    if not around.sandbox:
        made |= _standing(pod, around.network, around.address)
    return made


def binds(
    one: pods.Container,
    volumes: Mapping[str, Path],
    is_slave: Mapping[str, bool],
    held: subpaths.Held,
) -> list[Bind]:
    """Return what of its pod's volumes a container sees.

    Args:
        one: the container.
        volumes: the folder or file of each volume.
        is_slave: of each volume, whether what is mounted in it later can appear.
        held: the parts of volumes that it mounts.
    """
    return [
        Bind(
            held.path(mount, volumes[mount.volume]),
            mount.path,
            mount.is_read_only,
            is_slave.get(mount.volume, False),
        )
        for mount in one.mounts
    ]


def ports(pod: pods.Pod) -> tuple[int, ...]:
    """Return the ports of a pod that somebody outside may want to look at, sorted."""
    found: set[int] = set()
    for one in pod.containers:
        found.update(port.number for port in one.ports)
        hooks = (one.post_start, one.pre_stop)
        looks = (one.startup, one.readiness, one.liveness, *(hook.get for hook in hooks if hook))
        found.update(look.port for look in looks if look is not None and not look.host)
    return tuple(sorted(found - {0}))


def _user(one: pods.Container, image_user: str) -> str:
    if one.user is None and one.group is None:
        return ""
    user = image_user.partition(":")[0] or "0" if one.user is None else str(one.user)
    return user if one.group is None else f"{user}:{one.group}"


def _host(one: pods.Container, pod: pods.Pod, around: Surroundings) -> dict[str, object]:
    joined = f"container:{around.sandbox}"
    shared: dict[str, object] = {"NetworkMode": around.network, "Sysctls": _UNPRIVILEGED}
    if around.sandbox:
        shared = {"NetworkMode": joined, "IpcMode": joined}
    host: dict[str, object] = {
        **shared,
        # In process ids that are shared the sandbox's init reaps.
        **({"PidMode": joined} if pod.shares_pids else {"Init": True}),
        "Mounts": [bind.mount() for bind in around.binds],
        "ReadonlyRootfs": one.is_read_only,
        "CapAdd": list(one.added_capabilities),
        "LogConfig": _LOGS,
    }
    if one.is_ours:
        host |= _RESTRICTED
    if one.memory_bytes is not None:
        # Without this an engine lets as much again be swapped.
        host["Memory"] = host["MemorySwap"] = one.memory_bytes
    if one.cpu_millis is not None:
        # Not NanoCpus: of these an engine refuses more than the machine has.
        host["CpuPeriod"] = _PERIOD_US
        host["CpuQuota"] = max(_QUOTA_US_MIN, one.cpu_millis * _PERIOD_US // 1000)
    return host


def _ours(
    image: str, labels: Mapping[str, str], bindings: Mapping[int, Sequence[Binding]]
) -> dict[str, object]:
    return {
        "Image": image,
        "User": USER,
        "Labels": dict(labels),
        "ExposedPorts": {f"{port}/tcp": {} for port in bindings},
    }


def _small(bindings: Mapping[int, Sequence[Binding]]) -> dict[str, object]:
    """Return what of ours is allowed: as little as possible."""
    return {
        "Init": True,
        "ReadonlyRootfs": True,
        **_RESTRICTED,
        "PortBindings": {
            f"{port}/tcp": [{"HostIp": host, "HostPort": str(number or "")} for host, number in on]
            for port, on in bindings.items()
        },
    }


def _standing(pod: pods.Pod, network: str, address: str) -> dict[str, object]:
    """Return what the container is called that holds a pod's network."""
    called = (*dns.of_pod(pod), *(dns.of_service(pod.subdomain) if pod.subdomain else ()))
    return {
        "Hostname": dns.hostname(pod),
        "NetworkingConfig": _joined(network, called, address),
    }


def _joined(network: str, aliases: Iterable[str], address: str = "") -> dict[str, object]:
    joined: dict[str, object] = {"Aliases": list(aliases)}
    if address:
        joined["IPAMConfig"] = {"IPv4Address": address}
    return {"EndpointsConfig": {network: joined}}
