"""Make a plan of an order: read its files, choose what runs its pods, check the whole."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.plan import building, choosing, claiming, commands, documents
from alongside.resources import problems, reading
from alongside.server import runtimes

if TYPE_CHECKING:
    from collections.abc import Callable

    from alongside.engines.local import folders
    from alongside.plan import shape
    from alongside.server import orders


def draft(order: orders.Order, project: str, places: folders.Folders) -> building.Draft:
    """Return what an order's files ask for; may run in another thread.

    Args:
        order: with the files' content.
        project: whose they are.
        places: of that project.

    Raises:
        problems.ResourceError: every mistake in the files that is one whatever runs the pods.
    """
    found: list[problems.Problem] = []
    try:
        known(order)
    except problems.ResourceError as error:
        found += error.found
    try:
        resources = reading.read(order.sources)
        site = claiming.Site(project, has_loopbacks=sys.platform == "linux", places=places)
        drafted = building.draft(resources, grace_s=order.grace_s, site=site)
    except problems.ResourceError as error:
        raise problems.ResourceError([*found, *error.found]) from error
    if found:
        raise problems.ResourceError(found)
    return drafted


def known(order: orders.Order) -> commands.Commands:
    """Return which programs stand for images.

    Raises:
        problems.ResourceError: every mistake in the files of images.
    """
    found: list[problems.Problem] = []
    written: dict[str, commands.Words] = {}
    for source in order.images:
        try:
            written |= commands.read(source)
        except problems.ResourceError as error:
            found += error.found
    if found:
        raise problems.ResourceError(found)
    return commands.Commands(written, runtimes.ours(Path(order.binary)), runtimes.programs())


def begun(order: orders.Order, drafted: building.Draft, facts: choosing.Facts) -> shape.Plan:
    """Return the plan of a project that does not run yet.

    Raises:
        problems.ResourceError: every mistake in the files.
        errors.UsageError: nothing on this machine can run its pods as they are.
    """
    choice = choosing.Choice("process", "")
    if drafted.has_pods:
        doubts = drafted.doubts()
        choice = choosing.choose(order.engine, drafted.clashes(), facts, doubts=doubts)
    return building.finish(drafted, choice, known(order))


def changed(
    order: orders.Order, drafted: building.Draft, current: shape.EngineName, project: str
) -> shape.Plan:
    """Return the plan of a project that is up; raises as `begun` does."""
    choice = choosing.Choice(current, "")
    if drafted.has_pods:
        choice = choosing.keep(order.engine, current, drafted.clashes(), project)
    return building.finish(drafted, choice, known(order))


def needs_facts(order: orders.Order, drafted: building.Draft) -> bool:
    """Return whether it matters what this machine allows."""
    if order.engine != "auto":
        return order.engine != "process"
    return drafted.has_pods and bool(drafted.clashes() or drafted.doubts())


def check_documents(plan: shape.Plan, places: folders.Folders) -> None:
    """Refuse what the data plane would refuse, before any address of the plan is bound.

    Raises:
        errors.UsageError: every mistake in the documents that the plan leads to.
    """
    addresses = {
        process.name: f"{socket.host}:{socket.port or at}"
        for at, process in enumerate(plan.processes, start=1)
        for socket in process.sockets
    }
    addresses |= documents.unpublished(plan) | servers(plan, places)
    documents.check(rendered(plan, addresses, places.admin))


def rendered(
    plan: shape.Plan, addresses: documents.Addresses, door: Callable[[str], Path]
) -> dict[str, documents.Wanted]:
    """Return the documents of a plan's processes, as far as their addresses are known."""
    return documents.render(plan, addresses, lambda name: str(door(name)))


def servers(plan: shape.Plan, places: folders.Folders) -> dict[str, str]:
    """Return the address of each server of memcache or Redis, which is known before it runs."""
    return {
        name: f"unix:{places.server(name, pool.name)}"
        for pool in plan.pools
        for name in pool.servers
    }
