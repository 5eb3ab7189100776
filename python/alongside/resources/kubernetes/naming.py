"""Declare what every resource begins with: its name, labels and notes."""

from __future__ import annotations

from typing import ClassVar

import pydantic

from alongside.resources import fields
from alongside.resources.kubernetes import values

_SERVERS = frozenset(
    {"namespace", "finalizers", "generateName", "ownerReferences", "uid", "selfLink"}
    | {"creationTimestamp", "resourceVersion", "generation", "managedFields"}
    | {"deletionTimestamp", "deletionGracePeriodSeconds"}
)


class Metadata(values.Model):
    """A resource's name, labels and notes."""

    NOT_HONOURED: ClassVar[frozenset[str]] = _SERVERS
    name: fields.Name
    labels: dict[str, str] = pydantic.Field(default_factory=dict)
    annotations: dict[str, str] = pydantic.Field(default_factory=dict)
    """Notes for others; of ours, those that begin with `alongside.dev/`."""


class DataMetadata(Metadata):
    """The same of a ConfigMap or Secret, whose name may have dots."""

    name: values.Subdomain


class TemplateMetadata(values.Model):
    """What the pods of a template carry; their names are made."""

    NOT_HONOURED: ClassVar[frozenset[str]] = _SERVERS | {"name"}
    labels: dict[str, str] = pydantic.Field(default_factory=dict)
    annotations: dict[str, str] = pydantic.Field(default_factory=dict)


class Selector(values.Model):
    """The labels of the pods that a workload owns."""

    NOT_HONOURED: ClassVar[frozenset[str]] = frozenset({"matchExpressions"})
    match_labels: dict[str, str] = pydantic.Field(default_factory=dict)
