"""Turn probes and hooks into what an engine does: ports have numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from alongside.base import nearest
from alongside.plan import pods

if TYPE_CHECKING:
    from alongside.plan.translating import notes, written
    from alongside.resources import problems
    from alongside.resources.kubernetes import containers, probing


@dataclass(frozen=True, slots=True)
class Looker:
    """Whose probes and hooks are translated."""

    template: written.Template
    path: problems.Path
    """Of the container."""
    container: containers.Container
    notes: notes.Notes

    def look(self, name: str, probe: probing.Probe | None) -> pods.Look | None:
        """Return a probe as it is done.

        Args:
            name: `readinessProbe`, `livenessProbe` or `startupProbe`.
            probe: as written.
        """
        if probe is None:
            return None
        path = (*self.path, name)
        self._check(name, probe, path)
        seconds = probe.termination_grace_period_seconds
        way = self._way(probe, path)
        return pods.Look(
            way=way.way,
            port=way.port,
            host=way.host,
            path=way.path,
            scheme=way.scheme,
            headers=way.headers,
            service=way.service,
            command=way.command,
            delay_s=float(probe.initial_delay_seconds),
            period_s=float(probe.period_seconds),
            timeout_s=float(probe.timeout_seconds),
            successes=probe.success_threshold,
            failures=probe.failure_threshold,
            grace_s=None if seconds is None else float(seconds),
        )

    def hook(self, name: str, handler: probing.Handler | None) -> pods.Hook | None:
        """Return what is done at a container's start or end; `name` is `postStart` or `preStop`."""
        if handler is None:
            return None
        if handler.exec is not None:
            return pods.Hook(command=tuple(handler.exec.command))
        if handler.http_get is not None:
            path = (*self.path, "lifecycle", name, "httpGet")
            return pods.Hook(get=self._get(handler.http_get, path))
        return pods.Hook(sleep_s=float(handler.sleep.seconds) if handler.sleep else 0.0)

    def _way(self, probe: probing.Probe, path: problems.Path) -> pods.Look:
        if probe.http_get is not None:
            return self._get(probe.http_get, (*path, "httpGet"))
        if probe.tcp_socket is not None:
            wanted = probe.tcp_socket
            port = self._port(wanted.port, (*path, "tcpSocket", "port"))
            return pods.Look("tcp", port, wanted.host or "")
        if probe.grpc is not None:
            return pods.Look("grpc", probe.grpc.port, service=probe.grpc.service)
        return pods.Look("exec", command=tuple(probe.exec.command) if probe.exec else ())

    def _get(self, wanted: probing.HttpGet, path: problems.Path) -> pods.Look:
        return pods.Look(
            "http",
            self._port(wanted.port, (*path, "port")),
            wanted.host or "",
            wanted.path if wanted.path.startswith("/") else f"/{wanted.path}",
            wanted.scheme,
            tuple((header.name, header.value) for header in wanted.http_headers),
        )

    def _port(self, port: int | str, path: problems.Path) -> int:
        """Return a port's number; a name that the container does not declare is noted."""
        if isinstance(port, int):
            return port
        numbers = {one.name: one.container_port for one in self.container.ports if one.name}
        if port in numbers:
            return numbers[port]
        names = list(numbers)
        near = nearest.nearest(port, names) or (names[0] if len(names) == 1 else None)
        hint = (
            f'did you mean "{near}"?'
            if near is not None
            else f"write {' or '.join(names)}, or a number"
            if names
            else "give one of its ports that name, or write a number"
        )
        reason = f'container "{self.container.name}" declares no port named "{port}"; {hint}'
        self.notes.refuse(self.template.problem(path, reason))
        return 0

    def _check(self, name: str, probe: probing.Probe, path: problems.Path) -> None:
        if name != "readinessProbe" and probe.success_threshold != 1:
            reason = f"{probe.success_threshold} is out of range; write 1, as {name} has it"
            self.notes.refuse(self.template.problem((*path, "successThreshold"), reason))
        if name == "readinessProbe" and probe.termination_grace_period_seconds is not None:
            reason = "a readinessProbe ends nothing; leave it out"
            where = (*path, "terminationGracePeriodSeconds")
            self.notes.refuse(self.template.problem(where, reason))
        seconds = probe.termination_grace_period_seconds
        if name != "readinessProbe" and seconds == 0:
            reason = "0 is out of range; write at least 1"
            where = (*path, "terminationGracePeriodSeconds")
            self.notes.refuse(self.template.problem(where, reason))
