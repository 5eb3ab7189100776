"""Say what pods and Services are called, as a cluster's DNS does: the whole name comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alongside.plan import pods

DOMAIN = "default.svc.cluster.local"
SUFFIXES = (f".{DOMAIN}", "", ".default", ".default.svc")
"""As programs write a Service's name that were made for a cluster. The first name of an address is
the one that a resolver tells of it."""
LABEL_LENGTH_MAX = 63
"""Of one part of a name, and of a host's name."""


def hostname(pod: pods.Pod) -> str:
    """Return what a pod's containers call their machine."""
    return (pod.hostname or pod.name)[:LABEL_LENGTH_MAX].rstrip("-.")


def of_pod(pod: pods.Pod) -> tuple[str, ...]:
    """Return the names of one pod, which are those below its headless Service.

    A pod of a StatefulSet also answers to the Service's name and its own number, where the plan
    says so. The pod's own name is none of them: a Service may be called the same.
    """
    own = [f"{hostname(pod)}.{pod.subdomain}"] if pod.subdomain else []
    return tuple(one for name in dict.fromkeys([*own, *pod.names]) for one in of_service(name))


def of_service(name: str) -> tuple[str, ...]:
    """Return the names of a Service."""
    return tuple(f"{name}{suffix}" for suffix in SUFFIXES)
