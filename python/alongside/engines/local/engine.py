"""Start, configure, stop and show the processes of a plan on this machine."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from alongside.base import errors, files, log
from alongside.engines.local import admin, children, groups, logs, sockets, spawning
from alongside.plan import documents, stepping

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from alongside.base import clock, environment
    from alongside.engines.local import folders
    from alongside.plan import shape

DOCUMENT_WAIT_S = 10.0
DOCUMENT_RETRY_S = 0.05
FINISHING_S = 5.0
"""For answers on their way from an application that no document names any more."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and for whom an engine works."""

    project: str
    folders: folders.Folders
    binary: Path
    """The data plane's."""
    environment: environment.Environment
    """Given to every child, with its own variables over it."""


class Engine:
    """The processes and sockets of one project; all methods belong to one event loop."""

    def __init__(
        self,
        setting: Setting,
        clock_: clock.Clock,
        changed: Callable[[], None],
        log_: log.Log | None = None,
    ) -> None:
        """Take whom to tell when a process changed its state, and a log; nothing starts yet."""
        self.setting = setting
        self.sockets = sockets.Sockets()
        self.children: dict[str, children.Child] = {}
        self._documents: dict[str, documents.Wanted] = {}
        self._contents: dict[str, bytes] = {}
        """Of the documents in force, as a restart reads them."""
        self._on_the_way: dict[str, documents.Wanted] = {}
        """What was sent and not answered: it may be in force, or come into force later."""
        self._stops: dict[str, asyncio.Task[None]] = {}
        self._finishing: dict[str, asyncio.Task[None]] = {}
        """The applications that documents named until a moment ago; each task ends it."""
        self.killed: dict[str, float] = {}
        """The processes that did not end by themselves when told, and their grace in seconds."""
        self._clock = clock_
        self._changed = changed
        self._log = log_ or log.Log(clock_)

    def prepare(self, plan: shape.Plan) -> sockets.Sockets:
        """Return the sockets of a plan, after checking every address that it needs.

        An address that a process of this project has is not taken, since it will leave.

        Raises:
            errors.AddressTakenError: all addresses that someone else has; nothing was changed.
        """
        ours = {claim for child in self.children.values() for claim in child.process.claims}
        refused = sockets.check_claims(plan, self._pids, but=ours)
        try:
            prepared = self.sockets.prepare(plan, self._pids)
        except errors.AddressTakenError as error:
            raise errors.AddressTakenError(*refused, *error.problems) from error
        if refused:
            prepared.release(self.sockets)
            raise errors.AddressTakenError(*refused)
        return prepared

    def _pids(self) -> frozenset[int]:
        """Return every process of this project: ours, theirs, and what left their groups."""
        leaders = {child.identity.pid for child in self.children.values() if child.identity}
        marked = {one.identity.pid for one in groups.marked(str(self.setting.folders.state))}
        inside = {one.identity.pid for one in groups.all_entries() if one.group in leaders}
        return frozenset({os.getpid(), *marked, *inside})

    def adopt(self, prepared: sockets.Sockets) -> None:
        """Hold the prepared sockets from now on; those no longer needed are closed."""
        self.sockets.release(prepared)
        self.sockets = prepared

    def observed(self) -> dict[str, stepping.Seen]:
        """Return what runs, in the order in which it was started."""
        return {
            name: stepping.Seen(
                child.process,
                child.state,
                self._document(name),
                frozenset(self._finishing) if child.process.role != "app" else frozenset(),
            )
            for name, child in self.children.items()
        }

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
        self.sockets.settle(process.name)
        if document is not None and content is not None:
            files.write_atomic(self.setting.folders.document(process.name), content)
            self._documents[process.name] = document
            self._contents[process.name] = content
            self._on_the_way.pop(process.name, None)
        launch = self._launch(process)
        self.killed.pop(process.name, None)
        child = children.Child(process, launch, self._clock, self._changed, self._log)
        self.children[process.name] = child
        child.start()

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
        path = self.setting.folders.document(name)
        files.write_atomic(path, content)
        self._on_the_way[name] = documents.either(before, document) if before else document
        try:
            await self._put(name, content)
        except errors.PeerError:
            if self.children.get(name) is child:
                self._take_back(name, before)
            raise
        if self.children.get(name) is child:
            old = self._document(name)
            self._documents[name] = document
            self._contents[name] = content
            self._on_the_way.pop(name, None)
            self._let_finish(old.uses - document.uses if old is not None else frozenset())

    def _let_finish(self, names: frozenset[str]) -> None:
        """Keep applications a while for what was begun under an earlier document.

        Nodes need no such time: they finish what they have begun when they are told to end.
        """
        for name in names:
            child = self.children.get(name)
            if child is not None and child.process.role == "app":
                if (before := self._finishing.get(name)) is not None:
                    before.cancel()
                self._finishing[name] = asyncio.create_task(self._finish(name))

    async def _finish(self, name: str) -> None:
        await self._clock.sleep(FINISHING_S)
        del self._finishing[name]
        self._changed()

    def _take_back(self, name: str, before: documents.Wanted | None) -> None:
        """Forget a refused document, so that a restart does not read it."""
        self._on_the_way.pop(name, None)
        if before is not None:
            self._on_the_way[name] = before
        if name in self._contents:
            files.write_atomic(self.setting.folders.document(name), self._contents[name])

    async def _put(self, name: str, content: bytes) -> None:
        door = self.admin(name)
        deadline_s = self._clock.monotonic_s() + DOCUMENT_WAIT_S
        child = self.children.get(name)
        while child is not None and child.identity is not None and self.children.get(name) is child:
            try:
                await door.put_document(content)
                break
            except errors.TemporaryError:
                if self._clock.monotonic_s() > deadline_s:
                    raise
                await self._clock.sleep(DOCUMENT_RETRY_S)

    def stop(self, name: str) -> None:
        """Begin to end a process; it leaves `observed` when its whole group is gone.

        Raises:
            errors.AddressTakenError: its listener moves to an address that was taken meanwhile;
                it goes on.
        """
        if name in self.children and name not in self._stops:
            # Before it is told, so that who connects while it finishes waits for its successor.
            self.sockets.leave(name)
            self._stops[name] = asyncio.get_running_loop().create_task(self._stop(name))

    async def _stop(self, name: str) -> None:
        try:
            child = self.children[name]
            if await child.stop():
                self.killed[name] = child.grace_s
        finally:
            del self.children[name]
            self._documents.pop(name, None)
            self._contents.pop(name, None)
            self._on_the_way.pop(name, None)
            del self._stops[name]
            self._changed()

    def hurry(self) -> None:
        """Kill what is stopping, without waiting for its grace period."""
        for child in self.children.values():
            child.grace_s = 0.0

    async def close(self) -> None:
        """End whatever still runs, all at once, and close the sockets."""
        self.sockets.give_up()
        for task in self._finishing.values():
            task.cancel()
        for name in reversed(list(self.children)):
            self.stop(name)
        while self._stops:
            await asyncio.gather(*self._stops.values(), return_exceptions=True)
        self.sockets.release()

    def admin(self, name: str, *, timeout_s: float = admin.TIMEOUT_S) -> admin.Admin:
        """Return the admin door of a data-plane process."""
        return admin.Admin(self.setting.folders.admin(name), timeout_s=timeout_s)

    def tidy(self) -> None:
        """Bound the logs and reap orphans; called now and then."""
        places = self.setting.folders
        for path in (places.supervisor_log, *[places.log(name) for name in self.children]):
            logs.bound(path)
        groups.reap_orphans()

    def _launch(self, process: shape.Process) -> children.Launch:
        setting = self.setting
        marks = children.Marks(str(setting.folders.state), f"{setting.project}/{process.name}")
        variables = {
            **setting.environment,
            **dict(process.environment),
            groups.MARK: marks.name,
            groups.HOME_MARK: marks.home,
        }
        for name in ("LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"):
            variables.pop(name, None)
        argv = process.argv
        if process.role != "app":
            document = setting.folders.document(process.name)
            argv = (str(setting.binary), "--document", str(document))
        passed: list[tuple[str, int]] = []
        if process.sockets:
            bound = self.sockets.held[process.name]
            passed.append((bound.wanted.name, os.dup(bound.socket.fileno())))
        program = spawning.Program(
            argv, variables, process.directory, setting.folders.log(process.name), tuple(passed)
        )
        return children.Launch(program, marks, setting.folders.admin(process.name))
