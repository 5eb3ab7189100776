"""Hold what a pod is: containers that start, live and are placed together, and their volumes.

Everything a user may write in several ways is one value here: variables are resolved, workloads
are pods, names of ports are numbers. An engine needs no resource to run it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["init", "sidecar", "main"]
"""`init` runs to its end before the next; `sidecar` is an init container that stays."""
Restart = Literal["always", "on-failure", "never"]
VolumeKind = Literal["empty", "memory", "host", "files"]


@dataclass(frozen=True, slots=True)
class File:
    """A file of a volume, with its content."""

    path: str
    """Relative, without `..`; the volume's key unless `items` gave another one."""
    content: bytes = field(repr=False)
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Volume:
    """A folder that the containers of a pod share."""

    name: str
    kind: VolumeKind
    path: str = ""
    """Of `host`: absolute, on this machine."""
    host_type: str = ""
    """Of `host`, as Kubernetes writes it: "", Directory, DirectoryOrCreate, File, Socket, ..."""
    size_bytes: int | None = None
    """Of `empty` and `memory`: its limit."""
    sources: tuple[str, ...] = ()
    """Of `files`: what they come from, as `ConfigMap/NAME`; equal ones need no restart."""
    files: tuple[File, ...] = field(compare=False, default=())
    """Of `files`: what is published now; another content is published live."""
    is_secret: bool = False


@dataclass(frozen=True, slots=True)
class Mount:
    """Where a container sees a volume."""

    volume: str
    path: str
    """Absolute, in the container."""
    sub_path: str = ""
    is_read_only: bool = False


@dataclass(frozen=True, slots=True)
class Port:
    """A port on which a container says that it listens."""

    number: int
    name: str = ""
    host_port: int | None = None
    host_ip: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """A probe of a container, as Kubernetes has it; times in seconds."""

    way: Literal["http", "tcp", "exec", "grpc", "admin"]
    """The last one asks a data plane at its admin socket."""
    port: int = 0
    """0 for exec and admin."""
    host: str = ""
    """Empty for the pod's own address."""
    path: str = "/"
    """Of admin: of the socket, as this machine sees it."""
    scheme: Literal["HTTP", "HTTPS"] = "HTTP"
    headers: tuple[tuple[str, str], ...] = ()
    service: str = ""
    """Of grpc."""
    command: tuple[str, ...] = ()
    delay_s: float = 0.0
    period_s: float = 10.0
    timeout_s: float = 1.0
    successes: int = 1
    failures: int = 3
    grace_s: float | None = None
    """Of liveness and startup: between SIGTERM and SIGKILL where they fail; None is the pod's."""


@dataclass(frozen=True, slots=True)
class Hook:
    """What is done right after a container's start, or before its end; one of the three."""

    command: tuple[str, ...] = ()
    get: Look | None = None
    """A GET of the pod."""
    sleep_s: float | None = None


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable: what it is now, and what the user wrote."""

    name: str
    value: str = field(compare=False, repr=False)
    """As at the container's start: a ConfigMap that changes restarts nothing, as in Kubernetes."""
    written: str = ""
    """The value itself, or where it comes from: `ConfigMap/NAME.KEY`, `field:status.podIP`."""


@dataclass(frozen=True, slots=True)
class Container:
    """One program of a pod.

    Two are equal where the user wrote the same of them: what that stands for, as when a ConfigMap
    changed, is what the container has from its next start on, and restarts nothing.
    """

    name: str
    kind: Kind = "main"
    image: str = ""
    command: tuple[str, ...] = field(default=(), compare=False)
    """Replaces the image's entry point; both empty where the image says what runs."""
    args: tuple[str, ...] = field(default=(), compare=False)
    variables: tuple[Variable, ...] = field(default=(), compare=False)
    """In order; `$(NAME)` is resolved. `field:status.podIP` has the value "" until a pod's
    address is known: the engine fills it in, and in `command`, `args` and variables that
    name it (`plan.variables.filled`)."""
    late: tuple[str, ...] = field(default=(), compare=False)
    """Variables that are known only at the start: the pod's address, Services' links, folders of
    volumes. `$(NAME)` of them still stands in `command`, `args` and variables, and there `$$` is
    a `$`."""
    stand_in: tuple[str, ...] = ()
    """What runs in place of the image's entry point where there are no images: of the
    annotation `alongside.dev/command.NAME`."""
    directory: str = ""
    """Where it starts: absolute, or empty for the image's or, without images, the file's."""
    mounts: tuple[Mount, ...] = field(default=(), compare=False)
    ports: tuple[Port, ...] = ()
    startup: Look | None = None
    readiness: Look | None = None
    liveness: Look | None = None
    post_start: Hook | None = None
    pre_stop: Hook | None = None
    restart: Restart = "always"
    """The pod's, or the container's own; a sidecar's is always `always`."""
    cpu_millis: int | None = None
    """Limit, thousandths of a CPU."""
    memory_bytes: int | None = None
    """Limit."""
    is_read_only: bool = False
    """Its root."""
    user: int | None = None
    group: int | None = None
    added_capabilities: tuple[str, ...] = ()
    is_terminal: bool = False
    pull: Literal["never", "missing", "always"] = "never"
    """Of imagePullPolicy, where it is written: whether the image may be fetched from a registry."""
    is_ours: bool = False
    """Our data plane, told what to do by a document; whichever image has it."""
    written: str = field(default="", repr=False)
    """What the user wrote of command, arguments, variables and mounts: by it they are compared."""


@dataclass(frozen=True, slots=True)
class Pod:
    """Containers placed together: started as one or not at all."""

    name: str
    containers: tuple[Container, ...]
    """Init containers and sidecars in their order, then the others."""
    volumes: tuple[Volume, ...] = ()
    grace_s: float = field(default=30.0, compare=False)
    shares_pids: bool = False
    uses_host_network: bool = False
    hostname: str = ""
    """Empty for the pod's name."""
    subdomain: str = ""
    """The headless Service that it stands in."""
    aliases: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Of hostAliases: address and names."""
    labels: tuple[tuple[str, str], ...] = ()
    folder: str = ""
    """Of the file that it was written in; absolute."""
    owner: str = ""
    """`Deployment/web`; empty for a pod of its own."""
    deadline_s: float | None = None
    """activeDeadlineSeconds of the pod itself."""
    names: tuple[str, ...] = field(compare=False, default=())
    """Further names that it answers to among the project's pods, such as `memcache-0.memcache`."""
    pools: tuple[str, ...] = field(compare=False, default=())
    """The sharded caches of memcache and Redis that it asks at its localhost."""
    links_services: bool = True
    """Whether its containers get `NAME_SERVICE_HOST` and the like of each Service."""
    place: str = field(default="", compare=False)
    """`file:line: kind/name`, for messages."""

    def container(self, name: str) -> Container | None:
        """Return the container of a name, or None."""
        return next((one for one in self.containers if one.name == name), None)


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A port of a Service."""

    number: int
    name: str = ""
    node_port: int | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A pod behind a Service's port: ready or not is seen, the port is known."""

    pod: str
    port: int


@dataclass(frozen=True, slots=True)
class Service:
    """A name for pods: a small TCP balancer on an address, or, headless, the pods' own names."""

    name: str
    ports: tuple[ServicePort, ...] = ()
    endpoints: tuple[tuple[Endpoint, ...], ...] = ()
    """Of each port, in the order of `ports`: all planned pods that it selects."""
    is_headless: bool = False
    is_published: bool = False
    """Of type NodePort or LoadBalancer: this machine's own address answers too."""
    announces_unready: bool = False
    """publishNotReadyAddresses."""
    place: str = field(default="", compare=False)
