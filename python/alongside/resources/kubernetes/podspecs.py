"""Declare a pod: programs that start, live and are placed together."""

from __future__ import annotations

import ipaddress
from typing import Annotated, ClassVar, Literal

import pydantic

from alongside.resources import fields
from alongside.resources.kubernetes import containers, naming, storage, values


def _address(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError as error:
        raise ValueError(
            f"{fields.shown(value)} is no IP address; write one such as 10.0.0.7"
        ) from error
    return value


class HostAlias(values.Model):
    """Further lines of a pod's /etc/hosts."""

    ip: Annotated[str, pydantic.AfterValidator(_address)]
    hostnames: Annotated[list[values.Subdomain], pydantic.Field(min_length=1)]


class PodSecurity(values.Model):
    """Who the containers of a pod are, where they do not say it themselves."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset(
        {"fsGroup", "fsGroupChangePolicy", "supplementalGroups", "supplementalGroupsPolicy"}
        | {"sysctls", "seLinuxOptions", "seLinuxChangePolicy", "runAsNonRoot", "seccompProfile"}
        | {"appArmorProfile", "windowsOptions"}
    )
    run_as_user: values.UserId | None = None
    run_as_group: values.UserId | None = None


class PodSpec(values.Model):
    """The containers of a pod and how they are kept alive."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset(
        {"ephemeralContainers", "dnsPolicy", "nodeSelector", "serviceAccountName"}
        | {"serviceAccount", "nodeName", "automountServiceAccountToken", "hostPID", "hostIPC"}
        | {"imagePullSecrets", "affinity", "schedulerName", "tolerations", "priorityClassName"}
        | {"priority", "dnsConfig", "readinessGates", "runtimeClassName", "hostUsers"}
        | {"preemptionPolicy", "overhead", "topologySpreadConstraints", "setHostnameAsFQDN", "os"}
        | {"schedulingGates", "resourceClaims", "resources"}
    )
    init_containers: list[containers.InitContainer] = pydantic.Field(default_factory=list)
    containers: Annotated[list[containers.Container], pydantic.Field(min_length=1)]
    volumes: list[storage.Volume] = pydantic.Field(default_factory=list)
    restart_policy: Annotated[
        Literal["Always", "OnFailure", "Never"], fields.word("Always", "OnFailure", "Never")
    ] = "Always"
    termination_grace_period_seconds: values.Grace | None = None
    """Without it, what `up --stop-timeout` says."""
    active_deadline_seconds: values.Deadline | None = None
    share_process_namespace: bool = False
    host_network: bool = False
    hostname: fields.Name | None = None
    subdomain: fields.Name | None = None
    host_aliases: list[HostAlias] = pydantic.Field(default_factory=list)
    enable_service_links: bool = True
    security_context: PodSecurity = PodSecurity()


class Pod(values.Model):
    """Programs that start, live and are placed together."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset({"status"})
    api_version: Literal["v1"]
    kind: Literal["Pod"]
    metadata: naming.Metadata
    spec: PodSpec


class PodTemplate(values.Model):
    """What each pod of a workload is made from."""

    metadata: naming.TemplateMetadata = naming.TemplateMetadata()
    spec: PodSpec
