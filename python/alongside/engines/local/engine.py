"""Start, configure, stop and show the processes of a plan on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from alongside.base import errors, files, log
from alongside.engines.local import (
    beside,
    children,
    finishing,
    hosting,
    keeping,
    launching,
    members,
    sockets,
    succession,
    yielding,
)
from alongside.engines.pods import driver
from alongside.engines.processes import admin, groups, logs
from alongside.plan import documents, stepping

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from alongside.base import clock
    from alongside.plan import shape

DOCUMENT_WAIT_S = 10.0
DOCUMENT_RETRY_S = 0.05

Setting = launching.Setting


class Engine:
    """The processes and sockets of one project; all methods belong to one event loop."""

    def __init__(
        self,
        setting: Setting,
        clock_: clock.Clock,
        changed: Callable[[], None],
        log_: log.Log | None = None,
        *,
        ground: hosting.Ground | None = None,
    ) -> None:
        """Take whom to tell when a process changed its state, and a log; nothing starts yet.

        Without ground to stand on no pod can run.
        """
        self.setting = setting
        self.sockets = sockets.Sockets()
        self._kept = keeping.Kept(setting.folders.binaries)
        self.children: dict[str, members.Member] = {}
        self._documents: dict[str, documents.Wanted] = {}
        self._contents: dict[str, bytes] = {}
        """Of the documents in force, as a restart reads them."""
        self._on_the_way: dict[str, documents.Wanted] = {}
        """What was sent and not answered: it may be in force, or come into force later."""
        self._stops: dict[str, asyncio.Task[None]] = {}
        self._finishing = finishing.Finishing(clock_, changed)
        self._seeing_off: set[asyncio.Task[None]] = set()
        """Each closes a socket that another one took over from, when nobody waits in it."""
        self.killed: dict[str, float] = {}
        """The processes that did not end by themselves when told, and their grace in seconds."""
        self._clock = clock_
        self._changed = changed
        self._log = log_ or log.Log(clock_)
        self._succession = succession.Succession(clock_, changed, self._log, self._forget)
        self.hosting: hosting.Hosting | None = None
        if ground is not None:
            self.hosting = hosting.Hosting(
                ground, setting.folders, clock_, self._pod_changed, self._log
            )

    @property
    def runs_on(self) -> shape.EngineName:
        """What runs the pods of this project."""
        return self.hosting.runs_on if self.hosting is not None else "process"

    def pods(self) -> dict[str, driver.PodChild]:
        """Return the pods that run, by name."""
        every = self.children.items()
        return {name: child for name, child in every if isinstance(child, driver.PodChild)}

    def _data_plane(self, name: str) -> children.Child | None:
        child = self.children.get(name)
        return child if isinstance(child, children.Child) else None

    def _pod_changed(self) -> None:
        if self.hosting is not None:
            self.hosting.jobs.look(self.pods(), frozenset(self._stops), self.stop)
        self.serve()
        self._changed()

    async def open(self, plan: shape.Plan) -> None:
        """Make what a plan's pods stand on, unless it is there, and see that they can run on it.

        Raises:
            errors.UsageError: every reason why they cannot.
            errors.AlongsideError: this machine does not allow it.
        """
        if self.hosting is not None and any(one.pod is not None for one in plan.processes):
            await self.hosting.open()
            await self.hosting.check(plan)

    @property
    def stands_on(self) -> str:
        """What runs pods here, as long as anything of it may be there; else nothing."""
        return self.hosting.stands_on if self.hosting is not None else ""

    def serve(self) -> None:
        """Let Services send to the pods that are ready now and were not told to end."""
        if self.hosting is not None:
            self.hosting.serve(self.pods().values(), frozenset(self._stops))

    def published(self) -> Mapping[str, str]:
        """Return where Services are reached from this machine: `NAME:PORT` to HOST:PORT."""
        return self.hosting.addresses() if self.hosting is not None else {}

    def warnings(self) -> list[str]:
        """Return what people should know of pods and Services."""
        return self.hosting.warnings() if self.hosting is not None else []

    def failed_jobs(self) -> Mapping[str, str]:
        """Return why Jobs failed, by name; their pods are not to start any more."""
        return self.hosting.jobs.failed() if self.hosting is not None else {}

    def prepare(self, plan: shape.Plan) -> sockets.Sockets:
        """Return the sockets of a plan, after checking every address that it needs.

        An address that a process of this project has is not taken, since it will leave.

        Raises:
            errors.AddressTakenError: all addresses that someone else has; nothing was changed.
        """
        ours = {claim for child in self.children.values() for claim in child.process.claims}
        home = self.setting.folders.state
        pids = lambda: members.pids(self.identities(), home)  # noqa: E731
        refused = sockets.check_claims(plan, pids, but=ours)
        try:
            prepared = self.sockets.prepare(plan, pids)
        except errors.AddressTakenError as error:
            raise errors.AddressTakenError(*refused, *error.problems) from error
        if refused:
            prepared.release(self.sockets)
            raise errors.AddressTakenError(*refused)
        return prepared

    def adopt(self, plan: shape.Plan, prepared: sockets.Sockets) -> None:
        """Hold a plan's prepared sockets from now on; those no longer needed are closed.

        What runs and stays has the plan's grace from now on, and the files of its volumes.
        """
        beside.make(self.setting.folders, plan)
        self.sockets.release(prepared)
        self.sockets = prepared
        if self.hosting is not None:
            self.hosting.plan(plan, self.pods())
        self._pod_changed()
        for process in plan.processes:
            child = self.children.get(process.name)
            if child is not None and child.process == process and child.state != "stopping":
                child.process, child.grace_s = process, process.grace_s

    def everyone(self) -> list[members.Member]:
        """Return what runs: those in charge, and the incarnations beside them."""
        return [*self.children.values(), *[one.child for one in self._succession.others()]]

    def identities(self) -> list[groups.Identity]:
        """Return the leaders of the groups of all that runs."""
        found = [child.identity for child in self.everyone()]
        return [one for one in found if one is not None]

    def observed(self) -> dict[str, stepping.Seen]:
        """Return what runs, in the order in which it was started.

        An incarnation that is not in charge counts as one that stops, under a name of its own:
        what its document names has to stay for it.
        """
        in_charge = {
            name: stepping.Seen(
                child.process,
                "stopping" if name in self._stops else child.state,
                self._document(name),
                self._finishing.names if child.process.has_document else frozenset(),
                has_succeeded=members.has_succeeded(child),
            )
            for name, child in self.children.items()
        }
        beside = {
            f"{one.name}~{one.number}": stepping.Seen(one.child.process, "stopping", one.document)
            for one in self._succession.others()
        }
        return {**in_charge, **beside}

    def _document(self, name: str) -> documents.Wanted | None:
        """Return the document in force; while another is coming, one that uses what both do."""
        current, coming = self._documents.get(name), self._on_the_way.get(name)
        if current is None or coming is None:
            return current
        return documents.either(current, coming)

    def refresh(self, wanted: Mapping[str, documents.Wanted]) -> None:
        """Note which processes now stand behind documents whose content stayed the same."""
        for name, document in wanted.items():
            if self._documents.get(name) == document:
                self._documents[name] = document

    def start(
        self, process: shape.Process, document: documents.Wanted | None, content: bytes | None
    ) -> None:
        """Begin to run a process; the data plane's with its document and its numbered content.

        Raises:
            errors.AlongsideError: its document cannot be written, or its address was taken
                meanwhile; it does not run.
        """
        name, number = process.name, self.incarnation(process.name)
        self._see_off(self.sockets.settle(name))
        if process.pod is None:
            child: members.Member = self._child(process, number, content)
        elif self.hosting is not None:
            child = self.hosting.child(process)
            if content is not None:
                beside.give(self.setting.folders, name, content)
        else:
            raise errors.PermanentError(f"{name} is a pod, and nothing here runs pods")
        if document is not None and content is not None:
            self._know(name, document, content)
        self.killed.pop(name, None)
        self.children[name] = child
        child.start()

    def _child(
        self, process: shape.Process, number: int, content: bytes | None, *words: str
    ) -> children.Child:
        """Return an incarnation that can start, with its document where it has one."""
        if content is not None:
            files.write_atomic(self.setting.folders.document(process.name, number), content)
        passed: list[tuple[str, int]] = []
        if process.sockets:
            bound = self.sockets.held[process.name]
            passed.append((bound.wanted.name, os.dup(bound.socket.fileno())))
        kept = replace(self.setting, binary=self._kept.of(self.setting.binary))
        launch = launching.launch(kept, process, number, words, tuple(passed))
        return children.Child(process, launch, self._clock, self._changed, self._log)

    def _know(self, name: str, document: documents.Wanted, content: bytes) -> None:
        """Note that a document is in force."""
        self._documents[name] = document
        self._contents[name] = content
        self._on_the_way.pop(name, None)

    def incarnation(self, name: str) -> int:
        """Return the number of the incarnation in charge of a name, or of the one to start next."""
        return self._succession.number(name)

    def is_changing(self, name: str) -> bool:
        """Return whether a process is being replaced or stopped; its predecessor may be leaving."""
        return name in self._stops or bool(self._succession.others(name))

    def leaving(self) -> list[str]:
        """Return the processes that were told to end and finish what they have, in any incarnation.

        Each is there no longer than its grace allows.
        """
        return sorted({*self._stops, *self._succession.leaving()})

    async def replace(self, name: str, *, ready_s: float = succession.READY_S_MAX) -> None:
        """Put a successor in charge of a data-plane process's sockets, and end the predecessor.

        The successor starts on the same sockets and stands by. When it is ready, the predecessor
        is told to end: it lets nobody in any more and finishes what it has. As soon as it does,
        the successor lets in who waits. Never both do, since what one is told to forget the other
        might hold. Returns when the predecessor is gone.

        Args:
            name: of a process that has its document.
            ready_s: how long the successor may take to become ready.

        Raises:
            errors.TemporaryError: the successor ended, or was not ready in time, and is gone; or
                the process is being stopped or replaced. The predecessor goes on.
            errors.AlongsideError: no document can be written for a successor.
        """
        child, document = self._data_plane(name), self._documents.get(name)
        if child is None or document is None or self.is_changing(name):
            raise errors.TemporaryError(f"{name} is not there to be replaced", retry_after_s=1.0)
        successor = self._successor(child.process, document)
        await self._succession.prepare(successor, ready_s)
        predecessor = self._take_over(successor)
        await asyncio.shield(self._succession.let_go(predecessor, successor))

    def _successor(
        self, process: shape.Process, document: documents.Wanted
    ) -> succession.Incarnation:
        name, number = process.name, self._succession.next_number(process.name)
        path = str(self.setting.folders.admin(name, number))
        content = json.dumps({**json.loads(self._contents[name]), "admin": {"path": path}})
        stands_by = f"{children.STANDBY}{self.admin_path(name)}"
        child = self._child(process, number, content.encode(), stands_by)
        moved = documents.moved(document, path)
        return succession.Incarnation(name, number, child, moved, content.encode())

    def _take_over(self, successor: succession.Incarnation) -> succession.Incarnation:
        """Put a successor in charge; return the predecessor."""
        name, child = successor.name, successor.child
        old = self._data_plane(name)
        if old is None:
            raise errors.TemporaryError(f"{name} is gone", retry_after_s=1.0)
        before = succession.Incarnation(name, self.incarnation(name), old, self._document(name))
        self._succession.charge(name, successor.number)
        self.children[name] = child
        child.launch = child.launch.serving()
        if successor.document is not None and successor.content is not None:
            self._know(name, successor.document, successor.content)
        return before

    def _forget(self, name: str, number: int) -> None:
        """Remove the files of an incarnation that is gone."""
        places = self.setting.folders
        for path in (places.admin(name, number), places.document(name, number)):
            with contextlib.suppress(OSError):
                path.unlink()

    async def configure(self, name: str, document: documents.Wanted, content: bytes) -> None:
        """Give a data-plane process a document and wait until it is in force.

        A process that is down just now reads it when it starts.

        Raises:
            errors.PeerError: it refuses the document; the old one stays in force.
            errors.TemporaryError: it runs and does not answer; either may be in force, until a
                later one is answered.
        """
        child = self.children.get(name)
        before = self._on_the_way.get(name)
        files.write_atomic(self._document_path(name), content)
        self._on_the_way[name] = documents.either(before, document) if before else document
        try:
            await self._put(name, content)
        except errors.PeerError:
            if self.children.get(name) is child:
                self._take_back(name, before)
            raise
        if self.children.get(name) is child:
            old = self._document(name)
            self._know(name, document, content)
            self._let_finish(old.uses - document.uses if old is not None else frozenset())

    def _let_finish(self, names: frozenset[str]) -> None:
        """Keep applications and servers a while for what was begun under an earlier document.

        Nodes need no such time: they finish what they have begun when they are told to end.
        """
        for name in names:
            child = self.children.get(name)
            if child is not None and not child.process.is_data_plane:
                self._finishing.begin({name})

    def _document_path(self, name: str) -> Path:
        if isinstance(self.children.get(name), driver.PodChild):
            return beside.document(self.setting.folders, name)
        return self.setting.folders.document(name, self.incarnation(name))

    def _take_back(self, name: str, before: documents.Wanted | None) -> None:
        """Forget a refused document, so that a restart does not read it."""
        self._on_the_way.pop(name, None)
        if before is not None:
            self._on_the_way[name] = before
        if name in self._contents:
            files.write_atomic(self._document_path(name), self._contents[name])

    async def _put(self, name: str, content: bytes) -> None:
        door = self.admin(name)
        deadline_s = self._clock.monotonic_s() + DOCUMENT_WAIT_S
        child = self.children.get(name)
        while child is not None and members.listens(child) and self.children.get(name) is child:
            try:
                await door.put_document(content)
                break
            except errors.TemporaryError:
                if self._clock.monotonic_s() > deadline_s:
                    raise
                await self._clock.sleep(DOCUMENT_RETRY_S)

    def stop(self, name: str) -> None:
        """Begin to end a process in all its incarnations; it leaves `observed` when all is gone.

        Raises:
            errors.AddressTakenError: its listener moves to an address that was taken meanwhile;
                it goes on.
        """
        if name in self.children and name not in self._stops:
            # Before it is told, so that who connects while it finishes waits for its successor.
            self._see_off(self.sockets.leave(name))
            self._stops[name] = asyncio.get_running_loop().create_task(self._stop(name))

    def _see_off(self, left: list[socket.socket]) -> None:
        """Begin to close sockets that others took over from."""
        for old in left:
            task = asyncio.get_running_loop().create_task(yielding.see_off(old, self._clock))
            self._seeing_off.add(task)
            task.add_done_callback(self._seen_off)

    def _seen_off(self, task: asyncio.Task[None]) -> None:
        self._seeing_off.discard(task)
        self._changed()  # what awaits its address need not wait for the next look

    async def _stop(self, name: str) -> None:
        try:
            if self._seeing_off:  # maybe by this process, which accepts no more when it is told
                await asyncio.wait(set(self._seeing_off))
            child = self.children[name]
            if isinstance(child, driver.PodChild) and self.hosting is not None:
                self.serve()
                await self.hosting.settled()
            self._succession.abandon(name)
            if await child.stop():
                self.killed[name] = child.grace_s
            await self._succession.until_alone(name)
        finally:
            del self.children[name]
            self._forget(name, self.incarnation(name))
            beside.forget(self.setting.folders, name)
            self._succession.charge(name, self._succession.next_number(name))
            self._documents.pop(name, None)
            self._contents.pop(name, None)
            self._on_the_way.pop(name, None)
            del self._stops[name]
            self._pod_changed()

    def hurry(self) -> None:
        """Kill what is stopping, without waiting for its grace period."""
        for child in self.everyone():
            child.grace_s = 0.0

    async def close(self) -> None:
        """End whatever still runs, all at once, and close the sockets."""
        self.sockets.give_up()
        self._finishing.give_up()
        for name in reversed(list(self.children)):
            self.stop(name)
        while self._stops:
            await asyncio.gather(*self._stops.values(), return_exceptions=True)
        await asyncio.gather(*self._seeing_off, return_exceptions=True)
        if self.hosting is not None:
            await self.hosting.close()
        self.sockets.release()
        self._kept.drop_all_but(keeping.binaries(self.everyone()))

    def beside(self, name: str, *, timeout_s: float) -> list[admin.Admin]:
        """Return the admin doors of the incarnations of a name that are not in charge."""
        others = self._succession.others(name)
        return [admin.Admin(one.child.launch.door, timeout_s=timeout_s) for one in others]

    def admin(self, name: str, *, timeout_s: float = admin.TIMEOUT_S) -> admin.Admin:
        """Return the admin door of the data-plane process in charge of a name."""
        return admin.Admin(self.admin_path(name), timeout_s=timeout_s)

    def admin_path(self, name: str) -> Path:
        """Return where that door is, or will be."""
        if isinstance(self.children.get(name), driver.PodChild):
            return beside.admin(self.setting.folders, name)
        return self.setting.folders.admin(name, self.incarnation(name))

    def use(self, binary: Path) -> None:
        """Take another binary of the data plane for all that starts from now on.

        What runs and ends by itself is started as it was: nobody knows yet whether the new one
        starts. What does not run has nothing to lose.
        """
        self.setting = replace(self.setting, binary=binary)
        for child in keeping.idle(self.everyone()):
            child.launch = child.launch.by(self._kept.of(binary))

    def outdated(self) -> list[str]:
        """Return the data-plane processes that run another version than one started now would."""
        return keeping.outdated(self.children, self.setting.binary)

    def tidy(self) -> None:
        """Bound the logs and reap orphans; called now and then."""
        places = self.setting.folders
        all_ = [path for one in self.children.values() for path in places.logs_of(one.process)]
        for path in (places.supervisor_log, *all_):
            logs.bound(path)
        self._kept.drop_all_but(keeping.binaries(self.everyone()))
        groups.reap_orphans()
