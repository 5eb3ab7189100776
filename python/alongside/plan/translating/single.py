"""Turn one pod, as it was written, into the pod to run."""

from __future__ import annotations

import json
import posixpath
import shlex
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from alongside.base import errors
from alongside.plan import ambassadors, commands, pods, variables
from alongside.plan.translating import environment, filling, looking, notes
from alongside.resources.kubernetes import containers, quantities

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from alongside.plan.translating import identity, stored, written
    from alongside.resources import problems

HOSTNAME_MAX = 63
_PULL: dict[str | None, Literal["never", "missing", "always"]] = {
    None: "never",  # docs/decisions/0008-docker.md
    "Never": "never",
    "IfNotPresent": "missing",
    "Always": "always",
}
_COMPARED = ("command", "args", "env", "envFrom", "volumeMounts")
"""Fields whose values may be others than those that are written."""
_RESTART: dict[str, pods.Restart] = {
    "Always": "always",
    "OnFailure": "on-failure",
    "Never": "never",
}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all pods of the files have in common."""

    store: stored.Store
    notes: notes.Notes
    links: frozenset[str]
    """Names of the variables by which Services are told."""
    grace_s: float
    """Of a pod that does not say it itself."""


def pod(template: written.Template, who: identity.Identity, around: Surroundings) -> pods.Pod:
    """Return a pod to run; every mistake of it is noted."""
    spec = template.spec
    made = _Maker(template, who, around)
    volumes = filling.Filler(template, who, around.store, around.notes).volumes()
    seconds, deadline = spec.termination_grace_period_seconds, spec.active_deadline_seconds
    document = template.resource.document
    place = f"{document.file}:{document.line(('metadata', 'name'))}: {template.owner}"
    return pods.Pod(
        who.name,
        made.programs(volumes),
        volumes,
        grace_s=around.grace_s if seconds is None else float(seconds),
        shares_pids=spec.share_process_namespace,
        uses_host_network=spec.host_network,
        hostname=spec.hostname or who.hostname or _hostname(who.name),
        subdomain=spec.subdomain or who.subdomain,
        aliases=tuple((alias.ip, tuple(alias.hostnames)) for alias in spec.host_aliases),
        labels=tuple(who.labels.items()),
        folder=template.resource.folder,
        owner=who.owner,
        deadline_s=None if deadline is None else float(deadline),
        pools=made.pools(),
        links_services=spec.enable_service_links,
        place=place,
    )


def _hostname(name: str) -> str:
    """Return what a host can be called, where that is not the pod's own name."""
    cut = name[:HOSTNAME_MAX].rstrip("-.")
    return "" if cut == name else cut


@dataclass(frozen=True, slots=True)
class _Maker:
    template: written.Template
    who: identity.Identity
    around: Surroundings

    def refuse(self, path: problems.Path, reason: str) -> None:
        self.around.notes.refuse(self.template.problem(path, reason))

    def programs(self, volumes: Collection[pods.Volume]) -> tuple[pods.Container, ...]:
        by_name = {volume.name: volume for volume in volumes}
        result: dict[str, pods.Container] = {}
        stand_ins = self.stand_ins()
        for path, container in self.template.containers():
            made = self.container(path, container, by_name)
            if made.name in result:
                reason = f'the name "{made.name}" is used twice; rename one of the two'
                self.refuse((*path, "name"), reason)
            result.setdefault(made.name, replace(made, stand_in=stand_ins.get(made.name, ())))
        self.check_ports()
        return tuple(result.values())

    def container(
        self,
        path: problems.Path,
        container: containers.Container,
        volumes: Mapping[str, pods.Volume],
    ) -> pods.Container:
        kind = _kind(container)
        if kind == "init":
            self.check_init(path, container)
        around, spec = self.around, self.template.spec
        asked = environment.Asked(
            self.template, path, container, self.who, around.store, around.notes
        )
        links = around.links if spec.enable_service_links else frozenset[str]()
        env = environment.resolve(asked, links | {variables.of_volume(name) for name in volumes})
        looker = looking.Looker(self.template, path, container, around.notes)
        security = container.security_context
        limits = self.limits(path, container)
        command = tuple(env.expanded(text) for text in container.command)
        args = tuple(env.expanded(text) for text in container.args)
        found = tuple(env.resolved.values())
        user, group = security.run_as_user, security.run_as_group
        return pods.Container(
            container.name,
            kind,
            container.image,
            command,
            args,
            found,
            late=_named([*command, *args, *(one.value for one in found)], env.watched),
            directory=self.directory(container),
            mounts=self.mounts(path, container, volumes, env),
            ports=self.ports(path, container),
            startup=looker.look("startupProbe", container.startup_probe),
            readiness=looker.look("readinessProbe", container.readiness_probe),
            liveness=looker.look("livenessProbe", container.liveness_probe),
            post_start=looker.hook("postStart", container.lifecycle.post_start),
            pre_stop=looker.hook("preStop", container.lifecycle.pre_stop),
            restart="always" if kind == "sidecar" else _RESTART[spec.restart_policy],
            cpu_millis=limits.get("cpu"),
            memory_bytes=limits.get("memory"),
            is_read_only=security.read_only_root_filesystem,
            user=spec.security_context.run_as_user if user is None else user,
            group=spec.security_context.run_as_group if group is None else group,
            added_capabilities=tuple(security.capabilities.add),
            is_terminal=container.tty,
            pull=_PULL[container.image_pull_policy],
            written=self.written(path),
        )

    def written(self, path: problems.Path) -> str:
        """Return what was written of a container and is compared as that, in one order."""
        value = self.template.resource.document.value_at((*self.template.prefix, *path))
        found = value if isinstance(value, dict) else {}
        return json.dumps({name: found.get(name) for name in _COMPARED}, sort_keys=True)

    def directory(self, container: containers.Container) -> str:
        """Return where a container starts; a relative folder is one of the file's."""
        if not container.working_dir:
            return ""
        return str(PurePosixPath(self.template.resource.folder) / container.working_dir)

    def limits(self, path: problems.Path, container: containers.Container) -> dict[str, int]:
        parse: dict[str, Callable[[str], int]] = {
            "cpu": quantities.cpu_millis,
            "memory": quantities.memory_bytes,
        }
        result = {}
        where = (*path, "resources")
        for name, text in container.resources.limits.items():
            try:
                if name in parse:
                    result[name] = parse[name](text)
                else:
                    self.warn((*where, "limits", name))
            except errors.UsageError as error:
                self.refuse((*where, "limits", name), str(error))
        if container.resources.requests:
            self.warn((*where, "requests"))
        return result

    def warn(self, path: problems.Path, effect: str = "has no effect here") -> None:
        self.around.notes.warn(self.template.problem(path, effect))

    def mounts(
        self,
        path: problems.Path,
        container: containers.Container,
        volumes: Mapping[str, pods.Volume],
        env: environment.Environment,
    ) -> tuple[pods.Mount, ...]:
        result: dict[str, pods.Mount] = {}
        for at, mount in enumerate(container.volume_mounts):
            where = (*path, "volumeMounts", at)
            volume = volumes.get(mount.name)
            if volume is None:
                self.refuse((*where, "name"), self.no_volume(mount.name, volumes))
                continue
            place = posixpath.normpath(mount.mount_path)
            if place in result:
                reason = (
                    f'"{place}" is also where "{result[place].volume}" is mounted; give one of '
                    "the two another path"
                )
                self.refuse((*where, "mountPath"), reason)
                continue
            part = mount.sub_path or self.part((*where, "subPathExpr"), mount.sub_path_expr, env)
            # The kubelet publishes files into the folder, so nobody else writes there.
            is_read_only = mount.read_only or volume.kind == "files"
            result[place] = pods.Mount(mount.name, place, part, is_read_only)
        return tuple(result.values())

    def part(self, path: problems.Path, text: str, env: environment.Environment) -> str:
        """Return the part of a volume that a text with variables names."""
        part = env.expanded(text)
        if "$(" in part:
            self.refuse(path, f'"{text}" names no variable that is known; write subPath')
        elif part.startswith("/") or ".." in part.split("/"):
            self.refuse(path, f'"{part}" leads out of the volume; write a path below it')
        return part

    def no_volume(self, name: str, volumes: Mapping[str, pods.Volume]) -> str:
        remedy = notes.hint(name, volumes, "add it to volumes")
        return f'the pod has no volume "{name}"; {remedy}'

    def ports(self, path: problems.Path, container: containers.Container) -> tuple[pods.Port, ...]:
        result = []
        names: set[str] = set()
        for at, port in enumerate(container.ports):
            where = (*path, "ports", at)
            if port.protocol != "TCP":
                self.warn((*where, "protocol"), f"{port.protocol} is not looked after here")
                continue
            if port.name is not None and port.name in names:
                self.refuse((*where, "name"), f'"{port.name}" is used twice; rename one of the two')
            names.add(port.name or "")
            result.append(
                pods.Port(port.container_port, port.name or "", port.host_port, port.host_ip)
            )
        return tuple(result)

    def check_ports(self) -> None:
        """Note two containers that run at one time and listen on one port of their one network."""
        owners: dict[int, str] = {}
        for path, container in self.template.containers():
            own: set[int] = set()
            for at, port in enumerate(container.ports):
                number, where = port.container_port, (*path, "ports", at, "containerPort")
                if port.protocol != "TCP":
                    continue
                if number in own:
                    self.refuse(where, f"port {number} is declared twice; keep one")
                elif number in owners:
                    self.refuse(
                        where,
                        f'port {number} is also declared by container "{owners[number]}", and the '
                        "containers of a pod share one network; give one of the two another port",
                    )
                own.add(number)
            if _kind(container) != "init":
                owners |= dict.fromkeys(own - owners.keys(), container.name)

    def check_init(self, path: problems.Path, container: containers.Container) -> None:
        """Note what Kubernetes refuses of a container that runs to its end."""
        written = {
            "startupProbe": container.startup_probe,
            "readinessProbe": container.readiness_probe,
            "livenessProbe": container.liveness_probe,
            "lifecycle": container.lifecycle.post_start or container.lifecycle.pre_stop,
        }
        for name, value in written.items():
            if value is not None:
                self.refuse(
                    (*path, name),
                    f'init container "{container.name}" runs to its end, so it has no {name}; '
                    "leave it out, or write restartPolicy: Always",
                )

    def pools(self) -> tuple[str, ...]:
        """Return the caches that the pod asks at its localhost."""
        text = self.template.annotations.get(ambassadors.ANNOTATION)
        if text is None:
            return ()
        names = ambassadors.named(text)
        if "" in names or len(set(names)) < len(names):
            path = ("metadata", "annotations", ambassadors.ANNOTATION)
            self.refuse(path, f'"{text}" is no list of names; write NAME, or NAME,OTHER')
        return tuple(dict.fromkeys(name for name in names if name))

    def stand_ins(self) -> dict[str, tuple[str, ...]]:
        """Return what annotations say that runs in place of images, by container."""
        result = {}
        known = [container.name for _, container in self.template.containers()]
        for key, text in self.template.annotations.items():
            if not key.startswith(commands.ANNOTATION):
                continue
            path, name = ("metadata", "annotations", key), key.removeprefix(commands.ANNOTATION)
            if name not in known:
                remedy = notes.hint(name, known, f"write one of {', '.join(known)}")
                self.refuse(path, f'the pod has no container "{name}"; {remedy}')
                continue
            try:
                result[name] = tuple(shlex.split(text))
            except ValueError as error:
                reason = f"it is no command: {error}; write it as for a shell"
                self.refuse(path, reason)
            else:
                if not result[name]:
                    self.refuse(path, "it is empty; write a command")
        return result


def _kind(container: containers.Container) -> pods.Kind:
    if not isinstance(container, containers.InitContainer):
        return "main"
    return "sidecar" if container.restart_policy == "Always" else "init"


def _named(texts: list[str], watched: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(set().union(*map(variables.named, texts)) & watched))
