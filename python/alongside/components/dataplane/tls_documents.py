"""Turn the values of `tls` into the document the data plane reads."""

from __future__ import annotations

import functools
import os
import re
from typing import TYPE_CHECKING, TypeVar

from alongside import document
from alongside.base import errors, nearest, units
from alongside.components.dataplane import documents, tls_files
from alongside.contract import kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from alongside.contract import values as contract_values

_Part = TypeVar("_Part")
_Instead = TypeVar("_Instead")

COMPONENT = "tls"
PLAIN_NAME = "plain"
"""The name of the listener that sends everybody to https."""
PROGRAM_NAME = "program"
REDIRECT_NAME = "redirect"
UNNAMED = "default"
"""What the certificate is called that was given no name."""
LOOPBACK = "127.0.0.1"
PORT_MAX = 65_535

_PORTS_OF_WORDS = {"http": "80", "https": "443", "http-alt": "8080"}
_EVERYWHERE = frozenset({"0.0.0.0", "[::]"})  # noqa: S104 - compared with, not listened on
_HERE = frozenset({*_EVERYWHERE, LOOPBACK, "[::1]", "localhost"})
_PARAMETER_OF = {
    "listeners.inner": "trusted",
    "listeners.proxies": "proxy_from",
    "listeners.tls.certificates": "certificate_path",
    "listeners.tls.certificates.key": "key_path",
    "listeners.tls.certificates.staple": "staple",
    "listeners.tls.default": "default_certificate",
    "listeners.tls.version_min": "tls_min_version",
    "listeners.tls.handshake_timeout_ms": "handshake_timeout",
    "listeners.tls.session_s": "session",
    "listeners.tls.ready_expiry_s": "ready_expiry",
    "listeners.tls.clients.mode": "client_certificates",
    "listeners.tls.clients.authorities": "client_ca",
    "listeners.tls.clients.revoked": "client_crl",
    "listeners.tls.clients.hosts": "client_hosts",
    "listeners.tls.acme.directory": "acme",
    "listeners.tls.acme.domains": "acme_domain",
    "listeners.tls.acme.challenge": "acme_challenge",
    "listeners.tls.acme.contacts": "acme_contact",
    "listeners.tls.acme.folder": "acme_folder",
    "listeners.tls.acme.authorities": "acme_ca",
    "programs.speaks": "proxy_protocol",
    "programs.hsts_s": "hsts",
    "redirects.port": "redirect_port",
}


def of_tls(values: contract_values.Values) -> document.Document:
    """Return the document of one sidecar: a listener with TLS, and one that sends there if asked.

    Raises:
        errors.UsageError: values that do not go together, files that cannot be right; all of them,
            with what was wrong with values already where these were asked for.
    """
    return _Made(values).whole()


def parameter_of(path: str, values: contract_values.Values) -> str | None:
    """Return the parameter that a place in a sidecar's document came from; None as for others."""
    plain = re.sub(r"\[[0-9]+\]", "", path)
    if path.startswith("listeners[1].address"):
        return "redirect"
    if plain.startswith("programs.address"):
        return "proxy_socket" if values.is_set("proxy_socket") else "proxy_port"
    return documents.parameter_of(path, _PARAMETER_OF)


class _Made:
    """A document on its way from values, and every mistake that was found."""

    def __init__(self, values: contract_values.Values) -> None:
        self._values = values
        self._problems: list[str] = []

    def whole(self) -> document.Document:
        """Return the document; raise UsageError with all mistakes."""
        found = self._part(self._document, None)
        if found is None or self._problems:
            raise errors.UsageError(*dict.fromkeys(self._problems))
        return found

    def _part(self, make: Callable[[], _Part], instead: _Instead) -> _Part | _Instead:
        """Return what is made; something instead where a value that it asks for is wrong."""
        try:
            return make()
        except errors.UsageError as error:
            self._problems.extend(error.problems)
            return instead

    def _document(self) -> document.Document:
        values = self._values
        # The parts that find mistakes come first: where another value is wrong, this ends there.
        target = self._part(self._target, "")
        certificates = self._part(self._certificates, ())
        acme = self._part(self._acme, None)
        clients = self._part(self._clients, None)
        redirects = self._part(self._redirects, ())
        hsts_s, session_s, ready_expiry_s = (
            self._part(functools.partial(self._whole_s, name), None)
            for name in ("hsts", "session", "ready_expiry")
        )
        encrypted = document.Listener(
            name=documents.LISTENER_NAME,
            address=values.text("listen"),
            serves=PROGRAM_NAME,
            inner=values.texts("trusted"),
            tls=document.Tls(
                certificates=certificates,
                default=self._default(certificates),
                version_min="1.3" if values.text("tls_min_version") == "1.3" else "1.2",
                clients=clients,
                acme=acme,
                handshake_timeout_ms=round(values.duration_s("handshake_timeout") * 1000),
                session_s=session_s or 0,
                ready_expiry_s=ready_expiry_s,
            ),
            proxies=values.texts("proxy_from"),
        )
        program = document.Program(
            name=PROGRAM_NAME,
            address=target,
            speaks="h2c" if values.text("proxy_protocol") == "h2c" else "http1",
            hsts_s=hsts_s,
        )
        plain = tuple(self._plain(redirect) for redirect in redirects)
        served = documents.Served(programs=(program,), redirects=redirects)
        return documents.around(values, (encrypted, *plain), served)

    def _target(self) -> str:
        """Return where the program listens."""
        values = self._values
        if values.is_set("proxy_socket"):
            if values.is_set("proxy_port"):
                places = f"{values.place('proxy_port')} and {values.place('proxy_socket')}"
                self._problems.append(f"{places}: each says where the program listens; keep one")
            return f"unix:{os.path.abspath(values.text('proxy_socket'))}"
        if not values.is_set("proxy_port"):
            self._problems.append(
                "--proxy-port: is missing; write --proxy-port 8000 or set PROXY_PORT"
            )
            return ""
        try:
            found = program_address(values.text("proxy_port"))
        except errors.UsageError as error:
            self._blame("proxy_port", str(error))
            return ""
        if _is_reached(found, values.text("listen")):
            self._blame("proxy_port", f"{units.shown(found)} is where the sidecar listens itself")
        return found

    def _default(self, certificates: Sequence[document.Certificate]) -> str | None:
        """Return the name of the certificate for who names none of theirs."""
        if self._values.is_set("default_certificate"):
            return self._values.text("default_certificate")
        return UNNAMED if UNNAMED in [one.name for one in certificates] else None

    def _certificates(self) -> tuple[document.Certificate, ...]:
        paths = self._named("certificate_path")
        keys, staples = self._named("key_path"), self._named("staple")
        for parameter, found in (("key_path", keys), ("staple", staples)):
            for name in found.keys() - paths.keys():
                near = nearest.nearest(name, paths)
                hint = (
                    f"did you mean {near}?" if near else "write NAME=PATH as certificate-path has"
                )
                shown = "what has no name" if name == UNNAMED else units.shown(name)
                self._blame(parameter, f"{shown} is no certificate of certificate-path; {hint}")
        for name, path in paths.items():
            key = keys.get(name)
            self._look("certificate_path", tls_files.problem_of_pair(path, key))
            self._look("key_path", tls_files.problem_of_file(key))
            self._look("staple", tls_files.problem_of_file(staples.get(name)))
        if not paths and not self._values.is_set("acme"):
            self._problems.append(
                "--certificate-path: is missing; write --certificate-path /etc/tls or set "
                "CERTIFICATE_PATH"
            )
        return tuple(
            document.Certificate(name=name, path=path, key=keys.get(name), staple=staples.get(name))
            for name, path in paths.items()
        )

    def _named(self, parameter: str) -> dict[str, str]:
        """Return the paths of a repeated `[NAME=]PATH` by name, made absolute."""
        found: dict[str, str] = {}
        for text in self._values.texts(parameter):
            name, equals, path = text.partition("=")
            if not equals or "/" in name:
                name, path = UNNAMED, text
            if not name or not path:
                self._blame(parameter, f"{units.shown(text)} is not NAME=PATH; write both")
            elif name in found:
                what = "without a name" if name == UNNAMED else f"named {units.shown(name)}"
                self._blame(parameter, f"two are {what}; write NAME=PATH, each with its own NAME")
            else:
                found[name] = os.path.abspath(path)
        return found

    def _clients(self) -> document.Clients | None:
        values = self._values
        mode = values.text("client_certificates")
        if mode == "off":
            for name in ("client_ca", "client_crl", "client_hosts"):
                if values.is_set(name):
                    self._blame(
                        name,
                        "has no effect while client-certificates is off; "
                        "write --client-certificates required",
                    )
            return None
        if not values.is_set("client_ca"):
            self._problems.append(
                "--client-ca: is missing; write --client-ca /etc/tls/clients.pem or set "
                "TLS_CLIENT_CA"
            )
        return document.Clients(
            mode="asked" if mode == "asked" else "required",
            authorities=self._path("client_ca") or "",
            revoked=self._path("client_crl"),
            hosts=values.texts("client_hosts"),
        )

    def _acme(self) -> document.Acme | None:
        values = self._values
        if not values.is_set("acme"):
            for name in ("acme_domain", "acme_contact", "acme_folder", "acme_ca"):
                if values.is_set(name):
                    self._blame(name, "needs an authority beside it; write --acme https://…")
            return None
        for name in ("acme_domain", "acme_folder"):
            if not values.is_set(name):
                parameter = values.contract.parameter(name)
                self._problems.append(
                    f"{parameter.flag}: is missing; write {parameter.flag} {parameter.example}"
                )
        is_http = values.text("acme_challenge") == "http-01"
        if is_http and not values.is_set("redirect"):
            self._blame(
                "acme_challenge",
                "http-01 is answered by the plain listener; write --redirect 0.0.0.0:80",
            )
        for contact in values.texts("acme_contact"):
            if not contact.startswith("mailto:"):
                self._blame("acme_contact", f"write mailto: before it, as in mailto:{contact}")
        folder = values.text("acme_folder") if values.is_set("acme_folder") else ""
        return document.Acme(
            directory=values.text("acme"),
            domains=values.texts("acme_domain"),
            challenge="http01" if is_http else "tls_alpn01",
            contacts=values.texts("acme_contact"),
            folder=os.path.abspath(folder),
            authorities=self._path("acme_ca"),
        )

    def _redirects(self) -> tuple[document.Redirect, ...]:
        values = self._values
        if not values.is_set("redirect"):
            if values.is_set("redirect_port"):
                self._blame("redirect_port", "needs a plain listener; write --redirect 0.0.0.0:80")
            return ()
        port = int(values.text("listen").rpartition(":")[2])
        if values.is_set("redirect_port"):
            port = values.integer("redirect_port")
        if port == 0:
            self._blame(
                "redirect", "listen has port 0, where nobody can be sent to; write --redirect-port"
            )
        return (document.Redirect(name=REDIRECT_NAME, port=port),)

    def _plain(self, redirect: document.Redirect) -> document.Listener:
        values = self._values
        return document.Listener(
            name=PLAIN_NAME,
            address=values.text("redirect"),
            serves=redirect.name,
            proxies=values.texts("proxy_from"),
        )

    def _path(self, name: str) -> str | None:
        """Return a file's absolute path where it is set; it is looked whether it can be read."""
        if not self._values.is_set(name):
            return None
        path = os.path.abspath(self._values.text(name))
        self._look(name, tls_files.problem_of_file(path))
        return path

    def _whole_s(self, name: str) -> int | None:
        if not self._values.is_set(name):
            return None
        duration_s = self._values.duration_s(name)
        if duration_s != int(duration_s):
            self._blame(name, f"{units.format_duration(duration_s)} is not in whole seconds")
        return int(duration_s)

    def _look(self, name: str, problem: str) -> None:
        if problem:
            self._blame(name, problem)

    def _blame(self, name: str, problem: str) -> None:
        line = f"{self._values.place(name)}: {problem}"
        if line not in self._problems:
            self._problems.append(line)


def program_address(text: str) -> str:
    """Return the HOST:PORT that a program's port or address means.

    Raises:
        errors.UsageError: it is neither; says what to write instead.
    """
    if text.isascii() and text.isdigit():
        if len(text) > len(str(PORT_MAX)) or not 1 <= int(text) <= PORT_MAX:
            raise errors.UsageError(
                f"{units.shown(text)} is not a port; write a number from 1 to {PORT_MAX}"
            )
        return f"{LOOPBACK}:{int(text)}"
    scheme, is_url, rest = text.partition("://")
    if is_url:
        bare = rest.partition("/")[0]
        remedy = bare if ":" in bare else f"{bare}:{_PORTS_OF_WORDS.get(scheme, '8000')}"
        raise errors.UsageError(f"{units.shown(text)} is a URL; write {remedy}")
    if text.lower() in _PORTS_OF_WORDS:
        number = _PORTS_OF_WORDS[text.lower()]
        raise errors.UsageError(
            f"{units.shown(text)} is not a port; write its number, {number}, or the one where the "
            "program listens, such as 8000"
        )
    if ":" not in text:
        raise errors.UsageError(
            f"{units.shown(text)} is neither a port nor HOST:PORT; write for example 8000 or "
            "127.0.0.1:8000"
        )
    host, _, port = text.rpartition(":")
    if not host and port.isdigit():
        raise errors.UsageError(f"{units.shown(text)} has no host; write {port}")
    return kinds.address(text)


def _is_reached(target: str, listen: str) -> bool:
    """Tell whether a connection to one address of this machine would reach a listener."""
    host, _, port = target.rpartition(":")
    own_host, _, own_port = listen.rpartition(":")
    is_same = host == own_host or (host in _HERE and own_host in _EVERYWHERE)
    return port == own_port and is_same
