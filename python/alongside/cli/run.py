"""`alongside run`: one program on this terminal, with components beside it."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import json
import os
import shlex
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from alongside.base import clock, environment, errors, files, log, nearest, units
from alongside.cli import certs, options
from alongside.components.dataplane import checking, tls_documents
from alongside.contract import catalogue, promise, values
from alongside.contract.catalogue import run
from alongside.engines.foreground import chain, finding, program
from alongside.engines.local import children, folders
from alongside.engines.processes import ending, groups, listeners, spawning
from alongside.plan import shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


CONTRACT = run.CONTRACT
PROJECT = "run"
LOOPBACK = "127.0.0.1"
WILD = ("0.0.0.0", "[::]")  # noqa: S104 - named in a URL, not listened on
LOOK_S_MIN, LOOK_S_MAX = 0.05, 1.0
PATIENCE_S = 5.0
"""Before somebody is told that a program listens nowhere, or at too many ports."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Order:
    words: tuple[str, ...]
    besides: tuple[chain.Link, ...]
    port: int
    """Told to the program by `PORT`."""
    wanted: int | None
    stop_s: float
    variables: environment.Environment


def start(words: Sequence[str], variables: environment.Environment) -> int:
    """Run by the words after the command's name; return the program's exit code."""
    if "--" not in words:
        raise errors.UsageError(
            "the program stands behind --; write alongside run [OPTIONS] -- PROGRAM..."
        )
    resolved = values.gather(CONTRACT, words, variables)
    besides = tuple(_besides(resolved.texts("with"), variables))
    wanted = resolved.integer("port") if resolved.is_set("port") else None
    order = _Order(
        resolved.texts("program"),
        besides,
        wanted or _free_port(),
        wanted,
        resolved.duration_s("stop_timeout"),
        variables,
    )
    return asyncio.run(_run(order))


command = options.ProgramCommand(CONTRACT, start)


def _besides(texts: Sequence[str], variables: environment.Environment) -> Iterator[chain.Link]:
    """Yield the components, each checked by its contract, with addresses that are free.

    Raises:
        errors.UsageError: unknown components, every wrong parameter.
        errors.AddressTakenError: an address that was asked for has an owner.
    """
    problems: list[str] = []
    owned: list[str] = []
    taken: dict[str, str] = {}
    found: list[chain.Link] = []
    for text in texts:
        try:
            one = _beside(text, variables, taken)
        except errors.AddressTakenError as error:
            owned += error.problems
            continue
        except errors.UsageError as error:
            problems += [f"--with {units.shown(text)}: {problem}" for problem in error.problems]
            continue
        if found and found[-1].scheme == "https" and one.told:
            problems.append(
                f"--with {units.shown(text)}: {found[-1].name} before it speaks HTTPS, which "
                f"{one.component} does not ask for; name {found[-1].component} last"
            )
            continue
        same = sum(link.component == one.component for link in found)
        name = f"{one.component}-{same + 1}" if same else one.component
        taken[one.listen] = name
        found.append(dataclasses.replace(one, name=name))
    if problems:
        raise errors.UsageError(*problems, *owned)
    if owned:
        raise errors.AddressTakenError(*owned)
    yield from found


def _beside(text: str, variables: environment.Environment, taken: Mapping[str, str]) -> chain.Link:
    name, _, rest = text.partition(":")
    if name not in catalogue.BESIDE:
        near = nearest.nearest(name, catalogue.BESIDE)
        hint = f'did you mean "{near}"?' if near else f"write {' or '.join(catalogue.BESIDE)}"
        raise errors.UsageError(f"{units.shown(name)} is no component that stands beside; {hint}")
    contract = catalogue.contract_of(name)
    words = [f"--{pair}" for pair in rest.split(",") if pair]
    stands = catalogue.BESIDE[name]
    own = {contract.parameter(one).flag for one in (stands.asks, *stands.instead)}
    is_told = any(word.partition("=")[0] in own for word in words)
    told = "" if is_told else f"{contract.parameter(stands.asks).flag}={stands.told}"
    if not any(word.startswith("--listen=") for word in words):
        words.append(f"--listen={_free_address(contract, taken)}")
    checked = [told.format(address=f"{LOOPBACK}:1")] if told else []
    resolved = values.gather(contract, [*words, *checked], variables)
    listen = resolved.text("listen")
    if listen in taken:
        raise errors.UsageError(
            f"{listen} is also where {taken[listen]} listens; give one of the two another port"
        )
    _check_free(name, listen)
    authority = ""
    if name == tls_documents.COMPONENT:
        if not resolved.is_set("certificate_path") and not resolved.is_set("acme"):
            folder, authority = _certificate(listen, variables)
            words.append(f"--certificate-path={folder}")
        _check_document(values.gather(contract, [*words, *checked], variables))
    return chain.Link(name, name, tuple(words), listen, told, stands.scheme, authority)


def _certificate(listen: str, variables: environment.Environment) -> tuple[str, str]:
    """Return the folder of a certificate for development, and the file of its authority."""
    # Late, because it loads X.509.
    from alongside.components.authority import names  # noqa: PLC0415

    host = listen.rpartition(":")[0]
    wanted = names.read([] if host in WILD else [host])
    held = certs.opened(variables)
    made = held.ready(certs.authority_name(), names.folder_of(wanted[0]), wanted)
    return str(made.folder), str(held.certificate)


def _check_document(resolved: values.Values) -> None:
    """Do nothing where the data plane would take these values; raise UsageError else."""
    content = json.dumps(tls_documents.of_tls(resolved).to_json()).encode()
    checking.check(content, resolved)


def _check_free(name: str, address: str) -> None:
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host.strip("[]"), int(port)), family=family):
            return
    except OSError as error:
        # Behind the system's words Python repeats the address.
        what = f"cannot be used: {(error.strerror or str(error)).partition(' (while ')[0]}"
        if error.errno == errno.EADDRINUSE:
            owner = listeners.holder(int(port))
            what = f"is taken by {owner}" if owner else "is taken"
        raise errors.AddressTakenError(
            f"--with {name}: {address} {what}; write --with {name}:listen=HOST:PORT"
        ) from error


def _free_address(contract: promise.Contract, taken: Mapping[str, str]) -> str:
    """Return an address at a component's usual port, if that is free."""
    [usual] = [one.number or 0 for one in contract.ports if one.parameter == "listen"]
    first = f"{LOOPBACK}:{usual}"
    if first not in taken:
        try:
            with socket.create_server((LOOPBACK, usual)):
                return first
        except OSError:
            pass  # somebody has it, and nobody asked for it
    return f"{LOOPBACK}:{_free_port()}"


def _free_port() -> int:
    with socket.create_server((LOOPBACK, 0)) as free:
        return int(free.getsockname()[1])


async def _run(order: _Order) -> int:
    clock_ = clock.SystemClock()
    groups.become_subreaper()
    with tempfile.TemporaryDirectory(prefix="alongside-run-") as home:
        marks = (home, f"{PROJECT}/program")
        variables = {**order.variables, "PORT": str(order.port)}
        running = program.start(order.words, variables, marks)
        beside = _Besides(order, home, clock_)
        with program.forwarding(running):
            watching = asyncio.create_task(beside.watch(running))
            try:
                return await running.ended()
            finally:
                watching.cancel()
                await asyncio.wait([watching])
                await beside.stop()
                await ending.end(running.pid, ending.Marks(*marks), lambda: order.stop_s, clock_)


class _Besides:
    """The components of a run, once the program listens."""

    def __init__(self, order: _Order, home: str, clock_: clock.Clock) -> None:
        self._order = order
        self._home = home
        self._clock = clock_
        self._log = log.Log(clock_)
        self._children: list[children.Child] = []
        self._told: dict[str, str] = {}

    async def watch(self, running: program.Program) -> None:
        """Start the components when the program listens; tell of them, and of faults, for ever."""
        try:
            await self._watch(running)
        except Exception as error:  # whatever it is, the program must not pay for it
            _say(f"its components are watched no more: {type(error).__name__}: {error}")

    async def _watch(self, running: program.Program) -> None:
        if not self._order.besides:
            return
        address = await self._address(running)
        behind = chain.behind(self._order.besides, address)
        for one, stands_before in zip(self._order.besides, behind, strict=True):
            child = self._child(one, stands_before)
            self._children.append(child)
            child.start()
        while True:
            self._tell(behind)
            await self._clock.sleep(LOOK_S_MIN)

    async def _address(self, running: program.Program) -> str:
        """Return where the program listens, when it does."""
        if not chain.waits(self._order.besides):
            return ""
        began_s, look_s, is_told = self._clock.monotonic_s(), LOOK_S_MIN, False
        while True:
            found = finding.chosen(
                running.listens(), given=self._order.port, wanted=self._order.wanted
            )
            if found.address:
                return found.address
            if not is_told and self._clock.monotonic_s() - began_s > PATIENCE_S:
                is_told = True
                _say(self._patience(found))
            await self._clock.sleep(look_s)
            look_s = min(look_s * 2, LOOK_S_MAX)

    def _patience(self, found: finding.Found) -> str:
        names = ", ".join(one.name for one in self._order.besides)
        if found.candidates:
            ports = " or ".join(f"--port {one.rpartition(':')[2]}" for one in found.candidates)
            return (
                f"the program listens at {', '.join(found.candidates)}; {names} waits, since "
                f"nobody said in front of which it stands; add {ports}"
            )
        where = f"port {self._order.wanted}" if self._order.wanted else "any port"
        return (
            f"the program does not listen at {where} yet; {names} waits for it. It was told "
            f"PORT={self._order.port}"
        )

    def _child(self, one: chain.Link, behind: str) -> children.Child:
        words = one.argv(behind)
        argv = program.bound([sys.executable, "-m", "alongside", one.component, *words])
        probe = shape.Probe("tcp", address=one.listen, period_s=1.0)
        process = shape.Process(one.name, "app", argv=argv, probe=probe, grace_s=self._order.stop_s)
        marks = ending.Marks(self._home, f"{PROJECT}/{one.name}")
        variables = {
            **self._order.variables,
            groups.HOME_MARK: marks.home,
            groups.MARK: marks.name,
        }
        made = spawning.Program(argv, variables, None, self._log_path(one.name))
        launch = children.Launch(made, marks, Path(self._home) / "none")
        return children.Child(process, launch, self._clock, lambda: None, self._log)

    def _log_path(self, name: str) -> Path:
        folder = folders.state_of(PROJECT, self._order.variables)
        path = folder / f"{Path(self._order.words[0]).name}.{name}.log"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            files.write_atomic(path, b"")
        except OSError as error:
            remedy = "set HOME or XDG_STATE_HOME to a folder of yours"
            _say(f"{name} has no log: cannot make {error.filename}: {error.strerror}; {remedy}")
            return Path(os.devnull)
        except errors.AlongsideError as error:
            _say(f"{name} has no log: {error}")
            return Path(os.devnull)
        return path

    def _tell(self, behind: Sequence[str]) -> None:
        """Say what became of each component, once for each change."""
        links = self._order.besides
        reached = chain.reached(links, [child.state == "ready" for child in self._children])
        for at, (one, child) in enumerate(zip(links, self._children, strict=True)):
            path = child.launch.program.log
            words = ""
            if reached[at]:
                words = (
                    f"{one.name} is at {one.url}, in front of "
                    f"{behind[at] or 'its own origin'}; its log is {path}"
                )
                if one.authority:
                    ask = shlex.join(["curl", "--cacert", one.authority, f"{one.url}/"])
                    words += f"\nalongside run: ask it: {ask}"
                    words += "\nalongside run: let browsers trust it: alongside certs trust"
            elif child.state in {"waiting", "unready", "ended"}:
                words = f"{one.name}: {child.reason}; its log is {path}"
            if words and self._told.get(one.name) != words:
                self._told[one.name] = words
                _say(words)

    async def stop(self) -> None:
        """End the components, at once."""
        await asyncio.gather(*[child.stop() for child in self._children])


def _say(text: str) -> None:
    os.write(sys.stderr.fileno(), f"alongside run: {text}\n".encode())
