"""Stand for what runs under a name of a plan, be it a pod or a process of the data plane."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from alongside.engines.local import children
from alongside.engines.pods import driver
from alongside.engines.processes import groups

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Member = children.Child | driver.PodChild
"""Both have one face: state, reason, restarts, grace, start, stop."""


def has_succeeded(member: Member) -> bool:
    """Return whether something that is not to start again did what it should."""
    if member.state != "ended":
        return False
    if isinstance(member, driver.PodChild):
        return member.phase == "Succeeded"
    return member.reason == children.SUCCESS


def listens(member: Member) -> bool:
    """Return whether something runs in it that takes documents at its admin door."""
    if isinstance(member, driver.PodChild):
        pod = member.process.pod
        ours = [one.name for one in pod.containers if one.is_ours] if pod is not None else []
        return any(one.name in ours and one.identity for one in member.containers())
    return member.identity is not None


def pids(identities: Iterable[groups.Identity], home: Path) -> frozenset[int]:
    """Return every process of a project: ours, theirs, and what left their groups.

    Args:
        identities: of the leaders of groups.
        home: the project's state folder, which marks its processes.
    """
    leaders = {one.pid for one in identities}
    marked = {one.identity.pid for one in groups.marked(str(home))}
    inside = {one.identity.pid for one in groups.all_entries() if one.group in leaders}
    return frozenset({os.getpid(), *marked, *inside})
