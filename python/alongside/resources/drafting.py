"""Write the first file for a service that runs here already."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NAME_LENGTH_MAX = 40
MASK = "***"
_SECRET = re.compile(r"pass|secret|token|key|credential", re.IGNORECASE)
_INTERPRETERS = re.compile(r"(python|node|ruby|perl|php|java|sh|bash)[0-9.]*$")


@dataclass(frozen=True, slots=True)
class Service:
    """A program as it runs: its words, its folder, the port where it answers."""

    words: Sequence[str]
    """Empty where they are not known: it is then not offered to run it."""
    folder: str
    port: int


def name_of(service: Service) -> str:
    """Return a name for a service: its program's, or of an interpreter's its first file's."""
    words = [word for word in service.words if word]
    first = _base(words[0]) if words else "service"
    if _INTERPRETERS.match(first):
        files = [_base(word) for word in words[1:] if not word.startswith("-")]
        first = files[0] if files else first
    stem = re.sub(r"\.[a-z]{1,4}$", "", first.lower())
    return re.sub(r"[^a-z0-9]+", "-", stem)[:NAME_LENGTH_MAX].strip("-") or "service"


def draft(service: Service, *, port: int, file: str) -> str:
    """Return a file of resources: a sharded cache before a service that runs.

    Args:
        service: the service.
        port: where clients are to reach the cache.
        file: where the text is to be written, by which it names itself.
    """
    return _cache(service, port, file) + (_pod(service) if service.words else "")


def _cache(service: Service, port: int, file: str) -> str:
    named = shlex.quote(file) if file.isprintable() else "FILE"
    return f"""\
# A cache before the service at port {service.port}, which goes on as it is.
#   alongside up {named}        clients then use http://127.0.0.1:{port}/
#   alongside status, explain, purge, down: see alongside --help
apiVersion: alongside.dev/v1alpha1
kind: ShardedCache
metadata:
  name: {name_of(service)}-cache
spec:
  protocol: http
  origin: {{url: "http://127.0.0.1:{service.port}"}}
  port: {port}
  shards: 2
  replicas: 2        # one may die, and nobody notices
  key: request.uri
  memory: 64Mi       # of each of the four
"""


def _pod(service: Service) -> str:
    """Return the service as a pod, as remarks."""
    name = name_of(service)
    command = json.dumps(list(_masked(service.words)))
    return f"""\
# To have alongside run the service as well, stop it where it runs now, take the # away below, and
# write `origin: {{service: {name}, port: {service.port}}}` above.
# ---
# apiVersion: v1
# kind: Pod
# metadata:
#   name: {name}
# spec:
#   containers:
#     - name: {name}
#       command: {command}
#       workingDir: {json.dumps(service.folder)}
#       ports:
#         - containerPort: {service.port}
#       readinessProbe:
#         tcpSocket: {{port: {service.port}}}
"""


def _masked(words: Sequence[str]) -> Iterator[str]:
    """Yield a command's words without what may be secret: the file may be shown to others."""
    is_next = False
    for word in words:
        name, equals, _ = word.partition("=")
        if is_next:
            yield MASK
            is_next = False
        elif _SECRET.search(name):
            yield f"{name}={MASK}" if equals else word
            is_next = not equals and word.startswith("-")
        elif "://" in word and "@" in word:
            yield MASK
        else:
            yield word


def _base(word: str) -> str:
    return word.rstrip("/").rpartition("/")[2]
