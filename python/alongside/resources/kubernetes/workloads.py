"""Declare what keeps pods: a number of equal ones, numbered ones, or ones that end."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import pydantic

from alongside.resources import fields
from alongside.resources.kubernetes import naming, podspecs, values

REPLICAS_MAX = 256
"""More belong on more than one machine."""
Replicas = Annotated[int, pydantic.Field(ge=0, le=REPLICAS_MAX)]
Count = Annotated[int, pydantic.Field(ge=1, le=REPLICAS_MAX)]


class DeploymentSpec(values.Model):
    """How many equal pods there are."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset(
        {"strategy", "minReadySeconds", "revisionHistoryLimit", "paused"}
        | {"progressDeadlineSeconds", "rollbackTo"}
    )
    replicas: Replicas = 1
    selector: naming.Selector | None = None
    template: podspecs.PodTemplate


class Deployment(values.Model):
    """Pods that are equal."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset({"status"})
    api_version: Literal["apps/v1"]
    kind: Literal["Deployment"]
    metadata: naming.Metadata
    spec: DeploymentSpec


class UpdateStrategy(values.Model):
    """When pods of an older template are replaced."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset({"rollingUpdate"})
    type: Annotated[
        Literal["RollingUpdate", "OnDelete"], fields.word("RollingUpdate", "OnDelete")
    ] = "RollingUpdate"


class ClaimMetadata(naming.TemplateMetadata):
    """The name of a claim, which is its volume's."""

    NOT_HONOURED: ClassVar[frozenset[str]] = naming.TemplateMetadata.NOT_HONOURED - {"name"}
    name: fields.Name


class Claim(values.Model):
    """Storage that each pod asks for."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset({"spec", "status", "apiVersion", "kind"})
    INSTEAD: ClassVar[str] = "each pod has an empty folder, which goes with it"
    metadata: ClaimMetadata


class StatefulSetSpec(values.Model):
    """How many numbered pods there are, and the Service that names them."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset(
        {"minReadySeconds", "revisionHistoryLimit", "persistentVolumeClaimRetentionPolicy"}
        | {"ordinals"}
    )
    replicas: Replicas = 1
    selector: naming.Selector | None = None
    service_name: fields.Name | None = None
    template: podspecs.PodTemplate
    pod_management_policy: Annotated[
        Literal["OrderedReady", "Parallel"], fields.word("OrderedReady", "Parallel")
    ] = "OrderedReady"
    update_strategy: UpdateStrategy = UpdateStrategy()
    volume_claim_templates: list[Claim] = pydantic.Field(default_factory=list)


class StatefulSet(values.Model):
    """Pods with a number, started one after the other."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset({"status"})
    api_version: Literal["apps/v1"]
    kind: Literal["StatefulSet"]
    metadata: naming.Metadata
    spec: StatefulSetSpec


class JobSpec(values.Model):
    """How often a pod has to end well, and how many run at a time."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset(
        {"selector", "manualSelector", "ttlSecondsAfterFinished", "suspend", "podFailurePolicy"}
        | {"successPolicy", "backoffLimitPerIndex", "maxFailedIndexes", "podReplacementPolicy"}
        | {"managedBy"}
    )
    completions: Count | None = None
    parallelism: Count = 1
    backoff_limit: Annotated[int, pydantic.Field(ge=0, le=1000)] = 6
    active_deadline_seconds: values.Deadline | None = None
    completion_mode: Annotated[
        Literal["NonIndexed", "Indexed"], fields.word("NonIndexed", "Indexed")
    ] = "NonIndexed"
    template: podspecs.PodTemplate

    @pydantic.model_validator(mode="after")
    def _ends(self) -> JobSpec:
        if self.template.spec.restart_policy == "Always":
            raise ValueError(
                "its pods would never end; write restartPolicy: Never or OnFailure in template.spec"
            )
        return self


class Job(values.Model):
    """Pods that run until they have ended well."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset({"status"})
    api_version: Literal["batch/v1"]
    kind: Literal["Job"]
    metadata: naming.Metadata
    spec: JobSpec
