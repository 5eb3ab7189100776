"""Stand for what runs under a name of a plan, be it a pod or a process of the data plane."""

from __future__ import annotations

from alongside.engines.local import children
from alongside.engines.pods import driver

Member = children.Child | driver.PodChild
"""Both have one face: state, reason, restarts, grace, start, stop."""


def has_succeeded(member: Member) -> bool:
    """Return whether something that is not to start again did what it should."""
    if member.state != "ended":
        return False
    if isinstance(member, driver.PodChild):
        return member.phase == "Succeeded"
    return member.reason == children.SUCCESS
