"""Declare the folders that the containers of a pod share."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import pydantic

from alongside.resources import fields
from alongside.resources.kubernetes import quantities, values


class EmptyDir(values.Model):
    """A folder that is empty when the pod starts and goes with it."""

    medium: Annotated[Literal["", "Memory"], fields.word("", "Memory", later=("HugePages",))] = ""
    size_limit: quantities.Bytes | None = None


HOST_TYPES = (
    *("", "DirectoryOrCreate", "Directory", "FileOrCreate"),
    *("File", "Socket", "CharDevice", "BlockDevice"),
)


class HostPath(values.Model):
    """A folder or file of this machine."""

    path: values.AbsolutePath
    type: Annotated[str, fields.word(*HOST_TYPES)] = ""


class KeyToPath(values.Model):
    """A key that becomes a file of another name."""

    key: values.Key
    path: Annotated[values.RelativePath, pydantic.Field(min_length=1)]
    mode: values.Mode | None = None


class ConfigMapVolume(values.Model):
    """The files of a ConfigMap."""

    name: values.Subdomain
    items: list[KeyToPath] = pydantic.Field(default_factory=list)
    default_mode: values.Mode = 0o644
    optional: bool = False


class SecretVolume(values.Model):
    """The files of a Secret."""

    secret_name: values.Subdomain
    items: list[KeyToPath] = pydantic.Field(default_factory=list)
    default_mode: values.Mode = 0o644
    optional: bool = False


class FieldRef(values.Model):
    """A field of the pod itself."""

    api_version: Literal["v1"] = "v1"
    field_path: str


class ResourceFieldRef(values.Model):
    """A limit or request of a container."""

    container_name: fields.Name | None = None
    resource: str
    divisor: quantities.Quantity = "1"


class DownwardItem(values.Model):
    """A file that tells a field of the pod, or a limit."""

    path: Annotated[values.RelativePath, pydantic.Field(min_length=1)]
    field_ref: FieldRef | None = None
    resource_field_ref: ResourceFieldRef | None = None
    mode: values.Mode | None = None

    @pydantic.model_validator(mode="after")
    def _one_of_two(self) -> DownwardItem:
        if (self.field_ref is None) == (self.resource_field_ref is None):
            raise ValueError("write exactly one of fieldRef and resourceFieldRef")
        return self


class DownwardVolume(values.Model):
    """Files that tell a container about its pod."""

    items: list[DownwardItem] = pydantic.Field(default_factory=list)
    default_mode: values.Mode = 0o644


class ConfigMapSource(values.Model):
    """A part of a projected volume: a ConfigMap."""

    name: values.Subdomain
    items: list[KeyToPath] = pydantic.Field(default_factory=list)
    optional: bool = False


class SecretSource(values.Model):
    """A part of a projected volume: a Secret."""

    name: values.Subdomain
    items: list[KeyToPath] = pydantic.Field(default_factory=list)
    optional: bool = False


class DownwardSource(values.Model):
    """A part of a projected volume: what a container may know about its pod."""

    items: list[DownwardItem] = pydantic.Field(default_factory=list)


class Projection(values.Model):
    """One part of a projected volume."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset(
        {"serviceAccountToken", "clusterTrustBundle", "podCertificate"}
    )
    config_map: ConfigMapSource | None = None
    secret: SecretSource | None = None
    downward_api: DownwardSource | None = pydantic.Field(default=None, alias="downwardAPI")


class Projected(values.Model):
    """Several sources in one folder."""

    sources: list[Projection] = pydantic.Field(default_factory=list)
    default_mode: values.Mode = 0o644


class Volume(values.Model):
    """A folder that the containers of a pod may mount; without a source it is an emptyDir."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset(
        {"persistentVolumeClaim", "nfs", "iscsi", "glusterfs", "rbd", "cinder", "cephfs", "fc"}
        | {"flexVolume", "flocker", "azureFile", "azureDisk", "vsphereVolume", "quobyte"}
        | {"photonPersistentDisk", "portworxVolume", "scaleIO", "storageos", "csi", "ephemeral"}
        | {"gcePersistentDisk", "awsElasticBlockStore", "gitRepo", "image"}
    )
    INSTEAD: ClassVar[str] = "the volume is an empty folder here"
    name: fields.Name
    empty_dir: EmptyDir | None = None
    host_path: HostPath | None = None
    config_map: ConfigMapVolume | None = None
    secret: SecretVolume | None = None
    downward_api: DownwardVolume | None = pydantic.Field(default=None, alias="downwardAPI")
    projected: Projected | None = None

    @pydantic.model_validator(mode="after")
    def _one_source(self) -> Volume:
        files = [self.config_map, self.secret, self.downward_api, self.projected]
        sources = [self.empty_dir, self.host_path, *files]
        if sum(source is not None for source in sources) > 1:
            raise ValueError("it has several sources; write one")
        return self


class VolumeMount(values.Model):
    """Where a container sees a volume."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset({"mountPropagation", "recursiveReadOnly"})
    name: fields.Name
    mount_path: values.AbsolutePath
    sub_path: values.RelativePath = ""
    sub_path_expr: values.Text = ""
    read_only: bool = False

    @pydantic.model_validator(mode="after")
    def _one_part(self) -> VolumeMount:
        if self.sub_path and self.sub_path_expr:
            raise ValueError("write one of subPath and subPathExpr")
        return self
