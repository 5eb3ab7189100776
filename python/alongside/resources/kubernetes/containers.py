"""Declare one program of a pod."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import pydantic

from alongside.resources import fields
from alongside.resources.kubernetes import probing, quantities, storage, values

_CONTAINER = frozenset(
    {"resizePolicy", "volumeDevices", "stdin", "stdinOnce"}
    | {"terminationMessagePath", "terminationMessagePolicy"}
)


class KeyRef(values.Model):
    """A key of a ConfigMap or Secret."""

    name: values.Subdomain
    key: values.Key
    optional: bool = False


class VariableSource(values.Model):
    """Where a variable's value comes from."""

    config_map_key_ref: KeyRef | None = None
    secret_key_ref: KeyRef | None = None
    field_ref: storage.FieldRef | None = None
    resource_field_ref: storage.ResourceFieldRef | None = None

    @pydantic.model_validator(mode="after")
    def _one_source(self) -> VariableSource:
        sources = [self.config_map_key_ref, self.secret_key_ref]
        if sum(one is not None for one in [*sources, self.field_ref, self.resource_field_ref]) != 1:
            raise ValueError(
                "write exactly one of configMapKeyRef, secretKeyRef, fieldRef and resourceFieldRef"
            )
        return self


class Variable(values.Model):
    """An environment variable of a container."""

    name: values.EnvironmentName
    value: values.Text = ""
    value_from: VariableSource | None = None

    @pydantic.model_validator(mode="after")
    def _one_value(self) -> Variable:
        if self.value and self.value_from is not None:
            raise ValueError("write one of value and valueFrom")
        return self


class Reference(values.Model):
    """A ConfigMap or Secret, all of whose keys become variables."""

    name: values.Subdomain
    optional: bool = False


class VariablesSource(values.Model):
    """Where several variables come from."""

    prefix: Annotated[values.Text, pydantic.Field(pattern="^[^=]*$")] = ""
    config_map_ref: Reference | None = None
    secret_ref: Reference | None = None

    @pydantic.model_validator(mode="after")
    def _one_source(self) -> VariablesSource:
        if (self.config_map_ref is None) == (self.secret_ref is None):
            raise ValueError("write exactly one of configMapRef and secretRef")
        return self


class ContainerPort(values.Model):
    """A port on which a container listens."""

    container_port: fields.Port
    name: Annotated[str, pydantic.Field(min_length=1, max_length=15)] | None = None
    protocol: Annotated[Literal["TCP", "UDP", "SCTP"], fields.word("TCP", "UDP", "SCTP")] = "TCP"
    host_port: fields.Port | None = None
    host_ip: values.Text = pydantic.Field(default="", alias="hostIP")


class Capabilities(values.Model):
    """Rights of a container beyond a plain user's."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset({"drop"})
    add: list[Annotated[str, pydantic.Field(pattern="^(CAP_)?[A-Z_]+$")]] = pydantic.Field(
        default_factory=list
    )


class ContainerSecurity(values.Model):
    """Who a container is, and what it may write."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset(
        {"privileged", "allowPrivilegeEscalation", "runAsNonRoot", "procMount", "seccompProfile"}
        | {"seLinuxOptions", "windowsOptions", "appArmorProfile"}
    )
    run_as_user: values.UserId | None = None
    run_as_group: values.UserId | None = None
    read_only_root_filesystem: bool = False
    capabilities: Capabilities = Capabilities()


class Resources(values.Model):
    """What a container may take, and what it asks for."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset({"claims"})
    limits: dict[str, quantities.Quantity] = pydantic.Field(default_factory=dict)
    requests: dict[str, quantities.Quantity] = pydantic.Field(default_factory=dict)


class Container(values.Model):
    """One program of a pod: an image, or a command, or both."""

    NOT_HONOURED: ClassVar[frozenset[str]] = _CONTAINER | {"restartPolicy", "restartPolicyRules"}
    name: fields.Name
    image: values.Text = ""
    image_pull_policy: (
        Annotated[
            Literal["Always", "IfNotPresent", "Never"],
            fields.word("Always", "IfNotPresent", "Never"),
        ]
        | None
    ) = None
    command: list[values.Text] = pydantic.Field(default_factory=list)
    args: list[values.Text] = pydantic.Field(default_factory=list)
    env: list[Variable] = pydantic.Field(default_factory=list)
    env_from: list[VariablesSource] = pydantic.Field(default_factory=list)
    working_dir: values.Text | None = None
    ports: list[ContainerPort] = pydantic.Field(default_factory=list)
    volume_mounts: list[storage.VolumeMount] = pydantic.Field(default_factory=list)
    startup_probe: probing.Probe | None = None
    readiness_probe: probing.Probe | None = None
    liveness_probe: probing.Probe | None = None
    lifecycle: probing.Lifecycle = probing.Lifecycle()
    resources: Resources = Resources()
    security_context: ContainerSecurity = ContainerSecurity()
    tty: bool = False

    @pydantic.model_validator(mode="after")
    def _something_runs(self) -> Container:
        if not self.image and not self.command:
            raise ValueError("nothing says what runs in it; write image, or command: [PROGRAM]")
        return self


class InitContainer(Container):
    """A program that runs before the others: to its end, or, with restartPolicy, beside them."""

    NOT_HONOURED: ClassVar[frozenset[str]] = _CONTAINER | {"restartPolicyRules"}
    restart_policy: Annotated[Literal["Always"], fields.word("Always")] | None = None
