"""Declare a Service: a name for pods."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import pydantic

from alongside.resources import fields
from alongside.resources.kubernetes import naming, values


class ServicePort(values.Model):
    """A port of a Service and the pods' port behind it."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset({"appProtocol"})
    port: fields.Port
    target_port: values.PortReference | None = None
    name: str | None = None
    node_port: fields.Port | None = None
    protocol: Annotated[Literal["TCP"], fields.word("TCP", later=("UDP", "SCTP"))] = "TCP"


class ServiceSpec(values.Model):
    """Which pods a Service names, and by which ports."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset(
        {"clusterIPs", "externalIPs", "sessionAffinity", "externalName"}
        | {"loadBalancerIP", "loadBalancerSourceRanges", "externalTrafficPolicy", "ipFamilies"}
        | {"healthCheckNodePort", "sessionAffinityConfig"}
        | {"ipFamilyPolicy", "allocateLoadBalancerNodePorts", "loadBalancerClass"}
        | {"internalTrafficPolicy", "trafficDistribution"}
    )
    selector: dict[str, str] = pydantic.Field(default_factory=dict)
    ports: list[ServicePort] = pydantic.Field(default_factory=list)
    type: Annotated[
        Literal["ClusterIP", "NodePort", "LoadBalancer"],
        fields.word("ClusterIP", "NodePort", "LoadBalancer", later=("ExternalName",)),
    ] = "ClusterIP"
    cluster_ip: values.Text = pydantic.Field(default="", alias="clusterIP")
    publish_not_ready_addresses: bool = False

    @property
    def is_headless(self) -> bool:
        """Whether it has no address of its own."""
        return self.cluster_ip == "None"

    @pydantic.model_validator(mode="after")
    def _reachable(self) -> ServiceSpec:
        if not self.ports and not self.is_headless:
            raise ValueError("ports is missing; write at least one, or clusterIP: None")
        if self.is_headless and self.type != "ClusterIP":
            raise ValueError(f"clusterIP: None has no address to publish; leave type {self.type}")
        names = [port.name for port in self.ports]
        if len(names) > 1 and None in names:
            raise ValueError("it has several ports; give each a name")
        if len(set(names)) < len(names):
            raise ValueError("two of its ports have one name; rename one of them")
        numbers = [port.port for port in self.ports]
        twice = next((number for number in numbers if numbers.count(number) > 1), None)
        if twice is not None:
            raise ValueError(f"two of its ports are {twice}; give one another number")
        return self


class Service(values.Model):
    """A name for the pods that carry its labels."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset({"status"})
    api_version: Literal["v1"]
    kind: Literal["Service"]
    metadata: naming.Metadata
    spec: ServiceSpec
