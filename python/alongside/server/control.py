"""Answer the control API: HTTP and JSON on the project's UNIX socket."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from typing import TYPE_CHECKING

from starlette import applications, datastructures, requests, responses, routing

from alongside.base import errors, units
from alongside.engines.processes import logs
from alongside.server import explaining, orders, planning, pooled, status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from alongside.base import clock
    from alongside.plan import shape
    from alongside.server import supervisor

REQUEST_BYTES_MAX = 32 * 2**20
DOWN_POLL_S = 0.03
NUMBER_LENGTH_MAX = 18


class Control:
    """The API's answers; `is_over` is set when the project was told to end and has."""

    def __init__(
        self, watched: supervisor.Supervisor, clock_: clock.Clock, *, console: str = ""
    ) -> None:
        """Take the supervisor to speak for, and the address of its page with the token."""
        self.watched = watched
        self._clock = clock_
        self.engine = watched.engine
        self.is_over = asyncio.Event()
        self._is_ending = False
        self.console = console

    def application(self) -> applications.Starlette:
        """Return the application for a server."""
        routes: list[tuple[str, str, Callable[[requests.Request], Awaitable[object]]]] = [
            ("GET", "/status", self._status),
            ("POST", "/apply", self._apply),
            ("GET", "/restart", self._restarted),
            ("POST", "/restart", self._restart),
            ("POST", "/down", self._down),
            ("GET", "/explain", self._explain),
            ("POST", "/purge", self._purge),
            ("GET", "/logs", self.read_log),
        ]
        return applications.Starlette(
            routes=[
                routing.Route(path, _answering(answer), methods=[method])
                for method, path, answer in routes
            ]
        )

    async def state(self, _: requests.Request) -> status.Status:
        """Return the state of the project."""
        return await status.of(self.watched, now_s=self._clock.monotonic_s())

    async def _status(self, request: requests.Request) -> object:
        found = await self.state(request)
        found["console"] = self.console  # here only: the page itself never says it
        return found

    async def _apply(self, request: requests.Request) -> object:
        return dataclasses.asdict(await self.apply(orders.from_json(await _object(request))))

    async def apply(self, order: orders.Order) -> orders.Applied:
        """Make an order's files the goal; nothing changes unless all of them are right.

        Raises:
            problems.ResourceError: every mistake in the files.
            errors.AlongsideError: as `Supervisor.adopt` does, or because the project ends.
        """
        setting = self.engine.setting
        project = setting.project
        # Large files take seconds to read, in which the loop has to look after processes.
        drafted = await asyncio.to_thread(planning.draft, order, project, setting.folders)
        plan = planning.changed(order, drafted, self.watched.runs_on, project)
        await self.engine.open(plan)
        self._check_is_staying()
        order.check_folder(project, self.watched.folder)
        return self.watched.adopt(plan, order)

    def _check_is_staying(self) -> None:
        if self._is_ending:
            raise errors.TemporaryError(
                f'project "{self.engine.setting.project}" is being stopped; '
                "try again when it is stopped",
                retry_after_s=1.0,
            )

    async def _restart(self, request: requests.Request) -> object:
        """Begin to restart what is named; how it goes stands in the status."""
        names = (await _object(request)).get("names", [])
        self._check_is_staying()
        if not isinstance(names, list):
            raise errors.UsageError("not an order to restart; send {names: [...]}")
        return self.watched.restart([str(name) for name in names])

    async def _restarted(self, request: requests.Request) -> object:
        """Return how the restart of a number goes, or went."""
        text = request.query_params.get("number", "")
        is_number = text.isdecimal() and len(text) <= NUMBER_LENGTH_MAX
        found = self.watched.rolling.restart(int(text)) if is_number else None
        if found is None:
            raise errors.UsageError(
                f"no restart {units.shown(text)} is known any more; "
                "alongside status shows the last one of the supervisor that runs"
            )
        return found

    async def _down(self, _: requests.Request) -> object:
        stopped = list(reversed(self.watched.engine.children))
        await self.end()
        killed = [
            {"name": name, "grace_s": grace_s}
            for name, grace_s in self.engine.killed.items()
            if name in stopped
        ]
        return {"stopped": stopped, "killed": killed}

    async def end(self) -> None:
        """Stop everything in reverse order; returns when nothing runs any more."""
        self._is_ending = True
        self.watched.abandon()
        while not self.watched.is_idle():
            await self._clock.sleep(DOWN_POLL_S)
        self.is_over.set()

    async def _explain(self, request: requests.Request) -> object:
        query = request.query_params
        name, url = query.get("name", ""), query.get("url", "")
        if (pool := self.watched.plan.pool(name)) is not None:
            _only_key(pool, query)
            return {"name": name, "key": url, **await pooled.explain(self.watched, pool, url)}
        cache = self.watched.plan.cache(name)
        if cache is None:
            raise errors.UsageError(self._unknown(name))
        parameters = [("route", name), ("url", url)]
        parameters += [("header", header) for header in query.getlist("header")]
        parameters += [("ip", address) for address in query.getlist("ip")]
        answer = await explaining.explain(self.watched, cache, parameters)
        return {"name": name, "url": url, **answer}

    async def _purge(self, request: requests.Request) -> object:
        value = await _object(request)
        name, url = str(value.get("name", "")), str(value.get("url", ""))
        if (pool := self.watched.plan.pool(name)) is not None:
            raise errors.UsageError(
                f'cache "{name}" is of {pool.protocol}, which has no URLs to purge; '
                "delete the key by a client of it"
            )
        cache = self.watched.plan.cache(name)
        if cache is None:
            raise errors.UsageError(self._unknown(name))
        told = await self.watched.purges.purge(cache.name, url)
        return {
            "purged": sum(told.counts.values()),
            "forgotten": len(told.counts),
            "nodes": told.counts,
            "owed": list(told.owed),
            "not_kept": list(told.not_kept),
        }

    async def read_log(self, request: requests.Request) -> object:
        """Return the end of a process's or container's log, or what came after an offset."""
        name = request.query_params.get("name", "")
        path = self._log_of(name)
        text = request.query_params.get("offset")
        offset = int(text) if text is not None and text.isdigit() else None
        content, end = logs.read(path, offset)
        return {"name": name, "text": content.decode(errors="replace"), "offset": end}

    def _log_of(self, name: str) -> Path:
        """Return where a process writes, or a container: NAME/CONTAINER, else a pod's first one.

        Raises:
            errors.UsageError: there is none so named; those that are.
        """
        engine = self.watched.engine
        known = {one.name: one for one in self.watched.plan.processes}
        known |= {child.process.name: child.process for child in engine.children.values()}
        of, _, inner = name.partition("/")
        process = known.get(of)
        if process is None:
            choices = ", ".join(sorted(known))
            remedy = f"write one of {choices}" if known else "none is up"
            raise errors.UsageError(f'no process "{of}"; {remedy}')
        if process.pod is None and not inner:
            return engine.setting.folders.log(of)
        containers = process.pod.containers if process.pod is not None else ()
        mains = [one.name for one in containers if one.kind == "main"]
        if (inner or mains[0]) in {one.name for one in containers} and process.pod is not None:
            return engine.setting.folders.container_log(process.pod, inner or mains[0])
        choices = ", ".join(f"{of}/{one.name}" for one in containers) or of
        raise errors.UsageError(f'no container "{inner}" in {of}; write one of {choices}')

    def _unknown(self, name: str) -> str:
        plan = self.watched.plan
        names = [cache.name for cache in plan.caches] + [pool.name for pool in plan.pools]
        remedy = f"write one of {', '.join(names)}" if names else "this project has none"
        return f'no sharded cache "{name}" is up; {remedy}'


def _answering(
    answer: Callable[[requests.Request], Awaitable[object]],
) -> Callable[[requests.Request], Awaitable[responses.Response]]:
    async def endpoint(request: requests.Request) -> responses.Response:
        try:
            return _Json(await answer(request))
        except errors.UsageError as error:
            return _failed(400, list(error.problems), error.exit_code)
        except errors.AlongsideError as error:
            return _failed(502, [str(error)], error.exit_code)

    return endpoint


def _only_key(pool: shape.Pool, query: datastructures.QueryParams) -> None:
    """Refuse what only a request over HTTP has."""
    if query.getlist("header") or query.getlist("ip"):
        raise errors.UsageError(
            f'cache "{pool.name}" is of {pool.protocol}, whose commands have neither fields nor '
            "addresses; leave --header and --ip out"
        )


def _failed(status_code: int, problems: list[str], code: errors.ExitCode) -> responses.Response:
    return _Json({"problems": problems, "exit_code": int(code)}, status_code=status_code)


class _Json(responses.JSONResponse):
    """JSON in ASCII, because the names of files and folders need not be UTF-8."""

    def render(self, content: object) -> bytes:
        return json.dumps(content).encode("ascii")


async def _object(request: requests.Request) -> dict[str, object]:
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > REQUEST_BYTES_MAX:
            raise errors.UsageError(f"more than {REQUEST_BYTES_MAX} bytes; send less")
    return parsed(content)


def parsed(content: bytes) -> dict[str, object]:
    """Return the JSON object that was sent.

    Raises:
        errors.UsageError: it is none.
    """
    try:
        value = json.loads(content)
    except ValueError as error:
        raise errors.UsageError("the body is no JSON; send an object") from error
    if not isinstance(value, dict):
        raise errors.UsageError("the body is no JSON object; send one")
    return value
