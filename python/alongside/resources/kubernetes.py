"""Declare the part of Kubernetes' Pod and Service that runs here as it is.

The `NOT_HONOURED` lists are the fields of Kubernetes 1.37 at the same place.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import pydantic

from alongside.resources import fields

GRACE_S_MAX = 3600
Seconds = Annotated[int, pydantic.Field(ge=0, le=86_400)]
PositiveSeconds = Annotated[int, pydantic.Field(ge=1, le=86_400)]
Threshold = Annotated[int, pydantic.Field(ge=1, le=1000)]


def _environment_name(value: str) -> str:
    if not value or "=" in value or "\0" in value:
        raise ValueError(f"{fields.shown(value)} is not a variable's name; write it without =")
    return value


def _no_nul(value: str) -> str:
    if "\0" in value:
        raise ValueError("it holds a NUL character, which no process can be given; leave it out")
    return value


Text = Annotated[str, pydantic.AfterValidator(_no_nul)]


def _port_reference(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"{fields.shown(value)} is no port; write its number or name")  # noqa: TRY004
    if isinstance(value, int) and not 1 <= value <= 65535:
        raise ValueError(f"{value} is no port; write 1 to 65535 or a port's name")
    if isinstance(value, str) and not any(letter.isalpha() for letter in value):
        raise ValueError(
            f"{fields.shown(value)} is no port's name, which has a letter; write a name, or a "
            "number without quotes"
        )
    return value


PortReference = Annotated[int | str, pydantic.PlainValidator(_port_reference)]


class Metadata(fields.Model):
    """A resource's name and labels."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset(
        {"annotations", "namespace", "finalizers", "generateName", "ownerReferences", "uid"}
        | {"creationTimestamp", "resourceVersion", "generation", "managedFields", "selfLink"}
        | {"deletionTimestamp", "deletionGracePeriodSeconds"}
    )
    name: fields.Name
    labels: dict[str, str] = pydantic.Field(default_factory=dict)


class HttpGet(fields.Model):
    """A probe by GET; 200 to 399 is success."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset({"httpHeaders"})
    path: Text = "/"
    port: PortReference
    host: Text | None = None
    scheme: Annotated[Literal["HTTP"], fields.word("HTTP", later=("HTTPS",))] = "HTTP"


class TcpSocket(fields.Model):
    """A probe by connecting."""

    port: PortReference
    host: Text | None = None


class Exec(fields.Model):
    """A probe by a command; exit 0 is success."""

    command: Annotated[list[Text], pydantic.Field(min_length=1)]


class Probe(fields.Model):
    """How a container shows that it can be used."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset({"grpc", "terminationGracePeriodSeconds"})
    http_get: HttpGet | None = None
    tcp_socket: TcpSocket | None = None
    exec: Exec | None = None
    initial_delay_seconds: Seconds = 0
    period_seconds: PositiveSeconds = 10
    timeout_seconds: PositiveSeconds = 1
    success_threshold: Threshold = 1
    failure_threshold: Threshold = 3

    @pydantic.model_validator(mode="after")
    def _one_way(self) -> Probe:
        ways = [self.http_get, self.tcp_socket, self.exec]
        if sum(way is not None for way in ways) != 1:
            raise ValueError("write exactly one of httpGet, tcpSocket and exec")
        return self


class Variable(fields.Model):
    """An environment variable of a container."""

    name: Annotated[str, pydantic.AfterValidator(_environment_name)]
    value: Text = ""


class ContainerPort(fields.Model):
    """A port on which a container listens."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset({"hostIP", "hostPort"})
    container_port: fields.Port
    name: str | None = None
    protocol: Annotated[Literal["TCP"], fields.word("TCP", later=("UDP", "SCTP"))] = "TCP"


class Container(fields.Model):
    """One program of a pod; it runs as a process, so its command must be written."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset(
        {"image", "imagePullPolicy", "resources", "resizePolicy", "volumeMounts", "volumeDevices"}
        | {"livenessProbe", "startupProbe", "lifecycle", "securityContext", "envFrom", "stdin"}
        | {"stdinOnce", "tty", "terminationMessagePath", "terminationMessagePolicy"}
        | {"restartPolicy", "restartPolicyRules"}
    )
    name: fields.Name
    command: Annotated[list[Text], pydantic.Field(min_length=1)]
    args: list[Text] = pydantic.Field(default_factory=list)
    env: list[Variable] = pydantic.Field(default_factory=list)
    working_dir: Text | None = None
    ports: list[ContainerPort] = pydantic.Field(default_factory=list)
    readiness_probe: Probe | None = None


class PodSpec(fields.Model):
    """The containers of a pod and how they are kept alive."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset(
        {"initContainers", "ephemeralContainers", "volumes", "activeDeadlineSeconds", "dnsPolicy"}
        | {"nodeSelector", "serviceAccountName", "serviceAccount", "nodeName", "hostNetwork"}
        | {"automountServiceAccountToken", "hostPID", "hostIPC", "shareProcessNamespace"}
        | {"securityContext", "imagePullSecrets", "hostname", "subdomain", "affinity"}
        | {"schedulerName", "tolerations", "hostAliases", "priorityClassName", "priority"}
        | {"dnsConfig", "readinessGates", "runtimeClassName", "enableServiceLinks", "hostUsers"}
        | {"preemptionPolicy", "overhead", "topologySpreadConstraints", "setHostnameAsFQDN", "os"}
        | {"schedulingGates", "resourceClaims", "resources"}
    )
    containers: Annotated[list[Container], pydantic.Field(min_length=1)]
    restart_policy: Annotated[
        Literal["Always", "OnFailure", "Never"], fields.word("Always", "OnFailure", "Never")
    ] = "Always"
    termination_grace_period_seconds: (
        Annotated[int, pydantic.Field(ge=0, le=GRACE_S_MAX)] | None
    ) = None
    """Without it, what `up --stop-timeout` says."""


class Pod(fields.Model):
    """Programs that start, live and are placed together."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset({"status"})
    api_version: Literal["v1"]
    kind: Literal["Pod"]
    metadata: Metadata
    spec: PodSpec


class ServicePort(fields.Model):
    """A port of a Service and the pods' port behind it."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset({"nodePort", "appProtocol"})
    port: fields.Port
    target_port: PortReference | None = None
    name: str | None = None
    protocol: Annotated[Literal["TCP"], fields.word("TCP", later=("UDP", "SCTP"))] = "TCP"


class ServiceSpec(fields.Model):
    """Which pods a Service names, and by which ports."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset(
        {"type", "clusterIP", "clusterIPs", "externalIPs", "sessionAffinity", "externalName"}
        | {"loadBalancerIP", "loadBalancerSourceRanges", "externalTrafficPolicy", "ipFamilies"}
        | {"healthCheckNodePort", "publishNotReadyAddresses", "sessionAffinityConfig"}
        | {"ipFamilyPolicy", "allocateLoadBalancerNodePorts", "loadBalancerClass"}
        | {"internalTrafficPolicy", "trafficDistribution"}
    )
    selector: Annotated[dict[str, str], pydantic.Field(min_length=1)]
    ports: Annotated[list[ServicePort], pydantic.Field(min_length=1)]


class Service(fields.Model):
    """A name for the pods that carry its labels."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset({"status"})
    api_version: Literal["v1"]
    kind: Literal["Service"]
    metadata: Metadata
    spec: ServiceSpec
