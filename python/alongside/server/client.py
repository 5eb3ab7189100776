"""Speak to a project's supervisor from another process, one call at a time."""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING, cast

import httpx2

from alongside.base import errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from alongside.engines.local import folders
    from alongside.server import orders, rolling, status

TIMEOUT_S = 10.0
APPLY_TIMEOUT_S = 120.0
"""Longer than the largest files take to read."""
DOWN_TIMEOUT_S = 11_000.0
"""Longer than routers, nodes and pods may take one after the other, each an hour and a margin."""
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class NotRunningError(errors.TemporaryError):
    """No supervisor answers for the project."""


class SilentError(errors.PeerError):
    """A supervisor took the connection and then gave no answer."""


class Client:
    """The control API of one project."""

    def __init__(self, places: folders.Folders) -> None:
        """Take the project's folders; nothing is opened yet."""
        self._path = places.control
        self._log = places.supervisor_log

    def is_up(self) -> bool:
        """Return whether a supervisor answers, whatever it answers."""
        try:
            self.status()
        except NotRunningError:
            return False
        except errors.AlongsideError:
            return True
        return True

    def status(self) -> status.Status:
        """Return the state of everything."""
        return cast("status.Status", self._ask("GET", "/status"))

    def apply(self, order: orders.Order) -> Mapping[str, object]:
        """Make files the new goal; raises as the supervisor's `apply` does."""
        value = order.to_json()
        return self._ask("POST", "/apply", value=value, timeout_s=APPLY_TIMEOUT_S)

    def restart(self, names: Sequence[str]) -> rolling.RestartStatus:
        """Begin to restart caches and processes, or everything; it goes on without us."""
        answer = self._ask("POST", "/restart", value={"names": list(names)})
        return cast("rolling.RestartStatus", answer)

    def restarted(self, number: int) -> rolling.RestartStatus:
        """Return how the restart of a number goes, or went."""
        answer = self._ask("GET", "/restart", parameters=[("number", str(number))])
        return cast("rolling.RestartStatus", answer)

    def down(self) -> Mapping[str, object]:
        """Stop everything; returns when nothing runs any more."""
        return self._ask("POST", "/down", timeout_s=DOWN_TIMEOUT_S)

    def explain(
        self, name: str, url: str, *, headers: Sequence[str] = (), address: str | None = None
    ) -> Mapping[str, object]:
        """Return where a request goes and why."""
        parameters = [("name", name), ("url", url), *[("header", header) for header in headers]]
        parameters += [("ip", address)] if address is not None else []
        return self._ask("GET", "/explain", parameters=parameters)

    def purge(self, name: str, url: str) -> Mapping[str, object]:
        """Remove a URL's answers from all nodes of a cache."""
        return self._ask("POST", "/purge", value={"name": name, "url": url})

    def logs(self, name: str, offset: int | None = None) -> tuple[str, int]:
        """Return the end of a process's log, or what came after an offset, and the next offset."""
        parameters = [("name", name)]
        parameters += [("offset", str(offset))] if offset is not None else []
        answer = self._ask("GET", "/logs", parameters=parameters)
        return str(answer["text"]), int(str(answer["offset"]))

    def _ask(
        self,
        method: str,
        path: str,
        *,
        value: Mapping[str, object] | None = None,
        parameters: Sequence[tuple[str, str]] = (),
        timeout_s: float = TIMEOUT_S,
    ) -> Mapping[str, object]:
        content = json.dumps(value).encode() if value is not None else None
        transport = httpx2.HTTPTransport(uds=str(self._path), verify=_NO_TLS)
        try:
            with httpx2.Client(
                transport=transport,
                base_url="http://control",
                timeout=timeout_s,
                trust_env=False,
            ) as client:
                answer = client.request(method, path, content=content, params=list(parameters))
        except (httpx2.ConnectError, FileNotFoundError) as error:
            raise NotRunningError("no supervisor answers", retry_after_s=0.1) from error
        except httpx2.HTTPError as error:
            raise SilentError(
                f"the supervisor broke off ({_reason(error)}); see {self._log}",
                side="upstream",
                retry=False,
            ) from error
        return _answer(answer, self._log)


def _answer(answer: httpx2.Response, log: Path) -> Mapping[str, object]:
    value = answer.json() if answer.headers.get("content-type") == "application/json" else {}
    if answer.status_code == 200 and isinstance(value, dict):
        return value
    raise refusal(value, f"the supervisor answers {answer.status_code}; see {log}")


def refusal(value: Mapping[str, object], default: str) -> errors.AlongsideError:
    """Return the error that a supervisor tells of by `problems` and `exit_code`."""
    listed = value.get("problems")
    problems = [str(one) for one in listed] if isinstance(listed, list) else []
    problems = problems or [default]
    match value.get("exit_code"):
        case errors.ExitCode.ADDRESS_TAKEN:
            return errors.AddressTakenError(*problems)
        case errors.ExitCode.USAGE:
            return errors.UsageError(*problems)
        case _:
            return errors.PeerError("\n".join(problems), side="upstream", retry=False)


def _reason(error: httpx2.HTTPError) -> str:
    return "no answer in time" if isinstance(error, httpx2.TimeoutException) else str(error)
